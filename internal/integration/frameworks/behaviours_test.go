package frameworks_test

// What must be the same in every framework, and wherever in it the middleware
// is mounted: written once, and driven through each over a real server.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// Tally is what every site here counts.
type Tally struct {
	pagestate.Component
	Count int
	Said  string
}

// behaviour is an action, and what comes of it if its state had a count of 1.
type behaviour struct {
	name      string
	do        func(c call, s *Tally) error
	recovered bool

	status int
	body   string // the whole of it, except space around; "" if check looks at it
	count  int    // in the header's token, 0 if there is none
	logged string // all that is warned of; "" if nothing is
	byEcho bool   // Echo answers it, and warns of nothing
	check  func(t *testing.T, f *fixture, got answer)
}

var errOh = errors.New("oh")

var behaviours = []behaviour{
	{
		name: "JSON",
		do: func(c call, s *Tally) error {
			s.Count++
			return c.JSON(http.StatusCreated, map[string]int{"count": s.Count})
		},
		status: 201, body: `{"count":2}`, count: 2,
		check: func(t *testing.T, f *fixture, got answer) {
			testkit.WantText(t, "media type", got.Header.Get("Content-Type"), "application/json")
			next := f.call("JSON", got.Token()).want(http.StatusCreated)
			testkit.Want(t, "the next state", f.count(next.Token()), 3)
		},
	},
	{
		name: "HTML",
		do: func(c call, s *Tally) error {
			s.Count++
			return c.HTML(http.StatusOK, "tally", s)
		},
		status: 200, count: 2,
		check: func(t *testing.T, f *fixture, got answer) {
			testkit.WantText(t, "media type", got.Header.Get("Content-Type"), "text/html")
			testkit.Want(t, "the page's token", f.count(tokenIn(got.Body)), 2)
			form := f.browser.submit("/site/HTML", tokenIn(got.Body)).want(http.StatusOK)
			testkit.Want(t, "the next page's token", f.count(tokenIn(form.Body)), 3)
		},
	},
	{
		name: "redirect",
		do: func(c call, s *Tally) error {
			s.Count++
			return c.Redirect(http.StatusSeeOther, "/elsewhere")
		},
		status: 303, count: 2, logged: "changed in answer to a redirect",
		check: func(t *testing.T, _ *fixture, got answer) {
			testkit.Want(t, "location", got.Header.Get("Location"), "/elsewhere")
		},
	},
	{
		name: "file",
		do: func(c call, s *Tally) error {
			s.Count++
			return c.File("visitor_test.go")
		},
		status: 200, count: 2,
		check: func(t *testing.T, _ *fixture, got answer) {
			file, err := os.ReadFile("visitor_test.go")
			if err != nil {
				t.Fatal(err)
			}
			testkit.Want(t, "body", got.Body, string(file))
		},
	},
	{
		name: "status without a body",
		do: func(c call, s *Tally) error {
			s.Count++
			return c.Status(http.StatusNoContent)
		},
		status: 204, count: 2,
	},
	{
		name: "not found, says the handler",
		do: func(c call, s *Tally) error {
			s.Count++
			return c.Status(http.StatusNotFound)
		},
		status: 404, count: 2,
	},
	{
		name: "server error, says the handler",
		do: func(c call, s *Tally) error {
			s.Count++
			return c.Status(http.StatusServiceUnavailable)
		},
		status: 503,
	},
	{
		name: "nothing",
		do: func(_ call, s *Tally) error {
			s.Count++
			return nil
		},
		status: 200, count: 2,
	},
	{
		name:   "unchanged",
		do:     func(c call, s *Tally) error { return c.JSON(http.StatusOK, s.Count) },
		status: 200, body: "1",
	},
	{
		name: "changed too late",
		do: func(c call, s *Tally) error {
			s.Count++
			err := c.JSON(http.StatusOK, s.Count)
			s.Count++
			return err
		},
		status: 200, body: "2", count: 2, logged: "changed too late to be sealed",
	},
	{
		name: "hijacked",
		do: func(c call, s *Tally) error {
			s.Count++
			conn, _, err := http.NewResponseController(c.Writer()).Hijack()
			if err != nil {
				return err
			}
			defer conn.Close()
			fmt.Fprint(conn, "HTTP/1.1 202 Accepted\r\nConnection: close\r\n")
			c.Writer().Header().Write(conn)
			_, err = fmt.Fprint(conn, "\r\ntaken over")
			return err
		},
		status: 202, body: "taken over", count: 2,
	},
	{
		name: "error",
		do: func(_ call, s *Tally) error {
			s.Count++
			return errOh
		},
		status: 500, logged: "level=ERROR msg=\"pagestate: request refused\" code=StateError status=500 cause=oh", byEcho: true,
		check: func(t *testing.T, f *fixture, got answer) {
			if f.isEcho {
				testkit.Want(t, "body", strings.TrimSpace(got.Body), `{"message":"Internal Server Error"}`)
				return
			}
			got.wantRefused(http.StatusInternalServerError, "StateError")
		},
	},
	{
		name: "says that it is gone",
		do: func(_ call, s *Tally) error {
			s.Count++
			return fmt.Errorf("the list: %w", pagestate.ErrStale)
		},
		status: 410,
		check:  func(_ *testing.T, _ *fixture, got answer) { got.wantStale() },
	},
	{
		name: "error after the first byte",
		do: func(c call, s *Tally) error {
			s.Count++
			if err := c.JSON(http.StatusOK, s.Count); err != nil {
				return err
			}
			s.Count++
			return errOh
		},
		status: 200, body: "2", count: 2, logged: "failed after its answer had begun",
	},
	{
		name: "panic",
		do: func(_ call, s *Tally) error {
			s.Count++
			panic("oh")
		},
		status: 418,
	},
	{
		name: "panic, recovered inside",
		do: func(_ call, s *Tally) error {
			s.Count++
			panic("oh")
		},
		recovered: true,
		status:    418,
	},
}

