package pagestatetest

import (
	"sync"
	"time"
)

// Clock makes tokens old in no time. Give its Now to Options.Clock:
//
//	clock := new(pagestatetest.Clock)
//	… pagestate.Options{Clock: clock.Now, …}
//	clock.Advance(25 * time.Hour)
//
// The zero Clock starts at the time at which it is first used, and stands still
// except Advance. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now returns the time of the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read()
}

// Advance moves the clock on by d, or back if d is negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.read().Add(d)
}

func (c *Clock) read() time.Time {
	if c.now.IsZero() {
		c.now = time.Now()
	}
	return c.now
}
