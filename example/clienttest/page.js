// What a page of one's own would do, where it uses the script's fetch; and a
// record of what happened, for the test to read.
import { fetch } from '/pagestate.js';

window.happened = [];
for (const name of ['tetra:component-before-remove', 'tetra:component-stale', 'pagestate:conflict', 'pagestate:expired',
  'pagestate:toolarge', 'pagestate:error', 'htmx:responseError', 'htmx:response:error', 'counted']) {
  document.addEventListener(name, event => {
    const { component, error } = event.detail ?? {};
    const where = event.target === document ? 'document' : event.target.id;
    happened.push([name, where, component?.id, error?.code].filter(word => word).join(' '));
    if (window.keep && name === 'tetra:component-before-remove') event.preventDefault();
  });
}

document.addEventListener('submit', async event => {
  const form = event.target, root = Element.prototype.closest.call(form, '[data-page-state]');
  if (!root || Element.prototype.getAttribute.call(root, 'data-driver') !== 'fetch') return;
  event.preventDefault();
  const url = new URL(form.getAttribute('action'), location), data = new URLSearchParams(new FormData(form)), init = {};
  data.delete('page_state'); // the header has it
  if (form.method === 'post') Object.assign(init, { method: 'POST', body: data });
  else for (const name of ['driver', 'swap']) url.searchParams.set(name, data.get(name));
  try {
    const response = await fetch(form, url, init);
    if (response.ok) document.getElementById(root.id).outerHTML = await response.text();
    else if (response.status !== 409 && !(response.headers.get('Content-Type').includes('json') && response.status === 410)) happened.push('fetch ' + response.status);
  } catch (error) {
    if (error.name !== 'AbortError') throw error;
  }
});
