package pagestate_test

// What becomes of states, and of the response, when a handler, a seal or a codec
// fails.

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
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
				testkit.Want(t, "cache", got.Header.Get("Cache-Control"), "private, no-cache")
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
	"codec":        func(s *writerState) { s.Coded.encode = func() error { return errWriterCodec } },
	"codec, stale": func(s *writerState) { s.Coded.encode = func() error { return pagestate.ErrStale } },
	"codec, too large": func(s *writerState) {
		s.Coded.encode = func() error { return fmt.Errorf("a codec: %w", pagestate.ErrTooLarge) }
	},
	"codec, cancelled": func(s *writerState) { s.Coded.encode = func() error { return context.Canceled } },
	"too large":        func(s *writerState) { s.Text = strings.Repeat("x", 300<<10) },
	"too deep": func(s *writerState) {
		for range 100 {
			s.List = &writerList{s.List}
		}
	},
}

// writerLimits are those of them that are over a limit.
var writerLimits = []string{"too large", "too deep"}

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
				want := writerFailed
				if slices.Contains(writerLimits, reason) {
					want = writerTooLarge
				}
				t.Run(name+"/"+kind+"/"+reason, func(t *testing.T) { testWriterSealFails(t, handle, commit, spoil, want) })
			}
		}
	}
}

// writerRefusal is the answer to a state that cannot be sealed.
type writerRefusal struct {
	status      int
	code, level string
}

var (
	writerFailed   = writerRefusal{500, "StateError", "ERROR"}
	writerTooLarge = writerRefusal{413, "StateTooLarge", "INFO"}
)

func testWriterSealFails(t *testing.T,
	handle func(func(http.ResponseWriter, *http.Request, *writerState)) http.Handler,
	commit func(http.ResponseWriter, *http.Request), spoil func(*writerState), want writerRefusal) {
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
	testkit.Want(t, "status", got.StatusCode, want.status)
	testkit.Want(t, "body", strings.Contains(got.Body, `{"success":false,"error":{"code":"`+want.code+`",`) && strings.HasSuffix(got.Body, "}}"), true)
	for header, value := range map[string]string{
		"Page-State":       "",
		"Content-Type":     "application/json",
		"Content-Encoding": "",
		"Etag":             "",
		"Cache-Control":    "no-store",
		"X-Kept":           "yes",
	} {
		testkit.Want(t, header, got.Header.Get(header), value)
	}
	testkit.Want(t, "length", got.ContentLength, int64(len(got.Body)))
	testkit.Want(t, "errors in the log", a.logged(want.level, want.code), 1)
	testkit.Want(t, "lines in the log", a.logged(""), 1)
}

// tooLargeState holds a great deal in a field that is not the last.
type tooLargeState struct {
	pagestate.Component
	Title string
	Form  struct {
		Note string
		Text string
		Page int
	}
	Rows []string
	Wide [][40]int
	When time.Time
}

