package pagestate_test

// The path of a request, driven as a browser does: over real HTTP, with a
// cookie jar.

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/sessions"
	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// Whatever goes wrong with a state, its values stay out of the log.
func TestNothingPrivateIsLogged(t *testing.T) {
	type row struct{ Key string }
	type secretive struct {
		pagestate.Component
		Note   string
		Any    any
		Row    *row
		Filled string
	}
	var gone atomic.Bool
	r := pagestate.NewRegistry()
	pagestate.RegisterModel(r, "row", pagestate.Model[string, row]{
		Key: func(r *row) string { return r.Key },
		Fetch: func(_ context.Context, keys []string) ([]*row, error) {
			if gone.Load() {
				return nil, nil
			}
			return []*row{{keys[0]}}, nil
		},
	})
	pagestate.Register[secretive](r, "secretive", pagestate.LoadWith(func(_ context.Context, s *secretive) error {
		s.Filled = private
		return nil
	}))
	a := newApp(t, r, pagestate.Options{MaxTokenBytes: 4 << 10})
	a.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s := &secretive{Note: private, Any: []any{private}, Row: &row{private}}
		if err := pagestate.Attach(r.Context(), s); err != nil {
			t.Error(err)
		}
		field, _ := s.StateField()
		io.WriteString(w, string(field))
	})
	handle := func(path string, change func(w http.ResponseWriter, s *secretive) error) {
		a.mux.Handle(path, pagestate.Handle(func(w http.ResponseWriter, _ *http.Request, s *secretive) error { return change(w, s) }))
	}
	handle("/late", func(w http.ResponseWriter, s *secretive) error {
		io.WriteString(w, "begun")
		s.Note += private
		return nil
	})
	handle("/left-out", func(_ http.ResponseWriter, s *secretive) error { s.Filled += private; return nil })
	handle("/large", func(_ http.ResponseWriter, s *secretive) error { s.Note = strings.Repeat(private, 1000); return nil })
	handle("/unsafe", func(_ http.ResponseWriter, s *secretive) error { s.Any = struct{ A string }{private}; return nil })
	handle("/redirect", func(w http.ResponseWriter, s *secretive) error {
		s.Note += private
		w.WriteHeader(http.StatusSeeOther)
		return nil
	})
	handle("/private/{key}", func(http.ResponseWriter, *secretive) error { return pagestate.ErrForbidden })

	b := a.browser()
	token := b.Get("/").Field()
	for _, path := range []string{"/late", "/left-out", "/large", "/unsafe", "/redirect", "/private/" + private + "?q=" + private} {
		b.Call("POST", path, token)
	}
	other := a.browser()
	other.Get("/")
	other.Call("POST", "/late", token)
	b.Call("POST", "/late", token[:len(token)-4])
	gone.Store(true)
	testkit.Want(t, "stale", b.Call("POST", "/late", token).StatusCode, 410)
	if lines := strings.Count(a.log.String(), "\n"); lines < 8 {
		t.Errorf("only %d lines were logged:\n%s", lines, a.log)
	}
}

func TestCounterLivesInThePage(t *testing.T) {
	b := newCounterApp(t, pagestate.Options{}).browser()
	page := b.Get("/")
	testkit.Want(t, "first page", strings.HasPrefix(page.Body, "count=0 "), true)
	for i := 1; i <= 3; i++ {
		page = b.Post("/increment", page.Field())
		testkit.Want(t, "status", page.StatusCode, 200)
		testkit.Want(t, "page", strings.HasPrefix(page.Body, fmt.Sprintf("count=%d ", i)), true)
		testkit.Want(t, "token in the header", page.Token(), page.Field())
	}
}

func TestTwoTabsDoNotCollide(t *testing.T) {
	b := newCounterApp(t, pagestate.Options{}).browser()
	first, second := b.Get("/"), b.Get("/")
	first = b.Post("/increment", first.Field())
	first = b.Post("/increment", first.Field())
	second = b.Post("/increment", second.Field())
	testkit.Want(t, "first tab", first.Body[:7], "count=2")
	testkit.Want(t, "second tab", second.Body[:7], "count=1")
}

