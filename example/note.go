package main

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/pagestate/pagestate"
)

// Note is a component that shows something which does not live in the page. The
// page keeps which note it is and how large it is shown; the text is loaded.
type Note struct {
	pagestate.Component
	ID   string
	Size int
	Text string
}

// board stands in for a database with room for one note.
type board struct {
	mu       sync.Mutex
	id, text string
}

func newBoard() *board {
	b := new(board)
	b.write("Water the plants, call Ada, and buy a stamp.")
	return b
}

// load fills the text whenever a note is attached or resumed. It belongs to the
// board and not to Note, which is how a component gets at a database without a
// global variable.
func (b *board) load(_ context.Context, n *Note) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.id == "" || b.id != n.ID {
		return pagestate.ErrStale
	}
	n.Text = b.text
	return nil
}

func (b *board) write(text string) (id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.id, b.text = rand.Text(), text
	return b.id
}

func (b *board) remove(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.id == id {
		b.id, b.text = "", ""
	}
}

func (b *board) current() (id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.id
}

func (s *site) showNote(w http.ResponseWriter, r *http.Request) error {
	id := s.board.current()
	if id == "" {
		return s.renderNote(w, nil, "")
	}
	n := &Note{ID: id, Size: 2}
	if err := pagestate.Attach(r.Context(), n); err != nil {
		return err
	}
	return s.renderNote(w, n, "")
}

func (s *site) changeNote(w http.ResponseWriter, r *http.Request, n *Note) error {
	did := r.PostFormValue("do")
	switch did {
	case "larger":
		n.Size = min(n.Size+1, 4)
	case "smaller":
		n.Size = max(n.Size-1, 1)
	case "delete":
		s.board.remove(n.ID)
		n = nil
	}
	return s.renderNote(w, n, did)
}

// writeNote changes no state of a page, so it redirects like any other form.
func (s *site) writeNote(w http.ResponseWriter, r *http.Request) error {
	text := strings.TrimSpace(r.PostFormValue("text"))
	if text != "" && utf8.RuneCountInString(text) <= 140 {
		s.board.write(text)
	}
	http.Redirect(w, r, "/note", http.StatusSeeOther)
	return nil
}

func (s *site) renderNote(w http.ResponseWriter, n *Note, did string) error {
	return s.show(w, http.StatusOK, "note.html", struct {
		*Note
		Did string
	}{n, did})
}
