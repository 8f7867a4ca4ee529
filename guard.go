package pagestate

// This file holds the guard against replays: what it promises, and the one that
// keeps its records in this process. When it is asked, and what goes out
// afterwards, is in exchange.go.

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/pagestate/pagestate/internal/lookonly"
	"github.com/pagestate/pagestate/internal/token"
)

// A Guard remembers which revision of each instance was used last, so that no
// token is used twice. Without one, a token can be sent again until it expires,
// and of two tabs with one token each goes on from it, its own way. [NewGuard] is
// for one server; package adapter/redisstate is for several.
//
// It is asked once per request, for the component that acts, when its state is
// there and just before the handler runs; children of that component are not
// claimed. Of two requests with one token the first runs, and the other is
// answered 409 StateConflict. So that the page can go on, the response then
// carries a token of the next revision, also if nothing changed or the handler
// failed: with the state as it came in. There is none after a panic, with the 410
// of an [ErrStale], and after a [Middleware.Renew]. Where [Token] or [Field] gave
// the page one, the header carries no other: a failing handler that gave one for
// what it had changed returns its error, or calls [WriteError], and the header
// then has one for what came in.
//
// Requests with the methods GET, HEAD, OPTIONS and TRACE are not claimed: looking
// at a page again, ahead of time or with Back uses nothing up. So do nothing in
// answer to them that may happen only once. What they seal has the revision of the
// token that they bring, and is used up together with it. So has what any request
// seals of a child of the component that acts; where there is no lifetime, that may
// outlive the record.
//
// A guard knows the tokens of one page. Reloading the page starts a new
// instance, so what a person may do only once is for the application to see to,
// where it does it. So does each load of a page that [Redirect] carried a state to,
// if that was in answer to an unsafe request. A page that sends two requests at once
// must wait for the first answer before it sends the second, as the script of package
// client does.
//
// A record lasts as long as the tokens that it keeps out, by the options of the
// time when it was made. Raising Options.MaxLifetime, or MaxAge where there is no
// lifetime, needs Options.NotBefore too: used tokens would be good again.
//
// A Guard is safe for concurrent use.
type Guard interface {
	// Claim records revision, atomically, or returns an [ErrConflict] unless it
	// is newer than every revision claimed for instance. The record may be
	// forgotten after keep: by then every token that it keeps out has expired.
	// That is Options.MaxLifetime after the instance was first sealed or, where
	// there is no lifetime, MaxAge after the claim, and a little more for clocks
	// that differ.
	//
	// Any other error means that the guard could not be asked. The client is
	// answered 503 StateUnavailable, and the handler does not run. A guard that is
	// asked over a network may have recorded the claim all the same: then the
	// token, sent again, is an ErrConflict. Claim returns when ctx ends.
	Claim(ctx context.Context, instance string, revision uint64, keep time.Duration) error
}

// claim asks the guard, if there is one, to record that the token of in is used.
func (in *instance) claim(ctx context.Context) error {
	opt := &in.m.opt
	if opt.Guard == nil || lookonly.Is(ctx) {
		return nil
	}
	err := opt.Guard.Claim(ctx, string(in.Instance[:]), in.Revision, in.keep())
	switch {
	case err == nil:
		in.refresh = true
		return nil
	case errors.Is(err, ErrConflict):
		return fmt.Errorf("component %q: %w", in.component.name, err)
	default:
		return fmt.Errorf("%w: asking the guard: %w", ErrUnavailable, err)
	}
}

// keep is for how long some server may open a token of the instance that a claim
// made now ends.
func (in *instance) keep() time.Duration {
	opt := &in.m.opt
	longest := opt.MaxAge // all of these were sealed before now
	if opt.MaxLifetime > 0 {
		longest = in.FirstSealed.Add(opt.MaxLifetime).Sub(in.m.now())
	}
	// Clocks differ, and ages are whole seconds: a token opens until it is one
	// second too old.
	const slack = token.MaxSkew + time.Second
	return min(longest, math.MaxInt64-slack) + slack
}

// isSafe reports whether a request with that method uses no token up: browsers
// send it to look at something, ahead of time or again.
func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// NewGuard returns a guard that keeps its records in this process. It knows
// nothing of what other servers have seen, and forgets everything when the process
// ends.
//
// It remembers at most so many instances, of some 200 bytes each. To make room it
// forgets the one whose tokens expire first, and its used tokens can be used again
// until they do. A visitor who opens that many pages can make it forget any page,
// so choose a number that is out of reach. It panics if instances is less than 1.
func NewGuard(instances int) Guard {
	if instances < 1 {
		panic("pagestate: NewGuard: a guard needs room for 1 instance or more")
	}
	return &localGuard{room: instances, claims: make(map[string]*localClaim)}
}

type localGuard struct {
	room int

	mu     sync.Mutex
	claims map[string]*localClaim
	order  claimOrder
	number uint64 // of claims so far
}

type localClaim struct {
	instance string
	revision uint64
	until    time.Time
	number   uint64
	place    int // in the order
}

func (g *localGuard) Claim(_ context.Context, instance string, revision uint64, keep time.Duration) error {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.order) > 0 && !now.Before(g.order[0].until) {
		g.forget(g.order[0])
	}
	if c := g.claims[instance]; c != nil {
		if revision <= c.revision {
			return ErrConflict
		}
		g.forget(c)
	}
	if len(g.claims) == g.room {
		g.forget(g.order[0])
	}
	g.number++
	c := &localClaim{instance: instance, revision: revision, until: now.Add(keep), number: g.number}
	g.claims[instance] = c
	heap.Push(&g.order, c)
	return nil
}

func (g *localGuard) forget(c *localClaim) {
	delete(g.claims, c.instance)
	heap.Remove(&g.order, c.place)
}

// claimOrder is a heap with the claim in front that is forgotten first: the one
// that ends first, and of several the oldest.
type claimOrder []*localClaim

func (o claimOrder) Len() int { return len(o) }

func (o claimOrder) Less(i, j int) bool {
	if ends := o[i].until.Compare(o[j].until); ends != 0 {
		return ends < 0
	}
	return o[i].number < o[j].number
}

func (o claimOrder) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].place, o[j].place = i, j
}

func (o *claimOrder) Push(c any) {
	c.(*localClaim).place = len(*o)
	*o = append(*o, c.(*localClaim))
}

func (o *claimOrder) Pop() any {
	last := len(*o) - 1
	c := (*o)[last]
	(*o)[last] = nil
	*o = (*o)[:last]
	return c
}
