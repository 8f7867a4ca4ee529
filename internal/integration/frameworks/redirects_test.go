package frameworks_test

// What a redirect carries, and one to another site, in every framework and with
// every mounting. The handlers call pagestate.Redirect with what the framework has
// for a writer and a request.

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

const elsewhere = "https://pay.example/order?id=7"

func (f *fixture) addRedirects(s site) {
	s.page("/steps/"+f.id, func(c call) error {
		tally, err := pagestate.FromOrAttach(c.Request().Context(), &Tally{Count: 1})
		if err != nil {
			return err
		}
		return c.HTML(http.StatusOK, "tally", tally)
	})
	s.action("/steps/"+f.id, false, func(c call, t *Tally) error {
		t.Said = c.Request().FormValue("said")
		if t.Said == "" {
			return c.HTML(http.StatusUnprocessableEntity, "tally", t)
		}
		t.Count++
		return pagestate.Redirect(c.Writer(), c.Request(), strconv.Itoa(t.Count), t)
	})
	s.action("/login", false, func(c call, _ *Tally) error {
		if err := f.mw.Renew(c.Writer(), c.Request()); err != nil {
			return err
		}
		return pagestate.Redirect(c.Writer(), c.Request(), "steps/1")
	})
	away := func(c call) error { return c.Redirect(http.StatusSeeOther, elsewhere) }
	s.page("/away", away)
	s.action("/away", false, func(c call, _ *Tally) error { return away(c) })
}

// say submits the form of a page.
func (f *fixture) say(page answer, said string) answer {
	f.t.Helper()
	form := url.Values{"page_state": {tokenIn(page.Body)}, "said": {said}}
	return f.browser.send("POST", page.Request.URL.RequestURI(), form.Encode(), http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"},
	})
}

// step asks for the page of a step, and wants its count.
func (f *fixture) step(path string, count int) answer {
	f.t.Helper()
	page := f.browser.get(path).want(http.StatusOK)
	testkit.Want(f.t, "count", f.count(tokenIn(page.Body)), count)
	f.sees(page, "/site/steps/"+f.id)
	return page
}

// carries wants a redirect to a step with a state.
func (f *fixture) carries(got answer, path string) (to string) {
	f.t.Helper()
	got.want(http.StatusSeeOther)
	to = got.Header.Get("Location")
	testkit.Want(f.t, "leads to", to[:strings.LastIndex(to, "=")+1], path+"?page_state=")
	testkit.Want(f.t, "header with a token", got.Token(), "")
	f.sees(got, "/site/steps/"+f.id)
	return to
}

func (f *fixture) testCarried(t *testing.T) {
	one := f.step("/site/steps/1", 1)
	refused := f.say(one, "").want(http.StatusUnprocessableEntity)
	testkit.Want(t, "count", f.count(tokenIn(refused.Body)), 1)
	f.sees(refused, "/site/steps/"+f.id)
	toTwo := f.carries(f.say(refused, "one"), "/site/steps/2")
	two := f.step(toTwo, 2)
	toThree := f.carries(f.say(two, "two"), "/site/steps/3")
	f.step(toThree, 3)

	t.Log("reload, Back, and on from there")
	f.step(toThree, 3)
	back := f.step(toTwo, 2)
	f.step(f.carries(f.say(back, "other"), "/site/steps/3"), 3)
	testkit.Want(t, "warnings", f.warnings(), "")
}

func (f *fixture) testTooMuchToCarry(t *testing.T) {
	one := f.step("/site/steps/1", 1)
	got := f.say(one, strings.Repeat("long ", 1000)).wantRefused(http.StatusRequestEntityTooLarge, "StateTooLarge")
	testkit.Want(t, "location", got.Header.Get("Location"), "")
	testkit.Want(t, "cookies", len(got.Cookies()), 0)
	f.sees(got, "/site/steps/"+f.id)
	f.step(f.carries(f.say(one, "short"), "/site/steps/2"), 2)
}

func (f *fixture) testCarriedDown(t *testing.T) {
	to := f.carries(f.say(f.step("/site/steps/1", 1), "one"), "/site/steps/2")
	f.down.Store(true)
	defer f.down.Store(false)
	got := f.browser.get(to).wantRefused(http.StatusServiceUnavailable, "StateUnavailable")
	f.sees(got, "/site/steps/"+f.id)
	f.down.Store(false)
	f.step(to, 2)
}

func (f *fixture) testCarriedRenewed(t *testing.T) {
	one := f.step("/site/steps/1", 1)
	to := f.carries(f.say(one, "one"), "/site/steps/2")
	got := f.browser.submit("/site/login", tokenIn(one.Body)).want(http.StatusSeeOther)
	testkit.Want(t, "leads to", got.Header.Get("Location"), "/site/steps/1")
	f.sees(got, "/site/login")
	f.step(to, 1)
	testkit.Want(t, "warnings", f.warnings(), "")
}

// A script would follow a redirect to another site by itself, so it gets an answer
// that makes the page go there.
func (f *fixture) testElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		inForm bool // where the token is
		header http.Header
		status int
		told   string // the header that says where to go
	}{
		"a plain form":   {"POST", true, http.Header{}, 303, "Location"},
		"a script":       {"POST", false, http.Header{"Page-State": {""}}, 204, "Page-State-Location"},
		"htmx":           {"POST", true, http.Header{"Hx-Request": {"true"}}, 204, "HX-Redirect"},
		"a link":         {"GET", false, http.Header{}, 303, "Location"},
		"a script's GET": {"GET", false, http.Header{"Page-State": {""}}, 204, "Page-State-Location"},
		"htmx's GET":     {"GET", false, http.Header{"Hx-Request": {"true"}}, 204, "HX-Redirect"},
	} {
		f.run(name, func(t *testing.T) {
			token := f.open()
			header := c.header.Clone()
			if header["Page-State"] != nil {
				header.Set("Page-State", token)
			}
			body := ""
			if c.inForm {
				header.Set("Content-Type", "application/x-www-form-urlencoded")
				body = url.Values{"page_state": {token}}.Encode()
			}
			got := f.browser.send(c.method, "/site/away", body, header).want(c.status)
			for _, name := range []string{"Location", "Page-State-Location", "HX-Redirect"} {
				want := ""
				if name == c.told {
					want = elsewhere
				}
				testkit.Want(t, name, got.Header.Get(name), want)
			}
			testkit.Want(t, "a token", got.Token(), "")
			if c.status == 204 && f.whole { // the logger is behind the middleware
				f.running.Wait()
				testkit.Want(t, "status seen behind", (<-f.sights).status, http.StatusSeeOther)
			} else {
				f.sees(got, "/site/away")
			}
			testkit.Want(t, "warnings", f.warnings(), "")
		})
	}
}
