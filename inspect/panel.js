// panel.js shows the tokens of the page, and what changed in them with the last answer.
// It stands in a shadow root of its own, and changes nothing of the page except how far it
// scrolls to what has the focus, which would be behind the panel otherwise. Whatever it
// shows is text and never markup.

const url = import.meta.url; // of the handler, which opens tokens too
const fetch = window.fetch.bind(window); // before the page replaces it
const OPEN = 'pagestate.inspect.open'; // in the tab's storage: whether the panel is

const style = new CSSStyleSheet(); // unlike a style element, allowed by every Content-Security-Policy
style.replaceSync(`
:host { all: initial !important; position: fixed !important; inset: auto 1rem 1rem auto !important; z-index: 2147483647 !important; color-scheme: light dark !important }
* { box-sizing: border-box; margin: 0; padding: 0 }
#frame { --ink: light-dark(#1c2321, #e8ebe8); --soft: light-dark(#56615d, #a3ada8); --paper: light-dark(#fff, #1a1f1d); --line: light-dark(#d9ded9, #353d39); --accent: light-dark(#0c6b58, #5cc9ae); --tint: light-dark(#fff3c4, #453a10); --old: light-dark(#a3341f, #f2937f);
  display: flex; flex-direction: column-reverse; align-items: flex-end; gap: .5rem; color: var(--ink); font: 14px/1.45 system-ui, sans-serif; text-align: start }
#toggle { display: flex; gap: .5em; align-items: baseline; min-height: 2.25rem; padding: .375rem .875rem; border: 1px solid var(--line); border-radius: 2rem; background: var(--paper); color: inherit; font: inherit; cursor: pointer; box-shadow: 0 2px 10px #0003 }
#toggle b { font-weight: 600 }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
section { width: min(34rem, calc(100vw - 2rem)); max-height: min(44rem, calc(100vh - 5.5rem)); overflow: auto; overscroll-behavior: contain; border: 1px solid var(--line); border-radius: .75rem; background: var(--paper); box-shadow: 0 6px 28px #0004 }
section[hidden] { display: none }
header { position: sticky; top: 0; padding: .75rem 1rem; border-bottom: 1px solid var(--line); background: var(--paper) }
h2 { font-size: 1rem; font-weight: 600 }
.soft { color: var(--soft); font-size: .8125rem }
ul { list-style: none }
li { border-bottom: 1px solid var(--line) }
li:last-child { border: 0 }
summary { display: grid; grid-template-columns: minmax(0, 1fr) auto 5rem 6.5em; gap: .75rem; align-items: center; padding: .5rem 1rem; list-style: none; cursor: pointer }
summary::-webkit-details-marker { display: none }
summary:hover { background: light-dark(#f3f5f2, #232a27) }
summary:focus-visible { outline-offset: -3px }
.name { overflow: hidden; white-space: nowrap; text-overflow: ellipsis; unicode-bidi: isolate }
.name b { font-weight: 600 }
.name::before { content: "▸ " / ""; color: var(--soft) }
details[open] .name::before { content: "▾ " / "" }
.badge { padding: 0 .5em; border-radius: 1em; background: var(--tint); font-size: .75rem; font-weight: 600 }
.badge:empty { visibility: hidden }
.bar { height: .375rem; border-radius: 1rem; background: var(--line); overflow: hidden }
.bar i { display: block; height: 100%; border-radius: inherit; background: var(--accent) }
.size { text-align: end; font-variant-numeric: tabular-nums; white-space: nowrap }
.gone .name { text-decoration: line-through; color: var(--soft) }
.body { padding: 0 1rem .875rem }
table { width: calc(100% + 1rem); margin: 0 -.5rem; border-collapse: collapse; table-layout: fixed }
th { padding: .25rem .5rem; color: var(--soft); font-size: .75rem; font-weight: 500; text-align: start }
th:nth-child(1) { width: 30% }
th:nth-child(2) { width: 4rem }
td { padding: .25rem .5rem; border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; unicode-bidi: isolate }
td:nth-child(2), th:nth-child(2) { text-align: end; font-variant-numeric: tabular-nums }
code { display: block; max-height: 9rem; overflow: auto; font: .75rem/1.55 ui-monospace, monospace; white-space: pre-wrap; unicode-bidi: isolate }
tr.changed td { background: var(--tint) }
del { display: block; color: var(--old); font: .75rem/1.55 ui-monospace, monospace; overflow-wrap: anywhere }
.facts { margin-top: .625rem; overflow-wrap: anywhere }
@media (max-width: 30rem) { summary { grid-template-columns: minmax(0, 1fr) auto auto } .bar { display: none } }
@media print { :host { display: none !important } }
@media (forced-colors: active) { .bar i { background: CanvasText } tr.changed td, .badge { outline: 1px solid } }
`);

