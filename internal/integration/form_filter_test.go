package integration_test

// Filters that are in the URL.

import (
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/form"
	"github.com/pagestate/pagestate/internal/testkit"
)

// Catalog is a list of goods, as the URL says.
type Catalog struct {
	pagestate.Component
	Word  string     `state:"word,public"`
	Kinds []string   `state:"kinds,public"`
	Since *time.Time `state:"since,public"`
	Page  int        `state:"page,public"`
	Open  int        // the row that is unfolded: no part of the URL
}

// URL is where the page with this number is.
func (c *Catalog) URL(page int) (string, error) {
	other := &Catalog{Word: c.Word, Kinds: c.Kinds, Since: c.Since, Page: page}
	query, err := form.Values(other, "word", "kinds", "since", "page")
	return "/catalog?" + query.Encode(), err
}

// Next is the number of the page behind this one.
func (c *Catalog) Next() int { return c.Page + 1 }

var catalogPage = template.Must(template.New("").Parse(`<form action="/catalog">
	<input name="word" value="{{.Word}}" aria-label="Search"><button>Search</button>
</form>
<section data-page-state="{{.StateToken}}">
	{{.Word}} {{.Kinds}} {{.Page}} {{.Open}}
	<a href="{{.URL .Next}}">Next</a>
	<button hx-post="/catalog/kind" hx-vals='{"kind":"tea"}'>Tea</button>
</section>`))

func showCatalog(w http.ResponseWriter, r *http.Request) error {
	c := &Catalog{}
	// What cannot be read is left out of the filter.
	if _, err := form.Apply(c, r.URL.Query(), "word", "kinds", "since", "page"); err != nil {
		return err
	}
	if err := pagestate.Attach(r.Context(), c); err != nil {
		return err
	}
	return render(w, catalogPage, c)
}

// addKind is called by htmx.
func addKind(w http.ResponseWriter, r *http.Request, c *Catalog) error {
	c.Kinds, c.Page = append(c.Kinds, r.FormValue("kind")), 0
	url, err := c.URL(c.Page)
	if err != nil {
		return err
	}
	w.Header().Set("HX-Push-Url", url)
	return render(w, catalogPage, c)
}

func TestFiltersInURL(t *testing.T) {
	registry := pagestate.NewRegistry()
	pagestate.Register[Catalog](registry, "catalog")
	a := newApp(t, registry, pagestate.Options{})
	a.mux.HandleFunc("GET /catalog", func(w http.ResponseWriter, r *http.Request) {
		if err := showCatalog(w, r); err != nil {
			pagestate.WriteError(w, r, err)
		}
	})
	a.mux.Handle("POST /catalog/kind", pagestate.Handle(addKind))

	browser := a.browser()
	first := wantStatus(t, browser.Get("/catalog?word=a+%26+b&kinds=cups&since=2024-02-29&page=x&Open=5&utm_source=y"), 200)
	testkit.WantText(t, "the page", first.Text, "a &amp; b [cups] 0 0",
		`href="/catalog?kinds=cups&amp;page=1&amp;since=2024-02-29&amp;word=a&#43;%26&#43;b"`)
	second := wantStatus(t, first.Call("POST", "/catalog/kind", url.Values{"kind": {"tea"}}), 200)
	testkit.Want(t, "pushed", second.Header.Get("HX-Push-Url"), "/catalog?kinds=cups&kinds=tea&since=2024-02-29&word=a+%26+b")

	reloaded := wantStatus(t, browser.Get(second.Header.Get("HX-Push-Url")), 200)
	testkit.WantText(t, "the reloaded page", reloaded.Text, "a &amp; b [cups tea] 0 0")
	testkit.Want(t, "the plain list", strings.Contains(browser.Get("/catalog").Text, `href="/catalog?page=1"`), true)
}
