package integration_test

// The code of docs/client.md: a cart that htmx, a plain form and a script of one's
// own add to.

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

type Cart struct {
	pagestate.Component
	Items []string
}

var cartPage = template.Must(template.New("").Parse(`<!doctype html><title>Cart</title>
<script src="/htmx.js"></script>
<script type="module" src="/pagestate.js"></script>
{{define "cart"}}<section id="cart" data-page-state="{{.StateToken}}">
  <p>{{.Items}}</p>
  <form method="post" action="/cart/add" hx-post="/cart/add" hx-target="#cart" hx-swap="outerHTML">
    {{.StateField}}<input name="item"> <button>Add</button>
  </form>
</section>{{end}}{{template "cart" .}}`))

func showCart(w http.ResponseWriter, r *http.Request) error {
	c, err := pagestate.FromOrAttach(r.Context(), &Cart{})
	if err != nil {
		return err
	}
	return render(w, cartPage, c)
}

func add(w http.ResponseWriter, r *http.Request, c *Cart) error {
	c.Items = append(c.Items, r.FormValue("item"))
	if r.Header.Get("HX-Request") == "" {
		return pagestate.Redirect(w, r, "/cart", c) // a plain form
	}
	return render(w, cartPage.Lookup("cart"), c)
}

func addJSON(w http.ResponseWriter, r *http.Request, c *Cart) error {
	var added struct{ Item string }
	if err := json.NewDecoder(r.Body).Decode(&added); err != nil {
		return fmt.Errorf("%w: %w", pagestate.ErrInvalid, err) // 400
	}
	c.Items = append(c.Items, added.Item)
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(c.Items)
}

func TestCart(t *testing.T) {
	registry := pagestate.NewRegistry()
	pagestate.Register[Cart](registry, "cart")
	a := newApp(t, registry, pagestate.Options{})
	a.mux.Handle("GET /cart", pagestate.HandlePage(showCart))
	a.mux.Handle("POST /cart/add", pagestate.Handle(add))
	a.mux.Handle("POST /cart/json", pagestate.Handle(addJSON))
	browser := a.browser()

	plain := browser.Get("/cart").Form("/cart/add").Fill("item", "tea").Submit()
	testkit.WantText(t, "after a plain form", plain.Text, "<!doctype html>", "[tea]")

	script := browser.Get("/cart").Call("POST", "/cart/add", url.Values{"item": {"tea"}})
	testkit.WantText(t, "a redirect that a script followed", script.Text, "[tea]")

	htmx := a.browser()
	page := htmx.Get("/cart")
	htmx.Header.Set("HX-Request", "true")
	for _, items := range []string{"[tea]", "[tea tea]"} { // without the script, by the field of the form
		page = page.Form("/cart/add").Fill("item", "tea").Submit()
		testkit.WantText(t, "after htmx", page.Text, items)
		testkit.Want(t, "a part of the page", strings.HasPrefix(page.Text, "<section"), true)
	}

	post := func(body string) *http.Request {
		r, err := http.NewRequest("POST", "/cart/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	first := wantBody(t, browser.Get("/cart").Do(post(`{"item":"tea"}`)), `["tea"]`+"\n")
	wantRefused(t, first.Do(post(`{"item":`)), pagestate.ErrInvalid)
	wantBody(t, first.Do(post(`{"item":"milk"}`)), `["tea","milk"]`+"\n")
}
