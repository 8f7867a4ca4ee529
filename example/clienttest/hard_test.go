package clienttest_test

// This file holds what the script does with pages that make it hard: names that
// hide the properties of a form, roots that change hands, answers that come to
// nothing.

import (
	"fmt"
	"strings"
	"testing"
)

var htmxes = []Driver{htmx2, htmx4}

// Fields of a form hide its properties: form.id is then the field of that name.
func TestFieldsThatHideProperties(t *testing.T) {
	some(t, []Driver{forms, htmx2, htmx4}, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		page.Do(fmt.Sprintf(`(root => {
			root.outerHTML = '<form id="outer" class="add" method="post" action="/add?driver=%[1]s&swap=" data-driver="%[1]s" data-page-state="' + root.dataset.pageState + '" ' +
				('%[1]s' === 'form' ? 'data-page-state-form' : 'hx-post="/add?driver=%[1]s&swap=" hx-target="#outer" hx-swap="outerHTML"') + '>' +
				'<input type="hidden" name="page_state" value="' + root.dataset.pageState + '"><input name="id" value="5">%[2]s' +
				'<output>0</output><button id="plus">Add</button></form>';
			window.htmx?.process(document.getElementById('outer'));
		})(document.getElementById('outer'))`, driver, map[Driver]string{ // less what htmx itself stumbles over
			forms: `<input name="elements"><input name="remove">`,
			htmx2: `<input name="elements">`,
			htmx4: `<input name="remove">`,
		}[driver]))
		page.Wait("(form => !window.htmx || form['htmx-internal-data'] || form.dataset.htmxPowered)(document.querySelector('form'))")
		form := page.Text("document.getElementById('outer').outerHTML")
		release := page.site.hold("/add")
		for range 3 {
			page.Click("#outer button")
		}
		page.site.waitSent(1)
		release()
		page.wantCount("outer", "3")

		page.Do(fmt.Sprintf("document.getElementById('outer').outerHTML = %q; window.htmx?.process(document.getElementById('outer'))", form))
		page.Wait("(form => !window.htmx || form['htmx-internal-data'] || form.dataset.htmxPowered)(document.querySelector('form'))")
		page.site.delete("outer")
		page.Click("#outer button")
		page.Wait("happened.some(what => what.startsWith('tetra:component-stale'))")
		page.Want("document.getElementById('outer')", "")
	})
}

// The fetch takes what the window's takes, a Request too.
func TestRequestStaysHome(t *testing.T) {
	site := newSite(t)
	opened := chrome.Profile(t).Tab()
	page := &tab{opened, site}
	opened.Before(`window.sent = []; window.fetch = async (url, init) => {
		const { headers, method } = new Request(url, init);
		sent.push(method + headers.has('Page-State') + headers.get('X-Own'));
		return new Response('');
	}`)
	page.Go(site.URL + "/?driver=fetch")
	page.Want(`(async () => {
		const { fetch } = await import('/pagestate.js');
		const output = document.querySelector('output'), init = { method: 'POST', headers: { 'X-Own': '1' } };
		await fetch(output, new Request('https://example.org/', init));
		await fetch(output, new Request('/add', init));
		return sent;
	})()`, "POSTfalse1,POSTtrue1")
}

// An animation, or a view transition, puts an answer into the page later.
func TestSwapsLater(t *testing.T) {
	some(t, htmxes, func(t *testing.T, driver Driver, open func(string) *tab) {
		for _, swap := range []string{"outerHTML%20swap:300ms", "innerHTML%20swap:300ms", "outerHTML%20transition:true"} {
			page := open("swap=" + swap)
			if strings.HasPrefix(swap, "inner") {
				page.Do("document.querySelector('form.add').setAttribute('hx-select', '#outer > *')")
			}
			if strings.HasSuffix(swap, "transition:true") {
				// A browser ends the animation of one answer when the next one comes,
				// which htmx leaves for the console to say. The answers are all shown.
				page.Expect("Transition was skipped")
			}
			release := page.site.hold("/add")
			for range 3 {
				page.press("outer", "add")
			}
			page.site.waitSent(1)
			release()
			page.wantCount("outer", "3")
			page.wantHappened()
		}
	})
}

