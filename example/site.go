package main

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strings"

	"github.com/pagestate/pagestate"
)

//go:embed pages
var pageFiles embed.FS

//go:embed static
var staticFiles embed.FS

// site is what the handlers share. Nothing in it belongs to a visitor.
type site struct {
	pages *template.Template
	board *board
}

func newSite(secret []byte) (http.Handler, error) {
	pages, err := template.ParseFS(pageFiles, "pages/*.html")
	if err != nil {
		return nil, err
	}
	s := &site{pages, newBoard()}

	registry := pagestate.NewRegistry()
	pagestate.Register[Counter](registry, "counter")
	pagestate.Register[Note](registry, "note", pagestate.LoadWith(s.board.load))

	state, err := pagestate.New(registry, pagestate.Options{
		Secrets:      [][]byte{secret},
		Session:      pagestate.Cookie(http.Cookie{Name: "pagestate"}), // behind HTTPS set Secure as well
		ErrorHandler: s.refuse,
	})
	if err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	mux.Handle("GET /{$}", s.page(s.newCounter))
	mux.Handle("POST /{$}", pagestate.Handle(s.count))
	mux.Handle("GET /note", s.page(s.showNote))
	mux.Handle("POST /note", pagestate.Handle(s.changeNote))
	mux.Handle("POST /note/new", s.page(s.writeNote))
	mux.Handle("GET /static/", http.FileServerFS(staticFiles))

	// The middleware refuses what another site sends along with a token. This
	// refuses the rest too: writing a note needs no token.
	sameOrigin := http.NewCrossOriginProtection()
	return secured(sameOrigin.Handler(http.MaxBytesHandler(state.Handler(mux), 1<<20))), nil
}

// secured lets no script run and no form be sent elsewhere.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; "+
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// page makes a handler of one that works without a token. For those with one
// there is pagestate.Handle.
func (s *site) page(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			s.refuse(w, r, err)
		}
	})
}

// show renders the whole page before it writes any of it, so that a template
// that fails does not leave half a page behind.
func (s *site) show(w http.ResponseWriter, status int, name string, data any) error {
	var page bytes.Buffer
	if err := s.pages.ExecuteTemplate(&page, name, data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// Without this it would be no-store, and the browser's Back would not find
	// the answer to a form any more.
	w.Header().Set("Cache-Control", "private, no-cache")
	w.WriteHeader(status)
	_, err := page.WriteTo(w)
	return err
}

// refuse answers errors in the looks of this site. The page that pagestate has
// for them brings its own style, which the Content-Security-Policy forbids.
func (s *site) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		pagestate.WriteError(w, r, err)
		return
	}
	status, code := pagestate.Status(err)
	failure := struct {
		Status int
		Code   string
	}{status, code}
	if s.show(w, status, "error.html", failure) != nil {
		pagestate.WriteError(w, r, err)
	}
}
