package integration_test

// The code of docs/redirects.md, and what it says a visitor sees.

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

type Trip struct {
	pagestate.Component
	Name    string
	Stops   []string
	Problem string `state:"-"`
	Message string `state:"-"`
}

type Message struct{ Text string }

func showTrip(w http.ResponseWriter, status int, t *Trip) error {
	field, err := t.StateField()
	if err != nil {
		return err
	}
	w.WriteHeader(status)
	_, err = fmt.Fprintf(w, "%s: %v %s%s %s", t.Name, t.Stops, t.Message, t.Problem, field)
	return err
}

func saveName(w http.ResponseWriter, r *http.Request, t *Trip) error {
	t.Name = r.FormValue("name")
	if t.Name == "" {
		t.Problem = "Give the trip a name."
		return showTrip(w, http.StatusUnprocessableEntity, t)
	}
	return pagestate.Redirect(w, r, "/trip/dates", t)
}

func datesPage(w http.ResponseWriter, r *http.Request) error {
	t, err := pagestate.FromOrAttach(r.Context(), &Trip{})
	if err != nil {
		return err
	}
	return showTrip(w, http.StatusOK, t)
}

func addStop(w http.ResponseWriter, r *http.Request, t *Trip) error {
	t.Stops = append(t.Stops, r.FormValue("stop"))
	return pagestate.Redirect(w, r, "/trip", t, &Message{Text: "Added."})
}

func tripPage(w http.ResponseWriter, r *http.Request) error {
	t, err := pagestate.FromOrAttach(r.Context(), &Trip{})
	if err != nil {
		return err
	}
	m, err := pagestate.FromOrAttach(r.Context(), &Message{})
	if err != nil {
		return err
	}
	t.Message = m.Text
	return showTrip(w, http.StatusOK, t)
}

func finish(w http.ResponseWriter, r *http.Request, t *Trip) error {
	link, err := pagestate.Link(r, "/trip/done", t)
	if err != nil {
		return err
	}
	w.Header().Set("HX-Redirect", link)
	return nil
}

func saveDates(w http.ResponseWriter, r *http.Request, t *Trip) error {
	t.Stops = append(t.Stops, r.FormValue("dates"))
	err := pagestate.Redirect(w, r, "/trip/dates", t)
	if errors.Is(err, pagestate.ErrTooLarge) {
		t.Problem = "That is too long."
		return showTrip(w, http.StatusUnprocessableEntity, t)
	}
	return err
}

type agency struct{ mw *pagestate.Middleware }

var withUser = testkit.WithUser

func (a *agency) login(w http.ResponseWriter, r *http.Request, t *Trip) error {
	// check the password, save the login session, and then:
	r = r.WithContext(withUser(r.Context(), r.FormValue("user"))) // Renew asks Options.User about r
	if err := a.mw.Renew(w, r); err != nil {
		return err
	}
	if err := pagestate.Attach(r.Context(), t); err != nil {
		return err
	}
	return pagestate.Redirect(w, r, "/trip/check", t)
}

func dropStop(w http.ResponseWriter, r *http.Request, t *Trip) error {
	t.Stops = t.Stops[:max(0, len(t.Stops)-1)]
	link, err := pagestate.Link(r, "/trip", t)
	if err != nil {
		return err
	}
	w.Header().Set("HX-Replace-Url", link)
	return showTrip(w, http.StatusOK, t)
}

func leadToResult(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, pagestate.ErrConflict) && r.URL.Path == "/trip/book" {
		http.Redirect(w, r, "/bookings", http.StatusSeeOther)
		return
	}
	pagestate.WriteError(w, r, err)
}

func endBack(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Clear-Site-Data", `"cache"`)
}

func keepFromBack(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if err := pagestate.Attach(r.Context(), &Trip{}); err != nil {
		pagestate.WriteError(w, r, err)
	}
}

