package main

// This file holds what makes a demo of the board: buttons that act as somebody else
// would, and the lines of the program that its pages show.

import (
	"context"
	"embed"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// meanwhile does what happens in other browsers and other tabs. The page that asks
// for it is not to change, and is answered with 204 or, if it has a script, with what
// was done.
func (s *site) meanwhile(w http.ResponseWriter, r *http.Request) error {
	var said string
	var err error
	if what := r.PostFormValue("meanwhile"); what == "login" {
		said, err = s.loginElsewhere(w, r)
	} else {
		said, err = s.somebodyElse(r.Context(), what, otherThan(r))
	}
	if err != nil {
		return err
	}
	if !byScript(r) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err = io.WriteString(w, said)
	return err
}

func otherThan(r *http.Request) string {
	if userOf(r.Context()) == people[0] {
		return people[1]
	}
	return people[0]
}

func (s *site) loginElsewhere(w http.ResponseWriter, r *http.Request) (said string, err error) {
	user := otherThan(r)
	return fmt.Sprintf("This browser has logged in as %s, and this page does not know. Press anything in it.", user), s.become(w, r, user)
}

// somebodyElse acts on the newest card of Doing, past all tokens.
func (s *site) somebodyElse(ctx context.Context, what, name string) (said string, err error) {
	card, err := s.newest(ctx, "doing")
	switch {
	case err != nil:
		return "", err
	case what == "add":
		_, err = s.store.add(ctx, Task{List: "doing", Title: "Ask who has a ladder", Label: labels[2], Author: name})
		return name + " has added a card to Doing. Look again there.", err
	case card == nil:
		return "There is no card in Doing. Add one first.", nil
	case what == "delete":
		_, err = s.store.remove(ctx, card.ID)
		return fmt.Sprintf("%s has deleted “%s”, and this page does not know. Edit it.", name, card.Title), err
	case what == "rename":
		_, err = s.store.rename(ctx, card.ID, card.Title, cut(card.Title+", please"))
		return fmt.Sprintf("%s has renamed “%s”, and this page does not know. If you are editing it, save.", name, card.Title), err
	}
	return "", nil
}

func (s *site) newest(ctx context.Context, list string) (*Task, error) {
	for task, err := range s.store.find(ctx, Ask{List: list}) {
		return task, err
	}
	return nil, nil
}

//go:embed board.go card.go list.go login.go page.go tour.go wizard.go
var sourceFiles embed.FS

func showSource(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	http.ServeFileFS(w, r, sourceFiles, r.PathValue("file"))
}

// source is for the templates: a part of a line of the program, which must be there.
func source(file, line string) (struct{ File, Line string }, error) {
	found := struct{ File, Line string }{file, line}
	text, err := sourceFiles.ReadFile(file)
	if err == nil && !strings.Contains(strings.Join(strings.Fields(string(text)), " "), line) {
		err = fmt.Errorf("%s has no line %q", file, line)
	}
	return found, err
}
