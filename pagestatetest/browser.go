package pagestatetest

// This file is a browser as far as state is concerned: it keeps cookies, tokens
// and a history, and sends tokens as forms and scripts do. It renders nothing
// and runs nothing.

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// A Browser is one visitor of a server: it keeps cookies, and follows up to 10
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
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if c := server.Client(); c != nil {
		client.Transport = c.Transport // knows the certificate of a test
	}
	client.Jar, _ = cookiejar.New(nil) // has no error to return
	return &Browser{Header: make(http.Header), t: t, base: base, client: client}
}

// A Page is what a tab shows: a response, and the tokens that came with it. It
// does not change: what is done on it returns the next one. So the same page
// used twice is a tab that was duplicated.
type Page struct {
	*http.Response        // its Body can still be read
	Text           string // the body

	// Tokens are those of the page, wherever they stand in it, each once and in
	// their order.
	Tokens []string

	// URL is the page's address, after redirects. What a script calls does not
	// change it. That of Browser.Page is nil.
	URL *url.URL

	browser *Browser
	visit   *visit // nil for Browser.Page
	html    string // where its forms are
}

// visit is a page in the history of a tab.
type visit struct {
	page   Page     // as it was loaded
	asked  *request // after redirects
	before *visit
}

// Page returns a page that holds these tokens, and nothing else: one component
// out of several on a page, a page from before the server was started again, or
// what another browser has copied. Its Response is nil, and it has no forms.
func (b *Browser) Page(tokens ...string) Page { return Page{Tokens: tokens, browser: b} }

// Get opens an address in a new tab: a path of the server, or a whole URL. It
// sends cookies and no token.
func (b *Browser) Get(target string) Page {
	b.t.Helper()
	r := b.newRequest("GET", target, nil)
	r.URL = b.base.ResolveReference(r.URL)
	return b.load(&request{Request: r, adds: pageHeader()}, nil)
}

// Get follows a link of the page to another one in the same tab: a path, or a
// whole URL. It sends cookies and no token. A link to the page's own URL leaves
// the history as it is.
func (p Page) Get(target string) Page {
	p.browser.t.Helper()
	address, err := p.address().Parse(target)
	if err != nil {
		p.browser.fatalf("%v", err)
	}
	next := p.open("GET", address, nil, "")
	if p.visit != nil && next.visit != p.visit && address.String() == p.URL.String() {
		next.visit.before = p.visit.before
	}
	return next
}

// open loads another page in this tab.
func (p Page) open(method string, target *url.URL, body []byte, contentType string) Page {
	p.browser.t.Helper()
	r := p.browser.newRequest(method, target.String(), body)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	next := p.browser.load(&request{Request: r, adds: pageHeader(), from: p.address()}, p.visit)
	if staysOnPage(next.Response) {
		next.URL, next.visit, next.html = p.URL, p.visit, p.html
	}
	return next
}

// staysOnPage reports whether a browser goes on showing the page that it had.
func staysOnPage(res *http.Response) bool {
	disposition, _, _ := mime.ParseMediaType(res.Header.Get("Content-Disposition"))
	return res.StatusCode == http.StatusNoContent || res.StatusCode == http.StatusResetContent || disposition == "attachment"
}

// Back returns the page before this one in its tab, as it was loaded: with the
// tokens that it had then, and nothing filled in. It sends no request, as a
// browser keeps the pages of its history, however old they are. Only one that
// came with Cache-Control: no-store is asked for again, as by [Page.Reload].
//
// What a script calls is no page of its own.
func (p Page) Back() Page {
	p.browser.t.Helper()
	if p.visit == nil || p.visit.before == nil {
		p.browser.fatalf("there is no page before this one in its tab")
	}
	before := p.visit.before
	if noStore(before.page.Header) {
		return p.browser.load(before.asked, before.before)
	}
	page := before.page
	res := *page.Response
	res.Body = io.NopCloser(strings.NewReader(page.Text))
	page.Response = &res
	return page
}

func noStore(header http.Header) bool {
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		if strings.EqualFold(strings.TrimSpace(directive), "no-store") {
			return true
		}
	}
	return false
}

// Reload asks for the page at its URL again. The answer to a POST that led to no
// redirect is asked for by the same POST, with the same tokens, as a browser
// does after a warning.
func (p Page) Reload() Page {
	p.browser.t.Helper()
	if p.visit == nil {
		p.browser.fatalf("the page was not loaded, so it cannot be loaded again")
	}
	return p.browser.load(p.visit.asked, p.visit.before)
}

// Call sends a request as a script of the page does, with the page's tokens in
// the header Page-State, and form as its body. Nil is no body.
//
// In the next page the token in the response's header has taken the place of
// the first one, in its forms too. If the response's body has tokens, they are
// those of the page, and the body's forms are the page's.
func (p Page) Call(method, target string, form url.Values) Page {
	p.browser.t.Helper()
	var body []byte
	if form != nil {
		body = []byte(form.Encode())
	}
	r := p.browser.newRequest(method, target, body)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return p.Do(r)
}

