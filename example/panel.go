package main

// This file holds the panel, which shows the size of every token of the page
// and, with -peek, what is in it.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/pagestate/pagestate"
)

// held is a line of the panel.
type held struct {
	Name  string
	Size  int
	Holds string // empty without -peek
}

// panel is what a page without a script shows. With one, static/board.js keeps
// the lines up to date.
func (s *site) panel(b *Board) ([]held, error) {
	var lines []held
	for _, c := range b.components() {
		token, err := c.StateToken()
		if err != nil {
			return nil, err
		}
		line := held{Name: nameOfState(c), Size: len(token)}
		if s.peek {
			line.Holds = describe(c)
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func total(lines []held) string {
	bytes := 0
	for _, line := range lines {
		bytes += line.Size
	}
	return fmt.Sprintf("%d bytes in %d tokens", bytes, len(lines))
}

// peekInto opens tokens for the visitor who has them, and says what they hold.
// That is for a demo: a state may well hold what its visitor is not to know.
func (s *site) peekInto(w http.ResponseWriter, r *http.Request) error {
	owner, err := s.state.Owner(r)
	if err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return err
	}
	holds := []string{}
	for _, token := range r.PostForm["token"] {
		state, err := s.state.Open(r.Context(), owner, token)
		if err != nil {
			_, code := pagestate.Status(err)
			holds = append(holds, code)
			continue
		}
		holds = append(holds, describe(state))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(holds)
}

func nameOfState(state any) string {
	switch c := state.(type) {
	case *List:
		return c.Title()
	case *Card:
		return c.Task.Title
	case *Wizard:
		return "Wizard"
	default:
		return "Board"
	}
}

// describe says what of a state is in its token.
func describe(state any) string {
	var b strings.Builder
	line := func(name string, value any) { fmt.Fprintf(&b, "%-8s %v\n", name, value) }
	switch c := state.(type) {
	case *Board:
		line("Filter", fmt.Sprintf("text %q, label %q", c.Filter.Text, c.Filter.Label))
		line("Planning", c.Planning)
	case *List:
		ask := c.Tasks.Args()
		line("Tasks", fmt.Sprintf("a query: list %s, text %q, label %q, oldest first %t", ask.List, ask.Filter.Text, ask.Filter.Label, ask.Oldest))
		line("Page", c.Page)
		line("Draft", fmt.Sprintf("%q", c.Draft))
		line("Seen", c.Seen.Format("15:04:05"))
		line("Added", fmt.Sprint("task ", c.Added))
		line("Shown", fmt.Sprint("tasks ", keys(c.Shown)))
	case *Card:
		line("Task", fmt.Sprint("task ", c.Task.ID))
		line("Editing", c.Editing)
		line("Draft", fmt.Sprintf("%q", c.Draft))
	case *Wizard:
		line("Step", c.Step)
		line("Title", fmt.Sprintf("%q", c.Title))
		line("Label", c.Label)
		line("List", c.List)
	}
	return b.String()
}

func keys(tasks []*Task) []int64 {
	var ids []int64
	for _, t := range tasks {
		ids = append(ids, t.ID)
	}
	return ids
}
