package clienttest_test

// This file runs the same page with each library that sends requests in its own way.

import (
	"cmp"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/example/internal/browser"
	"github.com/starfederation/datastar-go/datastar"
)

// library is a library, and what a page says to use it.
type library struct {
	head     string // its script
	eval     bool   // whether it runs what stands in attributes
	controls string // in the root: #plus adds one, #go redirects to the page
	answer   func(w http.ResponseWriter, r *http.Request, c *Counter, root string)
	leave    func(w http.ResponseWriter, r *http.Request, url string) // where a redirect is a script, nil elsewhere
	around   string                                                   // what stands around the root on the page
}

// html answers with the root alone.
func html(w http.ResponseWriter, _ *http.Request, _ *Counter, root string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	io.WriteString(w, root)
}

var libraries = map[string]library{
	"datastar 1":      {head: `<script src="/datastar1.js"></script>`, controls: datastar1Controls, answer: events, leave: eventOfLeaving},
	"datastar 1 html": {head: `<script src="/datastar1.js"></script>`, controls: datastar1Controls, answer: html, leave: eventOfLeaving},
	"alpine ajax": {
		head: `<script defer src="/libraries/alpine-ajax-0.12.7/alpine-ajax.min.js"></script>
			<script defer src="/libraries/alpinejs-3.17.5/alpine.min.js"></script>`,
		eval: true,
		controls: `<form x-target="outer" method="post" action="/fit/add"><button id="plus">Add</button></form>
			<form x-target="outer" action="/fit/look"><input type="hidden" name="page_state" value="TOKEN"><button id="look">Look</button></form>
			<form x-target="outer" method="post" action="/fit/go"><button id="go">Go</button></form>`,
		answer: html,
	},
	"unpoly": {
		head: `<script src="/libraries/unpoly-3.14.3/unpoly.min.js"></script>`,
		controls: `<form up-submit up-target="#outer" method="post" action="/fit/add"><button id="plus">Add</button></form>
			<form up-submit up-target="#outer" action="/fit/look"><input type="hidden" name="page_state" value="TOKEN"><button id="look">Look</button></form>
			<form up-submit up-target="#outer" method="post" action="/fit/go"><button id="go">Go</button></form>`,
		answer: html,
	},
	"turbo streams": {
		head:     turbo,
		controls: turboForms,
		answer: func(w http.ResponseWriter, _ *http.Request, _ *Counter, root string) {
			w.Header().Set("Content-Type", "text/vnd.turbo-stream.html; charset=utf-8")
			fmt.Fprintf(w, `<turbo-stream action="replace" target="outer"><template>%s</template></turbo-stream>`, root)
		},
	},
	"turbo frames": {
		head:     turbo,
		controls: turboForms,
		around:   `<turbo-frame id="frame">%s</turbo-frame>`,
		answer: func(w http.ResponseWriter, r *http.Request, c *Counter, root string) {
			html(w, r, c, fmt.Sprintf(`<turbo-frame id="frame">%s</turbo-frame>`, root))
		},
	},
	"turbo pages": {
		head:     turbo,
		controls: turboForms,
		answer: func(w http.ResponseWriter, r *http.Request, c *Counter, _ string) {
			if err := pagestate.Redirect(w, r, "/fit", c); err != nil {
				pagestate.WriteError(w, r, err)
			}
		},
	},
	"turbo and data-page-state-form": {
		head:     turbo,
		controls: strings.ReplaceAll(turboForms, "<form", "<form data-page-state-form"),
		answer:   html,
	},
	"datastar": {
		head: `<script type="module" src="/libraries/datastar-1.0.0-beta.11/datastar.js"></script>`,
		eval: true,
		controls: `<button id="plus" data-on-click="@post('/fit/add')">Add</button>
			<button id="look" data-on-click="@get('/fit/look')">Look</button>
			<button id="go" data-on-click="@post('/fit/go')">Go</button>`,
		answer: func(w http.ResponseWriter, r *http.Request, _ *Counter, root string) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "event: datastar-merge-fragments\ndata: fragments %s\n\n", strings.ReplaceAll(root, "\n", " "))
		},
		leave: func(w http.ResponseWriter, r *http.Request, url string) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "event: datastar-execute-script\ndata: script location.href = %q\n\n", url)
		},
	},
}

