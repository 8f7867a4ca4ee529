package integration_test

// The code of docs/login.md, and what it says of tabs and browsers.

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gorilla/sessions"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

// forum has people who log in. Its own sessions say who they are.
type forum struct {
	sessions sessions.Store
	mw       *pagestate.Middleware
}

// authenticated puts into the request's context who is logged in.
func (f *forum) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, err := f.sessions.Get(r, "login")
		if user, ok := session.Values["user"].(string); err == nil && ok {
			r = r.WithContext(withUser(r.Context(), user))
		}
		next.ServeHTTP(w, r)
	})
}

func (f *forum) handler(secrets [][]byte) (http.Handler, error) {
	registry := pagestate.NewRegistry()
	pagestate.Register[Post](registry, "post")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: secrets,
		Session: pagestate.Cookie(http.Cookie{Name: "__Host-page", Path: "/", Secure: true}),
		User:    func(r *http.Request) string { return userOf(r.Context()) },
	})
	if err != nil {
		return nil, err
	}
	f.mw = mw
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", pagestate.HandlePage(f.show))
	mux.Handle("POST /{$}", pagestate.Handle(f.write))
	mux.Handle("POST /login", pagestate.HandlePage(f.logIn))
	mux.Handle("POST /logout", pagestate.HandlePage(f.logOut))
	protection := http.NewCrossOriginProtection() // for the login, which needs no token
	return protection.Handler(f.authenticated(mw.Handler(mux))), nil
}

