package integration_test

// The drills of docs/operations.md: two servers of one application behind a
// proxy that takes turns, and visitors whose pages stay open while the servers
// are started again with other secrets, with a cut-off, or with other types.

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

// pair is two servers, and the proxy in front that visitors see.
type pair struct {
	*httptest.Server
	t     *testing.T
	clock pagestatetest.Clock
	nodes [2]*node
	turn  atomic.Uint64
}

func newPair(t *testing.T) *pair {
	p := &pair{t: t}
	var urls [2]*url.URL
	for i := range p.nodes {
		p.nodes[i] = new(node)
		server := httptest.NewServer(p.nodes[i])
		t.Cleanup(server.Close)
		var err error
		if urls[i], err = url.Parse(server.URL); err != nil {
			t.Fatal(err)
		}
	}
	p.Server = httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(urls[(p.turn.Add(1)-1)%2])
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(p.Close)
	return p
}

// on has the next request served by that node. After it the other one is next.
func (p *pair) on(node int) { p.turn.Store(uint64(node)) }

func (p *pair) browser() *pagestatetest.Browser { return pagestatetest.NewBrowser(p.t, p.Server) }

// node is a server that can be started again, at the same address.
type node struct {
	mu      sync.Mutex
	handler http.Handler
	mw      *pagestate.Middleware
	runs    atomic.Int32 // how often a handler got a state
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	handler := n.handler
	n.mu.Unlock()
	handler.ServeHTTP(w, r)
}

// release is a version of the application. Its component is a T.
type release[T any] struct {
	first  T        // what a page starts with
	change func(*T) // what POST /change does; POST /look does nothing
	opts   []pagestate.ComponentOption
}

// start starts a node of p again.
func (rel release[T]) start(p *pair, number int, o pagestate.Options) {
	p.t.Helper()
	registry := pagestate.NewRegistry()
	pagestate.Register[T](registry, "order", rel.opts...)
	o.Session = pagestate.Cookie(http.Cookie{Name: "binding"})
	o.Clock = p.clock.Now
	o.Logger = slog.New(slog.NewTextHandler(p.t.Output(), nil))
	mw, err := pagestate.New(registry, o)
	if err != nil {
		p.t.Fatal(err)
	}
	n := p.nodes[number]
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", attached(func(*http.Request) *T {
		state := rel.first
		return &state
	}))
	act := func(change func(*T)) http.Handler {
		return pagestate.Handle(func(w http.ResponseWriter, _ *http.Request, state *T) error {
			n.runs.Add(1)
			change(state)
			_, err := fmt.Fprintf(w, "%+v", *state)
			return err
		})
	}
	mux.Handle("POST /change", act(rel.change))
	mux.Handle("POST /look", act(func(*T) {}))
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handler, n.mw = mw.Handler(mux), mw
}

// visits is a component that never changes its type.
type visits struct{ Count int }

var counting = release[visits]{change: func(v *visits) { v.Count++ }}

// tab is a page that somebody has left open.
type tab struct {
	pagestatetest.Page
	what   string
	secret string // what its token was sealed with
}

