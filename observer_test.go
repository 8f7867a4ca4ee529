package pagestate_test

// What is measured: that everything is told once, and that nothing of a client's
// is.

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pagestate/pagestate"
)

// sums is what Counters say, without how long it took.
func sums(t *testing.T, c *pagestate.Counters) string {
	t.Helper()
	var said struct {
		Opened, Sealed map[string]struct {
			Count   int
			Seconds float64
		}
		Refused map[string]int
	}
	if err := json.Unmarshal([]byte(c.String()), &said); err != nil {
		t.Fatal(err)
	}
	for name, timing := range said.Opened {
		want(t, name+" took time to open", timing.Seconds > 0, true)
	}
	for name, timing := range said.Sealed {
		want(t, name+" took time to seal", timing.Seconds > 0, true)
	}
	return fmt.Sprintf("opened %d, sealed %d, refused %v", said.Opened["counter"].Count, said.Sealed["counter"].Count, said.Refused)
}

func TestObserver(t *testing.T) {
	counters := new(pagestate.Counters)
	want(t, "at first", counters.String(), `{"opened":{},"refused":{},"sealed":{}}`)
	now := time.Now()
	a := newCounterApp(t, pagestate.Options{Observer: counters, Clock: func() time.Time { return now }})
	a.mux.Handle("/fail", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, _ *counter) error {
		if r.FormValue("late") != "" {
			fmt.Fprint(w, "begun")
		}
		return errors.New("cause")
	}))
	b := a.browser()
	token := b.get("/").field()
	for _, step := range []struct {
		what string
		do   func()
		want string
	}{
		{"attached", func() {}, "opened 0, sealed 1, refused map[]"},
		{"unchanged", func() { b.call("GET", "/show", token) }, "opened 1, sealed 1, refused map[]"},
		{"changed", func() { b.post("/increment", token) }, "opened 2, sealed 2, refused map[]"},
		{"no token", func() { b.get("/show") }, "opened 2, sealed 2, refused map[MissingState:1]"},
		{"forged", func() { b.call("GET", "/show", token[:len(token)-8]+"AAAAAA==") }, "opened 2, sealed 2, refused map[InvalidState:1 MissingState:1]"},
		{"failed", func() { b.call("GET", "/fail", token) }, "opened 3, sealed 2, refused map[InvalidState:1 MissingState:1 StateError:1]"},
		{"failed late", func() { b.call("GET", "/fail?late=1", token) }, "opened 4, sealed 2, refused map[InvalidState:1 MissingState:1 StateError:2]"},
		{"expired", func() { now = now.Add(25 * time.Hour); b.call("GET", "/show", token) },
			"opened 4, sealed 2, refused map[ExpiredState:1 InvalidState:1 MissingState:1 StateError:2]"},
	} {
		step.do()
		want(t, step.what, sums(t, counters), step.want)
	}
}

// Children, and the way without a request, count as any other.
func TestObserverOfOthers(t *testing.T) {
	counters := new(pagestate.Counters)
	a := newFamilyApp(t, pagestate.Options{Observer: counters})
	b := a.browser()
	req := b.request("POST", "/parent", nil)
	req.Header.Set("Page-State", strings.Join(strings.Fields(b.get("/").Body), ","))
	b.send(req)
	want(t, "children", sums(t, counters), "opened 2, sealed 2, refused map[]")

	owner := pagestate.Owner{Session: "socket"}
	token, err := a.mw.Seal(owner, &counter{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.mw.Reseal(t.Context(), owner, token, &counter{Count: 1}); err != nil {
		t.Fatal(err)
	}
	want(t, "without a request", sums(t, counters), "opened 3, sealed 4, refused map[]")
}

func TestCountersAreAnExpvar(t *testing.T) {
	var counters expvar.Var = new(pagestate.Counters)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				observer := counters.(pagestate.Observer)
				observer.Opened("counter", time.Millisecond)
				observer.Sealed("counter", time.Millisecond)
				observer.Refused("InvalidState")
				_ = counters.String()
			}
		})
	}
	all.Wait()
	want(t, "sums", sums(t, counters.(*pagestate.Counters)), "opened 800, sealed 800, refused map[InvalidState:800]")
}

// What a database takes is what one wants to know.
func TestObserverTimesLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counters := new(pagestate.Counters)
		r := pagestate.NewRegistry()
		pagestate.Register[counter](r, "counter", pagestate.LoadWith(func(context.Context, *counter) error {
			time.Sleep(time.Second)
			return nil
		}))
		mw, err := pagestate.New(r, pagestate.Options{Secrets: [][]byte{newSecret()}, Session: pagestate.Unbound(), Observer: counters})
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
		want(t, "sums", counters.String(), `{"opened":{"counter":{"count":1,"seconds":1}},"refused":{},"sealed":{"counter":{"count":1,"seconds":0}}}`)
	})
}
