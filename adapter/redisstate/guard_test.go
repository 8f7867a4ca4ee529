package redisstate_test

// The guard by itself: which claims it records, for how long, and what it does
// when Redis fails. What comes of it in an application is in nodes_test.go.

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/adapter/redisstate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/redis/go-redis/v9"
)

var _ pagestate.Guard = (*redisstate.Guard)(nil)

// A claim, for an hour, and whether it is recorded.
type claim struct {
	instance string
	revision uint64
	ok       bool
}

var claimTables = map[string][]claim{
	"newer revisions alone": {
		{"a", 3, true}, {"a", 3, false}, {"a", 2, false}, {"a", 4, true}, {"a", 9, true}, {"a", 10, true}, {"a", 9, false},
	},
	"instances apart": {
		{"a", 1, true}, {"b", 1, true}, {"a", 1, false}, {"b", 2, true},
	},
	"instances of any bytes": {
		{"\x00\r\n{\xff}\x80", 1, true}, {"\x00\r\n{\xff}\x80", 1, false}, {"\x00\r\n{\xff}\x81", 1, true}, {"", 1, true}, {"", 1, false},
	},
	"revisions that a float confuses": {
		{"a", 1<<53 + 1, true}, {"a", 1 << 53, false}, {"a", 1<<53 + 2, true},
		{"a", math.MaxUint64 - 1, true}, {"a", math.MaxUint64 - 2, false}, {"a", math.MaxUint64, true}, {"a", 1, false},
	},
}

func TestClaim(t *testing.T) {
	for name, claims := range claimTables {
		t.Run(name, func(t *testing.T) {
			for _, protocol := range []int{2, 3} {
				guard := redisstate.NewGuard(newServer(t).client(t, redis.Options{Protocol: protocol}), "guard:")
				run(t, guard, claims...)
			}
		})
	}
}

func run(t *testing.T, guard *redisstate.Guard, claims ...claim) {
	t.Helper()
	for i, c := range claims {
		err := guard.Claim(t.Context(), c.instance, c.revision, time.Hour)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, pagestate.ErrConflict) {
			t.Errorf("claim %d, %q at %d: %v", i, c.instance, c.revision, err)
		}
	}
}

// newCluster returns a client of a cluster of one.
func newCluster(t *testing.T) redis.UniversalClient {
	s := newLocalServer(t)
	if haveRedis(t) {
		s = newRealServer(t, "--port", freePort(t), "--cluster-enabled", "yes", "--cluster-port", freePort(t))
		first := s.client(t, redis.Options{})
		if err := first.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the cluster is there", func() bool {
			return strings.Contains(first.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
		})
		s.addr = net.JoinHostPort("127.0.0.1", first.ConfigGet(t.Context(), "port").Val()["port"])
	}
	client := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{s.addr}, IsClusterMode: true})
	t.Cleanup(func() { client.Close() })
	return client
}

func TestClaimOnACluster(t *testing.T) {
	client := newCluster(t)
	for name, claims := range claimTables {
		t.Run(name, func(t *testing.T) {
			run(t, redisstate.NewGuard(client, name), claims...)
		})
	}
}