const room = new CSSStyleSheet();
room.replaceSync(':where(:root) { scroll-padding-block-end: 4rem }');
document.adoptedStyleSheets.push(room);

// element makes one, of a class and with children that are elements or text.
function element(tag, className, ...children) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...children.map(child => child instanceof Node ? child : String(child)));
  return e;
}

const bytes = n => `${n.toLocaleString('en')} ${n === 1 ? 'byte' : 'bytes'}`;
const plural = (n, one) => `${n} ${one}${n === 1 ? '' : 's'}`;

// The frame.
const host = element('div');
host.dataset.pagestateInspect = '';
const root = host.attachShadow({ mode: 'open' });
root.adoptedStyleSheets = [style];
const toggle = element('button');
toggle.id = 'toggle';
toggle.type = 'button';
toggle.setAttribute('aria-controls', 'tokens');
const sum = element('p', 'soft'), trouble = element('p', 'soft'), list = element('ul');
trouble.setAttribute('role', 'status');
const section = element('section', '', element('header', '', element('h2', '', 'Tokens of this page'), sum, trouble), list);
section.id = 'tokens';
section.setAttribute('aria-label', 'Tokens of this page');
const frame = element('div', '', toggle, section);
frame.id = 'frame';
root.append(frame);

function show(open) {
  section.hidden = !open;
  toggle.setAttribute('aria-expanded', open);
  try { sessionStorage.setItem(OPEN, open ? '1' : ''); } catch { } // no storage: closed on the next page
}
function wasOpen() {
  try { return sessionStorage.getItem(OPEN) === '1'; } catch { return false; }
}
toggle.onclick = () => show(section.hidden);
section.onkeydown = event => {
  if (event.key !== 'Escape') return;
  event.stopPropagation(); // it is for the panel, and not for a dialog of the page
  show(false);
  toggle.focus();
};
show(wasOpen());

// places says for each token of the page how often it stands there.
function places() {
  const found = new Map();
  const add = token => token && found.set(token, (found.get(token) ?? 0) + 1);
  for (const e of document.querySelectorAll('[data-page-state]')) add(e.getAttribute('data-page-state'));
  // The field may have any name; tokens begin with these characters until the year 2106.
  for (const e of document.querySelectorAll('input[type=hidden]')) if (/^gAAAAA[\w-]+=*$/.test(e.value)) add(e.value);
  return found;
}

// open asks the server what is in tokens, and returns an answer for each, which is empty
// if a request failed.
async function open(tokens) {
  const answers = [];
  trouble.textContent = '';
  for (const some of batches(tokens)) answers.push(...await ask(some));
  return answers;
}

// batches are as large as one request may be.
function batches(tokens) {
  const all = [];
  let size = Infinity;
  for (const token of tokens) {
    if (size + token.length > 500_000 || all.at(-1).length === 50) {
      all.push([]);
      size = 0;
    }
    all.at(-1).push(token);
    size += token.length;
  }
  return all;
}

async function ask(tokens) {
  const body = new URLSearchParams(tokens.map(token => ['token', token]));
  try {
    const response = await fetch(url, { method: 'POST', body, mode: 'same-origin', credentials: 'same-origin', redirect: 'error', cache: 'no-store' });
    if (!response.ok) throw `it answered ${response.status}`;
    return await response.json();
  } catch (error) {
    trouble.textContent = `The server did not open them: ${error}.`;
    return tokens.map(() => ({}));
  }
}

const known = new Map(); // the answer for each token of the page
const isAnswered = answer => answer && (answer.token || answer.error);
let shown = new Map();   // what the panel shows, by identity
const lines = new Map(); // list items, by identity

// identify names what is in the page, so that a token is known again after an answer has
// replaced it.
function identify(tokens, found) {
  const all = new Map();
  for (const token of tokens) {
    const answer = known.get(token) ?? {};
    let id = answer.token?.instance ?? token;
    while (all.has(id)) id += '+'; // two tokens of one instance
    all.set(id, { token, content: answer.token, error: answer.error, places: found.get(token), news: '', former: new Map() });
  }
  return all;
}

// compare says of each of now what is news since before, and adds what is gone.
function compare(before, now) {
  const tokens = new Set([...now.values()].map(item => item.token));
  for (const [id, item] of now) {
    const old = before.get(id) ?? before.get(item.token); // that is what it was called while a request had failed
    if (!old) item.news = 'new';
    else if (old.token !== item.token) {
      item.news = 'sealed again';
      const values = new Map(old.content?.fields.map(f => [f.name, f.value]));
      for (const { name, value } of item.content?.fields ?? [])
        if (values.get(name) !== value) item.former.set(name, values.get(name)), item.news = 'changed';
    }
  }
  for (const [id, item] of before) if (!now.has(id) && !tokens.has(id)) now.set(id, { ...item, news: 'gone', former: new Map() });
}

