package clienttest_test

// This file holds what the script does where a server's answers, its redirects or the
// names of inputs are somebody else's choice: no token goes out, and no markup comes in.

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// fill replaces what is in the root of the page, where TOKEN stands for its token.
func (p *tab) fill(markup string) {
	p.t().Helper()
	p.Do(fmt.Sprintf(`(root => { root.innerHTML = %q.replaceAll('TOKEN', root.dataset.pageState); })(document.getElementById('outer'))`, markup))
}

// says lets the site give such an answer, with these pairs of headers.
func (s *Site) says(name string, status int, body string, headers ...string) {
	s.answer(name, func(w http.ResponseWriter, r *http.Request, c *Counter) error {
		c.Count++
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		if status == http.StatusNoContent {
			return nil
		}
		_, err := io.WriteString(w, body)
		return err
	})
}

// sayIt lets the form that adds ask for the answer of that name.
func (p *tab) sayIt() {
	p.t().Helper()
	p.Do(`(form => {
		for (const name of ['action', 'hx-post']) if (form.hasAttribute(name)) form.setAttribute(name, '/say/it');
		if (!form['htmx-internal-data']) return;
		const copy = form.cloneNode(true); // htmx 2 does not look again
		form.replaceWith(copy);
		htmx.process(copy);
	})(document.querySelector('#outer > form.add'))`)
}

func openForm(t *testing.T) *tab {
	t.Helper()
	return openFormIn(t, "Chromium")
}

func openFormIn(t *testing.T, engine string) *tab {
	t.Helper()
	site := newSite(t)
	return &tab{engines[engine](t)(site.URL + "/?driver=form"), site}
}

const say = `<form method="post" action="/say/it" data-page-state-form><button>Say</button></form>`

// A row with a root of its own has a button of the list's form: the list acts.
func TestRowActsForItsList(t *testing.T) {
	page := openForm(t)
	page.site.answer("it", func(w http.ResponseWriter, r *http.Request, c *Counter) error {
		c.Count++
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, err := io.WriteString(w, part(t, c, fmt.Sprintf(`<output>%d %s %s</output>`, c.Count, c.Name, r.FormValue("up"))))
		return err
	})
	page.fill(`<form id="f" method="post" action="/say/it" data-page-state-form></form>
		<article id="row" data-page-state="of the row"><button form="f" name="up" value="7">Up</button></article>`)
	page.Click("#row button")
	page.Wait("document.querySelector('#outer output')?.textContent === '1 outer 7'")
	page.wantHappened()
}

// Only HTML is markup. What else is answered is for pagestate:error.
func TestOnlyHTMLIsMarkup(t *testing.T) {
	for name, headers := range map[string][]string{
		"plain":        {"Content-Type", "text/plain; charset=utf-8"},
		"csv":          {"Content-Type", "text/csv"},
		"json":         {"Content-Type", "application/json"},
		"svg":          {"Content-Type", "image/svg+xml"},
		"xhtml":        {"Content-Type", "application/xhtml+xml"},
		"no type":      {"Content-Type", ""},
		"like HTML":    {"Content-Type", "text/htmlish"},
		"in a comment": {"Content-Type", "text/plain; was=text/html"},
	} {
		t.Run(name, func(t *testing.T) {
			page := openForm(t)
			page.fill(say)
			page.site.says("it", http.StatusOK, `<img src=x onerror="window.ran = true">`, headers...)
			page.Click("#outer button")
			page.wantHappened("pagestate:error outer outer")
			page.Want("document.querySelectorAll('#outer, #outer button').length + String(document.querySelector('img'))", "2null")
		})
	}
}

// An attachment is for the browser, which asks the person where to put it.
func TestAttachment(t *testing.T) {
	for disposition, name := range map[string]string{
		`attachment; filename="list.html"`:                             "list.html",
		`attachment; filename=list.csv`:                                "list.csv",
		`attachment; filename="x"; filename*=UTF-8''caf%C3%A9.csv`:     "café.csv",
		`attachment; filename*=UTF-8''broken%E9.csv; filename="b.csv"`: "b.csv",
		`Attachment`: "",
	} {
		t.Run(name, func(t *testing.T) {
			page := openForm(t)
			page.Do(`HTMLAnchorElement.prototype.click = function () { happened.push('saved ' + this.download + ' ' + this.protocol); }`)
			page.fill(say)
			before := page.token("outer")
			page.site.says("it", http.StatusOK, `<b id="in">in</b>`, "Content-Type", "text/html", "Content-Disposition", disposition)
			page.Click("#outer button")
			page.wantHappened("saved " + name + " blob:")
			page.Want("document.querySelector('#in')", "")
			if page.token("outer") == before {
				t.Error("the token is the old one")
			}
		})
	}
}

