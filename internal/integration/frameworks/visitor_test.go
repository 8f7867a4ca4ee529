// Package frameworks_test holds what pagestate does in ServeMux, chi, Gin and
// Echo: one table of behaviours, and what docs/adapters.md shows.
package frameworks_test

// This file is the visitor, and what it wants of an answer.

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// app is a server with the middleware, and what it logged.
type app struct {
	*httptest.Server
	t   *testing.T
	mw  *pagestate.Middleware
	log *testkit.Log
}

// What docs/adapters.md calls them.
var (
	authenticated = testkit.Authenticated
	withUser      = testkit.WithUser
	userOf        = testkit.UserOf
)

// browser is a testkit.Browser whose answers can fail the test.
type browser struct {
	*testkit.Browser
	t *testing.T
}

func (a *app) browser() *browser {
	return &browser{testkit.NewBrowser(a.t, func() string { return a.URL }), a.t}
}

// answer is a response that was read.
type answer struct {
	testkit.Answer
	t *testing.T
}

func (b *browser) send(method, path, body string, header http.Header) answer {
	b.t.Helper()
	r := b.Request(method, path, strings.NewReader(body))
	r.Header = header
	return answer{b.Send(r), b.t}
}

func (b *browser) get(path string) answer {
	b.t.Helper()
	return b.send("GET", path, "", http.Header{})
}

// call sends tokens as a script does.
func (b *browser) call(path string, tokens ...string) answer {
	b.t.Helper()
	return b.send("POST", path, "", http.Header{"Page-State": tokens})
}

// submit sends a token as a plain form does.
func (b *browser) submit(path, token string) answer {
	b.t.Helper()
	return b.send("POST", path, url.Values{"page_state": {token}}.Encode(), http.Header{
		"Accept":       {"text/html,application/xhtml+xml,*/*;q=0.8"},
		"Content-Type": {"application/x-www-form-urlencoded"},
	})
}

// want fails at once, since what follows a wrong answer says nothing.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.StatusCode != status {
		a.t.Fatalf("status %d, want %d: %s", a.StatusCode, status, a.Body)
	}
	return a
}

// wantRefused wants the JSON of an error.
func (a answer) wantRefused(status int, code string) answer {
	a.t.Helper()
	a.want(status)
	var refusal struct {
		Success *bool
		Error   struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(a.Body), &refusal); err != nil {
		a.t.Fatalf("%v: %s", err, a.Body)
	}
	testkit.Want(a.t, "media type", a.Header.Get("Content-Type"), "application/json")
	testkit.Want(a.t, "success", refusal.Success != nil && !*refusal.Success, true)
	testkit.Want(a.t, "code", refusal.Error.Code, code)
	testkit.Want(a.t, "a message", refusal.Error.Message != "", true)
	testkit.Want(a.t, "caching", a.Header.Get("Cache-Control"), "no-store")
	testkit.Want(a.t, "a token", a.Token(), "")
	return a
}

func (a answer) wantStale() answer {
	a.t.Helper()
	return a.wantRefused(http.StatusGone, "StaleComponentState")
}
