package pagestatetest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

func (a *app) start(t *testing.T) *httptest.Server {
	server := httptest.NewServer(a.handler)
	t.Cleanup(server.Close)
	return server
}

// count is the state of a page's counter.
func (a *app) count(t *testing.T, page pagestatetest.Page) int {
	t.Helper()
	return pagestatetest.State[counter](t, a.mw, page.Request, page.Response).Count
}

func TestBrowserOverAllBindings(t *testing.T) {
	for name, binding := range bindings(t) {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, pagestate.Options{Session: binding})
			server := httptest.NewTLSServer(a.handler) // for the cookies that are Secure
			defer server.Close()
			browser := pagestatetest.NewBrowser(t, server)
			browser.Header.Set("X-Session", "one")
			page := browser.Get("/")
			for i := 1; i <= 3; i++ {
				page = page.Form("/increment").Submit()
				page = page.Call("POST", "/increment-quietly", nil)
				testkit.Want(t, "count", a.count(t, page), 2*i)
			}
		})
	}
}

// TestTabs: a page that is used twice is two tabs.
func TestTabs(t *testing.T) {
	a := newApp(t, pagestate.Options{})
	browser := pagestatetest.NewBrowser(t, a.start(t))
	first := browser.Get("/").Form("/increment").Submit()
	second := first
	for range 3 {
		first = first.Form("/increment").Submit()
	}
	second = second.Call("POST", "/increment", nil)
	testkit.Want(t, "first tab", a.count(t, first), 4)
	testkit.Want(t, "second tab", a.count(t, second), 2)
}

// TestGuard: looking at a state does not use its token up.
func TestGuard(t *testing.T) {
	a := newApp(t, pagestate.Options{Guard: pagestate.NewGuard(10)})
	page := pagestatetest.NewBrowser(t, a.start(t)).Get("/")
	for i := 1; i <= 2; i++ {
		next := page.Form("/increment").Submit()
		testkit.Want(t, "count", a.count(t, next), i)
		pagestatetest.Refused(t, page.Form("/increment").Submit().Response, pagestate.ErrConflict)
		page = next
	}
}

// TestFormAndScript stands in the README.
func TestFormAndScript(t *testing.T) {
	server := httptest.NewServer(handler)
	defer server.Close()
	browser := pagestatetest.NewBrowser(t, server)
	page := browser.Get("/").Form("/increment").Submit() // as a visitor does
	page = page.Call("POST", "/increment", nil)          // as a script does
	testkit.Want(t, "count", pagestatetest.State[Counter](t, mw, page.Request, page.Response).Count, 2)
}

func TestOtherBrowser(t *testing.T) {
	server := newApp(t, pagestate.Options{}).start(t)
	page := pagestatetest.NewBrowser(t, server).Get("/")
	other := pagestatetest.NewBrowser(t, server)
	other.Get("/")
	pagestatetest.Refused(t, post(t, other, "/increment", page.Tokens...).Response, pagestate.ErrInvalid)
	pagestatetest.Refused(t, other.Page(page.Tokens...).Call("POST", "/increment", nil).Response, pagestate.ErrInvalid)
	pagestatetest.Refused(t, other.Page().Call("POST", "/increment", nil).Response, pagestate.ErrMissing)
}

// post sends tokens as a form does that is nowhere in a page.
func post(t *testing.T, b *pagestatetest.Browser, path string, tokens ...string) pagestatetest.Page {
	t.Helper()
	body := strings.NewReader(url.Values{"page_state": tokens}.Encode())
	r, err := http.NewRequest("POST", path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.Page().Do(r)
}

// TestTokensAfterCall: what a page holds when its script got a response.
func TestTokensAfterCall(t *testing.T) {
	const old, child, next, other = "gAAAAAold", "gAAAAAchild", "gAAAAAnext", "gAAAAAother"
	tests := []struct {
		name         string
		before       []string
		header, body string
		want         []string
	}{
		{"unchanged", []string{old, child}, "", "", []string{old, child}},
		{"changed", []string{old, child}, next, "", []string{next, child}},
		{"a fragment", []string{old, child}, next, next + " " + other, []string{next, other}},
		{"a fragment that is older than the header", []string{old}, next, other, []string{next, other}},
		{"too large for the header", []string{old}, "", next, []string{next}},
		{"without a token before", nil, next, "", []string{next}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if test.header != "" {
					w.Header().Set("Page-State", test.header)
				}
				fmt.Fprint(w, test.body)
			}))
			defer server.Close()
			before := pagestatetest.NewBrowser(t, server).Page(test.before...)
			testkit.Want(t, "tokens", fmt.Sprint(before.Call("POST", "/", nil).Tokens), fmt.Sprint(test.want))
			testkit.Want(t, "the page before", fmt.Sprint(before.Tokens), fmt.Sprint(test.before))
		})
	}
}

// TestHeaders: those of the request come before those of the browser, and what
// a browser sends by itself comes last.
func TestHeaders(t *testing.T) {
	server := newApp(t, pagestate.Options{}).start(t)
	browser := pagestatetest.NewBrowser(t, server)
	page := browser.Get("/")
	browser.Header = http.Header{"sec-fetch-site": {"cross-site"}}
	pagestatetest.Refused(t, page.Form("/increment").Submit().Response, pagestate.ErrCrossOrigin)
	pagestatetest.Refused(t, page.Call("POST", "/increment", nil).Response, pagestate.ErrCrossOrigin)

	r, err := http.NewRequest("POST", server.URL+"/increment", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Content-Type", "application/json")
	testkit.Want(t, "status", page.Do(r).StatusCode, 200)
}

// TestAnswersForWhomTheyAre: a form gets a page, and a script JSON.
func TestAnswersForWhomTheyAre(t *testing.T) {
	clock := new(pagestatetest.Clock)
	browser := pagestatetest.NewBrowser(t, newApp(t, pagestate.Options{MaxAge: time.Minute, Clock: clock.Now}).start(t))
	page := browser.Get("/")
	clock.Advance(time.Hour)
	testkit.Want(t, "form", page.Form("/increment").Submit().Header.Get("Content-Type"), "text/html; charset=utf-8")
	testkit.Want(t, "script", page.Call("POST", "/increment", nil).Header.Get("Content-Type"), "application/json")
}

// TestServerOfAnotherProgram: all that is known of it is its URL.
func TestServerOfAnotherProgram(t *testing.T) {
	a := newApp(t, pagestate.Options{})
	server := &httptest.Server{URL: a.start(t).URL}
	page := pagestatetest.NewBrowser(t, server).Get("/")
	testkit.Want(t, "count", a.count(t, page.Form("/increment").Submit()), 1)
}

func TestBrowserThatGetsNoAnswer(t *testing.T) {
	server := newApp(t, pagestate.Options{}).start(t)
	wantOutcome(t, func(t testing.TB) { pagestatetest.NewBrowser(t, server).Get("://") }, "missing protocol scheme")
	wantOutcome(t, func(t testing.TB) { pagestatetest.NewBrowser(t, server).Page().Call("B A D", "/", nil) }, "invalid method")
	wantOutcome(t, func(t testing.TB) {
		server := httptest.NewServer(nil)
		browser := pagestatetest.NewBrowser(t, server)
		server.Close()
		browser.Get("/")
	}, "connection refused")
	wantOutcome(t, func(t testing.TB) {
		server := httptest.NewUnstartedServer(nil)
		defer server.Close()
		pagestatetest.NewBrowser(t, server)
	}, "start it first")
}
