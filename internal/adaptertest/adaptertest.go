// Package adaptertest has what the tests of all adapters begin with, a component,
// a middleware for it, and a request from a browser to a server of its own, and the
// cases of both versions of Echo. What else a framework does is in its adapter's
// tests.
package adaptertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/pagestate/pagestate"
)

// Tally is the state of all tests. It cannot be sealed with a channel in it.
type Tally struct {
	Count int
	Gone  bool
	Any   any
}

// Load says so if what the tally refers to is gone.
func (t *Tally) Load(context.Context) error {
	if t.Gone {
		return pagestate.ErrStale
	}
	return nil
}

// The bodies of the errors that these tests meet.
const (
	GoneBody  = `{"success":false,"error":{"code":"StaleComponentState","message":"What you were working on no longer exists."}}`
	ErrorBody = `{"success":false,"error":{"code":"StateError","message":"Something went wrong. Try again later."}}`
)

// Site is what a test knows beside the framework.
type Site struct {
	Middleware *pagestate.Middleware
	Log        bytes.Buffer // of the middleware; read it between calls

	t *testing.T
}

// New returns a site whose middleware has the options o, except those that every
// test needs.
func New(t *testing.T, o pagestate.Options) *Site {
	t.Helper()
	s := &Site{t: t}
	registry := pagestate.NewRegistry()
	pagestate.Register[Tally](registry, "tally")
	o.Secrets = [][]byte{[]byte(rand.Text() + rand.Text())}
	o.Session = pagestate.Unbound()
	o.Logger = slog.New(slog.NewTextHandler(&s.Log, nil))
	mw, err := pagestate.New(registry, o)
	if err != nil {
		t.Fatal(err)
	}
	s.Middleware = mw
	return s
}

// Answer is a response that was read.
type Answer struct {
	*http.Response
	Body  string
	Count int // of the state in the header, 0 if there is none
}

// Call posts a state to h, on a server of its own, and returns when its handlers
// have.
func (s *Site) Call(h http.Handler, state Tally) Answer {
	s.t.Helper()
	token, err := s.Middleware.Seal(pagestate.Owner{}, &state)
	if err != nil {
		s.t.Fatal(err)
	}
	var running sync.WaitGroup
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		running.Add(1)
		defer running.Done()
		h.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	defer server.Close()
	r, err := http.NewRequest("POST", server.URL, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Page-State", token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	running.Wait()
	return Answer{res, string(body), s.count(res.Header.Get("Page-State"))}
}

func (s *Site) count(token string) int {
	s.t.Helper()
	if token == "" {
		return 0
	}
	state, err := s.Middleware.Open(s.t.Context(), pagestate.Owner{}, token)
	if err != nil {
		s.t.Fatal(err)
	}
	return state.(*Tally).Count
}
