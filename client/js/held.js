import { busy, rootOf } from './component.js';
import { intend, isUnderWay } from './core.js';
import { hasAttribute } from './dom.js';
import { nextTask } from './relay.js';
import { formOf } from './same.js';
import { rootAround } from './tokens.js';

// Some libraries disable the button that was clicked, abort the request before, or show
// the last answer alone. A submit of theirs that comes while others of the component are
// under way waits here, and is made again after them.

const lines = new WeakMap(); // by component: the end of the last submit that waits, a promise
let passing = null; // the form that is submitted again

// holdBack holds back the submits of forms for which isTheirs.
export function holdBack(isTheirs) {
  addEventListener('submit', event => {
    const { target: form, submitter } = event;
    if (form === passing || !rootAround(form) || hasAttribute(form, 'data-page-state-form') || !isTheirs(form, submitter)) return;
    const isOnce = isUnderWay(form, submitter), intent = intend(form, submitter, 'POST'), { c, group } = intent;
    if (!isOnce && !lines.has(c) && !group.some(member => busy.has(member))) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!isOnce) queue(intent);
  }, true);
}

function queue(intent) {
  const { c } = intent, end = (lines.get(c) ?? Promise.resolve()).then(() => submitLater(intent)).finally(() => {
    if (lines.get(c) === end) lines.delete(c);
  });
  lines.set(c, end);
}

async function submitLater({ c, group, ends, offered }) {
  await Promise.all(group.map(member => member.tail));
  const found = c.ends === ends && rootOf(c) && offered(rootOf(c)), form = found && formOf(found);
  if (!form) return;
  passing = form;
  try { HTMLFormElement.prototype.requestSubmit.call(form, found === form ? null : found); } finally { passing = null; }
  await nextTask(); // until the library has asked
}