// Do is [Page.Call] with a request made by http.NewRequest, for other bodies
// and headers. Its URL may be a path of the server.
//
// A redirect to another origin ends the test, since a script cannot follow it.
func (p Page) Do(r *http.Request) Page {
	p.browser.t.Helper()
	r.URL = p.address().ResolveReference(r.URL)
	next, _ := p.browser.send(&request{Request: r, from: p.address(), script: true, adds: http.Header{
		"Accept":    {"*/*"},
		stateHeader: p.Tokens,
	}})
	header := next.Header.Get(stateHeader)
	if len(next.Tokens) == 0 {
		next.html = p.html
		if header != "" && len(p.Tokens) > 0 {
			next.html = strings.ReplaceAll(p.html, p.Tokens[0], header)
		}
	}
	next.Tokens = tokensAfterCall(p.Tokens, next.Tokens, header)
	next.URL, next.visit = p.URL, p.visit
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

// address is the URL of the page, or where the server is.
func (p Page) address() *url.URL {
	if p.URL == nil {
		return p.browser.base
	}
	return p.URL
}

// pageHeader is what a browser sends that wants a page.
func pageHeader() http.Header {
	return http.Header{"Accept": {"text/html,application/xhtml+xml,*/*;q=0.8"}}
}

func (b *Browser) newRequest(method, target string, body []byte) *http.Request {
	b.t.Helper()
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	r, err := http.NewRequest(method, target, reader)
	if err != nil {
		b.fatalf("%v", err)
	}
	return r
}

// fatalf ends the test. It leaves tokens out, as people put the output of tests
// anywhere.
func (b *Browser) fatalf(format string, args ...any) {
	b.t.Helper()
	b.t.Fatalf("pagestatetest: %s", tokenPattern.ReplaceAllString(fmt.Sprintf(format, args...), "(token)"))
}

// request is one that can be sent again.
type request struct {
	*http.Request             // without cookies
	adds          http.Header // what the browser adds where nothing else says
	from          *url.URL    // the page that sends it; nil if a visitor does
	site          string      // Sec-Fetch-Site, if a redirect has left the page's origin
	script        bool
}

// load sends a request for a page, with before as the history of its tab.
func (b *Browser) load(r *request, before *visit) Page {
	b.t.Helper()
	page, last := b.send(r)
	page.URL = last.URL
	page.visit = &visit{asked: last, before: before}
	page.visit.page = page
	return page
}

// send sends r and follows redirects. It also returns the last request.
func (b *Browser) send(r *request) (Page, *request) {
	b.t.Helper()
	for range 11 {
		res, err := b.client.Do(b.prepare(r))
		if err != nil {
			b.fatalf("%v", err)
		}
		text := bodyOf(b.t, res)
		next := b.redirected(r, res)
		if next == nil {
			return Page{Response: res, Text: text, Tokens: tokensIn(text), browser: b, html: text}, r
		}
		r = next
	}
	b.fatalf("more than 10 redirects, the last one to %s", r.URL)
	return Page{}, nil
}

// prepare returns what is sent for r. Its own header comes before
// Browser.Header, and what the browser adds comes last.
func (b *Browser) prepare(r *request) *http.Request {
	b.t.Helper()
	if r.Body != nil && r.GetBody == nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			b.fatalf("%v", err)
		}
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	sent := r.Clone(r.Context())
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			b.fatalf("%v", err)
		}
		sent.Body = body
	}
	adds := r.adds.Clone()
	if r.from != nil {
		r.site = worseSite(r.site, siteOf(r.from, r.URL))
		adds.Set("Sec-Fetch-Site", r.site)
	}
	for _, more := range []http.Header{b.Header, adds} {
		for name, values := range more {
			if sent.Header.Values(name) == nil {
				sent.Header[http.CanonicalHeaderKey(name)] = values
			}
		}
	}
	return sent
}

// redirected returns the request that a response leads to, or nil.
func (b *Browser) redirected(r *request, res *http.Response) *request {
	b.t.Helper()
	switch res.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil
	}
	target, err := res.Location()
	if err == http.ErrNoLocation {
		return nil
	}
	if err != nil || target.Scheme != "http" && target.Scheme != "https" {
		b.fatalf("%s redirects to %q, which a browser does not follow", r.URL, res.Header.Get("Location"))
	}
	if r.script && !sameOrigin(r.from, target) {
		b.fatalf("%s redirects to %s, where a script of the page cannot follow", r.URL, target)
	}
	if target.Fragment == "" {
		target.Fragment, target.RawFragment = r.URL.Fragment, r.URL.RawFragment
	}
	next := *r
	next.Request = r.Clone(r.Context())
	next.URL = target
	next.Host = ""
	if losesBody(r.Method, res.StatusCode) {
		next.Method, next.Body, next.GetBody, next.ContentLength = "GET", nil, nil, 0
		next.TransferEncoding = nil
		for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Language", "Content-Location"} {
			next.Header.Del(name)
		}
	}
	return &next
}

// losesBody reports whether a redirect is followed with GET.
func losesBody(method string, status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound:
		return method == "POST"
	case http.StatusSeeOther:
		return method != "GET" && method != "HEAD"
	}
	return false
}

func sameOrigin(a, b *url.URL) bool { return siteOf(a, b) == sites[0] }

// sites are the values of Sec-Fetch-Site, the worst one last.
var sites = []string{"same-origin", "same-site", "cross-site"}

// siteOf takes only ports of one host for one site, since what else belongs
// together is in a list that is not here.
func siteOf(from, to *url.URL) string {
	switch {
	case from.Scheme != to.Scheme || !strings.EqualFold(from.Hostname(), to.Hostname()):
		return "cross-site"
	case portOf(from) != portOf(to):
		return "same-site"
	}
	return "same-origin"
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}

func worseSite(a, b string) string {
	return sites[max(slices.Index(sites, a), slices.Index(sites, b))]
}
