// Package owner tells the packages of this module whose request it is, for those
// that keep something on the server. Applications have no use for it: what they keep
// has owners of their own.
package owner

import "context"

// A Name stands for one owner. It is the same in all requests of a session and user,
// whatever the secrets are, and another one after Middleware.Renew. The session
// cannot be found out from it.
type Name [32]byte

// A Request knows whose it is. It is safe for concurrent use.
type Request interface {
	// Existing returns the present owner, and false if there is none: the request has
	// no session.
	Existing() (name Name, ok bool, err error)

	// Ensured returns the present owner, whose session is made if there is none. Its
	// errors are those of Attach.
	Ensured() (Name, error)
}

// Key is where the context of a request has its Request.
type Key struct{}

// Of returns what knows whose request it is, or nil outside of one.
func Of(ctx context.Context) Request {
	r, _ := ctx.Value(Key{}).(Request)
	return r
}
