package testkit

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// A Browser keeps the cookies of one visitor. Unlike pagestatetest.Browser it
// follows no redirect, and sends only what it is told.
type Browser struct {
	*http.Client
	t   testing.TB
	url func() string
}

// NewBrowser returns a browser that has not visited the server yet. It asks for
// the server's URL before each request, since a test may replace its server.
func NewBrowser(t testing.TB, url func() string) *Browser {
	jar, _ := cookiejar.New(nil) // has no error to return
	return &Browser{&http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, t, url}
}

// Request returns a request for a path of the server.
func (b *Browser) Request(method, path string, body io.Reader) *http.Request {
	b.t.Helper()
	r, err := http.NewRequest(method, b.url()+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// Send sends r and reads the response.
func (b *Browser) Send(r *http.Request) Answer {
	b.t.Helper()
	res, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return Answer{res, string(body)}
}

func (b *Browser) Get(path string) Answer {
	b.t.Helper()
	return b.Send(b.Request("GET", path, nil))
}

// Post sends the token as a plain form does.
func (b *Browser) Post(path, token string) Answer {
	b.t.Helper()
	r := b.Request("POST", path, strings.NewReader(url.Values{"page_state": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.Send(r)
}

// Call sends the tokens as a script does, one header for each.
func (b *Browser) Call(method, path string, tokens ...string) Answer {
	b.t.Helper()
	r := b.Request(method, path, nil)
	r.Header["Page-State"] = tokens
	return b.Send(r)
}

// An Answer is a response that was read.
type Answer struct {
	*http.Response
	Body string
}

// Token returns the token in the header, "" if there is none.
func (a Answer) Token() string { return a.Header.Get("Page-State") }

// Field returns the first token in the page, "" if there is none.
func (a Answer) Field() string {
	if fields := a.Fields(); len(fields) > 0 {
		return fields[0]
	}
	return ""
}

var fieldPattern = regexp.MustCompile(`<input type="hidden" name="page_state" value="([A-Za-z0-9_=-]+)"[^>]*>`)

// Fields returns the tokens in the page, in its order.
func (a Answer) Fields() (tokens []string) {
	for _, match := range fieldPattern.FindAllStringSubmatch(a.Body, -1) {
		tokens = append(tokens, match[1])
	}
	return tokens
}
