import { errorIn, exchange, intend, sameOrigin, withoutTokens } from './core.js';
import { matches } from './dom.js';
import { holdBack } from './held.js';
import { nextTask } from './relay.js';
import { formOf } from './same.js';
import { FIELD, isToken, rootAround } from './tokens.js';
import { sendWith } from './xhr.js';

// Unpoly asks with an XMLHttpRequest, which its event names before it is sent.

addEventListener('up:request:load', ({ request }) => {
  const { origin, xhr, method, url } = request;
  if (!origin || !rootAround(origin)) return;
  request.url = String(withoutTokens(url)); // that of a GET has the fields already
  if (!sameOrigin(url)) return dropParams(request.params);
  const form = formOf(origin), intent = intend(form ?? origin, form && matches(origin, 'button,[type=submit],[type=image]') ? origin : null, method);
  const drop = () => request.abort({ reason: 'pagestate: there is nothing to show' });
  xhr.send = body => {
    const { onload } = xhr;
    delete xhr.send;
    const use = async (response, fate) => {
      if (fate !== 'show' || errorIn(xhr.responseText)?.code) return drop(); // Unpoly fails where the target is missing
      onload.call(xhr);
      for (let i = 0; i < 3; i++) await nextTask();
    };
    const isFields = typeof body === 'string' && !/^[[{]/.test(body);
    exchange(intent, '', { method, body: isFields ? new URLSearchParams(body) : body }, use, (_, init) => sendWith(xhr, init)).catch(drop);
  };
});

function dropParams(params) {
  for (const { name, value } of params.toArray()) if (name === FIELD || isToken(value)) params.delete(name);
}

// A part from Unpoly's cache has an old token.
for (const name of ['up:form:submit', 'up:link:follow']) {
  addEventListener(name, ({ renderOptions }) => {
    if (renderOptions?.origin && rootAround(renderOptions.origin)) renderOptions.cache = false;
  });
}

// It aborts the request before for the same target.
holdBack(form => window.up?.form?.isSubmittable?.(form));
