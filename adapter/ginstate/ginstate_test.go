package ginstate_test

// What is peculiar to Gin, over a real server. What is the same in all
// frameworks is tested in internal/integration.

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/adapter/ginstate"
	"github.com/pagestate/pagestate/internal/adaptertest"
	"github.com/pagestate/pagestate/internal/testkit"
)

type Tally = adaptertest.Tally

// site is an engine that a test adds handlers to.
type site struct {
	*gin.Engine
	*adaptertest.Site
}

func newSite(t *testing.T, o pagestate.Options) *site {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	return &site{gin.New(), adaptertest.New(t, o)}
}

// from is a handler that asks for the state itself.
func from(t *testing.T, h func(*gin.Context, *Tally)) gin.HandlerFunc {
	return func(c *gin.Context) {
		s, err := pagestate.From[Tally](c.Request.Context())
		if err != nil {
			t.Error(err)
			return
		}
		h(c, s)
	}
}

// How one would write the middleware at first, and what is lost.
func TestNaiveWays(t *testing.T) {
	type loss struct {
		written   int    // what is sealed if a body follows the change
		noted     int    // if the change follows c.Status
		corrected int    // if c.Status says 200 and then 500
		gone      string // the body of a 410
	}
	for name, c := range map[string]struct {
		middleware func(*pagestate.Middleware) gin.HandlerFunc
		want       loss
	}{
		"the adapter":                  {ginstate.Middleware, loss{2, 2, 0, adaptertest.GoneBody}},
		"c.Request alone":              {requestAlone, loss{0, 2, 2, adaptertest.GoneBody + "late"}},
		"the status forwarded at once": {statusAtOnce, loss{2, 0, 2, adaptertest.GoneBody + "late"}},
	} {
		t.Run(name, func(t *testing.T) {
			call := func(state Tally, h gin.HandlerFunc) adaptertest.Answer {
				s := newSite(t, pagestate.Options{})
				s.POST("/", c.middleware(s.Middleware), h)
				return s.Call(s, state)
			}
			testkit.Want(t, "loss", loss{
				written: call(Tally{Count: 1}, from(t, func(c *gin.Context, s *Tally) {
					s.Count = 2
					c.String(200, "body")
				})).Count,
				noted: call(Tally{Count: 1}, from(t, func(c *gin.Context, s *Tally) {
					c.Status(202)
					s.Count = 2
				})).Count,
				corrected: call(Tally{Count: 1}, from(t, func(c *gin.Context, s *Tally) {
					s.Count = 2
					c.Status(200)
					c.Status(500)
				})).Count,
				gone: call(Tally{Gone: true}, func(c *gin.Context) { c.String(200, "late") }).Body,
			}, c.want)
		})
	}
}

func requestAlone(m *pagestate.Middleware) gin.HandlerFunc {
	return func(c *gin.Context) {
		m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			c.Request = r
			c.Next()
		})).ServeHTTP(c.Writer, c.Request)
	}
}

func statusAtOnce(m *pagestate.Middleware) gin.HandlerFunc {
	return func(c *gin.Context) {
		m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.Request, c.Writer = r, forwarder{c.Writer, w}
			c.Next()
		})).ServeHTTP(c.Writer, c.Request)
	}
}

type forwarder struct {
	gin.ResponseWriter
	sealing http.ResponseWriter
}

func (w forwarder) WriteHeader(status int)            { w.sealing.WriteHeader(status) }
func (w forwarder) Write(b []byte) (int, error)       { return w.sealing.Write(b) }
func (w forwarder) WriteString(s string) (int, error) { return io.WriteString(w.sealing, s) }

