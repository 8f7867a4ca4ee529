// tour.js is for the demo: it tells what somebody else has done, opens a second tab
// with all that this one holds, and makes room for the panel beside the board.
import { toast, unreachable } from './board.js';

document.addEventListener('submit', async event => {
  if (event.target.id !== 'meanwhile') return;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(event.target, event.submitter));
  try {
    const response = await fetch(event.target.action, { method: 'POST', body });
    toast(response.ok ? await response.text() : `The server could not do that (${response.status}).`);
  } catch {
    unreachable();
  }
});

// The tokens stand in the page, and go along with what was typed and not yet sent.
document.addEventListener('formdata', ({ target, formData }) => {
  if (target.id !== 'twin') return;
  for (const part of document.querySelectorAll('[data-page-state]')) formData.append('page_state', part.dataset.pageState);
  for (const field of document.querySelectorAll('.draft:not([type=radio]), .draft:checked')) formData.append(field.name, field.value);
});

new MutationObserver((_, observer) => {
  const toggle = document.querySelector('[data-pagestate-inspect]')?.shadowRoot.getElementById('toggle');
  if (!toggle) return;
  observer.disconnect();
  const beside = () => document.body.classList.toggle('beside', toggle.ariaExpanded === 'true');
  new MutationObserver(beside).observe(toggle, { attributes: true });
  if (!sessionStorage.panel && matchMedia('(min-width: 90rem)').matches) toggle.click(); // open at first
  sessionStorage.panel = 'shown';
  beside();
}).observe(document.documentElement, { childList: true });
