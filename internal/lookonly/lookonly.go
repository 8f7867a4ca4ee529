// Package lookonly lets package pagestatetest open a token without using it up
// for a guard, which no application may. It holds the mark in a context that says
// so.
package lookonly

import "context"

type key struct{}

// Context returns a context in which Middleware.Open does not ask the guard.
func Context(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, true) }

// Is reports whether ctx is one of Context's.
func Is(ctx context.Context) bool { return ctx.Value(key{}) != nil }
