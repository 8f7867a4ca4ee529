import { attribute, fire, hasAttribute, resolve } from './dom.js';
import { decode, download, isAttachment, isHTML, put } from './answer.js';
import { componentOf, rootOf } from './component.js';
import { errorIn, exchange, intend, sameOrigin, unsafe } from './core.js';
import { dropTokens, rootAround } from './tokens.js';

// The answer to a <form data-page-state-form> is the component, a page with or
// without it, or a redirect. What goes wrong is told by pagestate:error.

// howOf is how a form is sent by a button, or by none.
function howOf(form, button) {
  const say = name => (button && attribute(button, 'form' + name)) ?? attribute(form, name) ?? '';
  return { url: resolve(say('action') || location.href), method: say('method').toUpperCase() || 'GET', type: say('enctype'), target: say('target') };
}

function onSubmit(event) {
  const form = event.target, button = event.submitter;
  if (event.defaultPrevented || !rootAround(form) || !hasAttribute(form, 'data-page-state-form')) return;
  const how = howOf(form, button);
  if (how.method === 'DIALOG' || !['', '_self'].includes(how.target) || !sameOrigin(how.url)) return;
  event.preventDefault();
  submit(form, button, how);
}

const crlf = text => text.replace(/\r\n?|\n/g, '\r\n'); // as browsers send it

function submit(form, button, { url, method, type }) {
  const data = dropTokens(new FormData(form, button));
  const fields = new URLSearchParams([...data].map(([name, value]) => [crlf(name), crlf(value.name ?? value)]));
  if (!unsafe(method)) url.search = fields;
  const body = !unsafe(method) ? undefined : type === 'multipart/form-data' ? data : fields;
  const c = componentOf(rootAround(form));
  const failed = detail => fire(rootOf(c) ?? document, 'pagestate:error', { component: rootOf(c), ...detail });
  const use = (response, fate) => fate === 'show' && showAnswer(c, response, url.hash, failed);
  exchange(intend(form, button, method), url, { method, body }, use).catch(error => error.name === 'AbortError' || failed({ error }));
}

// showAnswer shows what a browser would show, if it can be a part of the page.
async function showAnswer(c, response, hash, failed) {
  if (response.status === 204) return;
  if (response.ok && isAttachment(response)) return download(response);
  const text = await decode(response), isEmpty = !text && !response.headers.has('Content-Type'), error = errorIn(text);
  if ((response.ok || response.status === 422) && (isEmpty || isHTML(response))) return rootOf(c) && put(rootOf(c), text, response, hash);
  if (response.status !== 409 || !error?.code) failed({ error, response });
}

// What the browser sends by itself takes no token into a URL, or to another site.
let leaving = []; // the form that is submitted, and its button

function onLeaving({ target, submitter }) {
  leaving = [target, submitter];
  setTimeout(() => { leaving = []; });
}

function onFormData({ target: form, formData }) {
  const isLeaving = leaving[0] === form, { url, method } = howOf(form, isLeaving ? leaving[1] : null);
  if ((isLeaving || rootAround(form)) && (method !== 'POST' || !sameOrigin(url))) dropTokens(formData);
}

function listen(tree) {
  tree.addEventListener('submit', onLeaving, true);
  tree.addEventListener('submit', onSubmit);
  tree.addEventListener('formdata', onFormData);
}

listen(window);

// These events of a form in a shadow root reach nothing outside, so this listens in
// there, from the click or the key on that they may follow.
const heard = new WeakSet();

function hear(event) {
  for (const tree of event.composedPath().filter(node => node instanceof ShadowRoot && !heard.has(node))) {
    heard.add(tree);
    listen(tree);
  }
}

addEventListener('click', hear, true);
addEventListener('keydown', hear, true);
