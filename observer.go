package pagestate

// This file holds what can be measured of a running middleware. What is logged
// is in log.go.

import (
	"context"
	"time"
)

// Observer has the functions that are told what a [Middleware] does, for
// metrics. A nil function is skipped, and nothing is measured for it.
//
// What they get takes few values, the sizes and durations aside: never a token,
// a key, a state, or anything else that a client has sent.
//
// The functions are called while a request waits, from several goroutines at
// once, and must not call this package. The context is that of the request, or
// the one given to [Middleware.Open] or [Middleware.Reseal], and may be
// cancelled by then; [Middleware.Seal] has none, and passes
// context.Background().
type Observer struct {
	// Opened is called when a token has become a state.
	Opened func(context.Context, Opened)

	// Sealed is called when a state has become a new token.
	Sealed func(context.Context, Sealed)

	// Refused is called for every error that is logged: those that clients
	// get, see [Status], and those of handlers that fail when their answer has
	// begun.
	Refused func(context.Context, Refused)
}

// Opened says that a token has become a state.
type Opened struct {
	Component string        // as registered
	Took      time.Duration // from decryption to the end of Load, Fetch included
}

// Sealed says that a state has become a new token.
type Sealed struct {
	Component string        // as registered
	Took      time.Duration // to encode and encrypt
	Bytes     int           // of the token
}

// Refused says that a request was refused, or failed.
type Refused struct {
	Code   string // as of [Status]
	Status int    // that goes with Code, whether or not it could still be sent
}

// startTimer starts to measure for one of the functions. If nobody wants to
// know, no clock is read.
func startTimer(wanted bool) (start time.Time) {
	if wanted {
		start = time.Now()
	}
	return start
}

func since(start time.Time) time.Duration {
	if start.IsZero() {
		return 0
	}
	return time.Since(start)
}
