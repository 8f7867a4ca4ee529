// pagestate.js is the page's side of pagestate. The root element of a component
// carries its token in data-page-state. This module sends it with the requests
// that start inside of the root, one at a time, puts the next one in its place,
// and takes a component whose data is gone off the page. It serves the fetch
// below, <form data-page-state-form>, htmx 2 and htmx 4.

const ROOT = '[data-page-state]', HEADER = 'Page-State', FIELD = 'page_state';
const ROOM = 3072; // bytes of tokens in a header, since proxies cap it
const components = new WeakMap(); // by root
const busy = new Set(); // those with requests under way or waiting

const abort = why => new DOMException('pagestate: ' + why, 'AbortError');
const ours = url => new URL(url.url ?? url, document.baseURI).origin === location.origin; // url may be a Request
const direct = (url, init) => window.fetch(url, init);
const fire = (target, name, detail, cancelable = false) =>
  target.dispatchEvent(new CustomEvent(name, { bubbles: true, cancelable, detail }));

const conflict = root => fire(root, 'pagestate:conflict', { component: root, error: null });

// A form's id may be hidden by a field of that name.
const idOf = element => element.getAttribute('id') ?? '';
const inPlaceOf = element => element.isConnected ? element : document.getElementById(idOf(element));

// An answer may replace the root. The component goes on in the one that has its
// token or, while its own answer is put into the page, its id. At other times
// that may be another component, which took its place.
const continues = (c, root) => root.dataset.pageState && [c.token, c.sent].includes(root.dataset.pageState) ||
  c.answered && idOf(c.root) && idOf(c.root) === idOf(root);

function componentOf(root) {
  let c = components.get(root) ?? [...busy].find(c => !c.root.isConnected && continues(c, root));
  c ??= { token: root.dataset.pageState, sent: '', last: null, gone: 0, answered: false };
  c.root = root;
  components.set(root, c);
  return c;
}

// rootOf is the element that shows the component now, if there is one.
function rootOf(c) {
  const root = c.root.isConnected ? c.root : [...document.querySelectorAll(ROOT)].find(root => continues(c, root));
  return root && componentOf(root) === c ? root : null;
}

// fieldsOf are the fields that repeat the root's token. Others of the same form,
// further down, hold those of children.
const fieldsOf = root => [...root.querySelectorAll(`input[name="${FIELD}"]`)].filter(field => field.closest(ROOT) === root &&
  (!field.form || [...document.getElementsByName(FIELD)].find(other => other.form === field.form) === field));

// sync brings root and fields to the component's token. One that is neither that
// nor the one before it came with an answer, and is newer.
function sync(c) {
  const root = rootOf(c), fields = root ? fieldsOf(root) : [];
  if (!root) return;
  const found = [root.dataset.pageState, ...fields.map(field => field.value)];
  c.token = found.find(token => token && token !== c.token && token !== c.sent) ?? c.token;
  root.dataset.pageState = c.token;
  for (const field of fields) field.value = c.token;
}

// withChildren are the component and, if its root wants them sent, those inside.
const withChildren = c => [c, ...(c.root.matches('[data-page-state-children]') ? [...c.root.querySelectorAll(ROOT)].map(componentOf) : [])];

// turn waits until the requests before this one are over. What it returns ends
// the turn. A request that was made before the component was gone is not sent.
async function turn(c, gone) {
  const held = withChildren(c), before = held.map(x => x.last), { promise, resolve } = Promise.withResolvers();
  for (const x of held) busy.add(Object.assign(x, { last: promise }));
  const end = () => {
    for (const x of held) {
      sync(x);
      x.answered = false;
      if (x.last === promise) busy.delete(x);
    }
    resolve();
  };
  await Promise.all(before);
  if (c.gone === gone && rootOf(c)) return end;
  end();
  throw abort('the component has left the page');
}

// load puts the tokens into the header or, if they are too long for one, into
// the form, ahead of its files. It returns them and the body.
function load(c, { method = 'GET', body }, headers) {
  const held = withChildren(c);
  held.forEach(sync);
  const tokens = held.map(x => x.token).filter(token => token), header = tokens.join(', ');
  const sent = held.map(x => [x, x.token]);
  if (header.length <= ROOM) {
    if (header) headers.set(HEADER, header);
    return [sent, body];
  }
  if (!changes(method) || !(body instanceof URLSearchParams || body instanceof FormData)) {
    fire(c.root, 'pagestate:toolarge', { component: c.root });
    throw abort('the tokens are too long for a header, and there is no form to put them in');
  }
  const form = new body.constructor();
  for (const token of tokens) form.append(FIELD, token);
  for (const [name, value] of body) if (name !== FIELD) form.append(name, value);
  return [sent, form];
}
const changes = method => !/^(get|head)$/i.test(method);

