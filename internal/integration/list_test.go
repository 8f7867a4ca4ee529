package integration_test

// A list whose rows have buttons: the list acts for them. docs/lists.md shows it.

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// TodoList shows the todos of a list that have a word in them.
type TodoList struct {
	pagestate.Component
	List  int64
	Word  string
	Todos []Todo // set by the load, so it is left out of the token
}

var todoListPage = template.Must(template.New("").Parse(`<form method="post" action="/todos">{{.StateField}}
	<ul>{{range .Todos}}
		<li>{{.Title}} <button name="delete" value="{{.ID}}">Delete</button></li>{{end}}
	</ul>
</form>`))

func (s *store) showTodos(w http.ResponseWriter, r *http.Request) error {
	l, err := pagestate.FromOrAttach(r.Context(), &TodoList{List: 1, Word: r.FormValue("word")})
	if err != nil {
		return err
	}
	return render(w, todoListPage, l)
}

func (s *store) deleteTodo(w http.ResponseWriter, r *http.Request, l *TodoList) error {
	id, err := strconv.ParseInt(r.FormValue("delete"), 10, 64)
	if err != nil {
		return fmt.Errorf("%w: %w", pagestate.ErrInvalid, err)
	}
	_, err = s.db.ExecContext(r.Context(), `DELETE FROM todo WHERE id = ? AND list = ?
		AND list IN (SELECT list FROM member WHERE user = ?)`, id, l.List, userOf(r.Context()))
	if err != nil {
		return err
	}
	return pagestate.Redirect(w, r, "/todos", l)
}

// loadTodos shows a list to its members alone.
func (s *store) loadTodos(ctx context.Context, l *TodoList) error {
	rows, err := s.db.QueryContext(ctx, `SELECT id, list, title FROM todo JOIN member USING (list)
		WHERE list = ? AND user = ? AND instr(title, ?) ORDER BY id`, l.List, userOf(ctx), l.Word)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var t Todo
		if err := rows.Scan(&t.ID, &t.List, &t.Title); err != nil {
			return err
		}
		l.Todos = append(l.Todos, t)
	}
	return rows.Err()
}

func TestListActsForItsRows(t *testing.T) {
	d := newDatabase(t)
	list := d.newList("to do")
	testkit.Want(t, "list", list, 1)
	for _, title := range []string{"buy tea", "sleep", "drink tea"} {
		d.newTodo(list, title)
	}
	other := d.newTodo(d.newList("another"), "tea")
	registry := pagestate.NewRegistry()
	pagestate.Register[TodoList](registry, "todos", pagestate.LoadWith(d.loadTodos))
	a := newApp(t, registry, pagestate.Options{})
	a.mux.Handle("GET /todos", pagestate.HandlePage(d.showTodos))
	a.mux.Handle("POST /todos", pagestate.Handle(d.deleteTodo))

	first := a.browser().Get("/todos?word=tea")
	testkit.WantText(t, "filtered", first.Text, "buy tea", "drink tea")
	second := first.Form("/todos").Press("delete=3")
	testkit.WantText(t, "after the redirect", second.Text, "buy tea")
	testkit.Want(t, "still filtered", len(second.Form("/todos").Press("delete=1").Tokens), 1)

	sent := second.Call("POST", "/todos", map[string][]string{"delete": {fmt.Sprint(other.ID)}})
	testkit.Want(t, "status", sent.StatusCode, 200)
	var left int
	if err := d.db.QueryRow(`SELECT count(*) FROM todo`).Scan(&left); err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "todos that are left: sleep, and that of another list", left, 2)
	wantRefused(t, second.Call("POST", "/todos", map[string][]string{"delete": {"x"}}), pagestate.ErrInvalid)
}
