package integration_test

// The throttle of docs/throttle.md, around the middleware: it slows down who
// sends tokens that are not valid, and nobody else.

import (
	"context"
	"crypto/rand"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

// throttle refuses, for a minute or two, who has sent too many tokens that are
// not valid.
type throttle struct {
	perSession, perAddress int // how many are too many
	room                   int // how many sessions and addresses are remembered
	clock                  func() time.Time

	seed      maphash.Seed
	mu        sync.Mutex
	since     time.Time      // when now was begun
	now, then map[uint64]int // failures in this minute, and in the one before
}

func newThrottle() *throttle {
	return &throttle{perSession: 20, perAddress: 200, room: 100_000, clock: time.Now, seed: maphash.MakeSeed()}
}

// handler is mw.Handler(next), throttled. Options.ErrorHandler must be answer.
func (t *throttle) handler(mw *pagestate.Middleware, next http.Handler) http.Handler {
	next = mw.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := &sender{address: maphash.String(t.seed, "address "+addressOf(r))}
		if o, err := mw.Owner(r); err == nil && o.Session != "" {
			s.session = maphash.String(t.seed, "session "+o.Session)
		}
		if mayCarryToken(r) && t.refuses(s) {
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("Retry-After", "60")
			http.Error(w, "Too many requests. Wait a minute and reload the page.", http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), senderKey{}, s)))
	})
}

// answer counts a request once, whatever else goes wrong in it.
func (t *throttle) answer(w http.ResponseWriter, r *http.Request, err error) {
	s, ok := r.Context().Value(senderKey{}).(*sender)
	if _, code := pagestate.Status(err); ok && code == "InvalidState" && !s.counted.Swap(true) {
		t.count(s)
	}
	pagestate.WriteError(w, r, err)
}

// sender is who sent a request.
type sender struct {
	session, address uint64 // hashes; the session's is 0 if there is none
	counted          atomic.Bool
}

type senderKey struct{}

// mayCarryToken lets pages through, since a reload is what helps.
func mayCarryToken(r *http.Request) bool {
	return r.ContentLength != 0 || len(r.Header.Values("Page-State")) > 0
}

func (t *throttle) refuses(s *sender) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn()
	bySession := s.session != 0 && t.now[s.session]+t.then[s.session] >= t.perSession
	return bySession || t.now[s.address]+t.then[s.address] >= t.perAddress
}

func (t *throttle) count(s *sender) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn()
	t.now[s.address]++
	if s.session != 0 {
		t.now[s.session]++
	}
}

// turn begins a new minute when this one is over, or has no room for two more.
func (t *throttle) turn() {
	age := t.clock().Sub(t.since)
	if age < time.Minute && len(t.now)+2 <= t.room/2 {
		return
	}
	if age >= 2*time.Minute {
		t.now = nil // nobody asked for so long that it is no minute before this one
	}
	t.since, t.now, t.then = t.clock(), make(map[uint64]int), t.now
}

// addressOf is where r comes from. Of IPv6 it is the network, since one visitor
// has all the addresses in it.
func addressOf(r *http.Request) string {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	address := from.Addr().Unmap()
	if address.Is6() {
		network, _ := address.Prefix(64)
		return network.String()
	}
	return address.String()
}

// throttled is a server behind a throttle that 3 failures of a session are too
// many for, and 6 of an address.
type throttled struct {
	*httptest.Server
	t     *testing.T
	clock pagestatetest.Clock
	runs  atomic.Int32
}

func newThrottled(t *testing.T) *throttled {
	t.Helper()
	a := &throttled{t: t}
	limit := newThrottle()
	limit.perSession, limit.perAddress, limit.clock = 3, 6, a.clock.Now
	registry := pagestate.NewRegistry()
	pagestate.Register[visits](registry, "visits")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets:      [][]byte{testkit.NewSecret()},
		Session:      pagestate.Cookie(http.Cookie{Name: "binding"}),
		ErrorHandler: limit.answer,
		Clock:        a.clock.Now,
		Logger:       slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", attached(func(*http.Request) *visits { return new(visits) }))
	mux.Handle("POST /change", pagestate.Handle(func(w http.ResponseWriter, _ *http.Request, v *visits) error {
		a.runs.Add(1)
		v.Count++
		_, err := fmt.Fprint(w, v.Count)
		return err
	}))
	mux.HandleFunc("POST /twice", func(w http.ResponseWriter, r *http.Request) {
		limit.answer(httptest.NewRecorder(), r, pagestate.ErrInvalid)
		limit.answer(w, r, pagestate.ErrInvalid)
	})
	a.Server = httptest.NewServer(limit.handler(mw, mux))
	t.Cleanup(a.Close)
	return a
}

func (a *throttled) browser() *pagestatetest.Browser { return pagestatetest.NewBrowser(a.t, a.Server) }

// forged is a page with a token of the right form that nobody has sealed.
func forged(b *pagestatetest.Browser) pagestatetest.Page {
	return b.Page("gAAAAA" + strings.Repeat("A", 158))
}

