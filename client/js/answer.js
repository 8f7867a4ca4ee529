import { all, byId, htmlOf, idOf, replaceWith } from './dom.js';
import { intentOf, keeping, sameOrigin } from './core.js';
import { showPage } from './page.js';
import { ROOT, rootAround } from './tokens.js';

// What an answer puts into the page. Only HTML of the page's own origin is markup:
// its scripts do not run, its event handlers do unless the Content-Security-Policy
// forbids inline scripts.

const typeOf = response => response.headers.get('Content-Type') ?? '';
const dispositionOf = response => response.headers.get('Content-Disposition') ?? '';

export const isAttachment = response => /^\s*attachment\b/i.test(dispositionOf(response));
export const isHTML = response => /^\s*text\/html\s*(;|$)/i.test(typeOf(response)) && !isAttachment(response);

// decode reads an answer as a browser does that shows it: response.text() takes
// everything for UTF-8.
export async function decode(response) {
  const bytes = await response.clone().arrayBuffer(), start = new TextDecoder('latin1').decode(bytes.slice(0, 1024));
  const named = /charset\s*=\s*["']?([\w:.-]+)/i, [, charset] = named.exec(typeOf(response)) ?? /<meta[^>]+?charset\s*=\s*["']?([\w:.-]+)/i.exec(start) ?? [];
  try { return new TextDecoder(charset).decode(bytes); } catch { return new TextDecoder().decode(bytes); } // it may be unknown
}

// download hands an answer to the browser as a file.
export async function download(response) {
  const link = document.createElement('a');
  link.download = fileName(dispositionOf(response));
  link.href = URL.createObjectURL(await response.blob());
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function fileName(disposition) {
  const [, encoded] = /filename\*=UTF-8''([^;]+)/i.exec(disposition) ?? [], [, plain] = /filename="?([^";]+)/i.exec(disposition) ?? [];
  try { return encoded ? decodeURIComponent(encoded) : plain ?? ''; } catch { return plain ?? ''; }
}

// A page may ask for Trusted Types. This policy trusts what the server says is HTML,
// and is used for nothing else.
const policy = (() => {
  try { return window.trustedTypes?.createPolicy?.('pagestate', { createHTML: html => html }); } catch { return null; } // the page does not allow it
})();
const trust = html => policy?.createHTML(html) ?? html;

// isPage reports whether HTML is a whole page, behind comments.
function isPage(html) {
  for (html = html.trimStart(); /^<[!?](?!doctype)/i.test(html); html = html.trimStart()) {
    const end = html.startsWith('<!--') ? html.indexOf('-->') + 2 : html.indexOf('>');
    if (end < 2) return false;
    html = html.slice(end + 1);
  }
  return /^<(!doctype|html|head|body)\b/i.test(html);
}

const parsePage = html => htmlOf(new DOMParser().parseFromString(trust(html), 'text/html'));

// parsePart parses in a template, where rows, cells and options stay what they are.
function parsePart(html) {
  const template = document.createElement('template');
  template.innerHTML = trust(html);
  const part = template.content.ownerDocument.createElement('div'); // there, images are not loaded
  part.append(template.content);
  return part;
}

// parse also empties what is for browsers without scripts, whose fields would be sent.
function parse(html, whole) {
  const tree = whole ? parsePage(html) : parsePart(html);
  for (const unused of all(tree, 'noscript')) unused.textContent = '';
  return tree;
}

// put shows an answer to the root: the component in it, a page without the component,
// or anything else in the root's place. A redirect that led to a page leads there.
export function put(root, html, response, hash = '') {
  const whole = isPage(html), tree = parse(html, whole);
  if (whole && response.redirected) return showPage(tree, new URL(hash, response.url));
  const next = all(tree, idOf(root) ? `[id="${CSS.escape(idOf(root))}"]` : ROOT)[0];
  if (next) replaceWith(root, next);
  else if (whole) showPage(tree, null);
  else replaceWith(root, ...tree.childNodes);
}

// show puts an HTML answer in the place of the root around the element, as that of a
// form. It rejects what is not HTML of the page's own origin.
async function show(element, response) {
  const root = rootAround(element);
  if (!root || !isHTML(response) || response.url && !sameOrigin(response.url)) throw new TypeError('pagestate: there is no root, or no HTML of this origin');
  const html = await decode(response), place = idOf(root) ? () => byId(idOf(root)) : () => null;
  await keeping(root, intentOf(response), place, () => put(root, html, response));
}

export { show };
