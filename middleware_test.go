package pagestate_test

// The path of a request, driven as a browser does: over real HTTP, with a
// cookie jar. The helpers here serve the other test files too.

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/sessions"
	"github.com/pagestate/pagestate"
)

// counter is the component of most tests.
type counter struct {
	pagestate.Component
	Count int
	Note  string
}

// newSecret returns a secret like those of production.
func newSecret() []byte {
	secret := make([]byte, 32)
	rand.Read(secret)
	return secret
}

// app is a server with the middleware, and what it logged.
type app struct {
	*httptest.Server
	t   *testing.T
	mw  *pagestate.Middleware
	mux *http.ServeMux
	log *logBuffer
}

// newApp serves the routes that a test adds to its mux. Options that a test
// leaves out are those of an ordinary application.
func newApp(t *testing.T, r *pagestate.Registry, o pagestate.Options) *app {
	t.Helper()
	a := &app{t: t, mux: http.NewServeMux(), log: new(logBuffer)}
	if o.Secrets == nil {
		o.Secrets = [][]byte{newSecret()}
	}
	if o.Session == nil {
		o.Session = pagestate.Cookie(http.Cookie{Name: "binding"})
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	mw, err := pagestate.New(r, o)
	if err != nil {
		t.Fatal(err)
	}
	a.mw = mw
	a.Server = httptest.NewServer(mw.Handler(a.mux))
	t.Cleanup(func() {
		a.Close()
		wantNothingSecret(t, a.log.String(), o.Secrets)
	})
	return a
}

// wantNothingSecret looks through all that was logged for the application of a
// test: for tokens, secrets, and what the tests call private in a state.
func wantNothingSecret(t *testing.T, log string, secrets [][]byte) {
	t.Helper()
	found := func(what, text string) {
		if i := strings.Index(log, text); i >= 0 {
			t.Errorf("%s is in the log: …%.200s", what, log[max(0, i-100):])
		}
	}
	found("a token", "gAAAAA") // how all begin, until the year 2106
	found("a private value", private)
	for _, secret := range secrets {
		found("a secret", string(secret))
		found("a secret", hex.EncodeToString(secret))
		found("a secret", base64.StdEncoding.EncodeToString(secret))
		found("a secret", strings.Trim(fmt.Sprint(secret), "[]"))
	}
}

// private stands for what only the visitor may see, in states and in keys of
// rows.
const private = "private-value"

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
	token := b.get("/").field()
	for _, path := range []string{"/late", "/left-out", "/large", "/unsafe", "/redirect", "/private/" + private + "?q=" + private} {
		b.call("POST", path, token)
	}
	other := a.browser()
	other.get("/")
	other.call("POST", "/late", token)
	b.call("POST", "/late", token[:len(token)-4])
	gone.Store(true)
	want(t, "stale", b.call("POST", "/late", token).StatusCode, 410)
	if lines := strings.Count(a.log.String(), "\n"); lines < 8 {
		t.Errorf("only %d lines were logged:\n%s", lines, a.log)
	}
}

// newCounterApp has a page that attaches a counter and a form that counts up.
func newCounterApp(t *testing.T, o pagestate.Options) *app {
	t.Helper()
	r := pagestate.NewRegistry()
	pagestate.Register[counter](r, "counter")
	a := newApp(t, r, o)
	a.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		c := &counter{}
		if err := pagestate.Attach(r.Context(), c); err != nil {
			a.t.Error(err)
		}
		showCounter(w, c)
	})
	a.mux.Handle("/increment", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
		c.Count++
		showCounter(w, c)
		return nil
	}))
	a.mux.Handle("/show", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
		fmt.Fprintf(w, "count=%d", c.Count)
		return nil
	}))
	return a
}

func showCounter(w http.ResponseWriter, c *counter) {
	field, err := c.StateField()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "count=%d %s", c.Count, field)
}

