import { componentOf } from './component.js';
import { abort, exchange, intend, isUnderWay, sameOrigin, unsafe } from './core.js';
import { setAttribute } from './dom.js';
import { QUEUE_ALL, inPlace, queued } from './htmx.js';
import { formOf } from './same.js';
import { dropTokens, rootAround, tokenFields } from './tokens.js';

const ends = new WeakMap(); // by htmx's request: what ends its turn

addEventListener('htmx:config:request', event => {
  const { ctx } = event.detail;
  const element = ctx.sourceElement, root = rootAround(element), { method, body, submitter } = ctx.request;
  if ((root || /GET|DELETE/.test(method)) && body instanceof FormData) dropTokens(body);
  if (!root || (element._htmx?.boosted && !unsafe(method))) return;
  if (isUnderWay(element, submitter)) return event.preventDefault();
  const c = componentOf(root), intent = intend(element, submitter, method), send = ctx.fetch ?? window.fetch.bind(window);
  if (unsafe(method) && !queued(element)) setAttribute(element, 'hx-sync', QUEUE_ALL);
  ctx.fetch = (url, init) => !sameOrigin(url) ? send(url, init) : new Promise((resolve, reject) => {
    const use = (response, fate) => new Promise(end => {
      ends.set(ctx, end);
      // htmx fires HX-Trigger even for an answer that was cancelled, but not for
      // one that never came.
      if (fate === 'show' && (ctx.target &&= inPlace(c, root, ctx.target)) !== null) resolve(response);
      else reject(abort('there is nothing to show'));
    });
    exchange(intent, url, init, use, send).catch(reject);
  });
});
addEventListener('htmx:finally:request', ({ detail: { ctx } }) => ends.get(ctx)?.());

// The extension preload asks before there is an event, with the fields of the form in the
// address and no token in the header, and has the answer shown in place of ours.
addEventListener('htmx:after:init', ({ target }) => {
  const { preloadListener, preloadEvents, boosted } = target._htmx ?? {};
  if (!preloadListener) return;
  const form = formOf(target), isOurs = rootAround(target) && (form || !boosted) || form && tokenFields(form).length;
  if (isOurs) for (const name of preloadEvents) target.removeEventListener(name, preloadListener);
});
