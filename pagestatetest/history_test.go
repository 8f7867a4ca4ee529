package pagestatetest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

// diary is a server that notes what it is asked for. Each page has a number, and
// forms that lead to /to. A request whose query has status and to is redirected.
type diary struct {
	*httptest.Server
	pages int
	notes []string
}

func newDiary(t *testing.T) *diary {
	d := new(diary)
	d.Server = httptest.NewServer(d)
	t.Cleanup(d.Close)
	return d
}

func (d *diary) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	path, _, _ := strings.Cut(r.RequestURI, "?")
	d.notes = append(d.notes, strings.TrimSpace(fmt.Sprint(r.Method, " ", path, " ", string(body))))
	query := r.URL.Query()
	for name := range query {
		if header, ok := strings.CutPrefix(name, "set-"); ok {
			w.Header().Set(header, query.Get(name))
		}
	}
	status := http.StatusOK
	if code := query.Get("status"); code != "" {
		fmt.Sscan(code, &status)
	}
	w.WriteHeader(status)
	d.pages++
	fmt.Fprintf(w, `<p>%d</p><form method=post action=/to><input name=a value=1></form><form action=/found><input name=q value=2></form>
		%v %v`, d.pages, r.Header["Sec-Fetch-Site"], r.Header["Page-State"])
}

// noted returns what was asked for since the last time.
func (d *diary) noted() string {
	notes := strings.Join(d.notes, ", ")
	d.notes = nil
	return notes
}

// redirect is the path of a redirect.
func redirect(status int, to string) string {
	return fmt.Sprintf("/from?status=%d&set-Location=%s", status, url.QueryEscape(to))
}

func TestRedirects(t *testing.T) {
	const form = `<form method=%s action="%s"><input name=a value=1></form>`
	tests := []struct {
		method string
		status int
		want   string
	}{
		{"post", 301, "POST /from a=1, GET /end"},
		{"post", 302, "POST /from a=1, GET /end"},
		{"post", 303, "POST /from a=1, GET /end"},
		{"post", 307, "POST /from a=1, POST /end a=1"},
		{"post", 308, "POST /from a=1, POST /end a=1"},
		{"post", 304, "POST /from a=1"},
		{"PUT", 302, "PUT /from a=1, PUT /end a=1"},
		{"PUT", 303, "PUT /from a=1, GET /end"},
		{"PUT", 307, "PUT /from a=1, PUT /end a=1"},
		{"HEAD", 303, "HEAD /from, HEAD /end"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.method, " ", test.status), func(t *testing.T) {
			d := newDiary(t)
			browser := pagestatetest.NewBrowser(t, d.Server)
			target := redirect(test.status, "end#part")
			if test.method == "post" {
				server := echoServer(t, fmt.Sprintf(form, test.method, d.URL+target))
				page := pagestatetest.NewBrowser(t, server).Get("/page")
				next := page.Forms(d.URL + "/from")[0].Submit()
				testkit.Want(t, "another site", next.Request.Header.Get("Sec-Fetch-Site"), "same-site")
				contentType := next.Request.Header.Get("Content-Type")
				testkit.Want(t, "media type", contentType != "", next.Request.Method == "POST")
				if test.status != 304 {
					testkit.Want(t, "URL", next.URL.String(), d.URL+"/end#part")
				}
			} else {
				var body url.Values
				if test.method != "HEAD" {
					body = url.Values{"a": {"1"}}
				}
				next := browser.Get("/").Call(test.method, target, body)
				testkit.Want(t, "URL of the page", next.URL.String(), d.URL+"/")
				d.notes = d.notes[1:]
			}
			testkit.Want(t, "asked for", d.noted(), test.want)
		})
	}
}

// TestCookiesBetweenRedirects: what a redirect sets is sent to where it leads.
func TestCookiesBetweenRedirects(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/end" {
			fmt.Fprint(w, r.Header.Get("Cookie"), " ", r.Header.Get("X-Own"), " ", r.Header.Get("Sec-Fetch-Site"))
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "met", Value: "yes"})
		http.Redirect(w, r, "/end", http.StatusSeeOther)
	}))
	defer server.Close()
	browser := pagestatetest.NewBrowser(t, server)
	browser.Header.Set("X-Own", "here")
	testkit.Want(t, "sent", browser.Get("/").Text, "met=yes here ")
}

