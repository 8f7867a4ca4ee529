package clienttest_test

// This file holds what the script does with every driver alike.

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pagestate/pagestate/example/internal/chromium"
	"github.com/pagestate/pagestate/example/internal/firefox"
)

// The browsers of all tests.
var (
	chrome chromium.Browser
	fox    firefox.Browser
)

func TestMain(m *testing.M) {
	m.Run()
	chrome.Stop()
	fox.Stop()
}

// engines make a profile in each browser, and return what opens tabs in it.
var engines = map[string]func(t testing.TB) func(address string) driver{
	"Chromium": func(t testing.TB) func(string) driver {
		profile := chrome.Profile(t)
		return func(address string) driver { return profile.Open(address) }
	},
	"Firefox": func(t testing.TB) func(string) driver {
		profile := fox.Profile(t)
		return func(address string) driver { return profile.Open(address) }
	},
}

// driver is what the tests do with a tab of either browser.
type driver interface {
	Back()
	Click(selector string)
	Do(script string)
	Expect(parts ...string)
	Forward()
	Go(address string)
	Press(keys string)
	Text(script string) string
	Type(selector, text string)
	Wait(script string)
	Want(script, want string)
}

// tab is a browser's tab with a page of the site.
type tab struct {
	driver
	site *Site
}

// each runs a test with every driver, each on a site and in a profile of its own.
func each(t *testing.T, test func(t *testing.T, driver Driver, open func(query string) *tab)) {
	t.Helper()
	some(t, drivers, test)
}

// some is each for the drivers that are named.
func some(t *testing.T, names []Driver, test func(t *testing.T, driver Driver, open func(query string) *tab)) {
	t.Helper()
	in(t, "Chromium", names, test)
}

// eachEngine is each, in every browser.
func eachEngine(t *testing.T, test func(t *testing.T, driver Driver, open func(query string) *tab)) {
	t.Helper()
	for engine := range engines {
		t.Run(engine, func(t *testing.T) { in(t, engine, drivers, test) })
	}
}

func in(t *testing.T, engine string, names []Driver, test func(t *testing.T, driver Driver, open func(query string) *tab)) {
	t.Helper()
	for _, driver := range names {
		t.Run(string(driver), func(t *testing.T) {
			open := engines[engine](t)
			test(t, driver, func(query string) *tab {
				t.Helper()
				site := newSite(t)
				opened := open(site.URL + "/?driver=" + string(driver) + "&" + query)
				opened.Expect("Failed to load resource", "Response Status Error") // what browser and htmx note of a refusal
				return &tab{opened, site}
			})
		})
	}
}

func (p *tab) press(counter, form string) {
	p.t().Helper()
	selector := "#" + counter + " > form." + form
	// htmx looks at what it has put into the page a moment later.
	p.Wait("((form, htmx) => !htmx || form['htmx-internal-data'] || form.dataset.htmxPowered)" +
		"(document.querySelector('" + selector + "'), window.htmx)")
	p.Click(selector + " button")
}

func (p *tab) t() testing.TB { return p.site.t }

// wantCount waits for a count and then wants token and fields of that counter in
// step.
func (p *tab) wantCount(counter, count string) {
	p.t().Helper()
	p.Wait(fmt.Sprintf("document.querySelector('#%s > output').textContent === '%s'", counter, count))
	p.wantInStep(counter)
}

func (p *tab) wantInStep(counter string) {
	p.t().Helper()
	p.Wait(fmt.Sprintf(`[...document.querySelectorAll('#%s > form [name=page_state]')].every(
		field => field.value === document.getElementById('%[1]s').dataset.pageState)`, counter))
}

func (p *tab) wantCarried(counter, want string) {
	p.t().Helper()
	p.Wait(fmt.Sprintf("document.querySelector('#%s > p').textContent === '%s'", counter, want))
}

func (p *tab) token(counter string) string {
	p.t().Helper()
	return p.Text(fmt.Sprintf("document.getElementById('%s').dataset.pageState", counter))
}

func (p *tab) wantHappened(want ...string) {
	p.t().Helper()
	p.Wait(fmt.Sprintf("happened.length >= %d", len(want)))
	p.Want("happened.join(', ')", strings.Join(want, ", "))
}

