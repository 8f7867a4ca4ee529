package pagestate_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/internal/wire"
)

// wizard is what a visitor has said so far, a word on each page.
type wizard struct {
	pagestate.Component
	Said  []string
	About *wizardRow
}

type wizardRow struct{ ID int }

// wizardLine is a child of a wizard.
type wizardLine struct {
	pagestate.Component
	Text string
}

// wizardNotice is shown by the next page alone.
type wizardNotice struct{ Text string }

// mapCarrier is a carrier of the application's own, which may be out of order.
type mapCarrier struct {
	mu      sync.Mutex
	parcels map[string]pagestate.Parcel
	asked   int
	err     error
}

func (c *mapCarrier) Put(_ http.ResponseWriter, _ *http.Request, p pagestate.Parcel) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parcels == nil {
		c.parcels = make(map[string]pagestate.Parcel)
	}
	c.parcels[p.ID] = p
	return c.err
}

func (c *mapCarrier) Get(_ http.ResponseWriter, _ *http.Request, id string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	return c.parcels[id].Value, c.err
}

// wizardApp has a page for each step. Every word that is posted to one leads to the
// next.
type wizardApp struct {
	*app
	carrier *mapCarrier
	fetch   func(ctx context.Context) error // what a row's Fetch returns
	load    func(*wizard) error
}

func newWizardApp(t *testing.T, o pagestate.Options, opts ...pagestate.ComponentOption) *wizardApp {
	t.Helper()
	a := &wizardApp{carrier: new(mapCarrier)}
	r := pagestate.NewRegistry()
	pagestate.Register[wizard](r, "wizard", append(opts, pagestate.LoadWith(func(_ context.Context, wz *wizard) error {
		if a.load != nil {
			return a.load(wz)
		}
		return nil
	}))...)
	pagestate.Register[wizardLine](r, "line")
	pagestate.Register[wizardNotice](r, "notice")
	pagestate.RegisterModel(r, "row", pagestate.Model[int, wizardRow]{
		Key: func(row *wizardRow) int { return row.ID },
		Fetch: func(ctx context.Context, ids []int) ([]*wizardRow, error) {
			if a.fetch != nil {
				if err := a.fetch(ctx); err != nil {
					return nil, err
				}
			}
			return []*wizardRow{{ids[0]}}, nil
		},
	})
	if o.Carrier == nil {
		o.Carrier = a.carrier
	}
	a.app = newApp(t, r, o)
	a.mux.Handle("GET /step/{step}", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
		wz, err := pagestate.FromOrAttach(r.Context(), &wizard{})
		if err != nil {
			return err
		}
		return showWizard(w, http.StatusOK, wz)
	}))
	a.mux.Handle("POST /step/{step}", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
		word := r.PostFormValue("word")
		if word == "" {
			return showWizard(w, http.StatusUnprocessableEntity, wz)
		}
		wz.Said = append(wz.Said, word)
		return pagestate.Redirect(w, r, "/step/"+word, wz)
	}))
	return a
}

func showWizard(w http.ResponseWriter, status int, wz *wizard) error {
	field, err := wz.StateField()
	if err != nil {
		return err
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, "said=%s %s", strings.Join(wz.Said, ","), field)
	return nil
}

// post sends a form with the token of a page.
func (b *browser) post(path string, page testkit.Answer, values ...string) testkit.Answer {
	b.app.t.Helper()
	form := url.Values{"page_state": {page.Field()}}
	for i := 0; i < len(values); i += 2 {
		form.Set(values[i], values[i+1])
	}
	r := b.Request("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.Send(r)
}

// follow asks for the page that a redirect leads to.
func (b *browser) follow(res testkit.Answer) testkit.Answer {
	b.app.t.Helper()
	return b.Get(b.location(res))
}

func (b *browser) location(res testkit.Answer) string {
	b.app.t.Helper()
	testkit.Want(b.app.t, "status", res.StatusCode, http.StatusSeeOther)
	testkit.Want(b.app.t, "header with a token", res.Token(), "")
	return res.Header.Get("Location")
}

// say posts a word from a page, and returns the page that this leads to and its URL.
func (b *browser) say(page testkit.Answer, word string) (next testkit.Answer, at string) {
	b.app.t.Helper()
	at = b.location(b.post("/step/x", page, "word", word))
	return b.Get(at), at
}

func (a *wizardApp) wantSaid(page testkit.Answer, want ...string) {
	a.t.Helper()
	testkit.Want(a.t, "status", page.StatusCode, http.StatusOK)
	testkit.WantText(a.t, "page", page.Body, "said="+strings.Join(want, ",")+" ")
}

// eachCarrier runs a test with every way to carry, with and without a guard.
func eachCarrier(t *testing.T, test func(t *testing.T, o func() pagestate.Options)) {
	carriers := map[string]func() pagestate.Carrier{
		"cookies": func() pagestate.Carrier { return pagestate.CookieCarrier(http.Cookie{}) },
		"memory":  func() pagestate.Carrier { return pagestate.NewCarrier(1 << 20) },
		"own":     func() pagestate.Carrier { return new(mapCarrier) },
	}
	for name, carrier := range carriers {
		t.Run(name, func(t *testing.T) {
			test(t, func() pagestate.Options {
				return pagestate.Options{Carrier: carrier()}
			})
		})
		t.Run(name+" and a guard", func(t *testing.T) {
			test(t, func() pagestate.Options {
				return pagestate.Options{Carrier: carrier(), Guard: pagestate.NewGuard(1000)}
			})
		})
	}
}

func TestRedirectWizard(t *testing.T) {
	eachCarrier(t, func(t *testing.T, o func() pagestate.Options) {
		a := newWizardApp(t, o())
		b := a.browser()
		start := b.Get("/step/0")
		one, atOne := b.say(start, "one")
		two, atTwo := b.say(one, "two")
		three, atThree := b.say(two, "three")
		a.wantSaid(one, "one")
		a.wantSaid(two, "one", "two")
		a.wantSaid(three, "one", "two", "three")

		t.Log("reload, Back, and on from there in a second tab")
		a.wantSaid(b.Get(atThree), "one", "two", "three")
		back := b.Get(atTwo)
		a.wantSaid(back, "one", "two")
		other, _ := b.say(back, "other")
		a.wantSaid(other, "one", "two", "other")
		a.wantSaid(b.Get(atThree), "one", "two", "three")
		a.wantSaid(b.Get(atOne), "one")

		t.Log("a form with an error, reload, and the form once more")
		again := b.Get(atThree)
		refused := b.post("/step/x", again, "word", "")
		testkit.Want(t, "status", refused.StatusCode, 422)
		again = b.Get(atThree)
		four, _ := b.say(again, "four")
		a.wantSaid(four, "one", "two", "three", "four")
		five, _ := b.say(refused, "five")
		a.wantSaid(five, "one", "two", "three", "five")
		testkit.Want(t, "warnings", strings.Count(a.log.String(), "level=WARN"), 0)
	})
}

func TestRedirectOfTwoTabs(t *testing.T) {
	eachCarrier(t, func(t *testing.T, o func() pagestate.Options) {
		a := newWizardApp(t, o())
		b := a.browser()
		left, right := b.Get("/step/0"), b.Get("/step/0")
		toLeft := b.location(b.post("/step/x", left, "word", "left"))
		toRight := b.location(b.post("/step/x", right, "word", "right"))
		a.wantSaid(b.Get(toLeft), "left")
		a.wantSaid(b.Get(toRight), "right")
	})
}

func TestRedirectWithGuard(t *testing.T) {
	a := newWizardApp(t, pagestate.Options{Guard: pagestate.NewGuard(1000)})
	b := a.browser()
	one, at := b.say(b.Get("/step/0"), "one")

	t.Log("a page's own double submit is once")
	testkit.Want(t, "first", b.post("/step/x", one, "word", "two").StatusCode, 303)
	testkit.Want(t, "second", b.post("/step/x", one, "word", "two").StatusCode, 409)

	t.Log("two tabs on one carried URL are two pages")
	left, right := b.Get(at), b.Get(at)
	testkit.Want(t, "left", b.post("/step/x", left, "word", "left").StatusCode, 303)
	testkit.Want(t, "right", b.post("/step/x", right, "word", "right").StatusCode, 303)

	t.Log("what a safe request carries keeps instance and revision, so a claim ends all of it")
	a.mux.Handle("GET /jump", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
		wz, err := pagestate.FromOrAttach(r.Context(), &wizard{})
		if err != nil {
			return err
		}
		wz.Said = append(wz.Said, "jumped")
		return pagestate.Redirect(w, r, "/step/7", wz)
	}))
	_, id, _ := strings.Cut(at, "?")
	page := b.Get(at)
	r := b.Request("GET", "/jump?"+id, nil)
	r.Header.Set("Page-State", page.Field())
	_, id, _ = strings.Cut(b.location(b.Send(r)), "?")
	fork := b.follow(b.Get("/jump?" + id)) // what arrives keeps them too
	a.wantSaid(fork, "one", "jumped", "jumped")
	testkit.Want(t, "page", b.post("/step/x", page, "word", "paid").StatusCode, 303)
	testkit.Want(t, "fork", b.post("/step/x", fork, "word", "paid").StatusCode, 409)
}

