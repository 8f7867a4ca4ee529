package main

// This file holds the wizard, which asks for a card in three steps.

import (
	"net/http"
	"slices"
)

// Wizard keeps the answers until the last step. The board makes a card of them,
// since it shows the list that the card goes to.
type Wizard struct {
	part               `state:"-"`
	Step               int // from 0 to 2
	Title, Label, List string
}

func newWizard() *Wizard { return &Wizard{Label: labels[0], List: listNames[0]} }

// Number, Labels and Lists are for the template.
func (z *Wizard) Number() int      { return z.Step + 1 }
func (z *Wizard) Labels() []string { return labels }
func (z *Wizard) Lists() []string  { return listNames }

// changeWizard goes a step on or back. Back keeps what was typed, too.
func (s *site) changeWizard(w http.ResponseWriter, r *http.Request, z *Wizard) error {
	z.keep(r)
	switch r.PostFormValue("do") {
	case "next":
		if z.check() {
			z.Step = min(z.Step+1, 2)
		}
	case "previous":
		z.Step = max(z.Step-1, 0)
	}
	if !byScript(r) {
		return s.answerForm(w, r, z.Problem)
	}
	return s.show(w, http.StatusOK, "wizard", z)
}

func (z *Wizard) keep(r *http.Request) {
	keep(r, "title", &z.Title)
	if label := r.PostFormValue("label"); slices.Contains(labels, label) {
		z.Label = label
	}
	if list := r.PostFormValue("list"); slices.Contains(listNames, list) {
		z.List = list
	}
}

func (z *Wizard) check() bool {
	if z.Title == "" {
		z.Step, z.Problem = 0, "Say what is to be done."
	}
	return z.Problem == ""
}