// What was clicked in one component must not be done to another one that has
// taken its place, and its id.
func TestAnotherInItsPlace(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		release := page.site.hold("/add")
		page.press("outer", "add")
		page.site.waitSent(1)
		page.press("outer", "add")
		other := page.site.seal(&Counter{Name: "other", Count: 40})
		page.Do(`(root => {
			const token = root.dataset.pageState;
			root.outerHTML = root.outerHTML.replaceAll(token, '` + other + `').replace('<output>0', '<output>40').replaceAll(/ data-htmx-powered="true"/g, '');
			window.htmx?.process(document.getElementById('outer'));
		})(document.getElementById('outer'))`)
		page.press("outer", "wrong") // of the other one, and waits for nobody
		page.site.waitSent(2)
		page.Wait("document.getElementById('outer').dataset.pageState !== '" + other + "'")
		release()
		page.press("outer", "wrong")
		page.site.waitSent(3)
		page.wantInStep("outer")
		page.wantCount("outer", "40")
		for _, sent := range page.site.sent()[1:] {
			if !strings.HasPrefix(sent, "POST /add?status=422") {
				t.Errorf("sent to the other one: %s", sent)
			}
		}
	})
}

// A form that was put into the root meanwhile has a newer token, too.
func TestLateForFields(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		release := page.site.hold("/add")
		page.press("outer", "add")
		page.site.waitSent(1)
		newer := page.site.seal(&Counter{Name: "outer", Count: 7})
		page.Do("document.querySelectorAll('#outer [name=page_state]').forEach(field => { field.value = '" + newer + "'; })")
		release()
		page.wantHappened("pagestate:conflict outer outer")
		page.wantCount("outer", "0")
		if page.token("outer") != newer {
			t.Error("the newer token was overwritten")
		}
	})
}

// Where an answer cannot be shown, since what it was for is gone, the page is told.
func TestNoTarget(t *testing.T) {
	some(t, htmxes, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		page.Do(`(form => {
			form.setAttribute('hx-target', '#outer > output');
			form.setAttribute('hx-select', 'output');
		})(document.querySelector('form.add'))`)
		release := page.site.hold("/add")
		for range 2 {
			page.press("outer", "add")
		}
		page.site.waitSent(1)
		release()
		page.site.waitSent(2)
		page.wantHappened("pagestate:conflict outer outer")
		page.press("outer", "add")
		page.wantCount("outer", "3")
	})
}

// An answer without content leaves the page as it is, and one that is another
// page is shown as that.
func TestOtherAnswersToForms(t *testing.T) {
	site := newSite(t)
	profile := chrome.Profile(t)
	page := &tab{profile.Open(site.URL + "/?driver=form"), site}
	page.Do("document.querySelector('form.add').setAttribute('action', '/nothing')")
	before := page.token("outer")
	page.press("outer", "add")
	page.Wait("document.getElementById('outer')?.dataset.pageState !== '" + before + "'")
	page.wantCount("outer", "0")

	page = &tab{profile.Open(site.URL + "/?driver=form&inside=1"), site}
	page.Do("document.querySelector('#inner1 > form.add').setAttribute('action', '/without')")
	page.press("inner1", "add")
	page.Wait("!document.getElementById('inner1')")
	page.wantCount("outer", "9")
	page.Want("document.querySelectorAll('#outer, main').length", "2")
}

// The page may want to show the answer that went wrong.
func TestErrorCanBeRead(t *testing.T) {
	site := newSite(t)
	page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=form"), site}
	page.Expect("Failed to load resource")
	page.Do(`document.addEventListener('pagestate:error', async event => {
		document.querySelector('p').textContent = await event.detail.response.text();
	})`)
	page.press("outer", "wrong")
	page.Wait("document.querySelector('p').textContent === 'that was not right'")
}

