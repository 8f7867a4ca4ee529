package integration_test

// What not to save: a decision in an old token is old authority.

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/pagestate/pagestate"
)

// Editor saves which list is edited. Whether the visitor may is found out anew
// each time, and never taken from a token.
type Editor struct {
	pagestate.Component
	List    int64
	MayEdit bool `state:"-"`
}

func (s *store) loadEditor(ctx context.Context, e *Editor) error {
	return s.db.QueryRowContext(ctx,
		`SELECT EXISTS (SELECT 1 FROM member WHERE list = ? AND user = ?)`, e.List, userOf(ctx)).Scan(&e.MayEdit)
}

func TestDecisionIsMadeAnew(t *testing.T) {
	d := newDatabase(t)
	list := d.newList("home")
	registry := pagestate.NewRegistry()
	pagestate.Register[Editor](registry, "editor", pagestate.LoadWith(d.loadEditor))
	a := newApp(t, registry, pagestate.Options{})
	page(a, "/", func(*http.Request) *Editor { return &Editor{List: list, MayEdit: true} })
	action(a, "/", func(_ *http.Request, e *Editor) (string, error) { return fmt.Sprint(e.MayEdit), nil })
	editor := a.browser().Get("/")
	wantBody(t, call(editor, "/"), "true")
	d.exec(`DELETE FROM member`)
	wantBody(t, call(editor, "/"), "false")
}
