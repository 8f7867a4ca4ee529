// Package pagestatetest helps to test handlers that work on a component's
// state. In a test a state is a Go value, not a token.
//
// A handler is called with a state, and asked what it made of it:
//
//	func TestIncrement(t *testing.T) {
//		req := pagestatetest.NewRequest(t, mw, "POST", "/increment", nil, &Counter{Count: 5})
//		rec := httptest.NewRecorder()
//		handler.ServeHTTP(rec, req)
//		if c := pagestatetest.State[Counter](t, mw, req, rec.Result()); c.Count != 6 {
//			t.Errorf("the count is %d", c.Count)
//		}
//	}
//
// Here handler is the application's, wrapped by mw.Handler. [Refused] and
// [Unchanged] check what else can come back, a [Clock] makes tokens old, and a
// [Browser] goes from page to page over HTTP, and fills in their forms.
//
// A refusal tells a client little. Its cause is in the log, which a test shows
// if it has this as Options.Logger:
//
//	slog.New(slog.NewTextHandler(t.Output(), nil))
//
// In the examples t is the test's *testing.T.
package pagestatetest

// This file makes the requests. What came back is looked at in response.go.
// Over HTTP, browser.go and form.go do both.

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/pagestate/pagestate"
)

// NewRequest returns a request for a handler under test, as httptest.NewRequest
// makes it, with state as [AddState] adds it. It is the request of a visitor
// with a session, who is logged in only if Options.User says so of a bare
// request.
func NewRequest(t testing.TB, m *pagestate.Middleware, method, target string, body io.Reader, state any) *http.Request {
	t.Helper()
	r := httptest.NewRequest(method, target, body)
	AddState(t, m, r, state)
	return r
}

// AddState adds state, a *T or T of a registered component, to r: sealed for the
// owner of r, in the header Page-State. A second one is added behind the first,
// which is that of the component that acts. Leave the fields zero that Load
// sets.
//
// If r has no session, it gets one, with its cookie. What Options.User or the
// function of [pagestate.SessionFunc] look at must be on r before: a header, a
// cookie, a value in its context. Load does not run.
//
// AddState returns the token, for what Options.Sources find elsewhere than in the
// header: a form field, a JSON body.
func AddState(t testing.TB, m *pagestate.Middleware, r *http.Request, state any) (token string) {
	t.Helper()
	if err := ensureSession(m, r); err != nil {
		t.Fatalf("pagestatetest: giving the request a session: %v", err)
	}
	owner, err := m.Owner(detached(r))
	if err != nil {
		t.Fatalf("pagestatetest: reading whose request it is: %v", err)
	}
	token, err = m.Seal(owner, state)
	if err != nil {
		t.Fatalf("pagestatetest: sealing %T: %v", state, err)
	}
	r.Header.Add(stateHeader, token)
	return token
}

const stateHeader = "Page-State"

// ensureSession has the binding make a session, as it does at login. That of
// Unbound makes none, and needs none.
func ensureSession(m *pagestate.Middleware, r *http.Request) error {
	owner, err := m.Owner(detached(r))
	if err != nil || owner.Session != "" {
		return err
	}
	rec := httptest.NewRecorder()
	if err := m.Renew(rec, detached(r)); err != nil {
		return err
	}
	setCookies(r, rec.Result().Cookies())
	return nil
}

// detached returns a copy of r for a binding to look at. gorilla/sessions would
// leave in r itself what it decoded, and the handler would not see what the
// test changed afterwards. The work is not given up when the request has ended.
func detached(r *http.Request) *http.Request {
	return r.Clone(context.WithoutCancel(r.Context()))
}

// setCookies changes the cookies of r as a browser's would be by a response.
func setCookies(r *http.Request, set []*http.Cookie) {
	kept := r.Cookies()
	for _, c := range set {
		kept = slices.DeleteFunc(kept, func(k *http.Cookie) bool { return k.Name == c.Name })
		if c.MaxAge >= 0 {
			kept = append(kept, c)
		}
	}
	r.Header.Del("Cookie")
	for _, c := range kept {
		r.AddCookie(c)
	}
}
