import { exchange, intend } from './core.js';

// Libraries that ask with fetch get the answer from here.

// relay sends a request of the element for a library. It gives the library the answer
// or, where there is nothing to show, what instead makes of it, if there is one. shown
// waits until the library has shown it.
export const relay = (element, button, url, init, instead, shown) => new Promise((resolve, reject) => {
  const use = (response, fate) => {
    const end = shown(response);
    resolve(fate === 'show' ? response : instead(response));
    return fate === 'show' ? end : null;
  };
  exchange(intend(element, button, init.method ?? 'GET'), url, init, use).catch(error => error.name === 'AbortError' ? resolve(instead()) : reject(error));
});

export const nextTask = () => new Promise(resolve => setTimeout(resolve));
