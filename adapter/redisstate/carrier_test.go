package redisstate_test

// The carrier by itself: what it keeps, for how long, and what it does when Redis
// fails.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/adapter/redisstate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/redis/go-redis/v9"
)

var _ pagestate.Carrier = (*redisstate.Carrier)(nil)

// id is one that a redirect makes, with a digit of its own.
func id(n int) string { return strings.Repeat("A", 25) + fmt.Sprint(n) }

func parcel(n, size int) pagestate.Parcel {
	return pagestate.Parcel{ID: id(n), Value: strings.Repeat("v", size), Keep: 24 * time.Hour}
}

func request(ctx context.Context) *http.Request {
	return httptest.NewRequestWithContext(ctx, "POST", "/", nil)
}

// wantKnown gets the parcel.
func wantKnown(t *testing.T, c *redisstate.Carrier, p pagestate.Parcel, known bool) {
	t.Helper()
	value, err := c.Get(nil, request(t.Context()), p.ID)
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "known", value == p.Value, known)
	testkit.Want(t, "nothing", value == "", !known)
}

func TestCarrier(t *testing.T) {
	s := newServer(t)
	client := s.client(t, redis.Options{})
	carriers := []*redisstate.Carrier{ // of two servers
		redisstate.NewCarrier(client, "carrier:"),
		redisstate.NewCarrier(s.client(t, redis.Options{}), "carrier:"),
	}
	put := []pagestate.Parcel{parcel(1, 1), parcel(2, 500), parcel(3, 64<<10)}
	for _, p := range put {
		testkit.Want(t, "put", carriers[0].Put(nil, request(t.Context()), p), nil)
	}
	for range 2 { // nothing is consumed
		for _, p := range put {
			wantKnown(t, carriers[1], p, true)
		}
	}
	wantKnown(t, carriers[1], parcel(4, 1), false)
	wantKnown(t, redisstate.NewCarrier(client, "another:"), put[0], false)
	for _, key := range client.Keys(t.Context(), "*").Val() {
		testkit.Want(t, "the prefix, and 32 bytes in base64", strings.HasPrefix(key, "carrier:") && len(key) == len("carrier:")+43, true)
		testkit.Want(t, "the id is readable", strings.Contains(key, id(1)[:20]), false)
	}
}

func TestCarrierOnACluster(t *testing.T) {
	client := newCluster(t)
	c := redisstate.NewCarrier(client, "carrier:")
	for n := range 10 {
		testkit.Want(t, "put", c.Put(nil, request(t.Context()), parcel(n, 10)), nil)
	}
	for n := range 10 {
		wantKnown(t, c, parcel(n, 10), true)
	}
}

func TestParcelsExpire(t *testing.T) {
	m := miniredis.RunT(t) // whose time passes as the test says
	client := redis.NewClient(&redis.Options{Addr: m.Addr()})
	defer client.Close()
	c := redisstate.NewCarrier(client, "carrier:")
	for name, tt := range map[string]struct {
		carrier    *redisstate.Carrier
		keep, want time.Duration
	}{
		"an hour":                     {c, 24 * time.Hour, time.Hour},
		"no longer than they open":    {c, time.Minute, time.Minute},
		"no longer, to the moment":    {c, 1999999 * time.Microsecond, 1999 * time.Millisecond},
		"what does not open any more": {c, -time.Hour, time.Millisecond},
		"longer, if told so":          {c.MaxAge(2 * time.Hour), 24 * time.Hour, 2 * time.Hour},
		"shorter, if told so":         {c.MaxAge(time.Minute), 24 * time.Hour, time.Minute},
		"the first is as it was":      {c, 100 * 365 * 24 * time.Hour, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			p := parcel(1, 10)
			p.Keep = tt.keep
			testkit.Want(t, "put", tt.carrier.Put(nil, request(t.Context()), p), nil)
			m.FastForward(tt.want - 1)
			wantKnown(t, c, p, true)
			m.FastForward(1)
			wantKnown(t, c, p, false)
		})
	}
}

func TestParcelsAreBounded(t *testing.T) {
	client := newServer(t).client(t, redis.Options{})
	c := redisstate.NewCarrier(client, "carrier:")
	for name, tt := range map[string]struct {
		carrier *redisstate.Carrier
		most    int
	}{
		"64 KiB":              {c, 64 << 10},
		"more, if told so":    {c.MaxBytes(100 << 10), 100 << 10},
		"less, if told so":    {c.MaxBytes(10), 10},
		"whatever else it is": {c.MaxBytes(20).MaxAge(time.Minute), 20},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Want(t, "the most", tt.carrier.Put(nil, request(t.Context()), parcel(1, tt.most)), nil)
			err := tt.carrier.Put(nil, request(t.Context()), parcel(2, tt.most+1))
			testkit.Want(t, "is an ErrTooLarge", errors.Is(err, pagestate.ErrTooLarge), true)
			testkit.WantText(t, "error", fmt.Sprint(err), "keep less in the state", "MaxBytes")
			wantKnown(t, c, parcel(2, tt.most+1), false)
		})
	}
}

