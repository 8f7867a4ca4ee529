import { around, fire, focused, matches, removeAttribute, replaceWith, resolve, setAttribute } from './dom.js';
import { busy, componentOf, groupOf, present, renew, rootOf, sync } from './component.js';
import { keepFocus } from './focus.js';
import { formOf, offerOf } from './same.js';
import { FIELD, HEADER, ROOT, dropTokens, isToken, rootAround, tokenFields } from './tokens.js';
import { keepTyped, now } from './typed.js';

// The page's side of pagestate. The root element of a component carries its token
// in data-page-state. This module sends it with the requests that start inside of
// the root, one at a time, puts the next one in its place, and takes a component
// whose data is gone off the page. This file does so for any request; the others
// bring it those of fetch, of <form data-page-state-form>, and of libraries.

const MAX_HEADER = 3072; // bytes of tokens, since proxies cap headers
const ONCE = '[data-page-state-once]';
const underWay = new WeakSet(); // what says that it is done once at a time
const intents = new WeakMap(); // by response

export const abort = why => new DOMException('pagestate: ' + why, 'AbortError');
export const sameOrigin = url => resolve(url.url ?? url).origin === location.origin; // url may be a Request
export const unsafe = method => !/^(get|head)$/i.test(method);
export const direct = window.fetch.bind(window); // others may wrap the window's
export const conflict = root => fire(root, 'pagestate:conflict', { component: root, error: null });

export function errorIn(text) {
  try { return JSON.parse(text).error ?? null; } catch { return null; } // the application's own
}

const onceOf = (element, button) => button && around(button, ONCE) || around(element, ONCE);

export const isUnderWay = (element, button) => underWay.has(onceOf(element, button));

// intend notes what a click on an element, or on the button of a form, depends on until
// its request is sent.
export function intend(element, button, method) {
  const c = componentOf(rootAround(element));
  return {
    c,
    group: groupOf(c, formOf(element)), // components that it waits for
    ends: c.ends,
    since: now(), // what is typed later is not in its answer
    had: focused(), // the control that had the focus, which the page may disable
    once: onceOf(element, button), // what allows one request at a time
    offered: unsafe(method) ? offerOf(element, button) : () => element, // finds what is clicked
    element,
  };
}

// exchange sends one request with the tokens of its component, and calls use with the
// answer, what take says of it, and what to call when it is shown before use is done.
// Then the next request is sent, if the page still offers it and nothing ended the
// component.
export async function exchange(intent, url, init, use, send = direct) {
  const { c, once } = intent;
  if (underWay.has(once)) throw abort('it is under way');
  if (once) underWay.add(once);
  const turn = takeTurn(intent);
  try {
    const waited = await turn.begun, request = await cleaned(url), element = waited ? intent.offered(rootOf(c)) : intent.element;
    if (!element) throw abort('the page does not offer it any more');
    const headers = new Headers(init.headers), [sent, body] = addTokens(c, formOf(element), init, headers);
    const response = await send(request, { ...init, headers, body, mode: 'same-origin' });
    intents.set(response, intent);
    const text = response.status >= 400 ? await response.clone().text() : '';
    await keeping(c.root, intent, () => rootOf(c), bringBack => use(response, take(c, sent, response, text), bringBack));
  } finally {
    underWay.delete(once);
    turn.end();
  }
}

// keeping lets change show an answer to the root, and then sees to what somebody has
// typed since the intent, and to the focus, as it does when change calls its argument.
// shown is the root on the page then.
export async function keeping(root, { since, had }, shown, change) {
  const bringFocus = keepFocus(root, since, had), bringTyped = keepTyped(since);
  const bringBack = () => { bringTyped(); bringFocus(shown()); };
  await change(bringBack);
  bringBack();
}

// intentOf is the intent of the request that got a response, if it was one of ours.
export const intentOf = response => intents.get(response) ?? { since: now(), had: focused() };

// takeTurn lets the component and the rest of its group wait for the requests before
// this one. begun reports whether there were any, and fails if the component has ended
// meanwhile; end is called when the turn is over.
function takeTurn({ c, group, ends }) {
  const waits = group.some(member => busy.has(member)), previous = group.map(member => member.tail);
  const { promise, resolve } = Promise.withResolvers();
  let marked;
  for (const member of group) busy.add(Object.assign(member, { tail: promise }));
  const begun = Promise.all(previous).then(() => {
    if (c.ends !== ends || !rootOf(c)) throw abort('the component has left the page');
    marked = rootOf(c);
    setAttribute(marked, 'aria-busy', 'true');
    return waits;
  });
  const end = () => {
    for (const member of group) {
      sync(member);
      member.answered = false;
      if (member.tail === promise) busy.delete(member);
    }
    if (marked) removeAttribute(marked, 'aria-busy');
    resolve();
  };
  return { begun, end };
}