func TestRedirectsWithoutEnd(t *testing.T) {
	seen := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var left int
		fmt.Sscanf(r.URL.Path, "/%d", &left)
		seen++
		if left > 0 {
			http.Redirect(w, r, fmt.Sprintf("/%d", left-1), http.StatusFound)
		}
	}))
	defer server.Close()
	testkit.Want(t, "after 10", pagestatetest.NewBrowser(t, server).Get("/10").URL.Path, "/0")
	seen = 0
	wantOutcome(t, func(t testing.TB) { pagestatetest.NewBrowser(t, server).Get("/100") }, "more than 10 redirects")
	testkit.Want(t, "requests", seen, 11)
}

func TestRedirectsThatNobodyFollows(t *testing.T) {
	d, other := newDiary(t), newDiary(t)
	get := func(location string) func(t testing.TB) {
		return func(t testing.TB) { pagestatetest.NewBrowser(t, d.Server).Get(redirect(303, location)) }
	}
	wantOutcome(t, get("javascript:alert(1)"), "which a browser does not follow")
	wantOutcome(t, get("http://%zz"), "invalid URL escape")
	call := func(to string) func(t testing.TB) {
		return func(t testing.TB) {
			pagestatetest.NewBrowser(t, d.Server).Page("gAAAAAx").Call("POST", redirect(303, to), nil)
		}
	}
	wantOutcome(t, call(other.URL+"/end"), "where a script of the page cannot follow")
	testkit.Want(t, "the other origin was asked for", other.noted(), "")
	testkit.Want(t, "within the origin", outcome(t, call(d.URL+"/end")), "")

	page := pagestatetest.NewBrowser(t, d.Server).Get(redirect(303, ""))
	testkit.Want(t, "without a location", page.StatusCode, 303)
}

// TestScriptThatFollows: its header goes along, as with fetch.
func TestScriptThatFollows(t *testing.T) {
	browser := pagestatetest.NewBrowser(t, newDiary(t).Server)
	next := browser.Page("gAAAAAx").Call("POST", redirect(303, "/end"), nil)
	testkit.WantText(t, "the last request", next.Text, "[same-origin] [gAAAAAx]")
}

// TestBodyOfAStream is sent again where a redirect wants it.
func TestBodyOfAStream(t *testing.T) {
	d := newDiary(t)
	r, err := http.NewRequest("POST", redirect(307, "/end"), io.MultiReader(strings.NewReader("a"), strings.NewReader("b")))
	if err != nil {
		t.Fatal(err)
	}
	pagestatetest.NewBrowser(t, d.Server).Page().Do(r)
	testkit.Want(t, "asked for", d.noted(), "POST /from ab, POST /end ab")

	r, err = http.NewRequest("POST", "/", brokenBody{failingReader{}})
	if err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, func(t testing.TB) { pagestatetest.NewBrowser(t, d.Server).Page().Do(r) }, "unexpected EOF")
}

// TestSite: what the page that leads there, and each redirect, make of it.
func TestSite(t *testing.T) {
	d, other := newDiary(t), newDiary(t)
	page := pagestatetest.NewBrowser(t, d.Server).Get("/")
	abroad := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	tests := []struct{ to, want string }{
		{"/x", "[same-origin]"},
		{redirect(303, "/x"), "[same-origin]"},
		{other.URL, "[same-site]"},
		{abroad, "[cross-site]"},
		{redirect(303, other.URL+redirect(303, d.URL)), "[same-site]"},
		{redirect(303, abroad+redirect(303, d.URL)), "[cross-site]"},
	}
	for _, test := range tests {
		testkit.WantText(t, test.to, page.Get(test.to).Text, test.want)
	}
	testkit.WantText(t, "by a visitor", page.Text, "[] []")
}

