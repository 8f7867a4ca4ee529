package pagestate_test

// When and how a state is sealed into a response: over a real server, since
// what leaves and when is up to net/http.

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/sessions"

	"github.com/pagestate/pagestate"
)

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
func (a *writerApp) call(path, token string) answer {
	a.t.Helper()
	got := a.browser().call("POST", path, token)
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
func (a *writerApp) count(got answer) int {
	a.t.Helper()
	tokens := got.Header.Values("Page-State")
	if len(tokens) == 0 {
		return -1
	}
	want(a.t, "headers", len(tokens), 1)
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

// writerTakeovers begin a response that net/http does not end, HTTP/1 only.
var writerTakeovers = map[string]func(http.ResponseWriter, *http.Request){
	"Hijacker": func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		writerTakeOver(w, conn, err)
	},
	"ResponseController.Hijack": func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		writerTakeOver(w, conn, err)
	},
	"WriteHeader(101)": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "test")
		w.WriteHeader(http.StatusSwitchingProtocols)
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close()
		}
	},
}

func writerTakeOver(w http.ResponseWriter, conn net.Conn, err error) {
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n")
	w.Header().Write(conn)
	fmt.Fprint(conn, "\r\n")
}

// writerSource is a reader with no other way to copy it.
func writerSource(s string) io.Reader { return struct{ io.Reader }{strings.NewReader(s)} }

func TestWriterSealsOnce(t *testing.T) {
	both := maps.Clone(writerCommits)
	maps.Copy(both, writerTakeovers)
	for _, c := range []struct {
		name    string
		proto   int
		commits map[string]func(http.ResponseWriter, *http.Request)
		serve   func(*writerApp, http.Handler)
	}{
		{"HTTP 1", 1, both, (*writerApp).serve},
		{"HTTP 1, wrapped", 1, both, func(a *writerApp, h http.Handler) { a.serve(writerWrapped(h)) }},
		{"HTTP 2", 2, writerCommits, (*writerApp).serveHTTP2},
	} {
		for name, commit := range c.commits {
			for kind, handle := range writerKinds {
				t.Run(c.name+"/"+name+"/"+kind, func(t *testing.T) {
					a := newWriterApp(t, pagestate.Options{})
					a.mux.Handle("/", handle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
						s.Count = 2
						commit(w, r)
						s.Count = 3
						if _, err := pagestate.Token(r.Context(), s); err == nil || !strings.Contains(err.Error(), "state changed after the first byte") {
							t.Errorf("Token after a late change: %v", err)
						}
						w.WriteHeader(http.StatusAccepted)
						w.Write(nil)
					}))
					c.serve(a, a.mw.Handler(a.mux))

					got := a.call("/", a.seal(&writerState{Count: 1}))
					want(t, "protocol", got.ProtoMajor, c.proto)
					want(t, "sealed", a.count(got), 2)
					want(t, "revision", a.revision(got.token()), 2)
					want(t, "cache", got.Header.Get("Cache-Control"), "no-store")
					want(t, "warnings of the late change", a.logged("WARN", "too late", "component=state"), 1)
					want(t, "lines in the log", a.logged(""), 1)
				})
			}
		}
	}
}

// writerWrapped has a writer in front that leaves everything to the one inside.
func writerWrapped(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(writerUnwrapper{w}, r)
	})
}

type writerUnwrapper struct{ http.ResponseWriter }

func (w writerUnwrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestWriterSealsAtTheEnd(t *testing.T) {
	for kind, handle := range writerKinds {
		t.Run(kind, func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{})
			a.mux.Handle("/", handle(func(_ http.ResponseWriter, _ *http.Request, s *writerState) { s.Count++ }))
			got := a.call("/", a.seal(&writerState{Count: 1}))
			want(t, "status", got.StatusCode, 200)
			want(t, "sealed", a.count(got), 2)
			want(t, "revision", a.revision(got.token()), 2)
			want(t, "log", a.log.String(), "")
		})
	}
}

// What did not begin the response leaves the state open.
func TestWriterBeginsNothing(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		try  func(w http.ResponseWriter, r *http.Request) error
		want error
	}{
		"copy of nothing": {
			func(w http.ResponseWriter, _ *http.Request) error { _, err := io.Copy(w, writerSource("")); return err }, nil},
		"copy that fails": {
			func(w http.ResponseWriter, _ *http.Request) error {
				_, err := io.Copy(w, writerBroken{broken})
				return err
			}, broken},
		"hijacking HTTP/2": {
			func(w http.ResponseWriter, _ *http.Request) error {
				_, _, err := w.(http.Hijacker).Hijack()
				return err
			}, http.ErrNotSupported},
		"unknown to ResponseController": {
			func(w http.ResponseWriter, _ *http.Request) error {
				_, _, err := http.NewResponseController(w).Hijack()
				return err
			}, http.ErrNotSupported},
	} {
		for kind, handle := range writerKinds {
			for status, count := range map[int]int{http.StatusOK: 2, http.StatusBadGateway: -1} {
				t.Run(fmt.Sprint(name, "/", kind, "/", status), func(t *testing.T) {
					a := newWriterApp(t, pagestate.Options{})
					a.mux.Handle("/", handle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
						if err := c.try(w, r); !errors.Is(err, c.want) {
							t.Errorf("got %v, want %v", err, c.want)
						}
						s.Count = 2
						w.WriteHeader(status)
					}))
					a.serveHTTP2(a.mw.Handler(a.mux))
					got := a.call("/", a.seal(&writerState{Count: 1}))
					want(t, "status", got.StatusCode, status)
					want(t, "sealed", a.count(got), count)
					want(t, "log", a.log.String(), "")
				})
			}
		}
	}
}

type writerBroken struct{ err error }

func (b writerBroken) Read([]byte) (int, error) { return 0, b.err }

// A writer that cannot flush, as that of http.TimeoutHandler, keeps everything
// back, so that a flush begins nothing.
func TestWriterCannotFlush(t *testing.T) {
	a := newWriterApp(t, pagestate.Options{})
	a.mux.Handle("/", writerHandle(func(w http.ResponseWriter, _ *http.Request, s *writerState) {
		w.(http.Flusher).Flush()
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Flush: %v", err)
		}
		s.Count = 2
	}))
	a.serve(http.TimeoutHandler(a.mw.Handler(a.mux), time.Minute, ""))
	want(t, "sealed", a.count(a.call("/", a.seal(&writerState{}))), 2)
	want(t, "log", a.log.String(), "")
}

func TestWriterLetsInformationalPass(t *testing.T) {
	for proto, serve := range map[string]func(*writerApp, http.Handler){
		"HTTP/1": (*writerApp).serve,
		"HTTP/2": (*writerApp).serveHTTP2,
	} {
		t.Run(proto, func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{})
			a.mux.Handle("/", writerHandle(func(w http.ResponseWriter, _ *http.Request, s *writerState) {
				w.Header().Set("Link", "</style.css>; rel=preload")
				for _, status := range []int{http.StatusContinue, http.StatusProcessing, http.StatusEarlyHints} {
					s.Count++
					w.WriteHeader(status)
				}
				s.Count++
				fmt.Fprint(w, "body")
			}))
			serve(a, a.mw.Handler(a.mux))

			b := a.browser()
			var passed []int
			req := b.request("POST", "/", nil)
			req.Header.Set("Page-State", a.seal(&writerState{}))
			req = req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
					passed = append(passed, code)
					want(t, "token in an informational response", h.Get("Page-State"), "")
					return nil
				},
			}))
			got := b.send(req)
			a.running.Wait()
			want(t, "passed", fmt.Sprint(passed), "[100 102 103]")
			want(t, "status", got.StatusCode, 200)
			want(t, "sealed", a.count(got), 4)
			want(t, "log", a.log.String(), "")
		})
	}
}

