package integration_test

// Coming from hidden fields: an order that the page used to hold in the open.

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

func moreByFields(w http.ResponseWriter, r *http.Request) error {
	quantity, err := strconv.Atoi(r.FormValue("quantity"))
	if err != nil {
		return err
	}
	price, err := strconv.Atoi(r.FormValue("price")) // whatever the visitor likes
	if err != nil {
		return err
	}
	return render(w, fieldsPage, map[string]any{
		"Article":  r.FormValue("article"),
		"Quantity": quantity + 1,
		"Price":    price,
	})
}

var fieldsPage = template.Must(template.New("").Parse(`<form method="post" action="/order">
	<input type="hidden" name="article" value="{{.Article}}">
	<input type="hidden" name="quantity" value="{{.Quantity}}">
	<input type="hidden" name="price" value="{{.Price}}">
	<button>One more</button>
</form>
<p>{{.Quantity}} {{.Article}} at {{.Price}}</p>`))

// prices stands for the part of a database that knows them.
type prices map[string]int

// Order is an article that somebody is about to order.
type Order struct {
	pagestate.Component
	Article  string
	Quantity int
	Price    int `state:"-"` // looked up, and not taken from a page
}

func (p prices) load(_ context.Context, o *Order) error {
	price, ok := p[o.Article]
	if !ok {
		return pagestate.ErrStale
	}
	o.Price = price
	return nil
}

func more(w http.ResponseWriter, r *http.Request, o *Order) error {
	o.Quantity++
	return render(w, orderPage, o)
}

var orderPage = template.Must(template.New("").Parse(`<form method="post" action="/order">
	{{.StateField}}
	<button>One more</button>
</form>
<p>{{.Quantity}} {{.Article}} at {{.Price}}</p>`))

func TestFromHiddenFields(t *testing.T) {
	before := browse(t, handler(moreByFields))
	res := before.Page().Call("POST", "/order", url.Values{"article": {"tea"}, "quantity": {"1"}, "price": {"0"}})
	testkit.WantText(t, "page before", res.Text, "<p>2 tea at 0</p>") // as the visitor wished

	p := prices{"tea": 5}
	mw, after := newOrders(t, p)
	req := pagestatetest.NewRequest(t, mw, "POST", "/order", nil, &Order{Article: "tea", Quantity: 1})
	o := pagestatetest.State[Order](t, mw, req, respond(after, req))
	testkit.Want(t, "order after", fmt.Sprint(o.Quantity, o.Article, o.Price), "2tea5")

	req = pagestatetest.NewRequest(t, mw, "POST", "/order", nil, &Order{Article: "tea"})
	p["tea"] = 6
	testkit.Want(t, "today's price", pagestatetest.State[Order](t, mw, req, respond(after, req)).Price, 6)
	delete(p, "tea")
	pagestatetest.Refused(t, respond(after, req), pagestate.ErrStale)

	token := []byte(req.Header.Get("Page-State"))
	token[len(token)/2] ^= 1
	req.Header.Set("Page-State", string(token))
	pagestatetest.Refused(t, respond(after, req), pagestate.ErrInvalid)
}

func newOrders(t *testing.T, p prices) (*pagestate.Middleware, http.Handler) {
	registry := pagestate.NewRegistry()
	pagestate.Register[Order](registry, "order", pagestate.LoadWith(p.load))
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{testkit.NewSecret()},
		Session: pagestate.Cookie(http.Cookie{Name: "pagestate"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return mw, mw.Handler(pagestate.Handle(more))
}

// requestWith is a POST with that context.
func requestWith(ctx context.Context) *http.Request {
	return httptest.NewRequestWithContext(ctx, "POST", "/signup", nil)
}

func respond(h http.Handler, r *http.Request) *http.Response {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Result()
}
