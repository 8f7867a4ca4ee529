// Package frameworks_test holds what pagestate does in ServeMux, chi, Gin and
// Echo: one table of behaviours, and what docs/adapters.md shows.
package frameworks_test

// This file is the visitor: a client that, unlike pagestatetest.Browser, follows
// no redirect and sends what it is told.

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/pagestate/pagestate"
)

// app is a server with the middleware, and what it logged.
type app struct {
	*httptest.Server
	t   *testing.T
	mw  *pagestate.Middleware
	log *logBuffer
}

func newSecret() []byte {
	secret := make([]byte, 32)
	rand.Read(secret)
	return secret
}

type userKey struct{}

// authenticated stands for a login: the visitor is who the request says.
func authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, r.Header.Get("User"))))
	})
}

func userOf(ctx context.Context) string {
	user, _ := ctx.Value(userKey{}).(string)
	return user
}

// recovered stands for an application's own recoverer.
func recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				w.WriteHeader(http.StatusTeapot)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// browser keeps cookies.
type browser struct {
	*http.Client
	app *app
}

func (a *app) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		a.t.Fatal(err)
	}
	return &browser{&http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, a}
}

// answer is a response that was read.
type answer struct {
	*http.Response
	t    *testing.T
	Body string
}

func (b *browser) send(method, path, body string, header http.Header) answer {
	t := b.app.t
	t.Helper()
	req, err := http.NewRequest(method, b.app.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	res, err := b.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res, t, string(text)}
}

func (b *browser) get(path string) answer {
	b.app.t.Helper()
	return b.send("GET", path, "", http.Header{})
}

// call sends tokens as a script does.
func (b *browser) call(path string, tokens ...string) answer {
	b.app.t.Helper()
	return b.send("POST", path, "", http.Header{"Page-State": tokens})
}

// submit sends a token as a plain form does.
func (b *browser) submit(path, token string) answer {
	b.app.t.Helper()
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
	want(a.t, "media type", a.Header.Get("Content-Type"), "application/json")
	want(a.t, "success", refusal.Success != nil && !*refusal.Success, true)
	want(a.t, "code", refusal.Error.Code, code)
	want(a.t, "a message", refusal.Error.Message != "", true)
	want(a.t, "caching", a.Header.Get("Cache-Control"), "no-store")
	want(a.t, "a token", a.token(), "")
	return a
}

func (a answer) wantStale() answer {
	a.t.Helper()
	return a.wantRefused(http.StatusGone, "StaleComponentState")
}

// token is the one in the header.
func (a answer) token() string { return a.Header.Get("Page-State") }

// logBuffer is safe for concurrent use.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// want fails unless got is want.
func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// wantText fails unless the text has each of the parts.
func wantText(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s has no %q: %s", what, part, text)
		}
	}
}