// A page that is streamed puts its tokens into what follows the first byte.
func TestWriterTokenAfterFirstByte(t *testing.T) {
	a := newWriterApp(t, pagestate.Options{})
	a.mux.Handle("/", writerFrom(func(w http.ResponseWriter, r *http.Request, s *writerState) {
		s.Count = 2
		other := &writerState{Count: 7}
		if err := pagestate.Attach(r.Context(), other); err != nil {
			t.Error(err)
		}
		w.(http.Flusher).Flush()
		for range 2 {
			acting, err := pagestate.Token(r.Context(), s)
			if err != nil {
				t.Error(err)
			}
			attached, err := pagestate.Token(r.Context(), other)
			if err != nil {
				t.Error(err)
			}
			fmt.Fprintln(w, acting, attached)
		}
	}))
	got := a.call("/", a.seal(&writerState{Count: 1}))
	want(t, "sealed", a.count(got), 2)
	var acting, attached string
	fmt.Sscan(got.Body, &acting, &attached)
	want(t, "page", got.Body, strings.Repeat(acting+" "+attached+"\n", 2))
	want(t, "header and page hold one token", acting, got.token())
	want(t, "revision of the one attached", a.revision(attached), 1)
	want(t, "log", a.log.String(), "")
}

// Each part of a page has its own fate: what is attached goes out in the page
// or not at all.
func TestWriterLateChangeOfAttached(t *testing.T) {
	for name, c := range map[string]struct {
		render   func(ctx context.Context, s *writerState)
		warnings int
	}{
		"never given":    {func(_ context.Context, s *writerState) { s.Count++ }, 0},
		"given at last":  {func(ctx context.Context, s *writerState) { s.Count++; pagestate.Token(ctx, s) }, 0},
		"changed after":  {func(ctx context.Context, s *writerState) { pagestate.Token(ctx, s); s.Count++ }, 1},
		"changed & back": {func(ctx context.Context, s *writerState) { pagestate.Token(ctx, s); s.Count++; s.Count-- }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{})
			a.mux.HandleFunc("/", func(_ http.ResponseWriter, r *http.Request) {
				s := &writerState{}
				if err := pagestate.Attach(r.Context(), s); err != nil {
					t.Error(err)
				}
				c.render(r.Context(), s)
			})
			got := a.call("/", "")
			want(t, "header", got.token(), "")
			want(t, "warnings", a.logged("WARN", "too late", "component=state"), c.warnings)
			want(t, "lines in the log", a.logged(""), c.warnings)
		})
	}
}

func TestWriterPanic(t *testing.T) {
	outside := func(a *writerApp) http.Handler { return writerRecover(a.mw.Handler(a.mux)) }
	inside := func(a *writerApp) http.Handler { return a.mw.Handler(writerRecover(a.mux)) }
	nowhere := func(a *writerApp) http.Handler { return a.mw.Handler(a.mux) }
	for name, c := range map[string]struct {
		value   any
		recover func(*writerApp) http.Handler
		status  int // 0 means that the connection breaks
	}{
		"recovered outside": {"oh", outside, 500},
		"recovered inside":  {"oh", inside, 500},
		"not recovered":     {"oh", nowhere, 0},
		"ErrAbortHandler":   {http.ErrAbortHandler, nowhere, 0},
		"stale, outside":    {pagestate.ErrStale, outside, 500},
		"stale, inside":     {pagestate.ErrStale, inside, 500},
		"stale":             {pagestate.ErrStale, nowhere, 0},
	} {
		for kind, handle := range writerKinds {
			t.Run(name+"/"+kind, func(t *testing.T) {
				a := newWriterApp(t, pagestate.Options{})
				a.mux.Handle("/", handle(func(_ http.ResponseWriter, _ *http.Request, s *writerState) {
					s.Count++
					panic(c.value)
				}))
				a.serve(c.recover(a))
				b := a.browser()
				req := b.request("GET", "/", nil)
				req.Header.Set("Page-State", a.seal(&writerState{}))
				res, err := b.Do(req)
				if c.status == 0 {
					if err == nil {
						res.Body.Close()
						t.Errorf("got status %d, want a broken connection", res.StatusCode)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				want(t, "status", res.StatusCode, c.status)
				want(t, "header", res.Header.Get("Page-State"), "")
				want(t, "log", a.log.String(), "")
			})
		}
	}
}

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

func TestWriterServerErrorKeepsToken(t *testing.T) {
	for status, count := range map[int]int{200: 2, 299: 2, 400: 2, 404: 2, 410: 2, 499: 2, 500: -1, 502: -1, 503: -1, 599: -1} {
		for kind, handle := range writerKinds {
			t.Run(fmt.Sprint(status, "/", kind), func(t *testing.T) {
				a := newWriterApp(t, pagestate.Options{})
				var encoded atomic.Int64
				a.mux.Handle("/", handle(func(w http.ResponseWriter, _ *http.Request, s *writerState) {
					s.Count = 2
					s.Coded.encode = func() error { encoded.Add(1); return nil }
					w.WriteHeader(status)
					fmt.Fprint(w, "body")
				}))
				got := a.call("/", a.seal(&writerState{}))
				want(t, "status", got.StatusCode, status)
				want(t, "body", got.Body, "body")
				want(t, "sealed", a.count(got), count)
				want(t, "cache", got.Header.Get("Cache-Control"), "no-store")
				want(t, "state was looked at", encoded.Load() > 0, count != -1)
				want(t, "log", a.log.String(), "")
			})
		}
	}
}

// A handler that http.TimeoutHandler gave up on goes on changing its state. The
// race detector fails this test if anything else looks at it.
func TestWriterTimeoutHandlerGivesUp(t *testing.T) {
	bindings := map[string]pagestate.Binding{
		"Cookie":  pagestate.Cookie(http.Cookie{Name: "binding"}),
		"Session": pagestate.Session(writerInsecure(sessions.NewCookieStore(sessionKey)), sessionName),
		"Unbound": pagestate.Unbound(),
	}
	for name, binding := range bindings {
		for kind, handle := range writerKinds {
			for _, inside := range []bool{true, false} {
				t.Run(fmt.Sprint(name, "/", kind, "/inside ", inside), func(t *testing.T) {
					a := newWriterApp(t, pagestate.Options{Session: binding})
					answered := make(chan struct{})
					ended := make(chan struct{})
					a.mux.HandleFunc("/page", writerPage)
					a.mux.Handle("/", handle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
						defer close(ended)
						<-r.Context().Done()
						for going := true; going; {
							select {
							case <-answered:
								going = false
							default:
							}
							writerGoOn(w, r, s)
						}
					}))
					timeout := func(h http.Handler) http.Handler { return http.TimeoutHandler(h, 10*time.Millisecond, "late") }
					b := a.browser()
					page := b.get("/page")
					if inside {
						a.serve(writerThen(a.mw.Handler(timeout(a.mux)), answered))
					} else {
						a.serve(writerThen(timeout(a.mw.Handler(a.mux)), answered))
					}
					got := b.call("POST", "/", page.Body)
					if got.StatusCode != http.StatusServiceUnavailable {
						t.Fatalf("got status %d: %s", got.StatusCode, got.Body)
					}
					<-ended
					a.running.Wait()
					want(t, "body", got.Body, "late")
					want(t, "header", got.token(), "")
				})
			}
		}
	}
}

func writerThen(h http.Handler, done chan<- struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		h.ServeHTTP(w, r)
	})
}

// writerPage shows a new component as nothing but its token.
func writerPage(w http.ResponseWriter, r *http.Request) {
	s := &writerState{Count: 1}
	if err := pagestate.Attach(r.Context(), s); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	token, err := s.StateToken()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	io.WriteString(w, token)
}

