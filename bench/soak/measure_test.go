package soak_test

// This file holds what is measured: the heap and the goroutines, while nobody
// does anything.

import (
	"fmt"
	"runtime"
	"time"
)

type measure struct {
	requests   int64
	heap       uint64
	goroutines int
}

func (m measure) String() string {
	return fmt.Sprintf("%d requests, a heap of %.1f MiB, %d goroutines", m.requests, float64(m.heap)/(1<<20), m.goroutines)
}

// measure waits until no request is under way, and lets go of what is only kept
// for the next. goroutines is how many there should be.
func (c *course) measure(goroutines int) measure {
	c.gate.Lock()
	defer c.gate.Unlock()
	c.site.transport.CloseIdleConnections()
	m := measure{requests: c.site.requests.Load(), goroutines: settled(goroutines)}
	runtime.GC()
	runtime.GC() // the first leaves what is in a sync.Pool
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	m.heap = stats.HeapAlloc
	return m
}

// settled is how many goroutines there are when there are as few as expected, or
// when no more of them end: those of a connection take a moment after it was
// closed.
func settled(expected int) int {
	n := runtime.NumGoroutine()
	for same := 0; n > expected && same < 50; same++ {
		time.Sleep(10 * time.Millisecond)
		if now := runtime.NumGoroutine(); now != n {
			n, same = now, 0
		}
	}
	return n
}

// mayGrow is by how much the heap may be larger at last than at first. The soak
// keeps some 10 KiB for each server that was replaced, and the states of a
// browser, of 10 KiB too, come and go by chance. If each request left behind
// what belongs to it, that would be some KiB; in the long form, 50 bytes of each
// are too much.
func (c *course) mayGrow() int64 { return 1<<20 + int64(len(c.browsers))<<10 }

// checkFlat compares the last measure with the first, when all was warm.
func (c *course) checkFlat(first, last measure) {
	grown := int64(last.heap) - int64(first.heap)
	c.t.Logf("%d requests later: %+d bytes of heap, %+d goroutines", last.requests-first.requests, grown, last.goroutines-first.goroutines)
	if grown > c.mayGrow() {
		c.t.Errorf("the heap has grown by %d bytes, the most is %d", grown, c.mayGrow())
	}
	if last.goroutines > first.goroutines {
		c.t.Errorf("%d goroutines at first, %d at last", first.goroutines, last.goroutines)
	}
}
