package redisstate_test

// Several servers of one application over HTTP: which of them runs a request,
// and what becomes of a page while Redis is down.

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/adapter/redisstate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/redis/go-redis/v9"
)

type counter struct{ Count int }

// A node is one server of an application.
type node struct {
	*httptest.Server
	ran atomic.Int32 // how often its handler ran
}

func newNode(t *testing.T, secret []byte, guard pagestate.Guard) *node {
	registry := pagestate.NewRegistry()
	pagestate.Register[counter](registry, "counter")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{secret},
		Session: pagestate.Cookie(http.Cookie{Name: "binding"}),
		Guard:   guard,
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		c := &counter{}
		if err := pagestate.Attach(r.Context(), c); err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		token, err := pagestate.Token(r.Context(), c)
		if err != nil {
			pagestate.WriteError(w, r, err)
			return
		}
		io.WriteString(w, token)
	})
	mux.Handle("POST /increment", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
		n.ran.Add(1)
		c.Count++
		_, err := fmt.Fprintf(w, "count=%d", c.Count)
		return err
	}))
	mux.Handle("GET /look", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *counter) error {
		c.Count += 100
		return nil
	}))
	n.Server = httptest.NewServer(mw.Handler(mux))
	t.Cleanup(n.Close)
	return n
}

// A browser keeps the cookies of all nodes.
type browser struct {
	t *testing.T
	http.Client
}

func newBrowser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, http.Client{Jar: jar}}
}

// open returns the token of a new page of n.
func (b *browser) open(n *node) string {
	_, token, _ := b.send(http.NewRequest("GET", n.URL, nil))
	return token
}

// increment sends token to n, and returns the status, the body and the next
// token.
func (b *browser) increment(n *node, token string) (status int, body, next string) {
	req, err := http.NewRequest("POST", n.URL+"/increment", nil)
	req.Header.Set("Page-State", token)
	return b.send(req, err)
}

// look sends token to n without using it up, and returns the status and the token
// that n made of it.
func (b *browser) look(n *node, token string) (status int, made string) {
	req, err := http.NewRequest("GET", n.URL+"/look", nil)
	req.Header.Set("Page-State", token)
	status, _, made = b.send(req, err)
	return status, made
}

func (b *browser) send(req *http.Request, err error) (status int, body, next string) {
	if err != nil {
		b.t.Error(err)
		return 0, "", ""
	}
	res, err := b.Do(req)
	if err != nil {
		b.t.Error(err)
		return 0, "", ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Error(err)
	}
	return res.StatusCode, string(text), res.Header.Get("Page-State")
}

// What looking makes of a token, on whichever server, is used up together with it,
// and is so for as long as a page may live. A look needs no Redis.
func TestLooksAcrossNodes(t *testing.T) {
	redisServer, secret := newServer(t), testkit.NewSecret()
	var nodes [2]*node
	for i := range nodes {
		nodes[i] = newNode(t, secret, redisstate.NewGuard(redisServer.client(t, redis.Options{}), "guard:"))
	}
	b := newBrowser(t)
	tokens := []string{b.open(nodes[0])}
	for i := range 4 {
		status, made := b.look(nodes[i%2], tokens[i])
		testkit.Want(t, "a look", status, 200)
		tokens = append(tokens, made)
	}
	status, _, _ := b.increment(nodes[0], tokens[2])
	testkit.Want(t, "a use", status, 200)
	for i, token := range tokens {
		status, _, _ := b.increment(nodes[i%2], token)
		testkit.Want(t, fmt.Sprint("then ", i), status, 409)
	}
	client := redisServer.client(t, redis.Options{})
	keys := client.Keys(t.Context(), "guard:*").Val()
	testkit.Want(t, "records", len(keys), 1)
	left := client.TTL(t.Context(), keys[0]).Val()
	const lifetime = 7 * 24 * time.Hour
	testkit.Want(t, fmt.Sprint("kept as long as a page lives, not ", left), lifetime < left && left <= lifetime+2*time.Minute, true)
	redisServer.kill()
	status, _ = b.look(nodes[0], tokens[0])
	testkit.Want(t, "a look without Redis", status, 200)
}