// events answers with Datastar's SDK for Go.
func events(w http.ResponseWriter, r *http.Request, _ *Counter, root string) {
	datastar.NewSSE(w, r).PatchElements(root)
}

func eventOfLeaving(w http.ResponseWriter, r *http.Request, url string) {
	datastar.NewSSE(w, r).Redirect(url)
}

const (
	turbo      = `<script src="/libraries/turbo-8.0.23/turbo.es2017-umd.js"></script>`
	turboForms = `<form method="post" action="/fit/add"><button id="plus">Add</button></form>
		<form action="/fit/look" data-turbo-stream><input type="hidden" name="page_state" value="TOKEN"><button id="look">Look</button></form>
		<form method="post" action="/fit/go"><button id="go">Go</button></form>`
)

const datastar1Controls = `<button id="plus" data-post="/fit/add">Add</button><button id="look" data-get="/fit/look">Look</button><button id="go" data-post="/fit/go">Go</button>`

var fitPage = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Fit</title><link rel="icon" href="data:,">
{{.Head}}
<script type="module" src="/pagestate.js"></script><script type="module" src="/page.js"></script></head>
<body><main>{{.Root}}</main></body>
</html>`))

// fit serves the page of a library.
func (s *Site) fit(lib library) {
	if lib.eval {
		s.policy = strings.Replace(policy, "script-src 'self'", "script-src 'self' 'unsafe-eval'", 1)
	}
	if lib.leave != nil {
		s.policy = strings.Replace(s.policy, "script-src", "script-src 'unsafe-inline'", 1)
	}
	root := func(c *Counter) string {
		controls := lib.controls
		if s.finished {
			controls = ""
		}
		return part(s.t, c, fmt.Sprintf("<output>%d</output>%s", c.Count, controls))
	}
	s.mux.Handle("GET /fit", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
		c, err := pagestate.FromOrAttach(r.Context(), &Counter{Name: "outer"})
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		return fitPage.Execute(w, map[string]template.HTML{"Head": template.HTML(lib.head), "Root": template.HTML(strings.Replace(cmp.Or(lib.around, "%s"), "%s", root(c), 1))})
	}))
	s.mux.Handle("POST /fit/add", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *Counter) error {
		c.Count++
		lib.answer(w, r, c, root(c))
		return nil
	}))
	s.mux.Handle("GET /fit/look", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *Counter) error {
		lib.answer(w, r, c, root(c))
		return nil
	}))
	s.mux.Handle("GET /fit/say/{name}", pagestate.Handle(s.say))
	s.mux.Handle("POST /fit/go", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, c *Counter) error {
		c.Count += 10
		if lib.leave == nil || r.URL.Query().Has("303") {
			return pagestate.Redirect(w, r, "/fit", c)
		}
		url, err := pagestate.Link(r, "/fit", c)
		if err != nil {
			return err
		}
		lib.leave(w, r, url)
		return nil
	}))
}

// openFit shows the page of a library.
func openFit(t *testing.T, name string) *tab {
	t.Helper()
	return openFitOn(t, newSite(t), libraries[name])
}

func openFitOn(t *testing.T, site *Site, lib library) *tab {
	t.Helper()
	site.fit(lib)
	opened := chrome.Profile(t).Open(site.URL + "/fit")
	opened.Wait("window.happened && document.getElementById('plus')")
	return &tab{opened, site}
}

// eachLibrary runs a test with every library.
func eachLibrary(t *testing.T, test func(t *testing.T, page *tab)) {
	t.Helper()
	for name := range libraries {
		t.Run(name, func(t *testing.T) { test(t, openFit(t, name)) })
	}
}

func TestLibrary(t *testing.T) {
	eachLibrary(t, func(t *testing.T, page *tab) {
		before := page.token("outer")
		page.Click("#plus")
		page.wantCount("outer", "1")
		if page.token("outer") == before {
			t.Error("the token is the old one")
		}
		page.Click("#plus")
		page.wantCount("outer", "2")
		page.Click("#look")
		page.site.waitSent(3)
		page.wantCount("outer", "2")
		if sent := strings.Join(page.site.sent(), " "); strings.Contains(sent, "gAAAA") {
			t.Errorf("a token is in a URL: %s", sent)
		}
		page.wantHappened()
	})
}

// Three clicks while the first answer is held back count three.
func TestLibraryOverlaps(t *testing.T) {
	eachLibrary(t, func(t *testing.T, page *tab) {
		release := page.site.hold("/fit/add")
		for range 3 {
			page.Click("#plus")
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
		page.Click("#plus")
		page.wantCount("outer", "4")
		page.wantHappened()
	})
}

func TestLibraryRedirects(t *testing.T) {
	eachLibrary(t, func(t *testing.T, page *tab) {
		before := page.token("outer")
		page.Click("#go")
		page.wantCount("outer", "10")
		if page.token("outer") == before {
			t.Error("the token is the old one")
		}
		page.Click("#plus")
		page.wantCount("outer", "11")
		page.wantHappened()
	})
}

// Datastar follows a redirect of the server. 1.0 puts the page that it leads to in the
// place of this one, at the same address, and what came before 1.0 shows nothing. The
// state that was carried acts on either way.
func TestDatastarFollowsRedirects(t *testing.T) {
	for name, shown := range map[string]string{"datastar": "0", "datastar 1": "10"} {
		t.Run(name, func(t *testing.T) {
			page := openFit(t, name)
			page.Do("document.getElementById('go').outerHTML = `<button id=go data-post=/fit/go?303 data-on-click=\"@post('/fit/go?303')\">Go</button>`")
			before := page.token("outer")
			page.Click("#go")
			page.Wait("document.getElementById('outer').dataset.pageState !== '" + before + "' && !document.querySelector('[aria-busy]')")
			page.wantCount("outer", shown)
			page.Want("location.pathname + location.search", "/fit")
			page.Click("#plus")
			page.wantCount("outer", "11")
			page.wantHappened()
		})
	}
}

