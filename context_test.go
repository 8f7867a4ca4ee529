package pagestate_test

// What a handler calls: Attach, From, Token, Field and the embedded Component.

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

func TestFrom(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{})
	b := a.browser()
	token := b.Get("/").Field()
	b.serve("POST", "/missing", "", func(w http.ResponseWriter, r *http.Request) {
		_, err := pagestate.From[counter](r.Context())
		testkit.Want(t, "without a token", errors.Is(err, pagestate.ErrMissing), true)
	})
	res := b.serve("POST", "/found", token, func(w http.ResponseWriter, r *http.Request) {
		c, err := pagestate.From[counter](r.Context())
		if err != nil {
			t.Fatal(err)
		}
		again, err := pagestate.From[counter](r.Context())
		testkit.Want(t, "error", err, nil)
		testkit.Want(t, "the same pointer", again, c)
		_, err = pagestate.From[square](r.Context())
		testkit.Want(t, "a type not registered", err != nil && strings.Contains(err.Error(), "square is not a registered component"), true)
		c.Count = 9
	})
	testkit.Want(t, "sealed at the end", b.Call("GET", "/show", res.Token()).Body, "count=9")
}

func TestAttach(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{})
	tests := []struct {
		name   string
		attach func(r *http.Request) error
		want   string
	}{
		{"once", func(r *http.Request) error { return pagestate.Attach(r.Context(), &counter{}) }, ""},
		{"two of a kind", func(r *http.Request) error {
			return errors.Join(pagestate.Attach(r.Context(), &counter{}), pagestate.Attach(r.Context(), &counter{}))
		}, ""},
		{"twice", func(r *http.Request) error {
			c := &counter{}
			return errors.Join(pagestate.Attach(r.Context(), c), pagestate.Attach(r.Context(), c))
		}, "is attached or was opened already"},
		{"nil", func(r *http.Request) error { return pagestate.Attach[counter](r.Context(), nil) }, "give a pointer to the state"},
		{"not registered", func(r *http.Request) error { return pagestate.Attach(r.Context(), &square{}) }, "square is not a registered component"},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a.browser().serve("GET", fmt.Sprintf("/%d", i), "", func(w http.ResponseWriter, r *http.Request) {
				err := test.attach(r)
				if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
					t.Errorf("got %v, want %q", err, test.want)
				}
			})
		})
	}
}

func TestAttachEnsuresTheSessionInTime(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{})
	b := a.browser()
	late := func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "x")
		if err := pagestate.Attach(r.Context(), &counter{}); err != nil {
			io.WriteString(w, err.Error())
		}
	}
	res := b.serve("GET", "/late", "", late)
	testkit.Want(t, "without a session", strings.Contains(res.Body, "attach before anything is written"), true)
	testkit.Want(t, "cookie", len(res.Cookies()), 0)
	b.Get("/")
	testkit.Want(t, "with one, but cacheable", strings.Contains(b.Get("/late").Body, "attach before anything is written"), true)
	res = b.serve("GET", "/later", "", func(w http.ResponseWriter, r *http.Request) {
		first, second := &counter{}, &counter{}
		err := pagestate.Attach(r.Context(), first)
		testkit.Want(t, "attached in time", err, nil)
		io.WriteString(w, "x")
		err = pagestate.Attach(r.Context(), second)
		testkit.Want(t, "a further one, while the page streams", err, nil)
	})
	testkit.Want(t, "cache", res.Header.Get("Cache-Control"), "private, no-cache")
}

func TestTokenOfAStranger(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{})
	a.browser().serve("GET", "/x", "", func(w http.ResponseWriter, r *http.Request) {
		c := &counter{}
		if err := pagestate.Attach(r.Context(), c); err != nil {
			t.Error(err)
		}
		for _, stranger := range []any{&counter{}, *c, nil, map[string]int{}, 1} {
			if _, err := pagestate.Token(r.Context(), stranger); err == nil {
				t.Errorf("%T has a token", stranger)
			}
		}
	})
}

