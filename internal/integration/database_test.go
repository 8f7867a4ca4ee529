package integration_test

// The database of these tests: what an application keeps in one, and how it
// asks for it. Every statement that reaches SQLite is noted.

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"iter"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"modernc.org/sqlite"

	"github.com/pagestate/pagestate/internal/testkit"
)

// Todo is a row.
type Todo struct {
	ID    int64
	List  int64
	Title string
}

// AUTOINCREMENT keeps the key of a deleted row from being given to another.
const schema = `
CREATE TABLE list (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, text TEXT NOT NULL DEFAULT '');
CREATE TABLE member (list INTEGER NOT NULL, user TEXT NOT NULL);
CREATE TABLE todo (id INTEGER PRIMARY KEY AUTOINCREMENT, list INTEGER NOT NULL, title TEXT NOT NULL);`

// store is the part of an application that knows the database.
type store struct {
	db *sql.DB
}

// fetch returns those of the todos that the visitor may see.
func (s *store) fetch(ctx context.Context, ids []int64) ([]*Todo, error) {
	keys, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.QueryContext(ctx, `
		SELECT id, list, title FROM todo JOIN member USING (list)
		WHERE id IN (SELECT value FROM json_each(?)) AND user = ?`, string(keys), userOf(ctx))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var todos []*Todo
	for rows.Next() {
		var t Todo
		if err := rows.Scan(&t.ID, &t.List, &t.Title); err != nil {
			return nil, err
		}
		todos = append(todos, &t)
	}
	return todos, rows.Err()
}

// todosOf reads the todos of a list row by row.
func (s *store) todosOf(ctx context.Context, list int64) iter.Seq2[Todo, error] {
	return func(yield func(Todo, error) bool) {
		rows, err := s.db.QueryContext(ctx, `SELECT id, list, title FROM todo WHERE list = ? ORDER BY id`, list)
		if err != nil {
			yield(Todo{}, err)
			return
		}
		defer rows.Close() // also when the loop stops early
		for rows.Next() {
			var t Todo
			err := rows.Scan(&t.ID, &t.List, &t.Title)
			if !yield(t, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Todo{}, err)
		}
	}
}

// database is a store with what tests want to do to it and know of it.
type database struct {
	store
	t     *testing.T
	file  string
	noted *statements
}

func newDatabase(t *testing.T) *database {
	t.Helper()
	d := &database{t: t, file: filepath.Join(t.TempDir(), "test.db"), noted: new(statements)}
	connector, err := sqlite.NewConnector(d.file + "?_pragma=synchronous(off)") // nobody pulls the plug
	if err != nil {
		t.Fatal(err)
	}
	d.db = sql.OpenDB(notingConnector{connector, d.noted})
	t.Cleanup(func() { d.db.Close() })
	d.exec(schema)
	return d
}

func (d *database) exec(statement string, args ...any) (id int64) {
	d.t.Helper()
	result, err := d.db.Exec(statement, args...)
	if err != nil {
		d.t.Fatal(err)
	}
	id, err = result.LastInsertId()
	if err != nil {
		d.t.Fatal(err)
	}
	return id
}

// newList returns a list that ada may see.
func (d *database) newList(title string) (id int64) {
	d.t.Helper()
	id = d.exec(`INSERT INTO list (title) VALUES (?)`, title)
	d.exec(`INSERT INTO member VALUES (?, 'ada')`, id)
	return id
}

func (d *database) newTodo(list int64, title string) *Todo {
	d.t.Helper()
	return &Todo{d.exec(`INSERT INTO todo (list, title) VALUES (?, ?)`, list, title), list, title}
}

func (d *database) delete(t *Todo) {
	d.t.Helper()
	d.exec(`DELETE FROM todo WHERE id = ?`, t.ID)
}

// selects returns how many SELECTs have reached SQLite since it was last asked.
func (d *database) selects() int {
	n := 0
	for _, statement := range d.noted.take() {
		if strings.HasPrefix(strings.TrimSpace(statement), "SELECT") {
			n++
		}
	}
	return n
}

// wantClosed fails if a connection was not given back.
func (d *database) wantClosed() {
	d.t.Helper()
	testkit.Want(d.t, "connections in use", d.db.Stats().InUse, 0)
}

// statements are those that were run. Safe for concurrent use.
type statements struct {
	mu  sync.Mutex
	all []string
}

func (s *statements) note(statement string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, statement)
}

func (s *statements) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.all
	s.all = nil
	return taken
}

// notingConnector notes the statements of its connections.
type notingConnector struct {
	driver.Connector
	noted *statements
}

func (c notingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return notingConn{conn.(sqliteConn), c.noted}, nil
}

// sqliteConn is what database/sql asks the connections of SQLite for.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

type notingConn struct {
	sqliteConn
	noted *statements
}

func (c notingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.noted.note(query)
	return c.sqliteConn.QueryContext(ctx, query, args)
}

func (c notingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.noted.note(query)
	return c.sqliteConn.PrepareContext(ctx, query)
}