// take puts an answer's token into the page. Of the rest it returns whether to
// show it, and if not whether the component is gone or the answer late.
function take(c, sent, response, text) {
  const root = rootOf(c), token = response.headers.get(HEADER), detail = { component: root, error: errorIn(text) };
  for (const [x] of sent) sync(x);
  if (!root || sent.some(([x, token]) => x.token !== token)) {
    const now = inPlaceOf(c.root);
    if (now?.matches(ROOT)) conflict(now);
    return 'late';
  }
  for (const [x] of sent) x.answered = true;
  if (token) [c.sent, c.token] = [c.token, token];
  sync(c);
  const code = detail.error?.code;
  if (response.status === 410 && code === 'StaleComponentState') {
    c.gone++;
    if (!fire(root, 'tetra:component-before-remove', detail, true)) return 'gone';
    root.replaceWith();
    fire(document, 'tetra:component-stale', detail);
    return 'gone';
  }
  if (response.status === 409 && code) fire(root, code === 'StateConflict' ? 'pagestate:conflict' : 'pagestate:expired', detail);
  return 'show';
}

function errorIn(text) {
  try { return JSON.parse(text).error ?? null; } catch { return null; } // the application's own
}

// exchange is one request and its answer. Its turn is over when use is.
async function exchange(c, url, init, use, send = direct, gone = c.gone) {
  const end = await turn(c, gone);
  try {
    const headers = new Headers(init.headers), [sent, body] = load(c, init, headers);
    const response = await send(url, { ...init, headers, body });
    const text = [409, 410].includes(response.status) ? await response.clone().text() : '';
    await use(response, take(c, sent, response, text));
  } finally {
    end();
  }
}

// fetch is the window's, with the token of the component that element is in. It
// rejects with an AbortError if the component has left the page, and if the page
// has a newer token than the answer: then there is nothing to show.
export async function fetch(element, url, init = {}) {
  const root = element.closest(ROOT);
  if (!root || !ours(url)) return direct(url, init);
  if (url instanceof Request) init = { method: url.method, headers: url.headers, ...init };
  return new Promise((resolve, reject) => exchange(componentOf(root), url, init, async (response, fate) => {
    if (fate === 'late') throw abort('the page has moved on');
    resolve(response);
    await response.clone().blob().catch(() => {});
    await new Promise(resolve => setTimeout(resolve)); // it is shown before the next request is sent
  }).catch(reject));
}

// A form's answer is the component, a page with or without it, or a redirect. What
// goes wrong is told by pagestate:error.
addEventListener('submit', event => {
  const form = event.target, button = event.submitter, root = form.closest(ROOT);
  if (event.defaultPrevented || !root || !form.hasAttribute('data-page-state-form')) return;
  const said = name => button?.getAttribute('form' + name) ?? form.getAttribute(name) ?? '';
  const url = new URL(said('action') || location.href, document.baseURI), method = said('method').toUpperCase() || 'GET';
  if (method === 'DIALOG' || !['', '_self'].includes(said('target')) || !ours(url)) return;
  event.preventDefault();
  const data = new FormData(form, button);
  data.delete(FIELD); // the header has it, and a URL must not
  const fields = new URLSearchParams([...data].map(([name, value]) => [name, value.name ?? value]));
  if (!changes(method)) url.search = fields;
  const body = !changes(method) ? undefined : said('enctype') === 'multipart/form-data' ? data : fields;
  const c = componentOf(root), failed = detail => fire(rootOf(c) ?? document, 'pagestate:error', { component: rootOf(c), ...detail });
  exchange(c, url, { method, body }, async (response, fate) => {
    if (fate !== 'show') return;
    const text = await response.clone().text(), error = errorIn(text);
    if (response.redirected) location.assign(response.url);
    else if (response.ok && response.status !== 204 && rootOf(c)) show(rootOf(c), text);
    else if (!response.ok && !(response.status === 409 && error?.code)) failed({ error, response });
  }).catch(error => error.name === 'AbortError' || failed({ error }));
});

function show(root, text) {
  const page = new DOMParser().parseFromString(text, 'text/html'), focus = document.activeElement?.id;
  const next = idOf(root) ? page.getElementById(idOf(root)) : page.querySelector(ROOT);
  if (next) root.replaceWith(next);
  else if (!/^\s*<(!doctype|html)/i.test(text)) root.replaceWith(...page.body.childNodes);
  else [document.title, document.body] = [page.title, page.body]; // the component is not on it
  if (focus) document.getElementById(focus)?.focus();
}

// htmx keeps one of several clicks on an element, and loses those on an element
// that an answer has replaced. So requests that change something pass its queue
// by and wait here, unless the page says hx-sync or queue. A boosted link leads to
// another page, and does not depend on the component that it stands in.
const ALL = 'this:queue all'; // what the script sets itself
const queued = elt => elt.closest(`[hx-sync]:not([hx-sync="${ALL}"]),[data-hx-sync],[hx-sync\\:inherited],[data-hx-sync\\:inherited]`) ||
  elt.matches('[hx-trigger*="queue:"],[data-hx-trigger*="queue:"]');

