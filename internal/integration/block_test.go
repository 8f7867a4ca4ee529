package integration_test

// Template blocks: a state saves the name of one.

import (
	"html/template"
	"net/http"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// Card shows a title in one of several ways.
type Card struct {
	pagestate.Component
	Title string
	Body  pagestate.Block
}

var views = template.Must(template.New("card").Parse(`
{{define "short"}}<b>{{.Title}}</b>{{end}}
{{define "long"}}<article>{{.Title}}</article>{{end}}
{{block "default" .}}<p>{{.Title}}</p>{{end}}`))

var cardPage = template.Must(template.New("page").Parse(
	`<section data-page-state="{{.StateToken}}">{{.Body.HTML .}}</section>`))

func newCardApp(t *testing.T) *app {
	registry := pagestate.NewRegistry()
	pagestate.Register[Card](registry, "card")
	view := pagestate.RegisterBlocks(registry, "views of a card", views)
	a := newApp(t, registry, pagestate.Options{})
	page(a, "/", func(*http.Request) *Card { return &Card{Title: "tea & milk", Body: view("default")} })
	a.mux.Handle("POST /", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *Card) error {
		return cardPage.Execute(w, c)
	}))
	action(a, "/view", func(r *http.Request, c *Card) (string, error) {
		c.Body = view(r.URL.Query().Get("name"))
		html, err := c.Body.HTML(c)
		return string(html), err
	})
	action(a, "/unseen", func(r *http.Request, c *Card) (string, error) {
		c.Body = view(r.URL.Query().Get("name"))
		return "", nil
	})
	return a
}

func TestBlocks(t *testing.T) {
	tests := []struct{ name, html string }{
		{"short", `<b>tea &amp; milk</b>`},
		{"long", `<article>tea &amp; milk</article>`},
		{"default", `<p>tea &amp; milk</p>`},
	}
	card := newCardApp(t).browser().Get("/")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			card = wantBody(t, call(card, "/view?name="+test.name), test.html)
			wantBody(t, call(card, "/"), `<section data-page-state="`+card.Tokens[0]+`">`+test.html+`</section>`)
		})
	}
}

func TestBlockThatIsNotRegistered(t *testing.T) {
	for _, name := range []string{"other", "", "../../etc/passwd", "block_test.go"} {
		t.Run(name, func(t *testing.T) {
			a := newCardApp(t)
			card := a.browser().Get("/")
			wantRefused(t, call(card, "/view?name="+name), errOther)
			wantRefused(t, call(card, "/unseen?name="+name), errOther)
			testkit.WantText(t, "log", a.log.String(), "has no template", "Card.Body")
			testkit.WantText(t, "the page afterwards", call(card, "/").Text, `<p>tea &amp; milk</p>`)
		})
	}
}