// A form that was sent again, by a reload of its answer, is refused with a link to the
// page that a redirect had led to. What was only posted to may be for POST alone.
func TestRedirectAndReloadOfForm(t *testing.T) {
	a := newWizardApp(t, pagestate.Options{Guard: pagestate.NewGuard(1000)})
	b := a.browser()
	reload := func(page testkit.Answer, from string) testkit.Answer {
		t.Helper()
		testkit.Want(t, "empty", b.post("/step/one", page).StatusCode, 422)
		r := b.Request("POST", "/step/one", strings.NewReader(url.Values{"page_state": {page.Field()}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Referer", "http://"+r.Host+from)
		res := b.Send(r)
		testkit.Want(t, "again", res.StatusCode, 409)
		return res
	}
	start := b.Get("/step/one")
	testkit.Want(t, "link", strings.Contains(reload(start, "/step/one").Body, "<a"), false)
	testkit.Want(t, "link", strings.Contains(reload(b.Get("/step/one"), "/step/one?page_state=x").Body, "<a"), false)

	one, at := b.say(b.Get("/step/one"), "one")
	testkit.WantText(t, "link", reload(one, at).Body, `<a href="`+at+`">`)
	again := b.Get(at)
	a.wantSaid(again, "one")
	two, _ := b.say(again, "two")
	a.wantSaid(two, "one", "two")
}

func TestRedirectKeepsAge(t *testing.T) {
	for _, guard := range []pagestate.Guard{nil, pagestate.NewGuard(1000)} {
		now := time.Now()
		a := newWizardApp(t, pagestate.Options{
			Guard: guard, MaxAge: time.Hour, MaxLifetime: 3 * time.Hour,
			Clock: func() time.Time { return now },
		})
		b := a.browser()
		page := b.Get("/step/0")
		for range 3 {
			now = now.Add(50 * time.Minute)
			page, _ = b.say(page, "on")
		}
		a.wantSaid(page, "on", "on", "on")
		now = now.Add(40 * time.Minute)
		testkit.Want(t, "after its lifetime", b.post("/step/x", page, "word", "late").StatusCode, 409)
		for id, p := range a.carrier.parcels {
			if p.Keep > time.Hour || len(id) != 26 {
				t.Errorf("parcel %q is kept for %v", id, p.Keep)
			}
		}
	}
}

func TestRedirectFreshOrFailing(t *testing.T) {
	down, gone := errors.New("connection refused"), fmt.Errorf("no such row: %w", sql.ErrNoRows)
	fetching := func(err error) func(a *wizardApp) {
		return func(a *wizardApp) { a.fetch = func(context.Context) error { return err } }
	}
	loading := func(err error) func(a *wizardApp) {
		return func(a *wizardApp) {
			a.load = func(wz *wizard) error {
				if len(wz.Said) > 0 {
					return err
				}
				return nil
			}
		}
	}
	for name, tt := range map[string]struct {
		meanwhile func(*wizardApp)
		status    int
		logged    string
	}{
		"the row is deleted":        {fetching(gone), 200, "is stale"},
		"load says stale":           {loading(pagestate.ErrStale), 200, "is stale"},
		"load forbids":              {loading(pagestate.ErrForbidden), 403, "access is forbidden"},
		"load fails":                {loading(down), 500, "connection refused"},
		"the database is down":      {fetching(pagestate.ErrUnavailable), 503, "unavailable"},
		"the database does not say": {fetching(down), 500, "connection refused"},
		"the carrier is down":       {func(a *wizardApp) { a.carrier.err = down }, 503, "asking the carrier: connection refused"},
		"the carrier has forgotten": {func(a *wizardApp) { clear(a.carrier.parcels) }, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := newWizardApp(t, pagestate.Options{})
			b := a.browser()
			a.mux.Handle("POST /about", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
				wz.About, wz.Said = &wizardRow{1}, []string{private}
				return pagestate.Redirect(w, r, "/step/1", wz)
			}))
			to := b.location(b.post("/about", b.Get("/step/0")))
			tt.meanwhile(a)
			a.log.Reset()
			page := b.Get(to)
			testkit.Want(t, "status", page.StatusCode, tt.status)
			if tt.status == 200 {
				a.wantSaid(page)
			}
			if tt.logged != "" {
				testkit.WantText(t, "log", a.log.String(), tt.logged)
			}
		})
	}
}

// What is too old for its page, or of another version of it, starts fresh.
func TestRedirectTooLate(t *testing.T) {
	now := time.Now()
	o := pagestate.Options{MaxAge: time.Minute, Clock: func() time.Time { return now }, Secrets: [][]byte{testkit.NewSecret()}}
	a := newWizardApp(t, o)
	b := a.browser()
	_, at := b.say(b.Get("/step/0"), "one")
	a.wantSaid(b.Get(at), "one")
	now = now.Add(time.Minute + 2*time.Second)
	a.wantSaid(b.Get(at))
	testkit.WantText(t, "log", a.log.String(), "level=INFO", "what a redirect carried is not used", "the state has expired")

	_, at = b.say(b.Get("/step/0"), "two")
	deployed := newWizardApp(t, pagestate.Options{Carrier: a.carrier, Secrets: o.Secrets, Clock: o.Clock}, pagestate.Schema(2))
	b.app = deployed.app
	deployed.wantSaid(b.Get(at))
	testkit.WantText(t, "log", deployed.log.String(), "level=INFO", "what a redirect carried is not used", "sealed by another version")
	deployed.Close()
	testkit.Want(t, "warnings", strings.Count(a.log.String()+deployed.log.String(), "level=WARN"), 0)
}

func TestRedirectAfterRenew(t *testing.T) {
	eachCarrier(t, func(t *testing.T, o func() pagestate.Options) {
		a := newWizardApp(t, o())
		b := a.browser()
		page, at := b.say(b.Get("/step/0"), private)
		a.wantSaid(page, private)
		b.serve("POST", "/login", "", func(w http.ResponseWriter, r *http.Request) {
			if err := a.mw.Renew(w, r); err != nil {
				t.Error(err)
			}
		})
		a.wantSaid(b.Get(at))
		a.wantSaid(a.browser().Get(at)) // of somebody else
	})
}

