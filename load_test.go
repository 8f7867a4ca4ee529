package pagestate_test

// Load: what it leaves out of a token, and what its errors mean.

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// todos is a component that loads.
type todos struct {
	pagestate.Component
	Page  int // corrected by load
	Items []string
	Kept  string `state:",keep"`
	Blob  []byte
}

// newTodos has a page, and an action that changes what a request's form asks.
func newTodos(t *testing.T, blob int, loadError func() error) *app {
	r := pagestate.NewRegistry()
	pagestate.Register[todos](r, "todos", pagestate.LoadWith(func(_ context.Context, l *todos) error {
		if l.Page > 3 {
			l.Page = 3
		}
		l.Items = []string{fmt.Sprintf("item of page %d", l.Page)}
		l.Kept = "kept"
		l.Blob = bytes.Repeat([]byte("x"), blob)
		return loadError()
	}))
	a := newApp(t, r, pagestate.Options{IsStale: func(err error) bool { return errors.Is(err, errGone) }})
	a.mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		l := &todos{Page: 1}
		if err := pagestate.Attach(r.Context(), l); err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		field, err := l.StateField()
		fmt.Fprint(w, l.Items, field, err)
	})
	a.mux.Handle("POST /page", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, l *todos) error {
		fmt.Sscan(r.URL.Query().Get("n"), &l.Page)
		fmt.Fprint(w, l.Page, l.Items, l.Kept)
		return nil
	}))
	a.mux.Handle("POST /change", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, l *todos) error {
		l.Items[0] = "changed by the handler"
		return nil
	}))
	return a
}

var errGone = errors.New("gone, says the application")

func fine() error { return nil }

func TestLoadLeavesOutWhatItSets(t *testing.T) {
	small := newTodos(t, 0, fine).browser().Get("/").Field()
	large := newTodos(t, 1<<20, fine).browser().Get("/").Field()
	testkit.Want(t, "length with a megabyte loaded", len(large), len(small))
	testkit.Want(t, "a small token", len(small) < 250, true)
}

func TestLoadRunsAgainWithTheSavedFields(t *testing.T) {
	b := newTodos(t, 0, fine).browser()
	token := b.Get("/").Field()
	res := b.Call("POST", "/page?n=2", token)
	testkit.Want(t, "before the change", res.Body, "2 [item of page 1]kept")
	res = b.Call("POST", "/page?n=9", res.Token())
	testkit.Want(t, "resumed", res.Body, "9 [item of page 2]kept")
	res = b.Call("POST", "/page", res.Token())
	testkit.Want(t, "corrected", res.Body, "3 [item of page 3]kept")
	testkit.Want(t, "the corrected value is saved", res.Token() != "", true)
	testkit.Want(t, "and then unchanged", b.Call("POST", "/page", res.Token()).Token(), "")
}

func TestChangeOfALeftOutFieldIsLogged(t *testing.T) {
	a := newTodos(t, 0, fine)
	b := a.browser()
	token := b.Get("/").Field()
	testkit.Want(t, "warnings before", strings.Count(a.log.String(), "level=WARN"), 0)
	res := b.Call("POST", "/change", token)
	testkit.Want(t, "sealed", res.Token(), "")
	for _, what := range []string{"component=todos", "field=Items"} {
		testkit.Want(t, "log has "+what, strings.Contains(a.log.String(), what), true)
	}
	testkit.Want(t, "warnings", strings.Count(a.log.String(), "level=WARN"), 1)
	testkit.Want(t, "state in the log", strings.Contains(a.log.String(), "changed by the handler"), false)
}

func TestErrorsOfLoad(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		status int
	}{
		{"ErrStale", fmt.Errorf("list: %w", pagestate.ErrStale), 410},
		{"StaleError", &pagestate.StaleError{Component: "todos", Reference: "list 7"}, 410},
		{"sql.ErrNoRows", fmt.Errorf("list: %w", sql.ErrNoRows), 410},
		{"IsStale", fmt.Errorf("list: %w", errGone), 410},
		{"ErrForbidden", pagestate.ErrForbidden, 403},
		{"ErrUnavailable", pagestate.ErrUnavailable, 503},
		{"a deadline", context.DeadlineExceeded, 503},
		{"a cancelled context", context.Canceled, 503},
		{"any other", errors.New("disk full"), 500},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var now error
			a := newTodos(t, 0, func() error { return now })
			b := a.browser()
			token := b.Get("/").Field()
			now = test.err
			testkit.Want(t, "attached", b.Get("/").StatusCode, test.status)
			res := b.Call("POST", "/page", token)
			testkit.Want(t, "resumed", res.StatusCode, test.status)
			testkit.Want(t, "token", res.Token(), "")
			testkit.Want(t, "error in the log", strings.Contains(a.log.String(), "level=ERROR"), test.status == 500)
			now = nil
			testkit.Want(t, "afterwards", b.Call("POST", "/page", token).StatusCode, 200)
		})
	}
}