func TestFieldIsNamedAfterTheFirstFormSource(t *testing.T) {
	field := func(sources ...pagestate.Source) (html template.HTML, err error) {
		a := newCounterApp(t, pagestate.Options{Sources: sources})
		a.browser().serve("GET", "/x", "", func(w http.ResponseWriter, r *http.Request) {
			c := &counter{}
			if err := pagestate.Attach(r.Context(), c); err != nil {
				t.Error(err)
			}
			html, err = pagestate.Field(r.Context(), c)
		})
		return html, err
	}
	html, err := field(pagestate.HeaderSource("X"), pagestate.FormSource(`a"b`), pagestate.FormSource("c"))
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "name", strings.HasPrefix(string(html), `<input type="hidden" name="a&#34;b" value="gAAAA`), true)
	testkit.Want(t, "kept out of the browser's form history", strings.HasSuffix(string(html), `" autocomplete="off">`), true)
	_, err = field(pagestate.HeaderSource("X"))
	testkit.Want(t, "without a FormSource", err != nil && strings.Contains(err.Error(), "no FormSource"), true)
}

// row is a component in a list.
type row struct {
	pagestate.Component
	ID int
}

func TestComponentInTemplates(t *testing.T) {
	r := pagestate.NewRegistry()
	pagestate.Register[row](r, "row")
	a := newApp(t, r, pagestate.Options{})
	rows := func(ctx *http.Request) []row {
		all := []row{{ID: 1}, {ID: 2}}
		for i := range all {
			if err := pagestate.Attach(ctx.Context(), &all[i]); err != nil {
				t.Error(err)
			}
		}
		return all
	}
	const page = `{{range .}}{{.ID}} {{.StateField}} {{.StateToken}}{{end}}`
	tests := []struct {
		name string
		data func(r *http.Request) any
		want string // in the page; "" for an error
	}{
		{"a slice", func(r *http.Request) any { return rows(r) }, "2 <input"},
		{"pointers", func(r *http.Request) any { all := rows(r); return []*row{&all[0], &all[1]} }, "2 <input"},
		{"a map of pointers", func(r *http.Request) any { all := rows(r); return map[string]*row{"x": &all[1]} }, "2 <input"},
		{"values in a map", func(r *http.Request) any { return map[string]row{"x": rows(r)[0]} }, ""},
		{"copies", func(r *http.Request) any { return append([]row(nil), rows(r)...) }, ""},
		{"not attached", func(*http.Request) any { return []*row{{}} }, ""},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a.browser().serve("GET", fmt.Sprintf("/%d", i), "", func(w http.ResponseWriter, r *http.Request) {
				var b strings.Builder
				err := template.Must(template.New("").Parse(page)).Execute(&b, test.data(r))
				switch {
				case test.want == "" && err == nil:
					t.Error("no error")
				case test.want != "" && (err != nil || !strings.Contains(b.String(), test.want)):
					t.Errorf("%v: %s", err, b.String())
				}
			})
		})
	}
}

func TestACopySaysSo(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{})
	a.browser().serve("GET", "/x", "", func(w http.ResponseWriter, r *http.Request) {
		c := &counter{}
		if err := pagestate.Attach(r.Context(), c); err != nil {
			t.Error(err)
		}
		d := *c
		_, err := d.StateToken()
		testkit.Want(t, "a copy", err != nil && strings.Contains(err.Error(), "copy"), true)
		_, err = new(counter).StateField()
		testkit.Want(t, "not attached", err != nil && strings.Contains(err.Error(), "not attached"), true)
	})
}

func TestComponentIsNotSaved(t *testing.T) {
	type bare struct {
		Count int
		Note  string
	}
	secret := testkit.NewSecret()
	with, without := version[counter](t, secret), version[bare](t, secret)
	state, err := without.Open(t.Context(), ada, mustSeal(t, with, ada, &counter{Count: 1}))
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "count", state.(*bare).Count, 1)
	testkit.Want(t, "length", len(mustSeal(t, with, ada, &counter{})), len(mustSeal(t, without, ada, &bare{})))
}