// What is attached again after a login goes on with its new owner.
func TestRedirectAfterLogin(t *testing.T) {
	eachCarrier(t, func(t *testing.T, o func() pagestate.Options) {
		a := newWizardApp(t, o())
		a.mux.Handle("POST /login", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			if err := a.mw.Renew(w, r); err != nil {
				return err
			}
			if err := pagestate.Attach(r.Context(), wz); err != nil {
				return err
			}
			return pagestate.Redirect(w, r, "/step/2", wz)
		}))
		b := a.browser()
		before, at := b.say(b.Get("/step/0"), "one")
		after := b.follow(b.post("/login", before))
		a.wantSaid(after, "one")
		next, _ := b.say(after, "two")
		a.wantSaid(next, "one", "two")
		a.wantSaid(b.Get(at))
		testkit.Want(t, "a tab from before", b.post("/step/x", before, "word", "x").StatusCode, 400)
		testkit.Want(t, "warnings", strings.Count(a.log.String(), "level=WARN"), 0)
	})
}

// With a guard, pages that a safe request links to are used up together with the page
// that has the links, however often and by however many of them one goes there.
func TestLinkedPagesAreUsedUpTogether(t *testing.T) {
	a := newWizardApp(t, pagestate.Options{Guard: pagestate.NewGuard(1000)})
	a.mux.Handle("GET /linked", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
		wz, err := pagestate.FromOrAttach(r.Context(), &wizard{})
		if err != nil {
			return err
		}
		if r.URL.Query().Get("changes") != "" {
			wz.Said = append(wz.Said, "changed")
		}
		var links []string
		for _, to := range []string{"/step/1", "/step/1", "/linked"} {
			link, err := pagestate.Link(r, to, wz)
			if err != nil {
				return err
			}
			links = append(links, "link="+link)
		}
		field, err := wz.StateField()
		fmt.Fprintln(w, strings.Join(links, " "), field)
		return err
	}))
	links := func(page testkit.Answer) (all []string) {
		for _, part := range strings.Split(page.Body, "link=")[1:] {
			all = append(all, strings.Fields(part)[0])
		}
		testkit.Want(t, "links", len(all), 3)
		return all
	}
	for _, query := range []string{"", "&changes=1"} {
		b := a.browser()
		_, at := b.say(b.Get("/step/0"), "one")
		_, id, _ := strings.Cut(at, "?")
		page := b.Get("/linked?" + id + query)
		to := links(page)
		chained := b.Get(to[2] + query)
		pages := []testkit.Answer{page, b.Get(to[0]), b.Get(to[0]), b.Get(to[1]), chained, b.Get(links(chained)[0])}
		paid := 0
		for _, p := range pages {
			if b.post("/step/x", p, "word", "paid").StatusCode == http.StatusSeeOther {
				paid++
			}
		}
		testkit.Want(t, "paid", paid, 1)
	}
}

// A Load may ask for what was carried.
func TestFromOrAttachInLoad(t *testing.T) {
	eachCarrier(t, func(t *testing.T, o func() pagestate.Options) {
		r := pagestate.NewRegistry()
		pagestate.Register[wizardNotice](r, "notice")
		pagestate.Register[wizardLine](r, "line", pagestate.LoadWith(func(ctx context.Context, l *wizardLine) error {
			n, err := pagestate.FromOrAttach(ctx, &wizardNotice{"none"})
			l.Text = n.Text
			return err
		}))
		a := newApp(t, r, o())
		a.mux.Handle("GET /page", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
			l, err := pagestate.FromOrAttach(r.Context(), &wizardLine{})
			if err != nil {
				return err
			}
			field, err := l.StateField()
			fmt.Fprint(w, l.Text, " ", field)
			return err
		}))
		a.mux.HandleFunc("POST /go", func(w http.ResponseWriter, r *http.Request) {
			if err := pagestate.Redirect(w, r, "/page", &wizardLine{}, &wizardNotice{"carried"}); err != nil {
				t.Error(err)
			}
		})
		b := a.browser()
		testkit.WantText(t, "page by itself", b.Get("/page").Body, "none ")
		page := b.follow(b.Send(b.Request("POST", "/go", nil)))
		testkit.WantText(t, "page", page.Body, "carried ")
		testkit.WantText(t, "asked by a script", b.Call("GET", "/page", page.Field()).Body, "none ")
	})
}

// However long its URL and its states are, a redirect passes proxies that allow 4 KiB
// of headers, or is refused before anything is written.
func TestRedirectHeadersStayBelow4KiB(t *testing.T) {
	a := newWizardApp(t, pagestate.Options{Carrier: pagestate.CookieCarrier(http.Cookie{})})
	a.mux.HandleFunc("POST /go", func(w http.ResponseWriter, r *http.Request) {
		size, _ := strconv.Atoi(r.FormValue("size"))
		length, _ := strconv.Atoi(r.FormValue("length"))
		err := pagestate.Redirect(w, r, "/"+strings.Repeat("a", length), &wizardNotice{strings.Repeat("x", size)})
		if err != nil {
			pagestate.WriteError(w, r, err)
		}
	})
	answered := make(map[int]int)
	for _, size := range []int{1, 200, 800, 1200, 1700, 1750, 1800, 1900, 5000} {
		for _, length := range []int{1, 200, 500, 1500, 3000, 4000} {
			b := a.browser() // which gets the session's cookie too
			r := b.Request("POST", fmt.Sprintf("/go?size=%d&length=%d", size, length), nil)
			res := b.Send(r)
			answered[res.StatusCode]++
			switch res.StatusCode {
			case http.StatusSeeOther:
				all := 0
				for name, lines := range res.Header {
					for _, line := range lines {
						all += len(name) + len(": \r\n") + len(line)
					}
				}
				if all > 4<<10 {
					t.Errorf("%d characters at a URL of %d: the headers are %d bytes", size, length, all)
				}
			case http.StatusRequestEntityTooLarge:
				for _, c := range res.Cookies() {
					testkit.Want(t, "cookie of a refused redirect", c.Name, "binding")
				}
			}
		}
	}
	testkit.Want(t, "answers of one kind or the other", answered[303]+answered[413], 54)
	testkit.Want(t, "some of each", min(answered[303], answered[413], 10), 10)
}

// A request line of a visitor's own does not lead a redirect elsewhere.
func TestRedirectFromOddRequests(t *testing.T) {
	a := newWizardApp(t, pagestate.Options{})
	server := httptest.NewServer(a.mw.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := r.Header.Get("To")
		if err := pagestate.Redirect(w, r, to, &wizardNotice{"x"}); err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
		}
	})))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	for _, tt := range []struct{ line, to, want string }{
		{"/form", "", "/form?page_state=ID"},
		{"//evil.example/form", "", ""},
		{"//evil.example/form", "?a=1", ""},
		{"//evil.example/form", "next", ""},
		{"//evil.example/form", "../next", ""},
		{"//evil.example/form", "/next", "/next?page_state=ID"},
		{"///evil.example/form", "", ""},
		{`/\evil.example/form`, "", "/%5Cevil.example/form?page_state=ID"},
		{`/\evil.example/form`, "next", "/%5Cevil.example/next?page_state=ID"},
		{"http://evil.example/form", "", "/form?page_state=ID"},
		{"http://evil.example/form", "next", "/next?page_state=ID"},
		{"http://evil.example//evil.example/form", "next", ""},
		{"/form?a=\"<b>&page_state=X", "", `/form?a="<b>&page_state=ID`},
		{"/a/%2e%2e//form", "next", "/a/%2e%2e//next?page_state=ID"},
		{"/%0d%0aSet-Cookie:a=b/form", "next", "/%0d%0aSet-Cookie:a=b/next?page_state=ID"},
		{"/%2F%2Fevil.example/form", "next", "/%2F%2Fevil.example/next?page_state=ID"},
	} {
		t.Run(tt.line+" to "+tt.to, func(t *testing.T) {
			conn, err := net.Dial("tcp", host)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nTo: %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", tt.line, host, tt.to)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if tt.want == "" {
				testkit.Want(t, "status", res.StatusCode, http.StatusTeapot)
				testkit.Want(t, "location", res.Header.Get("Location"), "")
				return
			}
			before, id, _ := strings.Cut(res.Header.Get("Location"), "page_state=")
			testkit.Want(t, "location", before, strings.TrimSuffix(tt.want, "page_state=ID"))
			testkit.Want(t, "length of the id", len(id), 26)
		})
	}
}