// Every way to fail is an error that is no ErrTooLarge, and tells nothing of what is
// carried.
func TestCarrierFails(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, s *server, client *redis.Client)
		says    string
	}{
		"down":   {func(t *testing.T, s *server, client *redis.Client) { s.kill() }, "could not be asked"},
		"closed": {func(t *testing.T, s *server, client *redis.Client) { client.Close() }, "client is closed"},
		"unknown commands": {func(t *testing.T, s *server, client *redis.Client) {
			client.AddHook(hook(func(ctx context.Context, cmd redis.Cmder, next redis.ProcessHook) error {
				err := next(ctx, redis.NewCmd(ctx, append([]any{"nothing"}, cmd.Args()[1:]...)...))
				cmd.SetErr(err)
				return err
			}))
		}, "ERR unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			client := s.client(t, redis.Options{})
			c, p := redisstate.NewCarrier(client, "carrier:"), parcel(1, 100)
			testkit.Want(t, "put", c.Put(nil, request(t.Context()), p), nil)
			tt.prepare(t, s, client)
			value, err := c.Get(nil, request(t.Context()), p.ID)
			testkit.Want(t, "value", value, "")
			for what, err := range map[string]error{"put": c.Put(nil, request(t.Context()), p), "get": err} {
				testkit.WantText(t, what, fmt.Sprint(err), "pagestate: ", tt.says)
				testkit.Want(t, what+" is an ErrTooLarge", errors.Is(err, pagestate.ErrTooLarge), false)
				for _, secret := range []string{p.ID, p.Value, "carrier:"} {
					testkit.Want(t, what+" tells "+secret, strings.Contains(fmt.Sprint(err), secret), false)
				}
			}
		})
	}
	t.Run("full", func(t *testing.T) {
		if !haveRedis(t) {
			t.Skip("there is no redis-server")
		}
		client := newRealServer(t, "--maxmemory", "1", "--maxmemory-policy", "noeviction").client(t, redis.Options{})
		err := redisstate.NewCarrier(client, "carrier:").Put(nil, request(t.Context()), parcel(1, 100))
		testkit.WantText(t, "error", fmt.Sprint(err), "redis refused a parcel: OOM")
	})
	t.Run("another's key", func(t *testing.T) {
		client := newServer(t).client(t, redis.Options{})
		c := redisstate.NewCarrier(client, "carrier:")
		testkit.Want(t, "put", c.Put(nil, request(t.Context()), parcel(1, 1)), nil)
		key := client.Keys(t.Context(), "*").Val()[0]
		client.Del(t.Context(), key)
		client.LPush(t.Context(), key, "x")
		_, err := c.Get(nil, request(t.Context()), id(1))
		testkit.WantText(t, "error", fmt.Sprint(err), "redis refused to look for a parcel: WRONGTYPE")
	})
}

// Neither a deadline nor a client that hangs up waits for Redis, and no goroutine is
// left where the client's options say so.
func TestCarrierEndsWithItsRequest(t *testing.T) {
	s := newSilentServer(t)
	for name, o := range map[string]redis.Options{
		"ContextTimeoutEnabled": {ContextTimeoutEnabled: true, ReadTimeout: -1},
		"a timeout of its own":  {ReadTimeout: 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			c := redisstate.NewCarrier(s.client(t, o), "carrier:")
			for what, ask := range map[string]func(*http.Request) error{
				"put": func(r *http.Request) error { return c.Put(nil, r, parcel(1, 10)) },
				"get": func(r *http.Request) error { _, err := c.Get(nil, r, id(1)); return err },
			} {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				testkit.Want(t, what+" at its deadline", ask(request(ctx)) != nil, true)
				cancel()
				ctx, cancel = context.WithCancel(t.Context())
				time.AfterFunc(20*time.Millisecond, cancel)
				testkit.Want(t, what+" cancelled", ask(request(ctx)) != nil, true)
			}
		})
	}
	c := redisstate.NewCarrier(s.client(t, redis.Options{ContextTimeoutEnabled: true, ReadTimeout: -1}), "carrier:")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	testkit.Want(t, "fails", c.Put(nil, request(ctx), parcel(1, 10)) != nil, true)
}

// Killed while requests run, Redis gives errors and nothing wrong; and is asked again
// when it is back.
func TestCarrierWhileRedisIsKilled(t *testing.T) {
	s := newServer(t)
	c := redisstate.NewCarrier(s.client(t, redis.Options{PoolSize: 100}), "carrier:")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	killed, failed := make(chan struct{}), make(chan struct{})
	var visits sync.WaitGroup
	for n := range 4 {
		visits.Go(func() {
			p := parcel(n, 1000)
			for i := 0; ; i++ {
				err := c.Put(nil, request(ctx), p)
				value, getErr := "", error(nil)
				if err == nil {
					value, getErr = c.Get(nil, request(ctx), p.ID)
				}
				if err == nil && getErr == nil && value != p.Value {
					t.Errorf("what was put is %d characters", len(value))
				}
				if err != nil || getErr != nil {
					failed <- struct{}{}
					return
				}
				if i == 20 && n == 0 {
					close(killed)
				}
			}
		})
	}
	<-killed
	s.kill()
	for range 4 {
		<-failed
	}
	visits.Wait()
	s.start()
	p := parcel(9, 10)
	eventually(t, "it is asked again", func() bool { return c.Put(nil, request(ctx), p) == nil })
	wantKnown(t, c, p, true)
	eventually(t, "no goroutine is left", func() bool {
		stacks := make([]byte, 1<<20)
		return !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("adapter/redisstate."))
	})
}

func TestCarrierPanics(t *testing.T) {
	c := redisstate.NewCarrier(redis.NewClient(&redis.Options{}), "")
	for name, f := range map[string]func(){
		"no client": func() { redisstate.NewCarrier(nil, "carrier:") },
		"no age":    func() { c.MaxAge(time.Millisecond - 1) },
		"no bytes":  func() { c.MaxBytes(0) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() { testkit.Want(t, "panics", recover() != nil, true) }()
			f()
		})
	}
}
