import { byId } from './dom.js';
import { sameOrigin, unsafe } from './core.js';
import { isRead, isStream } from './fetch.js';
import { nextTask, relay } from './relay.js';
import { rootAround } from './tokens.js';

// Datastar says in an event which element asks, and asks with the window's fetch at
// once. To ask again after a failure it uses the same headers.

const elements = new WeakMap(); // by headers
let asking = null; // the element that the next request is of
let isWrapped = false;

function start({ detail }) {
  if (detail.type !== 'started') return;
  asking = detail.el ?? (detail.elId ? byId(detail.elId) : null);
  if (!isWrapped) wrap();
}

addEventListener('datastar-fetch', start, true);
addEventListener('datastar-sse', start, true); // before 1.0

function wrap() {
  const before = window.fetch;
  isWrapped = true;
  window.fetch = function (url, init) {
    const headers = init?.headers, isDatastars = headers?.['Datastar-Request'];
    if (isDatastars && !elements.has(headers)) elements.set(headers, asking);
    const element = isDatastars && elements.get(headers);
    return element && rootAround(element) && sameOrigin(url) ? askForDatastar(element, url, init) : before.apply(this, arguments);
  };
}

// Each click on an element aborts the request of the one before. What was asked with
// another method than GET is done by then, and its answer has the newest token.
const askForDatastar = (element, url, init) =>
  relay(element, null, url, unsafe(init.method) ? { ...init, signal: null } : init, nothing, response => arrived(response, init.method));

const nothing = () => new Response('', { headers: { 'Content-Type': 'text/event-stream' } });

// arrived waits until the page shows an answer. Of the stream that a click has led to,
// that is the first part; others show nothing that a click would depend on.
async function arrived(response, method) {
  if (!isStream(response)) await isRead(response);
  else if (unsafe(method)) await firstOf(response.clone().body.getReader());
  await nextTask();
}

async function firstOf(reader) {
  await reader.read().catch(() => {});
  reader.cancel().catch(() => {});
}
