import { around, attribute, closest, onPage, setAttribute } from './dom.js';

// Where tokens are in a page: on the roots of components, and in hidden fields.

export const ROOT = '[data-page-state]', HEADER = 'Page-State', FIELD = 'page_state';

export const tokenOf = root => attribute(root, 'data-page-state');
export const setToken = (root, token) => setAttribute(root, 'data-page-state', token);

export const rootAround = element => around(element, ROOT);

// isToken reports whether a text is a token: the server may give the field of tokens
// another name. They begin with Fernet's version and the year, and have 73 bytes at least.
export const isToken = text => typeof text === 'string' && /^gAAAA[\w-]{93,}={0,2}$/.test(text);

const holdsToken = field => field.name === FIELD || isToken(field.value);

// tokenFields is the fields of a form that hold tokens.
export const tokenFields = form => onPage('input[type="hidden"]').filter(field => field.form === form && holdsToken(field));

// fieldsOf is the fields that repeat the root's token. Others of the same form,
// further down, hold those of children.
export const fieldsOf = root => onPage('input[type="hidden"]').filter(field => holdsToken(field) && closest(field, ROOT) === root &&
  (!field.form || tokenFields(field.form)[0] === field));

// dropTokens takes the tokens out of the entries of a form or a URL. In a URL the
// name alone says nothing: page_state is there what a redirect has carried.
export function dropTokens(entries, named = FIELD) {
  for (const name of new Set(entries.keys())) {
    const values = entries.getAll(name), kept = values.filter(value => name !== named && !isToken(value));
    if (kept.length === values.length) continue;
    entries.delete(name);
    for (const value of kept) entries.append(name, value);
  }
  return entries;
}

// A browser that goes back may fill fields with what they held.
addEventListener('pageshow', event => {
  for (const root of event.persisted ? [] : onPage(ROOT))
    for (const field of fieldsOf(root)) field.value = tokenOf(root);
});