// Whatever begins the response seals, with the state as it is by then.
func TestBegins(t *testing.T) {
	for name, c := range map[string]struct {
		begin  func(*gin.Context)
		status int
		body   string
	}{
		"String":              {func(c *gin.Context) { c.String(202, "body") }, 202, "body"},
		"Write":               {func(c *gin.Context) { c.Writer.Write([]byte("body")) }, 200, "body"},
		"WriteString":         {func(c *gin.Context) { c.Writer.WriteString("body") }, 200, "body"},
		"WriteHeaderNow":      {func(c *gin.Context) { c.Writer.WriteHeaderNow() }, 200, ""},
		"Flush":               {func(c *gin.Context) { c.Writer.Flush() }, 200, ""},
		"SSEvent":             {func(c *gin.Context) { c.SSEvent("tick", 1) }, 200, "event:tick\ndata:1\n\n"},
		"JSON without a body": {func(c *gin.Context) { c.JSON(204, 1) }, 204, ""},
		"AbortWithStatus":     {func(c *gin.Context) { c.AbortWithStatus(404) }, 404, ""},
		"AbortWithStatusJSON": {func(c *gin.Context) { c.AbortWithStatusJSON(404, 1) }, 404, "1"},
		"Hijack": {func(c *gin.Context) {
			conn, _, err := c.Writer.Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			fmt.Fprint(conn, "HTTP/1.1 202 Accepted\r\nConnection: close\r\n")
			c.Writer.Header().Write(conn)
			fmt.Fprint(conn, "\r\nbody")
		}, 202, "body"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, pagestate.Options{})
			s.POST("/", ginstate.Middleware(s.Middleware), from(t, func(ctx *gin.Context, s *Tally) {
				s.Count = 2
				c.begin(ctx)
				testkit.Want(t, "written", ctx.Writer.Written(), true)
				s.Count = 3
			}))
			got := s.Call(s, Tally{Count: 1})
			testkit.Want(t, "status", got.StatusCode, c.status)
			testkit.Want(t, "body", got.Body, c.body)
			testkit.Want(t, "sealed", got.Count, 2)
			testkit.Want(t, "warnings", strings.Count(s.Log.String(), "changed too late"), 1)
		})
	}
}

// The status that Gin has noted decides, however the response begins then.
func TestBeginsWithNotedStatus(t *testing.T) {
	for name, begin := range map[string]func(*gin.Context){
		"Write":          func(c *gin.Context) { c.Writer.Write([]byte("body")) },
		"WriteString":    func(c *gin.Context) { c.Writer.WriteString("body") },
		"WriteHeaderNow": func(c *gin.Context) { c.Writer.WriteHeaderNow() },
		"Flush":          func(c *gin.Context) { c.Writer.Flush() },
		"the end":        func(*gin.Context) {},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, pagestate.Options{})
			s.POST("/", ginstate.Middleware(s.Middleware), from(t, func(c *gin.Context, s *Tally) {
				s.Count = 2
				c.Status(http.StatusServiceUnavailable)
				begin(c)
			}))
			got := s.Call(s, Tally{Count: 1})
			testkit.Want(t, "status", got.StatusCode, http.StatusServiceUnavailable)
			testkit.Want(t, "sealed", got.Count, 0)
		})
	}
}

// What does not begin the response is within reach, and seals nothing.
func TestUnwraps(t *testing.T) {
	s := newSite(t, pagestate.Options{})
	s.POST("/", ginstate.Middleware(s.Middleware), ginstate.Handle(func(c *gin.Context, s *Tally) error {
		testkit.Want(t, "error", http.NewResponseController(c.Writer).EnableFullDuplex(), nil)
		c.Writer.CloseNotify()
		s.Count = 2
		return nil
	}))
	testkit.Want(t, "sealed", s.Call(s, Tally{Count: 1}).Count, 2)
}

// In front, c.Request and c.Writer are what they were, and the writer knows
// what was sent.
func TestGivesBack(t *testing.T) {
	for name, c := range map[string]struct {
		h            func(*gin.Context, *Tally)
		status, size int
	}{
		"answered":   {func(c *gin.Context, _ *Tally) { c.String(202, "body") }, 202, 4},
		"noted":      {func(c *gin.Context, _ *Tally) { c.Status(204) }, 204, -1},
		"refused":    {func(*gin.Context, *Tally) { t.Error("it ran") }, 410, len(adaptertest.GoneBody)},
		"panic":      {func(*gin.Context, *Tally) { panic("oh") }, 200, -1},
		"unsealable": {func(c *gin.Context, s *Tally) { s.Any = make(chan int); c.String(202, "body") }, 500, len(adaptertest.ErrorBody)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, pagestate.Options{})
			s.Use(func(ctx *gin.Context) {
				w, r := ctx.Writer, ctx.Request
				defer func() {
					testkit.Want(t, "panicked", recover() != nil, name == "panic")
					testkit.Want(t, "aborted", ctx.IsAborted(), name == "refused")
					testkit.Want(t, "the same writer", ctx.Writer == w, true)
					testkit.Want(t, "the same request", ctx.Request == r, true)
					testkit.Want(t, "pattern", r.Pattern, "/*all")
					testkit.Want(t, "status", w.Status(), c.status)
					testkit.Want(t, "size", w.Size(), c.size)
				}()
				ctx.Next()
			})
			s.POST("/*all", ginstate.Middleware(s.Middleware), func(c *gin.Context) {
				c.Request = c.Request.WithContext(c.Request.Context()) // and does not give it back
			}, from(t, c.h))
			s.Call(s, Tally{Gone: name == "refused"})
		})
	}
}

