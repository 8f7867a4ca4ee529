package pagestate_test

// What the tests of several files share: an application with the middleware and
// what it logged, and a browser that visits it over real HTTP.

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/sessions"
	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// counter is the component of most tests.
type counter struct {
	pagestate.Component
	Count int
	Note  string
}

// app is a server with the middleware, and what it logged.
type app struct {
	*httptest.Server
	t   *testing.T
	mw  *pagestate.Middleware
	mux *http.ServeMux
	log *testkit.Log
}

// newApp serves the routes that a test adds to its mux. Options that a test
// leaves out are those of an ordinary application.
func newApp(t *testing.T, r *pagestate.Registry, o pagestate.Options) *app {
	t.Helper()
	a := &app{t: t, mux: http.NewServeMux(), log: new(testkit.Log)}
	if o.Secrets == nil {
		o.Secrets = [][]byte{testkit.NewSecret()}
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
	found("the id of a parcel", "page_state=")
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

// browser visits an app, which a test may exchange for another.
type browser struct {
	*testkit.Browser
	app *app
}

func (a *app) browser() *browser {
	b := &browser{app: a}
	b.Browser = testkit.NewBrowser(a.t, func() string { return b.app.URL })
	return b
}

// serve runs h for one request of b to path, and returns the response. It fails the
// test if h did not run, since what h checks was not checked then.
func (b *browser) serve(method, path, token string, h http.HandlerFunc) testkit.Answer {
	b.app.t.Helper()
	ran := false
	b.app.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		ran = true
		h(w, r)
	})
	r := b.Request(method, path, nil)
	if token != "" {
		r.Header.Set("Page-State", token)
	}
	answer := b.Send(r)
	testkit.Want(b.app.t, "the handler ran", ran, true)
	return answer
}

// writerState can be made impossible to seal.
type writerState struct {
	pagestate.Component
	Count int
	Text  string
	Any   any
	List  *writerList
	Coded writerCoded
}

type writerList struct{ Next *writerList }

// writerCoded is encoded by calling it.
type writerCoded struct{ encode func() error }

var errWriterCodec = errors.New("no code for this")

// writerApp is an app whose tokens are unbound, so that a test seals and opens
// them without a browser.
type writerApp struct {
	*app
	running sync.WaitGroup
}

func newWriterApp(t *testing.T, o pagestate.Options) *writerApp {
	t.Helper()
	r := pagestate.NewRegistry()
	pagestate.Register[writerState](r, "state")
	pagestate.RegisterCodec(r, "coded", pagestate.Codec[writerCoded]{
		Encode: func(c writerCoded) ([]byte, error) {
			if c.encode == nil {
				return nil, nil
			}
			return nil, c.encode()
		},
		Decode: func([]byte) (writerCoded, error) { return writerCoded{}, nil },
	})
	if o.Session == nil {
		o.Session = pagestate.Unbound()
	}
	a := &writerApp{app: newApp(t, r, o)}
	a.serve(a.mw.Handler(a.mux))
	return a
}

// serve lets another handler answer, which a test puts around the middleware.
func (a *writerApp) serve(h http.Handler) { a.start(h, (*httptest.Server).Start) }

func (a *writerApp) serveHTTP2(h http.Handler) {
	a.start(h, func(s *httptest.Server) {
		s.EnableHTTP2 = true
		s.StartTLS()
	})
}

func (a *writerApp) start(h http.Handler, start func(*httptest.Server)) {
	a.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.running.Add(1)
		defer a.running.Done()
		h.ServeHTTP(w, r)
	}))
	a.Server.Config.ErrorLog = log.New(io.Discard, "", 0)
	start(a.Server)
	a.t.Cleanup(a.Server.Close)
}

func (a *writerApp) browser() *browser {
	b := a.app.browser()
	b.Transport = a.Server.Client().Transport
	return b
}

