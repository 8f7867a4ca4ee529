package pagestate_test

// Runnable examples for what a page does before it is shown, and for the options
// that an application chooses once.

import (
	"crypto/rand"
	"fmt"
	"html/template"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"

	"github.com/pagestate/pagestate"
)

// Vote is a component that counts.
type Vote struct {
	pagestate.Component
	Count int
}

var votePage = template.Must(template.New("").Parse(
	`<form method="post" action="/vote">{{.StateField}}<button>{{.Count}}</button></form>`))

var anyToken = regexp.MustCompile(`gAAAA[\w=-]+`)

// withoutTokens returns a page with … in place of each token, since tokens are
// never the same.
func withoutTokens(page string) string {
	return anyToken.ReplaceAllString(page, "…")
}

// A page attaches its components before it is executed, so that StateField, or
// StateToken, has something to show.
func ExampleAttach() {
	registry := pagestate.NewRegistry()
	pagestate.Register[Vote](registry, "vote")
	mw := newMiddlewareForExamples(registry)

	handler := mw.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		vote := &Vote{Count: 3}
		if err := pagestate.Attach(r.Context(), vote); err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		votePage.Execute(w, vote) // the pointer: a copy has no StateField
	}))

	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	fmt.Println(withoutTokens(rec.Body.String()))
	// Output:
	// <form method="post" action="/vote"><input type="hidden" name="page_state" value="…" autocomplete="off"><button>3</button></form>
}

// A type that does not embed Component gets its token from Token. What is set
// before Token is in it.
func ExampleToken() {
	type Cart struct{ Items []string }
	registry := pagestate.NewRegistry()
	pagestate.Register[Cart](registry, "cart")
	mw := newMiddlewareForExamples(registry)

	handler := mw.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cart := &Cart{}
		if err := pagestate.Attach(r.Context(), cart); err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		cart.Items = append(cart.Items, "tea")
		token, err := pagestate.Token(r.Context(), cart)
		if err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		fmt.Fprintf(w, `<section data-page-state="%s">%s</section>`, token, cart.Items[0])
	}))

	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	fmt.Println(withoutTokens(rec.Body.String()))
	// Output:
	// <section data-page-state="…">tea</section>
}

// Tokens belong to a browser: the first page that attaches a component sets the
// cookie, and a token opens for it alone.
func ExampleCookie() {
	secret := make([]byte, 32)
	rand.Read(secret)
	registry := pagestate.NewRegistry()
	pagestate.Register[Vote](registry, "vote")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{secret},
		Session: pagestate.Cookie(http.Cookie{Name: "__Host-pagestate", Secure: true}),
	})
	if err != nil {
		log.Fatal(err)
	}

	handler := mw.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := pagestate.Attach(r.Context(), &Vote{}); err != nil {
			pagestate.WriteError(w, r, err)
		}
	}))
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, httptest.NewRequest("GET", "https://example.com/", nil))
	for _, cookie := range rec.Result().Cookies() {
		cookie.Value = "random"
		fmt.Println(cookie)
	}
	// Output:
	// __Host-pagestate=random; Path=/; HttpOnly; Secure; SameSite=Lax
}

// With a guard, a token works once. What sends it again, such as a form that is
// sent twice, gets a 409.
func ExampleNewGuard() {
	secret := make([]byte, 32)
	rand.Read(secret)
	registry := pagestate.NewRegistry()
	pagestate.Register[Vote](registry, "vote")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{secret},
		Session: pagestate.Cookie(http.Cookie{Name: "pagestate"}),
		Guard:   pagestate.NewGuard(10_000),
	})
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		vote := &Vote{}
		if err := pagestate.Attach(r.Context(), vote); err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		votePage.Execute(w, vote)
	})
	mux.Handle("POST /vote", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, vote *Vote) error {
		vote.Count++
		return votePage.Execute(w, vote)
	}))
	handler := mw.Handler(mux)

	page := httptest.NewRecorder()
	handler.ServeHTTP(page, httptest.NewRequest("GET", "/", nil))
	token := anyToken.FindString(page.Body.String())
	form := url.Values{"page_state": {token}}
	for range 2 {
		req := httptest.NewRequest("POST", "/vote", strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.AddCookie(page.Result().Cookies()[0])
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, req)
		fmt.Println(rec.Code)
	}
	// Output:
	// 200
	// 409
}
