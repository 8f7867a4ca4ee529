package pagestate

// This file holds the bindings, which supply the session part of an Owner: on a
// cookie of their own, on gorilla/sessions (internal/gorilla), or on anything
// else. When a request asks its binding is in visitor.go.

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gorilla/sessions"

	"github.com/pagestate/pagestate/internal/cookie"
	"github.com/pagestate/pagestate/internal/gorilla"
	"github.com/pagestate/pagestate/internal/sessionid"
	"github.com/pagestate/pagestate/internal/token"
)

// Binding says which browser session a request belongs to. Tokens sealed in one
// session do not open in another, so a token that leaks into a log or another
// browser is of no use there.
//
// [Session], [Cookie] and [SessionFunc] are bindings, and so is [Unbound],
// which gives that protection up. Another implementation must be safe for
// concurrent use by several requests; the calls for one request do not overlap.
// It need not see, later in a request, what it set on that request's response:
// the middleware remembers the last id it was given.
//
// It must not call this package, except the bindings here.
//
// An error means that nothing is known, as when a store does not answer. It is
// never "there is no session": that is an empty id from Existing.
type Binding interface {
	// Existing returns the id of the session that r came with, or "" if there
	// is none. It creates, saves and sets nothing.
	Existing(r *http.Request) (id string, err error)

	// Ensure returns what Existing does, or starts a session if there is none.
	// It may set a cookie on w, and so must run before the first byte of the
	// body.
	Ensure(w http.ResponseWriter, r *http.Request) (id string, err error)

	// Renew returns an id that was never used before, and lets it take the
	// place of the old one. It is for login and logout. Like Ensure it may set
	// a cookie on w.
	Renew(w http.ResponseWriter, r *http.Request) (id string, err error)
}

// Session keeps a random value in a session of its own in store, called name.
// Use it where the application has a gorilla/sessions store already. Do not
// give it the name of the login session: this one is replaced by Renew, and is
// saved by rules of its own.
//
// The session's cookie is HttpOnly, whatever the store says. All else is the
// store's, with the path / and SameSite=Lax where it says nothing. The
// SameSite=None that NewCookieStore sets counts as nothing, unless Partitioned is
// set too. Set Secure in production; a [sessions.CookieStore] sets it from the
// start, and its cookie then does not arrive over plain HTTP. The age counts from
// when the session was started or renewed, not from its last use, so let it be
// longer than Options.MaxLifetime.
//
// A cookie that the store cannot decode (tampered with, under another key, too
// old), or whose record is gone, is no session: the next Ensure replaces it. Nor
// are two cookies of the name with different values, as with [Cookie].
// "Gone" is fs.ErrNotExist or sql.ErrNoRows. Every other error of the store is
// returned.
//
// Renew deletes the record of the old session from the store, so a copy of the
// old cookie is worth nothing from then on. A CookieStore has no records, and
// cannot do that: Renew replaces the cookie in this browser, but nothing on the
// server ends a cookie that was copied before logout. Whoever holds the copy
// can use the tokens sealed for it until they, or the cookie, expire. Where
// that matters use a store that keeps its sessions on the server, and set
// Options.User.
//
// Handlers that open the session of that name in the same store share it with
// the middleware, within one request too. With a CookieStore they must save it
// before they attach a state: what they save later is overruled by the
// middleware's cookie. With a store on the server, what they save after another
// request has called Renew brings the old session back. So leave it alone;
// [sessions.Save] passes over it in handlers that have not opened it. It is as safe
// for concurrent use as the store is.
//
// A nil store, and a name that cannot be a cookie's, are faults that New reports.
// So is a [sessions.FilesystemStore] whose MaxAge is 0, since it deletes what
// it is told to save. Options for which browsers refuse the cookie, as with
// [Cookie], are faults if the store has them in a field called Options, as
// gorilla's have; with any other store Ensure and Renew return the error.
func Session(store sessions.Store, name string) Binding {
	return gorilla.New(store, name)
}

