// Package clienttest_test drives the browser script through pages that show no
// more than it takes: a counter, or two, one inside the other. This file holds
// their server; what the script has to do stands in the other files.
package clienttest_test

import (
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/client"
)

// Counter is the component of all these pages.
type Counter struct {
	pagestate.Component
	Name  string
	Count int
	Pad   string // makes tokens long
}

// Driver is what sends the requests of a page.
type Driver string

const (
	fetches Driver = "fetch" // the script's fetch
	forms   Driver = "form"  // <form data-page-state-form>
	htmx2   Driver = "htmx2"
	htmx4   Driver = "htmx4"
)

var drivers = []Driver{fetches, forms, htmx2, htmx4}

//go:embed page.html page.js datastar1.js
var files embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"refusals": func() []string { return slices.Sorted(maps.Keys(refusals)) },
}).ParseFS(files, "page.html"))

// Site serves counters, and lets a test hold answers back and delete the data.
type Site struct {
	redirect http.Handler // in front of the middleware, nil for none
	t        *testing.T
	URL      string
	mw       *pagestate.Middleware
	mux      *http.ServeMux
	server   *httptest.Server

	mu       sync.Mutex
	gone     map[string]bool // names whose data was deleted
	held     map[string]chan struct{}
	running  int
	together int // the most requests that ran at the same time
	requests []string
	bare     int             // how many of them had no token in the header
	owner    pagestate.Owner // of the last one
	answers  map[string]answer
	finished bool   // whether a library's page has no controls any more
	policy   string // Content-Security-Policy
	pages    int    // how often the page was asked for
}

// answer is what a test lets the site answer to a form. The counter is that of the
// root around it.
type answer func(w http.ResponseWriter, r *http.Request, c *Counter) error

// behindProxy answers what is posted with the redirect of redirectInFront, if there is
// one.
func (s *Site) behindProxy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.redirect != nil && r.Method == "POST" {
			s.redirect.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// redirectInFront has a redirect answer that the middleware does not see.
func (s *Site) redirectInFront(url string, status int) {
	s.redirect = http.RedirectHandler(url, status)
}

func newSite(t *testing.T) *Site {
	t.Helper()
	s := &Site{t: t, gone: map[string]bool{}, held: map[string]chan struct{}{}, answers: map[string]answer{}, policy: policy}
	secret := make([]byte, 32)
	rand.Read(secret)
	registry := pagestate.NewRegistry()
	pagestate.Register[Counter](registry, "counter", pagestate.LoadWith(s.load))
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{secret},
		Session: pagestate.Cookie(http.Cookie{Name: "pagestate"}),
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.mw = mw
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.Handle("POST /add", pagestate.Handle(s.add))
	mux.Handle("GET /look", pagestate.Handle(s.look))
	mux.Handle("POST /refuse", pagestate.Handle(s.refuse))
	mux.Handle("POST /leave", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *Counter) error {
		c.Count = 0
		to := r.URL.Query().Get("to")
		if to == "" {
			to = "/?inside=1"
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}))
	mux.Handle("POST /nothing", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *Counter) error {
		c.Count++
		w.WriteHeader(http.StatusNoContent)
		return nil
	}))
	mux.Handle("POST /without", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *Counter) error {
		outer := &Counter{Name: "outer", Count: 9}
		if err := pagestate.Attach(r.Context(), outer); err != nil {
			return err
		}
		return pages.ExecuteTemplate(w, "page", view{Counter: outer, Driver: forms})
	}))
	mux.Handle("POST /say/{name}", pagestate.Handle(s.say))
	mux.Handle("GET /pagestate.js", client.Handler())
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /socket", s.socket)
	mux.Handle("GET /libraries/{name}/{file}", http.FileServer(http.Dir(".")))
	mux.Handle("GET /{htmx}/htmx.min.js", http.FileServer(http.Dir("../static")))
	s.mux = mux
	s.server = httptest.NewServer(s.watch(s.behindProxy(mw.Handler(mux))))
	s.URL = s.server.URL
	t.Cleanup(s.server.Close)
	return s
}

