package integration_test

// What the browsers see when the row behind a component is gone.

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

// TestTwoBrowsers: one deletes the row, and the other acts on it.
func TestTwoBrowsers(t *testing.T) {
	d := newDatabase(t)
	list := d.newList("home")
	d.exec(`INSERT INTO sqlite_sequence VALUES ('todo', 73450110)`)
	tea, milk := d.newTodo(list, "tea"), d.newTodo(list, "milk")
	a := newTodoApp(t, d, tea)
	page(a, "/other", func(*http.Request) *Row { return &Row{Todo: milk} })
	first, second := a.browser(), a.browser()

	gone, there := first.Get("/row"), first.Get("/other")
	wantStatus(t, call(second.Get("/row"), "/delete"), http.StatusOK)

	wantRefused(t, call(gone, "/edit"), pagestate.ErrStale)
	wantBody(t, call(there, "/edit"), "milk")
	testkit.WantText(t, "log", a.log.String(), "code=StaleComponentState", `row`, `todo`)
	if key := fmt.Sprint(tea.ID); key != "73450111" || strings.Contains(a.log.String(), key) {
		t.Errorf("the key %s is in the log: %s", key, a.log)
	}
}

// TestStaleAnswers has every kind of client told.
func TestStaleAnswers(t *testing.T) {
	d := newDatabase(t)
	todo := d.newTodo(d.newList("home"), "tea")
	a := newTodoApp(t, d, todo)
	ada, htmx := a.browser(), a.browser()
	htmx.Header.Set("HX-Request", "true")
	row, htmxRow := ada.Get("/row"), htmx.Get("/row")
	d.delete(todo)

	tests := []struct {
		name  string
		res   pagestatetest.Page
		media string
		htmx  bool
	}{
		{"a script", call(row, "/row"), "application/json", false},
		{"htmx", call(htmxRow, "/row"), "application/json", true},
		{"a plain form", submit(t, ada, "/row", url.Values{"page_state": row.Tokens}), "text/html; charset=utf-8", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			res := wantStatus(t, test.res, http.StatusGone)
			testkit.Want(t, "media type", res.Header.Get("Content-Type"), test.media)
			testkit.Want(t, "caching", res.Header.Get("Cache-Control"), "no-store")
			testkit.WantText(t, "body", res.Text, "StaleComponentState", "What you were working on no longer exists.")
			reswap, retarget := "", ""
			if test.htmx {
				reswap, retarget = "delete", "closest [data-page-state]"
			}
			testkit.Want(t, "HX-Reswap", res.Header.Get("HX-Reswap"), reswap)
			testkit.Want(t, "HX-Retarget", res.Header.Get("HX-Retarget"), retarget)
		})
	}
}

// showGone renders what stands in the place of a component that is stale.
func showGone(w http.ResponseWriter, r *http.Request, err error) {
	var stale *pagestate.StaleError
	if !errors.As(err, &stale) || stale.Component != "row" || r.Header.Get("HX-Request") != "true" {
		pagestate.WriteError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	io.WriteString(w, `<li>Somebody has deleted this one.</li>`)
}

func TestRenderInsteadOfRemoving(t *testing.T) {
	d := newDatabase(t)
	todo := d.newTodo(d.newList("home"), "tea")
	registry := pagestate.NewRegistry()
	registerTodos(registry, &d.store)
	pagestate.Register[Row](registry, "row")
	a := newApp(t, registry, pagestate.Options{ErrorHandler: showGone})
	page(a, "/row", func(*http.Request) *Row { return &Row{Todo: todo} })
	action(a, "/row", func(_ *http.Request, r *Row) (string, error) { return r.Todo.Title, nil })
	ada := a.browser()
	row := ada.Get("/row")
	d.delete(todo)

	wantRefused(t, call(row, "/row"), pagestate.ErrStale)
	ada.Header.Set("HX-Request", "true")
	res := wantBody(t, call(row, "/row"), `<li>Somebody has deleted this one.</li>`)
	testkit.Want(t, "HX-Reswap", res.Header.Get("HX-Reswap"), "")
	testkit.Want(t, "a token", res.Header.Get("Page-State"), "")
	testkit.Want(t, "caching", res.Header.Get("Cache-Control"), "no-store")
}

// TestErrorsOfHandlers: of what a handler returns, only ErrStale is stale.
func TestErrorsOfHandlers(t *testing.T) {
	d := newDatabase(t)
	todo := d.newTodo(d.newList("home"), "tea")
	a := newTodoApp(t, d, todo)
	action(a, "/look-up", func(r *http.Request, row *Row) (string, error) {
		var title string
		err := d.db.QueryRowContext(r.Context(), `SELECT title FROM list WHERE id = 0`).Scan(&title)
		return title, err
	})
	action(a, "/stale", func(*http.Request, *Row) (string, error) { return "", pagestate.ErrStale })
	action(a, "/panic", func(*http.Request, *Row) (string, error) { panic(sql.ErrNoRows) })

	row := a.browser().Get("/row")
	wantRefused(t, call(row, "/look-up"), errOther)
	wantStatus(t, call(row, "/panic"), http.StatusTeapot)
	wantRefused(t, call(row, "/stale"), pagestate.ErrStale)
	wantBody(t, call(row, "/row"), "tea")
}

// TestUndo: a token says nothing of whether its row is there, so a row that comes
// back brings its components back.
func TestUndo(t *testing.T) {
	d := newDatabase(t)
	todo := d.newTodo(d.newList("home"), "tea")
	row := newTodoApp(t, d, todo).browser().Get("/row")
	d.delete(todo)
	wantRefused(t, call(row, "/row"), pagestate.ErrStale)
	d.exec(`INSERT INTO todo VALUES (?, ?, ?)`, todo.ID, todo.List, todo.Title)
	wantBody(t, call(row, "/row"), "tea")
}

// TestKeyThatIsGivenAgain: SQLite does so without AUTOINCREMENT, and then an old
// token means another row.
func TestKeyThatIsGivenAgain(t *testing.T) {
	tests := []struct{ name, column, want string }{
		{"without AUTOINCREMENT", `id INTEGER PRIMARY KEY`, "the next one"},
		{"with it", `id INTEGER PRIMARY KEY AUTOINCREMENT`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDatabase(t)
			d.exec(`DROP TABLE todo`)
			d.exec(`CREATE TABLE todo (` + test.column + `, list INTEGER NOT NULL, title TEXT NOT NULL)`)
			list := d.newList("home")
			todo := d.newTodo(list, "tea")
			row := newTodoApp(t, d, todo).browser().Get("/row")
			d.delete(todo)
			d.newTodo(list, "the next one")
			res := call(row, "/row")
			if test.want == "" {
				wantRefused(t, res, pagestate.ErrStale)
				return
			}
			wantBody(t, res, test.want)
		})
	}
}
