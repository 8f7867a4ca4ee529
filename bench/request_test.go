package bench_test

// This file measures whole requests, as a handler has them: a state comes in,
// is changed, and goes out again. What it is measured against is in session_test.go.

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/securecookie"
	"github.com/pagestate/pagestate"
)

func BenchmarkRequest(b *testing.B) {
	b.Run("state=small", requests(newSmall, func(s *small) { s.Count++ }))
	b.Run("state=medium", requests(newMedium, func(m *medium) { m.Items[3].Done = !m.Items[3].Done }))
	changeLarge := func(l *large) { l.Rows[3].Active = !l.Rows[3].Active }
	b.Run("state=large", requests(func() *large { return newLarge(largeRows) }, changeLarge))
	b.Run("state=small/impl=pagestate-strangers", func(b *testing.B) { measured(strangersExchange(b))(b) })
	b.Run("state=large/impl=pagestate-page", measured(pagestatePage(b, newLarge(largeRows), changeLarge)))
}

func BenchmarkRequestOfReferences(b *testing.B) {
	b.Run("state=references", func(b *testing.B) {
		change := func(r *references) { r.Page++ }
		for _, bd := range bindings() {
			b.Run("impl=pagestate-"+bd.name, measured(pagestateExchange(b, bd.session, newReferences(pageRows), change)))
		}
		b.Run("impl=bare", measured(bareExchange()))
	})
}

// requests measures each way to keep a T.
func requests[T any](state func() *T, change func(*T)) func(b *testing.B) {
	return func(b *testing.B) {
		for _, bd := range bindings() {
			b.Run("impl=pagestate-"+bd.name, measured(pagestateExchange(b, bd.session, state(), change)))
		}
		for _, k := range keepers[T]() {
			b.Run("impl="+k.name, measured(k.exchange(b, state(), change)))
		}
		b.Run("impl=bare", measured(bareExchange()))
	}
}

// BenchmarkPassingThrough is a request that has no state.
func BenchmarkPassingThrough(b *testing.B) {
	for _, bd := range bindings() {
		x := bareExchange()
		x.handler = newMiddleware(b, bd.session).Handler(x.handler)
		b.Run("impl=pagestate-"+bd.name, measured(x))
	}
	b.Run("impl=bare", measured(bareExchange()))
}

// httpExchange is a request that can be sent again and again, and what answers
// it.
type httpExchange struct {
	handler http.Handler
	request *http.Request
	kept    int                 // bytes that the browser keeps, and sends each time
	prepare func(*http.Request) // changes the next request, if it is not nil
}

// send answers the request once. Each has a copy of its own.
func (x *httpExchange) send() *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), x.request.WithContext(context.Background())
	if x.prepare != nil {
		x.prepare(r)
	}
	x.handler.ServeHTTP(w, r)
	return w
}

func measured(x *httpExchange) func(b *testing.B) {
	return func(b *testing.B) {
		if w := x.send(); w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
		b.ReportAllocs()
		for b.Loop() {
			x.send()
		}
		b.ReportMetric(float64(x.kept), "kept-B")
	}
}

func newRequest() *http.Request { return httptest.NewRequest("POST", "/change", nil) }

func answer(w http.ResponseWriter) error {
	_, err := io.WriteString(w, "changed")
	return err
}

// bareExchange keeps no state.
func bareExchange() *httpExchange {
	h := func(w http.ResponseWriter, _ *http.Request) { answer(w) }
	return &httpExchange{handler: http.HandlerFunc(h), request: newRequest()}
}

// binding is a way to say whose a token is.
type binding struct {
	name    string
	session pagestate.Binding
}

// bindings are a cheap one, the cheapest, and the one that decodes a cookie of
// gorilla's.
func bindings() []binding {
	return []binding{
		{"Cookie", boundByCookie()},
		{"SessionFunc", boundByHeader()},
		{"Session-gob", boundByGorilla(securecookie.GobEncoder{})},
		{"Session-json", boundByGorilla(jsonStrings{})},
	}
}