// What waits is not sent when the data is gone, and the root leaves the page.
func TestLibraryStale(t *testing.T) {
	eachLibrary(t, func(t *testing.T, page *tab) {
		page.Expect("status of 410")
		release := page.site.hold("/fit/add")
		page.Click("#plus")
		page.site.waitSent(1)
		page.Click("#plus")
		page.site.delete("outer")
		release()
		page.Wait("!document.getElementById('outer')")
		page.wantHappened("tetra:component-before-remove outer outer StaleComponentState", "tetra:component-stale document outer StaleComponentState")
		page.site.wantSent(1)
		page.Want("document.title", "Fit")
	})
}

// An answer that comes too late is not shown.
func TestLibraryLateAnswer(t *testing.T) {
	eachLibrary(t, func(t *testing.T, page *tab) {
		release := page.site.hold("/fit/add")
		page.Click("#plus")
		page.site.waitSent(1)
		newer := page.site.seal(&Counter{Name: "outer", Count: 7})
		page.Do("document.getElementById('outer').dataset.pageState = '" + newer + "'")
		release()
		page.wantHappened("pagestate:conflict outer outer")
		page.Wait("!document.querySelector('[aria-busy]')")
		page.Click("#plus")
		page.wantCount("outer", "8")
		page.wantHappened("pagestate:conflict outer outer")
	})
}

