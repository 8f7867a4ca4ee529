package adaptertest

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// Echo is one version of Echo, with its adapter. Its methods are the tests that
// both versions share; C is what a handler gets.
type Echo[C EchoContext] struct {
	New        func() EchoServer[C] // logs nothing
	Middleware func(*pagestate.Middleware) EchoMiddleware[C]
	Handle     func(func(C, *Tally) error) EchoHandler[C]
	HandlePage func(EchoHandler[C]) EchoHandler[C]

	Wrap    func(func(http.Handler) http.Handler) EchoMiddleware[C] // Echo's own
	Recover EchoMiddleware[C]
	Gzip    EchoMiddleware[C] // holds back what is shorter than 1000 bytes

	Response   func(C) any // as c.Response()
	Sent       func(C) (status int, size int64, committed bool)
	Before     func(C, func()) // as of Echo's response
	Exchange   func(C)         // sets another response, with the old one inside
	WithStale  func(notFound string) (plain, both error)
	OrderOfTwo string // in which functions for Before run, of the middlewares "front " and "behind "
}

// EchoContext is what these tests use of either version's.
type EchoContext interface {
	Request() *http.Request
	SetRequest(*http.Request)
	String(status int, text string) error
}

type (
	EchoHandler[C EchoContext]    = func(C) error
	EchoMiddleware[C EchoContext] = func(EchoHandler[C]) EchoHandler[C]
)

// EchoServer is an *echo.Echo.
type EchoServer[C EchoContext] interface {
	http.Handler
	Use(...EchoMiddleware[C])
	POST(path string, h EchoHandler[C], m ...EchoMiddleware[C])
	OnError(func(C, error)) // sets the HTTPErrorHandler
}

type echoSite[C EchoContext] struct {
	EchoServer[C]
	*Site
}

func (e Echo[C]) site(t *testing.T) echoSite[C] {
	t.Helper()
	return echoSite[C]{e.New(), New(t, pagestate.Options{})}
}

const echosBody = `{"message":"Internal Server Error"}` + "\n"

var errOh = errors.New("oh")

