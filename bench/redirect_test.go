package bench_test

// This file measures a form that is answered with a redirect, together with the page
// that it leads to: what was sent has to be found there.

import (
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
)

func BenchmarkRedirect(b *testing.B) {
	b.Run("state=small", measuredRedirects(smallForm))
	b.Run("state=medium", measuredRedirects(mediumForm))
}

// sentForm is a form that sends a number, for a T to keep.
type sentForm[T any] struct {
	fresh func() *T
	set   func(*T, int)
	shown func(*T) int
}

var (
	smallForm = sentForm[small]{
		fresh: newSmall,
		set:   func(s *small, n int) { s.Count = n },
		shown: func(s *small) int { return s.Count },
	}
	mediumForm = sentForm[medium]{
		fresh: newMedium,
		set:   func(m *medium, n int) { m.Items[3].ID = n },
		shown: func(m *medium) int { return m.Items[3].ID },
	}
)

func measuredRedirects[T any](f sentForm[T]) func(b *testing.B) {
	return func(b *testing.B) {
		for name, v := range f.visitors(b) {
			b.Run("impl="+name, func(b *testing.B) {
				for range redirectsBefore {
					v.redirected(b)
				}
				b.ReportAllocs()
				for b.Loop() {
					v.redirected(b)
				}
				b.ReportMetric(float64(v.kept()), "kept-B")
			})
		}
	}
}

// redirectsBefore are more than a CookieCarrier has cookies, so that all are in use.
const redirectsBefore = 8

// visitors yields each implementation and a visitor who sends it forms.
func (f sentForm[T]) visitors(tb testing.TB) iter.Seq2[string, *visitor] {
	return func(yield func(string, *visitor) bool) {
		for _, carrier := range []struct {
			name    string
			carrier pagestate.Carrier
		}{
			{"CookieCarrier", pagestate.CookieCarrier(http.Cookie{})},
			{"NewCarrier", pagestate.NewCarrier(1 << 20)},
		} {
			if !yield("pagestate-"+carrier.name, f.ofPagestate(tb, carrier.carrier)) {
				return
			}
		}
		for _, k := range keepers[T]() {
			if !yield(k.name, f.ofSession(tb, k)) {
				return
			}
		}
		yield("bare", newVisitor(tb, bareRedirect()))
	}
}

// ofPagestate is answered by a handler that carries the state to the page.
func (f sentForm[T]) ofPagestate(tb testing.TB, carrier pagestate.Carrier) *visitor {
	tb.Helper()
	m, err := pagestate.New(newRegistry(), pagestate.Options{
		Secrets: [][]byte{secret},
		Session: boundByCookie(),
		Carrier: carrier,
	})
	if err != nil {
		tb.Fatal(err)
	}
	post := pagestate.Handle(func(w http.ResponseWriter, r *http.Request, s *T) error {
		n, err := sentNumber(r)
		if err != nil {
			return err
		}
		f.set(s, n)
		return pagestate.Redirect(w, r, "/page", s)
	})
	page := pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
		s, err := pagestate.FromOrAttach(r.Context(), f.fresh())
		if err != nil {
			return err
		}
		token, err := pagestate.Token(r.Context(), s)
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, strconv.Itoa(f.shown(s))+"\n"+token)
		return err
	})
	v := newVisitor(tb, m.Handler(postOrPage(post, page)))
	_, token, _ := strings.Cut(v.get(tb, "/page").Body.String(), "\n")
	v.form += "&page_state=" + token
	return v
}

// ofSession is answered by a handler that keeps the state in a session.
func (f sentForm[T]) ofSession(tb testing.TB, k keeper[T]) *visitor {
	tb.Helper()
	fail := func(w http.ResponseWriter, err error) { http.Error(w, err.Error(), http.StatusInternalServerError) }
	post := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, save, err := k.open(w, r)
		if err != nil {
			fail(w, err)
			return
		}
		n, err := sentNumber(r)
		if err != nil {
			fail(w, err)
			return
		}
		if s == nil {
			s = f.fresh()
		}
		f.set(s, n)
		if err := save(s); err != nil {
			fail(w, err)
			return
		}
		http.Redirect(w, r, "/page", http.StatusSeeOther)
	})
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, _, err := k.open(w, r)
		if err != nil {
			fail(w, err)
			return
		}
		if s == nil {
			s = f.fresh()
		}
		io.WriteString(w, strconv.Itoa(f.shown(s))+"\n")
	})
	return newVisitor(tb, k.wrap(postOrPage(post, page)))
}