// A template writes its first bytes before it comes to the fields.
func TestTokenAfterTheFirstByte(t *testing.T) {
	a := newCounterApp(t, pagestate.Options{})
	b := a.browser()
	token := b.Get("/").Field()
	res := b.serve("POST", "/stream", token, func(w http.ResponseWriter, r *http.Request) {
		acting, err := pagestate.From[counter](r.Context())
		if err != nil {
			t.Fatal(err)
		}
		other := &counter{}
		if err := pagestate.Attach(r.Context(), other); err != nil {
			t.Error(err)
		}
		acting.Count = 1
		fmt.Fprint(w, "begun ")
		other.Count = 2
		field, err := pagestate.Field(r.Context(), other)
		testkit.Want(t, "another one, changed", err, nil)
		fmt.Fprint(w, field)
		_, err = pagestate.Token(r.Context(), acting)
		testkit.Want(t, "the acting one, unchanged since", err, nil)
		acting.Count = 3
		_, err = pagestate.Token(r.Context(), acting)
		testkit.Want(t, "the acting one, changed", err != nil && strings.Contains(err.Error(), "too late to seal it"), true)
	})
	testkit.Want(t, "the acting one", b.Call("GET", "/show", res.Token()).Body, "count=1")
	testkit.Want(t, "the other", b.Call("GET", "/show", res.Field()).Body, "count=2")
	testkit.Want(t, "warnings", strings.Count(a.log.String(), "too late"), 1)
}

func TestTokenAfterAnError(t *testing.T) {
	var page string
	a := newCounterApp(t, pagestate.Options{ErrorHandler: func(w http.ResponseWriter, r *http.Request, _ error) {
		c, err := pagestate.From[counter](r.Context())
		if err != nil {
			t.Fatal(err)
		}
		token, err := c.StateToken()
		page = fmt.Sprint(token, err)
	}})
	fails := func(change int) http.HandlerFunc {
		return pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
			c.Count += change
			if _, err := c.StateToken(); err != nil {
				t.Error(err)
			}
			return pagestate.ErrForbidden
		}).ServeHTTP
	}
	b := a.browser()
	token := b.Get("/").Field()
	b.serve("POST", "/unchanged", token, fails(0))
	testkit.Want(t, "unchanged", page, token+"<nil>")
	b.serve("POST", "/changed", token, fails(1))
	testkit.Want(t, "changed", strings.Contains(page, "such changes are not sealed"), true)
}

func TestWithoutMiddleware(t *testing.T) {
	ctx := context.Background()
	c := &counter{}
	_, err := pagestate.From[counter](ctx)
	testkit.Want(t, "From", err, pagestate.ErrNoMiddleware)
	testkit.Want(t, "Attach", pagestate.Attach(ctx, c), pagestate.ErrNoMiddleware)
	_, err = pagestate.Token(ctx, c)
	testkit.Want(t, "Token", err, pagestate.ErrNoMiddleware)
	_, err = pagestate.Field(ctx, c)
	testkit.Want(t, "Field", err, pagestate.ErrNoMiddleware)
	res := httptest.NewRecorder()
	pagestate.Handle(func(http.ResponseWriter, *http.Request, *counter) error {
		t.Error("the handler ran")
		return nil
	}).ServeHTTP(res, httptest.NewRequest("POST", "/", nil))
	testkit.Want(t, "Handle", res.Code, 500)
	testkit.Want(t, "code", strings.Contains(res.Body.String(), `"StateError"`), true)
}

func TestDiscard(t *testing.T) {
	pagestate.Discard(t.Context()) // is nothing to it
	for name, o := range map[string]pagestate.Options{"no guard": {}, "guard": {Guard: pagestate.NewGuard(10)}} {
		t.Run(name, func(t *testing.T) {
			a := newCounterApp(t, o)
			a.mux.HandleFunc("/discard", func(w http.ResponseWriter, r *http.Request) {
				c, err := pagestate.From[counter](r.Context())
				if err != nil {
					t.Error(err)
				}
				c.Count = 100
				if r.FormValue("late") != "" {
					w.WriteHeader(http.StatusOK)
				}
				pagestate.Discard(r.Context())
				w.WriteHeader(http.StatusUnprocessableEntity)
				if _, err := c.StateToken(); (err == nil) != (r.FormValue("late") != "") {
					t.Errorf("%s: the token of what was changed: %v", r.URL, err)
				}
			})
			b := a.browser()
			token := b.Post("/increment", b.Get("/").Field()).Field()
			res := b.Call("POST", "/discard", token)
			testkit.Want(t, "status", res.StatusCode, 422)
			testkit.Want(t, "has a token", res.Token() != "", o.Guard != nil)
			if o.Guard != nil {
				token = res.Token()
			}
			res = b.Call("GET", "/show", token)
			testkit.Want(t, "as it was", res.Body, "count=1")
			late := b.Call("POST", "/discard?late=1", token)
			testkit.Want(t, "late", b.Call("GET", "/show", late.Token()).Body, "count=100")
		})
	}
}
