// Package redisstate keeps what several servers of one application have to share in
// a Redis that all of them reach: the records of a [pagestate.Guard], so that no
// token is used twice, whichever server it is sent to, and the parcels of a
// [pagestate.Carrier], so that a redirect may lead to any of them.
//
//	client := redis.NewClient(&redis.Options{Addr: "localhost:6379", ContextTimeoutEnabled: true})
//	mw, err := pagestate.New(registry, pagestate.Options{
//		…
//		Guard:   redisstate.NewGuard(client, "shop:guard:"),
//		Carrier: redisstate.NewCarrier(client, "shop:carrier:"),
//	})
//
// Either can be used without the other.
//
// # The guard
//
// A claim is one script on one key: one round trip for each request with an unsafe
// method, also after a restart of Redis, and with Cluster and Sentinel clients
// too. There is one record per instance that was used, of some 200 bytes with what
// Redis adds, and it expires when the tokens that it keeps out have expired:
// Options.MaxLifetime after the instance was first sealed or, where there is no
// lifetime, MaxAge after its last use.
//
// A guard knows tokens, not people. Reloading the page starts a new instance with
// tokens of its own, so "once per user" or "once per order" stays the
// application's business, with a unique index of its database for instance. What
// a guard does is to keep one state from going two ways: without one, each of two
// tabs with the same token, or whoever sends an old one, goes on from it.
//
// # The carrier
//
// A redirect that carries states is one round trip, and so is the page that asks for
// them. A parcel is sealed for its visitor, and its key is a hash of the id in the URL:
// whoever reads the Redis can neither read a state nor ask for a page with it.
//
// A client that reads from replicas may not find yet what was just put, and the page
// then starts fresh. So let it read from masters.
//
// # When Redis does not answer
//
// A request that would be claimed is answered 503 StateUnavailable, and its handler
// does not run. With
// [Guard.FailOpen] it runs. A claim whose answer was lost may have been recorded:
// when the client sends the token again, it is refused with 409 StateConflict, and
// the page has to be reloaded. What go-redis itself sends again is known to be the
// same claim, and is not refused.
//
// A redirect that carries states, and a page that asks for some, get an error, which
// is 503 StateUnavailable too.
//
// Both end with the context of their request at the latest. Without a deadline
// there they take as long as the timeouts and retries of the client allow, which is
// several seconds as go-redis has them, so give it shorter ones. Set
// ContextTimeoutEnabled too. Otherwise what was given up holds a
// connection and a goroutine until the client's ReadTimeout has passed, and for
// good if that is switched off.
//
// # What Redis forgets
//
// When a parcel is lost, its page starts fresh. When a record of the guard is lost,
// the tokens that it kept out can be used again, until a
// newer one of their instance is claimed or they expire. Lost are
//   - all, in a restart without persistence;
//   - those not yet on disk, in a crash: with appendfsync everysec, of the last
//     second;
//   - those not yet on the replica that takes over, in a failover;
//   - those of a shard that a redis.Ring takes out of use;
//   - any, when memory is short, unless maxmemory-policy is noeviction, with which
//     new claims and new parcels fail instead. A visitor can put any number of
//     parcels, so give the guard a Redis of its own where that matters.
package redisstate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ask returns what f does. It does not wait for go-redis after ctx has ended: that
// looks at deadlines only if its options say so, and never at a cancellation while
// it reads.
func ask[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := f()
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("pagestate: redis did not answer in time: %w", ctx.Err())
	}
}

// explain says where err comes from, without the key and the value: a server that
// does not know a command repeats what it was sent.
func explain(err error, what string) error {
	var refusal redis.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal):
		reason, _, _ := strings.Cut(refusal.Error(), ", with args beginning with")
		return fmt.Errorf("pagestate: redis refused %s: %s", what, reason)
	default:
		return fmt.Errorf("pagestate: redis could not be asked: %w", err)
	}
}