// elsewhere is another origin, which lets the page send it what it likes and read what
// it answers.
func elsewhere(t *testing.T) (url string, got func() []string) {
	var all []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		all = append(all, r.Method+" "+r.URL.String()+" "+r.Header.Get("Page-State")+" "+string(body))
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Headers", "*, Page-State")
		w.Header().Set("Access-Control-Expose-Headers", "*, Page-State")
		w.Header().Set("Page-State", "theirs")
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<section id="outer" data-page-state="theirs"><b id="in"></b></section>`)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() []string {
		server.Close() // so that nothing is under way
		return all
	}
}

// A redirect to another origin, by a proxy for one, takes no token along, and what is
// there is no answer.
func TestRedirectElsewhere(t *testing.T) {
	for _, driver := range []Driver{forms, fetches, htmx4} {
		for _, status := range []int{302, 303, 307, 308} {
			for _, pad := range []string{"", "&pad=4000"} {
				t.Run(fmt.Sprint(driver, status, pad), func(t *testing.T) {
					site := newSite(t)
					site.policy = "" // which could prevent it, too
					url, got := elsewhere(t)
					site.redirectInFront(url, status)
					page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=" + string(driver) + pad), site}
					page.Expect("Fetch API cannot load", "Unsafe attempt", "CORS", "Failed to load", "TypeError: Failed to fetch", "htmx:error")
					page.sayIt()
					before := page.token("outer")
					page.Do("addEventListener('unhandledrejection', event => { event.preventDefault(); happened.push('failed'); }); addEventListener('htmx:error', () => happened.push('failed'))")
					page.press("outer", "add")
					page.Wait("happened.length > 0")
					if page.token("outer") != before {
						t.Error("the token has changed")
					}
					page.Want("document.querySelector('#in')", "")
					if sent := got(); len(sent) > 0 {
						t.Errorf("sent elsewhere: %.200q", sent)
					}
				})
			}
		}
	}
}

// An XMLHttpRequest follows every redirect, which is the server's affair. What is there
// is still no answer of ours.
func TestForeignAnswerToHtmx2(t *testing.T) {
	site := newSite(t)
	site.policy = ""
	url, _ := elsewhere(t)
	site.redirectInFront(url, http.StatusSeeOther)
	page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=htmx2"), site}
	page.sayIt()
	before := page.token("outer")
	page.Do("addEventListener('htmx:afterRequest', () => happened.push('answered')); addEventListener('htmx:sendError', event => happened.push('answered'))")
	page.Expect("CORS", "Failed to load", "htmx:", "blocked")
	page.press("outer", "add")
	page.Wait("happened.includes('answered')")
	if page.token("outer") != before {
		t.Error("the token has changed")
	}
	page.Want("document.querySelector('#in')", "")
}

// The middleware has the browser itself go to another origin, also where the tokens are
// too long for a header.
func TestRedirectLeftToTheBrowser(t *testing.T) {
	for engine := range engines {
		for _, driver := range []Driver{forms, fetches, htmx4} {
			for _, status := range []int{302, 303, 307, 308} {
				if engine == "Firefox" && status != http.StatusSeeOther {
					continue // the server answers all of them alike
				}
				for _, pad := range []string{"", "&pad=4000"} {
					t.Run(fmt.Sprint(engine, driver, status, pad), func(t *testing.T) {
						site := newSite(t)
						site.policy = "" // which could prevent it, too
						url, got := elsewhere(t)
						site.answer("it", func(w http.ResponseWriter, r *http.Request, c *Counter) error {
							http.Redirect(w, r, url, status)
							return nil
						})
						page := &tab{engines[engine](t)(site.URL + "/?driver=" + string(driver) + pad), site}
						page.sayIt()
						page.press("outer", "add")
						page.Wait("location.origin === '" + url + "' && document.readyState === 'complete'")
						for _, sent := range got() {
							if !strings.HasPrefix(sent, "GET /") || strings.Contains(sent, "gAAAA") {
								t.Errorf("sent elsewhere: %.200q", sent)
							}
						}
					})
				}
			}
		}
	}
}

// An XMLHttpRequest would follow every redirect. The middleware has the browser go there.
func TestRedirectOfHtmx2LeftToTheBrowser(t *testing.T) {
	site := newSite(t)
	site.policy = ""
	url, got := elsewhere(t)
	site.answer("it", func(w http.ResponseWriter, r *http.Request, c *Counter) error {
		http.Redirect(w, r, url, http.StatusSeeOther)
		return nil
	})
	page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=htmx2"), site}
	page.sayIt()
	page.press("outer", "add")
	page.Wait("location.origin === '" + url + "' && document.readyState === 'complete'")
	for _, sent := range got() {
		if !strings.HasPrefix(sent, "GET /") || strings.Contains(sent, "gAAAA") {
			t.Errorf("sent elsewhere: %.200q", sent)
		}
	}
}

// The server says in a header where a redirect to another site leads.
func TestLocation(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		page.site.policy = ""
		url, got := elsewhere(t)
		page.site.says("it", http.StatusNoContent, "", "Page-State-Location", url+"/pay#part")
		page.sayIt()
		release := page.site.hold("/say/it")
		page.press("outer", "add")
		page.press("outer", "add") // is not sent: paying twice is what nobody wants
		page.site.waitSent(1)
		release()
		page.Wait("location.hash === '#part' && document.querySelector('#in')")
		page.site.wantSent(1)
		if sent := got(); len(sent) == 0 || sent[0] != "GET /pay  " {
			t.Errorf("sent elsewhere: %q", sent)
		}
	})
}

// It also says where in a page, since a script does not hear of that.
func TestLocationHere(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		page.Do("window.old = true")
		page.site.says("it", http.StatusNoContent, "", "Page-State-Location", "/?driver="+string(driver)+"&#plus")
		page.sayIt()
		page.press("outer", "add")
		page.Wait("!window.old && document.querySelector(':target')?.id === 'plus'")
		if n := page.site.pagesShown(); n != 2 {
			t.Errorf("%d pages were asked for", n)
		}
	})
}

func TestLocationOfScripts(t *testing.T) {
	page := openForm(t)
	page.fill(say)
	before := page.token("outer")
	page.site.says("it", http.StatusNoContent, "", "Page-State-Location", "javascript:happened.push('ran')")
	page.Click("#outer button")
	page.Wait("document.getElementById('outer').dataset.pageState !== '" + before + "'")
	page.wantHappened()
}

// Whatever the field is called, a URL gets no token: not by the script, and not by
// the browser.
func TestNoTokenInURL(t *testing.T) {
	for name, form := range map[string]string{
		"by the script":     `<form action="/look" data-page-state-form><input type="hidden" name="NAME" value="TOKEN"><input name="q" value="1"><button>Go</button></form>`,
		"by a button":       `<form method="post" action="/add" data-page-state-form><input type="hidden" name="NAME" value="TOKEN"><input name="q" value="1"><button formmethod="get" formaction="/look">Go</button></form>`,
		"by the browser":    `<form action="/look"><input type="hidden" name="NAME" value="TOKEN"><input name="q" value="1"><button>Go</button></form>`,
		"of another method": `<form action="/look" method="put"><input type="hidden" name="NAME" value="TOKEN"><input name="q" value="1"><button>Go</button></form>`,
		"by a method":       `<form action="/look"><input type="hidden" name="NAME" value="TOKEN"><input name="q" value="1"></form><button onclick="this.previousSibling.submit()">Go</button>`,
		"by its own fetch":  `<form action="/look"><input type="hidden" name="NAME" value="TOKEN"><input name="q" value="1"></form><button onclick="import('/pagestate.js').then(({ fetch }) => fetch(this, '/look?' + new URLSearchParams({ q: 1, NAME: 'TOKEN' })))">Go</button>`,
	} {
		for _, field := range []string{"page_state", "state", "closest"} {
			t.Run(name+" "+field, func(t *testing.T) {
				site := newSite(t)
				site.policy = ""
				page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=form"), site}
				page.Expect("Failed to load resource")
				page.fill(strings.ReplaceAll(form, "NAME", field))
				page.Click("#outer button")
				page.site.waitSent(1)
				if sent := page.site.sent()[0]; sent != "GET /look?q=1" {
					t.Errorf("sent %.100q", sent)
				}
			})
		}
	}
}

// htmx gets no token into a URL either.
func TestNoTokenInURLOfHtmx(t *testing.T) {
	some(t, htmxes, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		// A form whose method is GET leaves the token out of what it gives anybody.
		page.Do(`document.querySelector('form.look').setAttribute('method', 'post'); document.querySelector('form.look [name=page_state]').name = 'state'`)
		page.press("outer", "look")
		page.wantCarried("outer", "GET: header 1, form 0, url 0")
		if sent := page.site.sent()[0]; strings.Contains(sent, "gAAAA") {
			t.Errorf("sent %.100q", sent)
		}
		page.Do(`{
			const main = document.querySelector('main'), token = document.getElementById('outer').dataset.pageState;
			main.insertAdjacentHTML('afterend', '<form id="outside" method="post" hx-get="/look"><input type="hidden" name="state" value="' + token + '"><button>Look</button></form>');
			htmx.process(document.getElementById('outside'));
		}`)
		page.Wait("(form => form['htmx-internal-data'] || form.dataset.htmxPowered)(document.getElementById('outside'))")
		page.Click("#outside button")
		page.site.waitSent(2)
		if sent := page.site.sent()[1]; strings.Contains(sent, "gAAAA") {
			t.Errorf("sent %.100q", sent)
		}
	})
}

// A plain form that leads to another site takes no token there.
func TestNoTokenToAnotherSite(t *testing.T) {
	site := newSite(t)
	site.policy = ""
	url, got := elsewhere(t)
	page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=form"), site}
	page.fill(`<form method="post" action="` + url + `" data-page-state-form><input type="hidden" name="page_state" value="TOKEN"><input name="q" value="1"><button>Go</button></form>`)
	page.Click("#outer button")
	page.Wait("document.querySelector('#in')")
	if sent := got(); len(sent) != 1 || sent[0] != "POST /  q=1" {
		t.Errorf("sent %.200q", sent)
	}
}

// Where the server calls the field by another name, it gets it by that name.
func TestFieldOfAnotherName(t *testing.T) {
	page := openForm(t)
	var forms []string
	page.site.answer("it", func(w http.ResponseWriter, r *http.Request, c *Counter) error {
		token, err := c.StateToken()
		if err != nil {
			return err
		}
		forms = append(forms, r.FormValue("state"))
		w.Header().Set("Content-Type", "text/html")
		_, err = io.WriteString(w, part(t, c, `<i>`+fmt.Sprint(len(forms))+`</i>`+named))
		if token != r.Header.Get("Page-State") || token != r.FormValue("state") {
			t.Error("the form has another token than the header")
		}
		return err
	})
	page.fill(named)
	for i := range 2 {
		page.Click("#outer button")
		page.Wait(fmt.Sprintf("document.querySelector('i')?.textContent === '%d'", i+1))
	}
	newer := page.site.seal(&Counter{Name: "outer", Count: 7})
	page.Do("document.getElementById('outer').dataset.pageState = '" + newer + "'")
	page.Click("#outer button")
	page.Wait("document.querySelector('i')?.textContent === '3'")
	if forms[2] != newer {
		t.Error("the field has not followed the root")
	}
}

const named = `<form method="post" action="/say/it" data-page-state-form><input type="hidden" name="state" value="TOKEN"><button>Go</button></form>`

// An input may have the name of whatever the script asks a form for.
func TestInputsThatHideMethods(t *testing.T) {
	names := []string{"closest", "matches", "dataset", "replaceWith", "getAttribute", "hasAttribute", "setAttribute", "removeAttribute",
		"querySelectorAll", "querySelector", "isConnected", "contains", "dispatchEvent", "addEventListener", "parentNode", "parentElement", "children",
		"localName", "tagName", "form", "elements", "method", "action", "target", "enctype", "id", "name", "focus", "append", "childNodes",
		"nodeType", "ownerDocument", "attributes", "style", "submit", "requestSubmit", "checkVisibility"}
	var inputs strings.Builder
	for _, name := range names {
		fmt.Fprintf(&inputs, `<input type="hidden" name="%s" value="1">`, name)
	}
	fields := inputs.String() + `<input type="hidden" name="page_state" value="TOKEN"><button>Go</button></form>`
	t.Run("in a root", func(t *testing.T) {
		page := openForm(t)
		page.site.html("it", `<i></i><form method="post" action="/say/it" data-page-state-form>`+fields)
		page.fill(`<form method="post" action="/say/it" data-page-state-form>` + fields)
		page.Click("#outer button")
		page.Wait("document.querySelector('i')")
		page.wantInStep("outer")
		page.Want("location.pathname", "/")
	})
	t.Run("as a root", func(t *testing.T) {
		page := openForm(t)
		root := func(token string) string {
			return `<form id="outer" data-page-state="` + token + `" method="post" action="/say/it" data-page-state-form>` + strings.ReplaceAll(fields, "TOKEN", token)
		}
		page.Do(fmt.Sprintf("(root => { root.outerHTML = %q.replaceAll('THIS', root.dataset.pageState); })(document.getElementById('outer'))", root("THIS")))
		page.site.answer("it", func(w http.ResponseWriter, r *http.Request, c *Counter) error {
			c.Count++
			w.Header().Set("Content-Type", "text/html")
			token, err := c.StateToken()
			io.WriteString(w, root(token))
			return err
		})
		token := "Element.prototype.getAttribute.call(document.getElementById('outer'), 'data-page-state')"
		before := page.Text(token)
		release := page.site.hold("/say/it")
		page.Click("#outer button")
		page.Click("#outer button")
		page.site.waitSent(1)
		release()
		page.site.waitSent(2)
		page.Wait(token + " !== '" + before + "'")
		page.Wait("document.querySelector('[name=page_state]').value === " + token)
		page.site.delete("outer")
		page.Expect("Failed to load resource")
		page.Click("#outer button")
		page.Wait("!document.getElementById('outer')")
		page.Want("location.pathname", "/")
	})
	t.Run("of the document", func(t *testing.T) {
		page := openForm(t)
		page.site.html("it", `<i></i>`)
		page.fill(say)
		page.Do(`for (const name of ['querySelectorAll', 'querySelector', 'getElementById', 'getElementsByName', 'documentElement', 'activeElement', 'baseURI', 'head', 'dispatchEvent'])
			HTMLElement.prototype.append.call(Object.getOwnPropertyDescriptor(Document.prototype, 'body').get.call(document), Object.assign(Document.prototype.createElement.call(document, 'img'), { name }))`)
		page.Do(`[...Document.prototype.querySelectorAll.call(document, '#outer button')][0].click()`)
		page.Wait("Document.prototype.querySelector.call(document, 'i')")
	})
}

// A page that allows no policy of this name runs all the same, as long as it does not
// ask for Trusted Types.
func TestNoTrustedTypes(t *testing.T) {
	site := newSite(t)
	site.policy = policy + "; trusted-types other"
	page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=form"), site}
	page.Expect("pagestate")
	page.press("outer", "add")
	page.wantCount("outer", "1")
}

// The scripts of an answer do not run, and what is for browsers without scripts is not
// sent.
func TestScriptsInAnswers(t *testing.T) {
	for name, whole := range map[string]string{"part": "%s", "page": "<!doctype html><title>x</title>%s", "another page": "<!doctype html><body>%s"} {
		t.Run(name, func(t *testing.T) {
			site := newSite(t)
			site.policy = ""
			page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=form"), site}
			page.fill(say)
			page.site.answer("it", func(w http.ResponseWriter, r *http.Request, c *Counter) error {
				markup := part(t, c, `<i></i><script>happened.push('ran')</script><form id="f"><noscript><input name="only"></noscript></form>`)
				if name == "another page" {
					markup = strings.Replace(markup, "outer", "other", 1)
				}
				w.Header().Set("Content-Type", "text/html")
				fmt.Fprintf(w, whole, markup)
				return nil
			})
			page.Click("#outer button")
			page.Wait("document.querySelector('i')")
			page.wantHappened()
			page.Want("[...new FormData(document.getElementById('f'))].length", "0")
		})
	}
}

// show follows the same rules.
func TestShow(t *testing.T) {
	page := openForm(t)
	page.fill(`<b></b>`)
	page.Want(`(async () => {
		const { show } = await import('/pagestate.js'), shown = [];
		const response = (type, disposition) => new Response('<section id="outer" data-page-state="x"><b>shown</b></section>', { headers: { 'Content-Type': type, 'Content-Disposition': disposition } });
		for (const as of [['text/plain', 'inline'], ['application/json', 'inline'], ['text/html', 'attachment'], ['text/html', 'inline'], ['text/plain', 'inline']])
			shown.push(await show(document.querySelector('b'), response(...as)).then(() => document.querySelector('b').textContent, error => error.name));
		const foreign = Object.defineProperty(response('text/html', 'inline'), 'url', { value: 'https://example.org/' });
		shown.push(await show(document.querySelector('b'), foreign).catch(error => error.name));
		return shown;
	})()`, "TypeError,TypeError,TypeError,shown,TypeError,TypeError")
}