func writerGoOn(w http.ResponseWriter, r *http.Request, s *writerState) {
	s.Count++
	s.Text = strconv.Itoa(s.Count)
	s.Any = s.Count
	pagestate.From[writerState](r.Context())
	pagestate.Token(r.Context(), s)
	other := &writerState{}
	pagestate.Attach(r.Context(), other)
	pagestate.Token(r.Context(), other)
	s.StateField()
	w.Header().Set("X-Count", s.Text)
	fmt.Fprint(w, "too late")
}

// In time, http.TimeoutHandler copies the handler's header over the one set
// outside: neither token nor cookie must be in there before.
func TestWriterTimeoutHandlerInTime(t *testing.T) {
	timeout := func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "late") }
	for name, wrap := range map[string]func(a *writerApp) http.Handler{
		"inside":  func(a *writerApp) http.Handler { return a.mw.Handler(timeout(a.mux)) },
		"outside": func(a *writerApp) http.Handler { return timeout(a.mw.Handler(a.mux)) },
		"both":    func(a *writerApp) http.Handler { return timeout(a.mw.Handler(timeout(a.mux))) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{Session: pagestate.Cookie(http.Cookie{Name: "binding"})})
			a.mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
				http.SetCookie(w, &http.Cookie{Name: "lang", Value: "de"})
				w.Header().Set("Vary", "Accept-Encoding")
				writerPage(w, r)
				http.SetCookie(w, &http.Cookie{Name: "theme", Value: "dark"})
			})
			a.mux.Handle("/add", writerHandle(func(w http.ResponseWriter, _ *http.Request, s *writerState) {
				http.SetCookie(w, &http.Cookie{Name: "lang", Value: "en"})
				s.Count++
				fmt.Fprint(w, s.Count)
				s.Count++
			}))
			a.serve(wrap(a))
			b := a.browser()
			page := b.get("/page")
			want(t, "cookies", writerNames(page.Cookies()), "binding lang theme")
			want(t, "vary", page.Header.Get("Vary"), "Accept-Encoding, Cookie, Page-State, HX-Request, Accept")
			first := b.call("POST", "/add", page.Body)
			want(t, "first", first.Body, "2")
			second := b.call("POST", "/add", first.token())
			want(t, "what is written last is sealed only where all is held back", second.Body, map[bool]string{true: "3", false: "4"}[name == "outside"])
		})
	}
}

func writerNames(cookies []*http.Cookie) string {
	var names []string
	for _, c := range cookies {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// writerSpoils make a state impossible to seal.
var writerSpoils = map[string]func(s *writerState){
	"unregistered type": func(s *writerState) { s.Any = make(chan int) },
	"cycle": func(s *writerState) {
		s.List = &writerList{}
		s.List.Next = s.List
	},
	"too large":    func(s *writerState) { s.Text = strings.Repeat("x", 300<<10) },
	"codec":        func(s *writerState) { s.Coded.encode = func() error { return errWriterCodec } },
	"codec, stale": func(s *writerState) { s.Coded.encode = func() error { return pagestate.ErrStale } },
}

func TestWriterSealFails(t *testing.T) {
	both := maps.Clone(writerCommits)
	maps.Copy(both, writerTakeovers)
	both["the end"] = func(http.ResponseWriter, *http.Request) {}
	for name, commit := range both {
		for kind, handle := range writerKinds {
			for reason, spoil := range writerSpoils {
				if reason != "codec" && name != "Write" && name != "the end" {
					continue
				}
				t.Run(name+"/"+kind+"/"+reason, func(t *testing.T) { testWriterSealFails(t, handle, commit, spoil) })
			}
		}
	}
}

func testWriterSealFails(t *testing.T,
	handle func(func(http.ResponseWriter, *http.Request, *writerState)) http.Handler,
	commit func(http.ResponseWriter, *http.Request), spoil func(*writerState)) {
	a := newWriterApp(t, pagestate.Options{})
	a.mux.Handle("/", handle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
		h := w.Header()
		h.Set("Content-Type", "text/html")
		h.Set("Content-Encoding", "gzip")
		h.Set("Etag", `"1"`)
		h.Set("X-Kept", "yes")
		spoil(s)
		commit(w, r)
		spoil(s)
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, "more")
		io.Copy(w, writerSource("and more"))
		w.(http.Flusher).Flush()
		http.NewResponseController(w).Flush()
	}))
	got := a.call("/", a.seal(&writerState{}))
	want(t, "status", got.StatusCode, 500)
	want(t, "body", strings.Contains(got.Body, `{"success":false,"error":{"code":"StateError",`) && strings.HasSuffix(got.Body, "}}"), true)
	for header, value := range map[string]string{
		"Page-State":       "",
		"Content-Type":     "application/json",
		"Content-Encoding": "",
		"Etag":             "",
		"Content-Range":    "",
		"Cache-Control":    "no-store",
		"X-Kept":           "yes",
		"Upgrade":          got.Header.Get("Upgrade"),
	} {
		want(t, header, got.Header.Get(header), value)
	}
	want(t, "length", got.ContentLength, int64(len(got.Body)))
	want(t, "errors in the log", a.logged("ERROR", "StateError"), 1)
	want(t, "lines in the log", a.logged(""), 1)
}

// A handler that asks how much it has written is told what it wrote, although
// nothing of it leaves.
func TestWriterDropsAsIfWritten(t *testing.T) {
	for name, write := range map[string]func(io.Writer) (int64, error){
		"Write":       func(w io.Writer) (int64, error) { n, err := w.Write([]byte("1234")); return int64(n), err },
		"WriteString": func(w io.Writer) (int64, error) { n, err := io.WriteString(w, "1234"); return int64(n), err },
		"ReadFrom":    func(w io.Writer) (int64, error) { return io.Copy(w, writerSource("1234")) },
		"CopyN":       func(w io.Writer) (int64, error) { return io.CopyN(w, writerSource("1234"), 4) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{})
			a.mux.Handle("/", writerFrom(func(w http.ResponseWriter, _ *http.Request, s *writerState) {
				writerSpoils["codec"](s)
				for range 2 {
					n, err := write(w)
					if n != 4 || err != nil {
						t.Errorf("got %d, %v, want 4 and no error", n, err)
					}
				}
			}))
			want(t, "status", a.call("/", a.seal(&writerState{})).StatusCode, 500)
		})
	}
}

// What a compressor outside set still holds for the answer to a failed seal.
func TestWriterSealFailsInsideCompressor(t *testing.T) {
	a := newWriterApp(t, pagestate.Options{})
	a.mux.Handle("/", writerHandle(func(_ http.ResponseWriter, _ *http.Request, s *writerState) { writerSpoils["codec"](s) }))
	a.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "identity")
		a.mw.Handler(a.mux).ServeHTTP(w, r)
	}))
	got := a.call("/", a.seal(&writerState{}))
	want(t, "status", got.StatusCode, 500)
	want(t, "encoding", got.Header.Get("Content-Encoding"), "identity")
}

// An ErrorHandler finds a clean header too, and the cause, which is never what
// the application's code made of it.
func TestWriterSealFailsToErrorHandler(t *testing.T) {
	a := newWriterApp(t, pagestate.Options{ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
		status, code := pagestate.Status(err)
		want(t, "length", w.Header().Get("Content-Length"), "")
		want(t, "location", w.Header().Get("Location"), "")
		want(t, "cause", strings.Contains(err.Error(), "sealing state"), true)
		_, missing := pagestate.From[writerState](r.Context())
		want(t, "the state is in the context", missing, nil)
		w.WriteHeader(status)
		fmt.Fprint(w, code)
	}})
	a.mux.Handle("/", writerHandle(func(w http.ResponseWriter, _ *http.Request, s *writerState) {
		writerSpoils["codec, stale"](s)
		w.Header().Set("Content-Length", "1000")
		w.Header().Set("Location", "/x")
		w.WriteHeader(http.StatusSeeOther)
	}))
	got := a.call("/", a.seal(&writerState{}))
	want(t, "status", got.StatusCode, 500)
	want(t, "body", got.Body, "StateError")
	want(t, "cache", got.Header.Get("Cache-Control"), "no-store")
}