func TestCounts(t *testing.T) {
	eachEngine(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		for _, query := range []string{"", "swap=innerHTML"} {
			page := open(query)
			before := page.token("outer")
			page.press("outer", "add")
			page.wantCount("outer", "1")
			if page.token("outer") == before {
				t.Error("the token is the old one")
			}
			page.wantCarried("outer", "POST: header 1, form 0, url 0")
			page.press("outer", "look")
			page.wantCarried("outer", "GET: header 1, form 0, url 0")
			page.wantCount("outer", "1")
			page.wantHappened()
		}
	})
}

// Three clicks while the first answer is held back: one request at a time, and
// none is lost, also where an answer replaces the button that was clicked.
func TestClicksOverlap(t *testing.T) {
	eachEngine(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		for _, query := range []string{"", "swap=innerHTML", "pad=4000", "pad=4000&swap=innerHTML"} {
			page := open(query)
			release := page.site.hold("/add")
			for range 3 {
				page.press("outer", "add")
			}
			page.site.waitSent(1)
			page.wantCount("outer", "0")
			page.site.wantSent(1)
			release()
			page.wantCount("outer", "3")
			page.site.wantSent(3)
			if page.site.together != 1 {
				t.Errorf("%d requests ran together", page.site.together)
			}
			page.wantHappened()
		}
	})
}

func TestLateAnswer(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		release := page.site.hold("/add")
		page.press("outer", "trigger")
		page.site.waitSent(1)
		newer := page.site.seal(&Counter{Name: "outer", Count: 7})
		page.Do("document.getElementById('outer').dataset.pageState = '" + newer + "'")
		release()
		page.wantHappened("pagestate:conflict outer outer")
		page.wantCount("outer", "0")
		if page.token("outer") != newer {
			t.Error("the newer token was overwritten")
		}
	})
}

func TestStale(t *testing.T) {
	eachEngine(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("inside=1")
		release := page.site.hold("/add")
		for range 3 {
			page.press("inner1", "add")
		}
		page.site.delete("inner1")
		release()
		page.Wait("!document.getElementById('inner1')")
		page.wantHappened("tetra:component-before-remove inner1 inner1 StaleComponentState",
			"tetra:component-stale document inner1 StaleComponentState")
		page.press("outer", "add")
		page.wantCount("outer", "1")
		page.site.wantSent(2)
	})
}

func TestStaleStays(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		page.site.delete("outer")
		page.Do("window.keep = true")
		before := page.Text("document.querySelector('main').innerHTML")
		page.press("outer", "add")
		page.wantHappened("tetra:component-before-remove outer outer StaleComponentState")
		page.wantCount("outer", "0")
		if driver != htmx4 && driver != htmx2 { // htmx writes its own attributes
			page.Want("document.querySelector('main').innerHTML", before)
		}
		release := page.site.hold("/add")
		for range 3 {
			page.press("outer", "add")
		}
		release()
		page.wantHappened("tetra:component-before-remove outer outer StaleComponentState",
			"tetra:component-before-remove outer outer StaleComponentState")
		page.press("outer", "look") // behind those that are not sent
		page.Wait("happened.length >= 3")
		page.site.wantSent(3)
	})
}

// A 410 of the application's own says nothing of the component.
func TestOwn410(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		page.press("outer", "own410")
		page.Wait("happened.length > 0")
		page.Want("happened.some(what => what.startsWith('tetra'))", "false")
		page.wantCount("outer", "0")
		page.press("outer", "add")
		page.wantCount("outer", "2")
	})
}

