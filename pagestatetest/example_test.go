package pagestatetest_test

// What the documentation shows. The application has a page with a counter.

import (
	"crypto/rand"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/pagestatetest"
)

type Counter struct {
	pagestate.Component
	Count int
}

var page = template.Must(template.New("").Parse(
	`<form method="post" action="/increment" data-page-state="{{.StateToken}}">{{.StateField}}<button>{{.Count}}</button></form>`))

// newCounters stands for the application.
func newCounters(o pagestate.Options) (*pagestate.Middleware, http.Handler) {
	secret := make([]byte, 32)
	rand.Read(secret)
	o.Secrets = [][]byte{secret}
	o.Session = pagestate.Cookie(http.Cookie{Name: "pagestate"})
	registry := pagestate.NewRegistry()
	pagestate.Register[Counter](registry, "counter")
	mw, err := pagestate.New(registry, o)
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		c := &Counter{}
		if err := pagestate.Attach(r.Context(), c); err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		page.Execute(w, c)
	})
	mux.Handle("POST /increment", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *Counter) error {
		if c.Count == 99 {
			return pagestate.ErrConflict
		}
		if r.FormValue("really") != "no" {
			c.Count++
		}
		return page.Execute(w, c)
	}))
	return mw, mw.Handler(mux)
}

var mw, handler = newCounters(pagestate.Options{})

// TestIncrement stands in the package comment and in the README.
func TestIncrement(t *testing.T) {
	req := pagestatetest.NewRequest(t, mw, "POST", "/increment", nil, &Counter{Count: 5})
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)
	if c := pagestatetest.State[Counter](t, mw, req, rec.Result()); c.Count != 6 {
		t.Errorf("the count is %d", c.Count)
	}
}

// t stands for the *testing.T that an example does not have.
var t testing.TB = exampleT{}

type exampleT struct{ testing.TB }

func (exampleT) Helper()                           {}
func (exampleT) Fatal(args ...any)                 { panic(fmt.Sprint(args...)) }
func (exampleT) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (exampleT) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func ExampleNewRequest() {
	req := pagestatetest.NewRequest(t, mw, "POST", "/increment", nil, &Counter{Count: 5})
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)

	c := pagestatetest.State[Counter](t, mw, req, rec.Result())
	fmt.Println(c.Count)
	// Output: 6
}

// A request with a body and headers of its own.
func ExampleAddState() {
	req := httptest.NewRequest("POST", "/increment?really=no", nil)
	req.Header.Set("HX-Request", "true") // and a login, if Options.User looks for one
	pagestatetest.AddState(t, mw, req, &Counter{Count: 5})
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)

	pagestatetest.Unchanged(t, mw, req, rec.Result())
	fmt.Println(rec.Code)
	// Output: 200
}

// A page shows a component for the first time.
func ExampleState() {
	req := httptest.NewRequest("GET", "/", nil)
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)

	c := pagestatetest.State[Counter](t, mw, req, rec.Result())
	fmt.Println(c.Count)
	// Output: 0
}

func ExampleRefused() {
	req := pagestatetest.NewRequest(t, mw, "POST", "/increment", nil, &Counter{Count: 99})
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)

	pagestatetest.Refused(t, rec.Result(), pagestate.ErrConflict)
	fmt.Println(rec.Code)
	// Output: 409
}

// A page was open for more than a day.
func ExampleClock() {
	clock := new(pagestatetest.Clock)
	mw, handler := newCounters(pagestate.Options{Clock: clock.Now})

	req := pagestatetest.NewRequest(t, mw, "POST", "/increment", nil, &Counter{})
	clock.Advance(25 * time.Hour)
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)

	pagestatetest.Refused(t, rec.Result(), pagestate.ErrExpired)
	fmt.Println(rec.Code)
	// Output: 409
}

// One visitor has two tabs, in which a form and a script count.
func ExampleBrowser() {
	server := httptest.NewServer(handler)
	defer server.Close()
	browser := pagestatetest.NewBrowser(t, server)

	page := browser.Get("/").Form("/increment").Submit()
	duplicate := page
	for range 3 {
		page = page.Call("POST", "/increment", nil)
	}
	duplicate = duplicate.Form("/increment").Submit()

	fmt.Println(pagestatetest.State[Counter](t, mw, page.Request, page.Response).Count)
	fmt.Println(pagestatetest.State[Counter](t, mw, duplicate.Request, duplicate.Response).Count)
	// Output:
	// 4
	// 2
}

// A question whose answer leads to another page.
func ExamplePage_Form() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /question", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `<form method="post">
			<input name="name" required maxlength="20">
			<label><input type="checkbox" name="topping" value="cheese" checked> Cheese</label>
			<label><input type="checkbox" name="topping" value="olives"> Olives</label>
			<button name="do" value="save">Save for later</button>
			<button name="do" value="order">Order</button>
		</form>`)
	})
	mux.HandleFunc("POST /question", func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		answer := url.Values{"for": r.PostForm["name"], "with": r.PostForm["topping"], "then": r.PostForm["do"]}
		http.Redirect(w, r, "/thanks?"+answer.Encode(), http.StatusSeeOther)
	})
	mux.HandleFunc("GET /thanks", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "A pizza with ", r.FormValue("with"), " for ", r.FormValue("for"))
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	question := pagestatetest.NewBrowser(t, server).Get("/question")
	page := question.Form("/question").Fill("name", "Ada").Fill("topping", "olives").Press("Order")

	fmt.Println(page.URL.RequestURI())
	fmt.Println(page.Text)
	fmt.Println(page.Back().URL.Path)
	// Output:
	// /thanks?for=Ada&then=order&with=olives
	// A pizza with olives for Ada
	// /question
}