// call returns after the handler has: what it logs last is there.
func (a *writerApp) call(path, token string) testkit.Answer {
	a.t.Helper()
	got := a.browser().Call("POST", path, token)
	a.running.Wait()
	return got
}

func (a *writerApp) seal(s *writerState) string {
	a.t.Helper()
	token, err := a.mw.Seal(pagestate.Owner{}, s)
	if err != nil {
		a.t.Fatal(err)
	}
	return token
}

// count is that of the state in the response header, -1 if there is none.
func (a *writerApp) count(got testkit.Answer) int {
	a.t.Helper()
	tokens := got.Header.Values("Page-State")
	if len(tokens) == 0 {
		return -1
	}
	testkit.Want(a.t, "headers", len(tokens), 1)
	state, err := a.mw.Open(a.t.Context(), pagestate.Owner{}, tokens[0])
	if err != nil {
		a.t.Fatal(err)
	}
	return state.(*writerState).Count
}

func (a *writerApp) revision(token string) uint64 {
	a.t.Helper()
	revision, err := pagestate.WriterRevision(a.mw, token)
	if err != nil {
		a.t.Fatal(err)
	}
	return revision
}

// logged counts the log's lines that have all the parts.
func (a *writerApp) logged(parts ...string) int {
	n := 0
	for line := range strings.Lines(a.log.String()) {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			n++
		}
	}
	return n
}

func writerHandle(h func(w http.ResponseWriter, r *http.Request, s *writerState)) http.Handler {
	return pagestate.Handle(func(w http.ResponseWriter, r *http.Request, s *writerState) error {
		h(w, r, s)
		return nil
	})
}

// writerFrom is writerHandle without the writer that Handle adds.
func writerFrom(h func(w http.ResponseWriter, r *http.Request, s *writerState)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := pagestate.From[writerState](r.Context())
		if err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		h(w, r, s)
	})
}

var writerKinds = map[string]func(func(http.ResponseWriter, *http.Request, *writerState)) http.Handler{
	"From":   writerFrom,
	"Handle": writerHandle,
}

// writerCommits are the ways in which a response begins.
var writerCommits = map[string]func(http.ResponseWriter, *http.Request){
	"Write":            func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("body")) },
	"Write nothing":    func(w http.ResponseWriter, _ *http.Request) { w.Write(nil) },
	"WriteHeader(200)": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) },
	"WriteHeader(204)": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
	"WriteHeader(404)": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
	"WriteString":      func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "body") },
	"Fprint":           func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "body") },
	"ReadFrom":         func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, writerSource("body")) },
	"long ReadFrom":    func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, writerSource(strings.Repeat("body", 1000))) },
	"WriterTo":         func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, strings.NewReader("body")) },
	"Flusher":          func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
	"FlushError":       func(w http.ResponseWriter, _ *http.Request) { http.NewResponseController(w).Flush() },
	"Error":            func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusTeapot) },
	"ServeContent": func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader("body"))
	},
}

// writerSource is a reader with no other way to copy it.
func writerSource(s string) io.Reader { return struct{ io.Reader }{strings.NewReader(s)} }

func writerRecover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				http.Error(w, "sorry", http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func writerNames(cookies []*http.Cookie) string {
	var names []string
	for _, c := range cookies {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// writerInsecure lets the cookie pass over plain HTTP.
func writerInsecure(s *sessions.CookieStore) *sessions.CookieStore {
	s.Options.Secure = false
	return s
}

// bindings are real ones, for plain HTTP.
func bindings(t *testing.T) map[string]pagestate.Binding {
	cookies := sessions.NewCookieStore(testkit.NewSecret())
	cookies.Options.Secure = false
	return map[string]pagestate.Binding{
		"Cookie":          pagestate.Cookie(http.Cookie{Name: "binding"}),
		"CookieStore":     pagestate.Session(cookies, "binding"),
		"FilesystemStore": pagestate.Session(sessions.NewFilesystemStore(t.TempDir(), testkit.NewSecret()), "binding"),
	}
}
