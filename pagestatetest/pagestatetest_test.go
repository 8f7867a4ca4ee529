package pagestatetest_test

// Requests with a state, and what their responses have. The helpers here serve
// the other test files too.

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/gorilla/sessions"
	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

type counter struct {
	pagestate.Component
	Count int
	Note  string
}

// row is a component of which a page has several.
type row struct{ Name string }

// greedy has a field that its load sets.
type greedy struct {
	Word   string
	Loaded string
}

// wave cannot be JSON.
type wave struct{ Z complex128 }

// app has handlers for counters.
type app struct {
	mw      *pagestate.Middleware
	handler http.Handler
}

func newApp(t testing.TB, o pagestate.Options) *app {
	t.Helper()
	registry := pagestate.NewRegistry()
	pagestate.Register[counter](registry, "counter")
	pagestate.Register[row](registry, "row")
	pagestate.Register[wave](registry, "wave")
	pagestate.Register[greedy](registry, "greedy", pagestate.LoadWith(func(ctx context.Context, g *greedy) error {
		if g.Word == "" {
			return pagestate.ErrStale
		}
		g.Loaded = fmt.Sprint(g.Word, " for ", ctx.Value(userKey{}))
		return ctx.Err()
	}))
	secret := make([]byte, 32)
	rand.Read(secret)
	o.Secrets = [][]byte{secret}
	o.Logger = slog.New(slog.DiscardHandler)
	if o.Session == nil {
		o.Session = pagestate.Cookie(http.Cookie{Name: "binding"})
	}
	mw, err := pagestate.New(registry, o)
	if err != nil {
		t.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		c := &counter{}
		if err := pagestate.Attach(r.Context(), c); err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		showCounter(w, c)
	})
	mux.HandleFunc("GET /rows", func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"tea", "milk"} {
			token, err := attach(r.Context(), &row{name})
			if err != nil {
				pagestate.WriteError(w, r, err)
				return
			}
			fmt.Fprintf(w, "<li data-page-state=%q>%s</li>\n", token, name)
		}
	})
	handle(mux, "/increment", func(w http.ResponseWriter, _ *http.Request, c *counter) error {
		c.Count++
		return showCounter(w, c)
	})
	handle(mux, "/increment-quietly", func(w http.ResponseWriter, _ *http.Request, c *counter) error {
		c.Count++
		_, err := fmt.Fprint(w, "{}")
		return err
	})
	handle(mux, "/show", func(w http.ResponseWriter, _ *http.Request, c *counter) error { return showCounter(w, c) })
	handle(mux, "/look", func(w http.ResponseWriter, _ *http.Request, c *counter) error {
		_, err := fmt.Fprint(w, c.Count)
		return err
	})
	handle(mux, "/swap", func(w http.ResponseWriter, r *http.Request, c *counter) error {
		token, err := attach(r.Context(), &row{"new"})
		fmt.Fprint(w, token)
		return err
	})
	handle(mux, "/fail", func(_ http.ResponseWriter, r *http.Request, _ *counter) error {
		return failures[r.URL.Query().Get("with")]
	})
	handle(mux, "/greedy", func(w http.ResponseWriter, _ *http.Request, g *greedy) error {
		g.Word += "!"
		_, err := fmt.Fprint(w, g.Loaded)
		return err
	})
	handle(mux, "/among", func(w http.ResponseWriter, r *http.Request, acting *row) error {
		own, err := pagestate.Token(r.Context(), acting)
		if err != nil {
			return err
		}
		other, err := attach(r.Context(), &row{"milk"})
		fmt.Fprintln(w, other, own)
		return err
	})
	handle(mux, "/wave", func(_ http.ResponseWriter, _ *http.Request, v *wave) error {
		v.Z *= 2
		return nil
	})
	handle(mux, "/rename", func(w http.ResponseWriter, r *http.Request, row *row) error {
		row.Name = r.FormValue("name")
		return nil
	})
	return &app{mw, mw.Handler(mux)}
}

func handle[T any](mux *http.ServeMux, path string, h func(http.ResponseWriter, *http.Request, *T) error) {
	mux.Handle(path, pagestate.Handle(h))
}

func attach[T any](ctx context.Context, state *T) (token string, err error) {
	if err := pagestate.Attach(ctx, state); err != nil {
		return "", err
	}
	return pagestate.Token(ctx, state)
}

// showCounter has the token in an attribute and in a field.
func showCounter(w io.Writer, c *counter) error {
	token, err := c.StateToken()
	if err != nil {
		return err
	}
	field, err := c.StateField()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, `<form method="post" action="/increment" data-page-state=%q>%s<button>%d</button></form>`, token, field, c.Count)
	return err
}

