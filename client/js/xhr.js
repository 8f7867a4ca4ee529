import { HEADER } from './tokens.js';

// sendWith sends a request with an XMLHttpRequest that a library has opened. The answer
// has what exchange asks one of fetch for.
export const sendWith = (xhr, { headers, body }) => new Promise((resolve, reject) => {
  xhr.setRequestHeader(HEADER, headers.get(HEADER));
  const answer = { headers: { get: name => xhr.getResponseHeader(name) }, clone: () => ({ text: () => xhr.responseText }) };
  xhr.onload = () => resolve(Object.assign(answer, { status: xhr.status, url: xhr.responseURL }));
  xhr.addEventListener('loadend', reject); // without a load
  xhr.send(body);
});