const policy = "default-src 'none'; script-src 'self'; connect-src 'self'; form-action 'self'; style-src 'unsafe-inline'; img-src data:"

// watch notes what requests carry, and holds back those that a test wants to.
func (s *Site) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", s.policy)
		if r.URL.Path == "/" {
			s.mu.Lock()
			s.pages++
			s.mu.Unlock()
		}
		if r.URL.Path != "/add" && r.URL.Path != "/look" && r.URL.Path != "/refuse" && !strings.HasPrefix(r.URL.Path, "/say/") && !strings.HasPrefix(r.URL.Path, "/fit/") {
			next.ServeHTTP(w, r)
			return
		}
		owner, err := s.mw.Owner(r)
		if err != nil {
			s.t.Error(err)
		}
		s.mu.Lock()
		s.owner = owner
		s.running++
		s.together = max(s.together, s.running)
		held := s.held[r.URL.Path]
		delete(s.held, r.URL.Path)
		s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI())
		if r.Header.Get("Page-State") == "" {
			s.bare++
		}
		s.mu.Unlock()
		if held != nil {
			<-held
		}
		next.ServeHTTP(w, r)
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
	})
}

// hold holds back the next request to a path until release is called.
func (s *Site) hold(path string) (release func()) {
	held := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[path] = held
	release = sync.OnceFunc(func() { close(held) })
	s.t.Cleanup(release)
	return release
}

// answer lets the site answer so to a path below /say/.
func (s *Site) answer(name string, a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[name] = a
}

// html lets it answer with a root that holds some markup, as part does.
func (s *Site) html(name, markup string) {
	s.answer(name, func(w http.ResponseWriter, r *http.Request, c *Counter) error {
		c.Count++
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, err := io.WriteString(w, part(s.t, c, markup))
		return err
	})
}

// part is a root with some markup in it, where TOKEN stands for the token.
func part(t *testing.T, c *Counter, markup string) string {
	token, err := c.StateToken()
	if err != nil {
		t.Error(err)
	}
	return `<section id="` + c.Name + `" data-page-state="` + token + `">` + strings.ReplaceAll(markup, "TOKEN", token) + `</section>`
}

func (s *Site) say(w http.ResponseWriter, r *http.Request, c *Counter) error {
	s.mu.Lock()
	a := s.answers[r.PathValue("name")]
	s.mu.Unlock()
	if a == nil {
		return fmt.Errorf("no answer to %s", r.URL)
	}
	return a(w, r, c)
}

func (s *Site) delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone[name] = true
}

// sent is what was requested so far.
func (s *Site) sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// waitSent waits until so many requests have come.
func (s *Site) waitSent(want int) {
	s.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); len(s.sent()) < want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("only %q were sent, not %d", s.sent(), want)
		}
	}
}

func (s *Site) pagesShown() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pages
}

func (s *Site) wantSent(want int) {
	s.t.Helper()
	if got := s.sent(); len(got) != want {
		s.t.Errorf("%d requests were sent, not %d: %q", len(got), want, got)
	}
}

func (s *Site) load(_ context.Context, c *Counter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone[c.Name] {
		return pagestate.ErrStale
	}
	return nil
}

// view is a counter on its page.
type view struct {
	*Counter
	Driver   Driver
	Swap     string
	Children bool // whether its requests carry the tokens of those inside
	Inside   []view
	Carried  string        // what the request carried
	Fields   template.HTML // more markup of a test's own

	Extension string // of htmx, a file of libraries
}

func (v view) Htmx() bool { return v.Driver == htmx2 || v.Driver == htmx4 }

// Query is what makes an answer look like the page.
func (v view) Query() template.URL {
	query := "driver=" + string(v.Driver) + "&swap=" + v.Swap
	if v.Children {
		query += "&children=1"
	}
	return template.URL(query)
}