// hooks notes which code of the application ran for a request.
type hooks struct {
	mu    sync.Mutex
	calls []string
}

func (h *hooks) note(call string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.calls) == 0 || h.calls[len(h.calls)-1] != call {
		h.calls = append(h.calls, call)
	}
}

func (h *hooks) take() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	calls := strings.Join(h.calls, " ")
	h.calls = nil
	return calls
}

// hookedSource and hookedBinding are the real ones, with a note.
type hookedSource struct {
	pagestate.Source
	hooks *hooks
}

func (s hookedSource) Tokens(r *http.Request, limit int64) ([]string, error) {
	s.hooks.note("source")
	return s.Source.Tokens(r, limit)
}

type hookedBinding struct {
	pagestate.Binding
	hooks *hooks
}

func (b hookedBinding) Existing(r *http.Request) (string, error) {
	b.hooks.note("session")
	return b.Binding.Existing(r)
}

// ordered has something to do at every step.
type ordered struct {
	Mode  string
	Delim json.Delim
}

// TestOrderOfChecks is the security argument: what a request has to pass before
// which code of the application runs.
func TestOrderOfChecks(t *testing.T) {
	h := new(hooks)
	now := time.Unix(1_800_000_000, 0)
	secret := testkit.NewSecret()
	options := pagestate.Options{
		Secrets: [][]byte{secret},
		Session: hookedBinding{pagestate.Cookie(http.Cookie{Name: "binding"}), h},
		User:    func(*http.Request) string { h.note("user"); return "ada" },
		Sources: []pagestate.Source{hookedSource{pagestate.HeaderSource("Page-State"), h}},
		Clock:   func() time.Time { h.note("clock"); return now },
	}
	newRegistry := func(version int) *pagestate.Registry {
		r := pagestate.NewRegistry()
		pagestate.Register[ordered](r, "ordered", pagestate.Schema(version), pagestate.LoadWith(func(_ context.Context, o *ordered) error {
			h.note("load")
			if o.Mode == "stale" {
				return pagestate.ErrStale
			}
			return nil
		}))
		pagestate.RegisterCodec(r, "delim", pagestate.Codec[json.Delim]{
			Encode: func(json.Delim) ([]byte, error) { return nil, nil },
			Decode: func([]byte) (json.Delim, error) {
				h.note("decode")
				return 0, nil
			},
		})
		return r
	}
	a := newApp(t, newRegistry(1), options)
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { h.note("handler") })
	b := a.browser()
	session := "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	base, _ := url.Parse(a.URL)
	b.Jar.SetCookies(base, []*http.Cookie{{Name: "binding", Value: session}})
	seal := func(mw *pagestate.Middleware, mode string) string {
		token, err := mw.Seal(pagestate.Owner{Session: session, User: "ada"}, &ordered{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	older, err := pagestate.New(newRegistry(0), options)
	if err != nil {
		t.Fatal(err)
	}
	good, stale, outdated := seal(a.mw, ""), seal(a.mw, "stale"), seal(older, "")
	now = now.Add(-25 * time.Hour)
	expired := seal(a.mw, "")
	now = now.Add(25 * time.Hour)
	forged := good[:40] + flip(good[40]) + good[41:]

	tests := []struct {
		name   string
		token  string
		origin string
		status int
		calls  string
	}{
		{"no token", "", "", 200, "source handler"},
		{"from another site", good, "https://evil.example", 403, "source"},
		{"too many tokens", good + manyTokens(0, 128), "", 413, "source"},
		{"too large", strings.Repeat("A", 256<<10+4), "", 413, "source"},
		{"not a token", "not a token", "", 400, "source"},
		{"forged", forged, "", 400, "source session user"},
		{"expired", expired, "", 409, "source session user clock"},
		{"outdated", outdated, "", 409, "source session user clock"},
		{"stale", stale, "", 410, "source session user clock decode load"},
		{"good", good, "", 200, "source session user clock decode load handler"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h.take()
			req := b.Request("POST", "/", nil)
			if test.token != "" {
				req.Header.Set("Page-State", test.token)
			}
			if test.origin != "" {
				req.Header.Set("Origin", test.origin)
			}
			testkit.Want(t, "status", b.Send(req).StatusCode, test.status)
			testkit.Want(t, "calls", h.take(), test.calls)
		})
	}
}

// flip returns another character of base64url.
func flip(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func TestBadTokens(t *testing.T) {
	var loaded atomic.Int64
	a := newCounterApp(t, pagestate.Options{MaxTokenBytes: 2000, Sources: []pagestate.Source{pagestate.FormSource("page_state")}})
	a.mux.HandleFunc("/any", func(http.ResponseWriter, *http.Request) { loaded.Add(1) })
	b := a.browser()
	token := b.Get("/").Field()
	bad := map[string]string{
		"space before":       " " + token,
		"line break behind":  token + "\n",
		"garbage behind":     token + "!!x",
		"NUL inside":         token[:50] + "\x00" + token[50:],
		"padding behind":     token + "====",
		"cut":                token[:len(token)-4],
		"cut inside":         token[:len(token)-1],
		"twice":              token + token,
		"standard base64":    strings.NewReplacer("-", "+", "_", "/").Replace(token[:60]) + "+" + token[61:],
		"of a user's making": "gAAAAABhello" + strings.Repeat("A", 88),
		"text":               "hello",
		"at the size limit":  strings.Repeat("A", 2000),
	}
	for i := range len(token) {
		bad[fmt.Sprintf("character %d", i)] = token[:i] + flip(token[i]) + token[i+1:]
	}
	var first testkit.Answer
	for name, token := range bad {
		res := b.Post("/any", token)
		testkit.Want(t, name, res.StatusCode, 400)
		if first.Response == nil {
			first = res
		}
		testkit.Want(t, name, res.Body, first.Body)
		testkit.Want(t, name, strings.Join(headerLines(res.Header), ""), strings.Join(headerLines(first.Header), ""))
	}
	testkit.Want(t, "code", first.Body, `{"success":false,"error":{"code":"InvalidState","message":"The page sent something that cannot be used here. Reload it and try again."}}`)
	testkit.Want(t, "over the limit", b.Post("/any", strings.Repeat("A", 2001)).StatusCode, 413)
	testkit.Want(t, "calls of the handler", loaded.Load(), 0)
	testkit.Want(t, "the untouched token", b.Post("/any", token).StatusCode, 200)
	if log := a.log.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, token[:20]) {
		t.Error(log)
	}
}

// headerLines are the header fields, except the time.
func headerLines(h http.Header) (lines []string) {
	for name, values := range h {
		if name != "Date" {
			lines = append(lines, fmt.Sprintln(name, values))
		}
	}
	slices.Sort(lines)
	return lines
}

func TestForeignTokens(t *testing.T) {
	secret := testkit.NewSecret()
	user := func(r *http.Request) string { return r.Header.Get("X-User") }
	options := func(change func(*pagestate.Options)) pagestate.Options {
		o := pagestate.Options{Secrets: [][]byte{secret}, User: user}
		if change != nil {
			change(&o)
		}
		return o
	}
	a := newCounterApp(t, options(nil))
	b := a.browser()
	b.Get("/")
	cookie := b.Jar.Cookies(b.Request("GET", "/", nil).URL)[0].Value
	other := pagestate.NewRegistry()
	pagestate.Register[counter](other, "another name")
	tests := []struct {
		name   string
		r      *pagestate.Registry
		o      pagestate.Options
		owner  pagestate.Owner
		status int
	}{
		{"its own", nil, options(nil), pagestate.Owner{Session: cookie}, 200},
		{"another session's", nil, options(nil), pagestate.Owner{Session: "x" + cookie[1:]}, 400},
		{"a user's", nil, options(nil), pagestate.Owner{Session: cookie, User: "ada"}, 400},
		{"from before there were users", nil, options(func(o *pagestate.Options) { o.User = nil }), pagestate.Owner{Session: cookie}, 400},
		{"of another purpose", nil, options(func(o *pagestate.Options) { o.Purpose = "other" }), pagestate.Owner{Session: cookie}, 400},
		{"of another secret", nil, options(func(o *pagestate.Options) { o.Secrets = nil }), pagestate.Owner{Session: cookie}, 400},
		{"of another kind of binding", nil, options(func(o *pagestate.Options) {
			o.Session = pagestate.SessionFunc(func(*http.Request) string { return cookie })
		}), pagestate.Owner{Session: cookie}, 400},
		{"unbound", nil, options(func(o *pagestate.Options) { o.Session = pagestate.Unbound() }), pagestate.Owner{}, 400},
		{"of another component", other, options(nil), pagestate.Owner{Session: cookie}, 400},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := test.r
			if r == nil {
				r = pagestate.NewRegistry()
				pagestate.Register[counter](r, "counter")
			}
			token, err := newApp(t, r, test.o).mw.Seal(test.owner, &counter{})
			if err != nil {
				t.Fatal(err)
			}
			testkit.Want(t, "status", b.Call("POST", "/increment", token).StatusCode, test.status)
		})
	}
}

