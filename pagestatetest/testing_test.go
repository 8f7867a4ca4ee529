package pagestatetest_test

// The code of docs/testing.md: tests of a page with a note.

import (
	"crypto/rand"
	"html/template"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/pagestatetest"
)

// Note is what somebody writes.
type Note struct {
	pagestate.Component
	Text  string
	Saves int
	By    string
}

var notePage = template.Must(template.New("").Parse(`<form method="post" action="/note">{{.StateField}}
	<input name="text" value="{{.Text}}"><button>Save</button>
</form>
<p>{{if not .Text}}Write something.{{else}}Saved: {{.Text}}{{end}}</p>`))

// newNotes stands for the application.
func newNotes(o pagestate.Options) (*pagestate.Middleware, http.Handler) {
	secret := make([]byte, 32)
	rand.Read(secret)
	o.Secrets = [][]byte{secret}
	o.Session = pagestate.Cookie(http.Cookie{Name: "session"})
	o.User = func(r *http.Request) string { return r.Header.Get("User") }
	registry := pagestate.NewRegistry()
	pagestate.Register[Note](registry, "note")
	mw, err := pagestate.New(registry, o)
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /note", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
		note, err := pagestate.FromOrAttach(r.Context(), &Note{})
		if err != nil {
			return err
		}
		return notePage.Execute(w, note)
	}))
	mux.Handle("POST /note", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, note *Note) error {
		if note.Saves == 3 {
			return pagestate.ErrConflict // no more
		}
		if r.FormValue("text") == "" {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return notePage.Execute(w, note)
		}
		note.Text, note.By = r.FormValue("text"), r.Header.Get("User")
		note.Saves++
		return pagestate.Redirect(w, r, "/note", note)
	}))
	return mw, mw.Handler(mux)
}

func TestSave(t *testing.T) {
	mw, handler := newNotes(pagestate.Options{})
	req := pagestatetest.NewRequest(t, mw, "POST", "/note?text=tea", nil, &Note{Text: "milk", Saves: 1})
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)
	note := pagestatetest.State[Note](t, mw, req, rec.Result())
	if note.Text != "tea" || note.Saves != 2 {
		t.Errorf("the note is %q, saved %d times", note.Text, note.Saves)
	}
}

func TestSaveNothing(t *testing.T) {
	mw, handler := newNotes(pagestate.Options{})
	req := pagestatetest.NewRequest(t, mw, "POST", "/note", nil, &Note{Text: "milk"})
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)
	if rec.Code != http.StatusUnprocessableEntity {
		t.Errorf("the status is %d", rec.Code)
	}
	pagestatetest.Unchanged(t, mw, req, rec.Result())
}

func TestSaveTooOften(t *testing.T) {
	mw, handler := newNotes(pagestate.Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	req := pagestatetest.NewRequest(t, mw, "POST", "/note?text=tea", nil, &Note{Saves: 3})
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)
	pagestatetest.Refused(t, rec.Result(), pagestate.ErrConflict)
}

func TestSaveAsAda(t *testing.T) {
	mw, handler := newNotes(pagestate.Options{})
	form := url.Values{"text": {"tea"}}
	req := httptest.NewRequest("POST", "/note", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User", "ada") // what Options.User looks at
	pagestatetest.AddState(t, mw, req, &Note{})
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)
	if note := pagestatetest.State[Note](t, mw, req, rec.Result()); note.By != "ada" {
		t.Errorf("it is by %q", note.By)
	}
}

func TestOldPage(t *testing.T) {
	clock := new(pagestatetest.Clock)
	mw, handler := newNotes(pagestate.Options{Clock: clock.Now})
	req := pagestatetest.NewRequest(t, mw, "POST", "/note?text=tea", nil, &Note{})
	clock.Advance(25 * time.Hour)
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)
	pagestatetest.Refused(t, rec.Result(), pagestate.ErrExpired)
}

func TestVisit(t *testing.T) {
	_, handler := newNotes(pagestate.Options{})
	server := httptest.NewServer(handler)
	defer server.Close()
	browser := pagestatetest.NewBrowser(t, server)

	refused := browser.Get("/note").Form("/note").Submit()
	if refused.StatusCode != 422 || !strings.Contains(refused.Text, "Write something.") {
		t.Errorf("without a text: %d %s", refused.StatusCode, refused.Text)
	}
	tea := refused.Form("/note").Fill("text", "tea").Press("Save")
	milk := tea.Form("/note").Fill("text", "milk").Press("Save")
	for name, page := range map[string]pagestatetest.Page{"milk": milk.Reload(), "tea": milk.Back()} {
		if !strings.Contains(page.Text, "Saved: "+name) {
			t.Errorf("want %s: %s", name, page.Text)
		}
	}
}

func TestTwoTabs(t *testing.T) {
	_, handler := newNotes(pagestate.Options{})
	server := httptest.NewServer(handler)
	defer server.Close()
	browser := pagestatetest.NewBrowser(t, server)

	one := browser.Get("/note").Form("/note").Fill("text", "tea").Submit()
	two := browser.Get("/note").Form("/note").Fill("text", "milk").Submit()
	if !strings.Contains(one.Reload().Text, "Saved: tea") || !strings.Contains(two.Text, "Saved: milk") {
		t.Errorf("the tabs show %s and %s", one.Reload().Text, two.Text)
	}

	duplicate := one // the same page twice
	one = one.Form("/note").Fill("text", "tea, please").Submit()
	duplicate = duplicate.Form("/note").Fill("text", "no tea").Submit()
	if !strings.Contains(one.Reload().Text, "Saved: tea, please") || !strings.Contains(duplicate.Text, "Saved: no tea") {
		t.Errorf("they show %s and %s", one.Reload().Text, duplicate.Text)
	}
}

func TestAnotherVisitor(t *testing.T) {
	_, handler := newNotes(pagestate.Options{})
	server := httptest.NewServer(handler)
	defer server.Close()

	page := pagestatetest.NewBrowser(t, server).Get("/note")
	stranger := pagestatetest.NewBrowser(t, server)
	stranger.Get("/note") // has a session of its own
	copied := stranger.Page(page.Tokens...).Call("POST", "/note", url.Values{"text": {"rum"}})
	pagestatetest.Refused(t, copied.Response, pagestate.ErrInvalid)
}

func TestScript(t *testing.T) {
	mw, handler := newNotes(pagestate.Options{})
	server := httptest.NewServer(handler)
	defer server.Close()

	page := pagestatetest.NewBrowser(t, server).Get("/note")
	page = page.Call("POST", "/note", url.Values{"text": {"tea"}})
	page = page.Call("POST", "/note", url.Values{"text": {"milk"}})
	if note := pagestatetest.State[Note](t, mw, page.Request, page.Response); note.Text != "milk" || note.Saves != 2 {
		t.Errorf("the note is %q, saved %d times", note.Text, note.Saves)
	}
}

func TestSizeOfToken(t *testing.T) {
	mw, handler := newNotes(pagestate.Options{})
	text := strings.Repeat("x", 1000) // the longest that the page accepts
	req := pagestatetest.NewRequest(t, mw, "GET", "/note", nil, &Note{Text: text})
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)
	if size := pagestatetest.Size[Note](t, mw, req, rec.Result()); size > 3<<10 {
		t.Errorf("the token has %d bytes", size)
	}
}
