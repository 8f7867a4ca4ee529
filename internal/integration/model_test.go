package integration_test

// Model references: what a state saves is a key, and what comes back is today's
// row.

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

// Selection is what a visitor has picked.
type Selection struct {
	pagestate.Component
	Latest *Todo
	Picked []*Todo
}

// Row is a piece of a list: one todo, and whether it is being edited.
type Row struct {
	pagestate.Component
	Todo    *Todo
	Editing bool
}

// Pinboard goes on without the todos that are gone.
type Pinboard struct {
	pagestate.Component
	Front  *Todo            `state:",optional"`
	Pinned []*Todo          `state:",optional"`
	ByName map[string]*Todo `state:",optional"`
}

func registerTodos(registry *pagestate.Registry, store *store) {
	pagestate.RegisterModel(registry, "todo", pagestate.Model[int64, Todo]{
		Key:   func(t *Todo) int64 { return t.ID },
		Fetch: store.fetch,
	})
}

// newTodoApp has a page for one todo, and one that keeps what can be kept.
func newTodoApp(t *testing.T, d *database, todo *Todo) *app {
	registry := pagestate.NewRegistry()
	registerTodos(registry, &d.store)
	pagestate.Register[Row](registry, "row")
	pagestate.Register[Pinboard](registry, "pinboard")
	pagestate.Register[Selection](registry, "selection")
	a := newApp(t, registry, pagestate.Options{MaxTokens: 100})
	page(a, "/row", func(*http.Request) *Row { return &Row{Todo: todo} })
	action(a, "/row", func(_ *http.Request, r *Row) (string, error) { return r.Todo.Title, nil })
	action(a, "/edit", func(_ *http.Request, r *Row) (string, error) {
		r.Editing = true
		return r.Todo.Title, nil
	})
	action(a, "/delete", func(r *http.Request, row *Row) (string, error) {
		_, err := d.db.ExecContext(r.Context(), `DELETE FROM todo WHERE id = ?`, row.Todo.ID)
		return "", err
	})
	return a
}

func TestRowComesBackAsItIsToday(t *testing.T) {
	d := newDatabase(t)
	todo := d.newTodo(d.newList("home"), "tea")
	row := newTodoApp(t, d, todo).browser().Get("/row")
	d.exec(`UPDATE todo SET title = 'green tea' WHERE id = ?`, todo.ID)
	wantBody(t, call(row, "/row"), "green tea")
}

// TestHundredReferences has each of fifty rows three times in a state: in two
// elements of a slice, and in a child of its own.
func TestHundredReferences(t *testing.T) {
	const rows = 50
	d := newDatabase(t)
	list := d.newList("home")
	selection := new(Selection)
	for i := range rows {
		todo := d.newTodo(list, fmt.Sprint("todo ", i))
		selection.Picked = append(selection.Picked, todo)
		selection.Latest = todo
	}
	selection.Picked = append(selection.Picked, selection.Picked...)
	other := d.newTodo(list, "another")

	a := newTodoApp(t, d, nil)
	a.mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		tokens, err := attachWithRows(r.Context(), selection, append(selection.Picked[:rows:rows], other))
		if err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		fmt.Fprint(w, strings.Join(tokens, "\n"))
	})
	action(a, "/", func(r *http.Request, s *Selection) (string, error) {
		testkit.Want(t, "references", len(s.Picked), 2*rows)
		for i, todo := range s.Picked[:rows] {
			testkit.Want(t, "the same pointer", s.Picked[i+rows], todo)
			testkit.Want(t, "title", todo.Title, fmt.Sprint("todo ", i))
		}
		testkit.Want(t, "the same pointer", s.Latest, s.Picked[rows-1])
		testkit.Want(t, "SELECTs for the state", d.selects(), 1)
		for i, todo := range s.Picked[:rows] {
			row, err := pagestate.Child[Row](r.Context(), s, fmt.Sprint(i), nil)
			if err != nil {
				return "", err
			}
			testkit.Want(t, "the same pointer", row.Todo, todo)
		}
		testkit.Want(t, "SELECTs for children of the same rows", d.selects(), 0)
		row, err := pagestate.Child[Row](r.Context(), s, fmt.Sprint(rows), nil)
		testkit.Want(t, "SELECTs for a child of another row", d.selects(), 1)
		return row.Todo.Title, err
	})

	selected := a.browser().Get("/")
	testkit.Want(t, "SELECTs of the page", d.selects(), 0)
	wantBody(t, call(selected, "/"), "another")
}