// browser keeps cookies. It does not follow redirects.
type browser struct {
	*http.Client
	app *app
}

func (a *app) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		a.t.Fatal(err)
	}
	return &browser{app: a, Client: &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answer is a response that was read.
type answer struct {
	*http.Response
	Body string
}

func (b *browser) send(req *http.Request) answer {
	b.app.t.Helper()
	res, err := b.Do(req)
	if err != nil {
		b.app.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.app.t.Fatal(err)
	}
	return answer{res, string(body)}
}

func (b *browser) request(method, path string, body io.Reader) *http.Request {
	req, err := http.NewRequest(method, b.app.URL+path, body)
	if err != nil {
		b.app.t.Fatal(err)
	}
	return req
}

func (b *browser) get(path string) answer {
	b.app.t.Helper()
	return b.send(b.request("GET", path, nil))
}

// post sends the token as a plain form does.
func (b *browser) post(path, token string) answer {
	b.app.t.Helper()
	req := b.request("POST", path, strings.NewReader(url.Values{"page_state": {token}}.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.send(req)
}

// call sends the token as a script does.
func (b *browser) call(method, path, token string) answer {
	b.app.t.Helper()
	req := b.request(method, path, nil)
	req.Header.Set("Page-State", token)
	return b.send(req)
}

var fieldPattern = regexp.MustCompile(`<input type="hidden" name="page_state" value="([A-Za-z0-9_=-]+)"[^>]*>`)

// field is the token in the page.
func (a answer) field() string {
	match := fieldPattern.FindStringSubmatch(a.Body)
	if match == nil {
		return ""
	}
	return match[1]
}

// token is the one in the header.
func (a answer) token() string { return a.Header.Get("Page-State") }

// logBuffer collects what the middleware logs.
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

func TestCounterLivesInThePage(t *testing.T) {
	b := newCounterApp(t, pagestate.Options{}).browser()
	page := b.get("/")
	want(t, "first page", strings.HasPrefix(page.Body, "count=0 "), true)
	for i := 1; i <= 3; i++ {
		page = b.post("/increment", page.field())
		want(t, "status", page.StatusCode, 200)
		want(t, "page", strings.HasPrefix(page.Body, fmt.Sprintf("count=%d ", i)), true)
		want(t, "token in the header", page.token(), page.field())
	}
}

func TestTwoTabsDoNotCollide(t *testing.T) {
	b := newCounterApp(t, pagestate.Options{}).browser()
	first, second := b.get("/"), b.get("/")
	first = b.post("/increment", first.field())
	first = b.post("/increment", first.field())
	second = b.post("/increment", second.field())
	want(t, "first tab", first.Body[:7], "count=2")
	want(t, "second tab", second.Body[:7], "count=1")
}

func TestUnchangedStateSendsNoToken(t *testing.T) {
	b := newCounterApp(t, pagestate.Options{}).browser()
	token := b.get("/").field()
	res := b.call("GET", "/show", token)
	want(t, "body", res.Body, "count=0")
	want(t, "token", res.token(), "")
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
	secret := newSecret()
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
		{"too many tokens", strings.Repeat(good+",", 33), "", 413, "source"},
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
			req := b.request("POST", "/", nil)
			if test.token != "" {
				req.Header.Set("Page-State", test.token)
			}
			if test.origin != "" {
				req.Header.Set("Origin", test.origin)
			}
			want(t, "status", b.send(req).StatusCode, test.status)
			want(t, "calls", h.take(), test.calls)
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
	token := b.get("/").field()
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
	var first answer
	for name, token := range bad {
		res := b.post("/any", token)
		want(t, name, res.StatusCode, 400)
		if first.Response == nil {
			first = res
		}
		want(t, name, res.Body, first.Body)
		want(t, name, strings.Join(headerLines(res.Header), ""), strings.Join(headerLines(first.Header), ""))
	}
	want(t, "code", first.Body, `{"success":false,"error":{"code":"InvalidState","message":"The page sent something that cannot be used here. Reload it and try again."}}`)
	want(t, "over the limit", b.post("/any", strings.Repeat("A", 2001)).StatusCode, 413)
	want(t, "calls of the handler", loaded.Load(), 0)
	want(t, "the untouched token", b.post("/any", token).StatusCode, 200)
	if log := a.log.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, token[:20]) {
		t.Error(log)
	}
}

// headerLines are the header fields but for the time.
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
	secret := newSecret()
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
	b.get("/")
	cookie := b.Jar.Cookies(b.request("GET", "/", nil).URL)[0].Value
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
			want(t, "status", b.call("POST", "/increment", token).StatusCode, test.status)
		})
	}
}

