import { sameOrigin } from './core.js';
import { matches } from './dom.js';
import { isRead } from './fetch.js';
import { holdBack } from './held.js';
import { nextTask, relay } from './relay.js';
import { told } from './told.js';
import { rootAround } from './tokens.js';

// Alpine AJAX says in an event what it is about to ask, and hands the same object to the
// window's fetch.

const sources = new WeakMap(); // elements by request
let isFetchWrapped = false;

addEventListener('ajax:send', ({ target, detail }) => {
  if (!rootAround(target)) return;
  sources.set(detail, target);
  if (!isFetchWrapped) wrapForAlpine();
});

function wrapForAlpine() {
  const before = window.fetch;
  isFetchWrapped = true;
  window.fetch = function (url, init) {
    const element = init && sources.get(init);
    return element && sameOrigin(url) ? askForAlpine(element, url, init) : before.apply(this, arguments);
  };
}

// A form whose answer lacks the target would be submitted again, as a plain form.
function askForAlpine(element, url, { method, body, headers, enctype, referrer }) {
  const fields = new Headers(headers);
  if (enctype && !(body instanceof URLSearchParams)) fields.set('Content-Type', enctype);
  let isUnshown = false;
  const instead = response => {
    isUnshown = true;
    return Object.defineProperties(response ?? new Response(null, { status: 204 }), { url: { value: url }, text: { value: async () => '' } });
  };
  element.addEventListener('ajax:missing', event => {
    if (isUnshown || !event.detail.response.ok) event.preventDefault();
  }, { once: true });
  return relay(element, null, url, { method, body, headers: fields, referrer }, instead, response => isMerged(response));
}

const isMerged = response =>
  told(['ajax:after'], isRead(response), ({ detail }) => detail.response.headers === response.headers).then(nextTask);

holdBack(form => form._ajax_target);

// It drops the clicks on the button of a form until there is an answer. They are made
// into submits, unless the page itself has prevented them.
const pressed = new WeakSet(); // events that nothing else has prevented
const watched = new WeakSet(); // buttons

addEventListener('submit', ({ target, submitter }) => {
  if (!submitter || !target._ajax_target || watched.has(submitter)) return;
  watched.add(submitter);
  submitter.addEventListener('click', event => event.defaultPrevented || pressed.add(event));
}, true);

addEventListener('click', event => {
  const button = event.composedPath().find(element => watched.has(element));
  if (!button || !event.defaultPrevented || !pressed.has(event) || !matches(button, '[aria-disabled]')) return;
  if (button.form && rootAround(button.form)) HTMLFormElement.prototype.requestSubmit.call(button.form, button);
});
