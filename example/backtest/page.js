// What a page of one's own does with the script's fetch; and what it has heard.
import { fetch } from '/pagestate.js';

window.heard = [];
for (const name of ['pagestate:conflict', 'pagestate:error'])
  document.addEventListener(name, event => heard.push(name + ' ' + event.detail.error?.code));

document.addEventListener('submit', async event => {
  const form = event.target, root = form.closest('[data-page-state]');
  if (root.dataset.by !== 'fetch') return;
  event.preventDefault();
  const response = await fetch(form, form.getAttribute('action'), { method: 'POST' });
  if (response.ok) root.outerHTML = await response.text();
});