// A codec that panics while the response begins meets the application's
// recoverer as any panic does, and is not called again.
func TestWriterCodecPanics(t *testing.T) {
	kinds := map[string]func(func(http.ResponseWriter, *http.Request, *writerState)) http.Handler{"Handle": writerHandle, "From": writerFrom}
	for kind, handler := range kinds {
		for name, write := range map[string]func(http.ResponseWriter){
			"Write":   func(w http.ResponseWriter) { fmt.Fprint(w, "body") },
			"the end": func(http.ResponseWriter) {},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				a := newWriterApp(t, pagestate.Options{})
				a.mux.Handle("/", handler(func(w http.ResponseWriter, _ *http.Request, s *writerState) {
					s.Coded.encode = func() error { panic("oh") }
					write(w)
				}))
				a.serve(writerRecover(a.mw.Handler(writerRecover(a.mux))))
				got := a.call("/", a.seal(&writerState{}))
				want(t, "status", got.StatusCode, 500)
				want(t, "body", got.Body, "sorry\n")
				want(t, "header", got.token(), "")
				want(t, "log", a.log.String(), "")
			})
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
				want(t, "files during the request", writerFiles(t, dir), 1)
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
			req := b.request("POST", "/up/one", body)
			req.Header.Set("Content-Type", contentType)
			b.send(req)
			a.Server.Close() // waits until net/http has cleaned up
			want(t, "files after the request", writerFiles(t, dir), 0)
			want(t, "pattern", pattern, "POST /up/{name}")
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

func TestWriterCacheControl(t *testing.T) {
	const all = "Cookie, Page-State, HX-Request, Accept"
	file := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	setting := func(name, value string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(name, value) }
	}
	failing := func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "a.txt", time.Time{}, writerUnseekable{strings.NewReader("")})
	}
	for name, c := range map[string]struct {
		h        http.HandlerFunc
		cache    string
		vary     string
		warnings int
	}{
		"nothing":           {func(http.ResponseWriter, *http.Request) {}, "no-store", all, 0},
		"Write":             {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "body") }, "no-store", all, 0},
		"ServeFile":         {func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) }, "no-store", all, 0},
		"ServeFile, 404":    {func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file+"x") }, "no-store", all, 0},
		"ServeContent, 500": {failing, "no-store", all, 0},
		"Error":             {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 400) }, "no-store", all, 0},
		"Redirect":          {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusSeeOther) }, "no-store", all, 0},
		"304":               {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }, "no-store", all, 0},
		"no-store":          {setting("Cache-Control", "no-store, max-age=0"), "no-store, max-age=0", all, 0},
		"private":           {setting("Cache-Control", "max-age=60, Private"), "max-age=60, Private", all, 0},
		"private in part":   {setting("Cache-Control", `private="set-cookie", max-age=60`), "no-store", all, 1},
		"no-cache":          {setting("Cache-Control", "no-cache"), "no-store", all, 1},
		"public":            {setting("Cache-Control", "public, max-age=60"), "no-store", all, 1},
		"for one cache":     {setting("CDN-Cache-Control", "max-age=60"), "no-store", all, 1},
		"for another cache": {setting("Surrogate-Control", "max-age=60"), "no-store", all, 1},
		"private at all": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Cache-Control"] = []string{"max-age=60", "private"}
		}, "max-age=60", all, 0},
		"not for that cache": {setting("CDN-Cache-Control", "no-store"), "no-store", all, 0},
		"Vary":               {setting("Vary", "Accept-Encoding, cookie"), "no-store", "Accept-Encoding, cookie, Page-State, HX-Request, Accept", 0},
		"Vary: *":            {setting("Vary", "*"), "no-store", "*", 0},
	} {
		for _, when := range []string{"a token", "From", "Attach"} {
			t.Run(name+"/"+when, func(t *testing.T) {
				a := newWriterApp(t, pagestate.Options{})
				a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
					switch when {
					case "From":
						pagestate.From[writerState](r.Context())
					case "Attach":
						pagestate.Attach(r.Context(), &writerState{})
					}
					want(t, "set before the handler", fmt.Sprint(w.Header()), "map[]")
					c.h(w, r)
				})
				token := ""
				if when == "a token" {
					token = a.seal(&writerState{})
				}
				got := a.call("/", token)
				want(t, "cache", got.Header.Get("Cache-Control"), c.cache)
				want(t, "vary", strings.Join(got.Header.Values("Vary"), ", "), c.vary)
				want(t, "warnings", a.logged("WARN", "let caches share"), c.warnings)
				for _, header := range []string{"CDN-Cache-Control", "Surrogate-Control"} {
					if value := got.Header.Get(header); value != "" && value != "no-store" {
						t.Errorf("%s: %s", header, value)
					}
				}
			})
		}
	}
}

type writerUnseekable struct{ io.Reader }

func (writerUnseekable) Seek(int64, int) (int64, error) { return 0, errors.New("cannot seek") }