// What the page can do nothing about but show is left to the page, which hears of
// it as it does of every other failure.
func TestRefusals(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		page.press("outer", "add")
		page.wantCount("outer", "1")
		for _, test := range []struct{ as, event, code, status string }{
			{"conflict", "pagestate:conflict outer outer", "StateConflict", ""},
			{"expired", "pagestate:expired outer outer", "ExpiredState", ""},
			{"outdated", "pagestate:expired outer outer", "OutdatedState", ""},
			{"invalid", "", "InvalidState", "400"},
			{"toolarge", "", "StateTooLarge", "413"},
			{"failed", "", "StateError", "500"},
		} {
			var want []string
			if test.event != "" {
				want = append(want, test.event+" "+test.code)
			}
			switch {
			case driver == htmx2:
				want = append(want, "htmx:responseError")
			case driver == htmx4:
				want = append(want, "htmx:response:error")
			case driver == fetches && test.status != "":
				want = append(want, "fetch "+test.status)
			case driver == forms && test.status != "":
				want = append(want, "pagestate:error outer outer "+test.code)
			}
			page.Do("happened.length = 0")
			before := page.token("outer")
			page.press("outer", test.as)
			page.wantHappened(want...)
			page.wantCount("outer", "1")
			if page.token("outer") != before {
				t.Errorf("%s: the token has changed", test.as)
			}
		}
		page.press("outer", "add")
		page.wantCount("outer", "2")
	})
}

// An application's own 422 carries state, and what it shows is the page's affair.
func TestTokenOfAnyStatus(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		before := page.token("outer")
		page.press("outer", "wrong")
		page.Wait("document.getElementById('outer').dataset.pageState !== '" + before + "'")
		page.wantCount("outer", "0")
		page.press("outer", "add")
		page.wantCount("outer", "2")
	})
}

// An application's own 409 has no event of its own, so a form's is told as any
// other failure.
func TestOwn409(t *testing.T) {
	some(t, []Driver{forms}, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		page.Do("document.querySelector('form.wrong').setAttribute('action', '/add?status=409')")
		page.press("outer", "wrong")
		page.wantHappened("pagestate:error outer outer")
		page.wantCount("outer", "0")
	})
}

// Children keep their own tokens and fields, and take their own turns.
func TestNested(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("inside=2&swap=innerHTML")
		outer, second := page.token("outer"), page.token("inner2")
		release := page.site.hold("/add")
		page.press("inner1", "add")
		page.press("inner2", "add")
		page.wantCount("inner2", "1")
		release()
		page.wantCount("inner1", "1")
		page.wantCount("outer", "0")
		if page.token("outer") != outer || page.token("inner2") == second {
			t.Error("the wrong token has changed")
		}
	})
}

func TestChildren(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		for query, carried := range map[string]string{
			"inside=2&children":          "POST: header 3, form 0, url 0",
			"inside=2&children&pad=1000": "POST: header 0, form 3, url 0", // each fits into a header, together they do not
			"pad=4000":                   "POST: header 0, form 1, url 0",
		} {
			page := open(query)
			page.press("outer", "add")
			page.wantCount("outer", "1")
			page.wantCarried("outer", carried)
			if strings.HasPrefix(query, "inside") {
				page.wantCount("inner1", "10")
				page.wantCount("inner2", "10")
				page.press("inner1", "add")
				page.wantCount("inner1", "11")
				page.press("outer", "add")
				page.wantCount("inner1", "21")
				page.wantCount("inner2", "20")
			}
			page.wantHappened()
		}
	})
}

// The parent's request and its children's wait for each other, since each would
// be late for the other.
func TestChildrenWait(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("inside=2&children")
		release := page.site.hold("/add")
		page.press("inner1", "add")
		page.press("outer", "add")
		page.press("inner2", "add")
		page.site.waitSent(1)
		release()
		page.wantCount("outer", "1")
		page.wantCount("inner1", "11")
		page.wantCount("inner2", "11")
		page.site.wantSent(3)
		if page.site.together != 1 {
			t.Errorf("%d requests ran together", page.site.together)
		}
		page.wantHappened()
	})
}

func TestTooLarge(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("pad=4000")
		page.press("outer", "look")
		page.wantHappened("pagestate:toolarge outer outer")
		page.press("outer", "add")
		page.wantCount("outer", "1")
		page.site.wantSent(1)
	})
}

// The visitor goes away and comes back, by the buttons of the browser.
func TestBackAndForward(t *testing.T) {
	eachEngine(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		page.press("outer", "add")
		page.wantCount("outer", "1")
		page.Go(page.site.URL + "/?driver=" + string(driver) + "&inside=1")
		page.press("inner1", "add")
		page.wantCount("inner1", "1")
		page.Back()
		page.Wait("window.happened && !document.getElementById('inner1')")
		page.wantInStep("outer")
		count := page.Text("document.querySelector('#outer > output').textContent")
		page.press("outer", "add")
		page.wantCount("outer", map[string]string{"0": "1", "1": "2"}[count])
		page.Forward()
		page.Wait("window.happened && document.getElementById('inner1')")
		page.wantInStep("inner1")
		page.press("outer", "add")
		page.wantCount("outer", "1")
	})
}