func TestUserOfOneBrowser(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{User: func(r *http.Request) string { return r.Header.Get("X-User") }})
	b := a.browser()
	as := func(user, method, path, token string) answer {
		req := b.request(method, path, nil)
		req.Header.Set("X-User", user)
		if token != "" {
			req.Header.Set("Page-State", token)
		}
		return b.send(req)
	}
	token := as("ada", "GET", "/", "").field()
	want(t, "ada", as("ada", "POST", "/increment", token).StatusCode, 200)
	want(t, "bob", as("bob", "POST", "/increment", token).StatusCode, 400)
	want(t, "nobody", as("", "POST", "/increment", token).StatusCode, 400)
}

func TestFirstSourceSuppliesAll(t *testing.T) {
	b := newCounterApp(t, pagestate.Options{}).browser()
	token := b.get("/").field()
	req := b.request("POST", "/increment", strings.NewReader("page_state=garbage"))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Page-State", token)
	want(t, "header before field", b.send(req).StatusCode, 200)
	req = b.request("POST", "/increment?page_state="+url.QueryEscape(token), nil)
	want(t, "token in the URL", b.send(req).StatusCode, 400)
}

// brokenSource is a source of the application's that fails.
type brokenSource struct{}

func (brokenSource) Tokens(*http.Request, int64) ([]string, error) {
	return nil, errors.New("the source is broken")
}

func TestFailingSource(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{Sources: []pagestate.Source{brokenSource{}}})
	want(t, "status", a.browser().get("/").StatusCode, 400)
}

func TestWithoutMiddleware(t *testing.T) {
	ctx := context.Background()
	c := &counter{}
	_, err := pagestate.From[counter](ctx)
	want(t, "From", err, pagestate.ErrNoMiddleware)
	want(t, "Attach", pagestate.Attach(ctx, c), pagestate.ErrNoMiddleware)
	_, err = pagestate.Token(ctx, c)
	want(t, "Token", err, pagestate.ErrNoMiddleware)
	_, err = pagestate.Field(ctx, c)
	want(t, "Field", err, pagestate.ErrNoMiddleware)
	res := httptest.NewRecorder()
	pagestate.Handle(func(http.ResponseWriter, *http.Request, *counter) error {
		t.Error("the handler ran")
		return nil
	}).ServeHTTP(res, httptest.NewRequest("POST", "/", nil))
	want(t, "Handle", res.Code, 500)
	want(t, "code", strings.Contains(res.Body.String(), `"StateError"`), true)
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
			req := b.request("POST", test.path, nil)
			if test.token != "" {
				req.Header.Set("Page-State", test.token)
			}
			res := b.send(req)
			want(t, "status", res.StatusCode, test.status)
			if !strings.Contains(res.Body, test.code) || strings.Contains(res.Body, "disk") || strings.Contains(res.Body, "half a page{") {
				t.Error(res.Body)
			}
			want(t, "sealed", res.token() != "", test.sealed)
		})
	}
	for _, cause := range []string{"the disk is full", "too late", "code=StaleComponentState", "level=ERROR"} {
		want(t, "log has "+cause, strings.Contains(a.log.String(), cause), true)
	}
}

