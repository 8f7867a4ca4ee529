package integration_test

// Lazy queries: a state saves which one and with which arguments.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// Feed shows the todos of a list, as they are when it is rendered.
type Feed struct {
	pagestate.Component
	Todos pagestate.Query[int64, Todo]
	Shown int
}

func newFeedApp(t *testing.T, d *database, list int64) *app {
	store := &d.store
	registry := pagestate.NewRegistry()
	pagestate.Register[Feed](registry, "feed")
	todosOf := pagestate.RegisterQuery(registry, "todos of a list", store.todosOf)
	a := newApp(t, registry, pagestate.Options{})
	page(a, "/", func(*http.Request) *Feed { return &Feed{Todos: todosOf(list), Shown: 10} })
	action(a, "/", showFeed)
	action(a, "/fewer", func(_ *http.Request, f *Feed) (string, error) {
		f.Shown = 2
		return fmt.Sprint("list ", f.Todos.Args()), nil
	})
	return a
}

func showFeed(r *http.Request, f *Feed) (string, error) {
	var titles []string
	for todo, err := range f.Todos.All(r.Context()) {
		if err != nil {
			return "", err
		}
		titles = append(titles, todo.Title)
		if len(titles) == f.Shown {
			break
		}
	}
	return strings.Join(titles, ", "), nil
}

func TestQueryGivesWhatThereIsToday(t *testing.T) {
	d := newDatabase(t)
	list := d.newList("home")
	tea := d.newTodo(list, "tea")
	feed := newFeedApp(t, d, list).browser().Get("/")
	testkit.Want(t, "SELECTs of the page", d.selects(), 0)

	wantBody(t, call(feed, "/"), "tea")
	testkit.Want(t, "SELECTs of a loop", d.selects(), 1)
	d.newTodo(list, "milk")
	wantBody(t, call(feed, "/"), "tea, milk")
	d.delete(tea)
	wantBody(t, call(feed, "/"), "milk")
	d.wantClosed()
}

func TestQueryThatIsNotAskedIsNotRun(t *testing.T) {
	d := newDatabase(t)
	list := d.newList("home")
	feed := newFeedApp(t, d, list).browser().Get("/")
	res := wantBody(t, call(feed, "/fewer"), fmt.Sprint("list ", list))
	testkit.Want(t, "sealed", res.Header.Get("Page-State") != "", true)
	testkit.Want(t, "SELECTs", d.selects(), 0)
}

func TestLoopThatStopsEarlyClosesItsRows(t *testing.T) {
	d := newDatabase(t)
	d.db.SetMaxOpenConns(1) // so that one that is kept would be missed
	list := d.newList("home")
	for i := range 1000 {
		d.newTodo(list, fmt.Sprint(i))
	}
	feed := call(newFeedApp(t, d, list).browser().Get("/"), "/fewer")
	for range 20 {
		wantBody(t, call(feed, "/"), "0, 1")
	}
	d.wantClosed()
}

func TestErrorOfAQueryIsYieldedOnce(t *testing.T) {
	d := newDatabase(t)
	list := d.newList("home")
	for i := range 1000 {
		d.newTodo(list, fmt.Sprint(i))
	}
	todosOf := pagestate.RegisterQuery(pagestate.NewRegistry(), "todos of a list", d.todosOf)
	for _, stopAfter := range []int{0, 2} {
		t.Run(fmt.Sprint("after ", stopAfter), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			rows, errs := 0, 0
			if stopAfter == 0 {
				cancel()
			}
			for _, err := range todosOf(list).All(ctx) {
				if err != nil {
					errs++
					testkit.Want(t, "cancelled", errors.Is(err, context.Canceled), true)
					continue
				}
				if rows++; rows == stopAfter {
					cancel()
				}
				time.Sleep(time.Millisecond) // the rows are closed by a goroutine of database/sql
			}
			testkit.Want(t, "stopped early", rows < 1000, true)
			testkit.Want(t, "errors", errs, 1)
			d.wantClosed()
		})
	}
}