func freePort(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

func TestRecordsExpire(t *testing.T) {
	m := miniredis.RunT(t) // whose time passes as the test says
	client := redis.NewClient(&redis.Options{Addr: m.Addr()})
	defer client.Close()
	guard := redisstate.NewGuard(client, "guard:")
	for _, step := range []struct {
		after time.Duration
		claim
	}{
		{0, claim{"a", 1, true}}, {time.Hour - 1, claim{"a", 1, false}}, {1, claim{"a", 1, true}},
		{time.Hour / 2, claim{"a", 2, true}}, {time.Hour - 1, claim{"a", 1, false}}, {1, claim{"a", 1, true}},
	} {
		m.FastForward(step.after)
		run(t, guard, step.claim)
	}

	const ms = time.Millisecond
	for keep, want := range map[time.Duration]time.Duration{
		-time.Hour: ms, 0: ms, 1: ms, ms: ms, ms + 1: 2 * ms, time.Hour: time.Hour,
		100 * 365 * 24 * time.Hour: 100 * 365 * 24 * time.Hour,
	} {
		m.FlushAll()
		if err := guard.Claim(t.Context(), "a", 1, keep); err != nil {
			t.Errorf("keep %v: %v", keep, err)
		}
		if got := m.TTL("guard:a"); got != want {
			t.Errorf("keep %v: kept for %v, want %v", keep, got, want)
		}
	}
}

type guarded struct{ Note string }

// TestRecordsAreNumbersAndCounts looks for all that a record could say of a visitor.
func TestRecordsAreNumbersAndCounts(t *testing.T) {
	m := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: m.Addr()})
	defer client.Close()
	registry := pagestate.NewRegistry()
	pagestate.Register[guarded](registry, "guarded")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{testkit.NewSecret()},
		Session: pagestate.SessionFunc(func(*http.Request) string { return "the session" }),
		User:    func(*http.Request) string { return "ada" },
		Guard:   redisstate.NewGuard(client, "guard:"),
	})
	if err != nil {
		t.Fatal(err)
	}
	token, err := mw.Seal(pagestate.Owner{Session: "the session", User: "ada"}, &guarded{"a note"})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Page-State", token)
	rec := httptest.NewRecorder()
	mw.Handler(pagestate.Handle(func(http.ResponseWriter, *http.Request, *guarded) error { return nil })).ServeHTTP(rec, r)
	testkit.Want(t, "status", rec.Code, 200)
	keys := m.Keys()
	testkit.Want(t, "records", len(keys), 1)
	testkit.Want(t, "length of a key", len(keys[0]), len("guard:")+16)
	value, err := m.Get(keys[0])
	testkit.Want(t, "reading the record", err, nil)
	testkit.Want(t, "length of a record", len(value), 20+len(rand.Text()))
	count, err := strconv.ParseUint(value[:20], 10, 64)
	testkit.Want(t, "the count", count, 1)
	testkit.Want(t, "reading the count", err, nil)
}

// Redis itself lets go of a record too.
func TestRecordsExpireInTime(t *testing.T) {
	if !haveRedis(t) {
		t.Skip("there is no redis-server")
	}
	guard := redisstate.NewGuard(newRealServer(t).client(t, redis.Options{}), "guard:")
	testkit.Want(t, "first", guard.Claim(t.Context(), "a", 1, time.Millisecond), nil)
	eventually(t, "claimed again", func() bool { return guard.Claim(t.Context(), "a", 1, time.Millisecond) == nil })
}

// eventually waits until something holds that is only a matter of time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 1000 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%s: not within ten seconds", what)
}

func TestClaimsAtOnce(t *testing.T) {
	s := newServer(t)
	var recorded, refused atomic.Int32
	var all sync.WaitGroup
	for range 4 {
		guard := redisstate.NewGuard(s.client(t, redis.Options{}), "guard:")
		for range 10 {
			all.Go(func() {
				switch err := guard.Claim(t.Context(), "a", 7, time.Hour); {
				case err == nil:
					recorded.Add(1)
				case errors.Is(err, pagestate.ErrConflict):
					refused.Add(1)
				}
			})
		}
	}
	all.Wait()
	testkit.Want(t, "recorded", recorded.Load(), 1)
	testkit.Want(t, "refused", refused.Load(), 39)
}

// A hook stands around every command that go-redis sends.
type hook func(ctx context.Context, cmd redis.Cmder, next redis.ProcessHook) error

func (h hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return h(ctx, cmd, next) }
}
func (h hook) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestClaimIsOneRoundTrip(t *testing.T) {
	s := newServer(t)
	client := s.client(t, redis.Options{})
	testkit.Want(t, "connect", client.Ping(t.Context()).Err(), nil)
	var count atomic.Int32
	client.AddHook(hook(func(ctx context.Context, cmd redis.Cmder, next redis.ProcessHook) error {
		count.Add(1)
		return next(ctx, cmd)
	}))
	guard := redisstate.NewGuard(client, "guard:")
	for revision := range uint64(3) {
		testkit.Want(t, "claim", guard.Claim(t.Context(), "a", revision, time.Hour), nil)
	}
	testkit.Want(t, "commands", count.Load(), 3)
}

