package pagestate_test

// What is measured: that everything is told once, and that nothing of a client's
// is.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// events are what an observer was told.
type events struct {
	mu      sync.Mutex
	opened  []pagestate.Opened
	sealed  []pagestate.Sealed
	refused []pagestate.Refused
	ctx     context.Context // of the last one
}

func (e *events) observer() pagestate.Observer {
	return pagestate.Observer{
		Opened:  func(ctx context.Context, o pagestate.Opened) { tell(ctx, e, &e.opened, o) },
		Sealed:  func(ctx context.Context, s pagestate.Sealed) { tell(ctx, e, &e.sealed, s) },
		Refused: func(ctx context.Context, r pagestate.Refused) { tell(ctx, e, &e.refused, r) },
	}
}

func tell[T any](ctx context.Context, e *events, to *[]T, event T) {
	e.mu.Lock()
	defer e.mu.Unlock()
	*to = append(*to, event)
	e.ctx = ctx
}

// sums are the numbers of events. All must be of counters.
func (e *events) sums(t *testing.T) string {
	t.Helper()
	for _, o := range e.opened {
		testkit.Want(t, "opened", o.Component, "counter")
		testkit.Want(t, "took time to open", o.Took > 0, true)
	}
	for _, s := range e.sealed {
		testkit.Want(t, "sealed", s.Component, "counter")
		testkit.Want(t, "took time to seal", s.Took > 0, true)
	}
	refused := make(map[pagestate.Refused]int)
	for _, r := range e.refused {
		refused[r]++
	}
	return fmt.Sprintf("opened %d, sealed %d, refused %v", len(e.opened), len(e.sealed), refused)
}

func TestObserver(t *testing.T) {
	var told events
	now := time.Now()
	a := newCounterApp(t, pagestate.Options{Observer: told.observer(), Clock: func() time.Time { return now }})
	a.mux.Handle("/fail", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, _ *counter) error {
		if r.FormValue("late") != "" {
			fmt.Fprint(w, "begun")
		}
		return errors.New("cause")
	}))
	b := a.browser()
	token := b.Get("/").Field()
	for _, step := range []struct {
		what string
		do   func()
		want string
	}{
		{"attached", func() {}, "opened 0, sealed 1, refused map[]"},
		{"unchanged", func() { b.Call("GET", "/show", token) }, "opened 1, sealed 1, refused map[]"},
		{"changed", func() { b.Post("/increment", token) }, "opened 2, sealed 2, refused map[]"},
		{"no token", func() { b.Get("/show") }, "opened 2, sealed 2, refused map[{MissingState 400}:1]"},
		{"forged", func() { b.Call("GET", "/show", token[:len(token)-8]+"AAAAAA==") },
			"opened 2, sealed 2, refused map[{InvalidState 400}:1 {MissingState 400}:1]"},
		{"failed", func() { b.Call("GET", "/fail", token) },
			"opened 3, sealed 2, refused map[{InvalidState 400}:1 {MissingState 400}:1 {StateError 500}:1]"},
		{"failed late", func() { b.Call("GET", "/fail?late=1", token) },
			"opened 4, sealed 2, refused map[{InvalidState 400}:1 {MissingState 400}:1 {StateError 500}:2]"},
		{"expired", func() { now = now.Add(25 * time.Hour); b.Call("GET", "/show", token) },
			"opened 4, sealed 2, refused map[{ExpiredState 409}:1 {InvalidState 400}:1 {MissingState 400}:1 {StateError 500}:2]"},
	} {
		step.do()
		testkit.Want(t, step.what, told.sums(t), step.want)
	}
	testkit.Want(t, "bytes", told.sealed[0].Bytes, len(token))
}

// Children, and the way without a request, count as any other.
func TestObserverOfOthers(t *testing.T) {
	var told events
	a := newFamilyApp(t, pagestate.Options{Observer: told.observer()})
	b := a.browser()
	req := b.Request("POST", "/parent", nil)
	req.Header.Set("Page-State", strings.Join(strings.Fields(b.Get("/").Body), ","))
	b.Send(req)
	testkit.Want(t, "children", told.sums(t), "opened 2, sealed 2, refused map[]")

	owner := pagestate.Owner{Session: "socket"}
	token, err := a.mw.Seal(owner, &counter{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.mw.Reseal(t.Context(), owner, token, &counter{Count: 1}); err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "without a request", told.sums(t), "opened 3, sealed 4, refused map[]")
}

// A function may look for what stands in a request's context, such as a trace.
func TestObserverContext(t *testing.T) {
	type key struct{}
	var told events
	a := newCounterApp(t, pagestate.Options{Observer: told.observer(), Session: pagestate.Unbound()})
	ctx := context.WithValue(t.Context(), key{}, "outer")
	token, err := a.mw.Seal(pagestate.Owner{}, &counter{})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "Seal", told.ctx, context.Background())
	request := func(path, token string) func() {
		return func() {
			r := httptest.NewRequestWithContext(ctx, "GET", path, nil)
			r.Header.Set("Page-State", token)
			a.mw.Handler(a.mux).ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	for _, step := range []struct {
		what string
		do   func()
	}{
		{"a page", request("/", "")},
		{"opened", request("/show", token)},
		{"changed", request("/increment", token)},
		{"refused", request("/show", "forged")},
		{"Open", func() { _, _ = a.mw.Open(ctx, pagestate.Owner{}, token) }},
		{"Reseal", func() { _, _ = a.mw.Reseal(ctx, pagestate.Owner{}, token, &counter{Count: 1}) }},
	} {
		told.ctx = context.Background()
		step.do()
		testkit.Want(t, step.what, told.ctx.Value(key{}), any("outer"))
	}
}

// Whoever wants to know one thing need not listen to the others.
func TestObserverWithoutFunctions(t *testing.T) {
	for name, without := range map[string]func(*pagestate.Observer){
		"opened":  func(o *pagestate.Observer) { o.Opened = nil },
		"sealed":  func(o *pagestate.Observer) { o.Sealed = nil },
		"refused": func(o *pagestate.Observer) { o.Refused = nil },
	} {
		t.Run(name, func(t *testing.T) {
			var told events
			observer := told.observer()
			without(&observer)
			a := newCounterApp(t, pagestate.Options{Observer: observer})
			b := a.browser()
			testkit.Want(t, "changed", b.Post("/increment", b.Get("/").Field()).StatusCode, 200)
			testkit.Want(t, "refused", b.Get("/show").StatusCode, 400)
			left := map[string]int{"opened": len(told.opened), "sealed": len(told.sealed), "refused": len(told.refused)}
			for other, n := range left {
				testkit.Want(t, other, n > 0, other != name)
			}
		})
	}
}

// What a database takes is what one wants to know.
func TestObserverTimesLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told events
		r := pagestate.NewRegistry()
		pagestate.Register[counter](r, "counter", pagestate.LoadWith(func(context.Context, *counter) error {
			time.Sleep(time.Second)
			return nil
		}))
		mw, err := pagestate.New(r, pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}, Session: pagestate.Unbound(), Observer: told.observer()})
		if err != nil {
			t.Fatal(err)
		}
		token, err := mw.Seal(pagestate.Owner{}, &counter{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := mw.Open(t.Context(), pagestate.Owner{}, token); err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "opened", told.opened[0], pagestate.Opened{Component: "counter", Took: time.Second})
		testkit.Want(t, "sealed", told.sealed[0], pagestate.Sealed{Component: "counter", Bytes: len(token)})
	})
}