// failures are what a handler returns, by their code.
var failures = func() map[string]error {
	all := make(map[string]error)
	for _, err := range []error{
		pagestate.ErrStale, pagestate.ErrExpired, pagestate.ErrOutdated, pagestate.ErrConflict, pagestate.ErrInvalid,
		pagestate.ErrMissing, pagestate.ErrCrossOrigin, pagestate.ErrForbidden, pagestate.ErrTooLarge,
		pagestate.ErrUnavailable, errors.New("the disk is full"),
	} {
		_, code := pagestate.Status(err)
		all[code] = err
	}
	return all
}()

func (a *app) serve(r *http.Request) *http.Response {
	rec := httptest.NewRecorder()
	a.handler.ServeHTTP(rec, r)
	return rec.Result()
}

type userKey struct{}

func withUser(r *http.Request, user string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), userKey{}, user))
}

// failing is a test that notes how it fails.
type failing struct {
	testing.TB
	output []string
}

func (f *failing) Helper() {}

func (f *failing) Errorf(format string, args ...any) {
	f.output = append(f.output, fmt.Sprintf(format, args...))
}

func (f *failing) Fatal(args ...any) {
	f.output = append(f.output, fmt.Sprint(args...))
	runtime.Goexit()
}

func (f *failing) Fatalf(format string, args ...any) { f.Fatal(fmt.Sprintf(format, args...)) }

// outcome returns what a test fails with, "" if it passes.
func outcome(t *testing.T, test func(t testing.TB)) string {
	f := &failing{TB: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		test(f)
	}()
	<-ended
	return strings.Join(f.output, "\n")
}

// wantOutcome wants each of the parts in what a test fails with.
func wantOutcome(t *testing.T, test func(t testing.TB), parts ...string) {
	t.Helper()
	got := outcome(t, test)
	for _, part := range append(parts, "pagestatetest: ") {
		if !strings.Contains(got, part) {
			t.Errorf("failed with %q, want %q in it", got, part)
		}
	}
	if strings.Contains(got, "gAAAAA") {
		t.Errorf("there is a token in %q", got)
	}
}

// bindings are those of the package, and one of an application's own.
func bindings(t *testing.T) map[string]pagestate.Binding {
	return map[string]pagestate.Binding{
		"Cookie":            pagestate.Cookie(http.Cookie{Name: "binding", Secure: true}),
		"Session, cookies":  pagestate.Session(sessions.NewCookieStore(make([]byte, 32)), "binding"),
		"Session, files":    pagestate.Session(sessions.NewFilesystemStore(t.TempDir(), make([]byte, 32)), "binding"),
		"Unbound":           pagestate.Unbound(),
		"one of one's own":  struct{ pagestate.Binding }{pagestate.Cookie(http.Cookie{Name: "binding"})},
		"SessionFunc, user": pagestate.SessionFunc(func(r *http.Request) string { return r.Header.Get("X-Session") }),
	}
}

func TestAddState(t *testing.T) {
	for name, binding := range bindings(t) {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, pagestate.Options{Session: binding})
			r := httptest.NewRequest("POST", "/increment", nil)
			r.Header.Set("X-Session", "one")
			r.AddCookie(&http.Cookie{Name: "other", Value: "kept"})
			ctx := r.Context()
			pagestatetest.AddState(t, a.mw, r, &counter{Count: 5})
			testkit.Want(t, "the context is left alone", r.Context(), ctx)
			res := a.serve(r)
			testkit.Want(t, "status", res.StatusCode, 200)
			testkit.Want(t, "count", pagestatetest.State[counter](t, a.mw, r, res).Count, 6)
			if c, err := r.Cookie("other"); err != nil || c.Value != "kept" {
				t.Error("the cookie of another is gone")
			}
		})
	}
}

func TestStateOfARedirect(t *testing.T) {
	for name, binding := range bindings(t) {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, pagestate.Options{Session: binding})
			handler := a.mw.Handler(pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
				c.Count++
				return pagestate.Redirect(w, r, "/", c)
			}))
			r := httptest.NewRequest("POST", "/increment", nil)
			r.Header.Set("X-Session", "one")
			pagestatetest.AddState(t, a.mw, r, &counter{Count: 5})
			rec := httptest.NewRecorder()
			handler.ServeHTTP(rec, r)
			testkit.Want(t, "status", rec.Code, 303)
			testkit.Want(t, "count", pagestatetest.State[counter](t, a.mw, r, rec.Result()).Count, 6)
			wantOutcome(t, func(t testing.TB) { pagestatetest.Unchanged(t, a.mw, r, rec.Result()) }, "compare what State returns")
		})
	}
}

func TestNewRequest(t *testing.T) {
	a := newApp(t, pagestate.Options{})
	r := pagestatetest.NewRequest(t, a.mw, "PUT", "/increment?x=y", strings.NewReader("body"), counter{Count: 1})
	body, _ := io.ReadAll(r.Body)
	testkit.Want(t, "request", fmt.Sprint(r.Method, r.URL, string(body)), "PUT/increment?x=ybody")
	testkit.Want(t, "count", pagestatetest.State[counter](t, a.mw, r, a.serve(r)).Count, 2)
}

