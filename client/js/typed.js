import { focused, isConnected, matches, onPage } from './dom.js';
import { describe } from './same.js';

// What somebody types after a request has left is in no answer to it. It goes into
// the fields that take the places of those typed in.

const typed = new WeakMap(); // by field: the tick of the last input
let ticks = 0;

addEventListener('input', event => typed.set(event.target, ++ticks), true);

export const now = () => ticks;
export const typedSince = (field, tick) => typed.get(field) > tick;

export const FIELDS = 'input:not([type=hidden],[type=file],[type=submit],[type=image],[type=button],[type=reset]),textarea,select';
const isChoice = field => matches(field, '[type=radio],[type=checkbox]');
export const canTake = field => matches(field, FIELDS) && !matches(field, ':disabled') && (isChoice(field) || !field.readOnly);

export const read = field => ({
  value: field.value,
  checked: field.checked,
  chosen: [...field.selectedOptions ?? []].map(option => option.value),
});

export function write(field, { value, checked, chosen }) {
  if (isChoice(field)) field.checked = checked;
  else if (!field.options) field.value = value;
  else if (chosen.every(value => [...field.options].some(option => option.value === value)))
    for (const option of field.options) option.selected = chosen.includes(option.value);
}

// theOnly is the element of a list of one. Of several, none is surely the right one.
export const theOnly = found => found.length === 1 ? found[0] : null;

// keepTyped returns a function that brings back, after an answer, what was typed since
// a tick. A field that stays in the page may have been overwritten.
export function keepTyped(since) {
  const fields = onPage(FIELDS).filter(field => typedSince(field, since) || field === focused())
    .map(field => ({ field, find: describe(field), state: read(field), tick: typed.get(field) }));
  return () => {
    for (const { field, find, state, tick } of fields.filter(({ field }) => typedSince(field, since))) {
      if (!isConnected(field)) bringTo(theOnly(find().filter(canTake)), read(field), typed.get(field));
      else if (typed.get(field) === tick) bringTo(field, state, tick);
    }
  };
}

function bringTo(field, state, tick) {
  if (!field || typedSince(field, tick)) return;
  if (JSON.stringify(read(field)) !== JSON.stringify(state)) write(field, state);
  typed.set(field, tick);
}