// A lossyConn loses the answer to one claim: the server has done what it was
// asked, and the client does not hear of it.
type lossyConn struct {
	net.Conn
	lose  *atomic.Bool
	asked bool
}

func (c *lossyConn) Write(b []byte) (int, error) {
	c.asked = bytes.Contains(b, []byte("eval"))
	return c.Conn.Write(b)
}

func (c *lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil && c.asked && c.lose.CompareAndSwap(true, false) {
		c.Close()
		return 0, io.EOF
	}
	return n, err
}

func TestAnswerThatIsLost(t *testing.T) {
	for name, tt := range map[string]struct {
		maxRetries int
		ok         bool
	}{
		"sent again by go-redis": {1, true},
		"given up":               {-1, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			var lose atomic.Bool
			guard := redisstate.NewGuard(s.client(t, redis.Options{
				MaxRetries: tt.maxRetries,
				Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
					conn, err := new(net.Dialer).DialContext(ctx, network, addr)
					return &lossyConn{Conn: conn, lose: &lose}, err
				},
			}), "guard:")
			lose.Store(true)
			err := guard.Claim(t.Context(), "a", 1, time.Hour)
			testkit.Want(t, "was lost", lose.Load(), false)
			testkit.Want(t, "recorded", err == nil, tt.ok)
			testkit.Want(t, "taken for a conflict", errors.Is(err, pagestate.ErrConflict), false)
			err = guard.Claim(t.Context(), "a", 1, time.Hour)
			testkit.Want(t, "claimed once more", errors.Is(err, pagestate.ErrConflict), true)
		})
	}
}

// Neither a deadline nor a client that hangs up waits for Redis, whatever the
// options of the client, and neither opens a guard.
func TestClaimEndsWithItsContext(t *testing.T) {
	s := newSilentServer(t)
	ends := map[string]func(context.Context) (context.Context, context.CancelFunc){
		"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 20*time.Millisecond)
		},
		"cancelled": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(20*time.Millisecond, cancel)
			return ctx, cancel
		},
		"over before": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx, cancel
		},
	}
	for name, end := range ends {
		for _, enabled := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				guard := redisstate.NewGuard(s.client(t, redis.Options{
					ContextTimeoutEnabled: enabled, ReadTimeout: -1, MaxRetries: 3,
				}), "guard:")
				for _, guard := range []*redisstate.Guard{guard, guard.FailOpen(slog.New(slog.DiscardHandler))} {
					ctx, cancel := end(t.Context())
					defer cancel()
					err := guard.Claim(ctx, "a", 1, time.Hour)
					testkit.Want(t, "refused", err != nil, true)
					testkit.Want(t, "as a conflict", errors.Is(err, pagestate.ErrConflict), false)
				}
			})
		}
	}
}

// Without a deadline the client's own timeout ends a claim; with one, the client
// is not left waiting where its options say so.
func TestNothingWaitsForEver(t *testing.T) {
	s := newSilentServer(t)
	for name, tt := range map[string]struct {
		options  redis.Options
		deadline time.Duration // 0 for none
	}{
		"read timeout":                {redis.Options{ReadTimeout: 20 * time.Millisecond}, 0},
		"read timeout and a deadline": {redis.Options{ReadTimeout: 50 * time.Millisecond}, 20 * time.Millisecond},
		"deadline":                    {redis.Options{ReadTimeout: -1, ContextTimeoutEnabled: true}, 20 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			client := s.client(t, tt.options)
			ctx := t.Context()
			if tt.deadline > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, tt.deadline)
				defer cancel()
			}
			err := redisstate.NewGuard(client, "guard:").Claim(ctx, "a", 1, time.Hour)
			testkit.Want(t, "refused", err != nil, true)
			eventually(t, "no goroutine is left", func() bool {
				stacks := make([]byte, 1<<20)
				stacks = stacks[:runtime.Stack(stacks, true)]
				return !bytes.Contains(stacks, []byte("adapter/redisstate."))
			})
		})
	}
}