func (f *forum) logIn(w http.ResponseWriter, r *http.Request) error {
	user := r.FormValue("user")              // check the password
	session, _ := f.sessions.New(r, "login") // a cookie that cannot be read is replaced
	session.Values["user"] = user
	if err := session.Save(r, w); err != nil {
		return err
	}
	r = r.WithContext(withUser(r.Context(), user)) // Renew asks Options.User about r
	if err := f.mw.Renew(w, r); err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func (f *forum) logOut(w http.ResponseWriter, r *http.Request) error {
	session, _ := f.sessions.New(r, "login") // a cookie that cannot be read is replaced
	session.Options.MaxAge = -1              // deletes it
	if err := session.Save(r, w); err != nil {
		return err
	}
	r = r.WithContext(withUser(r.Context(), "")) // nobody
	if err := f.mw.Renew(w, r); err != nil {
		return err
	}
	w.Header().Set("Clear-Site-Data", `"cache"`) // so that Back shows nothing of before
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// Post is what somebody is writing.
type Post struct {
	pagestate.Component
	Text string
}

func (f *forum) show(w http.ResponseWriter, r *http.Request) error {
	p, err := pagestate.FromOrAttach(r.Context(), &Post{})
	if err != nil {
		return err
	}
	return f.page(w, r, p)
}

func (f *forum) write(w http.ResponseWriter, r *http.Request, p *Post) error {
	p.Text += r.FormValue("text")
	return f.page(w, r, p)
}

func (f *forum) page(w http.ResponseWriter, r *http.Request, p *Post) error {
	field, err := p.StateField()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err = fmt.Fprintf(w, `%s writes %q <form method="post" action="/">%s<input name="text"></form>
		<form method="post" action="/login"><input name="user"></form><form method="post" action="/logout"></form>`,
		userOf(r.Context()), p.Text, field)
	return err
}

func TestTokensAreBoundToUsers(t *testing.T) {
	f := &forum{sessions: sessions.NewCookieStore(testkit.NewSecret())}
	handler, err := f.handler([][]byte{testkit.NewSecret()})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(handler)
	defer server.Close()

	browser := pagestatetest.NewBrowser(t, server)
	ada := browser.Get("/").Form("/login").Fill("user", "ada").Submit()
	browser.Header.Set("Cookie", f.loginCookie(t, "bob")) // comes before ada's; the page's cookie stays
	pagestatetest.Refused(t, ada.Form("/").Submit().Response, pagestate.ErrInvalid)
}

// loginCookie returns the cookie of a user who is logged in, for a Cookie header.
func (f *forum) loginCookie(t *testing.T, user string) string {
	session, _ := f.sessions.New(httptest.NewRequest("GET", "/", nil), "login")
	session.Values["user"] = user
	w := httptest.NewRecorder()
	if err := session.Save(nil, w); err != nil {
		t.Fatal(err)
	}
	c := w.Result().Cookies()[0]
	return c.Name + "=" + c.Value
}

func TestTabsAndBrowsers(t *testing.T) {
	store := sessions.NewCookieStore(testkit.NewSecret())
	f := &forum{sessions: store}
	handler, err := f.handler([][]byte{testkit.NewSecret()})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(handler)
	defer server.Close()
	write := func(p pagestatetest.Page, text string) pagestatetest.Page {
		return p.Form("/").Fill("text", text).Submit()
	}
	refused := func(p pagestatetest.Page) {
		t.Helper()
		pagestatetest.Refused(t, p.Response, pagestate.ErrInvalid)
	}
	here := pagestatetest.NewBrowser(t, server)

	before := here.Get("/")
	ada := here.Get("/").Form("/login").Fill("user", "ada").Submit()
	testkit.WantText(t, "after the login", ada.Text, `ada writes ""`)
	refused(write(before, "x"))

	first, second := write(ada, "one"), write(here.Get("/"), "two")
	testkit.WantText(t, "one tab", write(first, " more").Text, `ada writes "one more"`)
	testkit.WantText(t, "another", write(second, " more").Text, `ada writes "two more"`)
	testkit.WantText(t, "a duplicate of the first", write(first, " else").Text, `ada writes "one else"`)

	there := pagestatetest.NewBrowser(t, server)
	elsewhere := there.Get("/").Form("/login").Fill("user", "ada").Submit()
	testkit.WantText(t, "another browser", elsewhere.Text, `ada writes ""`)
	refused(there.Page(first.Tokens...).Call("POST", "/", nil))

	testkit.WantText(t, "the other browser logged out", elsewhere.Form("/logout").Submit().Text, ` writes ""`)
	testkit.WantText(t, "and this one did not", write(first, "!").Text, `ada writes "one!"`)

	out := here.Get("/").Form("/logout").Submit()
	refused(write(first, "x"))
	bob := out.Form("/login").Fill("user", "bob").Submit()
	testkit.WantText(t, "another user", bob.Text, `bob writes ""`)
	refused(write(first, "x"))
	testkit.WantText(t, "on his page", write(bob, "hi").Text, `bob writes "hi"`)
}

// TestWriteAsAda is in docs/testing.md: AddState knows nothing of authenticated.
func TestWriteAsAda(t *testing.T) {
	f := &forum{sessions: sessions.NewCookieStore(testkit.NewSecret())}
	handler, err := f.handler([][]byte{testkit.NewSecret()})
	if err != nil {
		t.Fatal(err)
	}
	serve := func(req *http.Request) *http.Response {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, req)
		return rec.Result()
	}
	var login *http.Cookie
	for _, c := range serve(httptest.NewRequest("POST", "/login?user=ada", nil)).Cookies() {
		if c.Name == "login" {
			login = c
		}
	}

	req := httptest.NewRequest("POST", "/?text=hi", nil)
	req.AddCookie(login)                                  // for the middleware
	req = req.WithContext(withUser(req.Context(), "ada")) // for AddState
	pagestatetest.AddState(t, f.mw, req, &Post{})
	res := serve(req)
	testkit.Want(t, "text", pagestatetest.State[Post](t, f.mw, req, res).Text, "hi")

	req = httptest.NewRequest("POST", "/?text=hi", nil)
	req.AddCookie(login)
	pagestatetest.AddState(t, f.mw, req, &Post{})
	pagestatetest.Refused(t, serve(req), pagestate.ErrInvalid)
}
