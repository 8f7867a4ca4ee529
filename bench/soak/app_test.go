package soak_test

// This file holds the application under load: its components, its rows, and the
// handlers, which answer each state as JSON. What the states must be is in
// oracle_test.go, which changes copies of its own by the same methods.

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pagestate/pagestate"
)

// A counter has a list that grows until its token is too large for a header, and
// then starts again.
type counter struct {
	pagestate.Component
	Browser int
	Count   int
	Lines   []string
	Letters map[string]int
	Digest  []byte // of every change there was
}

const mostLines = 40

// newCounter has a list of any length, so that states are as large in the first
// minute as in the last.
func newCounter(browser, x int) counter {
	c := counter{Browser: browser}
	for i := range x % mostLines {
		c.change(x + i)
	}
	return c
}

// change replaces what it changes, as a copy of c may have the same.
func (c *counter) change(x int) {
	c.Count++
	letter := string(rune('a' + x%26))
	line := fmt.Sprintf("%d %s", x, strings.Repeat(letter, x%100))
	if len(c.Lines) == mostLines {
		c.Lines = nil
	}
	c.Lines = append(slices.Clone(c.Lines), line)
	c.Letters = maps.Clone(c.Letters)
	if c.Letters == nil {
		c.Letters = make(map[string]int)
	}
	c.Letters[letter] = x
	sum := sha256.Sum256([]byte(string(c.Digest) + line))
	c.Digest = sum[:]
}

// A selection refers to a row, which is fetched.
type selection struct {
	pagestate.Component
	Browser int
	Picks   int
	Row     *row
}

func (s *selection) change(x int) { s.Picks += x }

// A board has one card.
type board struct {
	pagestate.Component
	Browser int
	Total   int
}

func (b *board) change(x int) { b.Total += x }

// A card is the child of a board, and loads what it shows.
type card struct {
	pagestate.Component
	Browser int
	Points  int
	Base    int // what the board gives it
	Shown   int // left out of the token: load sets it
}

func newCard(browser int) card { return card{Browser: browser, Base: 1, Shown: shown(1)} }

func (c *card) change(x int) { c.Points += x }

func shown(base int) int { return 2*base + 1 }

func loadCard(_ context.Context, c *card) error {
	c.Shown = shown(c.Base)
	return nil
}

// A row of the store belongs to one browser.
type row struct {
	ID      int64
	Browser int
	Version int64 `json:"-"` // no state has it: it is as it was when it was fetched
}

// store is a database of rows, which all servers share.
type store struct {
	mu   sync.Mutex
	last int64
	rows map[int64]row
}

func newStore() *store { return &store{rows: make(map[int64]row)} }

func (s *store) insert(browser int) row {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	r := row{ID: s.last, Browser: browser}
	s.rows[r.ID] = r
	return r
}

func (s *store) get(id int64) (row, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.rows[id]
	return r, ok
}

func (s *store) fetch(_ context.Context, ids []int64) ([]*row, error) {
	var rows []*row
	for _, id := range ids {
		if r, ok := s.get(id); ok {
			rows = append(rows, &r)
		}
	}
	return rows, nil
}

func (s *store) update(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.rows[id]; ok {
		r.Version++
		s.rows[id] = r
	}
}

func (s *store) delete(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows, id)
}

func newRegistry(s *store) *pagestate.Registry {
	r := pagestate.NewRegistry()
	pagestate.Register[counter](r, "counter")
	pagestate.Register[selection](r, "selection")
	pagestate.Register[board](r, "board")
	pagestate.Register[card](r, "card", pagestate.LoadWith(loadCard))
	pagestate.RegisterModel(r, "row", pagestate.Model[int64, row]{
		Key:   func(r *row) int64 { return r.ID },
		Fetch: s.fetch,
	})
	return r
}

// A part of an answer is one component of the page.
type part struct {
	State   json.RawMessage
	Token   string // empty unless the request asked for it
	Version int64  // of the row of a selection
}