// What the functions in Handle and HandlePage return is answered once. What means
// nothing to pagestate is recorded too.
func TestHandleErrors(t *testing.T) {
	t.Run("Handle", func(t *testing.T) { testHandleErrors(t, ginstate.Handle) })
	t.Run("HandlePage", func(t *testing.T) {
		testHandleErrors(t, func(h func(*gin.Context, *Tally) error) gin.HandlerFunc {
			return ginstate.HandlePage(func(c *gin.Context) error {
				s, err := pagestate.From[Tally](c.Request.Context())
				if err != nil {
					return err
				}
				return h(c, s)
			})
		})
	})
}

func testHandleErrors(t *testing.T, handle func(func(*gin.Context, *Tally) error) gin.HandlerFunc) {
	errOh := errors.New("oh")
	for name, c := range map[string]struct {
		h        func(*gin.Context) error
		status   int
		body     string
		count    int
		recorded string
	}{
		"none":         {func(c *gin.Context) error { c.String(202, "body"); return nil }, 202, "body", 2, ""},
		"any":          {func(c *gin.Context) error { c.Status(202); return errOh }, 500, adaptertest.ErrorBody, 0, "oh"},
		"pagestate's":  {func(*gin.Context) error { return fmt.Errorf("oh: %w", pagestate.ErrStale) }, 410, adaptertest.GoneBody, 0, ""},
		"after a byte": {func(c *gin.Context) error { c.String(202, "body"); return errOh }, 202, "body", 2, "oh"},
		"recorded":     {func(c *gin.Context) error { c.Error(errOh); return nil }, 500, adaptertest.ErrorBody, 0, "oh"},
		"recorded after a byte": {func(c *gin.Context) error {
			c.String(202, "body")
			c.Error(errOh)
			return nil
		}, 202, "body", 2, "oh"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, pagestate.Options{})
			recorded, later := "", false
			s.Use(func(c *gin.Context) {
				c.Next()
				if err := c.Errors.Last(); err != nil {
					recorded = err.Error()
				}
				if !c.Writer.Written() {
					c.JSON(http.StatusTeapot, recorded)
				}
			}, ginstate.Middleware(s.Middleware), func(c *gin.Context) {
				w := c.Writer
				c.Next()
				testkit.Want(t, "the same writer", c.Writer == w, true)
			})
			s.POST("/", handle(func(ctx *gin.Context, s *Tally) error {
				s.Count = 2
				return c.h(ctx)
			}), func(*gin.Context) { later = true })
			got := s.Call(s, Tally{Count: 1})
			testkit.Want(t, "status", got.StatusCode, c.status)
			testkit.Want(t, "body", got.Body, c.body)
			testkit.Want(t, "sealed", got.Count, c.count)
			testkit.Want(t, "recorded", recorded, c.recorded)
			testkit.Want(t, "the next handler runs", later, name == "none")
			testkit.Want(t, "errors in the log", strings.Count(s.Log.String(), "cause=oh"), len(c.recorded)/2)
		})
	}
}

// Gin only notes the status of a redirect, so an error can still be answered.
func TestErrorAfterRedirect(t *testing.T) {
	s := newSite(t, pagestate.Options{})
	s.POST("/", ginstate.Middleware(s.Middleware), ginstate.Handle(func(c *gin.Context, tally *Tally) error {
		tally.Count = 2
		if err := pagestate.Redirect(c.Writer, c.Request, "/next", tally); err != nil {
			return err
		}
		return errors.New("oh")
	}))
	got := s.Call(s, Tally{Count: 1})
	testkit.Want(t, "status", got.StatusCode, http.StatusInternalServerError)
	testkit.Want(t, "body", got.Body, adaptertest.ErrorBody)
	testkit.Want(t, "location", got.Header.Get("Location"), "")
	testkit.Want(t, "sealed", got.Count, 0)
}

