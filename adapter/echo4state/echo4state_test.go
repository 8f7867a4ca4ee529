package echo4state_test

// What is peculiar to Echo v4, over a real server. The cases are those of both
// versions, in internal/adaptertest. What is the same in all frameworks is tested
// in internal/integration.

import (
	"io"
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/adapter/echo4state"
	"github.com/pagestate/pagestate/internal/adaptertest"
)

type Tally = adaptertest.Tally

type (
	handler = adaptertest.EchoHandler[echo.Context]
	middle  = adaptertest.EchoMiddleware[echo.Context]
)

// server is an Echo whose handlers and middlewares have no type of Echo's own.
type server struct{ *echo.Echo }

func (s server) Use(m ...middle) { s.Echo.Use(toEcho(m)...) }

func (s server) POST(path string, h handler, m ...middle) { s.Echo.POST(path, h, toEcho(m)...) }

func (s server) OnError(h func(echo.Context, error)) {
	s.HTTPErrorHandler = func(err error, c echo.Context) { h(c, err) }
}

func toEcho(all []middle) []echo.MiddlewareFunc {
	var converted []echo.MiddlewareFunc
	for _, m := range all {
		converted = append(converted, func(next echo.HandlerFunc) echo.HandlerFunc { return m(next) })
	}
	return converted
}

func fromEcho(m echo.MiddlewareFunc) middle {
	return func(next handler) handler { return m(next) }
}

var version = adaptertest.Echo[echo.Context]{
	New: func() adaptertest.EchoServer[echo.Context] {
		e := echo.New()
		e.Logger.SetOutput(io.Discard)
		return server{e}
	},
	Middleware: func(m *pagestate.Middleware) middle { return fromEcho(echo4state.Middleware(m)) },
	Handle:     func(h func(echo.Context, *Tally) error) handler { return echo4state.Handle(h) },
	HandlePage: func(h handler) handler { return echo4state.HandlePage(echo.HandlerFunc(h)) },
	Wrap:       func(m func(http.Handler) http.Handler) middle { return fromEcho(echo.WrapMiddleware(m)) },
	Recover:    fromEcho(middleware.Recover()),
	Gzip:       fromEcho(middleware.GzipWithConfig(middleware.GzipConfig{MinLength: 1000})),
	Response:   func(c echo.Context) any { return c.Response() },
	Sent: func(c echo.Context) (int, int64, bool) {
		res := c.Response()
		return res.Status, res.Size, res.Committed
	},
	Before:   func(c echo.Context, f func()) { c.Response().Before(f) },
	Exchange: func(c echo.Context) { c.SetResponse(echo.NewResponse(c.Response(), c.Echo())) },
	WithStale: func(notFound string) (plain, both error) {
		return echo.NewHTTPError(http.StatusNotFound, notFound), echo.NewHTTPError(http.StatusNotFound, notFound).SetInternal(pagestate.ErrStale)
	},
	OrderOfTwo: "behind front ",
}

func TestNaiveWay(t *testing.T)                 { version.NaiveWay(t) }
func TestErrorBehind(t *testing.T)              { version.ErrorBehind(t) }
func TestGivesBack(t *testing.T)                { version.GivesBack(t) }
func TestHandleErrors(t *testing.T)             { version.HandleErrors(t) }
func TestRecover(t *testing.T)                  { version.Recovers(t) }
func TestHandleErrorAfterHeldBody(t *testing.T) { version.HandleErrorAfterHeldBody(t) }
func TestAnsweredInFront(t *testing.T)          { version.AnsweredInFront(t) }
func TestBefore(t *testing.T)                   { version.RunsBeforeOnce(t) }
func TestHandleWithoutMiddleware(t *testing.T)  { version.HandleWithoutMiddleware(t) }
