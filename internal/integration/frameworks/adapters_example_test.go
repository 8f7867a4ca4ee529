package frameworks_test

// How pagestate is mounted in each framework. docs/adapters.md shows parts of
// it.

import (
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/adapter/echostate"
	"github.com/pagestate/pagestate/adapter/ginstate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// Basket is the component of these examples.
type Basket struct {
	pagestate.Component
	Items []string
}

var basketPage = template.Must(template.New("basket").Parse(`<form method="post">{{.StateField}}{{.Items}}</form>`))

// newBaskets stands for an application's set-up, where the secret comes from a
// file.
func newBaskets() *pagestate.Middleware {
	registry := pagestate.NewRegistry()
	pagestate.Register[Basket](registry, "basket")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{testkit.NewSecret()},
		Session: pagestate.Cookie(http.Cookie{Name: "pagestate"}),
		User:    func(r *http.Request) string { return userOf(r.Context()) },
	})
	if err != nil {
		panic(err)
	}
	return mw
}

// shop does what a browser does: it opens a page, submits its form, and goes where it
// is redirected to.
func shop(h http.Handler) {
	server := httptest.NewServer(h)
	defer server.Close()
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	read := func(res *http.Response, err error) string {
		if err != nil {
			panic(err)
		}
		defer res.Body.Close()
		page, _ := io.ReadAll(res.Body)
		return string(page)
	}
	page := read(browser.Get(server.URL + "/baskets/7"))
	for _, item := range []string{"tea", "milk"} {
		page = read(browser.PostForm(server.URL+"/baskets/7", url.Values{"page_state": {tokenIn(page)}, "item": {item}}))
		fmt.Println(regexp.MustCompile(`\[.*\]`).FindString(page))
	}
}

func showBasket(w http.ResponseWriter, r *http.Request) error {
	basket, err := pagestate.FromOrAttach(r.Context(), &Basket{})
	if err != nil {
		return err
	}
	return basketPage.Execute(w, basket)
}

func addItem(w http.ResponseWriter, r *http.Request, basket *Basket) error {
	basket.Items = append(basket.Items, r.FormValue("item"))
	return pagestate.Redirect(w, r, "", basket)
}

// logRoute is a logger in front of a ServeMux.
func logRoute(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		fmt.Println(r.Pattern)
	})
}

func Example_serveMux() {
	mw := newBaskets()

	mux := http.NewServeMux()
	mux.Handle("GET /baskets/{id}", pagestate.HandlePage(showBasket))
	mux.Handle("POST /baskets/{id}", pagestate.Handle(addItem))
	handler := authenticated(logRoute(mw.Handler(mux)))

	shop(handler)
	// Unordered output:
	// GET /baskets/{id}
	// POST /baskets/{id}
	// GET /baskets/{id}
	// [tea]
	// POST /baskets/{id}
	// GET /baskets/{id}
	// [tea milk]
}

// logChiRoute is a logger in front of chi's routes.
func logChiRoute(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		fmt.Println(r.Method, chi.RouteContext(r.Context()).RoutePattern())
	})
}

func Example_chi() {
	mw := newBaskets()

	router := chi.NewRouter()
	router.Use(logChiRoute, authenticated)
	router.Route("/baskets/{id}", func(r chi.Router) {
		r.Use(mw.Handler)
		r.Method("GET", "/", pagestate.HandlePage(showBasket))
		r.Method("POST", "/", pagestate.Handle(addItem))
	})

	shop(router)
	// Unordered output:
	// GET /baskets/{id}
	// POST /baskets/{id}
	// GET /baskets/{id}
	// [tea]
	// POST /baskets/{id}
	// GET /baskets/{id}
	// [tea milk]
}

// ginLogin stands for a login.
func ginLogin(c *gin.Context) {
	user := c.GetHeader("User")
	c.Set("user", user)                                                    // for Gin's handlers
	c.Request = c.Request.WithContext(withUser(c.Request.Context(), user)) // for Options.User and Load
}

func logGinRoute(c *gin.Context) {
	c.Next()
	fmt.Println(c.Request.Method, c.FullPath(), c.Writer.Status())
}

func Example_gin() {
	mw := newBaskets()

	engine := gin.New()
	engine.SetHTMLTemplate(basketPage)
	engine.Use(logGinRoute, gin.Recovery(), ginLogin)
	baskets := engine.Group("/baskets/:id", ginstate.Middleware(mw))
	baskets.GET("", ginstate.HandlePage(func(c *gin.Context) error {
		basket, err := pagestate.FromOrAttach(c.Request.Context(), &Basket{})
		if err != nil {
			return err
		}
		c.HTML(http.StatusOK, "basket", basket)
		return nil
	}))
	baskets.POST("", ginstate.Handle(func(c *gin.Context, basket *Basket) error {
		basket.Items = append(basket.Items, c.PostForm("item"))
		return pagestate.Redirect(c.Writer, c.Request, "", basket)
	}))

	shop(engine)
	// Unordered output:
	// GET /baskets/:id 200
	// POST /baskets/:id 303
	// GET /baskets/:id 200
	// [tea]
	// POST /baskets/:id 303
	// GET /baskets/:id 200
	// [tea milk]
}

func logEchoRoute(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		err := next(c)
		_, status := echo.ResolveResponseStatus(c.Response(), err)
		fmt.Println(c.Request().Method, c.Path(), status)
		return err
	}
}

func Example_echo() {
	mw := newBaskets()

	e := echo.New()
	e.Renderer = &echo.TemplateRenderer{Template: basketPage}
	e.Use(logEchoRoute, middleware.Recover())
	baskets := e.Group("/baskets/:id", echostate.Middleware(mw))
	baskets.GET("", echostate.HandlePage(func(c *echo.Context) error {
		basket, err := pagestate.FromOrAttach(c.Request().Context(), &Basket{})
		if err != nil {
			return err
		}
		return c.Render(http.StatusOK, "basket", basket)
	}))
	baskets.POST("", echostate.Handle(func(c *echo.Context, basket *Basket) error {
		basket.Items = append(basket.Items, c.FormValue("item"))
		return pagestate.Redirect(c.Response(), c.Request(), "", basket)
	}))

	shop(e)
	// Unordered output:
	// GET /baskets/:id 200
	// POST /baskets/:id 303
	// GET /baskets/:id 200
	// [tea]
	// POST /baskets/:id 303
	// GET /baskets/:id 200
	// [tea milk]
}
