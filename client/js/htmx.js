import { present, rootOf } from './component.js';
import { conflict } from './core.js';
import { attribute, closest, matches, resolve } from './dom.js';
import { FIELD, isToken } from './tokens.js';

// What htmx 2 and htmx 4 have in common.
//
// htmx keeps one of several clicks on an element, and loses those on an element
// that an answer has replaced. So unsafe requests pass its queue by and wait here,
// unless the page says hx-sync or queue. A boosted link leads to another page, and
// does not depend on the component that it stands in.

export const QUEUE_ALL = 'this:queue all'; // what the script sets itself

// queued reports whether the page says how the requests of elt are queued.
export const queued = elt => closest(elt, `[hx-sync]:not([hx-sync="${QUEUE_ALL}"]),[data-hx-sync],[hx-sync\\:inherited],[data-hx-sync\\:inherited]`) ||
  matches(elt, '[hx-trigger*="queue:"],[data-hx-trigger*="queue:"]');

// inPlace is what shows now what target showed before an answer replaced it. If
// nothing does, the page cannot show the answer.
export function inPlace(c, root, target) {
  const now = target === root ? rootOf(c) : present(target);
  if (!now && rootOf(c)) conflict(rootOf(c));
  return now;
}

// The extension ws sends the fields of a form. A socket of another host gets no token.
function onMessage({ target, detail }) {
  const socket = closest(target, '[ws-connect]'), url = detail.connection?.url ?? (socket && attribute(socket, 'ws-connect'));
  const values = detail.parameters ?? detail.message.values; // of htmx 2, of htmx 4
  if (!url || resolve(url).host === location.host) return;
  for (const name of Object.keys(values)) if (name === FIELD || [values[name]].flat().some(isToken)) delete values[name];
}

addEventListener('htmx:wsConfigSend', onMessage);
addEventListener('htmx:ws:before:message:outgoing', onMessage);