func TestRotationDrill(t *testing.T) {
	old, next := testkit.NewSecret(), testkit.NewSecret()
	p := newPair(t)
	browser := p.browser()
	var left []tab // opened at each step on each node
	var inUse pagestatetest.Page
	for _, step := range []struct {
		name    string
		secrets [2][][]byte
	}{
		{"before", [2][][]byte{{old}, {old}}},
		{"listed second on one", [2][][]byte{{old, next}, {old}}},
		{"listed second", [2][][]byte{{old, next}, {old, next}}},
		{"promoted on one", [2][][]byte{{next, old}, {old, next}}},
		{"promoted", [2][][]byte{{next, old}, {next, old}}},
	} {
		for i, secrets := range step.secrets {
			counting.start(p, i, pagestate.Options{Secrets: secrets})
			p.on(i)
			page := wantStatus(t, browser.Get("/"), http.StatusOK)
			left = append(left, tab{page, fmt.Sprint(step.name, ", node ", i), string(secrets[0])})
		}
		if inUse.Response == nil {
			inUse = left[0].Page
		}
		for i := range p.nodes {
			p.on(i)
			inUse = wantStatus(t, call(inUse, "/change"), http.StatusOK)
			for _, tab := range left {
				p.on(i)
				t.Logf("%s: a tab from %q on node %d", step.name, tab.what, i)
				wantBody(t, call(tab.Page, "/change"), "{Count:1}")
			}
		}
	}
	wantBody(t, call(inUse, "/look"), "{Count:10}")

	drop := func(node int) {
		counting.start(p, node, pagestate.Options{Secrets: [][]byte{next}})
		p.on(node)
		wantBody(t, call(inUse, "/look"), "{Count:10}")
		for _, tab := range left {
			p.on(node)
			t.Logf("dropped: a tab from %q on node %d", tab.what, node)
			if page := call(tab.Page, "/change"); tab.secret == string(next) {
				wantBody(t, page, "{Count:1}")
			} else {
				wantRefused(t, page, pagestate.ErrInvalid)
			}
		}
	}
	drop(0)
	for _, tab := range left { // the other node still has it
		p.on(1)
		wantBody(t, call(tab.Page, "/change"), "{Count:1}")
	}
	drop(1)
}

