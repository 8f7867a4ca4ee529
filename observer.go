package pagestate

// This file holds what can be measured of a running middleware: the Observer
// that is told, and one that counts for the standard library's expvar. What is
// logged is in exchange.go.

import (
	"encoding/json"
	"sync"
	"time"
)

// An Observer is told what the middleware does, for metrics. What it gets is the
// same for many requests: never a token, a key, a state, or anything else that a
// client has sent.
//
// Its methods are called while a request waits, from several goroutines at once,
// and must not call this package.
type Observer interface {
	// Opened is called when a token has become a state of that component, with
	// the time it took from decryption to the end of Load, and so with what
	// Fetch and Load took.
	Opened(component string, took time.Duration)

	// Sealed is called when a state of that component has become a token, with
	// the time it took to encode and encrypt it.
	Sealed(component string, took time.Duration)

	// Refused is called with the code of every error that is logged: those that
	// clients get, see [Status], and those of handlers that fail when their
	// answer has begun.
	Refused(code string)
}

// Counters is an [Observer] that adds up. Its zero value is ready, and it is
// safe for concurrent use; it must not be copied. It is an expvar.Var:
//
//	counters := new(pagestate.Counters) // Options.Observer
//	expvar.Publish("pagestate", counters)
type Counters struct {
	mu             sync.Mutex
	opened, sealed map[string]timing
	refused        map[string]uint64
}

// timing is what a kind of event adds up to.
type timing struct {
	Count   uint64  `json:"count"`
	Seconds float64 `json:"seconds"`
}

// Opened is that of [Observer].
func (c *Counters) Opened(component string, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add(&c.opened, component, took)
}

// Sealed is that of [Observer].
func (c *Counters) Sealed(component string, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add(&c.sealed, component, took)
}

func add(to *map[string]timing, component string, took time.Duration) {
	if *to == nil {
		*to = make(map[string]timing)
	}
	sum := (*to)[component]
	(*to)[component] = timing{sum.Count + 1, sum.Seconds + took.Seconds()}
}

// Refused is that of [Observer].
func (c *Counters) Refused(code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused == nil {
		c.refused = make(map[string]uint64)
	}
	c.refused[code]++
}

// String returns the sums as JSON: how many tokens were opened and sealed, and in
// how many seconds, by component, and how many requests were refused, by code.
//
//	{"opened":{"cart":{"count":7,"seconds":0.0021}},"refused":{"ExpiredState":1},"sealed":{}}
func (c *Counters) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text, _ := json.Marshal(map[string]any{ // numbers and names can't fail
		"opened":  orEmpty(c.opened),
		"sealed":  orEmpty(c.sealed),
		"refused": orEmpty(c.refused),
	})
	return string(text)
}

// orEmpty makes JSON's {} of a map that is not there yet.
func orEmpty[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}

// noObserver is told where Options.Observer is nil.
type noObserver struct{}

func (noObserver) Opened(string, time.Duration) {}
func (noObserver) Sealed(string, time.Duration) {}
func (noObserver) Refused(string)               {}
