// The fields of a form hide its properties and methods: beside <input name="closest">,
// form.closest is that input. An image may hide those of the document. So this script
// takes them from the prototypes for whatever may be a form, or is the document.

const method = (type, name) => (node, ...args) => type.prototype[name].apply(node, args);

function getter(type, name) {
  const { get } = Object.getOwnPropertyDescriptor(type.prototype, name);
  return node => get.call(node);
}

export const closest = method(Element, 'closest'), matches = method(Element, 'matches');
export const attribute = method(Element, 'getAttribute'), hasAttribute = method(Element, 'hasAttribute');
export const setAttribute = method(Element, 'setAttribute'), removeAttribute = method(Element, 'removeAttribute');
export const replaceWith = method(Element, 'replaceWith');
export const contains = method(Node, 'contains'), isConnected = getter(Node, 'isConnected'), tagOf = getter(Element, 'localName');
export const parentOf = getter(Node, 'parentElement');

// shadowOf is the shadow root that a node is in, if it is an open one.
const getRootNode = method(Node, 'getRootNode');
export const shadowOf = node => { const tree = getRootNode(node); return tree instanceof ShadowRoot ? tree : null; };

// around is closest, beyond the shadow root that the element is in.
export const around = (element, selector) => closest(element, selector) ?? (shadowOf(element) && around(shadowOf(element).host, selector));

const querySelectorAll = method(Element, 'querySelectorAll');
export const all = (element, selector) => [...querySelectorAll(element, selector)];

const documentElement = getter(Document, 'documentElement'), activeElement = getter(Document, 'activeElement'), baseURI = getter(Node, 'baseURI');
export const htmlOf = documentElement; // of a document
export const onPage = selector => all(documentElement(document), selector);
export const focused = () => activeElement(document);
export const resolve = url => new URL(url, baseURI(document));

export const idOf = element => attribute(element, 'id') ?? '';
export const byId = id => onPage(`[id="${CSS.escape(id)}"]`)[0] ?? null;

const dispatchEvent = method(EventTarget, 'dispatchEvent');
export const fire = (target, name, detail, cancelable = false) =>
  dispatchEvent(target, new CustomEvent(name, { bubbles: true, cancelable, detail }));
