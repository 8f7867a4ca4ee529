package inspect_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/inspect"
	"github.com/pagestate/pagestate/internal/testkit"
)

// note is a component whose text a visitor chooses.
type note struct {
	pagestate.Component
	Text string
}

// site has a page with a note, and the panel's handler for who sends Developer: yes.
type site struct {
	*httptest.Server
	t *testing.T
}

func newSite(t *testing.T) *site {
	r := pagestate.NewRegistry()
	pagestate.Register[note](r, "note")
	m, err := pagestate.New(r, pagestate.Options{
		Secrets: [][]byte{testkit.NewSecret()},
		Session: pagestate.Cookie(http.Cookie{Name: "session"}),
		User:    func(r *http.Request) string { return r.Header.Get("User") },
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
		n := &note{Text: r.FormValue("text")}
		parent := &note{Text: "parent"}
		if err := pagestate.Attach(r.Context(), parent); err != nil {
			return err
		}
		if err := pagestate.Attach(r.Context(), n, pagestate.Under(parent, "below")); err != nil {
			return err
		}
		token, err := n.StateToken()
		io.WriteString(w, token)
		return err
	}))
	mux.Handle("/inspect", inspect.Handler(m, func(r *http.Request) bool { return r.Header.Get("Developer") == "yes" }))
	s := &site{httptest.NewServer(m.Handler(mux)), t}
	t.Cleanup(s.Close)
	return s
}

func (s *site) browser() *testkit.Browser {
	return testkit.NewBrowser(s.t, func() string { return s.URL })
}

// inspect sends a request to the handler, with header lines as "Name: value".
func (s *site) inspect(b *testkit.Browser, method string, form url.Values, lines ...string) testkit.Answer {
	s.t.Helper()
	r := b.Request(method, "/inspect", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Developer", "yes")
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			r.Host = value
			for _, c := range b.Jar.Cookies(r.URL) { // which Go sends to the URL's host alone
				r.AddCookie(c)
			}
		}
		r.Header.Set(name, value)
	}
	return b.Send(r)
}

// opened is one of the handler's answers.
type opened struct {
	Token *inspect.Token
	Error string
}

func read(t *testing.T, a testkit.Answer) (all []opened) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.Body), &all); err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("%d %s: %v", a.StatusCode, a.Body, err)
	}
	return all
}

func TestHandler(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	const hostile = "<script>alert(1)</script>\x1b[31m"
	token := b.Get("/?text=" + url.QueryEscape(hostile)).Body
	answer := s.inspect(b, "POST", url.Values{"token": {token, "made up", token}})
	testkit.Want(t, "Cache-Control", answer.Header.Get("Cache-Control"), "no-store")
	testkit.Want(t, "Content-Type", answer.Header.Get("Content-Type"), "application/json")
	testkit.Want(t, "nosniff", answer.Header.Get("X-Content-Type-Options"), "nosniff")
	testkit.Want(t, "has markup", strings.ContainsAny(answer.Body, "<>\x1b"), false)
	all := read(t, answer)
	testkit.Want(t, "answers", len(all), 3)
	testkit.Want(t, "refused", all[1].Error, "InvalidState")
	for _, i := range []int{0, 2} {
		got := all[i].Token
		testkit.Want(t, "fields", fields(got), `Text="<script>alert(1)</script>\x1b[31m" (31)`)
		testkit.Want(t, "key", got.Key, "below")
		testkit.Want(t, "parent", len(got.Parent), 32)
		testkit.Want(t, "owner", got.Owner, "a session, nobody logged in")
	}

	script := s.inspect(b, "GET", nil)
	testkit.Want(t, "type of the script", script.Header.Get("Content-Type"), "text/javascript; charset=utf-8")
	testkit.Want(t, "Cache-Control of the script", script.Header.Get("Cache-Control"), "no-store")
	testkit.Want(t, "for", script.Header.Get("Cross-Origin-Resource-Policy"), "same-origin")
	testkit.WantText(t, "the script", script.Body, "import.meta.url")
	testkit.Want(t, "another method", s.inspect(b, "PUT", nil).StatusCode, http.StatusMethodNotAllowed)
}

