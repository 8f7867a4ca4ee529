package bench_test

// This file measures a form of five fields, urlencoded as browsers send it: from the
// request to the fields of a struct, and with something that keeps the struct.

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/form"
)

// signup is what somebody fills in.
type signup struct {
	Name  string    `state:"name,public"`
	Email string    `state:"email,public"`
	Seats int       `state:"seats,public"`
	Day   time.Time `state:"day,public"`
	News  bool      `state:"news,public"`
}

func filledIn() url.Values {
	return url.Values{
		"name":  {"Robin Fischer"},
		"email": {"robin@example.org"},
		"seats": {"3"},
		"day":   {"2026-05-01"},
		"news":  {"on"},
	}
}

// signedUp is what the form sends, as a struct.
var signedUp = signup{
	Name: "Robin Fischer", Email: "robin@example.org", Seats: 3, Day: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), News: true,
}

func BenchmarkForm(b *testing.B) {
	for _, x := range formExchanges(b) {
		b.Run("impl="+x.name, measured(x.httpExchange))
	}
}

type namedExchange struct {
	name string
	*httpExchange
}

func formExchanges(tb testing.TB) []namedExchange {
	tb.Helper()
	all := []namedExchange{
		{"bare", formExchange(keepNothing(setByHand), "")},
		{"Apply", formExchange(keepNothing(apply), "")},
		{"pagestate", pagestateForm(tb)},
	}
	for _, k := range keepers[signup]() {
		all = append(all, namedExchange{k.name, sessionForm(k)})
	}
	return all
}

// setByHand sets s to what was sent, as a program without a decoder does.
func setByHand(s *signup, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	sent := r.PostForm
	var seatsErr, dayErr error
	s.Name, s.Email, s.News = sent.Get("name"), sent.Get("email"), sent.Get("news") == "on"
	s.Seats, seatsErr = strconv.Atoi(sent.Get("seats"))
	s.Day, dayErr = time.Parse(time.DateOnly, sent.Get("day"))
	return errors.Join(seatsErr, dayErr)
}

// apply sets s with form.Apply.
func apply(s *signup, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	errs, err := form.Apply(s, r.PostForm, "name", "email", "seats", "day", "news")
	if err != nil || len(errs) > 0 {
		return fmt.Errorf("%v, %w", errs, err)
	}
	return nil
}

// keepNothing answers with what was sent.
func keepNothing(set func(*signup, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := new(signup)
		err := set(s, r)
		if err == nil {
			err = showSignup(w, s)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}

func showSignup(w http.ResponseWriter, s *signup) error {
	if *s != signedUp {
		return fmt.Errorf("%+v arrived", *s)
	}
	return answer(w)
}

// sessionForm sets by hand what a session keeps.
func sessionForm(k keeper[signup]) *httpExchange {
	h := k.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, save, err := k.open(w, r)
		if err == nil {
			if s == nil {
				s = new(signup)
			}
			err = setByHand(s, r)
		}
		if err == nil {
			err = save(s)
		}
		if err == nil {
			err = showSignup(w, s)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	x := formExchange(h, "")
	x.kept = keepCookies(x.request, x.send())
	return x
}

// pagestateForm applies the form to the state whose token it sends, and answers with
// the next one, as the page of a form has it.
func pagestateForm(tb testing.TB) *httpExchange {
	tb.Helper()
	m := newMiddleware(tb, boundByCookie())
	token := seal(tb, m, new(signup))
	h := m.Handler(pagestate.Handle(func(w http.ResponseWriter, r *http.Request, s *signup) error {
		if err := apply(s, r); err != nil {
			return err
		}
		if _, err := pagestate.Token(r.Context(), s); err != nil {
			return err
		}
		return showSignup(w, s)
	}))
	x := formExchange(h, token)
	x.request.AddCookie(&http.Cookie{Name: "session", Value: owner.Session})
	x.kept = len(token)
	return x
}

// formExchange sends the form, with a token if there is one.
func formExchange(h http.Handler, token string) *httpExchange {
	values := filledIn()
	if token != "" {
		values.Set("page_state", token)
	}
	body := values.Encode()
	r := httptest.NewRequest(http.MethodPost, "/signup", nil)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.ContentLength = int64(len(body))
	return &httpExchange{
		handler: h,
		request: r,
		prepare: func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(body)) },
	}
}

// TestFormsArrive keeps the benchmarks from measuring error pages.
func TestFormsArrive(t *testing.T) {
	for _, x := range formExchanges(t) {
		for range 2 {
			if w := x.send(); w.Code != http.StatusOK || w.Body.String() != "changed" {
				t.Errorf("%s: %d %s", x.name, w.Code, w.Body)
			}
		}
	}
}
