// A report of a problem, in four steps, each a page with a URL of its own. It needs
// no JavaScript.
package main

import (
	"bytes"
	"crypto/rand"
	"html/template"
	"log"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/pagestate/pagestate"
)

// Report is what a visitor has said so far.
type Report struct {
	pagestate.Component
	Name    string
	Story   string
	Problem string `state:"-"` // what to correct on the page that is shown
}

const maxStory = 20_000

func main() {
	secret := make([]byte, 32)
	rand.Read(secret) // ends with the program: keep one in a file in production
	registry := pagestate.NewRegistry()
	pagestate.Register[Report](registry, "report")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{secret},
		Session: pagestate.Cookie(http.Cookie{Name: "report"}),
		Carrier: pagestate.NewCarrier(64 << 20), // cookies are too small for a long story
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("localhost:8080", mw.Handler(routes())))
}

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", page("who"))
	mux.Handle("POST /{$}", pagestate.Handle(who))
	mux.Handle("GET /story", page("story"))
	mux.Handle("POST /story", pagestate.Handle(story))
	mux.Handle("GET /check", page("check"))
	mux.Handle("POST /check", pagestate.Handle(check))
	mux.Handle("GET /done", page("done"))
	return mux
}

// page shows a step. Whoever comes to it by an old link begins at the first.
func page(name string) http.Handler {
	return pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
		report, err := pagestate.FromOrAttach(r.Context(), &Report{})
		if err != nil {
			return err
		}
		if name != "who" && report.Name == "" {
			return pagestate.Redirect(w, r, "/")
		}
		return show(w, http.StatusOK, name, report)
	})
}

func who(w http.ResponseWriter, r *http.Request, report *Report) error {
	report.Name = r.FormValue("name")
	if report.Name == "" {
		report.Problem = "Say who you are."
		return show(w, http.StatusUnprocessableEntity, "who", report)
	}
	return pagestate.Redirect(w, r, "/story", report)
}

func story(w http.ResponseWriter, r *http.Request, report *Report) error {
	report.Story = strings.ReplaceAll(r.FormValue("story"), "\r\n", "\n") // as maxlength counts
	switch n := utf8.RuneCountInString(report.Story); {
	case n == 0:
		report.Problem = "Say what happened."
	case n > maxStory:
		report.Problem = "Say it in fewer words."
	}
	if report.Problem != "" {
		return show(w, http.StatusUnprocessableEntity, "story", report)
	}
	return pagestate.Redirect(w, r, "/check", report)
}

func check(w http.ResponseWriter, r *http.Request, report *Report) error {
	log.Printf("%s reports a problem in %d bytes", report.Name, len(report.Story)) // or save it
	return pagestate.Redirect(w, r, "/done", report)
}

// show answers with a whole page, or with an error if its template fails.
func show(w http.ResponseWriter, status int, name string, report *Report) error {
	var body bytes.Buffer
	if err := pages.ExecuteTemplate(&body, name, report); err != nil {
		return err
	}
	w.WriteHeader(status)
	_, err := body.WriteTo(w)
	return err
}

var pages = template.Must(template.New("").Parse(`
{{define "head"}}<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Report a problem</title>
<style>
:root { color-scheme: light dark; font: 1.125rem/1.5 system-ui, sans-serif }
body { max-width: 34rem; margin: 10vh auto; padding: 0 1.5rem }
label { display: block; margin: 1rem 0 .25rem }
input, textarea { box-sizing: border-box; width: 100%; padding: .5rem; font: inherit }
button { margin-top: 1rem; padding: .5rem 1.5rem; font: inherit }
[role=alert] { color: light-dark(#a00, #f99) }
pre { white-space: pre-wrap; font: inherit }
</style>
{{with .Problem}}<p role="alert">{{.}}</p>{{end}}{{end}}

{{define "who"}}{{template "head" .}}<h1>Report a problem</h1>
<form method="post" action="/">{{.StateField}}
<label for="name">Your name</label><input id="name" name="name" value="{{.Name}}" autocomplete="name">
<button>Next</button></form>{{end}}

{{define "story"}}{{template "head" .}}<h1>What happened, {{.Name}}?</h1>
<form method="post" action="/story">{{.StateField}}
<label for="story">Your story</label><textarea id="story" name="story" rows="12" maxlength="20000">
{{.Story}}</textarea>
<button>Next</button></form>{{end}}

{{define "check"}}{{template "head" .}}<h1>Is this right?</h1>
<p>{{.Name}} says:</p><pre>{{.Story}}</pre>
<form method="post" action="/check">{{.StateField}}<button>Send it</button></form>{{end}}

{{define "done"}}{{template "head" .}}<h1>Thank you, {{.Name}}</h1>
<p>We got your report. <a href="/">Report another problem</a></p>{{end}}
`))
