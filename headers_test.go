package pagestate_test

// What a response with a state says to caches.

import (
	"errors"
	"fmt"
	"io"
	"net/http"
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
	testkit.Want(t, "Cache-Control", res.Header.Get("Cache-Control"), "no-store")
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
