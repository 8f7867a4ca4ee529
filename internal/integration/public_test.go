package integration_test

// Public fields: what a page's script may see and change.

import (
	"html"
	"html/template"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// Filter is a component whose page has a script.
type Filter struct {
	pagestate.Component
	Word   string `state:"word,public"`
	Open   bool   `state:"open,public"`
	Tenant string // saved, but neither seen by the page nor changed
}

// Attribute is what the page sees, as text that html/template escapes.
func (f *Filter) Attribute() (string, error) {
	public, err := pagestate.PublicJSON(f)
	return string(public), err
}

// Script is the same as JavaScript, in which nothing can end the script.
func (f *Filter) Script() (template.JS, error) {
	public, err := pagestate.PublicJSON(f)
	return template.JS(public), err
}

var filterPage = template.Must(template.New("").Parse(
	`<form data-page-state="{{.StateToken}}" data-filter="{{.Attribute}}"></form>
<script>const filter = {{.Script}};</script>`))

func changeFilter(w http.ResponseWriter, r *http.Request, f *Filter) error {
	sent, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		return err
	}
	if err := pagestate.ApplyPublic(f, sent); err != nil {
		return err // 400, and nothing has changed
	}
	return render(w, filterPage, f)
}

var publicPattern = regexp.MustCompile(`data-filter="([^"]*)"></form>
<script>const filter = (.*);</script>`)

func TestPublicFields(t *testing.T) {
	registry := pagestate.NewRegistry()
	pagestate.Register[Filter](registry, "filter")
	a := newApp(t, registry, pagestate.Options{})
	a.mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		f := &Filter{Word: "tea", Tenant: "acme"}
		if err := pagestate.Attach(r.Context(), f); err != nil {
			t.Error(err)
		}
		filterPage.Execute(w, f)
	})
	a.mux.Handle("POST /", pagestate.Handle(changeFilter))
	action(a, "/tenant", func(_ *http.Request, f *Filter) (string, error) { return f.Word + " of " + f.Tenant, nil })

	tests := []struct {
		name   string
		sent   string
		public string // what the page sees then; "" if it is refused
		state  string
	}{
		{"one field", `{"open":true}`, `{"word":"tea","open":true}`, "tea of acme"},
		{"what would end a script", `{"word":"</script>\""}`, `{"word":"\u003c/script\u003e\"","open":false}`, `</script>" of acme`},
		{"a field that is not public", `{"word":"milk","Tenant":"evil"}`, "", "tea of acme"},
		{"another case", `{"Word":"milk"}`, "", "tea of acme"},
		{"a wrong type", `{"word":"milk","open":1}`, "", "tea of acme"},
		{"a name twice", `{"word":"milk","word":"bread"}`, "", "tea of acme"},
		{"more than an object", `{"word":"milk"} {}`, "", "tea of acme"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sent, err := http.NewRequest("POST", "/", strings.NewReader(test.sent))
			if err != nil {
				t.Fatal(err)
			}
			sent.Header.Set("Content-Type", "application/json")
			page := a.browser().Get("/").Do(sent)
			wantBody(t, call(page, "/tenant"), test.state)
			if test.public == "" {
				wantRefused(t, page, pagestate.ErrInvalid)
				return
			}
			found := publicPattern.FindStringSubmatch(page.Text)
			testkit.Want(t, "in the attribute", html.UnescapeString(found[1]), test.public)
			testkit.Want(t, "in the script", found[2], test.public)
		})
	}
}