// Two servers under load go through a rotation without a restart, and no request is
// refused. In the end the old secret opens nothing.
func TestRotationWithoutRestart(t *testing.T) {
	old, next := testkit.NewSecret(), testkit.NewSecret()
	p := newPair(t)
	for i := range p.nodes {
		counting.start(p, i, pagestate.Options{Secrets: [][]byte{old}})
	}
	left := wantStatus(t, p.browser().Get("/"), http.StatusOK) // and not used any more
	stop := make(chan struct{})
	var visitors sync.WaitGroup
	var clicks [4]atomic.Int64
	for i := range clicks {
		visitors.Go(func() {
			page := p.browser().Get("/")
			for n := 1; !isClosed(stop); n++ {
				page = call(page, "/change")
				if page.StatusCode != http.StatusOK {
					t.Errorf("click %d is answered %d", n, page.StatusCode)
					return
				}
				clicks[i].Add(1)
			}
			wantBody(t, call(page, "/look"), fmt.Sprintf("{Count:%d}", clicks[i].Load()))
		})
	}
	// afterClicks waits until every visitor has a token of a request that began later.
	afterClicks := func() {
		for i := range clicks {
			for from := clicks[i].Load(); clicks[i].Load() < from+2 && !t.Failed(); {
				runtime.Gosched()
			}
		}
	}
	for _, secrets := range [][][]byte{{old, next}, {next, old}, {next}} {
		for _, node := range p.nodes {
			afterClicks()
			if err := node.mw.SetSecrets(secrets); err != nil {
				t.Error(err)
			}
		}
		afterClicks()
	}
	close(stop)
	visitors.Wait()
	for i := range p.nodes {
		p.on(i)
		wantRefused(t, call(left, "/look"), pagestate.ErrInvalid)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Without the first step, a page that was opened on one node is refused by the
// other.
func TestRotationWithoutListingFirst(t *testing.T) {
	old, next := testkit.NewSecret(), testkit.NewSecret()
	p := newPair(t)
	counting.start(p, 0, pagestate.Options{Secrets: [][]byte{next, old}})
	counting.start(p, 1, pagestate.Options{Secrets: [][]byte{old}})
	p.on(0)
	page := wantStatus(t, p.browser().Get("/"), http.StatusOK)
	wantRefused(t, call(page, "/change"), pagestate.ErrInvalid)
	wantBody(t, call(page, "/change"), "{Count:1}")
}

// A token that is good when MaxAge has passed since the last server promoted
// the new secret is sealed with it, whatever was done with the page.
func TestWhenToDropASecret(t *testing.T) {
	old, next := testkit.NewSecret(), testkit.NewSecret()
	p := newPair(t)
	start := func(secrets ...[]byte) {
		for i := range p.nodes {
			counting.start(p, i, pagestate.Options{Secrets: secrets}) // a MaxAge of 24 h
		}
	}
	start(old, next)
	untouched := wantStatus(t, p.browser().Get("/"), http.StatusOK)
	looked := wantStatus(t, p.browser().Get("/"), http.StatusOK)
	start(next, old)

	p.clock.Advance(time.Hour)
	looked = wantStatus(t, call(looked, "/look"), http.StatusOK)
	testkit.Want(t, "a new token for an early look", looked.Header.Get("Page-State"), "")
	p.clock.Advance(12 * time.Hour)
	looked = wantStatus(t, call(looked, "/look"), http.StatusOK)
	testkit.Want(t, "a new token for a late look", looked.Header.Get("Page-State") != "", true)

	p.clock.Advance(11*time.Hour + time.Second)
	wantRefused(t, call(untouched, "/look"), pagestate.ErrExpired)
	start(next)
	wantBody(t, call(looked, "/change"), "{Count:1}")
	// What the old secret has sealed is now forged for all that anybody can tell.
	wantRefused(t, call(untouched, "/look"), pagestate.ErrInvalid)
}

func TestCutOffDrill(t *testing.T) {
	p := newPair(t)
	p.clock.Advance(time.Date(2026, time.July, 1, 10, 0, 0, 0, time.UTC).Sub(p.clock.Now()))
	o := pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}}
	for i := range p.nodes {
		counting.start(p, i, o)
	}
	browser := p.browser()
	before := wantStatus(t, browser.Get("/"), http.StatusOK)
	p.clock.Advance(time.Hour)
	resealed := wantBody(t, call(before, "/change"), "{Count:1}")
	p.clock.Advance(time.Hour)

	o.NotBefore = time.Date(2026, time.July, 1, 12, 0, 0, 0, time.UTC)
	counting.start(p, 0, o)
	p.on(1)
	resealedAfter := wantBody(t, call(resealed, "/change"), "{Count:2}")
	wantRefused(t, call(resealedAfter, "/change"), pagestate.ErrExpired)
	p.on(1)
	after := wantStatus(t, browser.Get("/"), http.StatusOK)
	after = wantBody(t, call(after, "/change"), "{Count:1}")

	counting.start(p, 1, o)
	for i, n := range p.nodes {
		runs := n.runs.Load()
		for _, page := range []pagestatetest.Page{before, resealed, resealedAfter} {
			p.on(i)
			wantRefused(t, call(page, "/change"), pagestate.ErrExpired)
		}
		testkit.Want(t, "handlers that ran", n.runs.Load()-runs, 0)
		p.on(i)
		after = wantStatus(t, call(after, "/change"), http.StatusOK)
		p.on(i)
		wantBody(t, call(wantStatus(t, browser.Get("/"), http.StatusOK), "/change"), "{Count:1}")
	}
	wantBody(t, call(after, "/look"), "{Count:3}")
}

// orderBefore and orderAfter are one component, before and after a deploy.
type orderBefore struct {
	Step   int
	Coupon string
	Mail   string
	Note   string
}

type orderAfter struct {
	Step   int
	Gift   bool   // is new
	Email  string `state:"Mail"` // was Mail, and still is in tokens
	Remark string // was Note
}

var ordersBefore = release[orderBefore]{
	first:  orderBefore{Step: 1, Coupon: "spring", Mail: "ada@example.org", Note: "ring twice"},
	change: func(o *orderBefore) { o.Step++ },
}

var ordersAfter = release[orderAfter]{
	first:  orderAfter{Step: 1},
	change: func(o *orderAfter) { o.Step++; o.Gift = true },
}