func TestFirstSourceSuppliesAll(t *testing.T) {
	b := newCounterApp(t, pagestate.Options{}).browser()
	token := b.Get("/").Field()
	req := b.Request("POST", "/increment", strings.NewReader("page_state=garbage"))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Page-State", token)
	testkit.Want(t, "header before field", b.Send(req).StatusCode, 200)
	req = b.Request("POST", "/increment?page_state="+url.QueryEscape(token), nil)
	testkit.Want(t, "token in the URL", b.Send(req).StatusCode, 400)
}

// brokenSource is a source of the application's that fails.
type brokenSource struct{}

func (brokenSource) Tokens(*http.Request, int64) ([]string, error) {
	return nil, errors.New("the source is broken")
}

func TestFailingSource(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{Sources: []pagestate.Source{brokenSource{}}})
	testkit.Want(t, "status", a.browser().Get("/").StatusCode, 400)
}

func TestHandle(t *testing.T) {
	type other struct{ X int }
	r := pagestate.NewRegistry()
	pagestate.Register[counter](r, "counter")
	pagestate.Register[other](r, "other")
	a := newApp(t, r, pagestate.Options{Session: pagestate.Unbound()})
	fails := func(err error) http.Handler {
		return pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
			c.Count++
			return err
		})
	}
	a.mux.Handle("/ok", fails(nil))
	a.mux.Handle("/gone", fails(fmt.Errorf("todo: %w", pagestate.ErrStale)))
	a.mux.Handle("/forbidden", fails(pagestate.ErrForbidden))
	a.mux.Handle("/norows", fails(sql.ErrNoRows))
	a.mux.Handle("/deadline", fails(context.DeadlineExceeded))
	a.mux.Handle("/broken", fails(errors.New("the disk is full")))
	a.mux.Handle("/late", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
		io.WriteString(w, "half a page")
		return errors.New("too late")
	}))
	buffered := http.TimeoutHandler(pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
		c.Count++
		io.WriteString(w, "half a page")
		return errors.New("too late")
	}), time.Minute, "")
	a.mux.Handle("/buffered", buffered)
	nested := http.TimeoutHandler(pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
		c.Count++
		io.WriteString(w, "half a page")
		fails(errors.New("too late")).ServeHTTP(w, r)
		return nil
	}), time.Minute, "")
	a.mux.Handle("/nested", nested)
	token, err := a.mw.Seal(pagestate.Owner{}, &counter{})
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := a.mw.Seal(pagestate.Owner{}, &other{})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path, token string
		status      int
		code        string // in the body
		sealed      bool
	}{
		{"/ok", token, 200, "", true},
		{"/ok", "", 400, "MissingState", false},
		{"/ok", wrong, 400, "InvalidState", false},
		{"/gone", token, 410, "StaleComponentState", false},
		{"/forbidden", token, 403, "ForbiddenState", false},
		{"/norows", token, 500, "StateError", false},
		{"/deadline", token, 503, "StateUnavailable", false},
		{"/broken", token, 500, "StateError", false},
		{"/late", token, 200, "half a page", false},
		{"/buffered", token, 200, "half a page", false},
		{"/nested", token, 200, "half a page", false},
	}
	for _, test := range tests {
		t.Run(test.path+" "+test.code, func(t *testing.T) {
			b := a.browser()
			req := b.Request("POST", test.path, nil)
			if test.token != "" {
				req.Header.Set("Page-State", test.token)
			}
			res := b.Send(req)
			testkit.Want(t, "status", res.StatusCode, test.status)
			if !strings.Contains(res.Body, test.code) || strings.Contains(res.Body, "disk") || strings.Contains(res.Body, "half a page{") {
				t.Error(res.Body)
			}
			testkit.Want(t, "sealed", res.Token() != "", test.sealed)
		})
	}
	for _, cause := range []string{"the disk is full", "too late", "code=StaleComponentState", "level=ERROR"} {
		testkit.Want(t, "log has "+cause, strings.Contains(a.log.String(), cause), true)
	}
}

