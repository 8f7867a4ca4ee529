package main

// This file holds the board, the component that everything else on its page is
// a child of. What its children do by themselves is in list.go, card.go and
// wizard.go.

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/pagestate/pagestate"
)

// Board keeps what belongs to the page as a whole: its filter, and whether the
// wizard is open.
type Board struct {
	pagestate.Component
	Filter   Filter
	Planning bool

	// These are for the templates alone, and no part of the token.
	Lists  []*List       `state:"-"`
	Wizard *Wizard       `state:"-"`
	Notice string        `state:"-"`
	Fields template.HTML `state:"-"`
}

var listNames = []string{"todo", "doing", "done"}

// Labels is for the templates.
func (b *Board) Labels() []string { return labels }

// newBoard shows the board to a visitor who comes without a token.
func (s *site) newBoard(w http.ResponseWriter, r *http.Request) error {
	b := new(Board)
	if err := pagestate.Attach(r.Context(), b); err != nil {
		return err
	}
	return s.showBoard(w, r, b)
}

// changeBoard is for what concerns more than one list.
func (s *site) changeBoard(w http.ResponseWriter, r *http.Request, b *Board) error {
	err := b.keep(r)
	if err != nil {
		return err
	}
	switch r.PostFormValue("do") {
	case "clear":
		b.Filter = Filter{}
	case "plan":
		b.Planning = true
	case "cancel":
		b.Planning = false
	case "create":
		err = s.create(r, b)
	case "":
		err = s.move(r, b)
	}
	if err != nil {
		return err
	}
	return s.showBoard(w, r, b)
}

// keep takes over the fields of the filter, and what was typed for new cards.
func (b *Board) keep(r *http.Request) error {
	keep(r, "find", &b.Filter.Text)
	keep(r, "only", &b.Filter.Label)
	for _, name := range listNames {
		l, err := pagestate.Child[List](r.Context(), b, name, nil)
		if err != nil {
			return err
		}
		l.keep(r)
	}
	return nil
}

// create makes a card of the wizard's answers, which came along in its token.
func (s *site) create(r *http.Request, b *Board) error {
	wizard, err := pagestate.Child[Wizard](r.Context(), b, "wizard", nil)
	if err != nil {
		return err
	}
	if !wizard.check() {
		return nil
	}
	task := Task{List: wizard.List, Title: wizard.Title, Label: wizard.Label, Author: nameOf(r)}
	b.Planning = false
	b.Notice = fmt.Sprintf("“%s” is on the board.", task.Title)
	_, err = s.store.add(r.Context(), task)
	return err
}

// move takes a card to another list. If it was deleted meanwhile, the board
// says so and goes on: only the card is gone.
func (s *site) move(r *http.Request, b *Board) error {
	var id int64
	var list string
	if _, err := fmt.Sscan(r.PostFormValue("move"), &id, &list); err != nil || !slices.Contains(listNames, list) {
		return nil
	}
	found, err := s.store.move(r.Context(), id, list)
	if err == nil && !found {
		b.Notice = "That card is gone: somebody deleted it."
	}
	return err
}

// showBoard answers a script with the board, and a plain form with the page.
func (s *site) showBoard(w http.ResponseWriter, r *http.Request, b *Board) error {
	if err := s.fillBoard(r, b); err != nil {
		return err
	}
	if byScript(r) {
		return s.show(w, http.StatusOK, "board", b)
	}
	return s.showPage(w, r, b)
}

// fillBoard resumes the children of the board. The lists get the board's filter
// as their argument; what is their own stays as it was.
func (s *site) fillBoard(r *http.Request, b *Board) error {
	b.Lists = nil
	for _, name := range listNames {
		list, err := child(r.Context(), b, name, s.newList(name), func(l *List) { s.narrow(l, b.Filter) })
		if err != nil {
			return err
		}
		if err := s.fillList(r, list); err != nil {
			return err
		}
		b.Lists = append(b.Lists, list)
	}
	if !b.Planning {
		return nil
	}
	var err error
	b.Wizard, err = child(r.Context(), b, "wizard", newWizard(), nil)
	if err == nil {
		b.Wizard.keep(r)
	}
	return err
}

// child resumes a child of that key, or attaches the new one if the page has
// none yet.
func child[T any](ctx context.Context, parent any, key string, fresh *T, update func(*T)) (*T, error) {
	c, err := pagestate.Child(ctx, parent, key, update)
	if !errors.Is(err, pagestate.ErrMissing) {
		return c, err
	}
	if update != nil {
		update(fresh)
	}
	return fresh, pagestate.Attach(ctx, fresh, pagestate.Under(parent, key))
}

// keep takes over what was typed into a field, if the request has that field.
// Drafts that nobody sent yet come along this way.
func keep(r *http.Request, field string, text *string) {
	typed := []rune(strings.TrimSpace(r.PostFormValue(field)))
	if r.PostForm.Has(field) {
		*text = string(typed[:min(len(typed), 120)])
	}
}