func TestWriterLeavesOthersAlone(t *testing.T) {
	modified := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	content := strings.Repeat("0123456789abcdef", 1<<12)
	file := filepath.Join(t.TempDir(), "a.bin")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	serve := func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "a.txt", modified, strings.NewReader(content))
	}
	copying := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, writerSource(content[:n])) }
	}
	for name, c := range map[string]struct {
		request string
		h       http.HandlerFunc
	}{
		"nothing":        {"GET / HTTP/1.1\r\n\r\n", func(http.ResponseWriter, *http.Request) {}},
		"plain":          {"GET / HTTP/1.1\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }},
		"HTTP/1.0":       {"GET / HTTP/1.0\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }},
		"big":            {"GET / HTTP/1.1\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, content) }},
		"204":            {"GET / HTTP/1.1\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }},
		"500":            {"GET / HTTP/1.1\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oh", 500) }},
		"304":            {"GET / HTTP/1.1\r\nIf-Modified-Since: Thu, 29 Feb 2024 12:00:00 GMT\r\n\r\n", serve},
		"HEAD":           {"HEAD / HTTP/1.1\r\n\r\n", serve},
		"ServeContent":   {"GET / HTTP/1.1\r\n\r\n", serve},
		"range":          {"GET / HTTP/1.1\r\nRange: bytes=10-2000\r\n\r\n", serve},
		"bad range":      {"GET / HTTP/1.1\r\nRange: bytes=99999999-\r\n\r\n", serve},
		"ServeFile":      {"GET / HTTP/1.1\r\n\r\n", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) }},
		"copy of 0":      {"GET / HTTP/1.1\r\n\r\n", copying(0)},
		"copy of 100":    {"GET / HTTP/1.1\r\n\r\n", copying(100)},
		"copy of 511":    {"GET / HTTP/1.1\r\n\r\n", copying(511)},
		"copy of 512":    {"GET / HTTP/1.1\r\n\r\n", copying(512)},
		"copy of 513":    {"GET / HTTP/1.1\r\n\r\n", copying(513)},
		"copy of 900":    {"GET / HTTP/1.1\r\n\r\n", copying(900)},
		"copy of 5000":   {"GET / HTTP/1.1\r\n\r\n", copying(5000)},
		"copy of all":    {"GET / HTTP/1.1\r\n\r\n", copying(len(content))},
		"copy in pieces": {"GET / HTTP/1.1\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, &writerPieces{content[:700], 70}) }},
		"copy of known length": {"GET / HTTP/1.1\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			io.Copy(w, writerSource(content))
		}},
		"copies": {"GET / HTTP/1.1\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			io.Copy(w, writerSource(content[:600]))
			io.Copy(w, writerSource(content[:50]))
			io.WriteString(w, content[:50])
			io.Copy(w, writerSource(content[:600]))
		}},
		"copy that fails": {"GET / HTTP/1.1\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			if _, err := io.Copy(w, writerBroken{io.ErrUnexpectedEOF}); err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
			}
		}},
		"redirect":  {"GET / HTTP/1.1\r\n\r\n", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }},
		"not found": {"GET / HTTP/1.1\r\n\r\n", http.NotFound},
		"chunked": {"GET / HTTP/1.1\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			for i := range 3 {
				fmt.Fprint(w, i)
				w.(http.Flusher).Flush()
			}
		}},
		"early flush": {"GET / HTTP/1.1\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			http.NewResponseController(w).Flush()
			fmt.Fprint(w, "<html>")
		}},
		"trailers": {"GET / HTTP/1.1\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			fmt.Fprint(w, "hello")
			w.Header().Set("X-Sum", "1")
			w.Header().Set(http.TrailerPrefix+"X-More", "2")
		}},
		"encoded": {"GET / HTTP/1.1\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write([]byte{0x1f, 0x8b, 8, 0})
		}},
		"headers of its own": {"GET / HTTP/1.1\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["x-raw"] = []string{"1", "2"}
			w.Header()["Date"] = nil
			w.Header().Set("Cache-Control", "public, max-age=60")
			w.Header().Set("Vary", "Origin")
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "2"})
		}},
		"early hints": {"GET / HTTP/1.1\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</a>")
			w.WriteHeader(http.StatusEarlyHints)
			fmt.Fprint(w, "hello")
		}},
		"upload": {"POST / HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody", writerEcho},
		"upload refused": {"POST / HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusExpectationFailed) }},
		"form":         {"POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\na=1&b=2", writerEcho},
		"chunked form": {"POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n7\r\na=1&b=2\r\n0\r\n\r\n", writerEcho},
		"hijack": {"GET / HTTP/1.1\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Lost", "1")
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprint(rw, "HTTP/1.1 200 OK\r\n\r\nmine")
			rw.Flush()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{})
			bare := writerRaw(t, c.h, c.request)
			wrapped := writerRaw(t, a.mw.Handler(c.h), c.request)
			twice := writerRaw(t, a.mw.Handler(a.mw.Handler(c.h)), c.request)
			want(t, "an answer", bare != "", true)
			want(t, "wrapped", wrapped, bare)
			want(t, "wrapped twice", twice, bare)
			want(t, "log", a.log.String(), "")
		})
	}
}

type writerPieces struct {
	rest string
	size int
}

func (p *writerPieces) Read(b []byte) (int, error) {
	if p.rest == "" {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size)], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func writerEcho(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%q %v", body, err)
}

var writerDate = regexp.MustCompile(`Date: [^\r]+\r\n`)

// writerRaw is all bytes that a server of its own answers, but for the time.
func writerRaw(t *testing.T, h http.Handler, request string) string {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request = strings.Replace(request, "\r\n", "\r\nHost: test\r\nConnection: close\r\n", 1)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return writerDate.ReplaceAllString(string(all), "")
}

// net/http hands a file to the operating system only if the source and the way
// to it are left as they are.
func TestWriterKeepsReaderFrom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.bin")
	content := strings.Repeat("0123456789abcdef", 1<<10)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, send := range map[string]func(http.ResponseWriter, *http.Request){
		"ServeFile": func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) },
		"io.Copy": func(w http.ResponseWriter, _ *http.Request) {
			file, err := os.Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			defer file.Close()
			io.Copy(w, file)
		},
	} {
		for kind, handle := range writerKinds {
			t.Run(name+"/"+kind, func(t *testing.T) {
				a := newWriterApp(t, pagestate.Options{})
				a.mux.Handle("/", handle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
					s.Count = 2
					send(w, r)
				}))
				var copied int64
				a.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					recorder := &writerFileRecorder{ResponseWriter: w}
					a.mw.Handler(a.mux).ServeHTTP(recorder, r)
					copied = recorder.copied
				}))
				got := a.call("/", a.seal(&writerState{}))
				want(t, "body", got.Body == content, true)
				want(t, "sealed", a.count(got), 2)
				// The rest is what net/http guesses the Content-Type from.
				want(t, "copied by the operating system", copied >= int64(len(content)-2*512), true)
			})
		}
	}
}

// writerFileRecorder counts what arrives in a form that net/http can hand on.
type writerFileRecorder struct {
	http.ResponseWriter
	copied int64
}

func (w *writerFileRecorder) ReadFrom(src io.Reader) (int64, error) {
	inner := src
	if limited, ok := src.(*io.LimitedReader); ok {
		inner = limited.R
	}
	n, err := io.Copy(w.ResponseWriter, src)
	if _, ok := inner.(syscall.Conn); ok {
		w.copied += n
	}
	return n, err
}

// writerBindings set a cookie in their own ways.
func writerBindings(t *testing.T) map[string]sessions.Store {
	return map[string]sessions.Store{
		"Cookie":          nil,
		"CookieStore":     writerInsecure(sessions.NewCookieStore(sessionKey)),
		"FilesystemStore": sessions.NewFilesystemStore(t.TempDir(), sessionKey),
	}
}

// writerInsecure lets the cookie pass over plain HTTP.
func writerInsecure(s *sessions.CookieStore) *sessions.CookieStore {
	s.Options.Secure = false
	return s
}

func TestWriterCookies(t *testing.T) {
	timeout := func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "") }
	plain := func(h http.Handler) http.Handler { return h }
	for name, store := range writerBindings(t) {
		binding, login := pagestate.Cookie(http.Cookie{Name: "binding"}), sessions.Store(sessions.NewCookieStore(sessionKey))
		if store != nil {
			binding, login = pagestate.Session(store, "binding"), store
		}
		for wrapped, wraps := range map[string][2]func(http.Handler) http.Handler{
			"plain":                  {plain, plain},
			"TimeoutHandler outside": {timeout, plain},
			"TimeoutHandler inside":  {plain, timeout},
		} {
			t.Run(name+"/"+wrapped, func(t *testing.T) {
				a := newWriterApp(t, pagestate.Options{Session: binding})
				a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
					http.SetCookie(w, &http.Cookie{Name: "early", Value: "1"})
					http.SetCookie(w, &http.Cookie{Name: "binding2", Value: "1"})
					writerLogin(t, login, w, r)
					if err := pagestate.Attach(r.Context(), &writerState{}); err != nil {
						t.Error(err)
					}
					writerLogin(t, login, w, r)
					http.SetCookie(w, &http.Cookie{Name: "late", Value: "1"})
					writerPage(w, r)
				})
				a.mux.Handle("/count", writerHandle(func(w http.ResponseWriter, _ *http.Request, s *writerState) { fmt.Fprint(w, s.Count) }))
				a.mux.HandleFunc("/renew", func(w http.ResponseWriter, r *http.Request) {
					for range 2 {
						if err := a.mw.Renew(w, r); err != nil {
							t.Error(err)
						}
					}
					writerPage(w, r)
				})
				a.serve(wraps[0](a.mw.Handler(wraps[1](a.mux))))

				b := a.browser()
				page := b.get("/")
				want(t, "cookies", writerNames(page.Cookies()), "binding binding2 early late login login")
				want(t, "count", b.call("POST", "/count", page.Body).Body, "1")
				want(t, "cookies of a second page", writerNames(b.get("/").Cookies()), "binding2 early late login login")
				renewed := b.get("/renew")
				want(t, "cookies of a renewal", writerNames(renewed.Cookies()), "binding")
				want(t, "count after renewal", b.call("POST", "/count", renewed.Body).Body, "1")
				want(t, "what was sealed before", b.call("POST", "/count", page.Body).StatusCode, 400)
			})
		}
	}
}