// newRoutes returns the handlers. A request names what it does with the path,
// and how it ends with the parameter end: see endings and reply.
func newRoutes(s *store) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, r *http.Request) { showPage(s, w, r) })
	mux.Handle("/counter/{do}", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
		if r.PathValue("do") == "change" {
			c.change(number(r, "x"))
		}
		return reply(w, r, c)
	}))
	mux.Handle("/selection/{do}", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, sel *selection) error {
		if r.PathValue("do") == "change" {
			s.update(sel.Row.ID)
			sel.change(number(r, "x"))
		}
		return reply(w, r, sel)
	}))
	mux.Handle("/board/{do}", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, b *board) error {
		var update func(*card)
		if r.PathValue("do") == "update" {
			update = func(c *card) { c.Base = number(r, "x") }
		}
		c, err := pagestate.Child(r.Context(), b, "card", update)
		if err != nil {
			return err
		}
		if r.PathValue("do") == "change" {
			b.change(number(r, "x"))
			c.change(number(r, "x"))
		}
		return reply(w, r, b, c)
	}))
	mux.Handle("/card/{do}", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *card) error {
		if r.PathValue("do") == "change" {
			c.change(number(r, "x"))
		}
		return reply(w, r, c)
	}))
	return mux
}

// showPage attaches what the parameter kind names, each time it does.
func showPage(s *store, w http.ResponseWriter, r *http.Request) {
	browser := number(r, "browser")
	var states []any
	for _, kind := range r.URL.Query()["kind"] {
		var err error
		switch kind {
		case "counter":
			c := newCounter(browser, number(r, "x"))
			err = pagestate.Attach(r.Context(), &c)
			states = append(states, &c)
		case "selection":
			found, ok := s.get(int64(number(r, "row")))
			if !ok {
				http.NotFound(w, r)
				return
			}
			sel := &selection{Browser: browser, Row: &found}
			err = pagestate.Attach(r.Context(), sel)
			states = append(states, sel)
		case "board":
			b, c := &board{Browser: browser}, newCard(browser)
			err = errors.Join(pagestate.Attach(r.Context(), b), pagestate.Attach(r.Context(), &c, pagestate.Under(b, "card")))
			states = append(states, b, &c)
		}
		if err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
	}
	if err := reply(w, r, states...); err != nil {
		pagestate.WriteError(w, r, err)
	}
}

// endings are the errors that a handler can be told to return when it has
// changed its state.
var endings = map[string]error{
	"error":       errors.New("the application failed"),
	"forbidden":   pagestate.ErrForbidden,
	"conflict":    pagestate.ErrConflict,
	"unavailable": pagestate.ErrUnavailable,
}

// reply answers the states, with their tokens if the request has the parameter
// render.
func reply(w http.ResponseWriter, r *http.Request, states ...any) error {
	status := http.StatusOK
	switch end := r.URL.Query().Get("end"); end {
	case "panic":
		panic(http.ErrAbortHandler)
	case "500":
		w.WriteHeader(http.StatusInternalServerError)
		return nil
	case "422":
		status = http.StatusUnprocessableEntity
	default:
		if err := endings[end]; err != nil {
			return err
		}
	}
	var parts []part
	for _, state := range states {
		p, err := newPart(r, state)
		if err != nil {
			return err
		}
		parts = append(parts, p)
	}
	body, err := json.Marshal(parts)
	if err != nil {
		return err
	}
	w.WriteHeader(status)
	w.Write(body) // fails if this server was closed meanwhile
	return nil
}

func newPart(r *http.Request, state any) (p part, err error) {
	if p.State, err = json.Marshal(state); err != nil {
		return part{}, err
	}
	if s, ok := state.(*selection); ok {
		p.Version = s.Row.Version
	}
	if r.URL.Query().Has("render") {
		p.Token, err = pagestate.Token(r.Context(), state)
	}
	return p, err
}

func number(r *http.Request, name string) int {
	n, _ := strconv.Atoi(r.URL.Query().Get(name)) // 0 if it is not there
	return n
}