func TestRollingDeploy(t *testing.T) {
	p := newPair(t)
	o := pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}}
	ordersBefore.start(p, 0, o)
	ordersBefore.start(p, 1, o)
	page := wantBody(t, call(p.browser().Get("/"), "/change"), "{Step:2 Coupon:spring Mail:ada@example.org Note:ring twice}")

	ordersAfter.start(p, 1, o)
	p.on(1)
	// What is new is zero, and what has a new name is lost, except what keeps
	// its name in the token.
	page = wantBody(t, call(page, "/change"), "{Step:3 Gift:true Email:ada@example.org Remark:}")
	// The former version finds no coupon, and drops the gift: it seals what has
	// another shape also if nothing changes.
	page = wantBody(t, call(page, "/look"), "{Step:3 Coupon: Mail:ada@example.org Note:}")
	testkit.Want(t, "a new token", page.Header.Get("Page-State") != "", true)
	page = wantBody(t, call(page, "/look"), "{Step:3 Gift:false Email:ada@example.org Remark:}")

	ordersAfter.start(p, 0, o)
	wantBody(t, call(page, "/change"), "{Step:4 Gift:true Email:ada@example.org Remark:}")
}

// The field comes in a first deploy and is used in a second.
func TestRollingDeployInTwoSteps(t *testing.T) {
	p := newPair(t)
	o := pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}}
	known := release[orderAfter]{first: orderAfter{Step: 1}, change: func(o *orderAfter) { o.Step++ }}

	ordersBefore.start(p, 0, o)
	known.start(p, 1, o)
	p.on(0)
	page := wantStatus(t, p.browser().Get("/"), http.StatusOK)
	for range 4 {
		page = wantStatus(t, call(page, "/change"), http.StatusOK)
	}
	known.start(p, 0, o)
	ordersAfter.start(p, 1, o)
	p.on(1)
	page = wantBody(t, call(page, "/change"), "{Step:6 Gift:true Email:ada@example.org Remark:}")
	page = wantBody(t, call(page, "/change"), "{Step:7 Gift:true Email:ada@example.org Remark:}")
	wantBody(t, call(page, "/look"), "{Step:7 Gift:true Email:ada@example.org Remark:}")
}

// ticketV0 is what a ticket was before version 1.
type ticketV0 struct {
	Seat string // "12F"
	Mail string
}

type ticket struct {
	Row  int
	Seat string // "F"
	Mail string
}

func ticketFromV0(_ context.Context, old *ticketV0) (*ticket, error) {
	seat := strings.TrimLeft(old.Seat, "0123456789")
	row, err := strconv.Atoi(strings.TrimSuffix(old.Seat, seat))
	if err != nil {
		return nil, pagestate.ErrStale
	}
	return &ticket{Row: row, Seat: seat, Mail: old.Mail}, nil
}

var ticketsBefore = release[ticketV0]{
	first:  ticketV0{Seat: "12F", Mail: "ada@example.org"},
	change: func(t *ticketV0) { t.Seat = "1" + t.Seat },
}

// ticketsAfter is the release with that step, or without it.
func ticketsAfter(opts ...pagestate.ComponentOption) release[ticket] {
	return release[ticket]{
		first:  ticket{Row: 1, Seat: "A"},
		change: func(t *ticket) { t.Row++ },
		opts:   append(opts, pagestate.Schema(1)),
	}
}

