// Package integration_test holds tests with what the core must not require: a
// real database, and the types of other modules. What the documents in docs/
// show is code of these tests.
package integration_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
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
	mux *http.ServeMux
	log *logBuffer
}

func newApp(t *testing.T, r *pagestate.Registry, o pagestate.Options) *app {
	t.Helper()
	a := &app{t: t, mux: http.NewServeMux(), log: new(logBuffer)}
	o.Secrets = [][]byte{newSecret()}
	o.Session = pagestate.Cookie(http.Cookie{Name: "binding"})
	o.User = func(r *http.Request) string { return userOf(r.Context()) }
	o.Logger = slog.New(slog.NewTextHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	mw, err := pagestate.New(r, o)
	if err != nil {
		t.Fatal(err)
	}
	a.mw = mw
	a.Server = httptest.NewServer(recovered(authenticated(mw.Handler(a.mux))))
	t.Cleanup(a.Close)
	return a
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

// page attaches a state for whoever asks, and answers with its token.
func page[T any](a *app, path string, state func(r *http.Request) *T) {
	a.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
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
	})
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

// browser keeps cookies, and is logged in as ada.
type browser struct {
	*http.Client
	app  *app
	user string
}

func (a *app) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		a.t.Fatal(err)
	}
	return &browser{&http.Client{Jar: jar}, a, "ada"}
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
	req.Header.Set("User", b.user)
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

// open returns the token of a page.
func (b *browser) open(path string) string {
	b.app.t.Helper()
	return b.get(path).want(http.StatusOK).Body
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

func (a answer) wantBody(body string) answer {
	a.t.Helper()
	a.want(http.StatusOK)
	want(a.t, "body", a.Body, body)
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

// titles is a list of todos as text.
func titles(todos []*Todo) string {
	all := make([]string, len(todos))
	for i, t := range todos {
		all[i] = t.Title
	}
	return fmt.Sprint(all)
}
