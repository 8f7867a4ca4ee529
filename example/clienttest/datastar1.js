// What Datastar 1.0 does that matters to the script, since npm has no release of it: it
// says in an event that bubbles which element asks, aborts the request that the element
// has under way, and takes HTML and events from the answer.
const underWay = new WeakMap();

async function ask(element, method, url) {
  const say = (type, detail) => (element.isConnected ? element : document).dispatchEvent(
    new CustomEvent('datastar-fetch', { bubbles: true, detail: { type, el: element, argsRaw: detail ?? {} } }));
  underWay.get(element)?.abort();
  const controller = new AbortController(), { signal } = controller;
  underWay.set(element, controller);
  say('started');
  try {
    const headers = { Accept: 'text/event-stream, text/html, application/json', 'Datastar-Request': true, 'Content-Type': 'application/json' };
    const response = await window.fetch(url, { method, headers, body: method === 'GET' ? undefined : '{}', signal });
    if (response.status >= 400) say('error', { status: String(response.status) });
    if (response.status !== 200) return;
    let html = '';
    const reader = response.body.getReader();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) html += new TextDecoder().decode(piece.value);
    show(html);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    say('finished');
  }
}

// A page takes the place of this one, and a script of the answer runs.
function show(html) {
  const [, script] = /<script data-effect.*?>(.*)<\/script>/.exec(html) ?? [];
  if (script) document.body.append(Object.assign(document.createElement('script'), { textContent: script }));
  else if (html.includes('</html>')) document.body.replaceWith(new DOMParser().parseFromString(html, 'text/html').body);
  else if (html) document.getElementById('outer').outerHTML = html.replaceAll(/^(event: .*|data: elements )/gm, '').trim();
}

document.addEventListener('click', ({ target }) => {
  for (const method of ['get', 'post']) if (target.dataset[method]) ask(target, method.toUpperCase(), target.dataset[method]);
});