func TestDoubleSubmitAcrossNodes(t *testing.T) {
	redisServer, secret := newServer(t), testkit.NewSecret()
	var nodes [2]*node
	for i := range nodes {
		nodes[i] = newNode(t, secret, redisstate.NewGuard(redisServer.client(t, redis.Options{}), "guard:"))
	}
	b := newBrowser(t)
	token := b.open(nodes[0])
	var statuses [600]atomic.Int32
	next := make(chan string, 10)
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			status, body, token := b.increment(nodes[i%2], token)
			statuses[status].Add(1)
			if status == http.StatusOK {
				next <- token
			} else {
				testkit.WantText(t, "refusal", body, "StateConflict")
			}
		})
	}
	all.Wait()
	testkit.Want(t, "answered 200", statuses[200].Load(), 1)
	testkit.Want(t, "answered 409", statuses[409].Load(), 9)
	testkit.Want(t, "ran", nodes[0].ran.Load()+nodes[1].ran.Load(), 1)
	token = <-next
	for i := range 4 {
		status, body, newer := b.increment(nodes[i%2], token)
		testkit.Want(t, "goes on", status, 200)
		testkit.Want(t, "with", body, fmt.Sprintf("count=%d", i+2))
		token = newer
	}
}

// While Redis is down nothing runs, or everything does with an open guard. When it
// is back, pages go on with the tokens they have.
func TestRestartUnderLoad(t *testing.T) {
	for name, tt := range map[string]struct {
		guard func(*redisstate.Guard) *redisstate.Guard
		down  int // the status while Redis is
	}{
		"closed": {func(g *redisstate.Guard) *redisstate.Guard { return g }, 503},
		"open": {func(g *redisstate.Guard) *redisstate.Guard {
			return g.FailOpen(slog.New(slog.DiscardHandler))
		}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			redisServer := newServer(t)
			// With the pool full of failures, go-redis would wait a second before it dials again.
			client := redisServer.client(t, redis.Options{PoolSize: 1000})
			n := newNode(t, testkit.NewSecret(), tt.guard(redisstate.NewGuard(client, "guard:")))

			statuses, stop := make(chan int), make(chan struct{})
			var visitors sync.WaitGroup
			var succeeded atomic.Int32
			for range 4 {
				visitors.Go(func() { succeeded.Add(visit(t, n, statuses, stop)) })
			}
			await := func(status int) {
				for seen := 0; seen < 20 && !t.Failed(); {
					switch got := <-statuses; got {
					case status:
						seen++
					case 200, tt.down: // of a moment ago
					default:
						t.Errorf("status %d", got)
					}
				}
			}
			await(200)
			redisServer.kill()
			await(tt.down)
			redisServer.start()
			await(200)
			close(stop)
			visitors.Wait()
			testkit.Want(t, "ran, of what was answered 200", n.ran.Load(), succeeded.Load())
		})
	}
}

// visit sends one request after the other, and what was refused once more, and
// returns how many were answered 200.
func visit(t *testing.T, n *node, statuses chan<- int, stop <-chan struct{}) (succeeded int32) {
	b := newBrowser(t)
	token := b.open(n)
	for {
		status, body, next := b.increment(n, token)
		switch status {
		case 200:
			succeeded++
			testkit.Want(t, "page", body, fmt.Sprintf("count=%d", succeeded))
			token = next
		case 503:
			testkit.WantText(t, "refusal", body, "StateUnavailable")
		}
		select {
		case statuses <- status:
		case <-stop:
			return succeeded
		}
	}
}

// A request with a deadline is answered by then, though Redis is silent.
func TestSilenceOverHTTP(t *testing.T) {
	client := newSilentServer(t).client(t, redis.Options{ReadTimeout: -1})
	n := newNode(t, testkit.NewSecret(), redisstate.NewGuard(client, "guard:"))
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 50*time.Millisecond)
		defer cancel()
		n.Config.Handler.ServeHTTP(w, r.WithContext(ctx))
	}))
	defer front.Close()
	n.URL = front.URL
	b := newBrowser(t)
	status, body, _ := b.increment(n, b.open(n))
	testkit.Want(t, "status", status, 503)
	testkit.WantText(t, "refusal", body, "StateUnavailable")
	testkit.Want(t, "ran", n.ran.Load(), 0)
}