// c.HTML records the error of a template, and returns.
func TestFailedTemplate(t *testing.T) {
	fails := template.Must(template.New("page").Parse(`{{.Nothing}}`))
	s := newSite(t, pagestate.Options{})
	s.SetHTMLTemplate(fails)
	s.Use(ginstate.Middleware(s.Middleware))
	s.POST("/", func(c *gin.Context) {
		state, err := pagestate.From[Tally](c.Request.Context())
		if err != nil {
			t.Error(err)
			return
		}
		state.Count = 2
		c.HTML(http.StatusOK, "page", state)
	})
	got := s.Call(s, Tally{Count: 1})
	testkit.Want(t, "sealed", got.Count, 0)
	testkit.Want(t, "errors in the log", strings.Count(s.Log.String(), "level=ERROR"), 0)
}

// A middleware behind may hold the body back, so that pagestate's writer has
// not seen it when the error is returned.
func TestHandleErrorAfterHeldBody(t *testing.T) {
	s := newSite(t, pagestate.Options{})
	s.POST("/", ginstate.Middleware(s.Middleware), func(c *gin.Context) {
		w := &holder{ResponseWriter: c.Writer}
		c.Writer = w
		c.Next()
		w.ResponseWriter.Write(w.held.Bytes())
	}, ginstate.Handle(func(c *gin.Context, s *Tally) error {
		c.String(http.StatusOK, "body")
		return errors.New("oh")
	}))
	got := s.Call(s, Tally{})
	testkit.Want(t, "status", got.StatusCode, http.StatusOK)
	testkit.Want(t, "body", got.Body, "body")
}

type holder struct {
	gin.ResponseWriter
	held bytes.Buffer
}

func (w *holder) Write(b []byte) (int, error) { return w.held.Write(b) }

// An answer without a body is only noted by Gin. What the handler does after
// its state could not be sealed must not change it.
func TestRefusedWithoutBody(t *testing.T) {
	s := newSite(t, pagestate.Options{ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
		w.WriteHeader(http.StatusTeapot)
	}})
	s.POST("/", ginstate.Middleware(s.Middleware), from(t, func(c *gin.Context, s *Tally) {
		s.Any = make(chan int)
		c.String(http.StatusOK, "body")
		c.String(http.StatusAccepted, "body")
	}))
	got := s.Call(s, Tally{})
	testkit.Want(t, "status", got.StatusCode, http.StatusTeapot)
	testkit.Want(t, "body", got.Body, "")
}

func TestHandleWithoutMiddleware(t *testing.T) {
	for name, h := range map[string]gin.HandlerFunc{
		"Handle":     ginstate.Handle(func(*gin.Context, *Tally) error { t.Error("it ran"); return nil }),
		"HandlePage": ginstate.HandlePage(func(*gin.Context) error { t.Error("it ran"); return nil }),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, pagestate.Options{})
			s.POST("/", h, func(*gin.Context) { t.Error("the next one ran") })
			got := s.Call(s, Tally{})
			testkit.Want(t, "status", got.StatusCode, http.StatusInternalServerError)
			testkit.Want(t, "body", got.Body, adaptertest.ErrorBody)
		})
	}
}

// Engine.HandleContext puts Gin's own writer back into the context, so where it
// is used the middleware has to be around the engine.
func TestHandleContext(t *testing.T) {
	for name, c := range map[string]struct {
		mount  func(*site) http.Handler
		sealed int
	}{
		"around the engine": {func(s *site) http.Handler { return s.Middleware.Handler(s) }, 2},
		"in it":             {func(s *site) http.Handler { s.Use(ginstate.Middleware(s.Middleware)); return s }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, pagestate.Options{})
			h := c.mount(s)
			s.POST("/", func(c *gin.Context) {
				c.Request.URL.Path = "/other"
				s.HandleContext(c)
			})
			s.POST("/other", ginstate.Handle(func(c *gin.Context, s *Tally) error {
				s.Count = 2
				c.String(http.StatusOK, "body")
				return nil
			}))
			testkit.Want(t, "sealed", s.Call(h, Tally{Count: 1}).Count, c.sealed)
		})
	}
}