func TestFrameworks(t *testing.T) {
	for _, framework := range frameworks {
		for _, c := range []struct {
			name  string
			whole bool
			mount func(*pagestate.Middleware) mount
		}{
			{"group", false, func(m *pagestate.Middleware) mount { return mount{group: m} }},
			{"route", false, func(m *pagestate.Middleware) mount { return mount{route: m} }},
			{"whole", true, func(*pagestate.Middleware) mount { return mount{} }},
			{"everywhere", true, func(m *pagestate.Middleware) mount { return mount{m, m} }},
		} {
			t.Run(framework.name+"/"+c.name, func(t *testing.T) {
				f := newFixture(t, framework, c.whole, c.mount)
				for _, b := range behaviours {
					f.run(b.name, func(t *testing.T) { f.test(t, b) })
				}
				f.run("route", f.testRoute)
				f.run("no such route", f.testNoRoute)
				f.run("stream", f.testStream)
				f.run("refused", f.testRefused)
				f.run("carried", f.testCarried)
				f.run("too much to carry", f.testTooMuchToCarry)
				f.run("carried, and the database is down", f.testCarriedDown)
				f.run("carried, and renewed", f.testCarriedRenewed)
				f.run("to another site", f.testElsewhere)
			})
		}
	}
}

// fixture is a site, and one visitor of it.
type fixture struct {
	*app
	framework
	whole   bool // the middleware is around it all
	browser *browser

	running sync.WaitGroup
	sights  chan sight
	ran     atomic.Int64 // actions
	gone    atomic.Bool  // what the tallies refer to
	down    atomic.Bool  // where the tallies are loaded from
	later   atomic.Int64 // than the clock of the test, as a Duration
	proceed chan bool    // lets a stream go on
	before  int          // what was logged before this test
}