// from is a handler that asks for the state itself.
func from[C EchoContext](h func(C, *Tally) error) EchoHandler[C] {
	return func(c C) error {
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
func (e Echo[C]) seeing(seen *sight) EchoMiddleware[C] {
	return func(next EchoHandler[C]) EchoHandler[C] {
		return func(c C) error {
			w, r := e.Response(c), c.Request()
			defer func() {
				panicked := recover() != nil
				status, size, committed := e.Sent(c)
				*seen = sight{status, size, committed, seen.err, panicked, r.Pattern, e.Response(c) == w && c.Request() == r}
			}()
			seen.err = next(c)
			return seen.err
		}
	}
}

// NaiveWay shows how one would write the middleware at first: Echo's own way
// leaves its response behind, and has sealed before an error is answered.
func (e Echo[C]) NaiveWay(t *testing.T) {
	for name, c := range map[string]struct {
		middleware func(*pagestate.Middleware) EchoMiddleware[C]
		given      bool
		sealed     int
	}{
		"the adapter":         {e.Middleware, true, 0},
		"echo.WrapMiddleware": {func(m *pagestate.Middleware) EchoMiddleware[C] { return e.Wrap(m.Handler) }, false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := e.site(t)
			var seen sight
			s.Use(e.seeing(&seen))
			s.POST("/", from(func(_ C, s *Tally) error {
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

// ErrorBehind wants nothing sealed if a handler behind the middleware returns an
// error, whatever its status.
func (e Echo[C]) ErrorBehind(t *testing.T) {
	notFound, _ := e.WithStale("no such list")
	s := e.site(t)
	s.Use(e.Middleware(s.Middleware))
	s.POST("/", from(func(_ C, s *Tally) error {
		s.Count = 2
		return notFound
	}))
	got := s.Call(s, Tally{Count: 1})
	testkit.Want(t, "status", got.StatusCode, http.StatusNotFound)
	testkit.Want(t, "sealed", got.Count, 0)
}

// GivesBack wants that in front the response is what it was, and knows what was
// sent.
func (e Echo[C]) GivesBack(t *testing.T) {
	for name, c := range map[string]struct {
		h    func(C, *Tally) error
		want sight
	}{
		"answered": {func(c C, _ *Tally) error { return c.String(202, "body") },
			sight{status: 202, size: 4, committed: true}},
		"refused": {func(C, *Tally) error { t.Error("it ran"); return nil },
			sight{status: 410, size: int64(len(GoneBody)), committed: true}},
		"failed": {func(C, *Tally) error { return errOh },
			sight{status: 500, size: int64(len(echosBody)), committed: true, err: errOh}},
		"panic": {func(C, *Tally) error { panic("oh") },
			sight{status: 200, panicked: true}},
		"unsealable": {func(c C, s *Tally) error { s.Any = make(chan int); return c.String(202, "body") },
			sight{status: 500, size: int64(len(ErrorBody)), committed: true}},
	} {
		t.Run(name, func(t *testing.T) {
			s := e.site(t)
			var seen sight
			s.Use(e.seeing(&seen))
			s.POST("/", from(c.h), e.Middleware(s.Middleware), func(next EchoHandler[C]) EchoHandler[C] {
				return func(c C) error { // gives nothing back
					c.SetRequest(c.Request().WithContext(c.Request().Context()))
					e.Exchange(c)
					return next(c)
				}
			})
			s.Call(s, Tally{Gone: name == "refused"})
			c.want.given, c.want.pattern = true, "/"
			testkit.Want(t, "seen in front", seen, c.want)
		})
	}
}

// eachHandle runs a test with Handle, and with HandlePage for a function that asks
// for the state itself.
func (e Echo[C]) eachHandle(t *testing.T, test func(*testing.T, func(func(C, *Tally) error) EchoHandler[C])) {
	t.Run("Handle", func(t *testing.T) { test(t, e.Handle) })
	t.Run("HandlePage", func(t *testing.T) {
		test(t, func(h func(C, *Tally) error) EchoHandler[C] { return e.HandlePage(from(h)) })
	})
}

// HandleErrors wants what the functions in Handle and HandlePage return answered
// once: by pagestate what it knows, by Echo the rest. Nothing is sealed in either
// case.
func (e Echo[C]) HandleErrors(t *testing.T) { e.eachHandle(t, e.handleErrors) }

func (e Echo[C]) handleErrors(t *testing.T, handle func(func(C, *Tally) error) EchoHandler[C]) {
	const notFoundBody = `{"message":"no such list"}` + "\n"
	notFound, both := e.WithStale("no such list")
	for name, c := range map[string]struct {
		h        func(C) error
		status   int
		body     string
		count    int
		returned error
		logged   int
	}{
		"none":         {func(c C) error { return c.String(202, "body") }, 202, "body", 2, nil, 0},
		"any":          {func(C) error { return errOh }, 500, echosBody, 0, errOh, 0},
		"Echo's":       {func(C) error { return notFound }, 404, notFoundBody, 0, notFound, 0},
		"pagestate's":  {func(C) error { return pagestate.ErrStale }, 410, GoneBody, 0, nil, 1},
		"both":         {func(C) error { return both }, 404, notFoundBody, 0, both, 0},
		"after a byte": {func(c C) error { c.String(202, "body"); return errOh }, 202, "body", 2, errOh, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := e.site(t)
			var seen sight
			s.Use(e.seeing(&seen), e.Middleware(s.Middleware), func(next EchoHandler[C]) EchoHandler[C] {
				return func(c C) error {
					w := e.Response(c)
					err := next(c)
					testkit.Want(t, "the same response", e.Response(c) == w, true)
					return err
				}
			})
			s.POST("/", handle(func(ctx C, s *Tally) error {
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

// Recovers wants a panic to reach the recoverer: it is none of what Handle's
// function returns.
func (e Echo[C]) Recovers(t *testing.T) {
	for name, mount := range map[string]func(echoSite[C]){
		"outside": func(s echoSite[C]) { s.Use(e.Recover, e.Middleware(s.Middleware)) },
		"inside":  func(s echoSite[C]) { s.Use(e.Middleware(s.Middleware), e.Recover) },
	} {
		t.Run(name, func(t *testing.T) {
			s := e.site(t)
			mount(s)
			s.OnError(func(c C, _ error) {
				if _, _, committed := e.Sent(c); !committed {
					c.String(http.StatusTeapot, "recovered")
				}
			})
			s.POST("/", e.Handle(func(_ C, s *Tally) error {
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

// HandleErrorAfterHeldBody has a middleware behind hold the body back, so that
// pagestate's writer has not seen it when the error is returned.
func (e Echo[C]) HandleErrorAfterHeldBody(t *testing.T) {
	for name, failure := range map[string]error{"any": errOh, "pagestate's": pagestate.ErrStale} {
		t.Run(name, func(t *testing.T) {
			s := e.site(t)
			s.Use(e.Middleware(s.Middleware), e.Gzip)
			s.POST("/", e.Handle(func(c C, _ *Tally) error {
				c.String(http.StatusOK, "body")
				return failure
			}))
			got := s.Call(s, Tally{})
			testkit.Want(t, "status", got.StatusCode, http.StatusOK)
			testkit.Want(t, "body", got.Body, "body")
		})
	}
}

// AnsweredInFront wants no answer for an error if the middleware in front
// already has answered.
func (e Echo[C]) AnsweredInFront(t *testing.T) {
	s := e.site(t)
	s.Use(func(next EchoHandler[C]) EchoHandler[C] {
		return func(c C) error {
			if err := c.String(http.StatusAccepted, "body"); err != nil {
				return err
			}
			return next(c)
		}
	}, e.Middleware(s.Middleware))
	s.POST("/", func(C) error { return errOh })
	got := s.Call(s, Tally{})
	testkit.Want(t, "status", got.StatusCode, http.StatusAccepted)
	testkit.Want(t, "body", got.Body, "body")
}

// RunsBeforeOnce wants what runs before a response begins, whoever asked for
// it, to run once.
func (e Echo[C]) RunsBeforeOnce(t *testing.T) {
	s := e.site(t)
	calls := ""
	before := func(name string) EchoMiddleware[C] {
		return func(next EchoHandler[C]) EchoHandler[C] {
			return func(c C) error {
				e.Before(c, func() { calls += name })
				return next(c)
			}
		}
	}
	s.Use(before("front "), e.Middleware(s.Middleware), before("behind "))
	s.POST("/", e.Handle(func(c C, s *Tally) error {
		s.Count = 2
		return c.String(http.StatusOK, "body")
	}))
	testkit.Want(t, "sealed", s.Call(s, Tally{Count: 1}).Count, 2)
	testkit.Want(t, "calls", calls, e.OrderOfTwo)
}

// HandleWithoutMiddleware wants a 500 where Handle or HandlePage stands alone.
func (e Echo[C]) HandleWithoutMiddleware(t *testing.T) {
	for name, h := range map[string]EchoHandler[C]{
		"Handle":     e.Handle(func(C, *Tally) error { t.Error("it ran"); return nil }),
		"HandlePage": e.HandlePage(func(C) error { t.Error("it ran"); return nil }),
	} {
		t.Run(name, func(t *testing.T) {
			s := e.site(t)
			s.POST("/", h)
			got := s.Call(s, Tally{})
			testkit.Want(t, "status", got.StatusCode, http.StatusInternalServerError)
			testkit.Want(t, "body", got.Body, ErrorBody)
		})
	}
}
