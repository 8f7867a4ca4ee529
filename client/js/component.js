import { all, byId, hasAttribute, idOf, isConnected, onPage } from './dom.js';
import { ROOT, fieldsOf, setToken, tokenFields, tokenOf } from './tokens.js';

// A component lives on while answers replace its root. This file follows it, and keeps
// its root and fields at its newest token.

const components = new WeakMap(); // by root
export const busy = new Set(); // components with requests under way or waiting

// present is the element, or what has its id now.
export const present = element => isConnected(element) ? element : byId(idOf(element));

// continues reports whether root is the element in which component c goes on after
// an answer has replaced its own: the one that has its token. While c's own answer
// is put into the page, the one that has its id will do; at other times that may be
// another component, which took c's place.
const continues = (c, root) => tokenOf(root) && [c.token, c.tokenBefore].includes(tokenOf(root)) ||
  c.answered && idOf(c.root) && idOf(c.root) === idOf(root);

export function componentOf(root) {
  let c = components.get(root) ?? [...busy].find(other => !isConnected(other.root) && continues(other, root));
  c ??= {
    token: tokenOf(root),
    tokenBefore: '', // what token replaced
    tail: null, // the end of the last turn, a promise
    ends: 0, // answers after which nothing that waits is sent
    answered: false, // whether its answer is being put into the page
  };
  c.root = root;
  components.set(root, c);
  return c;
}

// rootOf is the element that shows the component now, if there is one.
export function rootOf(c) {
  const root = isConnected(c.root) ? c.root : onPage(ROOT).find(other => continues(c, other));
  return root && componentOf(root) === c ? root : null;
}

// groupOf is the component, those inside if its root wants them sent, and those whose
// tokens are in the form.
export function groupOf(c, form) {
  const inside = hasAttribute(c.root, 'data-page-state-children') ? all(c.root, ROOT) : [];
  const values = form ? tokenFields(form).map(field => field.value) : [];
  return [...new Set([c, ...[...inside, ...onPage(ROOT).filter(root => values.includes(tokenOf(root)))].map(componentOf)])];
}

// sync brings root and fields to the component's token. One that is neither that
// nor the one before it came with an answer, and is newer.
export function sync(c) {
  const root = rootOf(c), fields = root ? fieldsOf(root) : [];
  if (!root) return;
  const found = [tokenOf(root), ...fields.map(field => field.value)];
  renew(c, found.find(token => token && token !== c.token && token !== c.tokenBefore) ?? c.token);
  setToken(root, c.token);
  for (const field of fields) field.value = c.token;
}

// renew also brings fields that hold the token in the forms of other components.
export function renew(c, token) {
  if (token === c.token) return;
  for (const field of onPage('input[type="hidden"]')) if (field.value === c.token) field.value = token;
  c.token = token;
}