// scriptApp answers a change with a redirect, as seen by a script that follows it and
// sends its headers again.
func TestRedirectFollowedByScript(t *testing.T) {
	for _, guard := range []pagestate.Guard{nil, pagestate.NewGuard(1000)} {
		a := newWizardApp(t, pagestate.Options{Guard: guard})
		b := a.browser()
		a.mux.Handle("GET /fails", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
			wz, err := pagestate.FromOrAttach(r.Context(), &wizard{})
			if err != nil {
				return err
			}
			wz.Said = nil
			return errors.New("out of order")
		}))
		old := b.Get("/step/0").Field()
		send := func(method, path, token string) testkit.Answer {
			r := b.Request(method, path, strings.NewReader("word=one"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Page-State", token)
			return b.Send(r)
		}
		at := b.location(send("POST", "/step/x", old))

		page := send("GET", at, old)
		a.wantSaid(page, "one")
		newest := page.Token()
		testkit.Want(t, "token", newest, page.Field())

		t.Log("a page that asks its own URL again has its newest state")
		a.mux.Handle("POST /more", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			wz.Said = append(wz.Said, "more")
			return nil
		}))
		newest = send("POST", "/more", newest).Token()
		a.wantSaid(send("GET", at, newest), "one", "more")

		t.Log("beside an unknown id, a header counts")
		a.wantSaid(send("GET", "/step/1?page_state=ABCDEFGHIJKLMNOPQRSTUVWXYZ", newest), "one", "more")

		t.Log("a page that fails has the state that was carried, so that it can go on")
		_, id, _ := strings.Cut(at, "?")
		failed := send("GET", "/fails?"+id, old)
		testkit.Want(t, "status", failed.StatusCode, 500)
		a.wantSaid(send("GET", "/step/1", failed.Token()), "one")
	}
}

// A script that follows a redirect brings the state that was carried if that did not
// change, and then nothing is lost.
func TestRedirectOfUnchangedFollowedByScript(t *testing.T) {
	a := newWizardApp(t, pagestate.Options{})
	b := a.browser()
	a.mux.Handle("POST /same", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
		return pagestate.Redirect(w, r, "/step/1", wz)
	}))
	a.mux.Handle("POST /more", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
		wz.Said = append(wz.Said, "more")
		return nil
	}))
	page := b.Get("/step/0")
	at := b.location(b.Call("POST", "/same", page.Field()))
	a.wantSaid(b.Call("GET", at, page.Field()))
	a.wantSaid(b.Call("GET", at, b.Call("POST", "/more", page.Field()).Token()), "more")
	a.Close() // the handler logs when it has returned
	testkit.Want(t, "warnings", strings.Count(a.log.String(), "level=WARN"), 0)
}

// A page that asks its own URL again has newer children than what was carried there.
func TestArrivingChildrenOfThePage(t *testing.T) {
	a := newWizardApp(t, pagestate.Options{})
	b := a.browser()
	a.mux.Handle("GET /page", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
		wz, err := pagestate.FromOrAttach(r.Context(), &wizard{})
		if err != nil {
			return err
		}
		l, err := pagestate.FromOrAttach(r.Context(), &wizardLine{Text: "new"}, pagestate.Under(wz, "1"))
		if err != nil {
			return err
		}
		return showWizardAndLine(w, r, wz, l)
	}))
	a.mux.Handle("POST /more", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
		l, err := pagestate.Child[wizardLine](r.Context(), wz, "1", nil)
		if err != nil {
			return err
		}
		l.Text += "+"
		if r.FormValue("redirect") != "" {
			return pagestate.Redirect(w, r, "/page", wz, l)
		}
		return showWizardAndLine(w, r, wz, l)
	}))
	page := b.Get("/page")
	at := b.location(b.Call("POST", "/more?redirect=1", page.Fields()...))
	followed := b.Call("GET", at, page.Fields()...)
	testkit.WantText(t, "followed", followed.Body, "line=new+ ")
	more := b.Call("POST", "/more", followed.Fields()...)
	testkit.WantText(t, "more", more.Body, "line=new++ ")
	testkit.WantText(t, "its own URL", b.Call("GET", at, more.Fields()...).Body, "line=new++ ")
}

func showWizardAndLine(w http.ResponseWriter, r *http.Request, wz *wizard, l *wizardLine) error {
	fmt.Fprintf(w, "line=%s ", l.Text)
	for _, state := range []any{wz, l} {
		field, err := pagestate.Field(r.Context(), state)
		if err != nil {
			return err
		}
		fmt.Fprint(w, field)
	}
	return nil
}

// A token that the carried state still has is as good as that, and so are those of its
// children.
func TestRedirectFollowedUnchanged(t *testing.T) {
	a := newWizardApp(t, pagestate.Options{})
	b := a.browser()
	page := b.serve("GET", "/start", "", func(w http.ResponseWriter, r *http.Request) {
		wz, l := &wizard{}, &wizardLine{Text: "mine"}
		if err := errors.Join(pagestate.Attach(r.Context(), wz), pagestate.Attach(r.Context(), l, pagestate.Under(wz, "1"))); err != nil {
			t.Error(err)
		}
		for _, state := range []any{wz, l} {
			field, err := pagestate.Field(r.Context(), state)
			if err != nil {
				t.Error(err)
			}
			fmt.Fprint(w, field)
		}
	})
	a.mux.Handle("POST /go", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
		return pagestate.Redirect(w, r, "/page", wz)
	}))
	a.mux.Handle("GET /page", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
		wz, err := pagestate.FromOrAttach(r.Context(), &wizard{})
		if err != nil {
			return err
		}
		l, err := pagestate.FromOrAttach(r.Context(), &wizardLine{Text: "new"}, pagestate.Under(wz, "1"))
		fmt.Fprint(w, l.Text)
		return err
	}))
	at := b.location(b.Call("POST", "/go", page.Fields()...))
	testkit.Want(t, "child", b.Call("GET", at, page.Fields()...).Body, "mine")
}

func TestRedirectFollowedWithoutWhatActed(t *testing.T) {
	for name, end := range map[string]func(a *wizardApp, w http.ResponseWriter, r *http.Request) error{
		"Renew": func(a *wizardApp, w http.ResponseWriter, r *http.Request) error { return a.mw.Renew(w, r) },
		"its row is deleted": func(a *wizardApp, w http.ResponseWriter, r *http.Request) error {
			a.fetch = func(context.Context) error { return sql.ErrNoRows }
			return nil
		},
		"nothing": func(*wizardApp, http.ResponseWriter, *http.Request) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			a := newWizardApp(t, pagestate.Options{})
			b := a.browser()
			a.mux.Handle("POST /about", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
				wz.About, wz.Said = &wizardRow{1}, []string{"former"}
				return showWizard(w, http.StatusOK, wz)
			}))
			a.mux.Handle("POST /end", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
				if err := end(a, w, r); err != nil {
					return err
				}
				return pagestate.Redirect(w, r, "/notice", &wizardNotice{"done"})
			}))
			a.mux.Handle("GET /notice", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
				n, err := pagestate.FromOrAttach(r.Context(), &wizardNotice{})
				if err != nil {
					return err
				}
				wz, err := pagestate.From[wizard](r.Context())
				fmt.Fprint(w, n.Text, err == nil && wz.Said != nil)
				return nil
			}))
			old := b.post("/about", b.Get("/step/0")).Field()
			res := b.Call("POST", "/end", old)
			testkit.Want(t, "status", res.StatusCode, 303)
			got := b.Call("GET", res.Header.Get("Location"), old)
			testkit.Want(t, "status", got.StatusCode, 200)
			testkit.Want(t, "token of the notice", got.Token(), "")
			testkit.Want(t, "page", got.Body, fmt.Sprint("done", name == "nothing"))
		})
	}
}

