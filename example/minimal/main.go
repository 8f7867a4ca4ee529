package main

import (
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

func main() {
	secret := make([]byte, 32)
	rand.Read(secret) // ends with the program: see below how to keep one
	registry := pagestate.NewRegistry()
	pagestate.Register[Counter](registry, "counter")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{secret},
		Session: pagestate.Cookie(http.Cookie{Name: "pagestate"}),
	})
	if err != nil {
		log.Fatal(err)
	}

	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		c := &Counter{}
		if err := pagestate.Attach(r.Context(), c); err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		page.Execute(w, c)
	})
	http.Handle("POST /increment", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *Counter) error {
		c.Count++
		return page.Execute(w, c)
	}))
	log.Fatal(http.ListenAndServe("localhost:8080", mw.Handler(http.DefaultServeMux)))
}
