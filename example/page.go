package main

// This file holds the page around the board: who is logged in, which script
// serves it, what its parts have in common, and how its plain forms are answered.

import (
	"net/http"
	"slices"

	"github.com/pagestate/pagestate"
)

// page is what the template of the whole page gets.
type page struct {
	Board  *Board
	User   string
	People []string
	Engine string
	Demo   bool
}

// engines are what may send a page's forms, the usual one first: two versions
// of htmx, the script of pagestate alone, and the browser by itself.
var engines = []string{"htmx2", "htmx4", "fetch", "none"}

// setEngine remembers the choice, which is nobody's secret, in a cookie.
func (s *site) setEngine(w http.ResponseWriter, r *http.Request) error {
	http.SetCookie(w, &http.Cookie{
		Name:     "engine",
		Value:    r.PostFormValue("engine"),
		Path:     "/",
		MaxAge:   365 * 24 * 3600,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
	return pagestate.Redirect(w, r, "/")
}

func engineOf(r *http.Request) string {
	if c, err := r.Cookie("engine"); err == nil && slices.Contains(engines, c.Value) {
		return c.Value
	}
	return engines[0]
}

// part is what all parts of the page embed. None of it is saved.
type part struct {
	pagestate.Component
	Problem string // what to correct in the form, "" for nothing
	Whole   *page  // that it is shown in, nil in an answer to a script
}

func (p *part) base() *part { return p }

// component is what embeds part: Board, Wizard, List and Card.
type component interface {
	StateToken() (string, error)
	base() *part
}

// components are all there are on the page, in its order.
func (b *Board) components() []component {
	all := []component{b}
	if b.Planning {
		all = append(all, b.Wizard)
	}
	for _, l := range b.Lists {
		all = append(all, l)
		for _, c := range l.Cards {
			all = append(all, c)
		}
	}
	return all
}

// Kept are the components that plain forms and redirects bring along: all except the
// cards that are just shown, whose state is that of a new one.
func (b *Board) Kept() []any {
	var kept []any
	for _, c := range b.components() {
		if card, ok := c.(*Card); !ok || card.Editing {
			kept = append(kept, c)
		}
	}
	return kept
}

// answerForm answers a plain form: with a redirect to the page or, if there is
// something to correct, with the page itself.
func (s *site) answerForm(w http.ResponseWriter, r *http.Request, problem string) error {
	b, err := s.open(r)
	if err != nil {
		return err
	}
	if problem != "" {
		return s.showPage(w, r, http.StatusUnprocessableEntity, b)
	}
	here, err := b.Filter.URL()
	if err != nil {
		return err
	}
	return pagestate.Redirect(w, r, here, append(b.Kept(), b.Notice)...)
}

func (s *site) showPage(w http.ResponseWriter, r *http.Request, status int, b *Board) error {
	if err := s.fillBoard(r, b); err != nil {
		return err
	}
	whole := &page{b, userOf(r.Context()), people, engineOf(r), s.demo}
	for _, c := range b.components() {
		c.base().Whole = whole
	}
	return s.show(w, status, "page.html", whole)
}