func TestRedirectAndRestart(t *testing.T) {
	o := pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}, Carrier: pagestate.CookieCarrier(http.Cookie{})}
	a := newWizardApp(t, o)
	b := a.browser()
	_, at := b.say(b.Get("/step/0"), "one")
	restarted := newWizardApp(t, o)
	b.app = restarted.app
	restarted.wantSaid(b.Get(at), "one")

	t.Log("with another secret, the bookmark leads to a fresh page")
	other := newWizardApp(t, pagestate.Options{Carrier: o.Carrier})
	b.app = other.app
	other.wantSaid(b.Get(at))
}

func TestRedirectWithBindings(t *testing.T) {
	type session struct{ pagestate.Binding } // one's own
	all := map[string]func() pagestate.Binding{
		"SessionFunc": func() pagestate.Binding {
			return pagestate.SessionFunc(func(r *http.Request) string { return "a session of the application" })
		},
		"Unbound": pagestate.Unbound,
		"own":     func() pagestate.Binding { return session{pagestate.Cookie(http.Cookie{Name: "own"})} },
		"__Host-": func() pagestate.Binding {
			return pagestate.Cookie(http.Cookie{Name: "__Host-page", Path: "/", Secure: true})
		},
	}
	for name, binding := range bindings(t) {
		all[name] = func() pagestate.Binding { return binding }
	}
	for name, binding := range all {
		for _, tls := range []bool{false, true} {
			if name == "__Host-" && !tls {
				continue
			}
			t.Run(fmt.Sprintf("%s, TLS: %v", name, tls), func(t *testing.T) {
				a := newWizardApp(t, pagestate.Options{Session: binding(), Carrier: pagestate.CookieCarrier(http.Cookie{})})
				b := a.browser()
				if tls {
					server := httptest.NewTLSServer(a.mw.Handler(a.mux))
					defer server.Close()
					b.Browser = testkit.NewBrowser(t, func() string { return server.URL })
					b.Transport = server.Client().Transport
				}
				page, at := b.say(b.Get("/step/0"), "one")
				a.wantSaid(page, "one")
				page, _ = b.say(page, "two")
				a.wantSaid(page, "one", "two")
				a.wantSaid(b.Get(at), "one")
			})
		}
	}
}

func TestRedirectToOtherComponents(t *testing.T) {
	a := newWizardApp(t, pagestate.Options{})
	b := a.browser()
	at := b.location(b.post("/step/x", b.Get("/step/0"), "word", "one"))

	t.Log("the header of another component acts, and what was carried is there")
	_, id, _ := strings.Cut(at, "?")
	line := b.serve("GET", "/line", "", func(w http.ResponseWriter, r *http.Request) {
		l := &wizardLine{Text: "mine"}
		pagestate.Attach(r.Context(), l)
		token, _ := l.StateToken()
		fmt.Fprint(w, token)
	}).Body
	a.mux.HandleFunc("GET /both", func(w http.ResponseWriter, r *http.Request) {
		l, err := pagestate.From[wizardLine](r.Context())
		wz, err2 := pagestate.FromOrAttach(r.Context(), &wizard{})
		if err := errors.Join(err, err2); err != nil {
			t.Error(err)
			return
		}
		fmt.Fprint(w, l.Text, wz.Said)
	})
	res := b.Call("GET", "/both?"+id, line)
	testkit.Want(t, "page", res.Body, "mine[one]")
	testkit.Want(t, "token", res.Token(), "")
}

func TestRedirectCarriesChildrenAndNotices(t *testing.T) {
	eachCarrier(t, func(t *testing.T, o func() pagestate.Options) {
		a := newWizardApp(t, o())
		b := a.browser()
		show := func(w http.ResponseWriter, r *http.Request) error {
			wz, err := pagestate.FromOrAttach(r.Context(), &wizard{})
			if err != nil {
				return err
			}
			notice, err := pagestate.FromOrAttach(r.Context(), &wizardNotice{})
			if err != nil {
				return err
			}
			first, err := pagestate.FromOrAttach(r.Context(), &wizardLine{Text: "new"}, pagestate.Under(wz, "1"))
			if err != nil {
				return err
			}
			second, err := pagestate.FromOrAttach(r.Context(), &wizardLine{Text: "new"}, pagestate.Under(wz, "2"))
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "said=%v notice=%q lines=%q", wz.Said, notice.Text, []string{first.Text, second.Text})
			for _, c := range []interface{ StateToken() (string, error) }{wz, first, second} {
				token, err := c.StateToken()
				if err != nil {
					return err
				}
				fmt.Fprintf(w, `<input type="hidden" name="page_state" value="%s">`, token)
			}
			return nil
		}
		a.mux.Handle("GET /page", pagestate.HandlePage(show))
		a.mux.Handle("POST /page", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			l, err := pagestate.Child[wizardLine](r.Context(), wz, "1", nil)
			if err != nil {
				return err
			}
			l.Text += "+"
			wz.Said = append(wz.Said, "one")
			return pagestate.Redirect(w, r, "", &wizardNotice{"saved"}, l, wz)
		}))
		send := func(page testkit.Answer) testkit.Answer {
			form := url.Values{"page_state": page.Fields()}
			r := b.Request("POST", "/page", strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return b.follow(b.Send(r))
		}
		first := b.Get("/page")
		testkit.WantText(t, "first", first.Body, `said=[] notice="" lines=["new" "new"]`)
		second := send(first)
		testkit.WantText(t, "second", second.Body, `said=[one] notice="saved" lines=["new+" "new"]`)
		third := send(second)
		testkit.WantText(t, "third", third.Body, `said=[one one] notice="saved" lines=["new++" "new"]`)
		testkit.Want(t, "warnings", strings.Count(a.log.String(), "level=WARN"), 0)
	})
}

