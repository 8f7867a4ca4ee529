package main

// This file holds the board, the component that everything else on its page is
// a child of. What its children do by themselves is in list.go, card.go and
// wizard.go.

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/form"
)

// Board keeps what belongs to the page as a whole: its filter, and whether the
// wizard is open.
type Board struct {
	part     `state:"-"`
	Filter   Filter
	Planning bool

	// These are for the templates alone, and no part of the token.
	Lists  []*List `state:"-"`
	Wizard *Wizard `state:"-"` // shown if Planning
	Notice *Notice `state:"-"`
}

// Notice is what the page says of the form that was sent before. A redirect
// carries it there.
type Notice struct{ Text string }

var listNames = []string{"todo", "doing", "done"}

// Labels is for the templates.
func (b *Board) Labels() []string { return labels }

// boardPage shows the board to a visitor who comes to it in any way. Its filter is the
// one in the URL.
func (s *site) boardPage(w http.ResponseWriter, r *http.Request) error {
	b, err := s.open(r)
	if err != nil {
		return err
	}
	if err := b.Filter.read(r.URL.Query()); err != nil {
		return err
	}
	return s.showPage(w, r, http.StatusOK, b)
}

// read takes the filter of a URL, and leaves out what cannot be one.
func (f *Filter) read(query url.Values) error {
	_, err := form.Apply(f, query, "find", "only")
	f.Text = cut(f.Text)
	if !slices.Contains(labels, f.Label) {
		f.Label = ""
	}
	return err
}

// URL is where the page with this filter is.
func (f *Filter) URL() (string, error) {
	query, err := form.Values(f, "find", "only")
	if len(query) == 0 {
		return "/", err
	}
	return "/?" + query.Encode(), err
}

// open returns the board with all its parts, as the request brings them. Parts that
// it does not bring are new.
func (s *site) open(r *http.Request) (*Board, error) {
	b, err := pagestate.FromOrAttach(r.Context(), &Board{})
	if err != nil {
		return nil, err
	}
	if b.Notice, err = pagestate.FromOrAttach(r.Context(), &Notice{}); err != nil {
		return nil, err
	}
	if b.Wizard, err = pagestate.FromOrAttach(r.Context(), newWizard(), pagestate.Under(b, "wizard")); err != nil {
		return nil, err
	}
	b.Lists = nil
	for _, name := range listNames {
		l, err := pagestate.FromOrAttach(r.Context(), s.newList(name), pagestate.Under(b, name))
		if err != nil {
			return nil, err
		}
		if err := l.openCards(r); err != nil {
			return nil, err
		}
		b.Lists = append(b.Lists, l)
	}
	return b, nil
}

// changeBoard is for what concerns more than one list.
func (s *site) changeBoard(w http.ResponseWriter, r *http.Request, _ *Board) error {
	b, err := s.open(r) // which returns the one that acts
	if err != nil {
		return err
	}
	before := b.Filter
	b.keep(r)
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
	if b.Planning {
		b.Wizard.keep(r)
	}
	isNew := b.Filter != before
	if !byScript(r) || isNew && !byHtmx(r) { // pagestate.js goes where a redirect leads
		return s.answerForm(w, r, b.Wizard.Problem)
	}
	if isNew {
		url, err := b.Filter.URL()
		if err != nil {
			return err
		}
		w.Header().Set("HX-Push-Url", url)
	}
	if err := s.fillBoard(r, b); err != nil {
		return err
	}
	return s.show(w, http.StatusOK, "board", b)
}

// keep takes over the fields of the filter, and what was typed for new cards.
func (b *Board) keep(r *http.Request) {
	keep(r, "find", &b.Filter.Text)
	keep(r, "only", &b.Filter.Label)
	for _, l := range b.Lists {
		l.keep(r)
	}
}

// create makes a card of the wizard's answers, which came along in its token.
func (s *site) create(r *http.Request, b *Board) error {
	if !b.Wizard.check() {
		return nil
	}
	task := Task{List: b.Wizard.List, Title: b.Wizard.Title, Label: b.Wizard.Label, Author: nameOf(r)}
	b.Planning = false
	b.Notice.Text = fmt.Sprintf("“%s” is on the board.", task.Title)
	_, err := s.store.add(r.Context(), task)
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
		b.Notice.Text = "That card is gone: somebody deleted it."
	}
	return err
}

// fillBoard makes the board ready to be shown. The lists get its filter as the
// argument of their queries; what is their own stays as it was.
func (s *site) fillBoard(r *http.Request, b *Board) error {
	for _, l := range b.Lists {
		s.narrow(l, b.Filter)
		if err := l.fill(r); err != nil {
			return err
		}
	}
	return nil
}

// keep takes over what was typed into a field, if the request has that field.
// Drafts that nobody sent yet come along this way.
func keep(r *http.Request, field string, text *string) {
	if typed := r.PostFormValue(field); r.PostForm.Has(field) {
		*text = cut(typed)
	}
}

// cut is what a field of the page takes.
func cut(text string) string {
	typed := []rune(strings.TrimSpace(text))
	return string(typed[:min(len(typed), 120)])
}