// A field that the browser has filled with another page's token, as on going
// back, follows the root.
func TestFilledField(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		page.Do(`document.querySelectorAll('[name=page_state]').forEach(field => { field.value = 'old'; });
			dispatchEvent(new PageTransitionEvent('pageshow', { persisted: false }))`)
		page.wantInStep("outer")
		page.press("outer", "add")
		page.wantCount("outer", "1")
	})
}

// A second tab with the first one's page and tokens goes its own way.
func TestDuplicate(t *testing.T) {
	for _, driver := range drivers {
		t.Run(string(driver), func(t *testing.T) {
			site := newSite(t)
			profile := chrome.Profile(t)
			first := &tab{profile.Open(site.URL + "/?driver=" + string(driver)), site}
			first.press("outer", "add")
			first.wantCount("outer", "1")

			second := &tab{profile.Open(site.URL + "/?driver=" + string(driver)), site}
			second.Do("document.querySelector('main').innerHTML = " + fmt.Sprintf("%q", first.Text("document.querySelector('main').innerHTML")) +
				"; window.htmx?.process(document.querySelector('main'))")
			second.press("outer", "add")
			second.wantCount("outer", "2")
			second.press("outer", "add")
			second.wantCount("outer", "3")
			first.press("outer", "add")
			first.wantCount("outer", "2")
		})
	}
}

// Without scripts the same page is one of plain forms.
func TestNoScript(t *testing.T) {
	site := newSite(t)
	opened := chrome.Profile(t).Tab()
	opened.NoScript()
	page := &tab{opened, site}
	page.Expect("Failed to load resource")
	page.Go(site.URL + "/?driver=htmx2")
	for count := range 3 {
		page.Click("#outer > form.add button")
		page.wantCount("outer", fmt.Sprint(count+1))
	}
	page.wantCarried("outer", "POST: header 0, form 1, url 0")
	site.delete("outer")
	page.Click("#outer > form.add button")
	page.Wait("document.querySelector('code')?.textContent === 'StaleComponentState'")
}

// A token is for the site it came from, and for no URL.
func TestTokenStaysHome(t *testing.T) {
	site := newSite(t)
	opened := chrome.Profile(t).Tab()
	page := &tab{opened, site}
	opened.Before(`window.sent = []; window.fetch = async (url, init) => { sent.push(new Headers(init?.headers).has('Page-State') || new URL(url, location).search + String(init.body)); return new Response(''); }`)
	page.Go(site.URL + "/?driver=fetch")
	page.Want(`(async () => {
		const { fetch } = await import('/pagestate.js');
		const output = document.querySelector('output');
		for (const url of ['/add', location.origin + '/add', location.origin.replace('127.0.0.1', 'localhost') + '/add', '//example.org/', 'data:,'])
			await fetch(output, url, { method: 'POST' });
		await fetch(output, '//example.org/', { method: 'POST', body: new URLSearchParams({ page_state: 'x', state: document.getElementById('outer').dataset.pageState, q: 1 }) });
		await fetch(output, '//example.org/?q=2&state=' + document.getElementById('outer').dataset.pageState);
		await fetch(document.body, '/add', { method: 'POST' });
		return sent;
	})()`, "true,true,undefined,undefined,undefined,q=1,?q=2undefined,undefined")
}

// A button may have an action of its own. One that has none must not send the
// form to the address of the page, which is what its property formAction says.
func TestButtons(t *testing.T) {
	site := newSite(t)
	page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=form"), site}
	page.Do(`document.querySelector('form.add').insertAdjacentHTML('beforeend',
		'<button class="ten" name="by" value="10" formaction="/add?driver=form">Ten</button>' +
		'<button class="get" formmethod="get" formaction="/look?gone=1">Get</button>')`)
	page.Click("form.add #plus")
	page.wantCount("outer", "1")
	page.Do(`document.querySelector('form.add').insertAdjacentHTML('afterbegin',
		'<button class="ten" name="by" value="10" formaction="/add?driver=form">Ten</button>' +
		'<button class="get" formmethod="get" formaction="/look?gone=1">Get</button>')`)
	page.Click("form.add button.ten")
	page.wantCount("outer", "11")
	page.Do(`document.querySelector('form.add').insertAdjacentHTML('afterbegin', '<button class="get" formmethod="get" formaction="/look?gone=1">Get</button>')`)
	page.Click("form.add button.get")
	page.wantCarried("outer", "GET: header 1, form 0, url 0")
	if sent := site.sent(); !strings.HasPrefix(sent[2], "GET /look?by=") {
		t.Errorf("the last request is %q", sent[2])
	}
}