// A lateContext does not say when its deadline has passed.
type lateContext struct {
	context.Context
	deadline time.Time
}

func (c lateContext) Deadline() (time.Time, bool) { return c.deadline, true }

// The connection may know sooner than the context that time is up.
func TestDeadlineOfAnOpenGuard(t *testing.T) {
	client := newSilentServer(t).client(t, redis.Options{ContextTimeoutEnabled: true})
	guard := redisstate.NewGuard(client, "guard:").FailOpen(slog.New(slog.DiscardHandler))
	ctx := lateContext{t.Context(), time.Now().Add(20 * time.Millisecond)}
	testkit.Want(t, "refused", guard.Claim(ctx, "a", 1, time.Hour) != nil, true)
}

func TestFailure(t *testing.T) {
	const instance = "instance-of-a-page"
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, s *server, client *redis.Client)
		says    string
	}{
		"down":   {func(t *testing.T, s *server, client *redis.Client) { s.kill() }, "could not be asked"},
		"closed": {func(t *testing.T, s *server, client *redis.Client) { client.Close() }, "client is closed"},
		"another's key": {func(t *testing.T, s *server, client *redis.Client) {
			testkit.Want(t, "push", client.LPush(t.Context(), "guard:"+instance, "x").Err(), nil)
		}, "refused a claim"},
		"unknown command": {func(t *testing.T, s *server, client *redis.Client) { client.AddHook(hook(renamed)) }, "refused a claim: ERR unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			client := s.client(t, redis.Options{})
			guard := redisstate.NewGuard(client, "guard:")
			tt.prepare(t, s, client)
			err := guard.Claim(t.Context(), instance, 1, time.Hour)
			if err == nil {
				t.Fatal("there is no error")
			}
			testkit.Want(t, "is a conflict", errors.Is(err, pagestate.ErrConflict), false)
			testkit.WantText(t, "error", err.Error(), tt.says)

			var log bytes.Buffer
			open := guard.FailOpen(slog.New(slog.NewTextHandler(&log, nil)))
			for range 10 {
				testkit.Want(t, "when open", open.Claim(t.Context(), instance, 1, time.Hour), nil)
			}
			testkit.Want(t, "warnings", strings.Count(log.String(), "level=WARN"), 1)
			testkit.WantText(t, "warning", log.String(), "level=WARN", "unguarded", tt.says)
			for _, text := range []string{err.Error(), log.String()} {
				testkit.Want(t, "names the key", strings.Contains(text, instance), false)
			}
		})
	}
}

// renamed sends a command that the server does not know, as where EVAL has
// another name.
func renamed(ctx context.Context, cmd redis.Cmder, next redis.ProcessHook) error {
	if cmd.Name() != "eval" {
		return next(ctx, cmd)
	}
	args := append([]any{"nothing"}, cmd.Args()[3:]...)
	err := next(ctx, redis.NewCmd(ctx, args...))
	cmd.SetErr(err)
	return err
}

// An open guard guards while Redis answers.
func TestFailOpen(t *testing.T) {
	s := newServer(t)
	closed := redisstate.NewGuard(s.client(t, redis.Options{PoolSize: 100}), "guard:")
	open := closed.FailOpen(nil)
	run(t, open, claim{"a", 1, true}, claim{"a", 1, false})
	s.kill()
	testkit.Want(t, "open", open.Claim(t.Context(), "a", 1, time.Hour), nil)
	testkit.Want(t, "closed", closed.Claim(t.Context(), "a", 1, time.Hour) != nil, true)
	s.start()
	run(t, open, claim{"a", 1, true}, claim{"a", 1, false})
}

func TestNewWithoutAClient(t *testing.T) {
	defer func() { testkit.Want(t, "panics", recover() != nil, true) }()
	redisstate.NewGuard(nil, "guard:")
}
