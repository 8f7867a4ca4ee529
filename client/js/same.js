import { attribute, closest, idOf, matches, onPage, shadowOf, tagOf } from './dom.js';
import { isToken, rootAround } from './tokens.js';

// An answer replaces elements. Which of the new ones stands for an old one is told by
// what both have: tag, name, the form's action, and the id of the nearest that has one.

const VERBS = ['hx-get', 'hx-post', 'hx-put', 'hx-patch', 'hx-delete'];

export const formOf = element => matches(element, 'form') ? element :
  element.form !== undefined ? element.form : closest(element, 'form');

const valuesOf = (element, names) => names.map(name => attribute(element, name) ?? '');
const place = element => { const named = closest(element, '[id]'); return named ? idOf(named) : ''; };
const hasOwnValue = element => matches(element, 'button,[type=submit],[type=image],[type=radio],[type=checkbox]');

// dataOf is what a control outside of forms says of itself for the page's own script.
const dataOf = element => Object.entries(element.dataset).filter(([name]) => !/^(pageState|htmx)/.test(name));

export function keyOf(element) {
  const form = formOf(element), parts = [tagOf(element), place(element)];
  if (form) parts.push(valuesOf(form, ['action', 'method', ...VERBS]));
  if (element === form) return JSON.stringify(parts);
  parts.push(valuesOf(element, ['type', 'name', 'formaction', 'formmethod', 'href', ...VERBS]));
  parts.push(hasOwnValue(element) ? attribute(element, 'value') : '', form ? '' : dataOf(element));
  return JSON.stringify(parts);
}

// hiddenIn is the hidden fields of the element's form as texts, without tokens.
function hiddenIn(element) {
  const form = formOf(element);
  return !form ? [] : onPage('input[type="hidden"]').filter(field => field.form === form && !isToken(field.value))
    .map(field => JSON.stringify([field.name, field.value]));
}

// finderOf finds what may stand for an element: on the page or, for one in a shadow
// root, in those of what may stand for its host.
function finderOf(element) {
  const shadow = shadowOf(element), hosts = shadow && describe(shadow.host);
  return !shadow ? onPage : selector => hosts().flatMap(host => [...host.shadowRoot?.querySelectorAll(selector) ?? []]);
}

// describe notes what tells the element from all others on the page. Where several
// have its key, as in the rows of a list, that is what their hidden fields have not
// in common. The function that it returns finds what has all this now.
export function describe(element) {
  const key = keyOf(element), find = finderOf(element), alike = () => find(tagOf(element)).filter(other => keyOf(other) === key);
  const others = alike().map(hiddenIn), telling = hiddenIn(element).filter(field => !others.every(fields => fields.includes(field)));
  return () => alike().filter(other => { const fields = hiddenIn(other); return telling.every(field => fields.includes(field)); });
}

// offerOf returns a function that finds what was clicked, or what stands for it now
// in the root. What is no control, such as a part that loads itself, needs not be there.
export function offerOf(element, button) {
  const control = button ?? element;
  if (!matches(control, 'form,button,input,select,textarea,a,summary')) return () => control;
  const find = describe(control);
  return root => {
    const found = find().filter(other => !matches(other, ':disabled') && rootAround(formOf(other) ?? other) === root);
    return found.includes(control) ? control : found[0];
  };
}
