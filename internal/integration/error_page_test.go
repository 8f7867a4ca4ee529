package integration_test

// An error page with the look of the site, which docs/errors.md shows.

import (
	"html/template"
	"net/http"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

func showError(w http.ResponseWriter, r *http.Request, err error) {
	script := r.Header.Get("Page-State") != "" || r.Header.Get("HX-Request") != ""
	if script || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		pagestate.WriteError(w, r, err)
		return
	}
	status, code := pagestate.Status(err)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	failurePage.Execute(w, code)
}

var failurePage = template.Must(template.New("").Parse(`<!doctype html><title>Sorry</title>
<h1>{{if eq . "StaleComponentState"}}This no longer exists{{else}}This did not work{{end}}</h1>
{{if eq . "ExpiredState" "OutdatedState" "StateConflict" "InvalidState"}}<p>Go back and reload the page.</p>{{end}}
<p><a href="/">Start page</a></p>`))

func TestErrorPageOfOnesOwn(t *testing.T) {
	d := newDatabase(t)
	todo := d.newTodo(d.newList("home"), "tea")
	registry := pagestate.NewRegistry()
	registerTodos(registry, &d.store)
	pagestate.Register[Row](registry, "row")
	a := newApp(t, registry, pagestate.Options{ErrorHandler: showError})
	a.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		row := &Row{Todo: todo}
		if err := pagestate.Attach(r.Context(), row); err != nil {
			t.Error(err)
		}
		rowPage.Execute(w, row)
	})
	a.mux.Handle("POST /{$}", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, row *Row) error {
		row.Editing = true
		return pagestate.ErrConflict
	}))
	browser := a.browser()

	page := browser.Get("/")
	conflict := page.Form("/").Submit()
	testkit.Want(t, "status", conflict.StatusCode, 409)
	testkit.Want(t, "caching", conflict.Header.Get("Cache-Control"), "no-store")
	testkit.Want(t, "token", conflict.Header.Get("Page-State"), "")
	testkit.WantText(t, "a conflict", conflict.Text, "This did not work", "Go back and reload")

	wantRefused(t, call(page, "/"), pagestate.ErrConflict)
	d.delete(todo)
	gone := page.Form("/").Submit()
	testkit.Want(t, "status", gone.StatusCode, 410)
	testkit.WantText(t, "what is gone", gone.Text, "This no longer exists")
	testkit.WantText(t, "log", a.log.String(), "code=StateConflict", "code=StaleComponentState")
}

var rowPage = template.Must(template.New("").Parse(`<form method="post" action="/">{{.StateField}}<button>{{.Todo.Title}}</button></form>`))
