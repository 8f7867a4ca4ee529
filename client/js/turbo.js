import { sameOrigin, unsafe } from './core.js';
import { closest, hasAttribute, matches, onPage, setAttribute } from './dom.js';
import { isRead } from './fetch.js';
import { holdBack } from './held.js';
import { nextTask, relay } from './relay.js';
import { told } from './told.js';
import { rootAround } from './tokens.js';

// Turbo names each request in an event, and takes an answer that the event brings.

const unshown = new WeakSet(); // answers
const SHOWN = ['turbo:render', 'turbo:frame-render', 'turbo:frame-missing'];

addEventListener('submit', ({ target: form }) => {
  if (window.Turbo && hasAttribute(form, 'data-page-state-form') && rootAround(form)) setAttribute(form, 'data-turbo', 'false');
}, true);

addEventListener('turbo:before-fetch-request', ({ target, detail }) => {
  const { fetchOptions: init, url } = detail;
  if (!matches(target, 'form,turbo-frame') || !rootAround(target) || !sameOrigin(url)) return;
  detail.fetchRequest = { get response() { return askForTurbo(target, url, init); } }; // read when the page lets it be sent
});

addEventListener('turbo:before-fetch-response', event => {
  if (!unshown.has(event.detail.fetchResponse.response)) return;
  event.preventDefault();
  event.stopImmediatePropagation(); // Turbo shows a stream all the same
}, true);

// What Turbo aborts is a request that was done by then, and the answer has the newest token.
const askForTurbo = (element, url, init) =>
  relay(element, null, url, unsafe(init.method) ? { ...init, signal: null } : init, instead, response => isShown(element, response));

function instead(response = new Response(null, { status: 204 })) {
  unshown.add(response);
  return response;
}

async function isShown(element, response) {
  const type = response.headers.get('Content-Type') ?? '', isPart = closest(element, 'turbo-frame') || response.redirected || !response.ok, read = isRead(response);
  const end = /^text\/html/.test(type) && isPart ? told(SHOWN, read) : null;
  await read;
  await nextTask();
  for (let i = 0; i < 500 && onPage('turbo-stream').length; i++) await wait(10); // they leave when they are done
  await end;
}

const wait = ms => new Promise(resolve => setTimeout(resolve, ms));

// Turbo disables the button of a form until there is an answer.
holdBack(form => window.Turbo && !closest(form, '[data-turbo="false"]'));

addEventListener('turbo:submit-start', ({ target, detail: { formSubmission: { submitter } } }) => {
  if (submitter && rootAround(target)) submitter.disabled = false;
});