func TestErrorHandler(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
		status, code := pagestate.Status(err)
		w.WriteHeader(status)
		io.WriteString(w, "own page for "+code)
	}})
	res := a.browser().Call("POST", "/increment", "garbage")
	testkit.Want(t, "status", res.StatusCode, 400)
	testkit.Want(t, "body", res.Body, "own page for InvalidState")
	testkit.Want(t, "cache", res.Header.Get("Cache-Control"), "no-store")
}

// An ErrorHandler may begin anew: it gets the request that the handler would have.
func TestErrorHandlerAttaches(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{ErrorHandler: func(w http.ResponseWriter, r *http.Request, _ error) {
		c := &counter{Count: 7}
		if err := pagestate.Attach(r.Context(), c); err != nil {
			t.Error(err)
			return
		}
		field, err := c.StateField()
		if err != nil {
			t.Error(err)
		}
		io.WriteString(w, string(field))
	}})
	b := a.browser()
	page := b.Call("POST", "/increment", "garbage")
	testkit.Want(t, "from the fresh one", strings.HasPrefix(b.Post("/increment", page.Field()).Body, "count=8 "), true)
}

// The request outside keeps its context, and the one inside can have a finalizer,
// as any that a server makes.
func TestRequestsOutsideAndInside(t *testing.T) {
	for name, session := range map[string]pagestate.Binding{
		"Cookie":  pagestate.Cookie(http.Cookie{Name: "page"}),
		"Session": pagestate.Session(sessions.NewCookieStore(testkit.NewSecret()), "page"),
	} {
		t.Run(name, func(t *testing.T) {
			mw, err := pagestate.New(pagestate.NewRegistry(), pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}, Session: session})
			if err != nil {
				t.Fatal(err)
			}
			outside := httptest.NewRequest("GET", "/", nil)
			ctx := outside.Context()
			h := mw.Handler(http.HandlerFunc(func(_ http.ResponseWriter, inside *http.Request) {
				testkit.Want(t, "the same request", inside == outside, false)
				runtime.SetFinalizer(inside, func(*http.Request) {}) // which would end the program
			}))
			h.ServeHTTP(httptest.NewRecorder(), outside)
			testkit.Want(t, "the same context", outside.Context() == ctx, true)
		})
	}
}

