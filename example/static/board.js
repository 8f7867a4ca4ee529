// board.js shows the person at the screen what happened, and is for the keyboard. The
// tokens are the business of pagestate.js.
import { reload } from '/pagestate.js';

// toast shows one message, in the place of the one before. It stays on a page that is too
// old to go on, and where its time runs out while it has the focus, which would be lost.
export function toast(text, isOld) {
  const box = document.createElement('div');
  box.className = 'toast';
  box.append(Object.assign(document.createElement('p'), { textContent: text }));
  const button = (label, click) => box.append(Object.assign(document.createElement('button'), { textContent: label, onclick: click }));
  if (isOld) button('Reload', reload);
  button('Close', () => box.remove());
  document.getElementById('toasts').replaceChildren(box);
  if (!isOld) setTimeout(() => box.contains(document.activeElement) || box.remove(), 10_000);
}

const nameOf = root => root?.dataset?.name ?? 'This part';

document.addEventListener('tetra:component-stale', ({ detail }) =>
  toast(`“${nameOf(detail.component)}” is gone: somebody deleted it.`));
document.addEventListener('pagestate:conflict', () => toast('The page has moved on. Reload it to see how things stand.', true));
document.addEventListener('pagestate:expired', () => toast('This page is too old to go on. Reload it.', true));

// The server does not say why a token is not valid. In this site there is one reason
// that people meet.
const INVALID = 'You have logged in or out in another tab, so this page is not yours any more. Reload it to go on.';

// What pagestate.js acts on, the events above tell.
function failed(status, text) {
  let error;
  try { error = JSON.parse(text).error; } catch { } // not an answer of pagestate's
  if (error && [409, 410].includes(status)) return;
  const message = error?.code === 'InvalidState' ? INVALID : error?.message;
  toast(message ?? `The server could not do that (${status}).`, status === 400);
}

export const unreachable = () => toast('The server does not answer. Nothing is lost: try again in a moment.');

document.addEventListener('htmx:responseError', ({ detail: { xhr } }) => failed(xhr.status, xhr.responseText)); // htmx 2
document.addEventListener('htmx:sendError', unreachable);
document.addEventListener('htmx:response:error', ({ detail: { ctx } }) => failed(ctx.response.status, ctx.text)); // htmx 4
document.addEventListener('htmx:error', ({ detail }) => detail.ctx && !detail.ctx.response && unreachable());
document.addEventListener('pagestate:error', ({ detail: { error, response } }) => // no htmx
  response ? failed(response.status, JSON.stringify({ error })) : unreachable());

// Escape is the last button of what the focus is in, which leads out of it.
document.addEventListener('keydown', event => {
  if (event.key !== 'Escape' || event.isComposing) return;
  event.target.closest('.toast, .editing, #wizard')?.querySelector('button:last-child')?.click();
});

// A toolbar is one stop of the Tab key, and the arrows move in it.
const buttonsOf = bar => [...bar.querySelectorAll('button:enabled')];

function stopAt(bar, chosen) {
  for (const button of buttonsOf(bar)) button.tabIndex = button === chosen ? 0 : -1;
}

document.addEventListener('focusin', ({ target }) => {
  const bar = target.closest('[role=toolbar]');
  if (bar) stopAt(bar, target);
});
document.addEventListener('keydown', event => {
  const bar = event.target.closest('[role=toolbar]'), by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!bar || !by) return;
  const buttons = buttonsOf(bar);
  buttons.at((buttons.indexOf(event.target) + by) % buttons.length).focus();
  event.preventDefault(); // the page does not scroll
});

// Screen readers tell what changes in a status that has been there, and pass over one
// that comes with an answer.
function say(part) {
  const lines = '.notice, .news, .problem' + (part.id === 'board' ? '' : ', .page, .step');
  const said = [...part.querySelectorAll(lines)].map(line => line.textContent).join(' ');
  if (said) document.getElementById('said').textContent = said;
}

function prepare(part) {
  for (const bar of part.querySelectorAll('[role=toolbar]'))
    if (!bar.querySelector('[tabindex="0"]:enabled')) stopAt(bar, buttonsOf(bar)[0]);
}

prepare(document);
new MutationObserver(changes => {
  for (const part of changes.flatMap(change => [...change.addedNodes]))
    if (part.matches?.('[data-page-state], body')) say(part), prepare(part);
}).observe(document.documentElement, { subtree: true, childList: true });
