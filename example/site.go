package main

// This file puts the site together: what is registered, which routes there are,
// and what goes around all of them.

import (
	"bytes"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"strings"

	"github.com/gorilla/sessions"
	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/client"
	"github.com/pagestate/pagestate/inspect"
)

//go:embed pages
var pageFiles embed.FS

//go:embed static
var staticFiles embed.FS

// site is what the handlers share. Nothing in it belongs to a visitor.
type site struct {
	pages  *template.Template
	store  *store
	logins sessions.Store
	state  *pagestate.Middleware
	tasks  func(Ask) pagestate.Query[Ask, *Task]
	demo   bool // with the tour, and the panel of package inspect
}

func newSite(secret []byte, tasks *store, demo bool, logger *slog.Logger) (http.Handler, error) {
	functions := template.FuncMap{"integrity": client.Integrity, "titleOf": titleOf, "source": source}
	pages, err := template.New("").Funcs(functions).ParseFS(pageFiles, "pages/*.html")
	if err != nil {
		return nil, err
	}
	logins, err := newLogins(secret)
	if err != nil {
		return nil, err
	}
	s := &site{pages: pages, store: tasks, logins: logins, demo: demo}

	registry := pagestate.NewRegistry()
	pagestate.Register[Board](registry, "board")
	pagestate.Register[List](registry, "list")
	pagestate.Register[Card](registry, "card")
	pagestate.Register[Wizard](registry, "wizard")
	pagestate.Register[Notice](registry, "notice")
	s.tasks = pagestate.RegisterQuery(registry, "tasks", tasks.find)
	pagestate.RegisterModel(registry, "task", pagestate.Model[int64, Task]{
		Key:   func(t *Task) int64 { return t.ID },
		Fetch: tasks.fetch,
	})

	s.state, err = pagestate.New(registry, pagestate.Options{
		Secrets:      [][]byte{secret},
		Session:      pagestate.Cookie(http.Cookie{Name: "pagestate"}), // behind HTTPS set Secure as well
		User:         func(r *http.Request) string { return userOf(r.Context()) },
		ErrorHandler: s.refuse,
		Logger:       logger,

		// Cookies have room for a page or two, and for none with long drafts. There
		// is one server, so its memory will do.
		Carrier: pagestate.NewCarrier(64 << 20),
	})
	if err != nil {
		return nil, err
	}
	// The middleware refuses what another site sends along with a token. This
	// refuses the rest too: logging in needs no token.
	sameOrigin := http.NewCrossOriginProtection()
	return secured(sameOrigin.Handler(http.MaxBytesHandler(s.identify(s.state.Handler(s.routes())), 1<<20))), nil
}

func (s *site) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", pagestate.HandlePage(s.boardPage))
	mux.Handle("POST /{$}", pagestate.Handle(s.changeBoard))
	mux.Handle("POST /lists/{list}", pagestate.Handle(s.changeList))
	mux.Handle("POST /lists/{list}/cards/{card}", pagestate.Handle(s.changeCard))
	mux.Handle("POST /wizard", pagestate.Handle(s.changeWizard))
	mux.Handle("POST /login", pagestate.HandlePage(s.login))
	mux.Handle("POST /engine", pagestate.HandlePage(s.setEngine))
	if s.demo {
		mux.Handle("POST /meanwhile", pagestate.HandlePage(s.meanwhile))
		mux.Handle("/inspect", inspect.Handler(s.state, func(*http.Request) bool { return true }))
	}
	mux.Handle("GET /pagestate.js", client.Handler())
	mux.HandleFunc("GET /source/{file}", showSource)
	mux.Handle("GET /static/", http.FileServerFS(staticFiles))
	return mux
}

// secured allows this site's own scripts and styles, and nothing inline.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; "+
			"img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// byScript reports whether a script sent the request. A browser that leaves the page
// asks for HTML by name; htmx may do so too, and says who it is.
func byScript(r *http.Request) bool {
	return byHtmx(r) || !strings.Contains(r.Header.Get("Accept"), "text/html")
}

func byHtmx(r *http.Request) bool { return r.Header.Get("HX-Request") == "true" }

// show renders everything before it writes any of it, so that a template that
// fails does not leave half a page behind.
func (s *site) show(w http.ResponseWriter, status int, name string, data any) error {
	var page bytes.Buffer
	if err := s.pages.ExecuteTemplate(&page, name, data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, err := page.WriteTo(w)
	return err
}

// refuse answers errors in the looks of this site. The page that pagestate has
// for them brings its own style, which the Content-Security-Policy forbids.
func (s *site) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if byScript(r) {
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