func TestLogNeverHoldsSecrets(t *testing.T) {
	secret := testkit.NewSecret()
	a := newCounterApp(t, pagestate.Options{Secrets: [][]byte{secret}})
	b := a.browser()
	token := b.Get("/").Field()
	state, err := a.mw.Open(context.Background(), pagestate.Owner{Session: b.Jar.Cookies(b.Request("GET", "/", nil).URL)[0].Value}, token)
	if err != nil {
		t.Fatal(err)
	}
	_ = state
	b.Call("POST", "/increment", token)
	b.Call("POST", "/increment", token[:len(token)-4])
	a.browser().Call("POST", "/increment", token)
	log := a.log.String()
	testkit.Want(t, "refusals logged", strings.Count(log, "code=InvalidState"), 2)
	for name, value := range map[string]string{"token": token[:30], "secret": fmt.Sprintf("%x", secret), "session": b.Jar.Cookies(b.Request("GET", "/", nil).URL)[0].Value} {
		if strings.Contains(log, value) {
			t.Errorf("the log has the %s:\n%s", name, log)
		}
	}
}

func TestWriterCopiesRequestBack(t *testing.T) {
	for name, value := range map[string]any{"returns": nil, "panics": "oh"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("TMPDIR", dir)
			a := newWriterApp(t, pagestate.Options{})
			a.mux.HandleFunc("POST /up/{name}", func(_ http.ResponseWriter, r *http.Request) {
				if err := r.ParseMultipartForm(1); err != nil {
					t.Error(err)
				}
				testkit.Want(t, "files during the request", writerFiles(t, dir), 1)
				if value != nil {
					panic(value)
				}
			})
			var pattern string
			a.serve(writerRecover(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() { pattern = r.Pattern }()
				a.mw.Handler(a.mux).ServeHTTP(w, r)
			})))
			body, contentType := writerUpload(t)
			b := a.browser()
			req := b.Request("POST", "/up/one", body)
			req.Header.Set("Content-Type", contentType)
			b.Send(req)
			a.Server.Close() // waits until net/http has cleaned up
			testkit.Want(t, "files after the request", writerFiles(t, dir), 0)
			testkit.Want(t, "pattern", pattern, "POST /up/{name}")
		})
	}
}

