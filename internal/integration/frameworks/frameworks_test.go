package frameworks_test

// How each framework is set up, and what the behaviours of behaviours_test.go
// need of it. What they are is said there.

import (
	"cmp"
	"encoding/json"
	"html/template"
	"io"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	echo4 "github.com/labstack/echo/v4"
	echo4middleware "github.com/labstack/echo/v4/middleware"
	"github.com/labstack/echo/v5"
	echomiddleware "github.com/labstack/echo/v5/middleware"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/adapter/echo4state"
	"github.com/pagestate/pagestate/adapter/echostate"
	"github.com/pagestate/pagestate/adapter/ginstate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// framework makes a site with a logger and a recoverer in front of all routes,
// which begin with /site. The recoverer answers 418: what keeps a state from
// being sealed is then the panic and nothing else.
type framework struct {
	name   string
	new    func(m mount, seen func(sight)) site
	id     string // how a path has an id in it
	isEcho bool
}

var frameworks = []framework{
	{name: "ServeMux", new: newServeMux, id: "{id}"},
	{name: "chi", new: newChi, id: "{id}"},
	{name: "Gin", new: newGin, id: ":id"},
	{name: "Echo 5", new: newEcho5, id: ":id", isEcho: true},
	{name: "Echo 4", new: newEcho4, id: ":id", isEcho: true},
}

// mount says where the middleware is: on the group of all routes, on each one,
// on both or on neither.
type mount struct{ group, route *pagestate.Middleware }

// site is what serves, and how routes get there. An action works on the state
// of the request's token; if it is testkit.Recovered, there is a recoverer between it
// and the middleware.
type site struct {
	http.Handler
	page   func(path string, h func(call) error)
	action func(path string, recovered bool, h func(call, *Tally) error)
}

// sight is what a logger in front of the middleware sees.
type sight struct {
	status, size int
	route        string
}

// call is a request as a handler sees it, and the ways to answer it.
type call interface {
	Request() *http.Request
	Writer() http.ResponseWriter
	Status(status int) error // and no body
	JSON(status int, value any) error
	HTML(status int, page string, data any) error // one of pages
	Redirect(status int, to string) error
	File(path string) error
	Stream(next func() (text string, more bool)) error // flushes each text
}

var pages = template.Must(template.New("tally").Parse(`<form method="post">{{.StateField}}{{.Count}}</form>`))

// httpCall is a call of net/http, and so of chi.
type httpCall struct {
	w http.ResponseWriter
	r *http.Request
}

func (c httpCall) Request() *http.Request                  { return c.r }
func (c httpCall) Writer() http.ResponseWriter             { return c.w }
func (c httpCall) Stream(next func() (string, bool)) error { return stream(c.w, next) }

func (c httpCall) Status(status int) error {
	c.w.WriteHeader(status)
	return nil
}

func (c httpCall) JSON(status int, value any) error {
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(status)
	return json.NewEncoder(c.w).Encode(value)
}

func (c httpCall) HTML(status int, page string, data any) error {
	c.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	c.w.WriteHeader(status)
	return pages.ExecuteTemplate(c.w, page, data)
}

func (c httpCall) Redirect(status int, to string) error {
	http.Redirect(c.w, c.r, to, status)
	return nil
}

func (c httpCall) File(path string) error {
	http.ServeFile(c.w, c.r, path)
	return nil
}

func stream(w http.ResponseWriter, next func() (string, bool)) error {
	for more := true; more; {
		var text string
		text, more = next()
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
	}
	return nil
}

func httpPage(h func(call) error) http.Handler {
	return pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error { return h(httpCall{w, r}) })
}

func httpAction(recover bool, h func(call, *Tally) error) http.Handler {
	handler := pagestate.Handle(func(w http.ResponseWriter, r *http.Request, s *Tally) error {
		return h(httpCall{w, r}, s)
	})
	if recover {
		return testkit.Recovered(handler)
	}
	return handler
}

