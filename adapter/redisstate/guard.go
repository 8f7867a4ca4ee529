package redisstate

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
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

// NewGuard returns a guard that asks client, which stays the caller's to close, and
// panics if that is nil. Its keys are prefix and the 16 random bytes of an
// instance; all servers of one application need the same prefix, and nothing
// else may write below it. Applications may share one.
//
// It fails closed: what cannot be claimed does not run.
func NewGuard(client redis.UniversalClient, prefix string) *Guard {
	if client == nil {
		panic("pagestate: redisstate.NewGuard: a guard needs a client")
	}
	return &Guard{client: client, prefix: prefix}
}

// FailOpen returns a guard like g that lets requests run while Redis cannot be
// asked, for whatever reason, and warns of that in log, once a minute and with a
// count; nil means slog.Default(). Tokens can then be used again as if there were
// no guard; those that were used meanwhile also later, until a newer one of their
// instance is claimed. Whoever can overload Redis, or the client's pool of
// connections, can bring that about. It is for applications that use a guard against
// double clicks, and not for those that rely on it.
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

// ask reports whether the claim was recorded.
func (g *Guard) ask(ctx context.Context, instance string, revision uint64, keep time.Duration) (bool, error) {
	milliseconds := max(1, (keep-1)/time.Millisecond+1)
	return ask(ctx, func() (bool, error) {
		recorded, err := g.client.Eval(ctx, script, []string{g.prefix + instance},
			fmt.Sprintf("%020d", revision), rand.Text(), int64(milliseconds)).Int()
		return recorded == 1, explain(err, "a claim")
	})
}

// ended reports whether the request is over. A socket's deadline can pass a
// moment before the context with the same deadline says so.
func ended(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}
