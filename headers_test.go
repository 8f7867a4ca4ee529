package pagestate_test

// What a response with a state says to caches.

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

func TestQuotedCacheControl(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{})
	res := a.browser().serve("GET", "/quoted", "", func(w http.ResponseWriter, r *http.Request) {
		if err := pagestate.Attach(r.Context(), &counter{}); err != nil {
			t.Error(err)
		}
		w.Header().Set("Cache-Control", `no-cache="a, private, b", public`)
	})
	testkit.Want(t, "Cache-Control", res.Header.Get("Cache-Control"), "private, no-cache")
}

func TestOwnCacheControl(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{CacheControl: "private, no-store"})
	page := a.browser().Get("/")
	testkit.Want(t, "page", page.Header.Get("Cache-Control"), "private, no-store")
	res := a.browser().Call("POST", "/increment", "garbage")
	testkit.Want(t, "error", res.Header.Get("Cache-Control"), "no-store")
	res = a.browser().serve("GET", "/cached", "", func(w http.ResponseWriter, r *http.Request) {
		if err := pagestate.Attach(r.Context(), &counter{}); err != nil {
			t.Error(err)
		}
		w.Header().Set("Cache-Control", "public")
	})
	testkit.Want(t, "of a handler", res.Header.Get("Cache-Control"), "private, no-store")
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
		"nothing":           {func(http.ResponseWriter, *http.Request) {}, "private, no-cache", all, 0},
		"Write":             {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "body") }, "private, no-cache", all, 0},
		"ServeFile":         {func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) }, "private, no-cache", all, 0},
		"ServeFile, 404":    {func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file+"x") }, "private, no-cache", all, 0},
		"ServeContent, 500": {failing, "private, no-cache", all, 0},
		"Error":             {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 400) }, "private, no-cache", all, 0},
		"Redirect":          {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusSeeOther) }, "private, no-cache", all, 0},
		"304":               {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }, "private, no-cache", all, 0},
		"no-store":          {setting("Cache-Control", "no-store, max-age=0"), "no-store, max-age=0", all, 0},
		"private":           {setting("Cache-Control", "max-age=60, Private"), "max-age=60, Private", all, 0},
		"private in part":   {setting("Cache-Control", `private="set-cookie", max-age=60`), "private, no-cache", all, 1},
		"no-cache":          {setting("Cache-Control", "no-cache"), "private, no-cache", all, 1},
		"public":            {setting("Cache-Control", "public, max-age=60"), "private, no-cache", all, 1},
		"for one cache":     {setting("CDN-Cache-Control", "max-age=60"), "private, no-cache", all, 1},
		"for another cache": {setting("Surrogate-Control", "max-age=60"), "private, no-cache", all, 1},
		"private at all": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Cache-Control"] = []string{"max-age=60", "private"}
		}, "max-age=60", all, 0},
		"in part, except for Akamai": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("Edge-Control", "!no-store, max-age=1d")
		}, "no-store", all, 1},
		"not for that cache": {setting("CDN-Cache-Control", "no-store"), "private, no-cache", all, 0},
		"Vary":               {setting("Vary", "Accept-Encoding, cookie"), "private, no-cache", "Accept-Encoding, cookie, Page-State, HX-Request, Accept", 0},
		"Vary: *":            {setting("Vary", "*"), "private, no-cache", "*", 0},
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
					testkit.Want(t, "set before the handler", fmt.Sprint(w.Header()), "map[]")
					c.h(w, r)
				})
				token := ""
				if when == "a token" {
					token = a.seal(&writerState{})
				}
				got := a.call("/", token)
				testkit.Want(t, "cache", got.Header.Get("Cache-Control"), c.cache)
				testkit.Want(t, "vary", strings.Join(got.Header.Values("Vary"), ", "), c.vary)
				testkit.Want(t, "warnings", a.logged("WARN", "let caches share"), c.warnings)
				wantPrivate(t, got.Header)
			})
		}
	}
}

