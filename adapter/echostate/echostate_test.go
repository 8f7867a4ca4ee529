package echostate_test

// What is peculiar to Echo v5, over a real server. What is the same in all
// frameworks is tested in internal/integration.

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/adapter/echostate"
	"github.com/pagestate/pagestate/internal/adaptertest"
	"github.com/pagestate/pagestate/internal/testkit"
)

type Tally = adaptertest.Tally

// site is an Echo that a test adds handlers to.
type site struct {
	*echo.Echo
	*adaptertest.Site
}

func newSite(t *testing.T, o pagestate.Options) *site {
	t.Helper()
	s := &site{echo.New(), adaptertest.New(t, o)}
	s.Logger = slog.New(slog.DiscardHandler)
	return s
}

const echosBody = `{"message":"Internal Server Error"}` + "\n"

var errOh = errors.New("oh")

// from is a handler that asks for the state itself.
func from(h func(*echo.Context, *Tally) error) echo.HandlerFunc {
	return func(c *echo.Context) error {
		s, err := pagestate.From[Tally](c.Request().Context())
		if err != nil {
			return err
		}
		return h(c, s)
	}
}

// sight is what a middleware in front sees when all behind it have returned.
type sight struct {
	status    int
	size      int64
	committed bool
	err       error
	panicked  bool
	pattern   string
	given     bool // the request and response are its own again
}

// seeing is a middleware in front. It looks at no error, as a logger that
// leaves them to Echo.
func seeing(seen *sight) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			w, r := c.Response(), c.Request()
			defer func() {
				panicked := recover() != nil
				res, err := echo.UnwrapResponse(c.Response())
				if err != nil {
					panic(err)
				}
				*seen = sight{res.Status, res.Size, res.Committed, seen.err, panicked, r.Pattern, c.Response() == w && c.Request() == r}
			}()
			seen.err = next(c)
			return seen.err
		}
	}
}

// How one would write the middleware at first: echo.WrapMiddleware leaves its
// own response behind, and has sealed before an error is answered.
func TestNaiveWay(t *testing.T) {
	for name, c := range map[string]struct {
		middleware func(*pagestate.Middleware) echo.MiddlewareFunc
		given      bool
		sealed     int
	}{
		"the adapter":         {echostate.Middleware, true, 0},
		"echo.WrapMiddleware": {func(m *pagestate.Middleware) echo.MiddlewareFunc { return echo.WrapMiddleware(m.Handler) }, false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, pagestate.Options{})
			var seen sight
			s.Use(seeing(&seen))
			s.POST("/", from(func(_ *echo.Context, s *Tally) error {
				s.Count = 2
				return errOh
			}), c.middleware(s.Middleware))
			got := s.Call(s, Tally{Count: 1})
			testkit.Want(t, "status", got.StatusCode, http.StatusInternalServerError)
			testkit.Want(t, "body", got.Body, echosBody)
			testkit.Want(t, "sealed", got.Count, c.sealed)
			testkit.Want(t, "given back", seen.given, c.given)
			testkit.Want(t, "error in front", seen.err, errOh)
		})
	}
}

// In front, the response is what it was, and knows what was sent.
func TestGivesBack(t *testing.T) {
	for name, c := range map[string]struct {
		h    func(*echo.Context, *Tally) error
		want sight
	}{
		"answered": {func(c *echo.Context, _ *Tally) error { return c.String(202, "body") },
			sight{status: 202, size: 4, committed: true}},
		"refused": {func(*echo.Context, *Tally) error { t.Error("it ran"); return nil },
			sight{status: 410, size: int64(len(adaptertest.GoneBody)), committed: true}},
		"failed": {func(*echo.Context, *Tally) error { return errOh },
			sight{status: 500, size: int64(len(echosBody)), committed: true, err: errOh}},
		"panic": {func(*echo.Context, *Tally) error { panic("oh") },
			sight{status: 200, panicked: true}},
		"unsealable": {func(c *echo.Context, s *Tally) error { s.Any = make(chan int); return c.String(202, "body") },
			sight{status: 500, size: int64(len(adaptertest.ErrorBody)), committed: true}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, pagestate.Options{})
			var seen sight
			s.Use(seeing(&seen))
			s.POST("/", from(c.h), echostate.Middleware(s.Middleware), func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c *echo.Context) error { // gives nothing back
					c.SetRequest(c.Request().WithContext(c.Request().Context()))
					c.SetResponse(echo.NewResponse(c.Response(), s.Logger))
					return next(c)
				}
			})
			s.Call(s, Tally{Gone: name == "refused"})
			c.want.given, c.want.pattern = true, "/"
			testkit.Want(t, "seen in front", seen, c.want)
		})
	}
}