// attachWithRows returns the token of the selection, and those of its rows.
func attachWithRows(ctx context.Context, s *Selection, todos []*Todo) (tokens []string, err error) {
	if err := pagestate.Attach(ctx, s); err != nil {
		return nil, err
	}
	states := []any{s}
	for i, todo := range todos {
		row := &Row{Todo: todo}
		if err := pagestate.Attach(ctx, row, pagestate.Under(s, fmt.Sprint(i))); err != nil {
			return nil, err
		}
		states = append(states, row)
	}
	for _, state := range states {
		token, err := pagestate.Token(ctx, state)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}

func TestScopeOfFetch(t *testing.T) {
	tests := []struct {
		name   string
		before string // what happens to the row
		user   string // who sends the token
		want   error
	}{
		{name: "in scope", user: "ada"},
		{name: "moved to a list of others", before: `UPDATE todo SET list = 2`, user: "ada", want: pagestate.ErrStale},
		{name: "no member any more", before: `DELETE FROM member WHERE user = 'ada'`, user: "ada", want: pagestate.ErrStale},
		{name: "another user's token", user: "bob", want: pagestate.ErrInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDatabase(t)
			todo := d.newTodo(d.newList("home"), "tea")
			b := newTodoApp(t, d, todo).browser()
			row := b.Get("/row")
			if test.before != "" {
				d.exec(test.before)
			}
			b.Header.Set("User", test.user)
			res := call(row, "/row")
			if test.want != nil {
				wantRefused(t, res, test.want)
				return
			}
			wantBody(t, res, "tea")
		})
	}
}

// TestRowOutOfScopeIsNeverSeen: whoever attaches a row by a number from outside
// gets a token, and no row for it.
func TestRowOutOfScopeIsNeverSeen(t *testing.T) {
	d := newDatabase(t)
	secret := d.newTodo(d.exec(`INSERT INTO list (title) VALUES ('of others')`), "secret")
	a := newTodoApp(t, d, &Todo{ID: secret.ID})
	wantRefused(t, call(a.browser().Get("/row"), "/row"), pagestate.ErrStale)
}

func TestOptionalReferences(t *testing.T) {
	d := newDatabase(t)
	list := d.newList("home")
	tea, milk, bread := d.newTodo(list, "tea"), d.newTodo(list, "milk"), d.newTodo(list, "bread")
	a := newTodoApp(t, d, nil)
	page(a, "/", func(*http.Request) *Pinboard {
		return &Pinboard{
			Front:  milk,
			Pinned: []*Todo{tea, milk, bread, milk},
			ByName: map[string]*Todo{"morning": tea, "evening": milk},
		}
	})
	action(a, "/", func(_ *http.Request, p *Pinboard) (string, error) {
		return fmt.Sprintln(p.Front == nil, titles(p.Pinned), len(p.ByName), p.ByName["morning"] != nil), nil
	})
	board := a.browser().Get("/")
	wantBody(t, call(board, "/"), "false [tea milk bread milk] 2 true\n")
	d.delete(milk)
	d.selects()
	after := wantBody(t, call(board, "/"), "true [tea bread] 1 true\n")
	testkit.Want(t, "SELECTs", d.selects(), 1)
	testkit.Want(t, "sealed without them", after.Header.Get("Page-State") != "", true)
	again := wantBody(t, call(after, "/"), "true [tea bread] 1 true\n")
	testkit.Want(t, "and then unchanged", again.Header.Get("Page-State"), "")
}

