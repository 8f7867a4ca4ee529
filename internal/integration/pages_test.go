package integration_test

// A handler that changes an argument of load, and loads again.

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// Pages show two todos at a time.
type Pages struct {
	pagestate.Component
	List  int64
	Page  int
	Todos []Todo `state:"-"`
}

func (s *store) nextPage(r *http.Request, p *Pages) (string, error) {
	p.Page++
	err := s.loadPage(r.Context(), p)
	return fmt.Sprint(p.Todos), err
}

func (s *store) loadPage(ctx context.Context, p *Pages) error {
	p.Todos = nil
	n := 0
	for todo, err := range s.todosOf(ctx, p.List) {
		if err != nil {
			return err
		}
		if n/2 == p.Page {
			p.Todos = append(p.Todos, todo)
		}
		n++
	}
	return nil
}

func TestHandlerThatLoadsAgain(t *testing.T) {
	d := newDatabase(t)
	s := &store{d.db}
	list := d.newList("to do")
	for _, title := range []string{"one", "two", "three"} {
		d.newTodo(list, title)
	}
	registry := pagestate.NewRegistry()
	pagestate.Register[Pages](registry, "pages", pagestate.LoadWith(s.loadPage))
	a := newApp(t, registry, pagestate.Options{})
	page(a, "/pages", func(*http.Request) *Pages { return &Pages{List: list} })
	action(a, "/next", s.nextPage)
	action(a, "/show", func(_ *http.Request, p *Pages) (string, error) { return fmt.Sprint(p.Todos), nil })

	first := a.browser().Get("/pages")
	next := call(first, "/next")
	testkit.Want(t, "another page", next.Text != call(first, "/show").Text, true)
	testkit.Want(t, "the same when it is resumed", call(next, "/show").Text, next.Text)
	testkit.Want(t, "warnings", strings.Contains(a.log.String(), "WARN"), false)
}
