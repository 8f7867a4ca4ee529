package soak_test

// This file holds the servers: two that share a secret, a store of rows and
// perhaps a guard, and that are replaced while requests are under way. What
// they answer is in app_test.go.

import (
	"context"
	"crypto/rand"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pagestate/pagestate"
)

// A cluster is two servers in place of one. Its methods are safe for concurrent
// use, except replace and rotate, which are for one goroutine.
type cluster struct {
	fault   func(format string, args ...any)
	store   *store
	options pagestate.Options // except what each server has of its own

	mu    sync.RWMutex
	nodes [2]*node

	// made has the middleware of every server there was, so that what they hold
	// on to is not freed with them, and shows in the heap.
	made []*pagestate.Middleware
}

// A node is one server.
type node struct {
	url     string
	server  *http.Server
	leaving atomic.Bool // from when on its connections may die
	done    chan struct{}
}

func newCluster(fault func(string, ...any), o pagestate.Options) *cluster {
	o.Secrets = [][]byte{newSecret()}
	c := &cluster{fault: fault, store: newStore(), options: o}
	for i := range c.nodes {
		c.nodes[i] = c.start()
	}
	return c
}

// close ends all servers.
func (c *cluster) close() {
	for _, n := range c.nodes {
		n.server.Close()
		<-n.done
	}
}

func newSecret() []byte {
	secret := make([]byte, 32)
	rand.Read(secret) // never fails, see crypto/rand
	return secret
}

// start returns a server that a program started now would be: a registry and a
// middleware of its own, and a clock that differs from the others'.
func (c *cluster) start() *node {
	ahead := time.Duration(len(c.made)%4) * 10 * time.Second
	o := c.options
	o.Clock = func() time.Time { return time.Now().Add(ahead) }
	o.Logger = slog.New(&faultLog{c.fault})
	mw, err := pagestate.New(newRegistry(c.store), o)
	if err != nil {
		panic(err)
	}
	c.made = append(c.made, mw)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	n := &node{
		url: "http://" + listener.Addr().String(),
		server: &http.Server{
			Handler:  mw.Handler(newRoutes(c.store)),
			ErrorLog: log.New(faultWriter{c.fault}, "", 0),
		},
		done: make(chan struct{}),
	}
	go func() {
		defer close(n.done)
		n.server.Serve(listener)
	}()
	return n
}

func (c *cluster) node(i int) *node {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.nodes[i]
}

func (c *cluster) put(i int, n *node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[i] = n
}

// replace takes one server out and puts another in: so that what is under way
// comes to its end, or as when the power fails. In the second case there is a
// moment with nobody there.
func (c *cluster) replace(i int, gracefully bool) {
	old := c.node(i)
	old.leaving.Store(true)
	if gracefully {
		c.put(i, c.start())
		old.shutdown()
	} else {
		old.server.Close()
		c.put(i, c.start())
	}
	<-old.done
}

// shutdown lets what is under way come to its end, for a second at most, as
// net/http waits for connections that have not been used yet.
func (n *node) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if n.server.Shutdown(ctx) != nil {
		n.server.Close()
	}
}

// rotate gives all servers other secrets, one server after the other.
func (c *cluster) rotate(secrets ...[]byte) {
	c.options.Secrets = secrets
	for i := range c.nodes {
		c.replace(i, true)
	}
}

// faultLog takes what the middleware logs. A warning of lost state is a fault,
// and so is a token.
type faultLog struct {
	fault func(format string, args ...any)
}

func (l *faultLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *faultLog) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *faultLog) WithGroup(string) slog.Handler            { return l }

func (l *faultLog) Handle(_ context.Context, r slog.Record) error {
	const fernet = "gAAAA" // the first characters of every token
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += " " + a.String()
		return true
	})
	if !strings.HasPrefix(r.Message, "pagestate: request refused") || strings.Contains(text, fernet) {
		l.fault("a server logged: %s", text)
	}
	return nil
}

// faultWriter takes what net/http logs, such as a panic.
type faultWriter struct {
	fault func(format string, args ...any)
}

func (w faultWriter) Write(b []byte) (int, error) {
	w.fault("net/http logged: %s", b)
	return len(b), nil
}
