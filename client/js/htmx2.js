import { componentOf, rootOf } from './component.js';
import { abort, exchange, intend, sameOrigin, unsafe } from './core.js';
import { matches, onPage } from './dom.js';
import { inPlace, queued } from './htmx.js';
import { HEADER, ROOT, dropTokens, rootAround, tokenOf } from './tokens.js';
import { sendWith } from './xhr.js';

addEventListener('htmx:configRequest', ({ detail }) => {
  if (detail.useUrlParams || rootAround(detail.elt)) dropTokens(detail.formData);
});

// The events of htmx 2 on a replaced element reach nobody, so this hangs on the
// XMLHttpRequest.
addEventListener('htmx:beforeSend', ({ detail }) => {
  const { elt, xhr, requestConfig: { verb, headers, triggeringEvent }, pathInfo } = detail, root = rootAround(elt);
  if (!root || !sameOrigin(pathInfo.finalRequestPath) || (detail.boosted && !unsafe(verb))) return;
  const c = componentOf(root), { onload, onabort } = xhr, internal = elt['htmx-internal-data'];
  if (internal && unsafe(verb) && !queued(elt)) internal.xhr = null;
  let waits = true;
  const drop = () => { // tidies up after the request, and shows nothing
    elt.addEventListener('htmx:beforeOnLoad', event => event.preventDefault(), { once: true });
    onload.call(xhr);
  };
  const use = async (response, fate, bringBack) => {
    if (fate !== 'show' || !(detail.target = inPlace(c, root, detail.target))) return drop();
    onload.call(xhr);
    bringBack(); // settling takes time, in which somebody types on
    await swapped(c, detail.target);
  };
  const send = (_, init) => {
    if (!waits) throw abort('aborted');
    waits = false;
    delete xhr.abort;
    return sendWith(xhr, init);
  };
  xhr.abort = () => { waits = false; onabort.call(xhr); }; // the browser's tells nobody before it is sent
  xhr.send = body => {
    delete xhr.send;
    if (typeof body === 'string' && headers['Content-Type'] === 'application/x-www-form-urlencoded') body = new URLSearchParams(body);
    exchange(intend(elt, triggeringEvent?.submitter, verb), '', { method: verb, body }, use, send).catch(() => waits && drop());
  };
});

// The extension preload sends its requests before that, and shows nothing of the answers:
// they are for the browser's cache.
addEventListener('htmx:beforeRequest', ({ detail: { elt, xhr, boosted, requestConfig: { headers }, pathInfo } }) => {
  const root = rootAround(elt);
  if (headers['HX-Preloaded'] && root && !boosted && sameOrigin(pathInfo.finalRequestPath)) xhr.setRequestHeader(HEADER, tokenOf(root));
});

// swapped waits for a swap with a delay or a view transition. What it is not done
// with has a class; that of a swap that failed stays, hence the 5 seconds.
async function swapped(c, target) {
  const classes = '.htmx-swapping, .htmx-settling', waits = elt => elt && (matches(elt, classes) || elt.querySelector(classes));
  for (let i = 0; i < 500 && (waits(target) || waits(rootOf(c))); i++) await new Promise(resolve => setTimeout(resolve, 10));
}

// The history of htmx 2 copies pages to sessionStorage. One with tokens must not
// be found there.
addEventListener('htmx:historyItemCreated', ({ detail: { item } }) => {
  if (onPage(ROOT).length) item.url = item.content = '';
});