func TestTrip(t *testing.T) {
	registry := pagestate.NewRegistry()
	pagestate.Register[Trip](registry, "trip")
	pagestate.Register[Message](registry, "message")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{testkit.NewSecret()},
		Session: pagestate.Cookie(http.Cookie{Name: "trip"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /trip/name", pagestate.Handle(saveName))
	mux.Handle("GET /trip/dates", pagestate.HandlePage(datesPage))
	mux.Handle("POST /trip", pagestate.Handle(addStop))
	mux.Handle("GET /trip", pagestate.HandlePage(tripPage))
	mux.Handle("GET /trip/done", pagestate.HandlePage(tripPage))
	mux.Handle("POST /trip/finish", pagestate.Handle(finish))
	mux.Handle("POST /trip/dates", pagestate.Handle(saveDates))
	mux.Handle("POST /trip/login", pagestate.Handle((&agency{mw}).login))
	mux.Handle("GET /trip/check", pagestate.HandlePage(tripPage))
	mux.Handle("POST /trip/drop", pagestate.Handle(dropStop))
	mux.HandleFunc("GET /end", endBack)
	mux.HandleFunc("GET /secret", keepFromBack)
	server := httptest.NewServer(mw.Handler(mux))
	defer server.Close()
	b := testkit.NewBrowser(t, func() string { return server.URL })
	post := func(path string, page testkit.Answer, name, value string) testkit.Answer {
		r := b.Request("POST", path, strings.NewReader(url.Values{"page_state": {page.Field()}, name: {value}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return b.Send(r)
	}
	follow := func(res testkit.Answer) testkit.Answer { return b.Get(res.Header.Get("Location")) }

	page := b.Get("/trip")
	testkit.Want(t, "cache", page.Header.Get("Cache-Control"), "private, no-cache")
	refused := post("/trip/name", page, "name", "")
	testkit.Want(t, "status", refused.StatusCode, 422)
	testkit.WantText(t, "refused", refused.Body, "Give the trip a name.")
	page = follow(post("/trip/name", refused, "name", "Rome"))
	testkit.WantText(t, "named", page.Body, "Rome: []")
	page = follow(post("/trip", page, "stop", "Pisa"))
	testkit.WantText(t, "with a stop", page.Body, "Rome: [Pisa] Added.")
	long := post("/trip/dates", page, "dates", strings.Repeat("x", 4000))
	testkit.Want(t, "status", long.StatusCode, 422)
	testkit.WantText(t, "too long", long.Body, "That is too long.")
	page = follow(post("/trip/login", page, "user", "ada"))
	testkit.WantText(t, "after the login", page.Body, "Rome: [Pisa]")
	left := post("/trip/finish", page, "", "")
	done := b.Get(left.Header.Get("HX-Redirect"))
	testkit.WantText(t, "done", done.Body, "Rome: [Pisa]  <input")
	dropped := post("/trip/drop", done, "", "")
	testkit.WantText(t, "dropped", dropped.Body, "Rome: []")
	testkit.WantText(t, "loaded again", b.Get(dropped.Header.Get("HX-Replace-Url")).Body, "Rome: []")
	testkit.Want(t, "cache", b.Get("/end").Header.Get("Clear-Site-Data"), `"cache"`)
	testkit.Want(t, "cache", b.Get("/secret").Header.Get("Cache-Control"), "no-store")
}

// A form that is sent twice books once, and both times leads to the booking.
func TestFormSentTwice(t *testing.T) {
	registry := pagestate.NewRegistry()
	pagestate.Register[Trip](registry, "trip")
	pagestate.Register[Message](registry, "message")
	a := newApp(t, registry, pagestate.Options{Guard: pagestate.NewGuard(100), ErrorHandler: leadToResult})
	bookings := 0
	a.mux.Handle("GET /trip", pagestate.HandlePage(tripPage))
	a.mux.Handle("POST /trip/book", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, _ *Trip) error {
		bookings++
		return pagestate.Redirect(w, r, "/bookings")
	}))
	a.mux.HandleFunc("GET /bookings", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, bookings, " booked") })
	browser := a.browser()
	form := url.Values{"page_state": browser.Get("/trip").Tokens}
	for range 2 {
		wantBody(t, submit(t, browser, "/trip/book", form), "1 booked")
	}
	if strings.Contains(a.log.String(), "level=WARN") {
		t.Errorf("a warning: %s", a.log)
	}
}