func boundByGorilla(serializer securecookie.Serializer) pagestate.Binding {
	return pagestate.Session(newCookieStore(serializer), "session")
}

func boundByHeader() pagestate.Binding {
	return pagestate.SessionFunc(func(r *http.Request) string { return r.Header.Get("Session") })
}

// pagestateExchange has the token in the headers of request and response.
func pagestateExchange[T any](tb testing.TB, session pagestate.Binding, state *T, change func(*T)) *httpExchange {
	tb.Helper()
	x := newPagestateExchange(tb, session, state, func(w http.ResponseWriter, _ *http.Request, s *T) error {
		change(s)
		return answer(w)
	})
	if w := x.send(); w.Header().Get("Page-State") == "" {
		tb.Error("the answer has no token")
	}
	return x
}

// strangersExchange has another visitor each time, of more than there are keys
// remembered. What they send stands in two strings: thousands of small ones would
// keep the collector busy, and be measured with the rest.
func strangersExchange(tb testing.TB) *httpExchange {
	tb.Helper()
	const visitors = 4096
	m := newMiddleware(tb, boundByHeader())
	var sessions, tokens strings.Builder
	for i := range visitors {
		o := pagestate.Owner{Session: fmt.Sprintf("%026d", i)}
		token, err := m.Seal(o, newSmall())
		if err != nil {
			tb.Fatal(err)
		}
		sessions.WriteString(o.Session)
		tokens.WriteString(token)
	}
	part := func(of *strings.Builder, i int) string {
		size := of.Len() / visitors
		return of.String()[i*size : (i+1)*size]
	}
	next := 0
	return &httpExchange{
		handler: m.Handler(pagestate.Handle(func(w http.ResponseWriter, _ *http.Request, s *small) error {
			s.Count++
			return answer(w)
		})),
		request: newRequest(),
		kept:    len(part(&tokens, 0)),
		prepare: func(r *http.Request) {
			r.Header["Session"] = []string{part(&sessions, next)}
			r.Header["Page-State"] = []string{part(&tokens, next)}
			next = (next + 1) % visitors
		},
	}
}

// pagestatePage has the token in the page too, as a handler would with one that
// is too large for the header.
func pagestatePage[T any](tb testing.TB, state *T, change func(*T)) *httpExchange {
	tb.Helper()
	x := newPagestateExchange(tb, boundByCookie(), state, func(w http.ResponseWriter, r *http.Request, s *T) error {
		change(s)
		token, err := pagestate.Token(r.Context(), s)
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, token)
		return err
	})
	if w := x.send(); w.Body.Len() < x.kept/2 {
		tb.Error("the page has no token")
	}
	return x
}

func newPagestateExchange[T any](tb testing.TB, session pagestate.Binding, state *T, h func(http.ResponseWriter, *http.Request, *T) error) *httpExchange {
	tb.Helper()
	m := newMiddleware(tb, session)
	first := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := pagestate.Attach(r.Context(), state); err != nil {
			tb.Error(err)
			return
		}
		token, err := pagestate.Token(r.Context(), state)
		if err != nil {
			tb.Error(err)
		}
		io.WriteString(w, token)
	})

	r := newRequest()
	r.Header.Set("Session", owner.Session)
	w := httptest.NewRecorder()
	m.Handler(first).ServeHTTP(w, r)
	keepCookies(r, w)
	token := w.Body.String()
	r.Header.Set("Page-State", token)
	return &httpExchange{handler: m.Handler(pagestate.Handle(h)), request: r, kept: len(token)}
}

// keepCookies has r send the cookies of a response, and returns their size.
func keepCookies(r *http.Request, w *httptest.ResponseRecorder) (size int) {
	for _, c := range w.Result().Cookies() {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
		size += len(c.Value)
	}
	return size
}
