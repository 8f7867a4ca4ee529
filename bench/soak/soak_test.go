// Package soak_test puts load on the middleware. The soak has thousands of
// browsers click for minutes while servers are replaced and rows deleted under
// them, and asks of every answer whether it is the right one:
//
//	go test -v -timeout 20m ./bench/soak -soak=3m
//	go test -v -timeout 20m -race ./bench/soak -soak=3m
//
// That is the time for clicking alone; without the flag it is some seconds. It
// stays on 127.0.0.1.
package soak_test

// This file holds the course of the soak: who does what for how long, and what
// is measured meanwhile.

import (
	"cmp"
	"context"
	"flag"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/sessions"
	"github.com/pagestate/pagestate"
)

var (
	soakFor  = flag.Duration("soak", 2*time.Second, "how long the soak clicks, and from a minute on with ten times the browsers")
	soakSeed = flag.Uint64("soakseed", 0, "what the soak's chances start from; 0 is the time")
)

const (
	fewBrowsers  = 200
	manyBrowsers = 2000
	workers      = 32 // who drive the browsers, and so the most that click at once
	phases       = 5  // the first is for warming up
	replacements = 15 // of servers
)

func TestSoak(t *testing.T) {
	t.Run("a token can be sent again", func(t *testing.T) {
		soak(t, pagestate.Options{Session: pagestate.Cookie(http.Cookie{Name: "pagestate"})}, 0)
	})
	t.Run("a guard lets it be used once", func(t *testing.T) {
		// So many that none is forgotten in some minutes, and some 25 MB.
		const room = 1 << 17
		store := sessions.NewCookieStore(newSecret())
		store.Options.Secure = false // there is no TLS here
		soak(t, pagestate.Options{
			Session: pagestate.Session(store, "pagestate"),
			Guard:   pagestate.NewGuard(room),
			// A handler that fails puts no token into the page, so with a guard
			// the one in the header is all there is.
			MaxHeaderBytes: 16 << 10,
		}, room)
	})
}

// course is one run of the soak.
type course struct {
	t        *testing.T
	site     *site
	browsers []*browser
	seed     uint64
	length   time.Duration

	// gate is held for reading by who does something, and for writing to
	// measure while nobody does.
	gate sync.RWMutex
}

func soak(t *testing.T, o pagestate.Options, guardRoom int) {
	goroutines := settled(0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := newCourse(t, o, guardRoom, stopAtFaults(t, cancel))

	start := time.Now()
	c.forEach((*browser).openSome)
	c.run(ctx)
	if ctx.Err() == nil {
		c.forEach((*browser).readAll)
	}
	servers := c.site.servers
	t.Logf("seed %d: %d browsers, %d workers, %v in all", c.seed, len(c.browsers), workers, time.Since(start).Round(time.Second/10))
	t.Logf("%d servers, %d at a time; of those replaced one half was cut off", len(servers.made), len(servers.nodes))
	t.Log(&c.site.tally)

	servers.close()
	c.site.transport.CloseIdleConnections()
	if left := settled(goroutines); left > goroutines {
		t.Errorf("%d goroutines are left of those that the soak started", left-goroutines)
	}
}

// stopAtFaults returns what reports a fault. The first one ends the soak, and
// some more may be on their way.
func stopAtFaults(t *testing.T, stop func()) func(format string, args ...any) {
	var faults atomic.Int64
	return func(format string, args ...any) {
		t.Helper()
		if faults.Add(1) <= 10 {
			t.Errorf(format, args...)
		}
		stop()
	}
}

func newCourse(t *testing.T, o pagestate.Options, guardRoom int, fault func(string, ...any)) *course {
	c := &course{t: t, seed: *soakSeed, length: *soakFor / 2}
	if c.seed == 0 {
		c.seed = uint64(time.Now().UnixNano())
	}
	if o.Guard != nil {
		fill(o.Guard, guardRoom)
	}
	servers := newCluster(fault, o)
	c.site = &site{
		oracle:    &oracle{fault: fault, store: servers.store, guardRoom: guardRoom, maxHeader: cmp.Or(o.MaxHeaderBytes, 3<<10)},
		servers:   servers,
		transport: &http.Transport{MaxIdleConnsPerHost: workers, MaxConnsPerHost: 2 * workers},
	}
	number := fewBrowsers
	if *soakFor >= time.Minute {
		number = manyBrowsers
	}
	for i := range number {
		c.browsers = append(c.browsers, newBrowser(c.site, i+1))
	}
	return c
}

// fill has the guard remember as many instances as it can, so that it takes the
// same memory from the start.
func fill(g pagestate.Guard, room int) {
	for i := range room {
		id := []byte("0123456789abcdef") // as long as an instance's
		for j := range 8 {
			id[j] = byte(i >> (8 * j))
		}
		if err := g.Claim(context.Background(), string(id), 1, 24*time.Hour); err != nil {
			panic(err)
		}
	}
}

// run has the browsers click until the time is over or something is wrong.
func (c *course) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() { c.drive(ctx, rand.New(rand.NewPCG(c.seed, uint64(i)))) })
	}
	group.Go(func() { c.disturb(ctx) })

	var measures []measure
	for wait(ctx, c.length/phases) {
		expected := 0
		if len(measures) > 0 {
			expected = measures[0].goroutines
		}
		measures = append(measures, c.measure(expected))
		c.t.Logf("after phase %d of %d: %v", len(measures), phases, measures[len(measures)-1])
		if len(measures) == phases {
			c.checkFlat(measures[0], measures[phases-1])
			break
		}
	}
	cancel()
	group.Wait()
}

// wait returns false if ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// drive is what one worker does.
func (c *course) drive(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		c.gate.RLock()
		b := c.browsers[rng.IntN(len(c.browsers))]
		if b.mu.TryLock() { // or another worker drives it
			b.step(rng, c.browsers[rng.IntN(len(c.browsers))])
			b.mu.Unlock()
		}
		c.gate.RUnlock()
	}
}

// disturb replaces servers, in turn gracefully and not, and the secret on the
// way: a new one is listed second everywhere, and then first.
func (c *course) disturb(ctx context.Context) {
	servers := c.site.servers
	before, after := servers.options.Secrets[0], newSecret()
	for i := 0; wait(ctx, c.length/replacements); i++ {
		c.gate.RLock()
		switch i {
		case replacements / 3:
			servers.rotate(before, after)
		case replacements * 2 / 3:
			servers.rotate(after, before)
		default:
			servers.replace(i/2%2, i%2 == 0)
		}
		c.gate.RUnlock()
	}
}

// forEach has every browser do something once, when nothing else goes on.
func (c *course) forEach(do func(*browser, *rand.Rand)) {
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(c.seed, uint64(workers+i)))
			for j := i; j < len(c.browsers); j += workers {
				do(c.browsers[j], rng)
			}
		})
	}
	group.Wait()
}