// With Migrate the new servers open the pages of the old ones, and not the other way
// round. When MaxAge has passed, it can go.
func TestRollingDeployWithMigrate(t *testing.T) {
	p := newPair(t)
	o := pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}} // a MaxAge of 24 h
	for i := range p.nodes {
		ticketsBefore.start(p, i, o)
	}
	browser := p.browser()
	untouched := wantStatus(t, browser.Get("/"), http.StatusOK)
	sticky := wantStatus(t, browser.Get("/"), http.StatusOK)
	inTurns := wantBody(t, call(browser.Get("/"), "/change"), "{Seat:112F Mail:ada@example.org}")

	ticketsAfter(pagestate.Migrate(0, ticketFromV0)).start(p, 1, o)
	p.on(0)
	sticky = wantBody(t, call(sticky, "/change"), "{Seat:112F Mail:ada@example.org}")
	p.on(1)
	inTurns = wantBody(t, call(inTurns, "/change"), "{Row:113 Seat:F Mail:ada@example.org}")
	runs := p.nodes[0].runs.Load()
	wantRefused(t, call(inTurns, "/change"), pagestate.ErrOutdated)
	testkit.Want(t, "handlers that ran", p.nodes[0].runs.Load(), runs)
	inTurns = wantBody(t, call(inTurns, "/change"), "{Row:114 Seat:F Mail:ada@example.org}")
	for range 2 { // the visitor has changed to the new server
		p.on(1)
		sticky = wantStatus(t, call(sticky, "/change"), http.StatusOK)
	}

	ticketsAfter(pagestate.Migrate(0, ticketFromV0)).start(p, 0, o)
	sticky = wantBody(t, call(sticky, "/look"), "{Row:114 Seat:F Mail:ada@example.org}")
	inTurns = wantBody(t, call(inTurns, "/look"), "{Row:114 Seat:F Mail:ada@example.org}")
	looked := wantBody(t, call(untouched, "/look"), "{Row:12 Seat:F Mail:ada@example.org}")
	testkit.Want(t, "a new token for a look", looked.Header.Get("Page-State") != "", true)

	for i := range p.nodes {
		ticketsAfter().start(p, i, o)
	}
	wantBody(t, call(looked, "/change"), "{Row:13 Seat:F Mail:ada@example.org}")
	wantBody(t, call(sticky, "/change"), "{Row:115 Seat:F Mail:ada@example.org}")
	wantBody(t, call(inTurns, "/change"), "{Row:115 Seat:F Mail:ada@example.org}")
	wantRefused(t, call(untouched, "/look"), pagestate.ErrOutdated)
	p.clock.Advance(24*time.Hour + time.Second)
	wantRefused(t, call(untouched, "/look"), pagestate.ErrExpired)
}

// The code of docs/operations.md that registers it.
func TestMigrateOfTheDocuments(t *testing.T) {
	registry := pagestate.NewRegistry()
	pagestate.Register[ticket](registry, "ticket", pagestate.Schema(1), pagestate.Migrate(0, ticketFromV0))
	_, err := pagestate.New(registry, pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}, Session: pagestate.Unbound()})
	testkit.Want(t, "error", err, nil)
	_, err = ticketFromV0(t.Context(), &ticketV0{Seat: "F"})
	testkit.Want(t, "without a row", err, pagestate.ErrStale)
}

func TestRollingDeployOfAnotherKind(t *testing.T) {
	type number struct {
		Step int
		More []int
	}
	type text struct {
		Step string
		More []int
	}
	type texts struct {
		Step int
		More []string
	}
	t.Run("of a field", func(t *testing.T) {
		testOutdated(t, release[number]{first: number{Step: 1}}, release[text]{first: text{Step: "1"}})
	})
	t.Run("of the elements of an empty slice", func(t *testing.T) {
		testOutdated(t, release[number]{first: number{More: []int{}}}, release[texts]{first: texts{More: []string{}}})
	})
	t.Run("of the schema", func(t *testing.T) {
		testOutdated(t, release[number]{}, release[number]{opts: []pagestate.ComponentOption{pagestate.Schema(1)}})
	})
}

// testOutdated wants each version to refuse what the other one has sealed, and
// to go on with what it has sealed itself.
func testOutdated[A, B any](t *testing.T, a release[A], b release[B]) {
	p := newPair(t)
	o := pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}}
	a.start(p, 0, o)
	b.start(p, 1, o)
	for i, n := range p.nodes {
		p.on(i)
		page := wantStatus(t, p.browser().Get("/"), http.StatusOK)
		other := p.nodes[1-i]
		wantRefused(t, call(page, "/look"), pagestate.ErrOutdated)
		testkit.Want(t, "handlers that ran", other.runs.Load(), 0)
		wantStatus(t, call(page, "/look"), http.StatusOK)
		testkit.Want(t, "handlers that ran", n.runs.Load(), 1)
		n.runs.Store(0)
	}
}