func TestErrorHandler(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
		status, code := pagestate.Status(err)
		w.WriteHeader(status)
		io.WriteString(w, "own page for "+code)
	}})
	res := a.browser().call("POST", "/increment", "garbage")
	want(t, "status", res.StatusCode, 400)
	want(t, "body", res.Body, "own page for InvalidState")
	want(t, "cache", res.Header.Get("Cache-Control"), "no-store")
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
	page := b.call("POST", "/increment", "garbage")
	want(t, "from the fresh one", strings.HasPrefix(b.post("/increment", page.field()).Body, "count=8 "), true)
}

// The request outside keeps its context, and the one inside can have a finalizer,
// as any that a server makes.
func TestRequestsOutsideAndInside(t *testing.T) {
	for name, session := range map[string]pagestate.Binding{
		"Cookie":  pagestate.Cookie(http.Cookie{Name: "page"}),
		"Session": pagestate.Session(sessions.NewCookieStore(newSecret()), "page"),
	} {
		t.Run(name, func(t *testing.T) {
			mw, err := pagestate.New(pagestate.NewRegistry(), pagestate.Options{Secrets: [][]byte{newSecret()}, Session: session})
			if err != nil {
				t.Fatal(err)
			}
			outside := httptest.NewRequest("GET", "/", nil)
			ctx := outside.Context()
			h := mw.Handler(http.HandlerFunc(func(_ http.ResponseWriter, inside *http.Request) {
				want(t, "the same request", inside == outside, false)
				runtime.SetFinalizer(inside, func(*http.Request) {}) // which would end the program
			}))
			h.ServeHTTP(httptest.NewRecorder(), outside)
			want(t, "the same context", outside.Context() == ctx, true)
		})
	}
}

func TestLogNeverHoldsSecrets(t *testing.T) {
	secret := newSecret()
	a := newCounterApp(t, pagestate.Options{Secrets: [][]byte{secret}})
	b := a.browser()
	token := b.get("/").field()
	state, err := a.mw.Open(context.Background(), pagestate.Owner{Session: b.Jar.Cookies(b.request("GET", "/", nil).URL)[0].Value}, token)
	if err != nil {
		t.Fatal(err)
	}
	_ = state
	b.call("POST", "/increment", token)
	b.call("POST", "/increment", token[:len(token)-4])
	a.browser().call("POST", "/increment", token)
	log := a.log.String()
	want(t, "refusals logged", strings.Count(log, "code=InvalidState"), 2)
	for name, value := range map[string]string{"token": token[:30], "secret": fmt.Sprintf("%x", secret), "session": b.Jar.Cookies(b.request("GET", "/", nil).URL)[0].Value} {
		if strings.Contains(log, value) {
			t.Errorf("the log has the %s:\n%s", name, log)
		}
	}
}

func TestWriteErrorOfAHandlerIsLogged(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{})
	b := a.browser()
	token := b.get("/").field()
	res := b.serve("POST", "/gives-up", token, func(w http.ResponseWriter, r *http.Request) {
		c, err := pagestate.From[counter](r.Context())
		if err != nil {
			t.Error(err)
		}
		c.Count++
		pagestate.WriteError(w, r, fmt.Errorf("giving up: %w", pagestate.ErrForbidden))
	})
	want(t, "status", res.StatusCode, 403)
	want(t, "sealed", res.token(), "")
	want(t, "logged", strings.Count(a.log.String(), "giving up"), 1)
	b.call("POST", "/increment", "garbage")
	want(t, "logged by the middleware", strings.Count(a.log.String(), "code=InvalidState"), 1)
}

func TestTokenWithoutASession(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{})
	token := a.browser().get("/").field()
	want(t, "status", a.browser().call("POST", "/increment", token).StatusCode, 400)
	want(t, "cause in the log", strings.Contains(a.log.String(), "there is no session it could belong to"), true)
}