// A page that bundles htmx has no window.htmx.
func TestNoSnapshotsOfBundledHtmx(t *testing.T) {
	site := newSite(t)
	page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=htmx2"), site}
	page.Do("window.htmx = undefined; document.querySelector('form.add').setAttribute('hx-push-url', '/?driver=htmx2&pushed')")
	page.press("outer", "add")
	page.wantCount("outer", "1")
	page.Wait("location.search.includes('pushed')")
	page.Want("JSON.stringify(sessionStorage).includes('data-page-state')", "false")
	page.Do("document.querySelector('form.add').setAttribute('hx-push-url', '/?driver=htmx2&pushed=2')")
	page.press("outer", "add")
	page.wantCount("outer", "2")
	page.Want("JSON.stringify(sessionStorage).includes('data-page-state')", "false")
	page.Do("history.back()")
	page.wantCount("outer", "0")
	page.press("outer", "add")
	page.wantCount("outer", "1")
}

// A handler may send a request elsewhere at the last moment.
func TestSentElsewhere(t *testing.T) {
	site := newSite(t)
	page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=htmx4"), site}
	page.Expect("Content Security Policy", "htmx:", "violates", "Failed to fetch")
	page.Do(`(() => {
		window.sent = [];
		const fetch = window.fetch;
		window.fetch = (url, init) => { sent.push(...new Headers(init.headers).keys()); return fetch(url, init); };
		htmx.config.mode = 'cors';
		document.addEventListener('htmx:before:request', event => { event.detail.ctx.request.action = 'http://localhost:1/'; });
	})()`)
	page.press("outer", "add")
	page.Wait("sent.includes('hx-request')")
	page.Want("sent.includes('page-state')", "false")
}

// What the script does to the queue of an element is none of those inside of it.
func TestQueueInside(t *testing.T) {
	some(t, htmxes, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		page.Do(`(form => {
			for (const f of document.querySelectorAll('form')) f.setAttribute('hx-swap', 'none');
			form.insertAdjacentHTML('beforeend', '<button type="button" id="in" hx-post="/add" hx-swap="none">In</button>');
			htmx.process(document.getElementById('in'));
		})(document.querySelector('form.add'))`)
		page.press("outer", "add")
		page.site.waitSent(1)
		release := page.site.hold("/add")
		for range 3 {
			page.Click("#in")
		}
		page.site.waitSent(2)
		release()
		page.site.waitSent(4)
	})
}

// A request without an answer does not hold up the others for ever.
func TestNoAnswer(t *testing.T) {
	some(t, htmxes, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		page.Expect("htmx:timeout", "htmx:afterRequest", "htmx:error")
		page.Do(`(form => {
			form.setAttribute('hx-request', '{"timeout": 300}');
			form.setAttribute('hx-config', '{"timeout": 300}');
		})(document.querySelector('form.add'))`)
		release := page.site.hold("/add")
		page.press("outer", "add")
		page.site.waitSent(1)
		page.press("outer", "look")
		page.site.waitSent(2)
		page.wantCarried("outer", "GET: header 1, form 0, url 0")
		release()
		page.press("outer", "add")
		page.wantCount("outer", "1")
	})
}

// htmx 4 can keep the elements and change them.
func TestMorph(t *testing.T) {
	some(t, []Driver{htmx4}, func(t *testing.T, driver Driver, open func(string) *tab) {
		for _, query := range []string{"swap=outerMorph", "swap=outerMorph&pad=4000", "swap=outerMorph&inside=2&children"} {
			page := open(query)
			release := page.site.hold("/add")
			for range 3 {
				page.press("outer", "add")
			}
			page.site.waitSent(1)
			release()
			page.wantCount("outer", "3")
			page.press("outer", "add")
			page.wantCount("outer", "4")
			page.wantHappened()
		}
	})
}
