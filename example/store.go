package main

// This file holds the tasks: the one table of the board, and every statement
// that reads or changes it. It knows nothing of pages.

import (
	"context"
	"database/sql"
	"encoding/json"
	"iter"
	"net/url"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite"
)

// Task is a row. A card of the page shows one, and saves only its key.
type Task struct {
	ID      int64
	List    string
	Title   string
	Label   string
	Author  string
	Created time.Time
}

// Ask is what a list asks for: the arguments of its query.
type Ask struct {
	List   string
	Filter Filter
	Oldest bool // first, and not the newest
}

// Filter narrows what the lists show. Its zero value shows everything.
type Filter struct {
	Text  string `state:"find,public"`
	Label string `state:"only,public"`
}

// store is safe for concurrent use, as its database is.
type store struct{ db *sql.DB }

// Keys must never be given again: an old token would act on the new row. That
// is what AUTOINCREMENT is for.
const schema = `
CREATE TABLE IF NOT EXISTS task (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	list    TEXT NOT NULL,
	title   TEXT NOT NULL,
	label   TEXT NOT NULL,
	author  TEXT NOT NULL,
	created INTEGER NOT NULL -- microseconds since 1970
)`

func openStore(file string) (*store, error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	uri := url.URL{
		Scheme:   "file",
		Path:     filepath.ToSlash(path),
		RawQuery: "_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)",
	}
	db, err := sql.Open("sqlite", uri.String())
	if err != nil {
		return nil, err
	}
	s := &store{db}
	if err := s.prepare(context.Background()); err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

// prepare fills a new database, and leaves one that has tasks as it is.
func (s *store) prepare(ctx context.Context) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, schema); err != nil {
		return err
	}
	var used bool
	if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM task)`).Scan(&used); err != nil {
		return err
	}
	if !used {
		if err := fill(ctx, tx); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func fill(ctx context.Context, tx *sql.Tx) error {
	for i, t := range firstTasks {
		age := time.Duration(len(firstTasks)-i) * 7 * time.Hour
		if _, err := tx.ExecContext(ctx, insert, t.List, t.Title, t.Label, t.Author, time.Now().Add(-age).UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}

const insert = `INSERT INTO task (list, title, label, author, created) VALUES (?, ?, ?, ?, ?)`

func (s *store) add(ctx context.Context, t Task) (id int64, err error) {
	result, err := s.db.ExecContext(ctx, insert, t.List, t.Title, t.Label, t.Author, time.Now().UnixMicro())
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// rename, move and remove report whether there was such a task, for rename with that
// title.
func (s *store) rename(ctx context.Context, id int64, from, to string) (bool, error) {
	return s.change(ctx, `UPDATE task SET title = ? WHERE id = ? AND title = ?`, to, id, from)
}

func (s *store) move(ctx context.Context, id int64, list string) (bool, error) {
	return s.change(ctx, `UPDATE task SET list = ? WHERE id = ?`, list, id)
}

func (s *store) remove(ctx context.Context, id int64) (bool, error) {
	return s.change(ctx, `DELETE FROM task WHERE id = ?`, id)
}

func (s *store) change(ctx context.Context, statement string, args ...any) (bool, error) {
	result, err := s.db.ExecContext(ctx, statement, args...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

const columns = `SELECT id, list, title, label, author, created FROM task `

// fetch brings back the tasks that a state refers to, all at once.
func (s *store) fetch(ctx context.Context, ids []int64) ([]*Task, error) {
	keys, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	var tasks []*Task
	for t, err := range s.read(ctx, columns+`WHERE id IN (SELECT value FROM json_each(?))`, string(keys)) {
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, t)
	}
	return tasks, nil
}

// find is the query of a list. It gives a row at a time, so a list that has
// enough of them stops it.
func (s *store) find(ctx context.Context, a Ask) iter.Seq2[*Task, error] {
	order := ` ORDER BY id DESC`
	if a.Oldest {
		order = ` ORDER BY id`
	}
	return s.read(ctx, columns+`
		WHERE list = ? AND (? = '' OR label = ?) AND instr(lower(title), lower(?)) > 0`+order,
		a.List, a.Filter.Label, a.Filter.Label, a.Filter.Text)
}

func (s *store) read(ctx context.Context, query string, args ...any) iter.Seq2[*Task, error] {
	return func(yield func(*Task, error) bool) {
		rows, err := s.db.QueryContext(ctx, query, args...)
		if err != nil {
			yield(nil, err)
			return
		}
		defer rows.Close() // also when the loop stops early
		for rows.Next() {
			t, err := scan(rows)
			if !yield(t, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, err)
		}
	}
}

func scan(rows *sql.Rows) (*Task, error) {
	var t Task
	var created int64
	err := rows.Scan(&t.ID, &t.List, &t.Title, &t.Label, &t.Author, &created)
	t.Created = time.UnixMicro(created)
	return &t, err
}

var labels = []string{"Food", "Music", "Street", "Paper"}

// firstTasks are what a new board shows, the oldest first.
var firstTasks = []Task{
	{List: "done", Title: "Pick a Saturday everybody can make", Label: "Paper", Author: "Ada"},
	{List: "done", Title: "Ask the council to close the street", Label: "Paper", Author: "Grace"},
	{List: "done", Title: "Tell number 12 about the drums", Label: "Music", Author: "Ada"},
	{List: "done", Title: "Count the neighbours: 84, and two dogs", Label: "Street", Author: "Grace"},
	{List: "done", Title: "Book the brass band", Label: "Music", Author: "Grace"},
	{List: "todo", Title: "Chalk for the children", Label: "Street", Author: "Ada"},
	{List: "todo", Title: "Rain plan: who has a large garage?", Label: "Street", Author: "Grace"},
	{List: "todo", Title: "Labels for the lost and found box", Label: "Paper", Author: "Ada"},
	{List: "doing", Title: "Borrow four long tables", Label: "Street", Author: "Grace"},
	{List: "todo", Title: "Order 80 rolls from the bakery", Label: "Food", Author: "Ada"},
	{List: "doing", Title: "Draw the poster", Label: "Paper", Author: "Ada"},
	{List: "todo", Title: "Find a long cable for the stage", Label: "Music", Author: "Grace"},
	{List: "doing", Title: "Collect songs for the last hour", Label: "Music", Author: "Grace"},
	{List: "todo", Title: "Lemonade: ask Mr. Okafor for his recipe", Label: "Food", Author: "Ada"},
}