// writerLogin saves a session of the handler's own.
func writerLogin(t *testing.T, store sessions.Store, w http.ResponseWriter, r *http.Request) {
	t.Helper()
	session, err := store.Get(r, "login")
	if err != nil {
		t.Error(err)
	}
	session.Values["name"] = "ada"
	if err := session.Save(r, w); err != nil {
		t.Error(err)
	}
}

// The binding's own cookie is the one that counts, whoever else sets it.
func TestWriterCookieOfTheSameName(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprint("late ", late), func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{Session: pagestate.Cookie(http.Cookie{Name: "binding"})})
			a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
				set := func() { http.SetCookie(w, &http.Cookie{Name: "binding", Value: "planted"}) }
				if late {
					defer set()
				} else {
					set()
				}
				s := &writerState{}
				if err := pagestate.Attach(r.Context(), s); err != nil {
					t.Error(err)
				}
			})
			cookies := a.browser().get("/").Cookies()
			want(t, "cookies", writerNames(cookies), "binding")
			for _, c := range cookies {
				want(t, "planted", c.Value == "planted", false)
			}
		})
	}
}

// The cookie arrives with whatever answer there is, since what the page of
// another tab holds may rest on it.
func TestWriterCookieOfFailedAnswers(t *testing.T) {
	for name, h := range map[string]func(http.ResponseWriter, *http.Request){
		"500":      func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oh", 500) },
		"404":      http.NotFound,
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusSeeOther) },
		"nothing":  func(http.ResponseWriter, *http.Request) {},
	} {
		t.Run(name, func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{Session: pagestate.Cookie(http.Cookie{Name: "binding"})})
			a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
				if err := pagestate.Attach(r.Context(), &writerState{}); err != nil {
					t.Error(err)
				}
				h(w, r)
			})
			got := a.browser().get("/")
			want(t, "cookies", writerNames(got.Cookies()), "binding")
			want(t, "cache", got.Header.Get("Cache-Control"), "no-store")
		})
	}
}

// After the first byte there is no way to set a cookie.
func TestWriterSessionTooLate(t *testing.T) {
	a := newWriterApp(t, pagestate.Options{Session: pagestate.Cookie(http.Cookie{Name: "binding"})})
	try := func(w http.ResponseWriter, r *http.Request) {
		for name, err := range map[string]error{
			"Attach": pagestate.Attach(r.Context(), &writerState{}),
			"Renew":  a.mw.Renew(w, r),
		} {
			if err == nil || !strings.Contains(err.Error(), "the first byte has left") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		try(w, r)
	})
	want(t, "cookies", writerNames(a.browser().get("/").Cookies()), "")
}

// What was opened for the owner before Renew does not go out to the one after.
func TestWriterRenewEndsWhatActed(t *testing.T) {
	a := newWriterApp(t, pagestate.Options{Session: pagestate.Cookie(http.Cookie{Name: "binding"})})
	a.mux.HandleFunc("/page", writerPage)
	a.mux.Handle("/", writerHandle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
		s.Count++
		if err := a.mw.Renew(w, r); err != nil {
			t.Error(err)
		}
		s.Count++
	}))
	b := a.browser()
	got := b.call("POST", "/", b.get("/page").Body)
	a.running.Wait()
	want(t, "cookies", writerNames(got.Cookies()), "binding")
	want(t, "header", got.token(), "")
	want(t, "warnings", a.logged("WARN", "before Renew", "component=state"), 1)
	want(t, "lines in the log", a.logged(""), 1)
}

func TestWriterTwice(t *testing.T) {
	a := newWriterApp(t, pagestate.Options{})
	a.mux.Handle("/", writerHandle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
		s.Count++
		fmt.Fprint(w, s.Count)
	}))
	a.serve(a.mw.Handler(a.mw.Handler(a.mw.Handler(a.mux))))
	got := a.call("/", a.seal(&writerState{Count: 1}))
	want(t, "body", got.Body, "2")
	want(t, "sealed", a.count(got), 2)
	want(t, "revision", a.revision(got.token()), 2)
	want(t, "log", a.log.String(), "")
}

// The inner hides the outer, also where one of them is in there twice.
func TestWriterNested(t *testing.T) {
	outer := newWriterApp(t, pagestate.Options{Sources: []pagestate.Source{pagestate.HeaderSource("Outer-State")}})
	inner := newWriterApp(t, pagestate.Options{})
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
			req := b.request("POST", "/", nil)
			req.Header.Set("Page-State", inner.seal(&writerState{Count: 1}))
			req.Header.Set("Outer-State", outer.seal(&writerState{Count: 5}))
			got := b.send(req)
			inner.running.Wait()
			want(t, "the inner's state", got.Body, "1")
			want(t, "warnings of the inner", inner.logged("too late"), 1)
			want(t, "log of the outer", outer.log.String(), "")
			inner.log.buf.Reset()
		})
	}
}

func TestWriterMaxHeaderBytes(t *testing.T) {
	small := newWriterApp(t, pagestate.Options{})
	size := len(small.seal(&writerState{Count: 2, Text: strings.Repeat("x", 500)}))
	const lost, older = "too large for the header", "older than the header"
	for name, c := range map[string]struct {
		limit  int
		h      func(ctx context.Context, s *writerState)
		header bool
		warn   string
	}{
		"fits":                     {size, func(context.Context, *writerState) {}, true, ""},
		"too large":                {size - 1, func(context.Context, *writerState) {}, false, lost},
		"too large, Token":         {size - 1, func(ctx context.Context, s *writerState) { pagestate.Token(ctx, s) }, false, ""},
		"too large, Field":         {size - 1, func(ctx context.Context, s *writerState) { pagestate.Field(ctx, s) }, false, ""},
		"too large, Token earlier": {size - 1, func(ctx context.Context, s *writerState) { pagestate.Token(ctx, s); s.Count = 3 }, false, lost},
		"fits, Token earlier":      {size, func(ctx context.Context, s *writerState) { pagestate.Token(ctx, s); s.Count = 3 }, true, older},
	} {
		t.Run(name, func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{MaxHeaderBytes: c.limit})
			a.mux.Handle("/", writerHandle(func(_ http.ResponseWriter, r *http.Request, s *writerState) {
				s.Count = 2
				s.Text = strings.Repeat("x", 500)
				c.h(r.Context(), s)
			}))
			got := a.call("/", a.seal(&writerState{Count: 1}))
			want(t, "header", got.token() != "", c.header)
			warnings := 0
			if c.warn != "" {
				warnings = 1
			}
			want(t, "warnings", a.logged("WARN", c.warn, "component=state"), warnings)
			want(t, "lines in the log", a.logged(""), warnings)
		})
	}
}

// A header that a handler has set to nothing is no token of another middleware.
func TestWriterEmptyHeader(t *testing.T) {
	a := newWriterApp(t, pagestate.Options{})
	a.mux.Handle("/", writerHandle(func(w http.ResponseWriter, _ *http.Request, s *writerState) {
		w.Header().Set("Page-State", "")
		s.Count++
	}))
	want(t, "a token", a.call("/", a.seal(&writerState{})).token() != "", true)
}

