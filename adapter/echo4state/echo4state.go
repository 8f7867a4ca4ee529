// Package echo4state mounts pagestate in Echo v4: on the whole site, on a group
// or on a route. For Echo v5 there is package echostate.
//
//	notes := e.Group("/notes", echo4state.Middleware(mw))
//	notes.GET("", echo4state.HandlePage(func(c echo.Context) error {
//		n, err := pagestate.FromOrAttach(c.Request().Context(), &Note{})
//		if err != nil {
//			return err
//		}
//		return c.Render(http.StatusOK, "note.html", n)
//	}))
//	notes.POST("/rename", echo4state.Handle(func(c echo.Context, n *Note) error {
//		n.Title = c.FormValue("title")
//		return pagestate.Redirect(c.Response(), c.Request(), "/notes", n)
//	}))
//
// All functions of pagestate work here as they are. Give them c.Response() and
// c.Request(), and c.Request().Context() as the context. Options.User sees
// c.Request() alone, so an authentication in front of it must put the user into
// that request's context, and not only c.Set it.
//
// All that is here is how Echo's context and pagestate's middleware meet. What
// a token is, and when a state is sealed, is said in package pagestate.
package echo4state

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/pagestate/pagestate"
)

// Middleware is [pagestate.Middleware.Handler] for Echo. A request whose token
// is refused is answered, and the handlers behind it do not run. They see a
// request and a response that are pagestate's; in front of it both are as they
// were, and the request's Pattern is the route. It is safe for concurrent use.
//
// An error of the handlers behind it is answered by Echo's HTTPErrorHandler
// here, while it can still be seen to that their changes are not sealed, and is
// returned for the middleware in front. So an HTTPErrorHandler must leave a
// response alone that is committed, as Echo's own does.
//
// Never let anything behind it answer with a status below 500 while its handler
// still runs, as some timeouts do: see [pagestate.Middleware.Handler].
//
// Mounted twice, or inside of m.Handler, it does nothing the second time.
func Middleware(m *pagestate.Middleware) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) (err error) {
			response, request := c.Response(), c.Request()
			defer func() {
				c.SetResponse(response)
				c.SetRequest(request)
			}()
			if route := c.Path(); route != "" {
				request.Pattern = route
			}
			m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c.SetResponse(responseOf(c, w))
				c.SetRequest(r)
				if err = next(c); err != nil {
					pagestate.Discard(r.Context())
					c.Error(err)
				}
			})).ServeHTTP(response, request)
			return err
		}
	}
}

// Handle is [pagestate.Handle] for Echo: h works on the state of the component
// that acts. It needs [Middleware], or m.Handler around the whole Echo. Errors are
// answered as by [HandlePage].
func Handle[T any](h func(echo.Context, *T) error) echo.HandlerFunc {
	return HandlePage(func(c echo.Context) error {
		state, err := pagestate.From[T](c.Request().Context())
		if err != nil {
			return err
		}
		return h(c, state)
	})
}

// HandlePage is [pagestate.HandlePage] for Echo: h needs no token, and finds its
// states with [pagestate.FromOrAttach]. It needs [Middleware], or m.Handler around
// the whole Echo.
//
// If h returns an error before it wrote anything, its changes are not sealed.
// Errors that mean something to pagestate are answered by Options.ErrorHandler,
// and end here. All others, and those that have a status for Echo, are returned
// for its HTTPErrorHandler, as those of any handler.
func HandlePage(h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (failure error) {
		response := c.Response()
		defer func() { c.SetResponse(response) }()
		pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
			c.SetResponse(responseOf(c, w))
			err := h(c)
			if !isForEcho(err) {
				return err
			}
			failure = err
			if c.Response().Committed {
				return err // which is logged
			}
			pagestate.Discard(r.Context())
			return nil
		}).ServeHTTP(response, c.Request())
		return failure
	}
}

// responseOf is a response that writes to w, which ends in c's. One of its own,
// since that one must count what leaves w, and not what is written to it.
func responseOf(c echo.Context, w http.ResponseWriter) *echo.Response {
	outer, inner := c.Response(), echo.NewResponse(w, c.Echo())
	inner.Status, inner.Size, inner.Committed = outer.Status, outer.Size, outer.Committed
	return inner
}

func isForEcho(err error) bool {
	var withStatus *echo.HTTPError
	_, code := pagestate.Status(err)
	return code == "StateError" || errors.As(err, &withStatus)
}