func TestRedirectErrors(t *testing.T) {
	a := newWizardApp(t, pagestate.Options{})
	b := a.browser()
	child := func(r *http.Request, wz *wizard) *wizardLine {
		l := &wizardLine{}
		if err := pagestate.Attach(r.Context(), l, pagestate.Under(wz, "1")); err != nil {
			t.Error(err)
		}
		return l
	}
	for name, tt := range map[string]struct {
		redirect func(w http.ResponseWriter, r *http.Request, wz *wizard) error
		want     string
	}{
		"two of one type": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			return pagestate.Redirect(w, r, "/", wz, &wizard{})
		}, "carrying wizard: the page that it arrives at finds a state by its type"},
		"one twice": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			return pagestate.Redirect(w, r, "/", wz, wz)
		}, "carrying wizard: the page"},
		"a child without its parent": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			return pagestate.Redirect(w, r, "/", child(r, wz))
		}, "carrying line: it is a child, and opens with its parent alone"},
		"from before Renew": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			if err := a.mw.Renew(w, r); err != nil {
				return err
			}
			return pagestate.Redirect(w, r, "/", wz)
		}, "carrying wizard: it is of the owner before Renew"},
		"no component": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			return pagestate.Redirect(w, r, "/", &struct{}{})
		}, "is not a registered component"},
		"nil": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			return pagestate.Redirect(w, r, "/", nil)
		}, "is not a registered component"},
		"no pointer": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			return pagestate.Redirect(w, r, "/", wizardNotice{})
		}, "give a pointer to the state"},
		"after the first byte": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			fmt.Fprint(w, "body")
			return pagestate.Redirect(w, r, "/", wz)
		}, "pagestate: Redirect: the first byte has left"},
		"plain after the first byte": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			fmt.Fprint(w, "body")
			return pagestate.Redirect(w, r, "/")
		}, "pagestate: Redirect: the first byte has left"},
		"after Discard": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			pagestate.Discard(r.Context())
			return pagestate.Redirect(w, r, "/", wz)
		}, "carrying a state: the handler has failed"},
		"another site": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			return pagestate.Redirect(w, r, "//evil.example/"+private, wz)
		}, "names a scheme or a host"},
		"the carrier is down": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			a.carrier.err = errors.New("connection refused")
			defer func() { a.carrier.err = nil }()
			err := pagestate.Redirect(w, r, "/", wz)
			testkit.Want(t, "unavailable", errors.Is(err, pagestate.ErrUnavailable), true)
			return err
		}, "asking the carrier: connection refused"},
		"too large": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			a.carrier.err = pagestate.ErrTooLarge
			defer func() { a.carrier.err = nil }()
			err := pagestate.Redirect(w, r, "/", wz)
			testkit.Want(t, "too large", errors.Is(err, pagestate.ErrTooLarge), true)
			return err
		}, "over a limit"},
	} {
		t.Run(name, func(t *testing.T) {
			var got error
			path := "/" + strings.ReplaceAll(name, " ", "-")
			a.mux.Handle("POST "+path, pagestate.Handle(func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
				got = tt.redirect(w, r, wz)
				return nil
			}))
			res := b.post(path, b.Get("/step/0"))
			testkit.Want(t, "location", res.Header.Get("Location"), "")
			testkit.WantText(t, "error", fmt.Sprint(got), tt.want)
		})
	}
	t.Run("without the middleware", func(t *testing.T) {
		w := httptest.NewRecorder()
		err := pagestate.Redirect(w, httptest.NewRequest("POST", "/", nil), "/", &wizard{})
		testkit.Want(t, "error", errors.Is(err, pagestate.ErrNoMiddleware), true)
	})
}

func TestRedirectFromAnotherSite(t *testing.T) {
	a := newWizardApp(t, pagestate.Options{})
	a.mux.Handle("POST /paid", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
		return pagestate.Redirect(w, r, "/step/1", &wizardNotice{"paid"})
	}))
	b := a.browser()
	b.Get("/step/0")
	b.Jar = nil // SameSite=Lax
	r := b.Request("POST", "/paid", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	res := b.Send(r)
	testkit.Want(t, "status", res.StatusCode, 403)
	testkit.Want(t, "cookies", len(res.Cookies()), 0)
}

func TestRedirectWarnings(t *testing.T) {
	changed := "changed in answer to a redirect, which carries no state by itself"
	late := "changed after Redirect or Link had carried it"
	unasked := "a page that did not ask for it with FromOrAttach"
	for name, tt := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request, wz *wizard) error
		want   string
	}{
		"carried": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			wz.Said = []string{"one"}
			return pagestate.Redirect(w, r, "/step/1", wz)
		}, ""},
		"http.Redirect": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			wz.Said = []string{"one"}
			http.Redirect(w, r, "/step/1", http.StatusSeeOther)
			return nil
		}, changed},
		"HX-Redirect": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			r.Header.Set("HX-Request", "true")
			wz.Said = []string{"one"}
			w.Header().Set("HX-Redirect", "/step/1")
			return nil
		}, changed},
		"HX-Redirect to a link": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			r.Header.Set("HX-Request", "true")
			wz.Said = []string{"one"}
			link, err := pagestate.Link(r, "/step/1", wz)
			w.Header().Set("HX-Redirect", link)
			return err
		}, ""},
		"nothing carried": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			wz.Said = []string{"one"}
			return pagestate.Redirect(w, r, "/step/1")
		}, changed},
		"unchanged": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			return pagestate.Redirect(w, r, "/step/1")
		}, ""},
		"another carried": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			wz.Said = []string{"one"}
			return pagestate.Redirect(w, r, "/notice", &wizardNotice{"left on purpose"})
		}, ""},
		"changed afterwards": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			defer func() { wz.Said = []string{"one"} }()
			return pagestate.Redirect(w, r, "/step/1", wz)
		}, late},
		"a notice changed afterwards": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			n := &wizardNotice{"saved"}
			defer func() { n.Text = "not saved" }()
			return pagestate.Redirect(w, r, "/notice", n)
		}, late},
		"never asked for": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			return pagestate.Redirect(w, r, "/plain", wz)
		}, unasked},
		"another asked for": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			return pagestate.Redirect(w, r, "/step/1", &wizardNotice{"saved"})
		}, unasked},
		"never asked for by an error": {func(w http.ResponseWriter, r *http.Request, wz *wizard) error {
			return pagestate.Redirect(w, r, "/missing", wz)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := newWizardApp(t, pagestate.Options{})
			a.mux.HandleFunc("GET /plain", func(http.ResponseWriter, *http.Request) {})
			a.mux.Handle("GET /notice", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
				n, err := pagestate.FromOrAttach(r.Context(), &wizardNotice{})
				fmt.Fprint(w, n.Text)
				return err
			}))
			a.mux.Handle("POST /go", pagestate.Handle(tt.answer))
			b := a.browser()
			res := b.post("/go", b.Get("/step/0"))
			b.Get(res.Header.Get("Location"))
			a.Close() // the handler logs when it has returned
			warnings := strings.Count(a.log.String(), "level=WARN")
			testkit.Want(t, "warnings", warnings, min(1, len(tt.want)))
			if tt.want != "" {
				testkit.WantText(t, "log", a.log.String(), tt.want)
			}
		})
	}
}