// TestTooLargeToSeal has states over each limit sealed in every way there is.
func TestTooLargeToSeal(t *testing.T) {
	for name, test := range map[string]struct {
		grow func(s *tooLargeState)
		want string // the field that holds the most
	}{
		"a text, with a small field at the limit": {func(s *tooLargeState) { s.Title = strings.Repeat(private, 1<<20) }, "tooLargeState.Title holds the most"},
		"a field of a field":                      {func(s *tooLargeState) { s.Form.Text, s.Form.Page = strings.Repeat("x", 200_000), 7 }, "tooLargeState.Form.Text holds the most"},
		"just over the limit": {func(s *tooLargeState) {
			s.Form.Note, s.Title = strings.Repeat("x", 100_000), strings.Repeat("x", 97_000)
		}, "tooLargeState.Form.Note holds the most"},
		"many elements": {func(s *tooLargeState) { s.Rows = make([]string, 1<<20+1) }, "tooLargeState.Rows holds the most"},
		"many elements, and a large text": {func(s *tooLargeState) {
			s.Title, s.Rows = strings.Repeat("x", 1<<20), make([]string, 1<<20+1)
		}, "tooLargeState.Rows holds the most"},
		"more memory than bytes": {func(s *tooLargeState) { s.Title, s.Wide = "x", make([][40]int, 8000) }, "tooLargeState.Wide holds the most"},
	} {
		t.Run(name, func(t *testing.T) {
			r := pagestate.NewRegistry()
			pagestate.Register[tooLargeState](r, "large")
			a := newApp(t, r, pagestate.Options{Session: pagestate.Unbound()})
			ways := map[string]func(w http.ResponseWriter, r *http.Request, s *tooLargeState) error{
				"/header": func(http.ResponseWriter, *http.Request, *tooLargeState) error { return nil },
				"/token": func(_ http.ResponseWriter, r *http.Request, s *tooLargeState) error {
					_, err := pagestate.Token(r.Context(), s)
					return err
				},
				"/field": func(_ http.ResponseWriter, r *http.Request, s *tooLargeState) error {
					_, err := pagestate.Field(r.Context(), s)
					return err
				},
				"/template": func(w http.ResponseWriter, _ *http.Request, s *tooLargeState) error {
					return template.Must(template.New("").Parse(`{{.StateField}}`)).Execute(w, s)
				},
				"/form": func(w http.ResponseWriter, _ *http.Request, s *tooLargeState) error {
					return template.Must(template.New("").Parse(`<form>{{.StateField}}</form>`)).Execute(w, s)
				},
			}
			for path, way := range ways {
				a.mux.Handle("POST "+path, pagestate.Handle(func(w http.ResponseWriter, r *http.Request, s *tooLargeState) error {
					test.grow(s)
					return way(w, r, s)
				}))
			}
			small, err := a.mw.Seal(pagestate.Owner{}, &tooLargeState{})
			if err != nil {
				t.Fatal(err)
			}
			for path := range ways {
				a.log.Reset()
				got := a.browser().Call("POST", path, small)
				testkit.Want(t, path, got.StatusCode, 413)
				testkit.WantText(t, path, got.Body, "StateTooLarge")
				testkit.WantText(t, path+": log", a.log.String(), "level=INFO", "code=StateTooLarge", test.want)
				testkit.Want(t, path+": an error", strings.Contains(a.log.String(), "level=ERROR"), false)
				wantNothingSecret(t, a.log.String(), nil)
			}
			large := new(tooLargeState)
			test.grow(large)
			_, sealed := a.mw.Seal(pagestate.Owner{}, large)
			_, resealed := a.mw.Reseal(t.Context(), pagestate.Owner{}, small, large)
			for what, err := range map[string]error{"Seal": sealed, "Reseal": resealed} {
				testkit.Want(t, what+" is ErrTooLarge", errors.Is(err, pagestate.ErrTooLarge), true)
				testkit.WantText(t, what, fmt.Sprint(err), test.want)
			}
		})
	}
}

// TestCodecErrorsAreFailures has a codec return the errors that have a meaning to a
// client: from Token too, they are mistakes of the server.
func TestCodecErrorsAreFailures(t *testing.T) {
	a := newWriterApp(t, pagestate.Options{})
	for i, meaning := range []error{
		pagestate.ErrStale, pagestate.ErrExpired, pagestate.ErrOutdated, pagestate.ErrConflict, pagestate.ErrInvalid, pagestate.ErrMissing,
		pagestate.ErrCrossOrigin, pagestate.ErrForbidden, pagestate.ErrTooLarge, pagestate.ErrUnavailable, context.Canceled, context.DeadlineExceeded,
	} {
		path := fmt.Sprintf("/%d", i)
		spoil := func(s *writerState) { s.Coded.encode = func() error { return fmt.Errorf("a codec: %w", meaning) } }
		a.mux.Handle("POST /token"+path, pagestate.Handle(func(_ http.ResponseWriter, r *http.Request, s *writerState) error {
			spoil(s)
			_, err := pagestate.Token(r.Context(), s)
			return err
		}))
		a.mux.Handle("POST /header"+path, writerHandle(func(_ http.ResponseWriter, _ *http.Request, s *writerState) { spoil(s) }))
		for _, way := range []string{"/token", "/header"} {
			testkit.Want(t, fmt.Sprint(way, meaning), a.call(way+path, a.seal(&writerState{})).StatusCode, 500)
		}
		s := new(writerState)
		spoil(s)
		_, err := a.mw.Seal(pagestate.Owner{}, s)
		status, _ := pagestate.Status(err)
		testkit.Want(t, fmt.Sprint("Seal: ", meaning), status, 500)
	}
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