// The history of htmx 2 would keep tokens in sessionStorage.
func TestNoSnapshots(t *testing.T) {
	site := newSite(t)
	page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=htmx2"), site}
	page.Do("document.querySelector('form.add').setAttribute('hx-push-url', '/?driver=htmx2&pushed')")
	page.press("outer", "add")
	page.wantCount("outer", "1")
	page.Wait("location.search.includes('pushed')")
	page.Want("JSON.stringify(sessionStorage).includes('data-page-state')", "false")
}

// What the page's author says of the queue holds.
func TestQueueOfThePage(t *testing.T) {
	for _, driver := range []Driver{htmx2, htmx4} {
		t.Run(string(driver), func(t *testing.T) {
			site := newSite(t)
			page := &tab{chrome.Profile(t).Open(site.URL + "/?swap=innerHTML&driver=" + string(driver)), site}
			page.Do("document.querySelector('form.add').setAttribute('hx-sync', 'this:drop')")
			release := site.hold("/add")
			for range 3 {
				page.press("outer", "add")
			}
			site.waitSent(1)
			release()
			page.wantCount("outer", "1")
			page.press("outer", "look")
			page.wantCarried("outer", "GET: header 1, form 0, url 0")
			site.wantSent(2)
		})
	}
}

// A boosted link leads away, whatever has become of the component around it.
func TestBoostedLink(t *testing.T) {
	for _, driver := range []Driver{htmx2, htmx4} {
		t.Run(string(driver), func(t *testing.T) {
			site := newSite(t)
			page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=" + string(driver)), site}
			page.Do(`document.title = 'Here, by htmx';
				document.querySelector('output').insertAdjacentHTML('afterend',
					'<a href="/?inside=1&driver=` + string(driver) + `" hx-boost="true" hx-swap="innerHTML ignoreTitle:true">Away</a>');
				htmx.process(document.querySelector('section'))`)
			page.Do(`document.querySelector('section').dataset.pageState = 'not a token';
				document.querySelectorAll('[name=page_state]').forEach(field => { field.value = 'not a token'; })`)
			page.Wait("((a) => a['htmx-internal-data'] || a._htmx)(document.querySelector('a'))")
			page.Do("document.querySelector('a').click()")
			page.Wait("document.getElementById('inner1')")
			page.Want("document.title", "Here, by htmx") // and not as by a plain link
			page.wantHappened()
		})
	}
}

// Of several fields in a form the first is the root's. The others hold the tokens
// of children, for a server without the script, and are no business of the root.
func TestFieldsOfChildren(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		page.Do(`document.querySelector('form.add [name=page_state]').insertAdjacentHTML('afterend', '<input type="hidden" name="page_state" value="of a child">')`)
		before := page.token("outer")
		page.press("outer", "wrong")
		page.Wait("document.getElementById('outer').dataset.pageState !== '" + before + "'")
		page.Wait("document.querySelector('form.add [name=page_state]').value === document.getElementById('outer').dataset.pageState")
		page.Want("[...document.querySelectorAll('form.add [name=page_state]')].at(-1).value", "of a child")
		page.press("outer", "add")
		page.wantCount("outer", "2")
	})
}

// What a form of the script is answered: the component, a page that holds it, or
// the way to another page.
func TestAnswersToForms(t *testing.T) {
	site := newSite(t)
	page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=form"), site}
	page.Do("document.querySelector('form.add').insertAdjacentHTML('beforeend', '<input name=page value=1>'); document.title = 'As it was'")
	page.press("outer", "add")
	page.wantCount("outer", "1")
	page.Want("document.title", "As it was")
	page.Want("document.querySelectorAll('main, section').length", "2")

	page.Do("document.querySelector('form.add').setAttribute('action', '/leave')")
	page.press("outer", "add")
	page.Wait("location.search === '?inside=1' && document.getElementById('inner1')")
}

