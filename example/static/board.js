// board.js shows the person at the screen what happened. The tokens are the business
// of pagestate.js.

const toasts = document.getElementById('toasts');

function toast(text, reload) {
  const box = document.createElement('div');
  box.className = 'toast';
  box.append(Object.assign(document.createElement('p'), { textContent: text }));
  const button = (label, click) => box.append(Object.assign(document.createElement('button'), { textContent: label, onclick: click }));
  if (reload) button('Reload', () => location.assign('/'));
  button('Close', () => box.remove());
  toasts.append(box);
  if (!reload) setTimeout(() => box.remove(), 10_000);
}

const nameOf = root => root?.dataset?.name ?? 'This part';

document.addEventListener('tetra:component-stale', ({ detail }) =>
  toast(`“${nameOf(detail.component)}” is gone: somebody deleted it.`));
document.addEventListener('pagestate:conflict', () => toast('The page has moved on. Reload it to see how things stand.', true));
document.addEventListener('pagestate:expired', () => toast('This page is too old to go on. Reload it.', true));

// What pagestate.js acts on, the events above tell.
function failed(status, text) {
  let error;
  try { error = JSON.parse(text).error; } catch { } // not an answer of pagestate's
  if (error && [409, 410].includes(status)) return;
  toast(error?.message ?? `The server could not do that (${status}).`, status === 400);
}

const unreachable = () => toast('The server does not answer. Nothing is lost: try again in a moment.');

document.addEventListener('htmx:responseError', ({ detail: { xhr } }) => failed(xhr.status, xhr.responseText)); // htmx 2
document.addEventListener('htmx:sendError', unreachable);
document.addEventListener('htmx:response:error', ({ detail: { ctx } }) => failed(ctx.response.status, ctx.text)); // htmx 4
document.addEventListener('htmx:error', ({ detail }) => detail.ctx && !detail.ctx.response && unreachable());
document.addEventListener('pagestate:error', ({ detail: { error, response } }) => // no htmx
  response ? failed(response.status, JSON.stringify({ error })) : unreachable());
