// Command datastar is a counter with Datastar.
package main

import (
	"bytes"
	"crypto/rand"
	"html/template"
	"log"
	"net/http"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/client"
	"github.com/starfederation/datastar-go/datastar"
)

type Counter struct {
	pagestate.Component
	Count int
}

var pages = template.Must(template.New("").Parse(`{{define "page"}}<!doctype html>
<title>Counter</title>
<script type="module" src="https://cdn.jsdelivr.net/gh/starfederation/datastar@v1.0.3/bundles/datastar.js"></script>
<script type="module" src="/pagestate.js"></script>
{{template "counter" .}}{{end}}

{{define "counter"}}<section id="counter" data-page-state="{{.StateToken}}">
<output>{{.Count}}</output>
<button data-on:click="@post('/increment')">Add</button>
</section>{{end}}`))

func render(name string, c *Counter) (string, error) {
	var html bytes.Buffer
	err := pages.ExecuteTemplate(&html, name, c)
	return html.String(), err
}

func show(w http.ResponseWriter, r *http.Request) error {
	c := &Counter{}
	if err := pagestate.Attach(r.Context(), c); err != nil {
		return err
	}
	html, err := render("page", c)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err = w.Write([]byte(html))
	return err
}

// increment changes the state before NewSSE, which sends the headers and with them
// the token.
func increment(w http.ResponseWriter, r *http.Request, c *Counter) error {
	c.Count++
	html, err := render("counter", c)
	if err != nil {
		return err
	}
	return datastar.NewSSE(w, r).PatchElements(html)
}

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", pagestate.HandlePage(show))
	mux.Handle("POST /increment", pagestate.Handle(increment))
	mux.Handle("GET /pagestate.js", client.Handler())
	return mux
}

func main() {
	secret := make([]byte, 32)
	rand.Read(secret) // ends with the program
	registry := pagestate.NewRegistry()
	pagestate.Register[Counter](registry, "counter")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{secret},
		Session: pagestate.Cookie(http.Cookie{Name: "pagestate"}),
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("localhost:8080", mw.Handler(routes())))
}
