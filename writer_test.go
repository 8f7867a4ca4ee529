package pagestate_test

// The response writer: what commits a response, and that whatever net/http's own
// writer can do still works behind it.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

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
					testkit.Want(t, "protocol", got.ProtoMajor, c.proto)
					testkit.Want(t, "sealed", a.count(got), 2)
					testkit.Want(t, "revision", a.revision(got.Token()), 2)
					testkit.Want(t, "cache", got.Header.Get("Cache-Control"), "private, no-cache")
					testkit.Want(t, "warnings of the late change", a.logged("WARN", "too late", "component=state"), 1)
					testkit.Want(t, "lines in the log", a.logged(""), 1)
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
					testkit.Want(t, "status", got.StatusCode, status)
					testkit.Want(t, "sealed", a.count(got), count)
					testkit.Want(t, "log", a.log.String(), "")
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
	testkit.Want(t, "sealed", a.count(a.call("/", a.seal(&writerState{}))), 2)
	testkit.Want(t, "log", a.log.String(), "")
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
			req := b.Request("POST", "/", nil)
			req.Header.Set("Page-State", a.seal(&writerState{}))
			req = req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
					passed = append(passed, code)
					testkit.Want(t, "token in an informational response", h.Get("Page-State"), "")
					return nil
				},
			}))
			got := b.Send(req)
			a.running.Wait()
			testkit.Want(t, "passed", fmt.Sprint(passed), "[100 102 103]")
			testkit.Want(t, "status", got.StatusCode, 200)
			testkit.Want(t, "sealed", a.count(got), 4)
			testkit.Want(t, "log", a.log.String(), "")
		})
	}
}

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
			testkit.Want(t, "an answer", bare != "", true)
			testkit.Want(t, "wrapped", wrapped, bare)
			testkit.Want(t, "wrapped twice", twice, bare)
			testkit.Want(t, "log", a.log.String(), "")
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

// writerRaw is all bytes that a server of its own answers, except the time.
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
				testkit.Want(t, "body", got.Body == content, true)
				testkit.Want(t, "sealed", a.count(got), 2)
				// The rest is what net/http guesses the Content-Type from.
				testkit.Want(t, "copied by the operating system", copied >= int64(len(content)-2*512), true)
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
			testkit.Want(t, "sealed", a.count(a.call("/", a.seal(&writerState{}))), 3)
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
			req := b.Request("POST", "/", http.NoBody).WithContext(ctx)
			req.Header.Set("Page-State", a.seal(&writerState{Count: 1}))
			res, err := b.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			testkit.Want(t, "sealed", a.count(testkit.Answer{Response: res}), 2)
			leave()
			testkit.Want(t, "told", <-told, true)
		})
	}
	t.Run("none inside", func(t *testing.T) {
		a := newWriterApp(t, pagestate.Options{})
		a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			testkit.Want(t, "a channel", w.(closeNotifier).CloseNotify() != nil, false)
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
	req := b.Request("POST", "/", body)
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
	testkit.Want(t, "body", string(all), "got one\ngot two\n")
	testkit.Want(t, "sealed", a.count(testkit.Answer{Response: res}), 2)
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
		req := b.Request("POST", "/", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		got := b.Send(req)
		testkit.Want(t, "status", got.StatusCode, c.status)
		testkit.Want(t, "body", got.Body, c.text)
	}
}
