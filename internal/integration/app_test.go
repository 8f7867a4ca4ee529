// Package integration_test holds tests with what the core must not require: a
// real database, and the types of other modules. What the documents in docs/
// show is code of these tests.
package integration_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

// app is a server with the middleware, and what it logged.
type app struct {
	*httptest.Server
	t   *testing.T
	mw  *pagestate.Middleware
	mux *http.ServeMux
	log *testkit.Log
}

func newApp(t *testing.T, r *pagestate.Registry, o pagestate.Options) *app {
	t.Helper()
	a := &app{t: t, mux: http.NewServeMux(), log: new(testkit.Log)}
	o.Secrets = [][]byte{testkit.NewSecret()}
	o.Session = pagestate.Cookie(http.Cookie{Name: "binding"})
	o.User = func(r *http.Request) string { return userOf(r.Context()) }
	o.Logger = slog.New(slog.NewTextHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	mw, err := pagestate.New(r, o)
	if err != nil {
		t.Fatal(err)
	}
	a.mw = mw
	a.Server = httptest.NewServer(testkit.Recovered(testkit.Authenticated(mw.Handler(a.mux))))
	t.Cleanup(a.Close)
	return a
}

// userOf is what the documents call it.
var userOf = testkit.UserOf

// page attaches a state for whoever asks, and answers with its token.
func page[T any](a *app, path string, state func(r *http.Request) *T) {
	a.mux.HandleFunc("GET "+path, attached(state))
}

func attached[T any](state func(r *http.Request) *T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := state(r)
		if err := pagestate.Attach(r.Context(), s); err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		token, err := pagestate.Token(r.Context(), s)
		if err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		io.WriteString(w, token)
	}
}

// action answers with what say makes of the state in the request's token.
func action[T any](a *app, path string, say func(r *http.Request, state *T) (string, error)) {
	a.mux.Handle("POST "+path, pagestate.Handle(func(w http.ResponseWriter, r *http.Request, state *T) error {
		text, err := say(r, state)
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, text)
		return err
	}))
}

// browser is one that is logged in as ada.
func (a *app) browser() *pagestatetest.Browser {
	b := pagestatetest.NewBrowser(a.t, a.Server)
	b.Header.Set("User", "ada")
	return b
}

// call has the script of a page post.
func call(p pagestatetest.Page, path string) pagestatetest.Page { return p.Call("POST", path, nil) }

// submit posts as a plain form does that is in no page.
func submit(t *testing.T, b *pagestatetest.Browser, path string, form url.Values) pagestatetest.Page {
	t.Helper()
	r, err := http.NewRequest("POST", path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.Page().Do(r)
}

// wantStatus fails at once, since what follows a wrong answer says nothing.
func wantStatus(t *testing.T, p pagestatetest.Page, status int) pagestatetest.Page {
	t.Helper()
	if p.StatusCode != status {
		t.Fatalf("status %d, want %d: %s", p.StatusCode, status, p.Text)
	}
	return p
}

func wantBody(t *testing.T, p pagestatetest.Page, body string) pagestatetest.Page {
	t.Helper()
	testkit.Want(t, "body", wantStatus(t, p, http.StatusOK).Text, body)
	return p
}

// wantRefused wants the JSON of an error, and no state.
func wantRefused(t *testing.T, p pagestatetest.Page, err error) {
	t.Helper()
	pagestatetest.Refused(t, p.Response, err)
	testkit.Want(t, "media type", p.Header.Get("Content-Type"), "application/json")
	testkit.Want(t, "caching", p.Header.Get("Cache-Control"), "no-store")
	testkit.Want(t, "a token", p.Header.Get("Page-State"), "")
}

// errOther is any error but those of pagestate.
var errOther = errors.New("the disk is full")

// titles is a list of todos as text.
func titles(todos []*Todo) string {
	all := make([]string, len(todos))
	for i, t := range todos {
		all[i] = t.Title
	}
	return fmt.Sprint(all)
}
