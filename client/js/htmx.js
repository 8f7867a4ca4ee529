import { present, rootOf } from './component.js';
import { conflict } from './core.js';
import { closest, matches } from './dom.js';

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
