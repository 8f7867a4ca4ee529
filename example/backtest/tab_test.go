package backtest_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/pagestate/pagestate/example/internal/chromium"
	"github.com/pagestate/pagestate/example/internal/firefox"
)

var (
	chrome = chromium.Browser{BackForwardCache: true}
	fox    firefox.Browser
)

func TestMain(m *testing.M) {
	m.Run()
	chrome.Stop()
	fox.Stop()
}

// driver is what the tests do with a tab of either browser.
type driver interface {
	Back()
	Click(selector string)
	Do(script string)
	Expect(parts ...string)
	Go(address string)
	Text(script string) string
	Wait(script string)
	Want(script, want string)
}

// opener opens a tab for a visitor who has been on the site before.
type opener func(*testing.T, *Site) *tab

// eachEngine runs a test in each browser.
func eachEngine(t *testing.T, test func(*testing.T, opener)) {
	drivers := map[string]func(t *testing.T, address string) driver{
		"Chromium": func(t *testing.T, address string) driver { return chrome.Profile(t).Open(address) },
		"Firefox":  func(t *testing.T, address string) driver { return fox.Profile(t).Open(address) },
	}
	for name, drive := range drivers {
		t.Run(name, func(t *testing.T) {
			test(t, func(t *testing.T, s *Site) *tab {
				p := drive(t, s.URL+"/?by=plain")
				p.Expect("status of 422")
				return &tab{p, s, t, 0}
			})
		})
	}
}

// tab shows a page of the site.
type tab struct {
	driver
	site  *Site
	t     *testing.T
	loads int // when the tab left a page
}

func (p *tab) isFirefox() bool {
	_, ok := p.driver.(*firefox.Tab)
	return ok
}

// count opens a page and clicks twice.
func (p *tab) count(by, cache string) {
	p.t.Helper()
	p.Go(p.site.URL + "/?by=" + by + "&cache=" + cache)
	p.wantCount("0")
	p.wantNext()
	p.wantNext()
}

// press clicks once the page is ready for it: htmx looks at what it has put there a
// moment later.
func (p *tab) press() {
	p.t.Helper()
	p.Wait("document.readyState === 'complete' && (!window.htmx || document.querySelector('form')['htmx-internal-data'])")
	p.Click("button")
}

// wantNext clicks, and wants one more.
func (p *tab) wantNext() {
	p.t.Helper()
	before := p.Text("document.querySelector('output').textContent")
	n, err := strconv.Atoi(before)
	if err != nil {
		p.t.Fatal(err)
	}
	p.press()
	p.wantCount(strconv.Itoa(n + 1))
}

func (p *tab) wantCount(count string) {
	p.t.Helper()
	p.Wait(fmt.Sprintf("document.querySelector('output')?.textContent === '%s'", count))
	p.Wait("document.readyState === 'complete'")
	p.Want("document.querySelector('[name=page_state]').value === document.querySelector('section').dataset.pageState", "true")
}

// wantConflict clicks, and wants the page to be told that its state is an old one.
func (p *tab) wantConflict() {
	p.t.Helper()
	p.Expect("status of 409", "Response Status Error Code 409") // what browser and htmx note of it
	before := p.Text("document.querySelector('output').textContent")
	p.press()
	p.Wait("window.heard?.length > 0")
	p.Want("heard.join()", "pagestate:conflict StateConflict")
	p.wantCount(before)
}

// leave follows the link on the page, and marks the page for wantBack.
func (p *tab) leave() {
	p.t.Helper()
	p.Do("window.left = true")
	p.Click("a")
	p.Wait("location.pathname === '/away' && document.readyState === 'complete'")
	p.loads = p.site.loaded()
}

// logout logs out on the page that the link leads to.
func (p *tab) logout(how string) {
	p.t.Helper()
	p.Click("." + how)
	p.Wait("location.pathname === '/logout' && document.readyState === 'complete'")
}

// wantBack goes back, and wants a page with a count that comes from there.
func (p *tab) wantBack(from, count string) {
	p.t.Helper()
	p.Back()
	p.wantCount(count)
	got := disk
	switch {
	case p.Text("window.left") == "true":
		got = memory
	case p.site.loaded() > p.loads:
		got = server
	}
	if got != from && from != either {
		p.t.Errorf("the page comes from %s, not from %s", got, from)
	}
}
