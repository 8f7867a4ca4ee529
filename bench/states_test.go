package bench_test

// This file holds the states that are measured: what is in them, and how a
// handler changes one. They are plain types, which every library here can save
// as they are.

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
)

// small is the state of a list's heading: what it shows, and in which order.
type small struct {
	_      struct{} `cbor:",toarray"`
	Count  int
	Open   bool
	Done   bool
	Filter string
	Sort   string
	Query  string
}

// medium is a list that is being edited.
type medium struct {
	_      struct{} `cbor:",toarray"`
	Items  []item
	Counts map[string]int
}

type item struct {
	_    struct{} `cbor:",toarray"`
	ID   int
	Text string
	Done bool
	Due  time.Time
}

// large is a table that should have been rows of a database.
type large struct {
	_    struct{} `cbor:",toarray"`
	Rows []row
}

type row struct {
	_      struct{} `cbor:",toarray"`
	ID     int64
	Name   string
	Email  string
	Role   string
	Score  float64
	Active bool
	Tags   []string
	Seen   time.Time
}

// references is that table with its rows in a database.
type references struct {
	Filter string
	Page   int
	Rows   []*record
	Owner  *record
}

// record is a row of the database.
type record struct {
	ID   int64
	Data row
}

func newSmall() *small {
	return &small{Count: 41, Open: true, Filter: "unread", Sort: "created", Query: "invoice 2031"}
}

func newMedium() *medium {
	m := &medium{Counts: map[string]int{"open": 13, "done": 7, "late": 2, "mine": 5, "all": 20}}
	for i := range 20 {
		m.Items = append(m.Items, item{
			ID:   1000 + i*7,
			Text: fmt.Sprintf("Call number %d back", i),
			Done: i%3 == 0,
			Due:  moment(i),
		})
	}
	return m
}

func newLarge(rows int) *large {
	l := new(large)
	for i := range rows {
		l.Rows = append(l.Rows, newRow(i))
	}
	return l
}

func newRow(i int) row {
	return row{
		ID:     int64(100_000 + i*13),
		Name:   fmt.Sprintf("Robin Fischer %d", i),
		Email:  fmt.Sprintf("robin.%d@example.org", i),
		Role:   []string{"reader", "editor", "owner"}[i%3],
		Score:  float64(i) * 1.37,
		Active: i%2 == 0,
		Tags:   []string{"north", "spring", "retail"}[:1+i%3],
		Seen:   moment(i),
	}
}

// moment is a time with nanoseconds, as time.Now gives.
func moment(i int) time.Time {
	return time.Date(2026, 5, 1, 8, 0, 0, 123_456_789, time.UTC).Add(time.Duration(i) * 1_234_567_891_011)
}

func newReferences(rows int) *references {
	r := &references{Filter: "unread", Page: 3, Owner: table[1]}
	for i := range rows {
		r.Rows = append(r.Rows, table[int64(i+1)])
	}
	return r
}

// table stands for a database that answers at once, so that what is measured is
// not the database.
var table = func() map[int64]*record {
	t := make(map[int64]*record)
	for i := range 1000 {
		t[int64(i+1)] = &record{int64(i + 1), newRow(i)}
	}
	return t
}()

func fetch(_ context.Context, ids []int64) ([]*record, error) {
	rows := make([]*record, 0, len(ids))
	for _, id := range ids {
		if r := table[id]; r != nil {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// newRegistry registers all states.
func newRegistry(opts ...pagestate.ComponentOption) *pagestate.Registry {
	r := pagestate.NewRegistry()
	pagestate.Register[small](r, "small", opts...)
	pagestate.Register[medium](r, "medium", opts...)
	pagestate.Register[large](r, "large", opts...)
	pagestate.Register[references](r, "references", opts...)
	pagestate.Register[signup](r, "signup", opts...)
	pagestate.RegisterModel(r, "record", pagestate.Model[int64, record]{
		Key:   func(r *record) int64 { return r.ID },
		Fetch: fetch,
	})
	return r
}

// largeRows make about 100 KB of JSON, and pageRows are what a page shows.
const (
	largeRows = 560
	pageRows  = 100
)

// TestStates keeps the sizes that the tables are about.
func TestStates(t *testing.T) {
	tests := []struct {
		name     string
		state    any
		from, to int // in bytes of JSON
	}{
		{"small", newSmall(), 80, 120},
		{"medium", newMedium(), 1800, 2200},
		{"large", newLarge(largeRows), 95_000, 110_000},
	}
	for _, tt := range tests {
		text, err := json.Marshal(tt.state)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) < tt.from || len(text) > tt.to {
			t.Errorf("%s has %d bytes of JSON, want %d to %d", tt.name, len(text), tt.from, tt.to)
		}
	}
}