// httpLogger is in front; route says how it gets to know the route.
func httpLogger(route func(*http.Request) string, seen func(sight)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			counter := chimiddleware.NewWrapResponseWriter(w, r.ProtoMajor)
			next.ServeHTTP(counter, r)
			seen(sight{cmp.Or(counter.Status(), http.StatusOK), counter.BytesWritten(), route(r)})
		})
	}
}

// optional is the middleware, or nothing in its place.
func optional(m *pagestate.Middleware) func(http.Handler) http.Handler {
	if m == nil {
		return func(next http.Handler) http.Handler { return next }
	}
	return m.Handler
}

func newServeMux(m mount, seen func(sight)) site {
	mux, routes := http.NewServeMux(), http.NewServeMux()
	mux.Handle("/site/", optional(m.group)(routes))
	logger := httpLogger(func(r *http.Request) string { return r.Pattern }, seen)
	return site{
		Handler: logger(testkit.Recovered(mux)),
		page: func(path string, h func(call) error) {
			routes.Handle("GET /site"+path, optional(m.route)(httpPage(h)))
		},
		action: func(path string, recover bool, h func(call, *Tally) error) {
			routes.Handle("POST /site"+path, optional(m.route)(httpAction(recover, h)))
		},
	}
}

func newChi(m mount, seen func(sight)) site {
	mux := chi.NewRouter()
	mux.Use(httpLogger(func(r *http.Request) string { return chi.RouteContext(r.Context()).RoutePattern() }, seen))
	mux.Use(testkit.Recovered)
	routes := mux.Route("/site", func(r chi.Router) { r.Use(optional(m.group)) })
	return site{
		Handler: mux,
		page: func(path string, h func(call) error) {
			routes.With(optional(m.route)).Method("GET", path, httpPage(h))
		},
		action: func(path string, recover bool, h func(call, *Tally) error) {
			routes.With(optional(m.route)).Method("POST", path, httpAction(recover, h))
		},
	}
}

type ginCall struct{ *gin.Context }

func (c ginCall) Request() *http.Request      { return c.Context.Request }
func (c ginCall) Writer() http.ResponseWriter { return c.Context.Writer }

func (c ginCall) Status(status int) error {
	c.Context.Status(status)
	return nil
}

func (c ginCall) JSON(status int, value any) error {
	c.Context.JSON(status, value)
	return nil
}

func (c ginCall) HTML(status int, page string, data any) error {
	c.Context.HTML(status, page, data)
	return nil
}

func (c ginCall) Redirect(status int, to string) error {
	c.Context.Redirect(status, to)
	return nil
}

func (c ginCall) File(path string) error {
	c.Context.File(path)
	return nil
}

func (c ginCall) Stream(next func() (string, bool)) error {
	c.Context.Stream(func(w io.Writer) bool {
		text, more := next()
		io.WriteString(w, text)
		return more
	})
	return nil
}

func newGin(m mount, seen func(sight)) site {
	gin.SetMode(gin.ReleaseMode) // or it prints its routes
	engine := gin.New()
	engine.SetHTMLTemplate(pages)
	recoverer := gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, _ any) { c.AbortWithStatus(http.StatusTeapot) })
	engine.Use(func(c *gin.Context) {
		c.Next()
		seen(sight{c.Writer.Status(), max(0, c.Writer.Size()), c.FullPath()})
	}, recoverer)
	optional := func(m *pagestate.Middleware) (h []gin.HandlerFunc) {
		if m != nil {
			h = append(h, ginstate.Middleware(m))
		}
		return h
	}
	routes := engine.Group("/site", optional(m.group)...)
	return site{
		Handler: engine,
		page: func(path string, h func(call) error) {
			handle := ginstate.HandlePage(func(c *gin.Context) error { return h(ginCall{c}) })
			routes.GET(path, append(optional(m.route), handle)...)
		},
		action: func(path string, recover bool, h func(call, *Tally) error) {
			chain := optional(m.route)
			if recover {
				chain = append(chain, recoverer)
			}
			handle := ginstate.Handle(func(c *gin.Context, s *Tally) error { return h(ginCall{c}, s) })
			routes.POST(path, append(chain, handle)...)
		},
	}
}

