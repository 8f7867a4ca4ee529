package pagestate_test

// When a state is sealed into a response: over a real server, since what leaves
// and when is up to net/http.

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/sessions"
	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

func TestUnchangedStateSendsNoToken(t *testing.T) {
	b := newCounterApp(t, pagestate.Options{}).browser()
	token := b.Get("/").Field()
	res := b.Call("GET", "/show", token)
	testkit.Want(t, "body", res.Body, "count=0")
	testkit.Want(t, "token", res.Token(), "")
}

func TestWriterSealsAtTheEnd(t *testing.T) {
	for kind, handle := range writerKinds {
		t.Run(kind, func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{})
			a.mux.Handle("/", handle(func(_ http.ResponseWriter, _ *http.Request, s *writerState) { s.Count++ }))
			got := a.call("/", a.seal(&writerState{Count: 1}))
			testkit.Want(t, "status", got.StatusCode, 200)
			testkit.Want(t, "sealed", a.count(got), 2)
			testkit.Want(t, "revision", a.revision(got.Token()), 2)
			testkit.Want(t, "log", a.log.String(), "")
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
	testkit.Want(t, "sealed", a.count(got), 2)
	var acting, attached string
	fmt.Sscan(got.Body, &acting, &attached)
	testkit.Want(t, "page", got.Body, strings.Repeat(acting+" "+attached+"\n", 2))
	testkit.Want(t, "header and page hold one token", acting, got.Token())
	testkit.Want(t, "revision of the one attached", a.revision(attached), 1)
	testkit.Want(t, "log", a.log.String(), "")
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
			testkit.Want(t, "header", got.Token(), "")
			testkit.Want(t, "warnings", a.logged("WARN", "too late", "component=state"), c.warnings)
			testkit.Want(t, "lines in the log", a.logged(""), c.warnings)
		})
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
					page := b.Get("/page")
					if inside {
						a.serve(writerThen(a.mw.Handler(timeout(a.mux)), answered))
					} else {
						a.serve(writerThen(timeout(a.mw.Handler(a.mux)), answered))
					}
					got := b.Call("POST", "/", page.Body)
					if got.StatusCode != http.StatusServiceUnavailable {
						t.Fatalf("got status %d: %s", got.StatusCode, got.Body)
					}
					<-ended
					a.running.Wait()
					testkit.Want(t, "body", got.Body, "late")
					testkit.Want(t, "header", got.Token(), "")
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
			page := b.Get("/page")
			testkit.Want(t, "cookies", writerNames(page.Cookies()), "binding lang theme")
			testkit.Want(t, "vary", page.Header.Get("Vary"), "Accept-Encoding, Cookie, Page-State, HX-Request, Accept")
			first := b.Call("POST", "/add", page.Body)
			testkit.Want(t, "first", first.Body, "2")
			second := b.Call("POST", "/add", first.Token())
			testkit.Want(t, "what is written last is sealed only where all is held back", second.Body, map[bool]string{true: "3", false: "4"}[name == "outside"])
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
			testkit.Want(t, "header", got.Token() != "", c.header)
			warnings := 0
			if c.warn != "" {
				warnings = 1
			}
			testkit.Want(t, "warnings", a.logged("WARN", c.warn, "component=state"), warnings)
			testkit.Want(t, "lines in the log", a.logged(""), warnings)
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
	testkit.Want(t, "a token", a.call("/", a.seal(&writerState{})).Token() != "", true)
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
	testkit.Want(t, "log", a.log.String(), "")
	a.call("/changed", token)
	testkit.Want(t, "warnings", a.logged("WARN", "redirect", "component=state"), 1)
	testkit.Want(t, "lines in the log", a.logged(""), 1)
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
			testkit.Want(t, "status", got.StatusCode, c.status)
			testkit.Want(t, "header", got.Token() != "", c.header)
			testkit.Want(t, "lines in the log", a.logged(""), min(1, len(c.log)))
			testkit.Want(t, "what they say", strings.Contains(a.log.String(), c.log), true)
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
				testkit.Want(t, "header", got.Token(), "")
			} else {
				testkit.Want(t, "sealed", a.count(got), 1)
				testkit.Want(t, "revision", a.revision(got.Token()), c.revision)
			}
			testkit.Want(t, "log", a.log.String(), "")
		})
	}
}

func TestWriterRedirect(t *testing.T) {
	for status, warnings := range map[int]int{299: 0, 301: 1, 302: 1, 303: 1, 304: 0, 307: 1, 308: 1, 400: 0} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			a := newWriterApp(t, pagestate.Options{})
			a.mux.Handle("/", writerHandle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
				s.Count = 2
				w.WriteHeader(status)
			}))
			testkit.Want(t, "sealed", a.count(a.call("/", a.seal(&writerState{}))), 2)
			testkit.Want(t, "warnings", a.logged("WARN", "redirect", "component=state"), warnings)
			testkit.Want(t, "lines in the log", a.logged(""), warnings)
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
	testkit.Want(t, "revision in the page", a.revision(got.Body), 2)
	testkit.Want(t, "revision in the header", a.revision(got.Token()), 2)
	testkit.Want(t, "sealed", a.count(got), 3)
	testkit.Want(t, "warnings", a.logged("WARN", "older than the header", "component=state"), 1)
	testkit.Want(t, "lines in the log", a.logged(""), 1)
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
			page := b.Get("/page")
			testkit.Want(t, "cookies", len(page.Cookies()), 1)
			testkit.Want(t, "status", b.Call("POST", "/", page.Body).StatusCode, 200)
			testkit.Want(t, "log", a.log.String(), "")
		})
	}
	testkit.Want(t, "sessions made", slow.made.Load(), 1)
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

// A logger may ask for the state it logs about, and whose it is, and so must not be
// called while either is locked.
func TestWriterLoggerAsks(t *testing.T) {
	logger := &writerCuriousLogger{Handler: slog.DiscardHandler}
	a := newWriterApp(t, pagestate.Options{Logger: slog.New(logger), MaxHeaderBytes: 1})
	logger.mw = a.mw
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
		s.Count++
		if err := a.mw.Renew(w, r); err != nil {
			t.Error(err)
		}
	}))
	a.mux.Handle("/failed", writerHandle(func(w http.ResponseWriter, r *http.Request, s *writerState) { writerSpoils["codec"](s) }))
	for path, records := range map[string]int64{"/early": 2, "/late": 1, "/renew": 1, "/failed": 1} {
		logger.asked.Store(0)
		a.call(path, a.seal(&writerState{}))
		testkit.Want(t, "records of "+path, logger.asked.Load(), records)
	}
}

type writerCuriousLogger struct {
	slog.Handler
	mw    *pagestate.Middleware
	asked atomic.Int64
}

func (l *writerCuriousLogger) Enabled(context.Context, slog.Level) bool { return true }

func (l *writerCuriousLogger) Handle(ctx context.Context, _ slog.Record) error {
	_, stateErr := pagestate.From[writerState](ctx)
	_, ownerErr := l.mw.Owner(new(http.Request).WithContext(ctx))
	if stateErr == nil && ownerErr == nil {
		l.asked.Add(1)
	}
	return nil
}
