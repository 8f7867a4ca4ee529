// The page's side of pagestate. The root element of a component carries its token
// in data-page-state. This module sends it with the requests that start inside of
// the root, one at a time, puts the next one in its place, and takes a component
// whose data is gone off the page. This file does so for any request; the others
// bring it the requests of fetch, <form data-page-state-form>, htmx 2 and htmx 4.

export const ROOT = '[data-page-state]', HEADER = 'Page-State', FIELD = 'page_state';
const MAX_HEADER = 3072; // bytes of tokens, since proxies cap headers
const components = new WeakMap(); // by root
const busy = new Set(); // components with requests under way or waiting

export const abort = why => new DOMException('pagestate: ' + why, 'AbortError');
export const sameOrigin = url => new URL(url.url ?? url, document.baseURI).origin === location.origin; // url may be a Request
export const unsafe = method => !/^(get|head)$/i.test(method);
export const direct = (url, init) => window.fetch(url, init);
export const fire = (target, name, detail, cancelable = false) =>
  target.dispatchEvent(new CustomEvent(name, { bubbles: true, cancelable, detail }));
export const conflict = root => fire(root, 'pagestate:conflict', { component: root, error: null });

export function errorIn(text) {
  try { return JSON.parse(text).error ?? null; } catch { return null; } // the application's own
}

// A form's id may be hidden by a field of that name.
export const idOf = element => element.getAttribute('id') ?? '';

// onPage is the element, or what has its id now.
export const onPage = element => element.isConnected ? element : document.getElementById(idOf(element));

// continues reports whether root is the element in which component c goes on after
// an answer has replaced its own: the one that has its token. While c's own answer
// is put into the page, the one that has its id will do; at other times that may be
// another component, which took c's place.
const continues = (c, root) => root.dataset.pageState && [c.token, c.tokenBefore].includes(root.dataset.pageState) ||
  c.answered && idOf(c.root) && idOf(c.root) === idOf(root);

export function componentOf(root) {
  let c = components.get(root) ?? [...busy].find(other => !other.root.isConnected && continues(other, root));
  c ??= {
    token: root.dataset.pageState,
    tokenBefore: '', // what token replaced
    tail: null, // the end of the last turn, a promise
    removals: 0, // answers that said that its data is gone
    answered: false, // whether its answer is being put into the page
  };
  c.root = root;
  components.set(root, c);
  return c;
}

// rootOf is the element that shows the component now, if there is one.
export function rootOf(c) {
  const root = c.root.isConnected ? c.root : [...document.querySelectorAll(ROOT)].find(other => continues(c, other));
  return root && componentOf(root) === c ? root : null;
}

// withChildren is the component and, if its root wants them sent, those inside.
const withChildren = c => [c, ...(c.root.matches('[data-page-state-children]') ? [...c.root.querySelectorAll(ROOT)].map(componentOf) : [])];

// fieldsOf is the fields that repeat the root's token. Others of the same form,
// further down, hold those of children.
const fieldsOf = root => [...root.querySelectorAll(`input[name="${FIELD}"]`)].filter(field => field.closest(ROOT) === root &&
  (!field.form || [...document.getElementsByName(FIELD)].find(other => other.form === field.form) === field));

// A browser that goes back may fill fields with what they held.
addEventListener('pageshow', event => {
  for (const root of event.persisted ? [] : document.querySelectorAll(ROOT))
    for (const field of fieldsOf(root)) field.value = root.dataset.pageState;
});

// sync brings root and fields to the component's token. One that is neither that
// nor the one before it came with an answer, and is newer.
function sync(c) {
  const root = rootOf(c), fields = root ? fieldsOf(root) : [];
  if (!root) return;
  const found = [root.dataset.pageState, ...fields.map(field => field.value)];
  c.token = found.find(token => token && token !== c.token && token !== c.tokenBefore) ?? c.token;
  root.dataset.pageState = c.token;
  for (const field of fields) field.value = c.token;
}

// exchange sends one request with the tokens of its component, and calls use with
// the answer and what take says of it. The next request is sent when use is done.
// One that was made before the component was removed, when removals was smaller,
// is not sent.
export async function exchange(c, url, init, use, send = direct, removals = c.removals) {
  const end = await turn(c, removals);
  try {
    const headers = new Headers(init.headers), [sent, body] = addTokens(c, init, headers);
    const response = await send(url, { ...init, headers, body });
    const text = [409, 410].includes(response.status) ? await response.clone().text() : '';
    await use(response, take(c, sent, response, text));
  } finally {
    end();
  }
}

// turn waits until the requests before this one are over, and returns the function
// that ends the turn.
async function turn(c, removals) {
  const group = withChildren(c), previous = group.map(member => member.tail), { promise, resolve } = Promise.withResolvers();
  for (const member of group) busy.add(Object.assign(member, { tail: promise }));
  const end = () => {
    for (const member of group) {
      sync(member);
      member.answered = false;
      if (member.tail === promise) busy.delete(member);
    }
    resolve();
  };
  await Promise.all(previous);
  if (c.removals === removals && rootOf(c)) return end;
  end();
  throw abort('the component has left the page');
}

// addTokens puts the tokens into the headers or, if they are too long for one, into
// the form, ahead of its files. It returns who sent which token, and the body.
function addTokens(c, { method = 'GET', body }, headers) {
  const group = withChildren(c);
  group.forEach(sync);
  const sent = group.map(member => [member, member.token]);
  const tokens = group.map(member => member.token).filter(token => token), header = tokens.join(', ');
  if (header.length <= MAX_HEADER) {
    if (header) headers.set(HEADER, header);
    return [sent, body];
  }
  if (!unsafe(method) || !(body instanceof URLSearchParams || body instanceof FormData)) {
    fire(c.root, 'pagestate:toolarge', { component: c.root });
    throw abort('the tokens are too long for a header, and there is no form to put them in');
  }
  const form = new body.constructor();
  for (const token of tokens) form.append(FIELD, token);
  for (const [name, value] of body) if (name !== FIELD) form.append(name, value);
  return [sent, form];
}

// take puts an answer's token into the page. It returns what is to become of the
// rest: 'show'; 'late' if the page has a newer token; 'gone' if the data is.
function take(c, sent, response, text) {
  const root = rootOf(c), token = response.headers.get(HEADER), detail = { component: root, error: errorIn(text) };
  for (const [member] of sent) sync(member);
  if (!root || sent.some(([member, before]) => member.token !== before)) {
    const now = onPage(c.root);
    if (now?.matches(ROOT)) conflict(now);
    return 'late';
  }
  for (const [member] of sent) member.answered = true;
  if (token) [c.tokenBefore, c.token] = [c.token, token];
  sync(c);
  const code = detail.error?.code;
  if (response.status === 410 && code === 'StaleComponentState') {
    c.removals++;
    if (!fire(root, 'tetra:component-before-remove', detail, true)) return 'gone';
    root.replaceWith();
    fire(document, 'tetra:component-stale', detail);
    return 'gone';
  }
  if (response.status === 409 && code) fire(root, code === 'StateConflict' ? 'pagestate:conflict' : 'pagestate:expired', detail);
  return 'show';
}
