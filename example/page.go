package main

// This file holds the page around the board: who is logged in, which script
// serves it, the panel, and the hidden fields of its plain forms.

import (
	"html/template"
	"net/http"
	"slices"
)

// page is what the template of the whole page gets.
type page struct {
	*Board
	User   string
	People []string
	Engine string
	Peek   bool
	Panel  []held
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
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func engineOf(r *http.Request) string {
	if c, err := r.Cookie("engine"); err == nil && slices.Contains(engines, c.Value) {
		return c.Value
	}
	return engines[0]
}

func (s *site) showPage(w http.ResponseWriter, r *http.Request, b *Board) error {
	engine := engineOf(r)
	if err := b.giveFields(engine != "none"); err != nil {
		return err
	}
	panel, err := s.panel(b)
	if err != nil {
		return err
	}
	return s.show(w, http.StatusOK, "page.html", page{b, userOf(r.Context()), people, engine, s.peek, panel})
}

// component is what all components of this page are, by embedding
// pagestate.Component.
type component interface {
	StateToken() (string, error)
	StateField() (template.HTML, error)
}

// components are all there are on the page, in its order.
func (b *Board) components() []component {
	all := []component{b}
	if b.Wizard != nil {
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

// giveFields gives the plain forms their hidden fields: the token of the board,
// which acts when there is no script, and those of the children whose state is
// not that of a new one. A card that is just shown needs its own alone.
func (b *Board) giveFields(scripts bool) error {
	var shared template.HTML
	var shown []*Card
	for _, c := range b.components() {
		if card, ok := c.(*Card); ok && !card.Editing {
			shown = append(shown, card)
			continue
		}
		field, err := c.StateField()
		if err != nil {
			return err
		}
		shared += field
	}
	b.Fields = withoutScript(shared, scripts)
	if b.Wizard != nil {
		b.Wizard.Fields = b.Fields
	}
	for _, l := range b.Lists {
		l.Fields = b.Fields
		for _, c := range l.Cards {
			c.Fields = b.Fields
		}
	}
	for _, c := range shown {
		own, err := c.StateField()
		if err != nil {
			return err
		}
		c.Fields = withoutScript(shared+own, scripts)
	}
	return nil
}

// withoutScript hides the fields from browsers that run the page's scripts:
// those send the token of the root around the form, and no others.
func withoutScript(fields template.HTML, scripts bool) template.HTML {
	if scripts {
		return "<noscript>" + fields + "</noscript>"
	}
	return fields
}
