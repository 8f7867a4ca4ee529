package integration_test

// Load over a database: what it fills is not in the token, and what its errors
// mean to the page.

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"modernc.org/sqlite"
)

// List is a list with its text, of which the page saves the number.
type List struct {
	pagestate.Component
	ID    int64
	Title string // left out of the token, as Text: loadList sets them
	Text  string
}

// loadList lets members alone see a list.
func (s *store) loadList(ctx context.Context, l *List) error {
	var member bool
	err := s.db.QueryRowContext(ctx, `
		SELECT title, text, EXISTS (SELECT 1 FROM member WHERE list = id AND user = ?)
		FROM list WHERE id = ?`, userOf(ctx), l.ID).Scan(&l.Title, &l.Text, &member)
	if err == nil && !member {
		return pagestate.ErrForbidden
	}
	return err
}

// patiently waits a moment for the database, and says when it did not answer.
func (s *store) patiently(load func(context.Context, *List) error) func(context.Context, *List) error {
	return func(ctx context.Context, l *List) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		err := load(ctx, l)
		var refused *sqlite.Error
		if errors.As(err, &refused) && refused.Code()&0xff == busy {
			return fmt.Errorf("%w: %w", pagestate.ErrUnavailable, err)
		}
		return err
	}
}

const (
	busy     = 5 // SQLITE_BUSY
	patience = time.Second
)

func newListApp(t *testing.T, d *database, list int64) *app {
	registry := pagestate.NewRegistry()
	pagestate.Register[List](registry, "list", pagestate.LoadWith(d.patiently(d.loadList)))
	a := newApp(t, registry, pagestate.Options{})
	page(a, "/", func(*http.Request) *List { return &List{ID: list} })
	action(a, "/", func(_ *http.Request, l *List) (string, error) { return fmt.Sprint(l.Title, len(l.Text)), nil })
	return a
}

func TestMegabyteThatIsLoaded(t *testing.T) {
	d := newDatabase(t)
	list := d.newList("home")
	ada := newListApp(t, d, list).browser()
	small := ada.Get("/")
	d.exec(`UPDATE list SET text = ?`, strings.Repeat("x", 1<<20))
	large := ada.Get("/")
	testkit.Want(t, "length", len(large.Text), len(small.Text))
	wantBody(t, call(large, "/"), fmt.Sprint("home", 1<<20))
	wantBody(t, call(small, "/"), fmt.Sprint("home", 1<<20))
}

func TestErrorsOfLoad(t *testing.T) {
	tests := []struct {
		name   string
		happen func(d *database) (undo func())
		want   error
	}{
		{"the row is gone", moveAway, pagestate.ErrStale},
		{"no member any more", expel, pagestate.ErrForbidden},
		{"the database is locked", lock, pagestate.ErrUnavailable},
		{"the query takes too long", slowDown, pagestate.ErrUnavailable},
		{"the table is missing", dropTable, errOther},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDatabase(t)
			list := newListApp(t, d, d.newList("home")).browser().Get("/")
			undo := test.happen(d)
			wantRefused(t, call(list, "/"), test.want)
			d.wantClosed()
			undo()
			wantBody(t, call(list, "/"), "home0")
		})
	}
}

func moveAway(d *database) func() {
	d.exec(`UPDATE list SET id = -id`)
	return func() { d.exec(`UPDATE list SET id = -id`) }
}

func expel(d *database) func() {
	d.exec(`UPDATE member SET user = 'bob'`)
	return func() { d.exec(`UPDATE member SET user = 'ada'`) }
}

// lock has another program hold the database.
func lock(d *database) func() {
	other, err := sql.Open("sqlite", d.file)
	if err != nil {
		d.t.Fatal(err)
	}
	other.SetMaxOpenConns(1)
	if _, err := other.Exec(`BEGIN EXCLUSIVE`); err != nil {
		d.t.Fatal(err)
	}
	return func() { other.Close() }
}

// slowDown puts a query without an end in the place of the table.
func slowDown(d *database) func() {
	d.exec(`ALTER TABLE list RENAME TO kept`)
	d.exec(`CREATE VIEW list AS
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
		SELECT id, title, text FROM kept WHERE (SELECT max(i) FROM n) > 0`)
	return func() {
		d.exec(`DROP VIEW list`)
		d.exec(`ALTER TABLE kept RENAME TO list`)
	}
}

func dropTable(d *database) func() {
	d.exec(`ALTER TABLE list RENAME TO kept`)
	return func() { d.exec(`ALTER TABLE kept RENAME TO list`) }
}
