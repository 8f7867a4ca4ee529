package integration_test

// A form with its errors, checked by hand.

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/form"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

// Booking is a table in a restaurant: what was filled in so far, and what is
// wrong with it.
type Booking struct {
	pagestate.Component
	Name   string     `state:"name,public"`
	Seats  int        `state:"seats,public"`
	Day    *time.Time `state:"day,public"`
	Window bool       `state:"window,public"`
	Guests []Guest    `state:"guests,public"`
	Menu   int        // not public: no form can choose it
	Errors form.Errors
	Saved  bool
}

type Guest struct {
	Name  string `state:"name"`
	Vegan bool   `state:"vegan"`
}

// bookingFields are those that the form has.
var bookingFields = []string{"name", "seats", "day", "window", "guests"}

var bookingPage = template.Must(template.New("").Parse(`<!doctype html><title>A table</title>
{{if .Saved}}<p role="status">Your table is booked.</p>{{end}}
<form method="post" action="/booking">{{.StateField}}
	<label for="name">Your name</label>
	<input id="name" name="name" value="{{.Name}}"
		{{with .Errors.name}}aria-invalid="true" aria-describedby="name-error"{{end}}>
	{{with .Errors.name}}<p id="name-error">{{.}}</p>{{end}}

	<label for="seats">Seats</label>
	<input id="seats" name="seats" inputmode="numeric" value="{{.Typed "seats" .Seats}}"
		{{with .Errors.seats}}aria-invalid="true" aria-describedby="seats-error"{{end}}>
	{{with .Errors.seats}}<p id="seats-error">{{.}}</p>{{end}}

	<label for="day">Day</label>
	<input id="day" name="day" type="date" value="{{with .Day}}{{.Format "2006-01-02"}}{{end}}"
		{{with .Errors.day}}aria-invalid="true" aria-describedby="day-error"{{end}}>
	{{with .Errors.day}}<p id="day-error">{{.}}</p>{{end}}

	<label><input name="window" type="checkbox" {{if .Window}}checked{{end}}> At a window</label>

	<button>Book</button>

	{{with .Errors.guests}}<p>{{.}}</p>{{end}}
	{{range $i, $guest := .Guests}}{{$name := printf "guests.%d.name" $i}}{{$error := index $.Errors $name}}
	<fieldset>
		<label for="{{$name}}">Guest</label>
		<input id="{{$name}}" name="{{$name}}" value="{{.Name}}"
			{{if $error}}aria-invalid="true" aria-describedby="{{$name}}-error"{{end}}>
		{{with $error}}<p id="{{$name}}-error">{{.}}</p>{{end}}
		<label><input name="guests.{{$i}}.vegan" type="checkbox" {{if .Vegan}}checked{{end}}> Vegan</label>
		<button name="remove" value="{{$i}}">Remove</button>
	</fieldset>
	{{end}}
	<button name="add" value="guest">Add a guest</button>
</form>`))

// bookingView is what the page shows: a booking, and the form that was sent.
type bookingView struct {
	*Booking
	Form url.Values
}

// Typed is what was typed where the field could not take it, and otherwise what
// the field holds.
func (v bookingView) Typed(name string, value any) any {
	if v.Errors[name] != "" && v.Form.Has(name) {
		return v.Form.Get(name)
	}
	return value
}

func showBooking(w http.ResponseWriter, r *http.Request, b *Booking, status int) error {
	var page bytes.Buffer
	if err := bookingPage.Execute(&page, bookingView{b, r.PostForm}); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, err := page.WriteTo(w)
	return err
}

func bookingOf(w http.ResponseWriter, r *http.Request) error {
	b, err := pagestate.FromOrAttach(r.Context(), &Booking{Seats: 2, Menu: 7})
	if err != nil {
		return err
	}
	return showBooking(w, r, b, http.StatusOK)
}

func book(w http.ResponseWriter, r *http.Request, b *Booking) error {
	b.Saved = false
	if err := r.ParseForm(); err != nil {
		return fmt.Errorf("%w: %w", pagestate.ErrInvalid, err)
	}
	var err error
	if b.Errors, err = form.Apply(b, r.PostForm, bookingFields...); err != nil {
		return err
	}
	if b.changeGuests(r.PostForm) {
		return showBooking(w, r, b, http.StatusOK)
	}
	b.check()
	if len(b.Errors) > 0 {
		return showBooking(w, r, b, http.StatusUnprocessableEntity)
	}
	b.Saved = true // in a database
	return pagestate.Redirect(w, r, "/booking", b)
}

// changeGuests does what the buttons of the list say.
func (b *Booking) changeGuests(sent url.Values) bool {
	if sent.Has("add") {
		b.Guests = append(b.Guests, Guest{})
		return true
	}
	if i, err := strconv.Atoi(sent.Get("remove")); err == nil && 0 <= i && i < len(b.Guests) {
		b.Guests = slices.Delete(b.Guests, i, i+1)
		return true
	}
	return false
}