// Other requests are left alone.
func TestLibraryLeavesOthersAlone(t *testing.T) {
	eachLibrary(t, func(t *testing.T, page *tab) {
		page.Do("document.querySelector('main').insertAdjacentHTML('beforeend', '<p id=own></p>')")
		page.Click("#plus")
		page.wantCount("outer", "1")
		token := page.token("outer")
		page.Want("fetch('/fit/add', { method: 'POST' }).then(response => response.status)", "400")
		page.Want("document.getElementById('outer').dataset.pageState", token)
		page.Expect("status of 400")
		page.wantHappened()
	})
}

// A request to another site takes no token along.
func TestLibraryTokenStaysHome(t *testing.T) {
	eachLibrary(t, func(t *testing.T, page *tab) {
		sent := make(chan string, 10)
		elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Access-Control-Allow-Origin", "*")
			w.Header().Set("Access-Control-Allow-Headers", "*, Page-State")
			if r.Method != "OPTIONS" {
				body, _ := io.ReadAll(r.Body)
				sent <- fmt.Sprint(r.URL, r.Header, string(body))
			}
		}))
		t.Cleanup(elsewhere.Close)
		page.site.policy = "" // which could prevent it, too
		page.Go(page.site.URL + "/fit")
		page.Wait("window.happened && document.getElementById('plus')")
		page.Expect("CORS", "Failed to load", "Failed to fetch", "Error") // what libraries make of an answer of that site
		page.Do(fmt.Sprintf(`(button => {
			const form = button.form, url = %q;
			if (!form) return button.outerHTML = '<button id="plus" data-post="' + url + '" data-on-click="@post(\'' + url + '\')">Add</button>';
			form.setAttribute('action', url);
			form.insertAdjacentHTML('afterbegin', '<input type="hidden" name="page_state" value="' + document.getElementById('outer').dataset.pageState + '">');
		})(document.getElementById('plus'))`, elsewhere.URL))
		page.Click("#plus")
		select {
		case request := <-sent:
			if strings.Contains(request, "gAAAA") {
				t.Errorf("sent elsewhere: %s", request)
			}
		case <-time.After(browser.Patience):
			t.Error("nothing was sent")
		}
	})
}

// A click that the page itself prevents is none, also while an answer is awaited.
func TestAlpinePreventedClick(t *testing.T) {
	page := openFit(t, "alpine ajax")
	page.Do("document.getElementById('plus').addEventListener('click', event => window.prevents && event.preventDefault())")
	release := page.site.hold("/fit/add")
	page.Click("#plus")
	page.site.waitSent(1)
	page.Do("window.prevents = true")
	page.Click("#plus")
	release()
	page.wantCount("outer", "1")
	page.Wait("!document.querySelector('[aria-busy]')")
	page.site.wantSent(1)
	page.wantHappened()
}

// Unpoly's cache has old tokens.
func TestUnpolyAsksAgain(t *testing.T) {
	page := openFit(t, "unpoly")
	for n := range 2 {
		page.Do("document.getElementById('outer').insertAdjacentHTML('beforeend', '<a id=again href=/fit/look up-follow up-target=#outer>Again</a>')")
		page.Click("#again")
		page.site.waitSent(n + 1)
		page.Wait("!document.querySelector('[aria-busy]')")
	}
	page.wantHappened()
}

// What a page asks of another site with Unpoly gets no token. To Unpoly, another port of
// this host is no other site.
func TestUnpolyElsewhere(t *testing.T) {
	page := openFit(t, "unpoly")
	page.site.policy = ""
	page.Go(page.site.URL + "/fit")
	page.Wait("window.happened && document.getElementById('plus')")
	page.Expect("Refused to get unsafe header") // of an answer from there
	url, got := elsewhere(t)
	page.Do(fmt.Sprintf(`up.request({ url: %q, method: 'post', origin: document.getElementById('plus'), params: { page_state: document.getElementById('outer').dataset.pageState, q: 1 } })
		.then(() => {}, () => {})`, strings.Replace(url, "127.0.0.1", "localhost", 1)+"/there"))
	sent := strings.Join(got(), "\n")
	if !strings.Contains(sent, "q=1") || strings.Contains(sent, "gAAAA") {
		t.Errorf("sent elsewhere: %s", sent)
	}
}