func TestThrottleOfASession(t *testing.T) {
	a := newThrottled(t)
	b, neighbour := a.browser(), a.browser()
	page := wantStatus(t, b.Get("/"), http.StatusOK)
	other := wantStatus(t, neighbour.Get("/"), http.StatusOK)
	for range 3 {
		wantBody(t, call(page, "/change"), "1")
		wantRefused(t, call(forged(b), "/change"), pagestate.ErrInvalid)
	}
	runs := a.runs.Load()
	for _, p := range []pagestatetest.Page{
		call(forged(b), "/change"),
		call(page, "/change"), // nobody looks whether it is valid
		submit(t, b, "/change", url.Values{"page_state": page.Tokens}),
		page.Call("GET", "/change", nil),
	} {
		wantStatus(t, p, http.StatusTooManyRequests)
		testkit.Want(t, "caching", p.Header.Get("Cache-Control"), "no-store")
		testkit.Want(t, "when to come back", p.Header.Get("Retry-After"), "60")
	}
	testkit.Want(t, "handlers that ran", a.runs.Load()-runs, 0)
	wantStatus(t, b.Get("/"), http.StatusOK)
	wantBody(t, call(other, "/change"), "1")

	a.clock.Advance(2 * time.Minute)
	wantBody(t, call(page, "/change"), "1")
}

// Whoever makes up a session for each request has an address still.
func TestThrottleOfAnAddress(t *testing.T) {
	for name, session := range map[string]func() string{
		"made up": func() string { return "binding=" + rand.Text()[:26] },
		"none":    func() string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			a := newThrottled(t)
			b := a.browser()
			for i := range 9 {
				b.Header.Set("Cookie", session())
				if p := call(forged(b), "/change"); i < 6 {
					wantRefused(t, p, pagestate.ErrInvalid)
				} else {
					wantStatus(t, p, http.StatusTooManyRequests)
				}
			}
			testkit.Want(t, "handlers that ran", a.runs.Load(), 0)
		})
	}
}

// A tab that was open for too long has done nothing wrong.
func TestThrottleLetsExpiredTabsBe(t *testing.T) {
	a := newThrottled(t)
	b := a.browser()
	page := wantStatus(t, b.Get("/"), http.StatusOK)
	a.clock.Advance(25 * time.Hour)
	for range 20 {
		wantRefused(t, call(page, "/change"), pagestate.ErrExpired)
		wantRefused(t, call(b.Page(), "/change"), pagestate.ErrMissing)
	}
	wantBody(t, call(wantStatus(t, b.Get("/"), http.StatusOK), "/change"), "1")
}

func TestThrottleCountsARequestOnce(t *testing.T) {
	a := newThrottled(t)
	b := a.browser()
	page := wantStatus(t, b.Get("/"), http.StatusOK)
	for range 3 {
		wantRefused(t, call(page, "/twice"), pagestate.ErrInvalid)
	}
	wantStatus(t, call(page, "/twice"), http.StatusTooManyRequests)
}

// What is let through unseen carries no token, in whatever way one might hide
// there.
func TestThrottleOverlooksNoToken(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	request := func(method, body, contentType string, header ...string) *http.Request {
		r := httptest.NewRequest(method, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		r.Header["Page-State"] = header
		return r
	}
	chunked := request("GET", "page_state=x", form)
	chunked.ContentLength = -1
	for _, c := range []struct {
		what string
		r    *http.Request
		want bool
	}{
		{"a page", request("GET", "", ""), false},
		{"a click without a token", request("POST", "", ""), false},
		{"a form", request("POST", "page_state=x", form), true},
		{"a form with GET", request("GET", "page_state=x", form), true},
		{"a form of unknown length", chunked, true},
		{"a header", request("GET", "", "", "x"), true},
		{"a header behind an empty one", request("GET", "", "", "", "x"), true},
	} {
		testkit.Want(t, c.what, mayCarryToken(c.r), c.want)
	}
}

func TestThrottleForgets(t *testing.T) {
	th := newThrottle()
	th.room = 100
	for i := range uint64(1000) {
		th.count(&sender{session: 2*i + 1, address: 2*i + 2})
		if n := len(th.now) + len(th.then); n > th.room {
			t.Fatalf("it remembers %d", n)
		}
	}

	var clock pagestatetest.Clock
	th = newThrottle()
	th.perSession, th.clock = 2, clock.Now
	s := &sender{session: 1, address: 2}
	th.count(s)
	clock.Advance(time.Minute)
	th.count(s)
	testkit.Want(t, "two in two minutes are too many", th.refuses(s), true)
	clock.Advance(time.Minute)
	testkit.Want(t, "a minute later one is left", th.refuses(s), false)
	th.count(s)
	clock.Advance(2 * time.Minute)
	th.count(s)
	testkit.Want(t, "and after a quiet time none", th.refuses(s), false)
}

func TestAddressOf(t *testing.T) {
	for remote, address := range map[string]string{
		"192.0.2.1:1234":              "192.0.2.1",
		"[::ffff:192.0.2.1]:1234":     "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:1234": "2001:db8:1:2::/64",
		"[2001:db8:1:2:9:9:9:9]:99":   "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1234":         "fe80::/64",
		"@":                           "@",
	} {
		testkit.Want(t, remote, addressOf(&http.Request{RemoteAddr: remote}), address)
	}
}
