import { all, closest, contains, focused, htmlOf, isConnected, matches, onPage, parentOf, setAttribute } from './dom.js';
import { describe, formOf, keyOf } from './same.js';
import { ROOT } from './tokens.js';
import { typedSince } from './typed.js';

// Where an answer takes the element away that has the focus, it would fall to the
// body, and a keyboard would start again at the top of the page.

const CONTROLS = 'a[href],button,input:not([type=hidden]),select,textarea,summary,[tabindex]:not([tabindex="-1"]),[contenteditable]';
const canFocus = element => isConnected(element) && !matches(element, ':disabled') && element.checkVisibility();
const bodyOfPage = () => onPage('body')[0];
const isLost = () => [null, bodyOfPage()].includes(focused());

// keepFocus notes where the focus is, and returns a function that sees to it after an
// answer to the root, of which shown is what the page shows now. The focus goes to
// what the answer asks for with autofocus, if the page did not have that before, and
// where it was lost, to the same control, its neighbour, or the root that is left. A
// control that had it before, and was disabled meanwhile, has it still.
export function keepFocus(root, since, before) {
  const body = bodyOfPage(), had = isLost() ? before : focused(), place = placeOf(had, root);
  const around = closest(parentOf(root) ?? body, ROOT), wished = onPage('[autofocus]').map(keyOf);
  let granted = typedSince(had, since) || place && !place.isOurs; // whether no wish is granted any more
  return shown => {
    const isOtherPage = bodyOfPage() !== body, scope = !isOtherPage && (shown ?? around) || htmlOf(document);
    const wishes = all(scope, '[autofocus]').filter(canFocus), wish = wishes.find(element => !wished.includes(keyOf(element)));
    if (wish && !granted && !typedSince(had, since)) {
      granted = true;
      wish.focus();
    } else if (place && isLost()) {
      const same = nth(place.find().filter(canFocus), place.nth);
      const near = isOtherPage ? null : nearest(place, scope, shown ? place.inside : place.outside);
      giveFocus(same ?? wishes[0] ?? near ?? shown ?? around, same && had);
    }
  };
}

// placeOf is what tells where a control is among those of the page: which one of
// those with its key it is, and the keys of all in the root and outside, the nearest
// first and those after it before those ahead of it.
function placeOf(control, root) {
  const list = all(htmlOf(document), CONTROLS), at = list.indexOf(control);
  if (at < 0) return null;
  const key = keyOf(control), order = [...list.slice(at), ...list.slice(0, at).reverse()];
  return {
    find: describe(control),
    nth: list.slice(0, at).filter(other => keyOf(other) === key).length,
    inside: order.filter(other => contains(root, other)).map(keyOf),
    outside: order.filter(other => !contains(root, other)).map(keyOf),
    isOurs: contains(root, control) || contains(root, formOf(control)),
  };
}

const nth = (found, n) => found[Math.min(n, found.length - 1)];

function nearest(place, scope, keys) {
  const left = all(scope, CONTROLS).filter(canFocus), leftKeys = left.map(keyOf);
  const key = keys.find(key => leftKeys.includes(key));
  return nth(left.filter((_, i) => leftKeys[i] === key), place.nth);
}

function giveFocus(element, like) {
  if (!element) return;
  if (!matches(element, CONTROLS)) setAttribute(element, 'tabindex', '-1');
  HTMLElement.prototype.focus.call(element, { preventScroll: true });
  if (typeof like?.selectionStart === 'number' && typeof element.selectionStart === 'number')
    element.setSelectionRange(like.selectionStart, like.selectionEnd, like.selectionDirection);
}
