// signup.js says what went wrong where pagestate.js got no page to show. Without
// scripts the browser shows a page that says so.

function toast(text) {
  const box = Object.assign(document.createElement('p'), { className: 'toast', textContent: text });
  document.getElementById('toasts').replaceChildren(box);
}

document.addEventListener('pagestate:error', ({ detail }) =>
  toast(detail.error?.message ?? 'The server does not answer. Nothing is lost: try again in a moment.'));
for (const name of ['pagestate:expired', 'pagestate:conflict'])
  document.addEventListener(name, () => toast('This page is too old to go on. Reload it.'));