const REASONS = {
  InvalidState: 'It does not open for you: it was sealed for another session or user, with another secret, or it is damaged.',
  OutdatedState: 'A newer release of pagestate has sealed it.',
  StateTooLarge: 'It is too large to be opened.',
};

function body({ token, content, error, places, former }) {
  const parts = element('div', 'body');
  if (!content) {
    parts.append(element('p', 'soft', error ? `${REASONS[error] ?? 'It was refused.'} (${error})` : 'What is in it is not known.'));
    return parts;
  }
  const rows = content.fields.map(({ name, value, bytes }) => {
    const cell = element('td', '', element('code', '', value));
    if (former.has(name)) cell.prepend(element('del', '', former.get(name) ?? '(not there)'));
    return element('tr', former.has(name) ? 'changed' : '', element('td', '', name || '(the state)'), element('td', '', bytes), cell);
  });
  const head = element('tr', '', ...['Field', 'Bytes', 'Value'].map(text => element('th', '', text)));
  for (const th of head.children) th.scope = 'col';
  if (rows.length) parts.append(element('table', '', element('thead', '', head), element('tbody', '', ...rows)));
  const time = text => new Date(text).toLocaleTimeString();
  const facts = [
    `revision ${content.revision}`, content.version ? `schema ${content.version}` : '', `sealed ${time(content.last_sealed)}, first ${time(content.first_sealed)}`,
    `names and types of the fields ${bytes(content.names)}`, content.compressed ? 'compressed' : '', places > 1 ? `stands in the page ${places} times` : '',
    `owner: ${content.owner}`, `instance ${content.instance.slice(0, 8)}…`, content.parent ? `child of ${content.parent.slice(0, 8)}…` : '',
  ];
  parts.append(element('p', 'soft facts', facts.filter(Boolean).join(' · ')));
  return parts;
}

function line(id, item, largest) {
  let li = lines.get(id);
  if (!li) {
    li = element('li', '', element('details', '', element('summary')));
    lines.set(id, li);
  }
  const details = li.firstChild, { token, content, news } = item;
  const name = element('span', 'name', element('b', '', content ? content.component : 'token'), content?.key ? ` ${content.key}` : '');
  const fill = element('i');
  fill.style.width = `${100 * token.length / largest}%`; // by script, which every policy allows
  li.className = news === 'gone' ? 'gone' : '';
  details.firstChild.replaceChildren(name, element('span', 'badge', news), element('span', 'bar', fill), element('span', 'size', bytes(token.length)));
  while (details.children.length > 1) details.lastChild.remove();
  details.append(body(item));
  return li;
}

function render() {
  const here = [...shown.values()].filter(item => item.news !== 'gone');
  const total = here.reduce((n, item) => n + item.token.length * item.places, 0);
  const changed = [...shown.values()].filter(item => item.news).length;
  toggle.replaceChildren(element('b', '', plural(here.length, 'token')), ` ${bytes(total)} `, changed ? element('span', 'badge', `${changed} changed`) : '');
  sum.textContent = here.length ? `${bytes(total)} in ${plural(here.length, 'token')}. What changed with the last answer is marked.` : 'There is none.';
  const largest = Math.max(1, ...[...shown.values()].map(item => item.token.length));
  for (const [id, li] of lines) if (!shown.has(id)) li.remove(), lines.delete(id);
  const focused = root.activeElement;
  list.append(...[...shown].map(([id, item]) => line(id, item, largest)));
  if (list.contains(focused)) focused.focus({ preventScroll: true }); // which it lost when it was moved
}

let first = true, running = false, again = false;
async function update() {
  if (running) { again = true; return; }
  running = true;
  do {
    again = false;
    const found = places(), tokens = [...found.keys()];
    const isNew = tokens.some(token => !known.has(token));
    const gone = [...shown.values()].some(item => item.news !== 'gone' && !found.has(item.token));
    if (isNew || gone || first) {
      // What a request failed for is asked again with the next change, and not at once.
      const unknown = tokens.filter(token => !isAnswered(known.get(token)));
      const answers = await open(unknown);
      answers.forEach((answer, i) => known.set(unknown[i], answer));
      for (const token of known.keys()) if (!found.has(token)) known.delete(token);
      const before = new Map([...shown].filter(([, item]) => item.news !== 'gone')), now = identify(tokens, found);
      if (!first) compare(before, now);
      shown = now;
      first = false;
      render();
    }
    if (!host.isConnected) document.documentElement.append(host); // beside the body, which some front ends replace
  } while (again);
  running = false;
}

let due = 0;
new MutationObserver(() => {
  clearTimeout(due);
  due = setTimeout(update, 50); // an answer comes in several steps
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['data-page-state', 'value'] });
update();