func TestRedirectURL(t *testing.T) {
	a := newWizardApp(t, pagestate.Options{})
	long := "/" + strings.Repeat("a", 1500)
	for _, tt := range []struct{ to, want string }{
		{"/cart", "/cart?page_state=ID"},
		{"/cart/", "/cart/?page_state=ID"},
		{"/cart?page=2", "/cart?page=2&page_state=ID"},
		{"/cart?q=a+b%20c&q=;d&&e", "/cart?q=a+b%20c&q=;d&e&page_state=ID"},
		{"/cart?q=ä b", "/cart?q=%C3%A4%20b&page_state=ID"},
		{"/cart#top", "/cart?page_state=ID#top"},
		{"/cart?a=1#top", "/cart?a=1&page_state=ID#top"},
		{"/cart?page_state=ABC&a=1", "/cart?a=1&page_state=ID"},
		{"/cart?page%5Fstate=ABC&%70age_state=DEF", "/cart?page_state=ID"},
		{"/cart?page_state", "/cart?page_state=ID"},
		{"/cart?page_states=1", "/cart?page_states=1&page_state=ID"},
		{"", "/app/form?a=1&page_state=ID"},
		{"?q=1", "/app/form?q=1&page_state=ID"},
		{"#top", "/app/form?a=1&page_state=ID#top"},
		{"next", "/app/next?page_state=ID"},
		{"./next/", "/app/next/?page_state=ID"},
		{"../up", "/up?page_state=ID"},
		{"..//h", "/h?page_state=ID"},
		{"/a b/ä/%2F/;x", "/a%20b/%C3%A4/%2F/;x?page_state=ID"},
		{`/a\b`, "/a%5Cb?page_state=ID"},
		{long, long + "?page_state=ID"},
		{"/a//b", "/a//b?page_state=ID"},
		{"//evil.example", ""},
		{"///evil.example", ""},
		{"////evil.example", ""},
		{`/\evil.example`, ""},
		{`\evil.example`, ""},
		{`\\evil.example`, ""},
		{"/\t/evil.example", ""},
		{"/\n/evil.example", ""},
		{"https:evil.example", ""},
		{"https://evil.example/", ""},
		{"javascript:alert(1)", ""},
		{"JavaScript:alert(1)", ""},
		{"data:text/html,x", ""},
		{"mailto:a@b", ""},
		{"/a\r\nSet-Cookie: a=b", ""},
		{"/a\x00", ""},
		{"/a\x7f", ""},
		{" /a", ""},
		{" //evil.example", ""},
		{"/.//evil.example", ""},
		{"/a/..//evil.example", "/evil.example?page_state=ID"},
		{"/%zz", ""},
		{"user@host", "/app/user@host?page_state=ID"},
	} {
		t.Run(tt.to, func(t *testing.T) {
			for _, inside := range []bool{false, true} {
				var got, link string
				var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if err := pagestate.Redirect(w, r, tt.to, &wizardNotice{"x"}); err != nil {
						testkit.WantText(t, "error", err.Error(), "pagestate: the URL of a redirect ")
						return
					}
					got = w.Header().Get("Location")
					link, _ = pagestate.Link(r, tt.to)
				})
				if inside {
					handler = a.mw.Handler(http.StripPrefix("/app", handler))
				} else {
					handler = http.StripPrefix("/app", a.mw.Handler(handler))
				}
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, httptest.NewRequest("POST", "/app/form?a=1", nil))
				want := tt.want
				if want != "" {
					id := got[strings.LastIndex(got, "page_state=")+len("page_state="):][:26]
					want = strings.Replace(want, "ID", id, 1)
					plain := strings.NewReplacer("?page_state=ID", "", "&page_state=ID", "").Replace(tt.want)
					if !strings.Contains(tt.to, "page") && !strings.Contains(tt.to, "&&") {
						testkit.Want(t, "link without a state", link, plain)
					}
				}
				testkit.Want(t, "location", got, want)
			}
		})
	}
}

func TestArrivingIDs(t *testing.T) {
	a := newWizardApp(t, pagestate.Options{})
	b := a.browser()
	page, at := b.say(b.Get("/step/0"), "one")
	_, id, _ := strings.Cut(at, "page_state=")
	a.mux.Handle("POST /page", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
		wz, err := pagestate.FromOrAttach(r.Context(), &wizard{})
		if err != nil {
			return err
		}
		return showWizard(w, http.StatusOK, wz)
	}))
	unknown := strings.Repeat("A", 26)
	for name, tt := range map[string]struct {
		method, query string
		said          bool
		asked         int
	}{
		"carried":              {"GET", "page_state=" + id, true, 1},
		"with others":          {"GET", "a=1&page_state=" + id + "&b", true, 1},
		"escaped":              {"GET", "page%5fstate=" + id, true, 1},
		"HEAD":                 {"HEAD", "page_state=" + id, false, 1},
		"POST":                 {"POST", "page_state=" + id, false, 0},
		"unknown":              {"GET", "page_state=" + unknown, false, 1},
		"none":                 {"GET", "", false, 0},
		"empty":                {"GET", "page_state=", false, 0},
		"twice":                {"GET", "page_state=" + id + "&page_state=" + id, false, 0},
		"two":                  {"GET", "page_state=" + unknown + "&page_state=" + id, false, 0},
		"a token":              {"GET", "page_state=" + page.Field(), false, 0},
		"too long":             {"GET", "page_state=" + id + "A", false, 0},
		"in lower case":        {"GET", "page_state=" + strings.ToLower(id), false, 0},
		"a megabyte":           {"GET", "page_state=" + strings.Repeat("A", 1<<19), false, 0},
		"under another name":   {"GET", "page_states=" + id, false, 0},
		"in another's a query": {"GET", "a=%26page_state=" + id, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			a.carrier.asked = 0
			a.log.Reset()
			path := map[string]string{"GET": "/step/1?", "HEAD": "/step/1?", "POST": "/page?"}[tt.method]
			res := b.Send(b.Request(tt.method, path+tt.query, nil))
			testkit.Want(t, "shown", strings.Contains(res.Body, "said=one "), tt.said)
			testkit.Want(t, "asked", a.carrier.asked, tt.asked)
			testkit.Want(t, "status", res.StatusCode, 200)
			testkit.Want(t, "log", a.log.String(), "")
		})
	}
}

// A carrier that mixes parcels up, or lets somebody change them, opens nothing.
func TestArrivingParcelsAreTheirOwn(t *testing.T) {
	a := newWizardApp(t, pagestate.Options{})
	b := a.browser()
	_, atOne := b.say(b.Get("/step/0"), "one")
	_, atTwo := b.say(b.Get("/step/0"), "two")
	_, one, _ := strings.Cut(atOne, "page_state=")
	_, two, _ := strings.Cut(atTwo, "page_state=")
	good := a.carrier.parcels[one].Value
	for name, value := range map[string]string{
		"of another id":   a.carrier.parcels[two].Value,
		"cut short":       good[:len(good)-4],
		"longer":          good + "AAAA",
		"another sign":    good[:30] + string(good[30]^1) + good[31:],
		"no base64":       "!" + good[1:],
		"next to nothing": "AAAA",
	} {
		t.Run(name, func(t *testing.T) {
			a.log.Reset()
			a.carrier.parcels[one] = pagestate.Parcel{Value: value}
			a.wantSaid(b.Get(atOne))
			testkit.WantText(t, "log", a.log.String(), "level=INFO", "what a redirect carried is not used", "none of the secrets opens it")
		})
	}
	a.carrier.parcels[one] = pagestate.Parcel{Value: good}
	a.wantSaid(b.Get(atOne), "one")
}

// Whoever has the secret can make any parcel for a session that he knows. It is wrong
// data, and no more.
func TestForgedParcels(t *testing.T) {
	o := pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}}
	a := newWizardApp(t, o)
	b := a.browser()
	page, at := b.say(b.Get("/step/0"), "one")
	_, id, _ := strings.Cut(at, "page_state=")
	site, _ := url.Parse(a.URL)
	session := b.Jar.Cookies(site)[0].Value
	token := page.Field()
	raw, err := base64.URLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	brought := sha256.Sum256([]byte(token))
	parcel := func(brought []byte, acted, count uint64, tokens ...[]byte) []byte {
		c := wire.AppendBytes(nil, brought)
		for _, n := range []uint64{0, acted, count} {
			c = wire.AppendUint(c, n)
		}
		for _, raw := range tokens {
			c = wire.AppendBytes(c, raw)
		}
		return c
	}
	for name, tt := range map[string]struct {
		content []byte
		opens   bool
	}{
		"as it should be":           {parcel(brought[:16], 1, 1, raw), true},
		"nothing acted":             {parcel(brought[:16], 0, 1, raw), true},
		"one after the last acted":  {parcel(brought[:16], 2, 1, raw), false},
		"the last number acted":     {parcel(brought[:16], math.MaxUint64, 1, raw), false},
		"a number over int acted":   {parcel(brought[:16], 1<<63, 1, raw), false},
		"no state, and one acted":   {parcel(brought[:16], 1, 0), false},
		"no state":                  {parcel(brought[:16], 0, 0), false},
		"more states than it holds": {parcel(brought[:16], 1, math.MaxUint64, raw), false},
		"more than it says":         {parcel(brought[:16], 1, 1, raw, raw), false},
		"no token":                  {parcel(brought[:16], 0, 1, []byte("x")), false},
		"an empty token":            {parcel(brought[:16], 1, 1, nil), false},
		"nothing":                   {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			a.carrier.parcels[id] = pagestate.Parcel{Value: forgeParcel(t, o.Secrets[0], session, id, tt.content)}
			a.log.Reset()
			plain := b.Get(at)
			testkit.Want(t, "status", plain.StatusCode, 200)
			testkit.Want(t, "opens", strings.Contains(plain.Body, "said=one "), tt.opens)
			testkit.Want(t, "status of a script", b.Call("GET", at, token).StatusCode, 200)
		})
	}
}

