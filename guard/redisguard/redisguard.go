// Package redisguard is a [pagestate.Guard] for an application on several
// servers: it keeps its records in a Redis that all of them reach, so that no
// token is used twice, whichever server it is sent to.
//
//	client := redis.NewClient(&redis.Options{Addr: "localhost:6379", ContextTimeoutEnabled: true})
//	mw, err := pagestate.New(registry, pagestate.Options{
//		…
//		Guard: redisguard.New(client, "shop:guard:"),
//	})
//
// A claim is one script on one key: one round trip for each request with an unsafe
// method, also after a restart of Redis, and with Cluster and Sentinel clients
// too. There is one record per instance that was used, of some 200 bytes with what
// Redis adds, and it expires when the tokens that it keeps out have expired:
// Options.MaxLifetime after the instance was first sealed or, where there is no
// lifetime, MaxAge after its last use.
//
// # What it is not
//
// A guard knows tokens, not people. Reloading the page starts a new instance with
// tokens of its own, so "once per user" or "once per order" stays the
// application's business, with a unique index of its database for instance. What
// a guard does is to keep one state from going two ways: without one, each of two
// tabs with the same token, or whoever sends an old one, goes on from it.
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
// A claim ends with the context of its request at the latest. Without a deadline
// there it takes as long as the timeouts and retries of the client allow, which is
// several seconds as go-redis has them, so give it shorter ones. Set
// ContextTimeoutEnabled too. Otherwise a claim that was given up holds a
// connection and a goroutine until the client's ReadTimeout has passed, and for
// good if that is switched off.
//
// # What Redis forgets
//
// When a record is lost, the tokens that it kept out can be used again, until a
// newer one of their instance is claimed or they expire. Lost are
//   - all records, in a restart without persistence;
//   - those not yet on disk, in a crash: with appendfsync everysec, of the last
//     second;
//   - those not yet on the replica that takes over, in a failover;
//   - those of a shard that a redis.Ring takes out of use;
//   - any, when memory is short, unless maxmemory-policy is noeviction, with which
//     new claims fail instead.
package redisguard

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/redis/go-redis/v9"
)

// Guard is a [pagestate.Guard] that keeps its records in Redis. It is safe for
// concurrent use.
type Guard struct {
	client redis.UniversalClient
	prefix string
	open   *warner // where requests run unguarded if Redis cannot be asked; else nil
}

// warner logs that requests run unguarded, once a minute: whoever can overload
// Redis must not fill the log, too.
type warner struct {
	log *slog.Logger

	mu     sync.Mutex
	logged time.Time
	count  int // since then
}

func (w *warner) warn(ctx context.Context, err error) {
	w.mu.Lock()
	w.count++
	count, now := w.count, time.Now()
	if now.Sub(w.logged) < time.Minute {
		w.mu.Unlock()
		return
	}
	w.logged, w.count = now, 0
	w.mu.Unlock()
	w.log.WarnContext(ctx, "pagestate: a request runs unguarded", "error", err, "count", count)
}

// New returns a guard that asks client, which stays the caller's to close, and
// panics if that is nil. Its keys are prefix and the 16 random bytes of an
// instance; all servers of one application need the same prefix, and nothing
// else may write below it. Applications may share one.
//
// It fails closed: what cannot be claimed does not run.
func New(client redis.UniversalClient, prefix string) *Guard {
	if client == nil {
		panic("pagestate: redisguard.New: a guard needs a client")
	}
	return &Guard{client: client, prefix: prefix}
}

// FailOpen returns a guard like g that lets requests run while Redis cannot be
// asked, for whatever reason, and warns of that in log, once a minute and with a
// count; nil means slog.Default(). Tokens can then be used again as if there were
// no guard; those that were used meanwhile also later, until a newer one of their
// instance is claimed. Whoever can overload Redis, or the client's pool of
// connections, can bring that about. It is for applications that use a guard against double clicks, and not for
// those that rely on it.
//
// A request whose own context has ended is refused all the same: a client could
// otherwise get past the guard by hanging up. So the client's timeouts must be
// shorter than the deadlines of requests.
func (g *Guard) FailOpen(log *slog.Logger) *Guard {
	if log == nil {
		log = slog.Default()
	}
	return &Guard{client: g.client, prefix: g.prefix, open: &warner{log: log}}
}

// Claim records revision for keep, rounded up to a whole millisecond or more, or
// returns [pagestate.ErrConflict] unless it is newer than every revision recorded
// for instance. Any other error says that Redis could not be asked before ctx
// ended. Errors never name the key.
func (g *Guard) Claim(ctx context.Context, instance string, revision uint64, keep time.Duration) error {
	newer, err := g.ask(ctx, instance, revision, keep)
	switch {
	case err == nil && newer:
		return nil
	case err == nil:
		return pagestate.ErrConflict
	case g.open == nil || ended(ctx):
		return err
	}
	g.open.warn(ctx, err)
	return nil
}

// The script records a claim and answers 1, or answers 0 if it is not newer. A
// record is the revision and the id of the claim, by which a claim that is sent
// again is known. Revisions are compared as text of one length, since Lua's
// numbers are exact up to 2^53 only; the text is digits, since Redis compares
// text by the rules of its locale.
const script = `
local record = redis.call('GET', KEYS[1])
local claim = ARGV[1] .. ARGV[2]
if record and record ~= claim and ARGV[1] <= string.sub(record, 1, #ARGV[1]) then
	return 0
end
redis.call('SET', KEYS[1], claim, 'PX', ARGV[3])
return 1`

// ask reports whether the claim was recorded. It does not wait for go-redis after
// ctx has ended: that looks at deadlines only if its options say so, and never at
// a cancellation while it reads.
func (g *Guard) ask(ctx context.Context, instance string, revision uint64, keep time.Duration) (bool, error) {
	milliseconds := max(1, (keep-1)/time.Millisecond+1)
	answer := make(chan *redis.Cmd, 1)
	go func() {
		answer <- g.client.Eval(ctx, script, []string{g.prefix + instance},
			fmt.Sprintf("%020d", revision), rand.Text(), int64(milliseconds))
	}()
	select {
	case cmd := <-answer:
		recorded, err := cmd.Int()
		return recorded == 1, explain(err)
	case <-ctx.Done():
		return false, fmt.Errorf("pagestate: redis did not answer in time: %w", ctx.Err())
	}
}

// explain says where err comes from, without the key: a server that does not
// know a command repeats what it was sent.
func explain(err error) error {
	var refusal redis.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal):
		reason, _, _ := strings.Cut(refusal.Error(), ", with args beginning with")
		return fmt.Errorf("pagestate: redis refused a claim: %s", reason)
	default:
		return fmt.Errorf("pagestate: redis could not be asked: %w", err)
	}
}

// ended reports whether the request is over. A socket's deadline can pass a
// moment before the context with the same deadline says so.
func ended(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}
