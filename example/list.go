package main

// This file holds the lists of the board. Each is a component of its own: it
// pages, turns and keeps its draft without the others.

import (
	"net/http"
	"time"

	"github.com/pagestate/pagestate"
)

// List is one column of the board.
type List struct {
	part  `state:"-"`
	Tasks pagestate.Query[Ask, *Task] // saved as its name and arguments; runs when the list is shown
	Page  int                         // the first is 0
	Draft string                      // of a new card
	Seen  time.Time                   // when the list was last shown: what is newer is new
	Added int64                       // the last card that was added here, and so is not new

	// Shown are the tasks whose cards are on the page. They are saved as keys
	// and come back with one fetch, so that the cards need none of their own.
	// Those that were deleted are just not among them any more.
	Shown []*Task `state:",optional"`

	// These are for the template alone, and no part of the token.
	Cards []*Card `state:"-"`
	More  bool    `state:"-"`
	News  int     `state:"-"` // how many of them are new
}

const pageSize = 4

func (s *site) newList(name string) *List { return &List{Tasks: s.tasks(Ask{List: name})} }

// Name, Title and the other methods without arguments are for the template.
func (l *List) Name() string { return l.Tasks.Args().List }

func (l *List) Title() string  { return titleOf(l.Name()) }
func (l *List) Oldest() bool   { return l.Tasks.Args().Oldest }
func (l *List) Filtered() bool { return l.Tasks.Args().Filter != Filter{} }
func (l *List) Number() int    { return l.Page + 1 }

func titleOf(list string) string {
	return map[string]string{"todo": "To do", "doing": "Doing", "done": "Done"}[list]
}

// narrow gives the list another filter.
func (s *site) narrow(l *List, f Filter) {
	if ask := l.Tasks.Args(); ask.Filter != f {
		ask.Filter = f
		l.Tasks, l.Page = s.tasks(ask), 0
	}
}

func (l *List) keep(r *http.Request) { keep(r, "new-"+l.Name(), &l.Draft) }

func (s *site) changeList(w http.ResponseWriter, r *http.Request, l *List) error {
	var err error
	l.keep(r)
	switch r.PostFormValue("do") {
	case "add":
		err = s.addTo(r, l)
	case "back":
		l.Page--
	case "on":
		l.Page++
	case "turn":
		ask := l.Tasks.Args()
		ask.Oldest = !ask.Oldest
		l.Tasks, l.Page = s.tasks(ask), 0
	}
	if err != nil {
		return err
	}
	if !byScript(r) {
		return s.answerForm(w, r, l.Problem)
	}
	if err := l.fill(r); err != nil {
		return err
	}
	return s.show(w, http.StatusOK, "list", l)
}

func (s *site) addTo(r *http.Request, l *List) error {
	if l.Draft == "" {
		l.Problem = "Type what is to be done, then add it."
		return nil
	}
	ask := l.Tasks.Args()
	task := Task{List: ask.List, Title: l.Draft, Label: ask.Filter.Label, Author: nameOf(r)}
	id, err := s.store.add(r.Context(), task)
	if err != nil {
		return err
	}
	l.Added = id
	l.Draft = ""
	if !ask.Oldest {
		l.Page = 0
	}
	return nil
}

// openCards gives each task its card: the one that the request brings, or a new
// one.
func (l *List) openCards(r *http.Request) error {
	l.Cards = nil
	for _, task := range l.Shown {
		card, err := pagestate.FromOrAttach(r.Context(), &Card{Task: task}, pagestate.Under(l, task.key()))
		if err != nil {
			return err
		}
		card.keep(r)
		l.Cards = append(l.Cards, card)
	}
	return nil
}

// fill makes the list ready to be shown.
func (l *List) fill(r *http.Request) error {
	if err := l.run(r); err != nil {
		return err
	}
	if err := l.openCards(r); err != nil {
		return err
	}
	l.News = 0
	for _, card := range l.Cards {
		card.New = l.isNews(card.Task)
		if card.New {
			l.News++
		}
	}
	l.Seen = time.Now()
	return nil
}

func (l *List) isNews(t *Task) bool {
	return !l.Seen.IsZero() && t.Created.After(l.Seen) && t.ID != l.Added
}

// run reads the rows of the page and one more, which shows whether there is
// another page, and then stops the query.
func (l *List) run(r *http.Request) error {
	l.Page = max(l.Page, 0)
	l.Shown, l.More = nil, false
	n := 0
	for task, err := range l.Tasks.All(r.Context()) {
		if err != nil {
			return err
		}
		if n++; n > (l.Page+1)*pageSize {
			l.More = true
			break
		}
		if n > l.Page*pageSize {
			l.Shown = append(l.Shown, task)
		}
	}
	if l.Shown == nil && l.Page > 0 { // all of this page was deleted
		l.Page = 0
		return l.run(r)
	}
	return nil
}
