package main

// This file holds who is logged in: a signed cookie, and the user in a
// request's context. It asks for no password, as it is a demo.

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"net/http"
	"slices"

	"github.com/gorilla/sessions"
	"github.com/pagestate/pagestate"
)

var people = []string{"Ada", "Grace"}

// newLogins makes the store of login cookies. Its key comes from the secret,
// but is another one than the tokens have.
func newLogins(secret []byte) (sessions.Store, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "login of the board", 32)
	if err != nil {
		return nil, err
	}
	store := sessions.NewCookieStore(key)
	store.Options.HttpOnly = true
	store.Options.SameSite = http.SameSiteLaxMode
	store.Options.Secure = false // behind HTTPS say true
	return store, nil
}

type userKey struct{}

func withUser(ctx context.Context, user string) context.Context {
	return context.WithValue(ctx, userKey{}, user)
}

// userOf returns "" for a visitor who has not logged in.
func userOf(ctx context.Context) string {
	user, _ := ctx.Value(userKey{}).(string)
	return user
}

func nameOf(r *http.Request) string {
	if user := userOf(r.Context()); user != "" {
		return user
	}
	return "Guest"
}

// identify stands outside of the state middleware, which binds tokens to what
// it finds.
func (s *site) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, _ := s.logins.Get(r, "login") // a cookie that does not open is no login
		user, _ := session.Values["user"].(string)
		next.ServeHTTP(w, r.WithContext(withUser(r.Context(), user)))
	})
}

// login logs in, or out if there is no such user. Either way the tokens of
// pages that are open in this browser end with it.
func (s *site) login(w http.ResponseWriter, r *http.Request) error {
	user := r.PostFormValue("user")
	if !slices.Contains(people, user) {
		user = ""
	}
	if err := s.become(w, r, user); err != nil {
		return err
	}
	return pagestate.Redirect(w, r, "/")
}

func (s *site) become(w http.ResponseWriter, r *http.Request, user string) error {
	session, _ := s.logins.Get(r, "login")
	session.Values["user"] = user
	if err := session.Save(r, w); err != nil {
		return err
	}
	r = r.WithContext(withUser(r.Context(), user)) // Renew asks Options.User about r
	return s.state.Renew(w, r)
}
