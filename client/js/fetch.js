import { ROOT, abort, componentOf, direct, exchange, sameOrigin } from './core.js';

// fetch is the window's, with the token of the component that element is in. It
// rejects with an AbortError if the component has left the page, and if the page
// has a newer token than the answer: then there is nothing to show.
async function fetch(element, url, init = {}) {
  const root = element.closest(ROOT);
  if (!root || !sameOrigin(url)) return direct(url, init);
  if (url instanceof Request) init = { method: url.method, headers: url.headers, ...init };
  return new Promise((resolve, reject) => exchange(componentOf(root), url, init, async (response, fate) => {
    if (fate === 'late') throw abort('the page has moved on');
    resolve(response);
    await response.clone().blob().catch(() => {});
    await new Promise(resolve => setTimeout(resolve)); // it is shown before the next request is sent
  }).catch(reject));
}

export { fetch };