// inPlace is what shows now what target showed before an answer replaced it. If
// nothing does, the page cannot show the answer.
function inPlace(c, root, target) {
  const now = target === root ? rootOf(c) : inPlaceOf(target);
  if (!now && rootOf(c)) conflict(rootOf(c));
  return now;
}

// htmx 2: its events on a replaced element reach nobody, so this hangs on the
// XMLHttpRequest.
addEventListener('htmx:configRequest', ({ detail }) => {
  if (detail.useUrlParams || detail.elt.closest(ROOT)) detail.formData.delete(FIELD);
});
addEventListener('htmx:beforeSend', ({ detail }) => {
  const { elt, xhr, requestConfig: { verb, headers }, pathInfo } = detail, root = elt.closest(ROOT);
  if (!root || !ours(pathInfo.finalRequestPath) || (detail.boosted && !changes(verb))) return;
  const c = componentOf(root), { onload, onabort } = xhr, internal = elt['htmx-internal-data'];
  if (internal && changes(verb) && !queued(elt)) internal.xhr = null;
  let waits = true;
  const drop = () => { // tidies up after the request, and shows nothing
    elt.addEventListener('htmx:beforeOnLoad', event => event.preventDefault(), { once: true });
    onload.call(xhr);
  };
  const use = async (response, fate) => {
    if (fate !== 'show' || !(detail.target = inPlace(c, root, detail.target))) return drop();
    onload.call(xhr);
    await swapped(c, detail.target);
  };
  const send = (url, init) => new Promise((resolve, reject) => {
    if (!waits) throw abort('aborted');
    waits = false;
    delete xhr.abort;
    if (init.headers.has(HEADER)) xhr.setRequestHeader(HEADER, init.headers.get(HEADER));
    const answer = { headers: { get: name => xhr.getResponseHeader(name) }, clone: () => ({ text: () => xhr.responseText }) };
    xhr.onload = () => resolve(Object.assign(answer, { status: xhr.status }));
    xhr.addEventListener('loadend', reject); // without a load
    xhr.send(init.body);
  });
  xhr.abort = () => { waits = false; onabort.call(xhr); }; // the browser's tells nobody before it is sent
  xhr.send = body => {
    delete xhr.send;
    if (typeof body === 'string' && headers['Content-Type'] === 'application/x-www-form-urlencoded') body = new URLSearchParams(body);
    exchange(c, '', { method: verb, body }, use, send).catch(() => waits && drop());
  };
});

// swapped waits for a swap with a delay or a view transition. What it is not done
// with has a class; that of a swap that failed stays, hence the 5 seconds.
async function swapped(c, target) {
  const classes = '.htmx-swapping, .htmx-settling', waits = elt => elt?.matches(classes) || elt?.querySelector(classes);
  for (let i = 0; i < 500 && (waits(target) || waits(rootOf(c))); i++) await new Promise(resolve => setTimeout(resolve, 10));
}

// Its history copies pages to sessionStorage. One with tokens is not to be found there.
addEventListener('htmx:historyItemCreated', ({ detail: { item } }) => {
  if (document.querySelector(ROOT)) item.url = item.content = '';
});

// htmx 4 fires HX-Trigger even for an answer that was cancelled, but not for one
// that never came.
const finished = new WeakMap();
addEventListener('htmx:config:request', ({ detail: { ctx } }) => {
  const elt = ctx.sourceElement, root = elt.closest(ROOT), { method, body } = ctx.request;
  if (root || /GET|DELETE/.test(method)) body?.delete?.(FIELD);
  if (!root || (elt._htmx?.boosted && !changes(method))) return;
  const c = componentOf(root), real = ctx.fetch ?? direct, gone = c.gone;
  if (changes(method) && !queued(elt)) elt.setAttribute('hx-sync', ALL);
  ctx.fetch = (url, init) => !ours(url) ? real(url, init) : new Promise((resolve, reject) => {
    const use = (response, fate) => new Promise(end => {
      finished.set(ctx, end);
      if (fate === 'show' && (ctx.target &&= inPlace(c, root, ctx.target)) !== null) resolve(response);
      else reject(abort('there is nothing to show'));
    });
    exchange(c, url, init, use, real, gone).catch(reject);
  });
});
addEventListener('htmx:finally:request', ({ detail: { ctx } }) => finished.get(ctx)?.());

// A browser that goes back may fill fields with what they held.
addEventListener('pageshow', event => {
  for (const root of event.persisted ? [] : document.querySelectorAll(ROOT))
    for (const field of fieldsOf(root)) field.value = root.dataset.pageState;
});