// cacheHeaders are what caches go by: all of them, or one kind alone.
var cacheHeaders = []string{
	"Cache-Control", "CDN-Cache-Control", "Cloudflare-CDN-Cache-Control", "Netlify-CDN-Cache-Control",
	"Vercel-CDN-Cache-Control", "Edge-Cache-Control", "X-LiteSpeed-Cache-Control", "Surrogate-Control", "Edge-Control", "X-Accel-Expires",
}

// share lets every cache there is keep the response.
func share(w http.ResponseWriter) {
	for _, name := range cacheHeaders {
		w.Header().Set(name, "public, max-age=600")
	}
	w.Header().Set("X-Accel-Expires", "600")
}

func wantPrivate(t *testing.T, h http.Header) {
	t.Helper()
	for _, name := range cacheHeaders {
		value := strings.ToLower(strings.Join(h.Values(name), ", "))
		forbidden := strings.Contains(value, "no-store") || strings.Contains(value, "private")
		if value != "" && value != "0" && (!forbidden || strings.Contains(value, "!")) {
			t.Errorf("%s: %s", name, value)
		}
	}
	if h.Get("Cache-Control") == "" {
		t.Error("there is no Cache-Control")
	}
	if vary := h.Get("Vary"); vary != "*" && !strings.Contains(strings.ToLower(vary), "cookie") {
		t.Errorf("Vary: %s", vary)
	}
}

// What forbids one kind of cache to share is kept, and is not warned of.
func TestCacheHeaders(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        string
	}{
		{"CDN-Cache-Control", "private", "private"},
		{"Cloudflare-CDN-Cache-Control", "max-age=60", "no-store"},
		{"Netlify-CDN-Cache-Control", "public, durable", "no-store"},
		{"Vercel-CDN-Cache-Control", "no-store=?0", "no-store"},
		{"Edge-Cache-Control", "s-maxage=60", "no-store"},
		{"Surrogate-Control", "no-store", "no-store"},
		{"Surrogate-Control", `no-store, content="ESI/1.0"`, "no-store"},
		{"Surrogate-Control", "private, max-age=60", "no-store"}, // it knows no private
		{"Edge-Control", "no-store", "no-store"},
		{"Edge-Control", "bypass-cache", "bypass-cache"},
		{"Edge-Control", "!no-store, bypass-cache", "no-store"},
		{"Edge-Control", "cache-maxage=7d", "no-store"},
		{"X-Accel-Expires", "0", "0"},
		{"X-Accel-Expires", "@1893456000", "0"},
		{"X-Accel-Expires", "no-store", "0"}, // which nginx does not understand
		{"Cache-Control", "bypass-cache", "private, no-cache"},
	} {
		t.Run(tt.name+": "+tt.value, func(t *testing.T) {
			a := newCounterApp(t, pagestate.Options{})
			res := a.browser().serve("GET", "/cached", "", func(w http.ResponseWriter, r *http.Request) {
				if err := pagestate.Attach(r.Context(), &counter{}); err != nil {
					t.Error(err)
				}
				w.Header().Set(tt.name, tt.value)
			})
			testkit.Want(t, "header", res.Header.Get(tt.name), tt.want)
			testkit.Want(t, "warned", strings.Contains(a.log.String(), "let caches share"), tt.value != tt.want)
			if tt.name != "Cache-Control" {
				testkit.Want(t, "Cache-Control", res.Header.Get("Cache-Control"), "private, no-cache")
			}
		})
	}
}