func TestRequestGoesOverHTTP(t *testing.T) {
	for name, binding := range bindings(t) {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, pagestate.Options{Session: binding})
			server := httptest.NewServer(a.handler)
			defer server.Close()
			r, err := http.NewRequest("POST", server.URL+"/increment", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Session", "one")
			pagestatetest.AddState(t, a.mw, r, &counter{Count: 5})
			res, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			testkit.Want(t, "count", pagestatetest.State[counter](t, a.mw, r, res).Count, 6)
		})
	}
}

// TestSessionStays: whoever has a session keeps it.
func TestSessionStays(t *testing.T) {
	for name, binding := range bindings(t) {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, pagestate.Options{Session: binding})
			r := httptest.NewRequest("POST", "/increment", nil)
			r.Header.Set("X-Session", "one")
			first := pagestatetest.AddState(t, a.mw, r, &counter{Count: 5})
			cookies := r.Header.Get("Cookie")
			second := pagestatetest.AddState(t, a.mw, r, &row{"tea"})
			testkit.Want(t, "cookies", r.Header.Get("Cookie"), cookies)
			testkit.Want(t, "tokens", fmt.Sprint(r.Header.Values("Page-State")), fmt.Sprint([]string{first, second}))
			testkit.Want(t, "the first acts", pagestatetest.State[counter](t, a.mw, r, a.serve(r)).Count, 6)
		})
	}
}

// TestUnusableSession: as in a browser, the new session's cookie takes the place
// of one that is no session.
func TestUnusableSession(t *testing.T) {
	for name, binding := range bindings(t) {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, pagestate.Options{Session: binding})
			r := httptest.NewRequest("POST", "/increment", nil)
			r.Header.Set("X-Session", "one")
			r.AddCookie(&http.Cookie{Name: "binding", Value: "old"})
			pagestatetest.AddState(t, a.mw, r, &counter{Count: 5})
			testkit.Want(t, "count", pagestatetest.State[counter](t, a.mw, r, a.serve(r)).Count, 6)
		})
	}
}

func TestRequestOfAUser(t *testing.T) {
	byHeader := func(r *http.Request) string { return r.Header.Get("X-User") }
	byContext := func(r *http.Request) string { user, _ := r.Context().Value(userKey{}).(string); return user }
	for name, user := range map[string]func(*http.Request) string{"by header": byHeader, "by context": byContext} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, pagestate.Options{User: user})
			r := withUser(httptest.NewRequest("POST", "/increment", nil), "ada")
			r.Header.Set("X-User", "ada")
			pagestatetest.AddState(t, a.mw, r, &counter{Count: 5})
			testkit.Want(t, "count", pagestatetest.State[counter](t, a.mw, r, a.serve(r)).Count, 6)

			asBob := withUser(r, "bob")
			asBob.Header.Set("X-User", "bob")
			pagestatetest.Refused(t, a.serve(asBob), pagestate.ErrInvalid)
		})
	}
}

// TestTokenElsewhere: where no source looks at the header, the test puts the
// token where one does.
func TestTokenElsewhere(t *testing.T) {
	a := newApp(t, pagestate.Options{Sources: []pagestate.Source{pagestate.JSONSource("state")}})
	r := httptest.NewRequest("POST", "/increment-quietly", nil)
	token := pagestatetest.AddState(t, a.mw, r, &counter{Count: 5})
	res := a.serve(r)
	pagestatetest.Refused(t, res, pagestate.ErrMissing)
	wantOutcome(t, func(t testing.TB) { pagestatetest.State[counter](t, a.mw, r, res) },
		"400 MissingState", "where Options.Sources may not look")

	r.Header.Set("Content-Type", "application/json")
	r.Body = io.NopCloser(strings.NewReader(`{"state":"` + token + `"}`))
	testkit.Want(t, "count", pagestatetest.State[counter](t, a.mw, r, a.serve(r)).Count, 6)
}

// brokenStore fails as a database does that does not answer.
type brokenStore struct{ sessions.Store }

func (brokenStore) Get(*http.Request, string) (*sessions.Session, error) {
	return nil, errors.New("the store does not answer")
}

func TestRequestThatCannotBeMade(t *testing.T) {
	noSession := pagestate.SessionFunc(func(*http.Request) string { return "" })
	broken := pagestate.Session(brokenStore{}, "binding")
	tests := []struct {
		name    string
		binding pagestate.Binding
		state   any
		want    string
	}{
		{"no session", noSession, &counter{}, "start one before"},
		{"a broken store", broken, &counter{}, "the store does not answer"},
		{"no state", pagestate.Unbound(), nil, "needs a state"},
		{"no component", pagestate.Unbound(), &struct{ X int }{}, "not a registered component"},
		{"a nil pointer", pagestate.Unbound(), (*counter)(nil), "give a pointer to the state"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := newApp(t, pagestate.Options{Session: test.binding})
			wantOutcome(t, func(t testing.TB) {
				pagestatetest.NewRequest(t, a.mw, "POST", "/increment", nil, test.state)
			}, test.want)
		})
	}
}
