package integration_test

// Coming from values in a session of alexedwards/scs: a form in steps whose
// answers move from there into the page.

import (
	"crypto/rand"
	"html/template"
	"net/http"
	"net/url"
	"testing"

	"github.com/alexedwards/scs/v2"
	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

// club is an application that people sign up to.
type club struct {
	sessions *scs.SessionManager
	mw       *pagestate.Middleware
}

func (c *club) answerInSession(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	switch c.sessions.GetInt(ctx, "step") {
	case 0:
		c.sessions.Put(ctx, "name", r.FormValue("answer"))
	case 1:
		c.sessions.Put(ctx, "plan", r.FormValue("answer"))
	}
	c.sessions.Put(ctx, "step", c.sessions.GetInt(ctx, "step")+1)
	http.Redirect(w, r, "/signup", http.StatusSeeOther)
	return nil
}

func (c *club) showStep(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	return render(w, stepPage, map[string]any{
		"Step": c.sessions.GetInt(ctx, "step"),
		"Name": c.sessions.GetString(ctx, "name"),
		"Plan": c.sessions.GetString(ctx, "plan"),
	})
}

var stepPage = template.Must(template.New("").Parse(
	`<form method="post" action="/signup"><input name="answer"></form><p>{{.Step}}: {{.Name}}, {{.Plan}}</p>`))

// Signup is a form in steps, with what was answered so far.
type Signup struct {
	pagestate.Component
	Step int
	Name string
	Plan string
}

func answerSignup(w http.ResponseWriter, r *http.Request, s *Signup) error {
	switch s.Step {
	case 0:
		s.Name = r.FormValue("answer")
	case 1:
		s.Plan = r.FormValue("answer")
	}
	s.Step++
	return pagestate.Redirect(w, r, "/signup", s)
}

func (c *club) beginSignup(w http.ResponseWriter, r *http.Request) error {
	if !c.sessions.Exists(r.Context(), "pagestate") {
		c.sessions.Put(r.Context(), "pagestate", rand.Text())
	}
	s, err := pagestate.FromOrAttach(r.Context(), &Signup{})
	if err != nil {
		return err
	}
	return render(w, signupPage, s)
}

var signupPage = template.Must(template.New("").Parse(
	`<form method="post" action="/signup">{{.StateField}}<input name="answer"></form><p>{{.Step}}: {{.Name}}, {{.Plan}}</p>`))

func (c *club) login(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	if err := c.sessions.RenewToken(ctx); err != nil {
		return err
	}
	c.sessions.Put(ctx, "user", r.FormValue("user"))
	c.sessions.Put(ctx, "pagestate", rand.Text())
	http.Redirect(w, r, "/signup", http.StatusSeeOther)
	return nil
}

func (c *club) logout(_ http.ResponseWriter, r *http.Request) error {
	return c.sessions.Destroy(r.Context())
}

// loginOnThePage is the login of a form that has a state, and answers with one.
func (c *club) loginOnThePage(w http.ResponseWriter, r *http.Request, _ *Signup) error {
	c.sessions.Put(r.Context(), "pagestate", rand.Text())
	if err := c.mw.Renew(w, r); err != nil {
		return err
	}
	return c.beginSignup(w, r)
}

func newClub() *club { return &club{sessions: scs.New()} }

// before is the club of the old version.
func (c *club) before() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /signup", handler(c.showStep))
	mux.Handle("POST /signup", handler(c.answerInSession))
	return c.sessions.LoadAndSave(mux)
}

func (c *club) after(t *testing.T) http.Handler {
	sessions, secrets := c.sessions, [][]byte{testkit.NewSecret()}
	registry := pagestate.NewRegistry()
	pagestate.Register[Signup](registry, "signup")
	mux := http.NewServeMux()
	mux.Handle("GET /signup", handler(c.beginSignup))
	mux.Handle("POST /signup", pagestate.Handle(answerSignup))
	mux.Handle("POST /login", handler(c.login))
	mux.Handle("POST /login-here", pagestate.Handle(c.loginOnThePage))
	mux.Handle("POST /logout", handler(c.logout))
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: secrets,
		Session: pagestate.SessionFunc(func(r *http.Request) string {
			return sessions.GetString(r.Context(), "pagestate")
		}),
		User: func(r *http.Request) string {
			return sessions.GetString(r.Context(), "user")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.mw = mw
	return sessions.LoadAndSave(mw.Handler(mux))
}

// answered has two tabs answer the first question, and returns them.
func answered(browser *pagestatetest.Browser) (first, second pagestatetest.Page) {
	first, second = browser.Get("/signup"), browser.Get("/signup")
	first = first.Form("/signup").Fill("answer", "Ada").Submit()
	second = second.Form("/signup").Fill("answer", "Grace").Submit()
	return first, second
}

func TestFromSCS(t *testing.T) {
	_, mixed := answered(browse(t, newClub().before()))
	testkit.WantText(t, "page before", mixed.Text, "<p>2: Ada, Grace</p>") // one form out of two

	first, second := answered(browse(t, newClub().after(t)))
	testkit.WantText(t, "first tab", first.Form("/signup").Fill("answer", "gold").Submit().Text, "<p>2: Ada, gold</p>")
	testkit.WantText(t, "second tab", second.Text, "<p>1: Grace, </p>")
}

func TestLoginWithSCS(t *testing.T) {
	browser := browse(t, newClub().after(t))
	anonymous := browser.Get("/signup")
	login := url.Values{"user": {"ada"}}
	wantStatus(t, browser.Page().Call("POST", "/login", login), http.StatusOK)
	pagestatetest.Refused(t, anonymous.Form("/signup").Submit().Response, pagestate.ErrInvalid)

	adas := browser.Get("/signup")
	testkit.WantText(t, "Ada's page", adas.Form("/signup").Fill("answer", "Ada").Submit().Text, "<p>1: Ada, </p>")
	wantStatus(t, browser.Page().Call("POST", "/login", login), http.StatusOK)
	pagestatetest.Refused(t, adas.Form("/signup").Submit().Response, pagestate.ErrInvalid)

	here := browser.Get("/signup").Call("POST", "/login-here", nil)
	testkit.WantText(t, "the page of a login", here.Form("/signup").Fill("answer", "Ada").Submit().Text, "<p>1: Ada, </p>")

	again := browser.Get("/signup")
	wantStatus(t, browser.Page().Call("POST", "/logout", nil), http.StatusOK)
	pagestatetest.Refused(t, again.Form("/signup").Submit().Response, pagestate.ErrInvalid)
	wantStatus(t, browser.Get("/signup"), http.StatusOK)
}

// TestSessionOfSCSInATest: a test has no LoadAndSave, and loads the session by
// itself.
func TestSessionOfSCSInATest(t *testing.T) {
	c := newClub()
	handler := c.after(t)
	ctx, err := c.sessions.Load(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	c.sessions.Put(ctx, "pagestate", rand.Text())
	req := requestWith(ctx)
	pagestatetest.AddState(t, c.mw, req, &Signup{Step: 1, Name: "Ada"})
	testkit.Want(t, "step", pagestatetest.State[Signup](t, c.mw, req, respond(handler, req)).Step, 2)
}