type echo5Call struct{ *echo.Context }

func (c echo5Call) Writer() http.ResponseWriter                  { return c.Response() }
func (c echo5Call) Status(status int) error                      { return c.NoContent(status) }
func (c echo5Call) HTML(status int, page string, data any) error { return c.Render(status, page, data) }
func (c echo5Call) Stream(next func() (text string, more bool)) error {
	return stream(c.Writer(), next)
}

func newEcho5(m mount, seen func(sight)) site {
	e := echo.New()
	e.Renderer = &echo.TemplateRenderer{Template: pages}
	recoverer := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) (err error) {
			defer func() {
				if recover() != nil {
					err = echo.NewHTTPError(http.StatusTeapot, "panic")
				}
			}()
			return next(c)
		}
	}
	e.Use(echomiddleware.RequestLoggerWithConfig(echomiddleware.RequestLoggerConfig{
		LogStatus: true, LogResponseSize: true, LogRoutePath: true, HandleError: true,
		LogValuesFunc: func(_ *echo.Context, v echomiddleware.RequestLoggerValues) error {
			seen(sight{v.Status, int(v.ResponseSize), v.RoutePath})
			return nil
		},
	}), recoverer)
	optional := func(m *pagestate.Middleware) (all []echo.MiddlewareFunc) {
		if m != nil {
			all = append(all, echostate.Middleware(m))
		}
		return all
	}
	routes := e.Group("/site", optional(m.group)...)
	return site{
		Handler: e,
		page: func(path string, h func(call) error) {
			routes.GET(path, echostate.HandlePage(func(c *echo.Context) error { return h(echo5Call{c}) }), optional(m.route)...)
		},
		action: func(path string, recover bool, h func(call, *Tally) error) {
			chain := optional(m.route)
			if recover {
				chain = append(chain, recoverer)
			}
			routes.POST(path, echostate.Handle(func(c *echo.Context, s *Tally) error { return h(echo5Call{c}, s) }), chain...)
		},
	}
}

type echo4Call struct{ echo4.Context }

func (c echo4Call) Writer() http.ResponseWriter                  { return c.Response() }
func (c echo4Call) Status(status int) error                      { return c.NoContent(status) }
func (c echo4Call) HTML(status int, page string, data any) error { return c.Render(status, page, data) }
func (c echo4Call) Stream(next func() (text string, more bool)) error {
	return stream(c.Writer(), next)
}

func newEcho4(m mount, seen func(sight)) site {
	e := echo4.New()
	e.Renderer = &echo4.TemplateRenderer{Template: pages}
	recoverer := func(next echo4.HandlerFunc) echo4.HandlerFunc {
		return func(c echo4.Context) (err error) {
			defer func() {
				if recover() != nil {
					err = echo4.NewHTTPError(http.StatusTeapot, "panic")
				}
			}()
			return next(c)
		}
	}
	e.Use(echo4middleware.RequestLoggerWithConfig(echo4middleware.RequestLoggerConfig{
		LogStatus: true, LogResponseSize: true, LogRoutePath: true, HandleError: true,
		LogValuesFunc: func(_ echo4.Context, v echo4middleware.RequestLoggerValues) error {
			seen(sight{v.Status, int(v.ResponseSize), v.RoutePath})
			return nil
		},
	}), recoverer)
	optional := func(m *pagestate.Middleware) (all []echo4.MiddlewareFunc) {
		if m != nil {
			all = append(all, echo4state.Middleware(m))
		}
		return all
	}
	routes := e.Group("/site", optional(m.group)...)
	return site{
		Handler: e,
		page: func(path string, h func(call) error) {
			routes.GET(path, echo4state.HandlePage(func(c echo4.Context) error { return h(echo4Call{c}) }), optional(m.route)...)
		},
		action: func(path string, recover bool, h func(call, *Tally) error) {
			chain := optional(m.route)
			if recover {
				chain = append(chain, recoverer)
			}
			routes.POST(path, echo4state.Handle(func(c echo4.Context, s *Tally) error { return h(echo4Call{c}, s) }), chain...)
		},
	}
}