// bareRedirect keeps nothing, and knows what was sent anyway.
func bareRedirect() http.Handler {
	return postOrPage(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := sentNumber(r); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		http.Redirect(w, r, "/page", http.StatusSeeOther)
	}), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strconv.Itoa(number)+"\n")
	}))
}

func postOrPage(post, page http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			post.ServeHTTP(w, r)
		} else {
			page.ServeHTTP(w, r)
		}
	})
}

// number is what each form sends.
const number = 2031

func sentNumber(r *http.Request) (int, error) { return strconv.Atoi(r.PostFormValue("number")) }

// visitor has a browser, which sends a form and follows where that leads.
type visitor struct {
	handler http.Handler
	form    string
	posts   *http.Request
	gets    *http.Request
	jar     []keptCookie
	header  []string // Cookie, nil without any
}

type keptCookie struct{ name, value string }

func newVisitor(tb testing.TB, h http.Handler) *visitor {
	posts := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "/change", nil)
	posts.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return &visitor{
		handler: h,
		form:    "number=" + strconv.Itoa(number),
		posts:   posts,
		gets:    httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/page", nil),
	}
}

// redirected sends the form and returns the page that it leads to, which must show
// what was sent.
func (v *visitor) redirected(tb testing.TB) *httptest.ResponseRecorder {
	r := v.posts.WithContext(tb.Context())
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(v.form)), int64(len(v.form))
	w := v.send(r)
	if w.Code != http.StatusSeeOther {
		tb.Fatal(w.Code, w.Body)
	}
	w = v.get(tb, w.Header().Get("Location"))
	if shown, _, _ := strings.Cut(w.Body.String(), "\n"); shown != strconv.Itoa(number) {
		tb.Fatal(w.Code, w.Body)
	}
	return w
}

func (v *visitor) get(tb testing.TB, link string) *httptest.ResponseRecorder {
	to, err := url.ParseRequestURI(link)
	if err != nil {
		tb.Fatal(err)
	}
	r := v.gets.WithContext(tb.Context())
	r.URL, r.RequestURI = to, link
	return v.send(r)
}

// send sends the cookies along, and keeps those of the answer.
func (v *visitor) send(r *http.Request) *httptest.ResponseRecorder {
	if v.header != nil {
		r.Header["Cookie"] = v.header
	}
	w := httptest.NewRecorder()
	v.handler.ServeHTTP(w, r)
	lines := w.Header()["Set-Cookie"]
	for _, line := range lines {
		cookie, _, _ := strings.Cut(line, ";")
		name, value, _ := strings.Cut(cookie, "=")
		v.keep(keptCookie{name, value})
	}
	if len(lines) > 0 {
		v.header = []string{v.cookies()}
	}
	return w
}

func (v *visitor) keep(c keptCookie) {
	for i := range v.jar {
		if v.jar[i].name == c.name {
			v.jar[i] = c
			return
		}
	}
	v.jar = append(v.jar, c)
}

func (v *visitor) cookies() string {
	var line strings.Builder
	for i, c := range v.jar {
		if i > 0 {
			line.WriteString("; ")
		}
		line.WriteString(c.name + "=" + c.value)
	}
	return line.String()
}

// kept is how many characters of cookies the browser keeps, and sends each time.
func (v *visitor) kept() (size int) {
	for _, c := range v.jar {
		size += len(c.value)
	}
	return size
}

// TestRedirectsArrive keeps the benchmarks from measuring error pages.
func TestRedirectsArrive(t *testing.T) {
	for name, v := range smallForm.visitors(t) {
		for range redirectsBefore {
			v.redirected(t)
		}
		if keeps := v.kept() > 0; keeps != (name != "bare") {
			t.Errorf("%s: the browser keeps %d characters", name, v.kept())
		}
	}
}