func TestUnsavedRowCannotBeSealed(t *testing.T) {
	d := newDatabase(t)
	a := newTodoApp(t, d, &Todo{Title: "not in the database"})
	pagestatetest.Refused(t, a.browser().Get("/row").Response, errOther)
	testkit.WantText(t, "log", a.log.String(), "Row.Todo", "save the row first")
}

// TestErrorsOfFetch: only what says that the row is gone takes the component off
// the page.
func TestErrorsOfFetch(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want error
	}{
		{"a deadline", context.DeadlineExceeded, pagestate.ErrUnavailable},
		{"a client that went away", context.Canceled, pagestate.ErrUnavailable},
		{"forbidden", pagestate.ErrForbidden, pagestate.ErrForbidden},
		{"gone", pagestate.ErrStale, pagestate.ErrStale},
		{"another failure", errOther, errOther},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var now error
			registry := pagestate.NewRegistry()
			pagestate.Register[Row](registry, "row")
			pagestate.RegisterModel(registry, "todo", pagestate.Model[int64, Todo]{
				Key: func(t *Todo) int64 { return t.ID },
				Fetch: func(context.Context, []int64) ([]*Todo, error) {
					return []*Todo{nil, {ID: 8}, {ID: 7, Title: "first"}, {ID: 7, Title: "again"}}, now
				},
			})
			a := newApp(t, registry, pagestate.Options{})
			page(a, "/row", func(*http.Request) *Row { return &Row{Todo: &Todo{ID: 7}} })
			action(a, "/row", func(_ *http.Request, r *Row) (string, error) { return r.Todo.Title, nil })
			row := a.browser().Get("/row")
			now = test.err
			wantRefused(t, call(row, "/row"), test.want)
			now = nil
			wantBody(t, call(row, "/row"), "first")
		})
	}
}

// Edit is a todo, and what somebody is making of it.
type Edit struct {
	pagestate.Component
	Todo  *Todo
	Draft Draft
}

// Draft is no model, so what is typed is saved in the token.
type Draft struct{ Title string }

// editByValue holds what somebody types in a row, which is lost.
type editByValue struct {
	pagestate.Component
	Draft Todo
}

// TestDrafts types into a row, where it is lost and the log says so, and into a
// type of its own, where it stays.
func TestDrafts(t *testing.T) {
	d := newDatabase(t)
	tea := d.newTodo(d.newList("home"), "tea")
	registry := pagestate.NewRegistry()
	registerTodos(registry, &d.store)
	pagestate.Register[Edit](registry, "edit")
	pagestate.Register[editByValue](registry, "edit by value")
	a := newApp(t, registry, pagestate.Options{})
	page(a, "/edit", func(*http.Request) *Edit { return &Edit{Todo: tea, Draft: Draft{tea.Title}} })
	action(a, "/edit", func(_ *http.Request, e *Edit) (string, error) {
		e.Draft.Title += "!"
		return e.Todo.Title + " " + e.Draft.Title, nil
	})
	page(a, "/value", func(*http.Request) *editByValue { return &editByValue{Draft: *tea} })
	action(a, "/value", func(_ *http.Request, e *editByValue) (string, error) {
		e.Draft.Title += "!"
		return e.Draft.Title, nil
	})

	edit := a.browser().Get("/edit")
	edit = wantBody(t, call(edit, "/edit"), "tea tea!")
	wantBody(t, call(edit, "/edit"), "tea tea!!")
	testkit.Want(t, "warnings", strings.Count(a.log.String(), "level=WARN"), 0)

	value := a.browser().Get("/value")
	value = wantBody(t, call(value, "/value"), "tea!")
	testkit.Want(t, "warnings", strings.Count(a.log.String(), "level=WARN"), 1)
	testkit.WantText(t, "log", a.log.String(), "held by value", `component="edit by value"`, "field=Draft")
	wantBody(t, call(value, "/value"), "tea!")
}
