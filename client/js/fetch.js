import { closest } from './dom.js';
import { abort, direct, exchange, intend, sameOrigin } from './core.js';
import { ROOT, dropTokens } from './tokens.js';

// fetch is the window's, with the token of the component that element is in. It
// rejects with an AbortError if the component has left the page, if an answer has
// taken away the control that was clicked, and if the page has a newer token than the
// answer: then there is nothing to show.
async function fetch(element, url, init = {}) {
  if (!closest(element, ROOT)) return direct(url, init);
  if (!sameOrigin(url)) return direct(url, { ...init, body: withoutFields(init.body) });
  if (url instanceof Request) init = { method: url.method, headers: url.headers, ...init };
  return new Promise((resolve, reject) => {
    const use = async (response, fate) => {
      if (fate === 'late') throw abort('the page has moved on');
      resolve(response);
      await response.clone().blob().catch(() => {});
      await new Promise(resolve => setTimeout(resolve)); // it is shown before the next request is sent
    };
    exchange(intend(element, null, init.method ?? 'GET'), url, init, use).catch(reject);
  });
}

// withoutFields is a body for another site.
const withoutFields = body => body instanceof FormData || body instanceof URLSearchParams ? dropTokens(body) : body;

export { fetch };