// withoutTokens is the URL without the tokens in its query.
export function withoutTokens(url) {
  const clean = resolve(url), length = clean.searchParams.size;
  dropTokens(clean.searchParams, null);
  return clean.searchParams.size === length ? url : clean;
}

// cleaned is the URL, or the Request, without the tokens in its query. It reads the body,
// since a Request that is made of another one has that as a stream, which Chromium does
// not send over HTTP/1, or lacks it, in Firefox.
export async function cleaned(url) {
  const clean = withoutTokens(url.url ?? url);
  if (!url.url) return clean;
  if (clean === url.url) return url;
  const body = unsafe(url.method) ? await url.clone().blob() : null;
  return new Request(new Request(clean, url), { body });
}

// addTokens puts the tokens into the headers or, if they are too long for one, into
// the form, ahead of its files. It returns who sent which token, and the body. Where
// the server gave the field of tokens another name, it may look into the form alone.
function addTokens(c, form, { method = 'GET', body }, headers) {
  const group = groupOf(c, null), isForm = unsafe(method) && (body instanceof URLSearchParams || body instanceof FormData);
  group.forEach(sync);
  const sent = group.map(member => [member, member.token]), fields = isForm && form ? tokenFields(form) : [];
  const tokens = [...new Set([...group.map(member => member.token), ...fields.map(field => field.value).filter(isToken)])].filter(token => token);
  const header = tokens.join(', '), name = fields[0]?.name ?? FIELD, fits = header.length <= MAX_HEADER;
  headers.set(HEADER, fits ? header : ''); // empty, it still says that a script asks
  if (!fits && !isForm) {
    fire(c.root, 'pagestate:toolarge', { component: c.root });
    throw abort('the tokens are too long for a header, and there is no form to put them in');
  }
  if (!isForm) return [sent, body];
  const entries = new body.constructor();
  if (!fits || name !== FIELD) for (const token of tokens) entries.append(name, token);
  for (const [name, value] of dropTokens(body)) entries.append(name, value);
  return [sent, entries];
}

// refusals is what answers said that matters when the page is loaded again.
export const refusals = { last: '', ofOwner: false };

function noteRefusal(code) {
  if (!code) return;
  refusals.last = code;
  refusals.ofOwner ||= ['InvalidState', 'ForbiddenState', 'CrossOriginState'].includes(code);
}

// take puts an answer's token into the page. It returns what is to become of the
// rest: 'show'; 'late' if the page has a newer token; 'gone' if the data is, or
// 'foreign' if another site has answered, as XMLHttpRequest lets it.
function take(c, sent, response, text) {
  if (response.url && !sameOrigin(response.url)) return 'foreign';
  const root = rootOf(c), token = response.headers.get(HEADER), detail = { component: root, error: errorIn(text) };
  for (const [member] of sent) sync(member);
  noteRefusal(detail.error?.code);
  if (!root || sent.some(([member, before]) => member.token !== before)) {
    const instead = present(c.root);
    if (instead && matches(instead, ROOT)) conflict(instead);
    return 'late';
  }
  for (const [member] of sent) member.answered = true;
  if (token) {
    const before = c.token;
    renew(c, token);
    c.tokenBefore = before;
  }
  sync(c);
  leave(c, response);
  const code = detail.error?.code;
  if (response.status === 410 && code === 'StaleComponentState') {
    c.ends++;
    if (!fire(root, 'tetra:component-before-remove', detail, true)) return 'gone';
    replaceWith(root);
    fire(document, 'tetra:component-stale', detail);
    return 'gone';
  }
  if (response.status === 409 && code) fire(root, code === 'StateConflict' ? 'pagestate:conflict' : 'pagestate:expired', detail);
  return 'show';
}

// leave goes where a redirect would have led that the browser cannot follow for the
// script: to another site, where it would take the tokens along, or to a fragment, which
// it keeps to itself. The server names the address in a header.
function leave(c, response) {
  const to = response.status === 204 && response.headers.get('Page-State-Location'), url = to && new URL(to, response.url || location);
  if (!url || !/^https?:$/.test(url.protocol)) return;
  c.ends++;
  const isHere = url.href.split('#')[0] === location.href.split('#')[0];
  if (!isHere || !url.hash) return location.assign(url);
  history.replaceState(history.state, '', url); // to assign it would load nothing
  location.reload();
}
