package integration_test

// Children: components inside another one, resumed with what it gives them.

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

// Search is what somebody looks for.
type Search struct {
	pagestate.Component
	Word string
}

// Results are a child of a Search.
type Results struct {
	pagestate.Component
	Word  string // given by the search
	Long  bool   // a choice of its own
	Found []*Todo
}

// searchView holds pointers, so that the methods of Component work.
type searchView struct {
	*Search
	Results *Results
}

func (s *store) find(ctx context.Context, r *Results) error {
	var ids []int64
	rows, err := s.db.QueryContext(ctx, `SELECT id FROM todo WHERE instr(title, ?) ORDER BY id`, r.Word)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	r.Found, err = s.fetch(ctx, ids)
	return err
}

var searchPage = template.Must(template.New("").Parse(`<form method="post" action="/search">
	{{.StateField}}{{.Results.StateField}}
	<input name="word" value="{{.Word}}"><button>Search</button>
</form>
<ul>{{range .Results.Found}}<li>{{.Title}}</li>{{end}}</ul>`))

func showSearch(w http.ResponseWriter, r *http.Request) error {
	s := &Search{}
	if err := pagestate.Attach(r.Context(), s); err != nil {
		return err
	}
	results := &Results{}
	if err := pagestate.Attach(r.Context(), results, pagestate.Under(s, "results")); err != nil {
		return err
	}
	return render(w, searchPage, searchView{s, results})
}

func search(w http.ResponseWriter, r *http.Request, s *Search) error {
	s.Word = r.FormValue("word")
	results, err := pagestate.Child(r.Context(), s, "results", func(c *Results) { c.Word = s.Word })
	if err != nil {
		return err
	}
	return render(w, searchPage, searchView{s, results})
}

// render writes a page when all of it is there: of one that cannot be rendered
// nothing is seen, and its changes are not sealed.
func render(w http.ResponseWriter, page *template.Template, data any) error {
	var b bytes.Buffer
	if err := page.Execute(&b, data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err := b.WriteTo(w)
	return err
}

// shownRows leaves out the children whose rows are gone, as the page is not.
func shownRows(ctx context.Context, s *Selection, keys []string) ([]*Row, error) {
	var rows []*Row
	for _, key := range keys {
		row, err := pagestate.Child[Row](ctx, s, key, nil)
		if errors.Is(err, pagestate.ErrStale) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func newSearchApp(t *testing.T, d *database) *app {
	registry := pagestate.NewRegistry()
	registerTodos(registry, &d.store)
	pagestate.Register[Search](registry, "search")
	pagestate.Register[Results](registry, "results", pagestate.LoadWith(d.find))
	a := newApp(t, registry, pagestate.Options{})
	a.mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		if err := showSearch(w, r); err != nil {
			pagestate.WriteError(w, r, err)
		}
	})
	a.mux.Handle("POST /search", pagestate.Handle(search))
	action(a, "/long", func(_ *http.Request, r *Results) (string, error) {
		r.Long = true
		return titles(r.Found), nil
	})
	return a
}

// searchFor sends the form of a search page.
func searchFor(p pagestatetest.Page, word string) pagestatetest.Page {
	return p.Form("/search").Fill("word", word).Submit()
}

// searchWith sends such a form with other tokens.
func searchWith(t *testing.T, b *pagestatetest.Browser, word string, tokens ...string) pagestatetest.Page {
	t.Helper()
	return submit(t, b, "/search", url.Values{"word": {word}, "page_state": tokens})
}

func TestChildIsResumedWithNewArguments(t *testing.T) {
	d := newDatabase(t)
	list := d.newList("home")
	for _, title := range []string{"green tea", "milk", "black tea"} {
		d.newTodo(list, title)
	}
	ada := newSearchApp(t, d).browser()
	page := ada.Get("/")
	testkit.Want(t, "tokens in the page", len(page.Tokens), 2)

	page = searchFor(page, "tea")
	testkit.WantText(t, "page", page.Text, `value="tea"`, `<ul><li>green tea</li><li>black tea</li></ul>`)
	results := wantBody(t, call(ada.Page(page.Tokens[1]), "/long"), "[green tea black tea]")
	page = searchWith(t, ada, "milk", page.Tokens[0], results.Tokens[0])
	testkit.WantText(t, "page", page.Text, `<ul><li>milk</li></ul>`)
}

func TestChildTokens(t *testing.T) {
	d := newDatabase(t)
	a := newSearchApp(t, d)
	ada, bob := a.browser(), a.browser()
	bob.Header.Set("User", "bob")
	page := ada.Get("/")
	own, other, foreign := page.Tokens, ada.Get("/").Tokens, bob.Get("/").Tokens
	moved := searchFor(page, "tea").Tokens
	tests := []struct {
		name   string
		tokens []string
		want   error
	}{
		{"its own", own, nil},
		{"none", own[:1], pagestate.ErrMissing},
		{"that of another page of the same browser", []string{own[0], other[1]}, pagestate.ErrMissing},
		{"that of another visitor, and its own", []string{own[0], foreign[1], own[1]}, nil},
		{"something else, and its own", []string{own[0], "no token", own[1]}, nil},
		{"two revisions of it", []string{own[0], own[1], moved[1]}, pagestate.ErrInvalid},
		{"the child first", []string{own[1], own[0]}, pagestate.ErrInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			res := searchWith(t, ada, "tea", test.tokens...)
			if test.want != nil {
				pagestatetest.Refused(t, res.Response, test.want)
				return
			}
			wantStatus(t, res, http.StatusOK)
		})
	}
}