// TestHandlerRefuses sends what must not be answered with what is in a token.
func TestHandlerRefuses(t *testing.T) {
	s := newSite(t)
	visitor := s.browser()
	token := visitor.Get("/?text=private").Body
	form := url.Values{"token": {token}}
	host := strings.TrimPrefix(s.URL, "http://")
	_, port, _ := strings.Cut(host, ":")
	for _, test := range []struct {
		what   string
		lines  []string
		status int
	}{
		{"nobody", nil, http.StatusOK},
		{"whom allow refuses", []string{"Developer: no"}, http.StatusNotFound},
		{"a name that points here", []string{"Host: attacker.example:" + port}, http.StatusNotFound},
		{"a name that begins as ours", []string{"Host: localhost.attacker.example"}, http.StatusNotFound},
		{"a name that ends as ours", []string{"Host: attackerlocalhost"}, http.StatusNotFound},
		{"an address of the network", []string{"Host: 192.168.0.1:" + port}, http.StatusNotFound},
		{"every address", []string{"Host: 0.0.0.0:" + port}, http.StatusNotFound},
		{"a site that rebinds its name", []string{"Host: attacker.example:" + port, "Origin: http://attacker.example:" + port, "Sec-Fetch-Site: same-origin"}, http.StatusNotFound},
		{"another site", []string{"Origin: https://attacker.example", "Sec-Fetch-Site: cross-site"}, http.StatusForbidden},
		{"another port", []string{"Origin: http://127.0.0.1:1", "Sec-Fetch-Site: same-site"}, http.StatusForbidden},
		{"another site in an old browser", []string{"Origin: https://attacker.example"}, http.StatusForbidden},
		{"the page", []string{"Origin: http://" + host, "Sec-Fetch-Site: same-origin"}, http.StatusOK},
		{"localhost", []string{"Host: LocalHost:" + port}, http.StatusOK},
		{"a name below localhost", []string{"Host: shop.localhost"}, http.StatusOK},
		{"IPv6", []string{"Host: [::1]"}, http.StatusOK},
		{"IPv6 and a port", []string{"Host: [::1]:" + port}, http.StatusOK},
	} {
		answer := s.inspect(visitor, "POST", form, test.lines...)
		testkit.Want(t, test.what, answer.StatusCode, test.status)
		testkit.Want(t, test.what+": shows it", strings.Contains(answer.Body, "private"), test.status == http.StatusOK)
		testkit.Want(t, test.what+": Cache-Control", answer.Header.Get("Cache-Control"), "no-store")
		if test.status == http.StatusNotFound {
			script := s.inspect(visitor, "GET", nil, test.lines...)
			testkit.Want(t, test.what+": the script", script.StatusCode, http.StatusNotFound)
		}
	}
}

// A developer who has the token of somebody else does not see what is in it.
func TestHandlerOpensTheRequestsOwn(t *testing.T) {
	s := newSite(t)
	visitor, developer := s.browser(), s.browser()
	token := visitor.Get("/?text=private").Body
	developer.Get("/")
	form := url.Values{"token": {token}}
	for what, answer := range map[string]testkit.Answer{
		"another browser":    s.inspect(developer, "POST", form),
		"no session":         s.inspect(s.browser(), "POST", form),
		"after login":        s.inspect(visitor, "POST", form, "User: Ada"),
		"a token in the URL": visitor.Send(request(visitor, "POST", "/inspect?token="+token)),
	} {
		testkit.Want(t, what+": shows it", strings.Contains(answer.Body, "private"), false)
		for _, one := range read(t, answer) {
			testkit.Want(t, what, one.Error, "InvalidState")
		}
	}
	testkit.Want(t, "the visitor", read(t, s.inspect(visitor, "POST", form))[0].Error, "")
}

func request(b *testkit.Browser, method, path string) *http.Request {
	r := b.Request(method, path, nil)
	r.Header.Set("Developer", "yes")
	return r
}

func TestHandlerLimits(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	token := b.Get("/?text=x").Body
	for _, test := range []struct {
		what   string
		tokens []string
		status int
	}{
		{"as many as may be", slices.Repeat([]string{token}, 100), http.StatusOK},
		{"too many", slices.Repeat([]string{token}, 101), http.StatusRequestEntityTooLarge},
		{"too long a body", slices.Repeat([]string{strings.Repeat("A", 1<<20)}, 4), http.StatusRequestEntityTooLarge},
	} {
		testkit.Want(t, test.what, s.inspect(b, "POST", url.Values{"token": test.tokens}).StatusCode, test.status)
	}
	long := s.inspect(b, "POST", url.Values{"token": {strings.Repeat("A", 1<<20)}})
	testkit.Want(t, "too long a token", read(t, long)[0].Error, "StateTooLarge")
	r := b.Request("POST", "/inspect", strings.NewReader("token=%zz"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Developer", "yes")
	testkit.Want(t, "no form", b.Send(r).StatusCode, http.StatusBadRequest)
}

func TestHandlerNeedsAllow(t *testing.T) {
	r, _ := shop()
	m := newMiddleware(t, r, testkit.NewSecret(), nil)
	for what, call := range map[string]func(){
		"no function":   func() { inspect.Handler(m, nil) },
		"no middleware": func() { inspect.Handler(nil, func(*http.Request) bool { return true }) },
	} {
		func() {
			defer func() { testkit.Want(t, what+" panics", recover() != nil, true) }()
			call()
		}()
	}
}