// Cookie keeps a random value in a cookie of its own, with no store behind it.
// It is the cheapest binding, and the one to take if there is no session
// library.
//
// The cookie is not signed, on purpose: its value only selects a key, and that
// key cannot be made without the secret, so nobody gains anything by making a
// value up. What can hurt is another site of the same domain that plants a
// value it knows. The prefix __Host- rules that out:
//
//	pagestate.Cookie(http.Cookie{Name: "__Host-page", Path: "/", Secure: true})
//
// Name is needed. Path, Domain, Secure, MaxAge, SameSite and Partitioned are as
// given; an empty Path is "/", SameSite is Lax if it is not set, and a MaxAge of 0
// lets the cookie end with the browser session. The age counts from when the
// cookie was set, not from its last use, so let it be longer than
// Options.MaxLifetime. HttpOnly is always on.
//
// With SameSite=Strict a link from another site comes without the cookie. A page
// that it leads to starts a new session, and tabs that were open before get 400.
//
// Two cookies of the name with different values are no session, since another
// host may have set one. Ensure and Renew set a new one then, and delete those of
// the host, of its parent domains and of the paths that lead to the request's. The
// middleware deletes those below Path in every answer to such a request.
//
// As with a CookieStore nothing on the server ends a cookie: Renew replaces it
// in this browser, and a copy made before lives on.
//
// These are faults that New reports: a name, path or domain that a cookie cannot
// have; a negative MaxAge; SameSite=None without Secure; Partitioned without
// SameSite=None; a prefix __Host-, __Secure-, __Http- or __Host-Http- without what
// browsers demand for it, or in another case; Value and Expires. It is safe for concurrent use.
func Cookie(c http.Cookie) Binding {
	if c.Path == "" {
		c.Path = "/"
	}
	ignored := ""
	switch {
	case c.Value != "" || c.Quoted:
		ignored = "Value"
	case !c.Expires.IsZero():
		ignored = "Expires"
	}
	return &cookieBinding{http.Cookie{
		Name:        c.Name,
		Path:        c.Path,
		Domain:      c.Domain,
		MaxAge:      c.MaxAge,
		Secure:      c.Secure,
		Partitioned: c.Partitioned,
		HttpOnly:    true,
		SameSite:    cookie.SameSite(c.SameSite),
	}, ignored}
}

// SessionFunc leaves the session to another library: id returns something that
// names the session of a request, and "" if there is none. It must not start
// one, and not call this package. It must be safe for concurrent use.
//
// The id must stay the same for as long as the session does, be another one in
// every session, and be known by the time it is asked for. The session token of
// alexedwards/scs is not, since it is "" until the session is committed. Keep a
// random value under a key of the session and return that:
//
//	pagestate.SessionFunc(func(r *http.Request) string {
//		return sessionManager.GetString(r.Context(), "pagestate")
//	})
//
// Such a value is put there when the session starts, and replaced at login and
// logout, with
//
//	sessionManager.Put(ctx, "pagestate", rand.Text())
//
// Ensure and Renew start and renew nothing: they call id again. The application
// starts its session before it shows the first component, and renews it, with
// this value, before it calls [Middleware.Renew]. If id still gives "" then,
// that is an error. A nil id is a fault that New reports.
func SessionFunc(id func(*http.Request) string) Binding {
	return funcBinding(id)
}

// Unbound binds tokens to no session. Whoever gets hold of a token can use it
// in any browser until it expires, unless Options.User tells them apart. Use it
// where there can be no cookie, or where a state is nobody's secret and does
// nobody harm.
//
// Its Existing, Ensure and Renew give "" and no error, and its Renew ends
// nothing.
func Unbound() Binding { return unboundBinding{} }

// bindingKind is part of the key, so that an id that an application chooses
// never stands for one that this package made.
func bindingKind(b Binding) token.BindingKind {
	switch b.(type) {
	case unboundBinding:
		return token.Unbound
	case funcBinding:
		return token.BoundByFunc
	default:
		return token.Bound
	}
}

