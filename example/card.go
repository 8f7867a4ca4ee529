package main

// This file holds the cards: a component for each task that is on the page.

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/pagestate/pagestate"
)

// Card shows a task, or a field to rename it.
type Card struct {
	part    `state:"-"`
	Task    *Task // saved as its key; if the row is gone, the card is stale
	Editing bool
	Draft   string // of another title
	Seen    string // the title that it is to replace
	New     bool   `state:"-"` // to the visitor
}

func (t *Task) key() string { return strconv.FormatInt(t.ID, 10) }

// When, Next and Previous are for the template.
func (t *Task) When() string {
	switch age := time.Since(t.Created); {
	case age < time.Minute:
		return "just now"
	case age < time.Hour:
		return fmt.Sprintf("%d min ago", age/time.Minute)
	case age < 24*time.Hour:
		return fmt.Sprintf("%d h ago", age/time.Hour)
	case age < 48*time.Hour:
		return "yesterday"
	default:
		return fmt.Sprintf("%d days ago", age/(24*time.Hour))
	}
}

func (t *Task) Next() string     { return neighbour(t.List, +1) }
func (t *Task) Previous() string { return neighbour(t.List, -1) }

func neighbour(list string, by int) string {
	for i, name := range listNames {
		if name == list && i+by >= 0 && i+by < len(listNames) {
			return listNames[i+by]
		}
	}
	return ""
}

// keep takes over a title that is being typed.
func (c *Card) keep(r *http.Request) {
	if c.Editing {
		keep(r, "title-"+c.Task.key(), &c.Draft)
	}
}

func (s *site) changeCard(w http.ResponseWriter, r *http.Request, c *Card) error {
	var deleted bool
	var err error
	c.keep(r)
	switch r.PostFormValue("do") {
	case "edit":
		c.Editing, c.Draft, c.Seen = true, c.Task.Title, c.Task.Title
	case "cancel":
		c.close()
	case "save":
		err = s.rename(r, c)
	case "delete":
		deleted, err = s.store.remove(r.Context(), c.Task.ID)
	}
	switch {
	case err != nil:
		return err
	case !byScript(r):
		return s.answerForm(w, r, c.Problem)
	case deleted:
		return nil // nothing stands in its place
	}
	return s.show(w, http.StatusOK, "card", c)
}

func (c *Card) close() { c.Editing, c.Draft, c.Seen = false, "", "" }

// rename replaces the title that the visitor saw, and no other: of two who save the
// same card, the second is shown what the first has written.
func (s *site) rename(r *http.Request, c *Card) error {
	if c.Draft == "" {
		c.Problem = "A card needs a title."
		return nil
	}
	if c.Task.Title != c.Seen {
		c.Problem = fmt.Sprintf("Meanwhile somebody has saved “%s”. Save again to replace it, or cancel to keep it.", c.Task.Title)
		c.Seen = c.Task.Title
		return nil
	}
	saved, err := s.store.rename(r.Context(), c.Task.ID, c.Seen, c.Draft)
	if err != nil {
		return err
	}
	if !saved { // changed or deleted since this request began
		return pagestate.ErrConflict
	}
	c.Task.Title = c.Draft
	c.close()
	return nil
}
