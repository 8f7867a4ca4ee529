import { all, htmlOf, onPage, replaceWith, setAttribute } from './dom.js';

// A whole page takes the place of this one without being asked for again. Its scripts
// do not run: those of this page stay.

// marked is the address of the page that is shown, in the states of the history that
// this script has made. Going to another one of them loads it.
const stateOf = () => history.state?.pageState;
let marked = stateOf();

addEventListener('popstate', () => {
  if (stateOf() && stateOf() !== marked) location.reload();
});

// showPage puts the page in the place of this one, and goes to its address unless
// that is null: then it has none of its own.
export function showPage(html, url) {
  const isOther = url && visit(url);
  const head = onPage('head')[0], had = [...head.children], next = all(html, 'head > :not(script)');
  const isNew = element => !had.some(old => old.isEqualNode(element));
  for (const old of had) if (!old.matches('script') && !next.some(element => element.isEqualNode(old))) old.remove();
  head.append(...next.filter(isNew));
  for (const { name, value } of [...html.attributes]) setAttribute(htmlOf(document), name, value);
  replaceWith(onPage('body')[0], all(html, 'body')[0]);
  if (url?.hash) goToFragment(url.hash);
  else if (isOther) scrollTo({ top: 0, left: 0, behavior: 'instant' });
}

// visit makes the URL the page's address, as a link would, and reports whether that is
// another one.
function visit(url) {
  const isHere = url.pathname + url.search === location.pathname + location.search;
  marked = url.pathname + url.search;
  history.replaceState({ ...history.state, pageState: location.pathname + location.search }, '');
  if (!isHere) history.pushState({ pageState: marked }, '', location.origin + marked); // whatever base the page has
  return !isHere;
}

function goToFragment(hash) {
  location.replace(new URL(hash, location)); // so that :target matches
  history.replaceState({ pageState: marked }, '');
}
