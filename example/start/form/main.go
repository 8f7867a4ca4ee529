// A reply to an invitation: a form that is shown again with its error.
package main

import (
	"bytes"
	"html/template"
	"log"
	"net/http"
	"os"

	"github.com/pagestate/pagestate"
)

// Reply is the state of the page: what a guest has said so far.
type Reply struct {
	pagestate.Component
	Name    string
	Guests  int
	Problem string `state:"-"` // for the page that is shown now, so it is not saved
}

func main() {
	secret, err := os.ReadFile("pagestate.key")
	if err != nil {
		log.Fatal(err)
	}
	handler, err := newHandler(secret)
	if err != nil {
		log.Fatal(err)
	}
	log.Print("http://localhost:8080")
	log.Fatal(http.ListenAndServe("localhost:8080", handler))
}

func newHandler(secret []byte) (http.Handler, error) {
	registry := pagestate.NewRegistry()
	pagestate.Register[Reply](registry, "reply")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{secret},
		Session: pagestate.Cookie(http.Cookie{Name: "reply"}),
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", pagestate.HandlePage(showForm))
	mux.Handle("POST /{$}", pagestate.Handle(takeForm))
	return mw.Handler(mux), nil
}

func showForm(w http.ResponseWriter, r *http.Request) error {
	reply, err := pagestate.FromOrAttach(r.Context(), &Reply{Guests: 1})
	if err != nil {
		return err
	}
	return show(w, http.StatusOK, "form", reply)
}

func takeForm(w http.ResponseWriter, r *http.Request, reply *Reply) error {
	reply.Name = r.FormValue("name")
	switch {
	case reply.Name == "":
		reply.Problem = "Enter your name."
	case len(reply.Name) > 100:
		reply.Problem = "Enter a shorter name."
	}
	if reply.Problem != "" {
		return show(w, http.StatusUnprocessableEntity, "form", reply)
	}
	return show(w, http.StatusOK, "form", reply)
}

// show writes a page when all of it is there, so that a template that fails is an
// error, and not half a page.
func show(w http.ResponseWriter, status int, page string, reply *Reply) error {
	var body bytes.Buffer
	if err := pages.ExecuteTemplate(&body, page, reply); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, err := body.WriteTo(w)
	return err
}

var pages = template.Must(template.New("").Parse(`
{{define "form"}}<!doctype html><title>Invitation</title>
<h1>Are you coming?</h1>
{{with .Problem}}<p role="alert">{{.}}</p>{{end}}
<form method="post" action="/">{{.StateField}}
	<label>Your name <input name="name" value="{{.Name}}"></label>
	<button>I am coming</button>
</form>{{end}}
`))
