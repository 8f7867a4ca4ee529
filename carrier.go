package pagestate

// This file holds the carriers, which keep what a redirect carries: in cookies of
// the visitor, or in this process. What a parcel holds, and when a carrier is
// asked, is in redirect.go.

import (
	"net/http"
	"time"
)

// A Parcel is what [Redirect] gives a [Carrier] to keep.
type Parcel struct {
	ID    string        // stands in the URL; 26 letters and digits, random
	Value string        // what to keep: letters, digits, - and _
	Keep  time.Duration // until nothing in it opens any more; a carrier may keep it for less
}

// A Carrier keeps parcels between a redirect and the page that it leads to.
// [CookieCarrier] and [NewCarrier] are carriers, and package adapter/redisstate
// has one for several servers.
//
// A parcel opens for the owner alone whose states it holds, so a carrier needs no
// rule about who may get it. The arguments w and r are as in [Binding]: cookies may be
// set on w, and nothing written. A Carrier is safe for concurrent use.
type Carrier interface {
	// Put keeps p. It returns an [ErrTooLarge] if there is no room for it; any
	// other error means that nothing is known, and the client is answered 503
	// StateUnavailable. It returns when the request's context ends.
	Put(w http.ResponseWriter, r *http.Request, p Parcel) error

	// Get returns the Value of the parcel with that id, "" if it is not known. It
	// consumes nothing: a page may be loaded again. Errors are as those of Put.
	Get(w http.ResponseWriter, r *http.Request, id string) (value string, err error)
}

// carryLess is what to do about states that a carrier has no room for.
const carryLess = "carry a smaller state, or set Options.Carrier to NewCarrier or to that of adapter/redisstate"