func writerFiles(t *testing.T, dir string) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "multipart-*"))
	if err != nil {
		t.Error(err)
	}
	return len(names)
}

// writerUpload is a file too large for what net/http keeps in memory.
func writerUpload(t *testing.T) (body io.Reader, contentType string) {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	file, err := form.CreateFormFile("file", "a.bin")
	if err != nil {
		t.Fatal(err)
	}
	file.Write(make([]byte, 11<<20))
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return &b, form.FormDataContentType()
}

func TestWriterTwice(t *testing.T) {
	a := newWriterApp(t, pagestate.Options{})
	a.mux.Handle("/", writerHandle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
		s.Count++
		fmt.Fprint(w, s.Count)
	}))
	a.serve(a.mw.Handler(a.mw.Handler(a.mw.Handler(a.mux))))
	got := a.call("/", a.seal(&writerState{Count: 1}))
	testkit.Want(t, "body", got.Body, "2")
	testkit.Want(t, "sealed", a.count(got), 2)
	testkit.Want(t, "revision", a.revision(got.Token()), 2)
	testkit.Want(t, "log", a.log.String(), "")
}

// The inner hides the outer, also where one of them is in there twice.
func TestWriterNested(t *testing.T) {
	outer := newWriterApp(t, pagestate.Options{Sources: []pagestate.Source{pagestate.HeaderSource("Outer-State")}})
	now := time.Now()
	inner := newWriterApp(t, pagestate.Options{Clock: func() time.Time { return now }})
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"outer inner":       func(h http.Handler) http.Handler { return outer.mw.Handler(inner.mw.Handler(h)) },
		"outer inner outer": func(h http.Handler) http.Handler { return outer.mw.Handler(inner.mw.Handler(outer.mw.Handler(h))) },
		"outer inner outer inner": func(h http.Handler) http.Handler {
			return outer.mw.Handler(inner.mw.Handler(outer.mw.Handler(inner.mw.Handler(h))))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inner.serve(wrap(writerHandle(func(w http.ResponseWriter, _ *http.Request, s *writerState) {
				fmt.Fprint(w, s.Count)
				s.Count = 99
			})))
			b := inner.browser()
			req := b.Request("POST", "/", nil)
			req.Header.Set("Page-State", inner.seal(&writerState{Count: 1}))
			req.Header.Set("Outer-State", outer.seal(&writerState{Count: 5}))
			got := b.Send(req)
			inner.running.Wait()
			testkit.Want(t, "the inner's state", got.Body, "1")
			testkit.Want(t, "warnings of the inner", inner.logged("too late"), 1)
			testkit.Want(t, "log of the outer", outer.log.String(), "")
			inner.log.Reset()
			now = now.Add(time.Minute) // so that the warning is logged again
		})
	}
}

