import { abort, cleaned, direct, exchange, intend, sameOrigin } from './core.js';
import { dropTokens, rootAround } from './tokens.js';

// fetch is the window's, with the token of the component that element is in. It
// rejects with an AbortError if the component has left the page, if an answer has
// taken away the control that was clicked, and if the page has a newer token than the
// answer: then there is nothing to show.
async function fetch(element, url, init = {}) {
  if (!rootAround(element)) return direct(url, init);
  if (!sameOrigin(url)) return direct(await cleaned(url), { ...init, body: withoutFields(init.body) });
  if (url instanceof Request) init = { method: url.method, headers: url.headers, ...init };
  return new Promise((resolve, reject) => {
    const use = async (response, fate) => {
      if (fate === 'late') throw abort('the page has moved on');
      const read = isRead(response);
      resolve(response);
      await read;
      await new Promise(resolve => setTimeout(resolve)); // it is shown before the next request is sent
    };
    exchange(intend(element, null, init.method ?? 'GET'), url, init, use).catch(reject);
  });
}

export const isStream = response => /^text\/event-stream\b/i.test(response.headers.get('Content-Type'));

// isRead waits until an answer has come, and the page has it. That of a stream may take as
// long as the page is open: what a server sends as events, or the page reads bit by bit,
// is not waited for.
export async function isRead(response) {
  if (!response.body || isStream(response)) return;
  const copying = new AbortController(), end = response.clone().body.pipeTo(new WritableStream(), { signal: copying.signal });
  const body = response.body; // clone gave it a new one
  let read;
  Object.defineProperty(response, 'body', { get() { copying.abort(); return body; } });
  for (const name of ['arrayBuffer', 'blob', 'bytes', 'formData', 'json', 'text']) response[name] = () => read = Response.prototype[name].call(response);
  await end.catch(() => {});
  await read?.catch(() => {}); // Firefox gives it to the page later
}

// withoutFields is a body for another site.
const withoutFields = body => body instanceof FormData || body instanceof URLSearchParams ? dropTokens(body) : body;

export { fetch };