func TestBack(t *testing.T) {
	const noStore = "/page?set-Cache-Control=" + "private,+No-Store"
	tests := []struct {
		name string
		do   func(first pagestatetest.Page) pagestatetest.Page
		want string // the number of the page and what is asked for again
	}{
		{"a form", func(p pagestatetest.Page) pagestatetest.Page { return p.Form("/to").Submit() }, "1 "},
		{"a form with GET", func(p pagestatetest.Page) pagestatetest.Page { return p.Form("/found").Submit() }, "1 "},
		{"a link", func(p pagestatetest.Page) pagestatetest.Page { return p.Get("/x") }, "1 "},
		{"a redirect", func(p pagestatetest.Page) pagestatetest.Page { return p.Get(redirect(303, "/x")) }, "1 "},
		{"a form and a link", func(p pagestatetest.Page) pagestatetest.Page { return p.Form("/to").Submit().Get("/x") }, "2 "},
		{"twice", func(p pagestatetest.Page) pagestatetest.Page { return p.Get("/x").Get("/y").Back() }, "1 "},
		{"a reload", func(p pagestatetest.Page) pagestatetest.Page { return p.Get("/x").Reload() }, "1 "},
		{"a script", func(p pagestatetest.Page) pagestatetest.Page { return p.Call("POST", "/x", nil).Get("/y") }, "1 "},
		{"a script there", func(p pagestatetest.Page) pagestatetest.Page { return p.Get("/y").Call("POST", "/x", nil) }, "1 "},
		{"the same link", func(p pagestatetest.Page) pagestatetest.Page { return p.Get("/x").Get("/x") }, "1 "},
		{"the same form", func(p pagestatetest.Page) pagestatetest.Page { return p.Form("/to").Submit().Form("/to").Submit() }, "2 "},
		{"no content", func(p pagestatetest.Page) pagestatetest.Page { return p.Get("/x").Get("/y?status=204") }, "1 "},
		{"no-cache", func(p pagestatetest.Page) pagestatetest.Page {
			return p.Get("/page?set-Cache-Control=private,+no-cache").Get("/x")
		}, "2 "},
		{"no-store", func(p pagestatetest.Page) pagestatetest.Page { return p.Get(noStore).Get("/x") }, "4 GET /page"},
		{"no-store, twice", func(p pagestatetest.Page) pagestatetest.Page { return p.Get(noStore).Get("/x").Back() }, "1 "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDiary(t)
			last := test.do(pagestatetest.NewBrowser(t, d.Server).Get("/"))
			d.noted()
			page := last.Back()
			var number int
			fmt.Sscanf(page.Text, "<p>%d", &number)
			testkit.Want(t, "page", fmt.Sprint(number, " ", d.noted()), test.want)
			body, _ := io.ReadAll(page.Body)
			testkit.Want(t, "body", string(body), page.Text)
		})
	}
}

// TestBackToAPost: a browser asks its visitor, and sends the form again.
func TestBackToAPost(t *testing.T) {
	d := newDiary(t)
	page := echoPage(t, `<form method=post action="`+d.URL+`/to?set-Cache-Control=no-store"><input name=a value=1></form>`)
	last := page.Forms(d.URL + "/to")[0].Submit().Get("/x")
	d.noted()
	last.Back()
	testkit.Want(t, "asked for again", d.noted(), "POST /to a=1")
}

func echoPage(t *testing.T, page string) pagestatetest.Page { return echo(t, page).Get("/page") }

func TestReload(t *testing.T) {
	tests := []struct {
		name string
		do   func(first pagestatetest.Page) pagestatetest.Page
		want string
	}{
		{"a page", func(p pagestatetest.Page) pagestatetest.Page { return p }, "GET /"},
		{"a link", func(p pagestatetest.Page) pagestatetest.Page { return p.Get("/x") }, "GET /x"},
		{"a form with GET", func(p pagestatetest.Page) pagestatetest.Page { return p.Form("/found").Submit() }, "GET /found"},
		{"a form", func(p pagestatetest.Page) pagestatetest.Page { return p.Form("/to").Fill("a", "3").Submit() }, "POST /to a=3"},
		{"a form, twice", func(p pagestatetest.Page) pagestatetest.Page { return p.Form("/to").Submit().Reload() }, "POST /to a=1"},
		{"a redirect", func(p pagestatetest.Page) pagestatetest.Page { return p.Get(redirect(303, "/x")) }, "GET /x"},
		{"after a script", func(p pagestatetest.Page) pagestatetest.Page { return p.Call("POST", "/x", nil) }, "GET /"},
		{"after Back", func(p pagestatetest.Page) pagestatetest.Page { return p.Get("/x").Back() }, "GET /"},
		{"no content", func(p pagestatetest.Page) pagestatetest.Page { return p.Get("/y?status=204") }, "GET /"},
		{"a download", func(p pagestatetest.Page) pagestatetest.Page {
			return p.Get("/y?set-Content-Disposition=attachment")
		}, "GET /"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDiary(t)
			page := test.do(pagestatetest.NewBrowser(t, d.Server).Get("/"))
			d.noted()
			address := page.URL.String()
			testkit.Want(t, "URL", page.Reload().URL.String(), address)
			testkit.Want(t, "asked for", d.noted(), test.want)
		})
	}
}