// Somebody who uses the keyboard goes on where he was.
func TestFocusStays(t *testing.T) {
	site := newSite(t)
	page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=form"), site}
	page.Do("document.getElementById('plus').focus()")
	page.Press(" ")
	page.wantCount("outer", "1")
	page.Wait("document.activeElement.id === 'plus'")
	page.Press(" ")
	page.wantCount("outer", "2")
}

// Long tokens go into the form, and ahead of its files: the server looks no
// further than the first.
func TestFiles(t *testing.T) {
	for _, driver := range []Driver{forms, htmx2, htmx4} {
		t.Run(string(driver), func(t *testing.T) {
			site := newSite(t)
			page := &tab{chrome.Profile(t).Open(site.URL + "/?pad=4000&driver=" + string(driver)), site}
			page.Do(`(form => {
				form.setAttribute('enctype', 'multipart/form-data');
				form.setAttribute('hx-encoding', 'multipart/form-data');
				form.insertAdjacentHTML('afterbegin', '<input type="file" name="file">');
				const files = new DataTransfer();
				files.items.add(new File(['x'.repeat(3 << 20)], 'large.txt'));
				form.querySelector('[type=file]').files = files.files;
			})(document.querySelector('form.add'))`)
			page.press("outer", "add")
			page.wantCount("outer", "1")
			page.wantCarried("outer", "POST: header 0, form 1, url 0")
		})
	}
}

// A request that waits can be called off, as hx-sync does when somebody types on.
func TestCalledOff(t *testing.T) {
	for _, driver := range []Driver{htmx2, htmx4} {
		t.Run(string(driver), func(t *testing.T) {
			site := newSite(t)
			page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=" + string(driver)), site}
			page.Expect("htmx:sendAbort", "htmx:afterRequest")
			page.Do(`document.querySelector('form.look').setAttribute('hx-sync', 'this:replace');
				for (const form of document.querySelectorAll('form')) form.setAttribute('hx-swap', 'none')`)
			release := site.hold("/add")
			page.press("outer", "add")
			site.waitSent(1)
			for range 3 {
				page.press("outer", "look")
			}
			release()
			page.press("outer", "add") // behind those that were called off
			site.waitSent(3)
			page.press("outer", "add")
			site.waitSent(4)
			var paths []string
			for _, sent := range site.sent() {
				path, _, _ := strings.Cut(sent, "?")
				paths = append(paths, path)
			}
			if got := strings.Join(paths, ", "); got != "POST /add, GET /look, POST /add, POST /add" {
				t.Errorf("sent: %s", got)
			}
		})
	}
}

// htmx may be told to send requests to other sites, which get no token.
func TestHtmxTokenStaysHome(t *testing.T) {
	for _, driver := range []Driver{htmx2, htmx4} {
		t.Run(string(driver), func(t *testing.T) {
			site := newSite(t)
			page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=" + string(driver)), site}
			page.Expect("Content Security Policy", "htmx:", "violates", "Failed to fetch")
			other := strings.Replace(site.URL, "127.0.0.1", "localhost", 1)
			page.Do(`(() => {
				window.sent = [];
				const set = XMLHttpRequest.prototype.setRequestHeader, fetch = window.fetch;
				XMLHttpRequest.prototype.setRequestHeader = function (name, value) { sent.push(name); set.call(this, name, value); };
				window.fetch = (url, init) => { sent.push(...new Headers(init.headers).keys()); return fetch(url, init); };
				htmx.config.selfRequestsOnly = false;
				htmx.config.mode = 'cors';
				document.querySelector('output').insertAdjacentHTML('afterend', '<button id="away" hx-post="` + other + `/add">Away</button>');
				htmx.process(document.getElementById('away'));
			})()`)
			page.Click("#away")
			page.Wait("sent.some(name => name.toLowerCase() === 'hx-request')")
			page.Want("sent.some(name => name.toLowerCase() === 'page-state')", "false")
		})
	}
}
