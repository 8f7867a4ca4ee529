package main

// This file holds the panel of package inspect in a page that makes it as hard as it
// can for it.

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/inspect"
)

// inPanel is a selection of elements of the panel, as an array.
func inPanel(selector string) string {
	return fmt.Sprintf(`[...(document.querySelector('[data-pagestate-inspect]')?.shadowRoot.querySelectorAll('%s') ?? [])]`, selector)
}

// texts are those of elements of the panel.
func texts(selector string) string { return inPanel(selector) + `.map(e => e.textContent)` }

type note struct {
	pagestate.Component
	Text string
	Same int
}

var notePage = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><title>Note</title>
<link rel="stylesheet" href="/page.css"><script type="module" src="/inspect"></script><script src="/page.js"></script>
<body><div data-page-state="{{.Foreign}}"></div>
<form>{{.Note.StateField}}{{.Note.StateField}}</form></body></html>`))

const (
	// A page whose own style would hide every element of the panel that it reaches.
	noteStyle = `div { display: none !important; position: static !important; opacity: 0 !important } button { display: none }`
	// reopen puts the answer of /change in the place of the whole body.
	noteScript = `async function change(text) {
		const token = document.querySelector('[name=other]').value;
		const response = await fetch('/change', { method: 'POST', body: new URLSearchParams({ other: token, text }) });
		const body = document.createElement('body'), form = body.appendChild(document.createElement('form')), field = form.appendChild(document.createElement('input'));
		Object.assign(field, { type: 'hidden', name: 'other', value: await response.text() });
		document.documentElement.replaceChild(body, document.body);
	}`
)

// noteSite is a page with a note, in a field that is not called page_state, beside a
// token of somebody else. It allows no inline style or script and no markup from
// strings, and the panel while allowed is set.
func noteSite(t *testing.T, allowed *atomic.Bool) string {
	registry := pagestate.NewRegistry()
	pagestate.Register[note](registry, "<b>note</b>")
	secret := make([]byte, 32)
	rand.Read(secret)
	m, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{secret},
		Session: pagestate.Cookie(http.Cookie{Name: "session"}),
		Sources: []pagestate.Source{pagestate.FormSource("other")},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/inspect", inspect.Handler(m, func(*http.Request) bool { return allowed.Load() }))
	mux.HandleFunc("GET /page.css", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/css")
		io.WriteString(w, noteStyle)
	})
	mux.HandleFunc("GET /page.js", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		io.WriteString(w, noteScript)
	})
	mux.Handle("GET /{$}", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
		n := &note{Text: r.FormValue("text"), Same: 1}
		if err := pagestate.Attach(r.Context(), n); err != nil {
			return err
		}
		foreign, err := m.Seal(pagestate.Owner{Session: "somebody else's"}, &note{Text: "private"})
		if err != nil {
			return err
		}
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'")
		var page bytes.Buffer
		if err := notePage.Execute(&page, map[string]any{"Note": n, "Foreign": foreign}); err != nil {
			return err
		}
		_, err = page.WriteTo(w)
		return err
	}))
	mux.Handle("POST /change", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, n *note) error {
		n.Text = r.PostFormValue("text")
		token, err := n.StateToken()
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "text/plain")
		_, err = io.WriteString(w, token)
		return err
	}))
	server := httptest.NewServer(m.Handler(mux))
	t.Cleanup(server.Close)
	return server.URL
}

func TestPanel(t *testing.T) {
	var allowed atomic.Bool
	allowed.Store(true)
	address := noteSite(t, &allowed)
	tab := chrome.Profile(t).Open(address + "/?text=" + strings.ReplaceAll("<img src=x onerror=document.title='run'>", " ", "%20"))

	// Two tokens, of which one stands there twice and one is another's. Nothing of them
	// becomes markup.
	tab.Wait(texts("#toggle") + `[0]?.startsWith('2 tokens')`)
	tab.Wait(texts(".name b") + `.join() === 'token,<b>note</b>'`)
	tab.Wait(texts("code") + `.sort().join() === '"<img src=x onerror=document.title=\'run\'>",1'`)
	tab.Wait(texts(".body") + `[0].includes('InvalidState')`)
	tab.Wait(texts(".facts") + `[0].includes('2 times')`)
	tab.Want(inPanel("img, script, b b")+".length", "0")
	tab.Want("document.title", "Note")

	// It is closed, and opens and closes with the keyboard.
	visible := inPanel("section") + `[0].checkVisibility()`
	tab.Want(inPanel("#toggle")+`[0].checkVisibility()`, "true")
	tab.Want(visible, "false")
	tab.Press("\t")
	tab.Wait(`document.activeElement.matches('[data-pagestate-inspect]')`)
	tab.Press("\r")
	tab.Want(visible, "true")
	tab.Want(inPanel("#toggle")+`[0].ariaExpanded`, "true")
	tab.Press("\t\t\r") // to the second token
	tab.Want(inPanel("details")+`.map(d => d.open).join()`, "false,true")

	// An answer that replaces the whole body: what changed in it is marked, what is gone
	// too, and what was open and had the focus still is and has it.
	tab.Do(`change('<i>new</i>')`)
	tab.Wait(texts("tr.changed") + `.join() === "Text11\"<img src=x onerror=document.title='run'>\"\"<i>new</i>\""`)
	tab.Want(texts(".badge")+`.join()`, "2 changed,changed,gone")
	tab.Want(inPanel("details")+`.map(d => d.open).join()`, "true,false")
	tab.Want(`document.querySelector('[data-pagestate-inspect]').shadowRoot.activeElement?.textContent.includes('note')`, "true")
	tab.Do(`change('<i>new</i>')`) // the same again, which is sealed again or not
	tab.Do(`change('newer')`)
	tab.Wait(texts("tr.changed") + `.join().endsWith('"newer"')`)
	tab.Want(inPanel("li.gone")+".length", "0")
	tab.Press("\x1b")
	tab.Want(visible, "false")
	tab.Want(`document.querySelector('[data-pagestate-inspect]').shadowRoot.activeElement?.id`, "toggle")

	// Whom allow refuses from now on sees sizes, and on the next page nothing.
	tab.Expect("status of 404")
	allowed.Store(false)
	tab.Do(`change('secret now')`)
	tab.Wait(texts("[role=status]") + `[0].includes('404')`)
	tab.Wait(texts(".body") + `[0] === 'What is in it is not known.'`)

	// With the next change the panel asks again for all that it could not show.
	allowed.Store(true)
	tab.Do(`document.body.append(Object.assign(document.createElement('input'), { type: 'hidden', value: 'gAAAAA1234' }))`)
	tab.Wait(texts("code") + `.includes('"secret now"')`)
	tab.Want(texts("[role=status]")+`.join()`, "")
	tab.Want(texts(".badge")+`.join()`, "1 changed,,new")

	allowed.Store(false)
	tab.Go(address)
	tab.Wait(`document.readyState === 'complete'`)
	tab.Want(inPanel("*")+".length", "0")
}