// TestReloadAfterPostAndRedirect asks for the page that the redirect led to.
func TestReloadAfterPostAndRedirect(t *testing.T) {
	d := newDiary(t)
	page := echoPage(t, `<form method=post action="`+d.URL+redirect(303, "/x")+`"></form>`)
	next := page.Forms(d.URL + "/from")[0].Submit()
	d.noted()
	next.Reload()
	testkit.Want(t, "asked for", d.noted(), "GET /x")
	testkit.Want(t, "before it", next.Back().URL.Path, "/page")
}

func TestNoHistory(t *testing.T) {
	server := newDiary(t).Server
	wantOutcome(t, func(t testing.TB) { pagestatetest.NewBrowser(t, server).Get("/").Back() }, "no page before this one")
	wantOutcome(t, func(t testing.TB) { pagestatetest.NewBrowser(t, server).Page("gAAAAAx").Back() }, "no page before this one")
	wantOutcome(t, func(t testing.TB) { pagestatetest.NewBrowser(t, server).Page("gAAAAAx").Reload() }, "was not loaded")
	from := pagestatetest.NewBrowser(t, server).Page("gAAAAAx").Get("/x")
	wantOutcome(t, func(t testing.TB) { pagestatetest.NewBrowser(t, server).Get("/").Get(":") }, "missing protocol scheme")
	testkit.Want(t, "from a page that was not loaded", from.URL.Path, "/x")
}

// TestFormAfterCall: what a script got is in the page's forms.
func TestFormAfterCall(t *testing.T) {
	a := newApp(t, pagestate.Options{Guard: pagestate.NewGuard(10)})
	page := pagestatetest.NewBrowser(t, a.start(t)).Get("/")
	for i := range 3 {
		page = page.Call("POST", "/increment-quietly", nil) // a token in the header
		page = page.Form("/increment").Submit()
		page = page.Call("POST", "/increment", nil) // and one in the body
		page = page.Form("/increment").Submit()
		testkit.Want(t, "count", a.count(t, page), 4*i+4)
	}
}

// TestReloadWithAGuard: a form that is sent again has a token that was used.
func TestReloadWithAGuard(t *testing.T) {
	a := newApp(t, pagestate.Options{Guard: pagestate.NewGuard(10)})
	page := pagestatetest.NewBrowser(t, a.start(t)).Get("/").Form("/increment").Submit()
	pagestatetest.Refused(t, page.Reload().Response, pagestate.ErrConflict)
	testkit.Want(t, "count", a.count(t, page.Form("/increment").Submit()), 2)
}

// TestCallSendsAllTokens: those of the page in the header, and none in the body.
func TestCallSendsAllTokens(t *testing.T) {
	page := echoPage(t, "<form data-page-state=gAAAAAone><input type=hidden name=page_state value=gAAAAA-t_wo==></form>gAAAAAone")
	for _, next := range []pagestatetest.Page{page.Call("POST", "/to", url.Values{"do": {"up"}}), page.Call("PUT", "/to", nil)} {
		testkit.Want(t, "header", fmt.Sprint(next.Request.Header["Page-State"]), "[gAAAAAone gAAAAA-t_wo==]")
		testkit.Want(t, "site", next.Request.Header.Get("Sec-Fetch-Site"), "same-origin")
	}
	testkit.Want(t, "body", page.Call("POST", "/to", url.Values{"do": {"up"}}).Text, "POST /to: do=up")
	testkit.Want(t, "no body", page.Call("PUT", "/to", nil).Text, "PUT /to: ")
}