// refusedState is small, so that many forgeries of it are soon made.
type refusedState struct {
	Any any
	Row *forgedRow
}

// TestBadRequestsLeaveNoMemory sends many requests that are refused, no two of them
// alike: nothing of them may stay. The least that can stay of one is 16 bytes, a
// string in a list. So even if that is of one kind alone, its 18,000 requests leave
// more than this test allows.
func TestBadRequestsLeaveNoMemory(t *testing.T) {
	n := 200_000
	if testing.Short() || underRace() {
		n = 50_000
	}
	r := pagestate.NewRegistry()
	pagestate.Register[refusedState](r, "refused")
	pagestate.RegisterModel(r, "row", pagestate.Model[int, forgedRow]{
		Key:   func(r *forgedRow) int { return r.ID },
		Fetch: func(context.Context, []int) ([]*forgedRow, error) { return nil, nil },
	})
	o := ordinary()
	o.Session = pagestate.Cookie(http.Cookie{Name: "binding"})
	o.MaxTokenBytes = 1000
	o.Guard = pagestate.NewGuard(100)
	o.Logger = slog.New(slog.DiscardHandler)
	mw, err := pagestate.New(r, o)
	if err != nil {
		t.Fatal(err)
	}
	handler := mw.Handler(pagestate.Handle(func(http.ResponseWriter, *http.Request, *refusedState) error { return nil }))
	const session = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	thief := newForger(t, o.Secrets[0], forgedCookie, session, forgedNoUsers, "")
	good := mustSeal(t, mw, pagestate.Owner{Session: session}, &refusedState{})
	seed := parseForged(t, thief.open(good))

	status := func(session, token, form string) int {
		r := httptest.NewRequest("POST", "/", strings.NewReader(form))
		r.Header.Set("Cookie", "binding="+session)
		r.Header.Set("Page-State", token)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code
	}
	send := func(token string) int { return status(session, token, "") }
	forged := func(place int, value *forgedValue) int {
		e := seed.clone()
		e.inner[place] = value
		return send(thief.seal(e.append(nil)))
	}
	payload := func(values ...*forgedValue) *forgedValue { return &forgedValue{kind: 'a', inner: values} }
	none := &forgedValue{leaf: unhex("c0")}
	kinds := []struct {
		name string
		code int
		send func(i int) int
	}{
		{"of no form", 400, func(i int) int { return send(fmt.Sprint("no token ", i)) }},
		{"not authentic", 400, func(i int) int { return send(fmt.Sprintf("gAAAAA%026d%s", i, good[32:])) }},
		{"of another session", 400, func(i int) int {
			return status(session[:13]+base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(fmt.Appendf(nil, "%08d", i)), good, "")
		}},
		{"in a form", 400, func(i int) int { return status(session, "", fmt.Sprintf("x%d=1&page_state=%d", i, i)) }},
		{"too many", 413, func(i int) int { return send(manyTokens(i, 129)) }},
		{"too large", 413, func(i int) int { return send(fmt.Sprintf("%01001d", i)) }},
		{"of an unknown component", 400, func(i int) int { return forged(envelopeComponent, forgedText(fmt.Sprint("component", i))) }},
		{"of another version", 409, func(i int) int { return forged(envelopeVersion, forgedNumber(i+1)) }},
		{"of other types", 409, func(i int) int {
			return forged(envelopeShapes, payload(&forgedValue{kind: 'b', inner: []*forgedValue{payload(forgedText(fmt.Sprint("s", i)))}}))
		}},
		{"malformed", 400, func(i int) int { return forged(envelopePayload, payload(forgedNumber(i), none)) }},
		{"of a row that is gone", 410, func(i int) int { return forged(envelopePayload, payload(none, forgedNumber(i+1))) }},
	}
	sendAll := func(from, to int) {
		for i := from; i < to; i++ {
			kind := kinds[i%len(kinds)]
			if code := kind.send(i); code != kind.code {
				t.Fatalf("%s: status %d, want %d", kind.name, code, kind.code)
			}
		}
	}
	sendAll(0, 1000)
	before, goroutines := sourceHeap(), runtime.NumGoroutine()
	sendAll(1000, n)
	kept := sourceHeap() - before
	t.Logf("%d requests leave %d bytes", n-1000, kept)
	if kept > 256<<10 {
		t.Errorf("%d requests leave %d bytes behind", n-1000, kept)
	}
	testkit.Want(t, "goroutines", runtime.NumGoroutine(), goroutines)
}

