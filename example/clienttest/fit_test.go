package clienttest_test

// This file holds what the script does for pages that are built in other ways: with
// streams, with shadow roots, and with other libraries.

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
)

// streams lets the site answer with a first part, and with the rest when end is called.
func (s *Site) streams(name, contentType, first, rest string) (end func()) {
	ended := make(chan struct{})
	s.answer(name, func(w http.ResponseWriter, r *http.Request, c *Counter) error {
		c.Count++
		w.Header().Set("Content-Type", contentType)
		io.WriteString(w, first)
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
		<-ended
		_, err := io.WriteString(w, rest)
		return err
	})
	return sync.OnceFunc(func() { close(ended) })
}

// A stream does not hold back what is clicked while it lasts.
func TestStream(t *testing.T) {
	for name, test := range map[string]struct{ contentType, read string }{
		"events":   {"text/event-stream", `await response.clone().body.getReader().read()`},
		"by bits":  {"text/plain", `window.reader = response.body.getReader(); await reader.read()`},
		"by lines": {"application/x-ndjson", `window.lines = response.body.pipeThrough(new TextDecoderStream()); await lines.getReader().read()`},
	} {
		t.Run(name, func(t *testing.T) {
			page := openForm(t)
			end := page.site.streams("it", test.contentType, "data: 1\n\n", "data: 2\n\n")
			t.Cleanup(end)
			before := page.token("outer")
			page.Do(`(async () => {
				const { fetch } = await import('/pagestate.js');
				const response = await fetch(document.getElementById('outer'), '/say/it', { method: 'POST' });
				` + test.read + `;
			})()`)
			if page.token("outer") == before {
				t.Error("the token of the headers was not taken")
			}
			page.press("outer", "add")
			page.wantCount("outer", "2")
			end()
			page.press("outer", "add")
			page.wantCount("outer", "3")
			page.wantHappened()
		})
	}
}

// What reads an answer as a stream gets all of it.
func TestStreamIsWhole(t *testing.T) {
	page := openForm(t)
	page.site.says("it", http.StatusOK, "all of it", "Content-Type", "text/plain")
	page.Want(`(async () => {
		const { fetch } = await import('/pagestate.js');
		const response = await fetch(document.getElementById('outer'), '/say/it', { method: 'POST' });
		return await new Response(response.body).text() + (response.body === response.body) + response.bodyUsed;
	})()`, "all of ittruetrue")
}

// shadow puts an element with a shadow root into the page's root, with markup in it.
const shadow = `customElements.get('a-part') ?? customElements.define('a-part', class extends HTMLElement {
	connectedCallback() {
		this.attachShadow({ mode: 'open' }).innerHTML = MARKUP;
	}
});
document.getElementById('outer').insertAdjacentHTML('beforeend', '<a-part id="part"></a-part>');`

// What is in a shadow root acts for the root around its host.
func TestShadowRoot(t *testing.T) {
	page := openForm(t)
	page.Do("const MARKUP = `<p><button>Add</button></p>`;" + shadow)
	release := page.site.hold("/say/it")
	page.site.answer("it", func(w http.ResponseWriter, r *http.Request, c *Counter) error {
		c.Count++
		w.Header().Set("Content-Type", "text/html")
		_, err := io.WriteString(w, part(t, c, fmt.Sprintf(`<output>%d</output><a-part id="part"></a-part>`, c.Count)))
		return err
	})
	page.Do(`(async () => {
		const { fetch, show } = await import('/pagestate.js');
		document.addEventListener('click', async event => {
			const button = event.composedPath()[0];
			if (button.localName !== 'button') return;
			const response = await fetch(button, '/say/it', { method: 'POST' });
			await show(document.getElementById('outer'), response);
		});
	})()`)
	for range 3 {
		page.Click("#part")
	}
	page.site.waitSent(1)
	release()
	page.wantCount("outer", "3")
	page.site.wantSent(3)
	page.wantHappened()
}

func TestFormInShadowRoot(t *testing.T) {
	page := openForm(t)
	page.Do("const MARKUP = `<form method=post action=/add?driver=form data-page-state-form><button>Add</button></form>`;" + shadow)
	page.Do("window.stays = true")
	page.Click("#part")
	page.wantCount("outer", "1")
	page.Want("window.stays", "true")
	page.wantHappened()
}