// A driver may have words of its own for a query that was cancelled.
func TestLoadThatIsCancelled(t *testing.T) {
	tests := []struct {
		name string
		err  error // of load, once the context has ended
		want error
	}{
		{"in words of its own", errors.New("interrupted"), pagestate.ErrUnavailable},
		{"forbidden all the same", pagestate.ErrForbidden, pagestate.ErrForbidden},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			r := pagestate.NewRegistry()
			pagestate.Register[todos](r, "todos", pagestate.LoadWith(func(context.Context, *todos) error {
				cancel()
				return test.err
			}))
			mw, err := pagestate.New(r, ordinary())
			if err != nil {
				t.Fatal(err)
			}
			_, err = mw.Open(ctx, ada, mustSeal(t, mw, ada, &todos{}))
			testkit.Want(t, "as wanted", errors.Is(err, test.want), true)
			testkit.Want(t, "unavailable", errors.Is(err, pagestate.ErrUnavailable), test.want == pagestate.ErrUnavailable)
		})
	}
}

func TestStaleErrorOfLoadNamesTheComponent(t *testing.T) {
	r := pagestate.NewRegistry()
	pagestate.Register[todos](r, "todos", pagestate.LoadWith(func(context.Context, *todos) error { return sql.ErrNoRows }))
	mw, err := pagestate.New(r, ordinary())
	if err != nil {
		t.Fatal(err)
	}
	_, err = mw.Open(t.Context(), ada, mustSeal(t, mw, ada, &todos{}))
	var stale *pagestate.StaleError
	if !errors.As(err, &stale) {
		t.Fatal(err)
	}
	testkit.Want(t, "component", stale.Component, "todos")
	testkit.Want(t, "cause", errors.Is(err, sql.ErrNoRows), true)
}

// A panic passes through, and is never taken for stale.
func TestPanicOfLoad(t *testing.T) {
	r := pagestate.NewRegistry()
	pagestate.Register[todos](r, "todos", pagestate.LoadWith(func(context.Context, *todos) error { panic(pagestate.ErrStale) }))
	mw, err := pagestate.New(r, ordinary())
	if err != nil {
		t.Fatal(err)
	}
	token := mustSeal(t, mw, ada, &todos{})
	defer func() { testkit.Want(t, "panic", recover(), any(pagestate.ErrStale)) }()
	mw.Open(t.Context(), ada, token)
}

// selfLoading has a Load method.
type selfLoading struct {
	ID    int
	Title string
}

func (s *selfLoading) Load(context.Context) error {
	if s.ID == 0 {
		return pagestate.ErrStale
	}
	s.Title = fmt.Sprint("title of ", s.ID)
	return nil
}

func TestLoadMethod(t *testing.T) {
	r := pagestate.NewRegistry()
	pagestate.Register[selfLoading](r, "self")
	pagestate.Register[holds[selfLoading]](r, "outer") // as a field, its load does not run
	mw, err := pagestate.New(r, ordinary())
	if err != nil {
		t.Fatal(err)
	}
	state, err := mw.Open(t.Context(), ada, mustSeal(t, mw, ada, &selfLoading{ID: 7}))
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "title", state.(*selfLoading).Title, "title of 7")
	if _, err := mw.Open(t.Context(), ada, mustSeal(t, mw, ada, &selfLoading{})); !errors.Is(err, pagestate.ErrStale) {
		t.Error(err)
	}
	if _, err := mw.Open(t.Context(), ada, mustSeal(t, mw, ada, &holds[selfLoading]{})); err != nil {
		t.Error(err)
	}
}

// A child that cannot be loaded with new arguments has no token any more: it
// holds what load filled before it failed.
func TestFailedReload(t *testing.T) {
	r := pagestate.NewRegistry()
	pagestate.Register[counter](r, "counter")
	pagestate.Register[todos](r, "todos", pagestate.LoadWith(func(_ context.Context, l *todos) error {
		l.Items = []string{"secret"}
		if l.Page == 2 {
			return pagestate.ErrForbidden
		}
		return nil
	}))
	a := newApp(t, r, pagestate.Options{})
	a.browser().serve("GET", "/x", "", func(w http.ResponseWriter, r *http.Request) {
		parent, child := &counter{}, &todos{Page: 1}
		err := errors.Join(pagestate.Attach(r.Context(), parent), pagestate.Attach(r.Context(), child, pagestate.Under(parent, "list")))
		testkit.Want(t, "attached", err, nil)
		_, err = pagestate.Child(r.Context(), parent, "list", func(l *todos) { l.Page = 2 })
		testkit.Want(t, "refused", errors.Is(err, pagestate.ErrForbidden), true)
		_, err = pagestate.Token(r.Context(), child)
		testkit.Want(t, "no token", err != nil, true)
	})
}

// filled is embedded, and unexported.
type filled struct{ Rows []string }

type embedder struct {
	filled
	Page int
}

func TestReloadOfAnEmbeddedStruct(t *testing.T) {
	r := pagestate.NewRegistry()
	pagestate.Register[counter](r, "counter")
	pagestate.Register[embedder](r, "embedder", pagestate.LoadWith(func(_ context.Context, e *embedder) error {
		testkit.Want(t, "rows before", len(e.Rows), 0)
		e.Rows = []string{"row"}
		return nil
	}))
	a := newApp(t, r, pagestate.Options{})
	a.browser().serve("GET", "/x", "", func(w http.ResponseWriter, r *http.Request) {
		parent, child := &counter{}, &embedder{}
		err := errors.Join(pagestate.Attach(r.Context(), parent), pagestate.Attach(r.Context(), child, pagestate.Under(parent, "x")))
		testkit.Want(t, "attached", err, nil)
		_, err = pagestate.Child(r.Context(), parent, "x", func(e *embedder) { e.Page = 2 })
		testkit.Want(t, "loaded again", err, nil)
		testkit.Want(t, "rows", len(child.Rows), 1)
	})
}
