// Package sealed lets package inspect open a token without making a state of it. It
// holds the mark in a context that says so.
package sealed

import (
	"context"

	"github.com/pagestate/pagestate/internal/token"
)

// Token is what Middleware.Open returns for a context of Context's, as a *Token.
type Token struct {
	token.Envelope // with its data as the codec made it
	Component      string
	Compressed     bool // whether the data was
	Owner          token.Owner
}

type key struct{}

// Context returns a context in which Middleware.Open returns a *Token: it runs no code
// of the application, asks no guard and checks no age, and the component need not be
// registered.
func Context(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, true) }

// Is reports whether ctx is one of Context's.
func Is(ctx context.Context) bool { return ctx.Value(key{}) != nil }