func TestChildThatIsGoneLeavesThePageAlone(t *testing.T) {
	d := newDatabase(t)
	list := d.newList("home")
	tea, milk := d.newTodo(list, "tea"), d.newTodo(list, "milk")
	a := newTodoApp(t, d, nil)
	a.mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		tokens, err := attachWithRows(r.Context(), &Selection{}, []*Todo{tea, milk})
		if err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		w.Write([]byte(strings.Join(tokens, "\n")))
	})
	action(a, "/", func(r *http.Request, s *Selection) (string, error) {
		rows, err := shownRows(r.Context(), s, []string{"0", "1"})
		if err != nil {
			return "", err
		}
		var todos []*Todo
		for _, row := range rows {
			todos = append(todos, row.Todo)
		}
		return titles(todos), nil
	})
	selection := a.browser().Get("/")
	wantBody(t, call(selection, "/"), "[tea milk]")
	d.delete(tea)
	wantBody(t, call(selection, "/"), "[milk]")
}

func TestChildOfAChild(t *testing.T) {
	d := newDatabase(t)
	list := d.newList("home")
	todos := []*Todo{d.newTodo(list, "tea"), d.newTodo(list, "milk"), d.newTodo(list, "bread")}
	a := newTodoApp(t, d, nil)
	a.mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		var above *Row
		for _, todo := range todos {
			row := &Row{Todo: todo}
			var under []pagestate.AttachOption
			if above != nil {
				under = append(under, pagestate.Under(above, "below"))
			}
			if err := pagestate.Attach(r.Context(), row, under...); err != nil {
				t.Error(err)
			}
			token, err := row.StateToken()
			if err != nil {
				t.Error(err)
			}
			io.WriteString(w, token+"\n")
			above = row
		}
	})
	action(a, "/", func(r *http.Request, row *Row) (string, error) {
		child, err := pagestate.Child[Row](r.Context(), row, "below", nil)
		if err != nil {
			return "", err
		}
		grandchild, err := pagestate.Child[Row](r.Context(), child, "below", nil)
		if err != nil {
			return "", err
		}
		return titles([]*Todo{row.Todo, child.Todo, grandchild.Todo}), nil
	})
	ada := a.browser()
	page := ada.Get("/")
	first, second, third := page.Tokens[0], page.Tokens[1], page.Tokens[2]
	wantBody(t, call(page, "/"), "[tea milk bread]")
	wantBody(t, call(ada.Page(first, third, second), "/"), "[tea milk bread]")
	wantRefused(t, call(ada.Page(first, third), "/"), pagestate.ErrMissing)
	wantRefused(t, call(ada.Page(second, third), "/"), pagestate.ErrMissing)
}