// underRace reports whether the race detector slows a test down.
func underRace() bool {
	info, _ := debug.ReadBuildInfo()
	return slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// manyTokens are n that differ, each behind a comma.
func manyTokens(i, n int) string {
	var b strings.Builder
	for j := range n {
		fmt.Fprintf(&b, ",%d-%d", i, j)
	}
	return b.String()
}

// TestLimitsOfRequests sends a token of the usual kind, in a request that is at
// a limit and in one beyond it.
func TestLimitsOfRequests(t *testing.T) {
	o := pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}, Session: pagestate.Unbound()}
	token := newCounterApp(t, o).browser().Get("/").Field()
	size := len(token)
	many := func(n int) string {
		return "page_state=" + token + strings.ReplaceAll(manyTokens(0, n-1), ",", "&page_state=") + "&"
	}
	long := func(n int) string {
		form := "page_state=" + token + "&x="
		return form + strings.Repeat("x", n-len(form))
	}
	tests := []struct {
		name           string
		maxTokenBytes  int
		maxTokens      int
		form           string
		status, counts int
	}{
		{"MaxTokenBytes", size, 0, many(1), 200, 1},
		{"over MaxTokenBytes", size - 1, 0, many(1), 413, 0},
		{"MaxTokens", 0, 3, many(3), 200, 1},
		{"over MaxTokens", 0, 3, many(4), 413, 0},
		{"MaxTokens that is not set", 0, 0, many(128), 200, 1},
		{"over MaxTokens that is not set", 0, 0, many(129), 413, 0},
		{"what is looked at of a body", size, 0, long(size + 1<<20), 200, 1},
		{"more of a body than is looked at", size, 0, long(size + 1<<20 + 1), 413, 0},
		{"one token again and again", 0, 3, strings.Repeat("page_state="+token+"&", 200), 200, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := o
			o.MaxTokenBytes, o.MaxTokens = test.maxTokenBytes, test.maxTokens
			b := newCounterApp(t, o).browser()
			req := b.Request("POST", "/show", strings.NewReader(test.form))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			got := b.Send(req)
			testkit.Want(t, "status", got.StatusCode, test.status)
			testkit.Want(t, "handlers", strings.Count(got.Body, "count="), test.counts)
		})
	}
}
