package main

import (
	"bytes"
	"crypto/rand"
	"html/template"
	"log"
	"net/http"

	"github.com/pagestate/pagestate"
)

type Counter struct {
	pagestate.Component
	Count int
}

var page = template.Must(template.New("").Parse(`<!doctype html><title>Counter</title>
<form method="post" action="/increment">{{.StateField}}<button>{{.Count}}</button></form>`))

func show(w http.ResponseWriter, r *http.Request) error {
	c, err := pagestate.FromOrAttach(r.Context(), &Counter{})
	if err != nil {
		return err
	}
	var body bytes.Buffer // so that a template that fails is an error, and not half a page
	if err := page.Execute(&body, c); err != nil {
		return err
	}
	_, err = body.WriteTo(w)
	return err
}

func increment(w http.ResponseWriter, r *http.Request, c *Counter) error {
	c.Count++
	return pagestate.Redirect(w, r, "/", c)
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
	http.Handle("GET /{$}", pagestate.HandlePage(show))
	http.Handle("POST /increment", pagestate.Handle(increment))
	log.Fatal(http.ListenAndServe("localhost:8080", mw.Handler(http.DefaultServeMux)))
}