// What changed in answer to a redirect is lost, and a token in its page too.
func TestWriterRedirectWithTokenInPage(t *testing.T) {
	a := newWriterApp(t, pagestate.Options{MaxHeaderBytes: 400})
	for path, change := range map[string]func(s *writerState){
		"/changed": func(s *writerState) { s.Count++ },
		"/same":    func(*writerState) {},
	} {
		a.mux.Handle(path, writerHandle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
			change(s)
			pagestate.Token(r.Context(), s)
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(http.StatusSeeOther)
		}))
	}
	token := a.seal(&writerState{Text: strings.Repeat("x", 500)})
	a.call("/same", token)
	want(t, "log", a.log.String(), "")
	a.call("/changed", token)
	want(t, "warnings", a.logged("WARN", "redirect", "component=state"), 1)
	want(t, "lines in the log", a.logged(""), 1)
}

// A token that was too large for the header may have been put into the page before
// the last change.
func TestWriterChangesAfterALargeToken(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *writerState)
		header bool
		status int
		log    string // in a line of the log
	}{
		"nothing":     {func(*writerState) {}, false, 200, ""},
		"still large": {func(s *writerState) { s.Count = 3 }, false, 200, "too large for the header"},
		"small":       {func(s *writerState) { s.Text = "" }, true, 200, "older than the header"},
		"unsavable":   {func(s *writerState) { s.Any = make(chan int) }, false, 500, "StateError"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{MaxHeaderBytes: 400})
			a.mux.Handle("/", writerHandle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
				s.Text = strings.Repeat("x", 500)
				if _, err := pagestate.Token(r.Context(), s); err != nil {
					t.Error(err)
				}
				c.change(s)
				io.WriteString(w, "a page")
				s.Count++
				if _, err := pagestate.Token(r.Context(), s); err == nil {
					t.Error("a change after the first byte was sealed")
				}
				s.Count--
			}))
			got := a.call("/", a.seal(&writerState{Count: 1}))
			want(t, "status", got.StatusCode, c.status)
			want(t, "header", got.token() != "", c.header)
			want(t, "lines in the log", a.logged(""), min(1, len(c.log)))
			want(t, "what they say", strings.Contains(a.log.String(), c.log), true)
		})
	}
}

// A token that is only sealed again in time is no change that could be lost.
func TestWriterRefresh(t *testing.T) {
	const age = time.Hour
	nothing := func(http.ResponseWriter, *http.Request, *writerState) {}
	token := func(_ http.ResponseWriter, r *http.Request, s *writerState) { pagestate.Token(r.Context(), s) }
	for name, c := range map[string]struct {
		after    time.Duration
		limit    int // MaxHeaderBytes
		h        func(http.ResponseWriter, *http.Request, *writerState)
		revision uint64 // in the header, 0 for none
	}{
		"at once":          {0, 0, nothing, 0},
		"half":             {age / 2, 0, nothing, 0},
		"past half":        {age/2 + time.Second, 0, nothing, 2},
		"past half, Token": {age/2 + time.Second, 0, token, 2},
		"past half, large": {age/2 + time.Second, 1, nothing, 0},
		"redirect": {0, 0, func(w http.ResponseWriter, r *http.Request, _ *writerState) {
			http.Redirect(w, r, "/x", http.StatusSeeOther)
		}, 0},
		"past half, 3xx": {age/2 + time.Second, 0, func(w http.ResponseWriter, r *http.Request, _ *writerState) {
			http.Redirect(w, r, "/x", http.StatusSeeOther)
		}, 2},
		"past half, 5xx":     {age/2 + time.Second, 0, func(w http.ResponseWriter, _ *http.Request, _ *writerState) { w.WriteHeader(500) }, 0},
		"changed & back":     {0, 0, func(_ http.ResponseWriter, _ *http.Request, s *writerState) { s.Count++; s.Count-- }, 0},
		"past half, written": {age/2 + time.Second, 0, func(w http.ResponseWriter, _ *http.Request, _ *writerState) { fmt.Fprint(w, "body") }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var now atomic.Int64
			now.Store(1_700_000_000)
			a := newWriterApp(t, pagestate.Options{
				MaxAge: age, MaxHeaderBytes: c.limit,
				Clock: func() time.Time { return time.Unix(now.Load(), 0) },
			})
			a.mux.Handle("/", writerHandle(c.h))
			first := a.seal(&writerState{Count: 1})
			now.Add(int64(c.after / time.Second))
			got := a.call("/", first)
			if c.revision == 0 {
				want(t, "header", got.token(), "")
			} else {
				want(t, "sealed", a.count(got), 1)
				want(t, "revision", a.revision(got.token()), c.revision)
			}
			want(t, "log", a.log.String(), "")
		})
	}
}

func TestWriterRedirect(t *testing.T) {
	for status, warnings := range map[int]int{299: 0, 301: 1, 302: 1, 303: 1, 307: 1, 308: 1, 399: 1, 400: 0} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{})
			a.mux.Handle("/", writerHandle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
				s.Count = 2
				w.WriteHeader(status)
			}))
			want(t, "sealed", a.count(a.call("/", a.seal(&writerState{}))), 2)
			want(t, "warnings", a.logged("WARN", "redirect", "component=state"), warnings)
			want(t, "lines in the log", a.logged(""), warnings)
		})
	}
}

func TestWriterChangeAfterToken(t *testing.T) {
	a := newWriterApp(t, pagestate.Options{})
	a.mux.Handle("/", writerHandle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
		s.Count = 2
		token, err := pagestate.Token(r.Context(), s)
		if err != nil {
			t.Error(err)
		}
		s.Count = 3
		fmt.Fprint(w, token)
	}))
	got := a.call("/", a.seal(&writerState{Count: 1}))
	want(t, "revision in the page", a.revision(got.Body), 2)
	want(t, "revision in the header", a.revision(got.token()), 3)
	want(t, "sealed", a.count(got), 3)
	want(t, "warnings", a.logged("WARN", "older than the header", "component=state"), 1)
	want(t, "lines in the log", a.logged(""), 1)
}

// What a handler calls it may call from several goroutines.
func TestWriterConcurrentCalls(t *testing.T) {
	slow := &writerSlowBinding{Binding: pagestate.Cookie(http.Cookie{Name: "binding"})}
	for name, binding := range map[string]pagestate.Binding{
		"Cookie":  slow,
		"Session": pagestate.Session(writerInsecure(sessions.NewCookieStore(sessionKey)), sessionName),
	} {
		t.Run(name, func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{Session: binding})
			a.mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
				writerAtOnce(func() {
					s := &writerState{}
					if err := pagestate.Attach(r.Context(), s); err != nil {
						t.Error(err)
					}
					if _, err := s.StateToken(); err != nil {
						t.Error(err)
					}
				})
				writerPage(w, r)
			})
			a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
				writerAtOnce(func() {
					s, err := pagestate.From[writerState](r.Context())
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := pagestate.Token(r.Context(), s); err != nil {
						t.Error(err)
					}
					if _, err := a.mw.Owner(r); err != nil {
						t.Error(err)
					}
				})
				fmt.Fprint(w, "body")
			})
			b := a.browser()
			page := b.get("/page")
			want(t, "cookies", len(page.Cookies()), 1)
			want(t, "status", b.call("POST", "/", page.Body).StatusCode, 200)
			want(t, "log", a.log.String(), "")
		})
	}
	want(t, "sessions made", slow.made.Load(), 1)
}

func writerAtOnce(f func()) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for range 8 {
		all.Go(func() {
			<-start
			for range 20 {
				f()
			}
		})
	}
	close(start)
	all.Wait()
}

// writerSlowBinding gives other goroutines the time to make a second session.
type writerSlowBinding struct {
	pagestate.Binding
	made atomic.Int64
}

func (b *writerSlowBinding) Ensure(w http.ResponseWriter, r *http.Request) (string, error) {
	b.made.Add(1)
	for range 100 {
		runtime.Gosched()
	}
	return b.Binding.Ensure(w, r)
}