// Whatever way a response takes, no cache may share it: with what was set before
// and after, by whom ever.
func TestEveryResponseIsPrivate(t *testing.T) {
	// buffered sends nothing before h has returned, and then what is set by then.
	buffered := func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "") }
	direct := func(h http.Handler) http.Handler { return h }
	unsealable := pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
		share(w)
		c.Note = strings.Repeat("x", 300<<10)
		return nil
	})
	failing := pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error { return errors.New("the handler's") })
	for name, tt := range map[string]struct {
		errorHandler func(http.ResponseWriter, *http.Request, error)
		handler      func(a *app) http.Handler // the whole of it
		status       int
	}{
		"Renew outside of Handler": {nil, func(a *app) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				share(w)
				testkit.Want(t, "Renew", a.mw.Renew(w, r), nil)
			})
		}, 200},
		"Renew around Handler": {nil, func(a *app) http.Handler {
			inside := a.mw.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { share(w) }))
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del("Page-State")
				testkit.Want(t, "Renew", a.mw.Renew(w, r), nil)
				inside.ServeHTTP(w, r)
			})
		}, 200},
		"ErrorHandler after a failed seal": {func(w http.ResponseWriter, r *http.Request, err error) {
			share(w)
			w.WriteHeader(http.StatusInternalServerError)
		}, func(a *app) http.Handler { return a.mw.Handler(unsealable) }, 500},
		"ErrorHandler after a failed seal that streams": {func(w http.ResponseWriter, r *http.Request, err error) {
			share(w)
			http.NewResponseController(w).Flush()
		}, func(a *app) http.Handler { return a.mw.Handler(unsealable) }, 200},
		"ErrorHandler after a failed seal that writes nothing": {func(w http.ResponseWriter, r *http.Request, err error) {
			share(w)
		}, func(a *app) http.Handler { return a.mw.Handler(unsealable) }, 200},
		"ErrorHandler": {func(w http.ResponseWriter, r *http.Request, err error) {
			share(w)
			w.WriteHeader(http.StatusInternalServerError)
		}, func(a *app) http.Handler { return a.mw.Handler(failing) }, 500},
		"WriteError": {nil, func(a *app) http.Handler {
			return a.mw.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				share(w)
				pagestate.WriteError(w, r, pagestate.ErrForbidden)
			}))
		}, 403},
		"WriteError outside of Handler": {nil, func(a *app) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				share(w)
				pagestate.WriteError(w, r, pagestate.ErrForbidden)
			})
		}, 403},
		"after the first byte": {nil, func(a *app) http.Handler {
			return buffered(a.mw.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "body")
				share(w)
			})))
		}, 200},
		"after a panic": {nil, func(a *app) http.Handler {
			panics := a.mw.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				share(w)
				panic("oh")
			}))
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() { recover() }()
				panics.ServeHTTP(w, r)
			})
		}, 200},
		"of a handler that is held back": {nil, func(a *app) http.Handler {
			return a.mw.Handler(http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { share(w) }), time.Minute, ""))
		}, 200},
	} {
		for kind, around := range map[string]func(http.Handler) http.Handler{"direct": direct, "buffered": buffered} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				a := newCounterApp(t, pagestate.Options{ErrorHandler: tt.errorHandler})
				b := a.browser()
				token := b.Get("/").Field()
				server := httptest.NewServer(around(tt.handler(a)))
				defer server.Close()
				a.URL = server.URL
				res := b.Call("POST", "/any", token)
				testkit.Want(t, "status", res.StatusCode, tt.status)
				wantPrivate(t, res.Header)
			})
		}
	}
}

// The headers that come ahead of a response are no different.
func TestInformationalResponsesArePrivate(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{})
	a.mux.HandleFunc("/hints", func(w http.ResponseWriter, r *http.Request) {
		share(w)
		w.WriteHeader(http.StatusEarlyHints)
		share(w)
	})
	b := a.browser()
	req := b.Request("POST", "/hints", nil)
	req.Header.Set("Page-State", b.Get("/").Field())
	hints := 0
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
			hints++
			wantPrivate(t, http.Header(h))
			return nil
		},
	}))
	wantPrivate(t, b.Send(req).Header)
	testkit.Want(t, "hints", hints, 1)
}

type writerUnseekable struct{ io.Reader }

func (writerUnseekable) Seek(int64, int) (int64, error) { return 0, errors.New("cannot seek") }