// What Handle's function returns is answered once: by pagestate what it knows,
// by Echo the rest. Nothing is sealed in either case.
func TestHandleErrors(t *testing.T) {
	notFound := echo.NewHTTPError(http.StatusNotFound, "no such list")
	both := notFound.Wrap(pagestate.ErrStale)
	for name, c := range map[string]struct {
		h        func(*echo.Context) error
		status   int
		body     string
		count    int
		returned error
		logged   int
	}{
		"none":         {func(c *echo.Context) error { return c.String(202, "body") }, 202, "body", 2, nil, 0},
		"any":          {func(*echo.Context) error { return errOh }, 500, echosBody, 0, errOh, 0},
		"Echo's":       {func(*echo.Context) error { return notFound }, 404, `{"message":"no such list"}` + "\n", 0, notFound, 0},
		"pagestate's":  {func(*echo.Context) error { return pagestate.ErrStale }, 410, adaptertest.GoneBody, 0, nil, 1},
		"both":         {func(*echo.Context) error { return both }, 404, `{"message":"no such list"}` + "\n", 0, both, 0},
		"after a byte": {func(c *echo.Context) error { c.String(202, "body"); return errOh }, 202, "body", 2, errOh, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, pagestate.Options{})
			var seen sight
			s.Use(seeing(&seen), echostate.Middleware(s.Middleware), func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c *echo.Context) error {
					w := c.Response()
					err := next(c)
					testkit.Want(t, "the same response", c.Response() == w, true)
					return err
				}
			})
			s.POST("/", echostate.Handle(func(ctx *echo.Context, s *Tally) error {
				s.Count = 2
				return c.h(ctx)
			}))
			got := s.Call(s, Tally{Count: 1})
			testkit.Want(t, "status", got.StatusCode, c.status)
			testkit.Want(t, "body", got.Body, c.body)
			testkit.Want(t, "sealed", got.Count, c.count)
			testkit.Want(t, "error in front", seen.err, c.returned)
			testkit.Want(t, "lines in the log", strings.Count(s.Log.String(), "\n"), c.logged)
		})
	}
}

// A panic is none of what Handle's function returns: it reaches the recoverer.
func TestRecover(t *testing.T) {
	for name, mount := range map[string]func(*site){
		"outside": func(s *site) { s.Use(middleware.Recover(), echostate.Middleware(s.Middleware)) },
		"inside":  func(s *site) { s.Use(echostate.Middleware(s.Middleware), middleware.Recover()) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, pagestate.Options{})
			mount(s)
			s.HTTPErrorHandler = func(c *echo.Context, _ error) {
				if res, _ := echo.UnwrapResponse(c.Response()); !res.Committed {
					c.String(http.StatusTeapot, "recovered")
				}
			}
			s.POST("/", echostate.Handle(func(_ *echo.Context, s *Tally) error {
				s.Count = 2
				panic(errOh)
			}))
			got := s.Call(s, Tally{Count: 1})
			testkit.Want(t, "status", got.StatusCode, http.StatusTeapot)
			testkit.Want(t, "body", got.Body, "recovered")
			testkit.Want(t, "sealed", got.Count, 0)
		})
	}
}

// A middleware behind may hold the body back, so that pagestate's writer has
// not seen it when the error is returned.
func TestHandleErrorAfterHeldBody(t *testing.T) {
	for name, failure := range map[string]error{"any": errOh, "pagestate's": pagestate.ErrStale} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, pagestate.Options{})
			s.Use(echostate.Middleware(s.Middleware), middleware.GzipWithConfig(middleware.GzipConfig{MinLength: 1000}))
			s.POST("/", echostate.Handle(func(c *echo.Context, _ *Tally) error {
				c.String(http.StatusOK, "body")
				return failure
			}))
			got := s.Call(s, Tally{})
			testkit.Want(t, "status", got.StatusCode, http.StatusOK)
			testkit.Want(t, "body", got.Body, "body")
		})
	}
}

// An error is not answered if the middleware in front already has.
func TestAnsweredInFront(t *testing.T) {
	s := newSite(t, pagestate.Options{})
	s.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			if err := c.String(http.StatusAccepted, "body"); err != nil {
				return err
			}
			return next(c)
		}
	}, echostate.Middleware(s.Middleware))
	s.POST("/", func(*echo.Context) error { return errOh })
	got := s.Call(s, Tally{})
	testkit.Want(t, "status", got.StatusCode, http.StatusAccepted)
	testkit.Want(t, "body", got.Body, "body")
}

// What runs before a response begins, whoever asked for it, runs once.
func TestBefore(t *testing.T) {
	s := newSite(t, pagestate.Options{})
	calls := ""
	before := func(name string) echo.MiddlewareFunc {
		return func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c *echo.Context) error {
				res, err := echo.UnwrapResponse(c.Response())
				if err != nil {
					return err
				}
				res.Before(func() { calls += name })
				return next(c)
			}
		}
	}
	s.Use(before("front "), echostate.Middleware(s.Middleware), before("behind "))
	s.POST("/", echostate.Handle(func(c *echo.Context, s *Tally) error {
		s.Count = 2
		return c.String(http.StatusOK, "body")
	}))
	testkit.Want(t, "sealed", s.Call(s, Tally{Count: 1}).Count, 2)
	testkit.Want(t, "calls", calls, "front behind ")
}

func TestHandleWithoutMiddleware(t *testing.T) {
	s := newSite(t, pagestate.Options{})
	s.POST("/", echostate.Handle(func(*echo.Context, *Tally) error {
		t.Error("it ran")
		return nil
	}))
	got := s.Call(s, Tally{})
	testkit.Want(t, "status", got.StatusCode, http.StatusInternalServerError)
	testkit.Want(t, "body", got.Body, adaptertest.ErrorBody)
}
