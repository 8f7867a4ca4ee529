import { FIELD, ROOT, abort, componentOf, direct, exchange, sameOrigin, unsafe } from './core.js';
import { QUEUE_ALL, inPlace, queued } from './htmx.js';

const ends = new WeakMap(); // by htmx's request: what ends its turn

addEventListener('htmx:config:request', ({ detail: { ctx } }) => {
  const elt = ctx.sourceElement, root = elt.closest(ROOT), { method, body } = ctx.request;
  if (root || /GET|DELETE/.test(method)) body?.delete?.(FIELD);
  if (!root || (elt._htmx?.boosted && !unsafe(method))) return;
  const c = componentOf(root), send = ctx.fetch ?? direct, removals = c.removals;
  if (unsafe(method) && !queued(elt)) elt.setAttribute('hx-sync', QUEUE_ALL);
  ctx.fetch = (url, init) => !sameOrigin(url) ? send(url, init) : new Promise((resolve, reject) => {
    const use = (response, fate) => new Promise(end => {
      ends.set(ctx, end);
      // htmx fires HX-Trigger even for an answer that was cancelled, but not for
      // one that never came.
      if (fate === 'show' && (ctx.target &&= inPlace(c, root, ctx.target)) !== null) resolve(response);
      else reject(abort('there is nothing to show'));
    });
    exchange(c, url, init, use, send, removals).catch(reject);
  });
});
addEventListener('htmx:finally:request', ({ detail: { ctx } }) => ends.get(ctx)?.());