// A frame of another site, which Turbo loads for the page, gets no token.
func TestTurboFrameElsewhere(t *testing.T) {
	page := openFit(t, "turbo streams")
	page.site.policy = ""
	page.Go(page.site.URL + "/fit")
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(fmt.Sprint(r.Header), "gAAAA") {
			t.Errorf("sent elsewhere: %s", r.Header)
		}
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Headers", "*")
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<turbo-frame id="far"><b id="in">in</b></turbo-frame>`)
	}))
	t.Cleanup(elsewhere.Close)
	page.Do("document.getElementById('outer').insertAdjacentHTML('beforeend', '<turbo-frame id=far src=" + elsewhere.URL + "/></turbo-frame>')")
	page.Wait("document.querySelector('#in')")
}

// What Turbo calls off was done all the same, and its token is the page's.
func TestTurboCallsOff(t *testing.T) {
	page := openFit(t, "turbo streams")
	before := page.token("outer")
	release := page.site.hold("/fit/add")
	page.Click("#plus")
	page.site.waitSent(1)
	page.Do("Turbo.navigator.stop()")
	release()
	page.Wait("document.getElementById('outer').dataset.pageState !== '" + before + "' && !document.querySelector('[aria-busy]')")
	page.Click("#plus")
	page.wantCount("outer", "2")
	page.wantHappened()
}

// What an answer takes away is not done again.
func TestLibraryDoesNothingTwice(t *testing.T) {
	eachLibrary(t, func(t *testing.T, page *tab) {
		release := page.site.hold("/fit/add")
		page.site.finished = true
		page.Click("#plus")
		page.site.waitSent(1)
		page.Click("#plus")
		release()
		page.wantCount("outer", "1")
		page.Wait("!document.querySelector('[aria-busy]')")
		page.site.wantSent(1)
		page.wantHappened()
	})
}

// A stream that a page keeps open holds nothing back.
func TestDatastarStream(t *testing.T) {
	for _, name := range []string{"datastar", "datastar 1"} {
		page := openFit(t, name)
		end := page.site.streams("it", "text/event-stream", "", "")
		t.Cleanup(end)
		page.Do("document.getElementById('look').outerHTML = `<button id=listen data-get=/fit/say/it data-on-click=\"@get('/fit/say/it')\">Listen</button>`")
		page.Click("#listen")
		page.site.waitSent(1)
		page.Click("#plus")
		page.wantCount("outer", "2") // the stream has counted, too
	}
}

// An answer without the target is not submitted again as a plain form.
func TestAlpineErrors(t *testing.T) {
	page := openFit(t, "alpine ajax")
	page.Expect("status of 500")
	page.site.answer("it", func(w http.ResponseWriter, _ *http.Request, _ *Counter) error {
		w.WriteHeader(http.StatusInternalServerError)
		_, err := io.WriteString(w, "that did not work")
		return err
	})
	page.Do("window.stays = true; document.querySelector('form').setAttribute('action', '/say/it')")
	page.Do("document.addEventListener('ajax:after', () => happened.push('after'))")
	page.Click("#plus")
	page.wantHappened("after")
	page.Want("window.stays", "true")
	page.site.wantSent(1)
}

// Where Alpine AJAX fails to show an answer, it says nothing, and later requests wait for it
// for some seconds. The page's clock is made faster for that.
func TestAlpineFailsToShow(t *testing.T) {
	page := openFit(t, "alpine ajax")
	page.Expect("TypeError")
	page.Do("(after => { window.setTimeout = (f, ms) => after(f, Math.min(ms ?? 0, 100)); })(setTimeout)")
	page.Do("document.getElementById('outer')._ajax_strategy = 'nothing'")
	page.Click("#plus")
	page.site.waitSent(1)
	page.Click("#plus")
	page.site.waitSent(2)
}