// page shows the counters that the query asks for: ?driver=htmx2&swap=innerHTML
// &pad=4000&inside=2&children=1
func (s *Site) page(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	pad, _ := strconv.Atoi(query.Get("pad"))
	inside, _ := strconv.Atoi(query.Get("inside"))
	outer := &Counter{Name: "outer", Pad: strings.Repeat("x", pad)}
	v := view{Counter: outer, Driver: Driver(query.Get("driver")), Swap: query.Get("swap"), Children: query.Has("children")}
	if v.Swap == "" {
		v.Swap = "outerHTML"
	}
	v.Fields, v.Extension = template.HTML(query.Get("fields")), query.Get("extension")
	if err := pagestate.Attach(r.Context(), outer); err != nil {
		pagestate.WriteError(w, r, err)
		return
	}
	for i := range inside {
		c := &Counter{Name: fmt.Sprint("inner", i+1), Pad: outer.Pad}
		if err := pagestate.Attach(r.Context(), c, pagestate.Under(outer, c.Name)); err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		v.Inside = append(v.Inside, view{Counter: c, Driver: v.Driver, Swap: v.Swap})
	}
	pages.ExecuteTemplate(w, "page", v)
}

// add counts, and answers with the counter or, for a plain form, its page. The
// query says how: ?by=2&status=422&trigger=1
func (s *Site) add(w http.ResponseWriter, r *http.Request, c *Counter) error {
	by, err := strconv.Atoi(r.FormValue("by"))
	if err != nil {
		by = 1
	}
	c.Count += by
	if r.URL.Query().Has("trigger") {
		w.Header().Set("HX-Trigger", "counted")
	}
	if status, err := strconv.Atoi(r.FormValue("status")); err == nil {
		w.WriteHeader(status)
		_, err := io.WriteString(w, "that was not right")
		return err
	}
	return s.show(w, r, c)
}

func (s *Site) look(w http.ResponseWriter, r *http.Request, c *Counter) error { return s.show(w, r, c) }

func (s *Site) show(w http.ResponseWriter, r *http.Request, c *Counter) error {
	query := r.URL.Query()
	v := view{Counter: c, Driver: Driver(query.Get("driver")), Swap: query.Get("swap"), Children: query.Has("children"), Carried: carried(r)}
	for _, name := range []string{"inner1", "inner2"} {
		child, err := pagestate.Child[Counter](r.Context(), c, name, nil)
		if err != nil {
			continue // it was not sent, or there is none
		}
		child.Count += 10
		v.Inside = append(v.Inside, view{Counter: child, Driver: v.Driver, Swap: v.Swap})
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if r.Header.Get("Sec-Fetch-Mode") == "navigate" || r.FormValue("page") != "" {
		return pages.ExecuteTemplate(w, "page", v)
	}
	if v.Htmx() && v.Swap == "innerHTML" {
		return pages.ExecuteTemplate(w, "content", v)
	}
	return pages.ExecuteTemplate(w, "counter", v)
}

// carried tells how the tokens of a request came.
func carried(r *http.Request) string {
	n := 0
	if header := r.Header.Get("Page-State"); header != "" {
		n = len(strings.Split(header, ","))
	}
	r.ParseMultipartForm(1 << 20)
	return fmt.Sprintf("%s: header %d, form %d, url %d", r.Method, n, len(r.PostForm["page_state"]), len(r.URL.Query()["page_state"]))
}

var refusals = map[string]error{
	"conflict": pagestate.ErrConflict,
	"expired":  pagestate.ErrExpired,
	"outdated": pagestate.ErrOutdated,
	"invalid":  pagestate.ErrInvalid,
	"toolarge": pagestate.ErrTooLarge,
	"failed":   fmt.Errorf("a fault of the application"),
}

func (s *Site) refuse(_ http.ResponseWriter, r *http.Request, c *Counter) error {
	c.Count++
	return refusals[r.URL.Query().Get("as")]
}

// seal is a token for another state of a counter, as if it had been changed
// elsewhere by the visitor who asked last.
func (s *Site) seal(c *Counter) string {
	s.t.Helper()
	s.mu.Lock()
	owner := s.owner
	s.mu.Unlock()
	token, err := s.mw.Seal(owner, c)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}
