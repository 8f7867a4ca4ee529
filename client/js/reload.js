import { attribute, matches, onPage } from './dom.js';
import { direct, refusals } from './core.js';
import { keyOf } from './same.js';
import { FIELD, isToken } from './tokens.js';
import { FIELDS, canTake, read, theOnly, write } from './typed.js';

// What a page offers after an error that loading it again helps against. The draft
// that was refused is kept in the tab for a minute, unless somebody else may be there
// next, or it is a secret.

const DRAFT = 'pagestate:draft';
const SECRET = /^(off|one-time-code|cc-.*|.*-password)$/i; // of the attribute autocomplete

// keepsDraft reports whether the last answer was a refusal after which the page still
// is the same person's.
const keepsDraft = () => !refusals.ofOwner && ['StateConflict', 'ExpiredState', 'OutdatedState', 'MissingState'].includes(refusals.last);

const isSecret = field => matches(field, '[type=password]') || isToken(field.value) ||
  (attribute(field, 'autocomplete') ?? (field.form && attribute(field.form, 'autocomplete')) ?? '').trim().split(/\s+/).some(word => SECRET.test(word));

const isChanged = field => field.options ? [...field.options].some(option => option.selected !== option.defaultSelected) :
  field.value !== field.defaultValue || field.checked !== field.defaultChecked;

// address is the page's, less what a redirect has carried to it.
function address() {
  const url = new URL(location);
  if (url.searchParams.has(FIELD)) url.searchParams.delete(FIELD);
  url.hash = '';
  return url;
}

function keepDraft() {
  const fields = onPage(FIELDS).filter(field => canTake(field) && isChanged(field) && !isSecret(field));
  try {
    sessionStorage.setItem(DRAFT, JSON.stringify({ url: address().href, at: Date.now(), fields: fields.map(field => [keyOf(field), read(field)]) }));
  } catch { } // full, or not allowed
}

function takeDraft() {
  let draft = null;
  try {
    draft = JSON.parse(sessionStorage.getItem(DRAFT));
    sessionStorage.removeItem(DRAFT);
  } catch { }
  if (!draft || draft.url !== address().href || Date.now() - draft.at > 60_000) return;
  for (const [key, state] of draft.fields) {
    const field = theOnly(onPage(FIELDS).filter(field => canTake(field) && !isSecret(field) && keyOf(field) === key));
    if (field) write(field, state);
  }
}

takeDraft();

// reload loads the page again or, where its address takes nothing but POST, the one
// before it.
async function reload() {
  const asked = await direct(address(), { method: 'HEAD' }).catch(() => null);
  if (keepsDraft()) keepDraft();
  location.replace([404, 405, 501].includes(asked?.status) ? before() : address());
}

function before() {
  const url = new URL(document.referrer || '/', location);
  url.searchParams.delete(FIELD);
  return url.origin === location.origin && url.pathname !== location.pathname ? url : new URL('/', location);
}

export { reload };
