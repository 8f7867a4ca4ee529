import { FIELD, ROOT, componentOf, errorIn, exchange, fire, idOf, rootOf, sameOrigin, unsafe } from './core.js';

// The answer to a <form data-page-state-form> is the component, a page with or
// without it, or a redirect. What goes wrong is told by pagestate:error.
addEventListener('submit', event => {
  const form = event.target, button = event.submitter, root = form.closest(ROOT);
  if (event.defaultPrevented || !root || !form.hasAttribute('data-page-state-form')) return;
  const attribute = name => button?.getAttribute('form' + name) ?? form.getAttribute(name) ?? '';
  const url = new URL(attribute('action') || location.href, document.baseURI), method = attribute('method').toUpperCase() || 'GET';
  if (method === 'DIALOG' || !['', '_self'].includes(attribute('target')) || !sameOrigin(url)) return;
  event.preventDefault();
  const data = new FormData(form, button);
  data.delete(FIELD); // the header has it, and a URL must not
  const fields = new URLSearchParams([...data].map(([name, value]) => [name, value.name ?? value]));
  if (!unsafe(method)) url.search = fields;
  const body = !unsafe(method) ? undefined : attribute('enctype') === 'multipart/form-data' ? data : fields;
  const c = componentOf(root), failed = detail => fire(rootOf(c) ?? document, 'pagestate:error', { component: rootOf(c), ...detail });
  exchange(c, url, { method, body }, async (response, fate) => {
    if (fate !== 'show') return;
    const text = await response.clone().text(), error = errorIn(text);
    if (response.redirected) location.assign(response.url);
    else if (response.ok && response.status !== 204 && rootOf(c)) show(rootOf(c), text);
    else if (!response.ok && !(response.status === 409 && error?.code)) failed({ error, response });
  }).catch(error => error.name === 'AbortError' || failed({ error }));
});

function show(root, text) {
  const page = new DOMParser().parseFromString(text, 'text/html'), focus = document.activeElement?.id;
  const next = idOf(root) ? page.getElementById(idOf(root)) : page.querySelector(ROOT);
  if (next) root.replaceWith(next);
  else if (!/^\s*<(!doctype|html)/i.test(text)) root.replaceWith(...page.body.childNodes);
  else [document.title, document.body] = [page.title, page.body]; // the component is not on it
  if (focus) document.getElementById(focus)?.focus();
}