// checkBinding returns what New has to say against b.
func checkBinding(b Binding) error {
	switch b := b.(type) {
	case nil:
		return errors.New("pagestate: Options.Session is nil; set it to Session, Cookie or SessionFunc, or to Unbound() to do without on purpose")
	case *gorilla.Binding:
		return b.Check()
	case *cookieBinding:
		return b.check()
	case funcBinding:
		if b == nil {
			return errors.New("pagestate: SessionFunc: the function is nil; pass one that returns the id of the request's session")
		}
	}
	return nil
}

// cookieName is that of the cookie which b sets, "" if it is not known.
func cookieName(b Binding) string {
	switch b := b.(type) {
	case *cookieBinding:
		return b.cookie.Name
	case *gorilla.Binding:
		return b.Name()
	}
	return ""
}

// strays returns Set-Cookie lines that end cookies which keep the session of r from
// being known, and which the page that attaches may not see.
func strays(b Binding, r *http.Request) []string {
	switch b := b.(type) {
	case *cookieBinding:
		return cookie.Strays(r, &b.cookie)
	case *gorilla.Binding:
		return b.Strays(r)
	}
	return nil
}

// prepareSession readies r, the middleware's own copy of a request, if the
// binding may be a Session.
func prepareSession(b Binding, r *http.Request) {
	switch b.(type) {
	case *cookieBinding, funcBinding, unboundBinding:
	default: // one of the application's may be around a Session
		gorilla.Prepare(r)
	}
}

// cookieBinding is a cookie without a store.
type cookieBinding struct {
	cookie  http.Cookie // what to set, except its value
	ignored string      // the option that was passed and is not honoured, if any
}

func (b *cookieBinding) Existing(r *http.Request) (string, error) {
	found := ""
	for _, c := range r.CookiesNamed(b.cookie.Name) {
		switch {
		case !sessionid.Is(c.Value) || c.Value == found:
		case found != "":
			return "", nil // which of the two is ours cannot be known
		default:
			found = c.Value
		}
	}
	return found, nil
}

func (b *cookieBinding) Ensure(w http.ResponseWriter, r *http.Request) (string, error) {
	if id, err := b.Existing(r); err != nil || id != "" {
		return id, err
	}
	return b.Renew(w, r)
}

func (b *cookieBinding) Renew(w http.ResponseWriter, r *http.Request) (string, error) {
	c := b.cookie
	c.Value = sessionid.New()
	for _, line := range cookie.Leftovers(r, &c) {
		w.Header().Add("Set-Cookie", line)
	}
	http.SetCookie(w, &c)
	return c.Value, nil
}

func (b *cookieBinding) check() error {
	if b.ignored != "" {
		return fmt.Errorf("pagestate: Cookie %q: %s is not honoured; leave it out", b.cookie.Name, b.ignored)
	}
	if err := cookie.Check(&b.cookie); err != nil {
		return fmt.Errorf("pagestate: Cookie %q: %w", b.cookie.Name, err)
	}
	return nil
}

// funcBinding is the session of another library.
type funcBinding func(*http.Request) string

func (id funcBinding) Existing(r *http.Request) (string, error) { return id(r), nil }

func (id funcBinding) Ensure(_ http.ResponseWriter, r *http.Request) (string, error) {
	return id.required(r)
}

func (id funcBinding) Renew(_ http.ResponseWriter, r *http.Request) (string, error) {
	return id.required(r)
}

func (id funcBinding) required(r *http.Request) (string, error) {
	if s := id(r); s != "" {
		return s, nil
	}
	return "", errors.New("pagestate: the function of SessionFunc gave no session; start one before the first component is shown, and return a value kept under a key of it if its token is not known yet")
}

// unboundBinding is no session at all.
type unboundBinding struct{}

func (unboundBinding) Existing(*http.Request) (string, error)                    { return "", nil }
func (unboundBinding) Ensure(http.ResponseWriter, *http.Request) (string, error) { return "", nil }
func (unboundBinding) Renew(http.ResponseWriter, *http.Request) (string, error)  { return "", nil }
