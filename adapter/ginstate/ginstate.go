// Package ginstate mounts pagestate in Gin: on the whole engine, on a group or
// on a route.
//
//	notes := engine.Group("/notes", ginstate.Middleware(mw))
//	notes.GET("", ginstate.HandlePage(func(c *gin.Context) error {
//		n, err := pagestate.FromOrAttach(c.Request.Context(), &Note{})
//		if err != nil {
//			return err
//		}
//		c.HTML(http.StatusOK, "note.html", n)
//		return nil
//	}))
//	notes.POST("/rename", ginstate.Handle(func(c *gin.Context, n *Note) error {
//		n.Title = c.PostForm("title")
//		return pagestate.Redirect(c.Writer, c.Request, "/notes", n)
//	}))
//
// All functions of pagestate work here as they are. Give them c.Writer and
// c.Request, and c.Request.Context() as the context: [gin.Context] itself does not
// have what they look for. Options.User sees c.Request alone, so an
// authentication in front of it must put the user into that request's context, and
// not only c.Set it.
//
// All that is here is how Gin's context and pagestate's middleware meet. What a
// token is, and when a state is sealed, is said in package pagestate.
package ginstate

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/pagestate/pagestate"
)

// Middleware is [pagestate.Middleware.Handler] for Gin. A request whose token
// is refused is answered, and the chain is aborted. The handlers behind it see
// a c.Request and a c.Writer that are pagestate's; in front of it, both are as
// they were, c.Writer's status and size are those of what was sent, and
// c.Request.Pattern is the route. It is safe for concurrent use.
//
// Never let anything behind it answer with a status below 500 while its handler
// still runs, as some timeouts do: see [pagestate.Middleware.Handler].
//
// If the handlers behind it record errors with c.Error before anything is written,
// as c.HTML does for a template that fails, no change is sealed.
//
// Mounted twice, or inside of m.Handler, it does nothing the second time.
func Middleware(m *pagestate.Middleware) gin.HandlerFunc {
	return func(c *gin.Context) {
		outer, request := c.Writer, c.Request
		defer func() { c.Writer, c.Request = outer, request }()
		if route := c.FullPath(); route != "" {
			request.Pattern = route
		}
		accepted := false
		m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			accepted = true
			inner := &writer{ResponseWriter: outer, sealing: w}
			c.Writer, c.Request = inner, r
			recorded := len(c.Errors)
			c.Next()
			if len(c.Errors) > recorded {
				pagestate.Discard(r.Context())
			}
			inner.begin() // with the status that Gin has noted, and has yet to send
		})).ServeHTTP(outer, request)
		if !accepted {
			c.Abort()
		}
	}
}

// Handle is [pagestate.Handle] for Gin: h works on the state of the component
// that acts. It needs [Middleware], or m.Handler around the engine. Errors are
// answered as by [HandlePage].
func Handle[T any](h func(*gin.Context, *T) error) gin.HandlerFunc {
	return HandlePage(func(c *gin.Context) error {
		state, err := pagestate.From[T](c.Request.Context())
		if err != nil {
			return err
		}
		return h(c, state)
	})
}

// HandlePage is [pagestate.HandlePage] for Gin: h needs no token, and finds its
// states with [pagestate.FromOrAttach]. It needs [Middleware], or m.Handler around
// the engine.
//
// If h returns an error before it wrote anything, or records one with c.Error, as
// c.HTML does for a template that fails, its changes are not sealed,
// Options.ErrorHandler answers and the chain is aborted. Returned errors that mean
// nothing to pagestate, and so are answered with 500 StateError, are recorded
// with c.Error for the middleware in front. One that renders c.Errors must
// first see whether c.Writer.Written().
func HandlePage(h func(*gin.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		outer := c.Writer
		defer func() { c.Writer = outer }()
		done := false
		pagestate.HandlePage(func(w http.ResponseWriter, _ *http.Request) error {
			c.Writer = &writer{ResponseWriter: outer, sealing: w}
			recorded := len(c.Errors)
			err := h(c)
			if err == nil && len(c.Errors) > recorded {
				err = c.Errors[recorded].Err
			} else if _, code := pagestate.Status(err); code == "StateError" {
				_ = c.Error(err)
			}
			done = err == nil
			return err
		}).ServeHTTP(outer, c.Request)
		if !done {
			c.Abort()
		}
	}
}

// writer is Gin's writer with pagestate's in front of what begins the response.
// Gin only notes a status, and sends it with the first byte or when all
// handlers have returned: until then it may change, and so may the state.
type writer struct {
	gin.ResponseWriter                     // notes and counts
	sealing            http.ResponseWriter // pagestate's, and then Gin's
	begun              bool
}

// begin seals, with the status that was noted last.
func (w *writer) begin() {
	if !w.begun {
		w.begun = true
		w.sealing.WriteHeader(w.Status())
	}
}

func (w *writer) WriteHeader(status int) {
	if !w.begun { // what was sealed for one status does not leave with another
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *writer) WriteHeaderNow() {
	w.begin()
	w.ResponseWriter.WriteHeaderNow()
}

func (w *writer) Write(b []byte) (int, error) {
	w.begin()
	return w.sealing.Write(b)
}

func (w *writer) WriteString(s string) (int, error) {
	w.begin()
	return io.WriteString(w.sealing, s)
}

func (w *writer) Flush() {
	w.begin()
	_ = http.NewResponseController(w.sealing).Flush()
}

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.sealing).Hijack()
}

// Unwrap gives http.ResponseController what does not begin the response.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