// A logger may ask for the state it logs about, and so must not be called while
// that is locked.
func TestWriterLoggerAsks(t *testing.T) {
	logger := &writerCuriousLogger{Handler: slog.DiscardHandler}
	a := newWriterApp(t, pagestate.Options{Logger: slog.New(logger), MaxHeaderBytes: 1})
	a.mux.Handle("/early", writerHandle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
		s.Count++
		w.Header().Set("Cache-Control", "public")
		w.WriteHeader(http.StatusSeeOther)
	}))
	a.mux.Handle("/late", writerHandle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
		fmt.Fprint(w, "body")
		s.Count++
	}))
	a.mux.Handle("/renew", writerHandle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
		if err := a.mw.Renew(w, r); err != nil {
			t.Error(err)
		}
	}))
	a.mux.Handle("/failed", writerHandle(func(w http.ResponseWriter, r *http.Request, s *writerState) { writerSpoils["codec"](s) }))
	for path, records := range map[string]int64{"/early": 3, "/late": 1, "/renew": 1, "/failed": 1} {
		logger.asked.Store(0)
		a.call(path, a.seal(&writerState{}))
		want(t, "records of "+path, logger.asked.Load(), records)
	}
}

type writerCuriousLogger struct {
	slog.Handler
	asked atomic.Int64
}

func (l *writerCuriousLogger) Enabled(context.Context, slog.Level) bool { return true }

func (l *writerCuriousLogger) Handle(ctx context.Context, _ slog.Record) error {
	if _, err := pagestate.From[writerState](ctx); err == nil {
		l.asked.Add(1)
	}
	return nil
}

// What the middleware's writer does not do itself is still within reach.
func TestWriterUnwraps(t *testing.T) {
	for kind, handle := range writerKinds {
		t.Run(kind, func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{})
			a.mux.Handle("/", handle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
				s.Count = 2
				rc := http.NewResponseController(w)
				for name, err := range map[string]error{
					"SetReadDeadline":  rc.SetReadDeadline(time.Now().Add(time.Minute)),
					"SetWriteDeadline": rc.SetWriteDeadline(time.Now().Add(time.Minute)),
					"EnableFullDuplex": rc.EnableFullDuplex(),
				} {
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
				s.Count = 3
			}))
			want(t, "sealed", a.count(a.call("/", a.seal(&writerState{}))), 3)
		})
	}
}

// Gin's Context.Stream asks for this without looking whether it is there. What
// changes after it is still sealed.
func TestWriterCloseNotify(t *testing.T) {
	type closeNotifier interface{ CloseNotify() <-chan bool }
	for name, serve := range map[string]func(*writerApp, http.Handler){
		"HTTP 1":          (*writerApp).serve,
		"HTTP 1, wrapped": func(a *writerApp, h http.Handler) { a.serve(writerWrapped(h)) },
		"HTTP 2":          (*writerApp).serveHTTP2,
	} {
		t.Run(name, func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{})
			told := make(chan bool, 1)
			a.mux.Handle("/", writerHandle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
				gone := w.(closeNotifier).CloseNotify()
				s.Count = 2
				w.(http.Flusher).Flush()
				told <- gone != nil && <-gone
			}))
			serve(a, a.mw.Handler(a.mux))

			b := a.browser()
			ctx, leave := context.WithCancel(t.Context())
			req := b.request("POST", "/", http.NoBody).WithContext(ctx)
			req.Header.Set("Page-State", a.seal(&writerState{Count: 1}))
			res, err := b.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			want(t, "sealed", a.count(answer{res, ""}), 2)
			leave()
			want(t, "told", <-told, true)
		})
	}
	t.Run("none inside", func(t *testing.T) {
		a := newWriterApp(t, pagestate.Options{})
		a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			want(t, "a channel", w.(closeNotifier).CloseNotify() != nil, false)
		})
		a.mw.Handler(a.mux).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	})
}

// With full duplex, the answer begins before the request has ended.
func TestWriterFullDuplex(t *testing.T) {
	a := newWriterApp(t, pagestate.Options{})
	a.mux.Handle("/", writerHandle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		s.Count = 2
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			fmt.Fprintln(w, "got", lines.Text())
			w.(http.Flusher).Flush()
		}
	}))
	b := a.browser()
	body, send := io.Pipe()
	req := b.request("POST", "/", body)
	req.Header.Set("Page-State", a.seal(&writerState{}))
	go fmt.Fprintln(send, "one")
	res, err := b.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	go func() {
		fmt.Fprintln(send, "two")
		send.Close()
	}()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "body", string(all), "got one\ngot two\n")
	want(t, "sealed", a.count(answer{res, ""}), 2)
}

func TestWriterMaxBytesReader(t *testing.T) {
	a := newWriterApp(t, pagestate.Options{})
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 10)
		var tooLarge *http.MaxBytesError
		if err := r.ParseForm(); errors.As(err, &tooLarge) {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		fmt.Fprint(w, r.PostForm.Get("a"))
	})
	for body, c := range map[string]struct {
		status int
		text   string
	}{
		"a=1234567":                    {200, "1234567"},
		"a=12345678":                   {200, "12345678"},
		"a=123456789":                  {413, "http: request body too large\n"},
		"a=" + strings.Repeat("1", 99): {413, "http: request body too large\n"},
	} {
		b := a.browser()
		req := b.request("POST", "/", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		got := b.send(req)
		want(t, "status", got.StatusCode, c.status)
		want(t, "body", got.Body, c.text)
	}
}

// An error that a handler returns drops what it changed, and is only logged
// once bytes have left the handler, even if they are still held back.
func TestWriterHandleError(t *testing.T) {
	direct := func(h http.Handler) http.Handler { return h }
	held := func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "") }
	for name, c := range map[string]struct {
		wrap   func(http.Handler) http.Handler
		write  bool
		status int
		count  int
	}{
		"before":       {direct, false, 500, -1},
		"after":        {direct, true, 200, 2},
		"before, held": {held, false, 500, -1},
		"after, held":  {held, true, 200, -1},
	} {
		t.Run(name, func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{})
			a.mux.Handle("/", c.wrap(pagestate.Handle(func(w http.ResponseWriter, _ *http.Request, s *writerState) error {
				s.Count = 2
				if c.write {
					fmt.Fprint(w, "body")
				}
				s.Count = 3
				return errors.New("oh")
			})))
			got := a.call("/", a.seal(&writerState{}))
			want(t, "status", got.StatusCode, c.status)
			want(t, "sealed", a.count(got), c.count)
			want(t, "handler's body", got.Body == "body", c.write)
			want(t, "errors", a.logged("ERROR", "oh"), 1)
			want(t, "lines in the log", a.logged(""), 1)
		})
	}
}

func TestPanicsSealNothing(t *testing.T) {
	recoverWith := func(status int, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				if recover() != nil {
					w.WriteHeader(status)
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
	panics := pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
		c.Count++
		panic("half done")
	})
	a := newCounterApp(t, pagestate.Options{Session: pagestate.Unbound()})
	a.mux.Handle("/inside", recoverWith(303, panics))
	a.mux.HandleFunc("/status", func(w http.ResponseWriter, r *http.Request) {
		c, err := pagestate.From[counter](r.Context())
		if err != nil {
			t.Error(err)
		}
		c.Count++
		w.WriteHeader(0) // which net/http panics over
	})
	outside := httptest.NewServer(recoverWith(500, a.mw.Handler(a.mux)))
	defer outside.Close()
	token := mustSeal(t, a.mw, pagestate.Owner{}, &counter{})
	for _, url := range []string{a.URL + "/inside", outside.URL + "/inside", outside.URL + "/status"} {
		req, err := http.NewRequest("POST", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Page-State", token)
		res := a.browser().send(req)
		want(t, "token of "+res.Request.URL.Path, res.token(), "")
	}
}