// check adds what is wrong with the fields that could be read.
func (b *Booking) check() {
	want := func(ok bool, name, message string) {
		if !ok && b.Errors[name] == "" {
			b.Errors[name] = message
		}
	}
	want(b.Name != "", "name", "Enter your name.")
	want(len(b.Name) <= 200, "name", "Enter a shorter name.")
	want(1 <= b.Seats && b.Seats <= 12, "seats", "Enter a number from 1 to 12.")
	want(b.Day != nil, "day", "Choose a day.")
	want(len(b.Guests) <= 12, "guests", "Enter no more than 12 guests.")
	for i, guest := range b.Guests {
		want(guest.Name != "", fmt.Sprintf("guests.%d.name", i), "Enter a name, or remove the guest.")
	}
}

func newBookingApp(t *testing.T) *app {
	registry := pagestate.NewRegistry()
	pagestate.Register[Booking](registry, "booking")
	a := newApp(t, registry, pagestate.Options{})
	a.mux.Handle("GET /booking", pagestate.HandlePage(bookingOf))
	a.mux.Handle("POST /booking", pagestate.Handle(book))
	action(a, "/menu", func(_ *http.Request, b *Booking) (string, error) { return fmt.Sprint(b.Menu), nil })
	return a
}

// sendBooking sends what no form of the page would, with the token of its form.
func sendBooking(t *testing.T, page pagestatetest.Page, form url.Values) pagestatetest.Page {
	t.Helper()
	form.Set("page_state", testkit.Answer{Body: page.Text}.Field())
	r, err := http.NewRequest("POST", "/booking", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return page.Do(r)
}

func TestBooking(t *testing.T) {
	a := newBookingApp(t)
	page := a.browser().Get("/booking")
	submit := func(status int, query string) {
		t.Helper()
		sent, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		page = wantStatus(t, sendBooking(t, page, sent), status)
	}

	submit(422, "name=&seats=two&day=&window=on&Menu=1&menu=1")
	testkit.WantText(t, "the page", page.Text,
		`aria-describedby="name-error"`, `<p id="name-error">Enter your name.</p>`,
		`value="two"`, `<p id="seats-error">Enter a whole number in digits alone, such as 1500.</p>`,
		`<p id="day-error">Choose a day.</p>`, `type="checkbox" checked>`)

	submit(200, "name=Ada&seats=4&day=2024-02-29&add=guest")
	testkit.Want(t, "an error", strings.Contains(page.Text, "aria-invalid"), false)
	testkit.Want(t, "checked", strings.Contains(page.Text, "checked"), false)
	submit(200, "name=Ada&seats=4&day=2024-02-29&guests.0.name=Grace&guests.0.vegan=on&add=guest")
	submit(422, "name=Ada&seats=4&day=2024-02-29&guests.0.name=Grace&guests.0.vegan=on&guests.1.name=")
	testkit.WantText(t, "the page", page.Text,
		`name="guests.0.name" value="Grace"`, `aria-describedby="guests.1.name-error"`,
		`<p id="guests.1.name-error">Enter a name, or remove the guest.</p>`, `value="2024-02-29"`)

	submit(200, "name=Ada&seats=4&day=2024-02-29&guests.0.name=Grace&guests.1.name=&remove=1")
	submit(200, "name=Ada&seats=4&day=2024-02-29&guests.0.name=Grace")
	testkit.WantText(t, "the page", page.Text, "Your table is booked.", `value="Grace"`)
	wantBody(t, call(page, "/menu"), "7")

	submit(422, "name=&seats=4&day=2024-02-29")
	testkit.Want(t, "says that the next one is booked", strings.Contains(page.Text, "is booked"), false)
	testkit.Want(t, "warnings", strings.Contains(a.log.String(), "WARN"), false)
}

func TestBookingWithBadForms(t *testing.T) {
	a := newBookingApp(t)
	page := a.browser().Get("/booking")
	pagestatetest.Refused(t, sendBooking(t, page, url.Values{"name": {strings.Repeat("x", 1<<20)}}).Response, pagestate.ErrTooLarge)

	sent, err := http.NewRequest("POST", "/booking", strings.NewReader("name=%zz"))
	if err != nil {
		t.Fatal(err)
	}
	sent.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	pagestatetest.Refused(t, page.Do(sent).Response, pagestate.ErrInvalid)
}

var german = form.Decoder{Message: func(p form.Problem) string {
	switch p.Kind {
	case form.NotWhole:
		return "Bitte eine ganze Zahl nur aus Ziffern eingeben, zum Beispiel 1500."
	case form.OutOfRange:
		return fmt.Sprintf("Bitte eine Zahl von %s bis %s eingeben.", p.Min, p.Max)
	}
	return p.String() // the rest in English
}}

func TestFormInAnotherLanguage(t *testing.T) {
	errs, err := german.Apply(&Booking{}, url.Values{"seats": {"1.000"}, "day": {"morgen"}}, bookingFields...)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "seats", errs["seats"], "Bitte eine ganze Zahl nur aus Ziffern eingeben, zum Beispiel 1500.")
	testkit.Want(t, "day", errs["day"], "Enter a date such as 2024-12-31, or a time such as 18:30.")
}
