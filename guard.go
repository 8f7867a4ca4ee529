package pagestate

// This file holds the guard against replays: what it promises, and the one that
// keeps its records in this process. When it is asked, and what goes out
// afterwards, is in middleware.go and exchange.go.

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/pagestate/pagestate/internal/lookonly"
	"github.com/pagestate/pagestate/internal/token"
)

// A Guard remembers which revision of each instance was used last, so that no
// token is used twice. Without one, a token can be sent again until it expires,
// and of two tabs with one token each goes on from it, its own way. [NewGuard] is
// for one server; package guard/redisguard is for several.
//
// It is asked once per request, for the component that acts, when its state is
// there and just before the handler runs; children of that component are not
// claimed. Of two requests with one token the first runs, and the other is
// answered 409 StateConflict. So that the page can go on, every response then
// carries a token of the next revision, also if nothing changed or the handler
// failed: with the state as it came in. There is none after a panic, with the 410
// of an [ErrStale], and after a [Middleware.Renew].
//
// A guard knows the tokens of one page. Reloading the page starts a new
// instance, so what a person may do only once is for the application to see to,
// where it does it. A page that sends two requests at once must wait for the
// first answer before it sends the second, as the script of package client does;
// a redirect uses the token up and brings no other to the page that stays open.
//
// A Guard is safe for concurrent use.
type Guard interface {
	// Claim records revision, atomically, or returns an [ErrConflict] unless it
	// is newer than every revision claimed for instance. The record may be
	// forgotten after keep: by then every token that it keeps out has expired.
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
	// Any other token of that instance and revision, or an older one, was sealed
	// before now, or by a server whose clock is ahead, and ages are whole seconds:
	// it opens until it is one second older than MaxAge.
	keep := opt.MaxAge + min(token.MaxSkew+time.Second, math.MaxInt64-opt.MaxAge)
	err := opt.Guard.Claim(ctx, string(in.Instance[:]), in.Revision, keep)
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

// NewGuard returns a guard that keeps its records in this process. It knows
// nothing of what other servers have seen, and forgets everything when the process
// ends.
//
// It remembers at most so many instances, of some 200 bytes each. To make room it
// forgets the instance whose last claim is the oldest, and the used tokens of that
// one can be used again. A visitor who opens that many pages can make it forget
// any page, so choose a number that is out of reach. It panics if instances is
// less than 1.
func NewGuard(instances int) Guard {
	if instances < 1 {
		panic("pagestate: NewGuard: a guard needs room for 1 instance or more")
	}
	return &localGuard{room: instances, claims: make(map[string]*list.Element)}
}

type localGuard struct {
	room int

	mu     sync.Mutex
	claims map[string]*list.Element
	order  list.List // of claims, the latest at the back
}

type localClaim struct {
	instance string
	revision uint64
	until    time.Time
}

func (g *localGuard) Claim(_ context.Context, instance string, revision uint64, keep time.Duration) error {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	for front := g.order.Front(); front != nil && !now.Before(front.Value.(*localClaim).until); front = g.order.Front() {
		g.forget(front)
	}
	if e := g.claims[instance]; e != nil {
		if revision <= e.Value.(*localClaim).revision {
			return ErrConflict
		}
		g.forget(e)
	}
	if len(g.claims) == g.room {
		g.forget(g.order.Front())
	}
	g.claims[instance] = g.order.PushBack(&localClaim{instance, revision, now.Add(keep)})
	return nil
}

func (g *localGuard) forget(e *list.Element) {
	delete(g.claims, g.order.Remove(e).(*localClaim).instance)
}