// What was asked for before Renew is not there for the visitor afterwards.
func TestArrivingAndRenew(t *testing.T) {
	a := newWizardApp(t, pagestate.Options{})
	b := a.browser()
	a.mux.Handle("GET /renews", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
		if _, err := pagestate.FromOrAttach(r.Context(), &wizardNotice{}); err != nil { // so that the carrier was asked
			return err
		}
		if err := a.mw.Renew(w, r); err != nil {
			return err
		}
		wz, err := pagestate.FromOrAttach(r.Context(), &wizard{})
		if err != nil {
			return err
		}
		return showWizard(w, http.StatusOK, wz)
	}))
	_, at := b.say(b.Get("/step/0"), "former")
	_, id, _ := strings.Cut(at, "?")
	page := b.Get("/renews?" + id)
	a.wantSaid(page)
	next, _ := b.say(page, "new")
	a.wantSaid(next, "new")
}

// Caches keep no page that shows what was carried, whether it has a token or not.
func TestArrivingIsPrivate(t *testing.T) {
	eachCarrier(t, func(t *testing.T, o func() pagestate.Options) {
		a := newWizardApp(t, o())
		b := a.browser()
		a.mux.Handle("GET /done", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Cache-Control", "public, max-age=60")
			n, err := pagestate.FromOrAttach(r.Context(), &wizardNotice{})
			if err != nil {
				return err
			}
			fmt.Fprint(w, n.Text)
			return nil
		}))
		a.mux.HandleFunc("GET /late", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "begun ")
			n, err := pagestate.FromOrAttach(r.Context(), &wizardNotice{})
			fmt.Fprint(w, n, err)
		})
		a.mux.HandleFunc("POST /go/{to}", func(w http.ResponseWriter, r *http.Request) {
			if err := pagestate.Redirect(w, r, "/"+r.PathValue("to"), &wizardNotice{private}); err != nil {
				t.Error(err)
			}
		})
		page := b.follow(b.Send(b.Request("POST", "/go/done", nil)))
		testkit.Want(t, "page", page.Body, private)
		testkit.Want(t, "Cache-Control", page.Header.Get("Cache-Control"), "private, no-cache")
		testkit.WantText(t, "Vary", page.Header.Get("Vary"), "Cookie")

		page = b.follow(b.Send(b.Request("POST", "/go/late", nil)))
		testkit.WantText(t, "page", page.Body, "begun <nil> pagestate: the first byte has left without the headers that keep it from caches")

		a.mux.HandleFunc("GET /linked", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=60")
			link, err := pagestate.Link(r, "/done", &wizardNotice{private})
			fmt.Fprint(w, link, err)
		})
		page = b.Get("/linked")
		testkit.WantText(t, "page", page.Body, "/done?page_state=")
		testkit.Want(t, "Cache-Control with a link", page.Header.Get("Cache-Control"), "private, no-cache")
	})
}

func TestRedirectLeftToTheBrowser(t *testing.T) {
	a := newWizardApp(t, pagestate.Options{})
	b := a.browser()
	host := strings.TrimPrefix(a.URL, "http://")
	for _, tt := range []struct {
		location  string
		elsewhere bool
	}{
		{"https://pay.example/start?a=1", true},
		{"//pay.example/start", true},
		{"http://127.0.0.1:1/", true},
		{"http://" + host + "/step/1", false},
		{"https://" + strings.ToUpper(host) + "/step/1", false},
		{"/step/1", false},
		{"step", false},
		{"/step/1#top", true},
	} {
		for _, header := range []string{"Page-State", "an empty Page-State", "HX-Request", ""} {
			for _, status := range []int{301, 302, 303, 307, 308} {
				path := fmt.Sprintf("/to-%d-%s-%x", status, header, tt.location)
				a.mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "text/html")
					w.Header().Set("Content-Length", "4")
					w.Header().Set("Location", tt.location)
					w.WriteHeader(status)
					fmt.Fprint(w, "gone")
				})
				r := b.Request("POST", path, nil)
				switch header {
				case "Page-State":
					r.Header.Set(header, b.Get("/step/0").Field())
				case "an empty Page-State": // the tokens are in the form
					r.Header.Set("Page-State", "")
				case "HX-Request":
					r.Header.Set(header, "true")
				}
				res := b.Send(r)
				followed := header == "HX-Request" && strings.HasPrefix(tt.location, "/step") // htmx goes by its own rules
				if !tt.elsewhere || header == "" || followed {
					testkit.Want(t, path, res.StatusCode, status)
					testkit.Want(t, path, res.Header.Get("Location"), tt.location)
					continue
				}
				to := "Page-State-Location"
				if header == "HX-Request" {
					to = "HX-Redirect"
				}
				testkit.Want(t, path, res.StatusCode, 204)
				testkit.Want(t, path, res.Header.Get(to), tt.location)
				testkit.Want(t, path, res.Header.Get("Location")+res.Header.Get("Content-Type")+res.Body, "")
			}
		}
	}
}

func TestFromOrAttachTogether(t *testing.T) {
	eachCarrier(t, func(t *testing.T, o func() pagestate.Options) {
		a := newWizardApp(t, o())
		a.mux.Handle("GET /together", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
			var all [8]*wizard
			var lines [8]*wizardLine
			var wg sync.WaitGroup
			for i := range all {
				wg.Go(func() {
					var err error
					if all[i], err = pagestate.FromOrAttach(r.Context(), &wizard{}); err != nil {
						t.Error(err)
						return
					}
					lines[i], err = pagestate.FromOrAttach(r.Context(), &wizardLine{Text: "new"}, pagestate.Under(all[i], "1"))
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			testkit.Want(t, "states", len(slices.Compact(all[:])), 1)
			testkit.Want(t, "children", len(slices.Compact(lines[:])), 1)
			return showWizard(w, 200, all[0])
		}))
		b := a.browser()
		a.wantSaid(b.Get("/together"))
		at := b.location(b.post("/step/x", b.Get("/step/0"), "word", "one"))
		_, id, _ := strings.Cut(at, "?")
		var two sync.WaitGroup // load at once, before either is in its place
		two.Add(2)
		var loads atomic.Int32
		a.load = func(*wizard) error {
			if loads.Add(1) <= 2 {
				two.Done()
				two.Wait()
			}
			return nil
		}
		a.wantSaid(b.Get("/together?"+id), "one")
	})
}

func TestRedirectBehindTimeoutHandler(t *testing.T) {
	eachCarrier(t, func(t *testing.T, o func() pagestate.Options) {
		a := newWizardApp(t, o())
		for name, handler := range map[string]http.Handler{
			"around": http.TimeoutHandler(a.mw.Handler(a.mux), time.Minute, ""),
			"inside": a.mw.Handler(http.TimeoutHandler(a.mux, time.Minute, "")),
		} {
			t.Run(name, func(t *testing.T) {
				server := httptest.NewServer(handler)
				defer server.Close()
				b := a.browser()
				b.Browser = testkit.NewBrowser(t, func() string { return server.URL })
				page, _ := b.say(b.Get("/step/0"), "one")
				page, _ = b.say(page, "two")
				a.wantSaid(page, "one", "two")
			})
		}
	})
}
