package backtest_test

import (
	"bytes"
	"crypto/rand"
	"embed"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/client"
)

// Counter is the component of all pages.
type Counter struct {
	pagestate.Component
	Count int
}

//go:embed page.html page.js
var files embed.FS

var pages = template.Must(template.ParseFS(files, "page.html"))

// view is a counter on its page.
type view struct {
	*Counter
	By, Cache string
}

func (v view) Script() bool { return strings.HasPrefix(v.By, "script") }
func (v view) Plain() bool  { return strings.HasPrefix(v.By, "plain") }
func (v view) Htmx() bool   { return strings.HasPrefix(v.By, "htmx") }

func (v view) Query() template.URL {
	return template.URL(url.Values{"by": {v.By}, "cache": {v.Cache}}.Encode())
}

// Site serves counters.
type Site struct {
	URL string

	mu    sync.Mutex
	loads int // how often a page was asked for, or a form sent
}

func newSite(t *testing.T, o pagestate.Options) *Site {
	t.Helper()
	secret := make([]byte, 32)
	rand.Read(secret)
	registry := pagestate.NewRegistry()
	pagestate.Register[Counter](registry, "counter")
	o.Secrets = [][]byte{secret}
	o.Logger = slog.New(slog.DiscardHandler)
	o.Session = pagestate.Cookie(http.Cookie{Name: "pagestate"})
	mw, err := pagestate.New(registry, o)
	if err != nil {
		t.Fatal(err)
	}
	s := new(Site)
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", pagestate.HandlePage(s.page))
	mux.Handle("POST /add", pagestate.Handle(s.add))
	mux.HandleFunc("GET /away", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `<!doctype html><title>Away</title><link rel="icon" href="data:,">
			<form method="post" action="/logout"><button class="keep">Log out</button><button class="clear" name="clear" value="1">Log out</button></form>`)
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		if err := mw.Renew(w, r); err != nil {
			t.Error(err)
		}
		if r.PostFormValue("clear") != "" {
			w.Header().Set("Clear-Site-Data", `"cache"`)
		}
		io.WriteString(w, `<!doctype html><title>Bye</title><link rel="icon" href="data:,">`)
	})
	mux.Handle("GET /pagestate.js", client.Handler())
	mux.Handle("GET /page.js", http.FileServerFS(files))
	mux.Handle("GET /{htmx}/htmx.min.js", http.FileServer(http.Dir("../static")))
	server := httptest.NewServer(mw.Handler(mux))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

func (s *Site) load() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
}

// loaded is how often a page was asked for, or a form sent.
func (s *Site) loaded() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loads
}

// page shows a counter: ?by=htmx&cache=no-store
func (s *Site) page(w http.ResponseWriter, r *http.Request) error {
	s.load()
	c, err := pagestate.FromOrAttach(r.Context(), &Counter{})
	if err != nil {
		return err
	}
	return s.show(w, r, http.StatusOK, "page", c)
}

// add counts one. What it answers depends on what sends the form.
func (s *Site) add(w http.ResponseWriter, r *http.Request, c *Counter) error {
	s.load()
	c.Count++
	query := r.URL.Query()
	switch page := "/?" + query.Encode(); query.Get("by") {
	case "plain", "script-redirect":
		return pagestate.Redirect(w, r, page, c)
	case "plain-422":
		return s.show(w, r, http.StatusUnprocessableEntity, "page", c)
	case "htmx-url":
		link, err := pagestate.Link(r, page, c)
		if err != nil {
			return err
		}
		w.Header().Set("HX-Replace-Url", link)
	}
	return s.show(w, r, http.StatusOK, "counter", c)
}

func (s *Site) show(w http.ResponseWriter, r *http.Request, status int, name string, c *Counter) error {
	query := r.URL.Query()
	v := view{c, query.Get("by"), query.Get("cache")}
	if v.Cache == "no-store" {
		w.Header().Set("Cache-Control", "no-store")
	}
	var body bytes.Buffer
	if err := pages.ExecuteTemplate(&body, name, v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, err := body.WriteTo(w)
	return err
}
