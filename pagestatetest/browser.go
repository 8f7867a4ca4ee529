package pagestatetest

// This file is a browser as far as state is concerned: it keeps cookies and
// tokens, and sends them as forms and scripts do. It renders nothing and runs
// nothing.

import (
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A Browser is one visitor of a server: it keeps cookies, and follows
// redirects. Several pages of one Browser are several tabs.
//
// It is for the goroutine of its test.
type Browser struct {
	// Header is what each request has besides, or in place of, what a browser
	// sends by itself. It is empty at first.
	Header http.Header

	t      testing.TB
	base   *url.URL
	client *http.Client
}

// NewBrowser returns a browser that has not visited the server yet. For a server
// that another program runs, only the URL of the httptest.Server is needed.
// Where the binding's cookie is Secure, start the server with
// httptest.NewTLSServer.
func NewBrowser(t testing.TB, server *httptest.Server) *Browser {
	t.Helper()
	base, err := url.Parse(server.URL)
	if err != nil || base.Host == "" {
		t.Fatalf("pagestatetest: the server has the URL %q; start it first", server.URL)
	}
	client := new(http.Client)
	if c := server.Client(); c != nil {
		client.Transport = c.Transport // knows the certificate of a test
	}
	client.Jar, _ = cookiejar.New(nil) // has no error to return
	return &Browser{Header: make(http.Header), t: t, base: base, client: client}
}

// A Page is what a tab shows: a response, and the tokens that came with it. It
// does not change: [Page.Submit] and [Page.Call] return the next one. So the
// same page used twice is a tab that was duplicated, or one after the browser's
// Back.
type Page struct {
	*http.Response        // its Body can still be read
	Text           string // the body

	// Tokens are those of the page, wherever they stand in it, each once and in
	// their order.
	Tokens []string

	fields  []string // those in input elements
	browser *Browser
}

// Page returns a page that holds these tokens, and nothing else: one component
// out of several on a page, a page from before the server was started again, or
// what another browser has copied. Its Response is nil.
func (b *Browser) Page(tokens ...string) Page {
	return Page{Tokens: tokens, fields: tokens, browser: b}
}

// Get opens an address in a tab: a path of the server, or a whole URL. It sends
// cookies and no token.
func (b *Browser) Get(target string) Page {
	b.t.Helper()
	return b.send(b.request("GET", target, nil), pageHeader())
}

// Submit posts a form of the page without a script: the tokens in the page's
// input elements as page_state, and form, which has what else the form would
// send. Nil is nothing else.
//
// A page with several forms sends the tokens of all of them: choose with
// [Browser.Page].
func (p Page) Submit(target string, form url.Values) Page {
	p.browser.t.Helper()
	all := url.Values{"page_state": p.fields}
	maps.Copy(all, form)
	header := pageHeader()
	header.Set("Sec-Fetch-Site", "same-origin")
	return p.browser.send(p.browser.request("POST", target, all), header)
}

// Call sends a request as a script of the page does, with the page's tokens in
// the header Page-State, and form as its body. Nil is no body.
//
// In the next page the token in the response's header has taken the place of
// the first one. If the response's body has tokens, they are those of the page.
func (p Page) Call(method, target string, form url.Values) Page {
	p.browser.t.Helper()
	return p.Do(p.browser.request(method, target, form))
}

// Do is [Page.Call] with a request made by http.NewRequest, for other bodies
// and headers. Its URL may be a path of the server.
func (p Page) Do(r *http.Request) Page {
	p.browser.t.Helper()
	next := p.browser.send(r, http.Header{
		"Accept":         {"*/*"},
		"Sec-Fetch-Site": {"same-origin"},
		stateHeader:      p.Tokens,
	})
	next.Tokens = tokensAfterCall(p.Tokens, next.Tokens, next.Header.Get(stateHeader))
	next.fields = next.Tokens
	return next
}

// tokensAfterCall are those that a page has when a script of it got a response.
func tokensAfterCall(before, body []string, header string) []string {
	switch {
	case header == "" && len(body) == 0:
		return before
	case header == "" || slices.Contains(body, header):
		return body
	case len(body) == 0 && len(before) > 0:
		body = before[1:]
	}
	return append([]string{header}, body...)
}

// pageHeader is what a browser sends that wants a page.
func pageHeader() http.Header {
	return http.Header{"Accept": {"text/html,application/xhtml+xml,*/*;q=0.8"}}
}

// request has form as its body, unless that is nil.
func (b *Browser) request(method, target string, form url.Values) *http.Request {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequest(method, target, body)
	if err != nil {
		b.t.Fatalf("pagestatetest: %v", err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

// send adds what r lacks of Browser.Header, and then of header.
func (b *Browser) send(r *http.Request, header http.Header) Page {
	b.t.Helper()
	r.URL = b.base.ResolveReference(r.URL)
	for _, more := range []http.Header{b.Header, header} {
		for name, values := range more {
			if r.Header.Values(name) == nil {
				r.Header[http.CanonicalHeaderKey(name)] = values
			}
		}
	}
	res, err := b.client.Do(r)
	if err != nil {
		b.t.Fatalf("pagestatetest: %v", err)
	}
	text := bodyOf(b.t, res)
	inputs := strings.Join(inputPattern.FindAllString(text, -1), "\n")
	return Page{Response: res, Text: text, Tokens: tokensIn(text), fields: tokensIn(inputs), browser: b}
}

var inputPattern = regexp.MustCompile(`(?i)<input\b[^>]*>`)