func newFixture(t *testing.T, f framework, whole bool, where func(*pagestate.Middleware) mount) *fixture {
	x := &fixture{framework: f, whole: whole, sights: make(chan sight, 10), proceed: make(chan bool)}
	registry := pagestate.NewRegistry()
	pagestate.Register[Tally](registry, "tally", pagestate.LoadWith(func(context.Context, *Tally) error {
		switch {
		case x.gone.Load():
			return pagestate.ErrStale
		case x.down.Load():
			return pagestate.ErrUnavailable
		}
		return nil
	}))
	x.app = &app{t: t, log: new(testkit.Log)}
	now := time.Now()
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{testkit.NewSecret()},
		Session: pagestate.Cookie(http.Cookie{Name: "binding"}),
		Logger:  slog.New(slog.NewTextHandler(x.app.log, nil)),
		Clock:   func() time.Time { return now.Add(time.Duration(x.later.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	x.mw = mw
	s := f.new(where(mw), func(s sight) { x.sights <- s })
	x.addRoutes(s)
	handler := http.Handler(s)
	if whole {
		handler = mw.Handler(handler)
	}
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.running.Add(1)
		defer x.running.Done()
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(x.Close)
	return x
}

func (f *fixture) addRoutes(s site) {
	s.page("/page", func(c call) error {
		tally := &Tally{Count: 1}
		if err := pagestate.Attach(c.Request().Context(), tally); err != nil {
			return err
		}
		return c.HTML(http.StatusOK, "tally", tally)
	})
	for _, b := range behaviours {
		s.action("/"+slug(b.name), b.recovered, func(c call, t *Tally) error {
			f.ran.Add(1)
			return b.do(c, t)
		})
	}
	f.addRedirects(s)
	s.action("/item/"+f.id, false, func(c call, t *Tally) error { return c.Status(http.StatusAccepted) })
	s.action("/stream", false, func(c call, t *Tally) error {
		t.Count++
		c.Writer().Header().Set("Content-Type", "text/event-stream")
		return c.Stream(func() (string, bool) {
			if t.Count == 2 { // the first time
				t.Count++
				return "data: one\n\n", true
			}
			select {
			case <-f.proceed:
				return "data: two\n\n", false
			case <-c.Request().Context().Done():
				return "", false
			}
		})
	})
}

func slug(name string) string { return regexp.MustCompile(`[^A-Za-z]+`).ReplaceAllString(name, "-") }

// run runs a test with a browser of its own, and lets it see only what is
// logged meanwhile.
func (f *fixture) run(name string, test func(*testing.T)) {
	outer := f.app.t
	outer.Run(name, func(t *testing.T) {
		f.app.t = t
		defer func() { f.app.t = outer }()
		f.before = len(f.log.String())
		f.browser = f.app.browser()
		test(t)
		f.running.Wait()
		for len(f.sights) > 0 { // of what the test did not look at
			<-f.sights
		}
	})
}

// open returns the token of a new tally.
func (f *fixture) open() string {
	f.t.Helper()
	page := f.browser.get("/site/page").want(http.StatusOK)
	testkit.Want(f.t, "a session", len(page.Cookies()), 1)
	testkit.Want(f.t, "caching of the page", page.Header.Get("Cache-Control"), "private, no-cache")
	f.sees(page, "/site/page")
	return tokenIn(page.Body)
}

func (f *fixture) call(name, token string) answer {
	f.t.Helper()
	return f.browser.call("/site/"+slug(name), token)
}

var tokenField = regexp.MustCompile(`name="page_state" value="([^"]*)"`)

func tokenIn(page string) string {
	if found := tokenField.FindStringSubmatch(page); found != nil {
		return found[1]
	}
	return ""
}

// count is that of a token of this visitor, 0 without one.
func (f *fixture) count(token string) int {
	f.t.Helper()
	if token == "" {
		return 0
	}
	r, err := http.NewRequest("GET", f.URL, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, cookie := range f.browser.Jar.Cookies(r.URL) {
		r.AddCookie(cookie)
	}
	owner, err := f.mw.Owner(r)
	if err != nil {
		f.t.Fatal(err)
	}
	state, err := f.mw.Open(f.t.Context(), owner, token)
	if err != nil {
		f.t.Fatal(err)
	}
	return state.(*Tally).Count
}

// warnings are the lines logged in this test that are more than information.
func (f *fixture) warnings() string {
	f.running.Wait()
	var all strings.Builder
	for line := range strings.Lines(f.log.String()[f.before:]) {
		if !strings.Contains(line, "level=INFO") {
			all.WriteString(line)
		}
	}
	return all.String()
}

// sees wants the logger in front to have seen what was sent, and the route.
func (f *fixture) sees(got answer, route string) {
	f.t.Helper()
	f.running.Wait()
	select {
	case seen := <-f.sights:
		testkit.Want(f.t, "status seen in front", seen.status, got.StatusCode)
		testkit.Want(f.t, "size seen in front", seen.size, len(got.Body))
		testkit.WantText(f.t, "route seen in front", seen.route, route)
	default:
		f.t.Error("nothing was seen in front")
	}
}

func (f *fixture) test(t *testing.T, b behaviour) {
	token := f.open()
	got := f.call(b.name, token)
	testkit.Want(t, "status", got.StatusCode, b.status)
	testkit.Want(t, "sealed", f.count(got.Token()), b.count)
	if b.count > 0 {
		testkit.Want(t, "caching", got.Header.Get("Cache-Control"), "private, no-cache")
	}
	if b.body != "" {
		testkit.Want(t, "body", strings.TrimSpace(got.Body), b.body)
	}
	if b.name != "hijacked" { // which a logger sees nothing of
		f.sees(got, "/site/"+slug(b.name))
	}
	if b.check != nil {
		b.check(t, f, got)
	}
	if b.logged == "" || b.byEcho && f.isEcho {
		testkit.Want(t, "log", f.warnings(), "")
	} else {
		testkit.Want(t, "lines in the log", strings.Count(f.warnings(), "\n"), 1)
		testkit.WantText(t, "log", f.warnings(), b.logged)
	}
}

func (f *fixture) testRoute(t *testing.T) {
	token := f.open()
	f.sees(f.browser.call("/site/item/7", token).want(http.StatusAccepted), "/site/item/"+f.id)
}

func (f *fixture) testNoRoute(t *testing.T) {
	token := f.open()
	got := f.browser.call("/site/nowhere", token).want(http.StatusNotFound)
	testkit.Want(t, "a token", got.Token(), "")
	f.running.Wait()
	testkit.Want(t, "status seen in front", (<-f.sights).status, http.StatusNotFound) // Gin writes the body later
}

// The first part of a stream is there before the second is written, and the
// state leaves with it.
func (f *fixture) testStream(t *testing.T) {
	token := f.open()
	req, err := http.NewRequest("POST", f.URL+"/site/stream", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Page-State", token)
	res, err := f.browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	testkit.Want(t, "sealed", f.count(res.Header.Get("Page-State")), 3)
	first := make([]byte, len("data: one\n\n"))
	if _, err := io.ReadFull(res.Body, first); err != nil {
		t.Fatal(err)
	}
	f.proceed <- true
	rest, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "body", string(first)+string(rest), "data: one\n\ndata: two\n\n")
	f.sees(answer{testkit.Answer{Response: res, Body: string(first) + string(rest)}, t}, "/site/stream")
	testkit.Want(t, "warnings", f.warnings(), "")
}

// What is refused is answered once, and no action runs.
func (f *fixture) testRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		make   func()
		forge  func(token string) string
		header http.Header
		status int
		code   string
	}{
		{name: "stale", make: func() { f.gone.Store(true) }, status: 410, code: "StaleComponentState"},
		{name: "expired", make: func() { f.later.Store(int64(25 * time.Hour)) }, status: 409, code: "ExpiredState"},
		{name: "forged", forge: func(token string) string { return strings.ToLower(token) }, status: 400, code: "InvalidState"},
		{name: "from another site", header: http.Header{"Sec-Fetch-Site": {"cross-site"}}, status: 403, code: "CrossOriginState"},
		{name: "missing", forge: func(string) string { return "" }, status: 400, code: "MissingState"},
	} {
		f.run(c.name, func(t *testing.T) {
			token := f.open()
			if c.make != nil {
				c.make()
				defer f.gone.Store(false)
				defer f.later.Store(0)
			}
			if c.forge != nil {
				token = c.forge(token)
			}
			header := http.Header{}
			maps.Copy(header, c.header)
			if token != "" {
				header.Set("Page-State", token)
			}
			ran := f.ran.Load()
			got := f.browser.send("POST", "/site/JSON", "", header).wantRefused(c.status, c.code)
			testkit.Want(t, "actions that ran", f.ran.Load()-ran, 0)
			if f.whole && c.name != "missing" { // the logger is behind the middleware
				testkit.Want(t, "requests seen", len(f.sights), 0)
				return
			}
			f.sees(got, "/site/") // of a group it is all that is known yet
			testkit.Want(t, "warnings", f.warnings(), "")
		})
	}
}
