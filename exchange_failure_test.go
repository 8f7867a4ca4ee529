package pagestate_test

// What becomes of states, and of the response, when a handler, a seal or a codec
// fails.

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

func TestWriteErrorOfAHandlerIsLogged(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{})
	b := a.browser()
	token := b.Get("/").Field()
	res := b.serve("POST", "/gives-up", token, func(w http.ResponseWriter, r *http.Request) {
		c, err := pagestate.From[counter](r.Context())
		if err != nil {
			t.Error(err)
		}
		c.Count++
		pagestate.WriteError(w, r, fmt.Errorf("giving up: %w", pagestate.ErrForbidden))
	})
	testkit.Want(t, "status", res.StatusCode, 403)
	testkit.Want(t, "sealed", res.Token(), "")
	testkit.Want(t, "logged", strings.Count(a.log.String(), "giving up"), 1)
	b.Call("POST", "/increment", "garbage")
	testkit.Want(t, "logged by the middleware", strings.Count(a.log.String(), "code=InvalidState"), 1)
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
				req := b.Request("GET", "/", nil)
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
				testkit.Want(t, "status", res.StatusCode, c.status)
				testkit.Want(t, "header", res.Header.Get("Page-State"), "")
				testkit.Want(t, "log", a.log.String(), "")
			})
		}
	}
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
				testkit.Want(t, "status", got.StatusCode, status)
				testkit.Want(t, "body", got.Body, "body")
				testkit.Want(t, "sealed", a.count(got), count)
				testkit.Want(t, "cache", got.Header.Get("Cache-Control"), "no-store")
				testkit.Want(t, "state was looked at", encoded.Load() > 0, count != -1)
				testkit.Want(t, "log", a.log.String(), "")
			})
		}
	}
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
	testkit.Want(t, "status", got.StatusCode, 500)
	testkit.Want(t, "body", strings.Contains(got.Body, `{"success":false,"error":{"code":"StateError",`) && strings.HasSuffix(got.Body, "}}"), true)
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
		testkit.Want(t, header, got.Header.Get(header), value)
	}
	testkit.Want(t, "length", got.ContentLength, int64(len(got.Body)))
	testkit.Want(t, "errors in the log", a.logged("ERROR", "StateError"), 1)
	testkit.Want(t, "lines in the log", a.logged(""), 1)
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
			testkit.Want(t, "status", a.call("/", a.seal(&writerState{})).StatusCode, 500)
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
	testkit.Want(t, "status", got.StatusCode, 500)
	testkit.Want(t, "encoding", got.Header.Get("Content-Encoding"), "identity")
}

// An ErrorHandler finds a clean header too, and the cause, which is never what
// the application's code made of it.
func TestWriterSealFailsToErrorHandler(t *testing.T) {
	a := newWriterApp(t, pagestate.Options{ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
		status, code := pagestate.Status(err)
		testkit.Want(t, "length", w.Header().Get("Content-Length"), "")
		testkit.Want(t, "location", w.Header().Get("Location"), "")
		testkit.Want(t, "cause", strings.Contains(err.Error(), "sealing state"), true)
		_, missing := pagestate.From[writerState](r.Context())
		testkit.Want(t, "the state is in the context", missing, nil)
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
	testkit.Want(t, "status", got.StatusCode, 500)
	testkit.Want(t, "body", got.Body, "StateError")
	testkit.Want(t, "cache", got.Header.Get("Cache-Control"), "no-store")
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
				testkit.Want(t, "status", got.StatusCode, 500)
				testkit.Want(t, "body", got.Body, "sorry\n")
				testkit.Want(t, "header", got.Token(), "")
				testkit.Want(t, "log", a.log.String(), "")
			})
		}
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
			testkit.Want(t, "status", got.StatusCode, c.status)
			testkit.Want(t, "sealed", a.count(got), c.count)
			testkit.Want(t, "handler's body", got.Body == "body", c.write)
			testkit.Want(t, "errors", a.logged("ERROR", "oh"), 1)
			testkit.Want(t, "lines in the log", a.logged(""), 1)
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
		res := a.browser().Send(req)
		testkit.Want(t, "token of "+res.Request.URL.Path, res.Token(), "")
	}
}

// An error page seals what changed in a child no more than what changed in the
// component that acts.
func TestFailureAndChildren(t *testing.T) {
	for _, changed := range []bool{false, true} {
		var child *counter
		var tokenErr error
		a := newFamilyApp(t, pagestate.Options{ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			var token string
			token, tokenErr = pagestate.Token(r.Context(), child)
			io.WriteString(w, token)
		}})
		a.mux.Handle("/fail", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, parent *counter) (err error) {
			if child, err = pagestate.Child[counter](r.Context(), parent, "it", nil); err != nil {
				t.Error(err)
			}
			if changed {
				child.Count = 100
			}
			return errors.New("the handler's")
		}))
		b := a.browser()
		tokens := strings.Fields(b.Get("/").Body)
		req := b.Request("POST", "/fail", nil)
		req.Header.Set("Page-State", strings.Join(tokens, ","))
		testkit.Want(t, fmt.Sprintf("changed %t: the child's token", changed), b.Send(req).Body == tokens[1], !changed)
		testkit.Want(t, fmt.Sprintf("changed %t: an error", changed), tokenErr != nil, changed)
	}
}
