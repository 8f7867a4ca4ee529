package clienttest_test

// This file holds what must not get lost: what an answer shows, what was clicked, and
// what was sent. Typed text and the focus are in keep_test.go.

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
)

// shows lets the site answer with a whole text in HTML, where TOKEN stands for the token.
func (s *Site) shows(name, contentType, html string) {
	s.answer(name, func(w http.ResponseWriter, r *http.Request, c *Counter) error {
		c.Count++
		token, err := c.StateToken()
		w.Header().Set("Content-Type", contentType)
		io.WriteString(w, strings.ReplaceAll(html, "TOKEN", token))
		return err
	})
}

// Rows, cells and options can be roots.
func TestRootsOfTables(t *testing.T) {
	for name, test := range map[string]struct{ before, root string }{
		"tr":     {`<table><tbody>%s</tbody></table>`, `<tr ROOT><td>CELL</td></tr>`},
		"td":     {`<table><tbody><tr>%s</tr></tbody></table>`, `<td ROOT>CELL</td>`},
		"tbody":  {`<table>%s</table>`, `<tbody ROOT><tr><td>CELL</td></tr></tbody>`},
		"li":     {`<ul>%s</ul>`, `<li ROOT>CELL</li>`},
		"option": {`<select>%s</select>`, `<option ROOT>CELL</option>`},
	} {
		t.Run(name, func(t *testing.T) {
			page := openForm(t)
			root := func(cell string) string {
				return strings.NewReplacer("ROOT", `id="row" data-page-state="TOKEN"`, "CELL", cell).Replace(test.root)
			}
			page.Do(fmt.Sprintf("document.querySelector('main').innerHTML = %q.replaceAll('TOKEN', document.getElementById('outer').dataset.pageState)",
				fmt.Sprintf(test.before, root("before"))))
			page.site.shows("it", "text/html", "\n "+root("after"))
			page.Want(`(async () => {
				const { fetch, show } = await import('/pagestate.js'), row = document.getElementById('row');
				await show(row, await fetch(row, '/say/it', { method: 'POST' }));
				return [document.getElementById('row').localName, document.getElementById('row').textContent, document.querySelectorAll('main > *').length];
			})()`, name+",after,1")
		})
	}
}

// A page is one also behind comments and the like.
func TestWholePages(t *testing.T) {
	for name, html := range map[string]string{
		"doctype":  `<!DOCTYPE html><title>Other</title><p id="in">`,
		"comment":  "\ufeff \n<!-- made by --> <!-- > hm --><!-- - -->\n<!doctype html><title>Other</title><p id=\"in\">",
		"html":     `<html lang="fr"><title>Other</title><p id="in">`,
		"prologue": `<?xml version="1.0"?><!DOCTYPE html><title>Other</title><p id="in">`,
		"body":     `<body><p id="in">`,
	} {
		t.Run(name, func(t *testing.T) {
			page := openForm(t)
			page.fill(say)
			page.site.shows("it", "text/html", html)
			page.Click("#outer button")
			page.Wait("document.querySelector('#in')")
			page.Want("document.querySelector('main') ?? document.querySelector('body > #in').id", "in")
			page.Want("document.querySelectorAll('body').length", "1")
		})
	}
	for name, html := range map[string]string{
		"part":     `<p id="in">`,
		"comment":  `<!-- <!doctype html> --><p id="in">`,
		"header":   `<header id="in"></header>`,
		"no end":   `<p id="in"></p><!-- `,
		"comments": strings.Repeat("<!--a-->", 10_000) + `<p id="in">`,
	} {
		t.Run("not "+name, func(t *testing.T) {
			page := openForm(t)
			page.fill(say)
			page.site.shows("it", "text/html", html)
			page.Click("#outer button")
			page.Wait("document.querySelector('main > #in')")
		})
	}
}

// What a page shows after a redirect was asked for once, and is where it leads.
func TestRedirectIsFollowedOnce(t *testing.T) {
	for engine := range engines {
		t.Run(engine, func(t *testing.T) {
			page := openFormIn(t, engine)
			page.fill(`<form method="post" action="/leave?to=%2F%3Fdriver%3Dform%26inside%3D1%26page_state%3Dabc#inner1" data-page-state-form><button>Go</button></form>`)
			page.Do("window.stays = true")
			page.Click("#outer button")
			page.Wait("document.getElementById('inner1')")
			page.Want("[location.search, location.hash, document.title, window.stays].join()", "?driver=form&inside=1&page_state=abc,#inner1,Counters,true")
			page.Want("document.querySelector(':target').id", "inner1")
			if n := page.site.pagesShown(); n != 2 {
				t.Errorf("%d pages were asked for", n)
			}
			page.press("inner1", "add") // is a page as any other
			page.wantCount("inner1", "1")

			page.Back()
			page.Wait("!document.getElementById('inner1') && document.getElementById('outer')")
			page.Want("location.search", "?driver=form")
			page.press("outer", "add")
			page.wantCount("outer", "1")
			page.Forward()
			page.Wait("document.getElementById('inner1')")
			page.press("outer", "add")
			page.wantCount("outer", "1")
		})
	}
}

// Where a page is, and where the server leads, has nothing to do with the base that the
// page has for its links.
func TestBaseOfPage(t *testing.T) {
	for engine := range engines {
		for name, test := range map[string]struct{ base, action, want string }{
			"elsewhere":    {"https://example.org/", "/leave?to=/long", "/long,,true"},
			"fragment":     {"/deep/", "/leave?to=/long#in", "/long,#in,true"},
			"by a browser": {"https://example.org/", "/leave?to=/long%23in", "/long,#in,"},
			"empty query":  {"/deep/", "/leave?to=/long%3F#in", "/long,#in,true"},
		} {
			t.Run(engine+" "+name, func(t *testing.T) {
				page := openFormIn(t, engine)
				page.site.policy = strings.Replace(policy, "default-src 'none'", "base-uri *", 1)
				page.site.long()
				page.fill(`<form method="post" action="` + page.site.URL + test.action + `" data-page-state-form><button>Go</button></form>`)
				page.Do(fmt.Sprintf("document.head.append(Object.assign(document.createElement('base'), { href: %q })); window.stays = true", test.base))
				page.Click("#outer button")
				page.Wait("document.title === 'Long' && document.querySelector('#in')")
				page.Want("[location.pathname, location.hash, window.stays].join()", test.want)
			})
		}
	}
}

// long is a page with a base, and higher than the window.
func (s *Site) long() {
	s.mux.HandleFunc("GET /long", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<!doctype html><title>Long</title><base href="/deep/"><p style="height: 3000px">Top</p><p id="in" style="height: 3000px">In</p>`)
	})
}

// Another page is shown from its top or its fragment, and not from where this one was
// scrolled to.
func TestTopOfPage(t *testing.T) {
	for engine := range engines {
		for fragment, seen := range map[string]string{"": "0,3000", "#in": "-3000,0"} {
			t.Run(engine+fragment, func(t *testing.T) {
				page := openFormIn(t, engine)
				page.site.long()
				page.fill(`<p style="height: 2000px"></p><form method="post" action="/leave?to=/long` + fragment + `" data-page-state-form><button>Go</button></form>`)
				page.Click("#outer button")
				page.Wait("document.title === 'Long' && document.querySelector('#in')")
				page.Want("[...document.querySelectorAll('p')].map(p => Math.round(p.getBoundingClientRect().top / 1000) * 1000).join()", seen)
			})
		}
	}
}

// A Request keeps its body when a token is taken out of its query.
func TestBodyOfRequest(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL.RawQuery, body, r.Header.Get("Content-Type"))
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		echo(w, r)
	}))
	defer other.Close()
	for engine := range engines {
		site := newSite(t)
		site.policy = strings.Replace(policy, "connect-src 'self'", "connect-src *", 1)
		site.answer("it", func(w http.ResponseWriter, r *http.Request, c *Counter) error {
			echo(w, r)
			return nil
		})
		page := &tab{engines[engine](t)(site.URL + "/?driver=fetch"), site}
		for _, url := range []string{site.URL + "/say/it", other.URL} {
			page.Want(fmt.Sprintf(`(async () => {
				const { fetch } = await import('/pagestate.js'), output = document.querySelector('output'), { pageState } = document.getElementById('outer').dataset;
				return (await fetch(output, new Request('%s?q=2&state=' + pageState, { method: 'POST', body: 'text' }))).text();
			})()`, url), "POST q=2 text text/plain;charset=UTF-8")
		}
	}
}

// A redirect to the page itself adds nothing to the history, and one to a part of it
// is an answer as any other.
func TestRedirectToItself(t *testing.T) {
	page := openForm(t)
	page.Do("window.entries = history.length; document.querySelector('main').insertAdjacentHTML('beforebegin', '<p id=old>')")
	page.fill(`<form method="post" action="/leave?to=%2F%3Fdriver%3Dform" data-page-state-form><button>Go</button></form>`)
	page.Click("#outer button")
	page.Wait("!document.getElementById('old')")
	page.Want("history.length - entries", "0")
	page.press("outer", "add")
	page.wantCount("outer", "1")
	page.fill(`<form method="post" action="/leave?to=%2Flook" data-page-state-form><button>Go</button></form>`)
	page.Click("#outer button")
	page.wantCount("outer", "1")
	page.Want("location.pathname", "/")
}

// The head comes along, less its scripts: style sheets and language too.
func TestHeadOfPage(t *testing.T) {
	page := openForm(t)
	page.fill(say)
	page.site.shows("it", "text/html", `<!doctype html><html lang="de" class="dark"><head><meta charset="utf-8"><title>Next</title><style>p { color: red }</style><script>happened.push('ran')</script></head><body class="b"><p id="in">`)
	page.Do("document.head.insertAdjacentHTML('beforeend', '<style id=old>p { display: none }</style>')")
	page.Click("#outer button")
	page.Wait("document.querySelector('#in')")
	page.Want(`[document.title, document.documentElement.lang, document.body.className, getComputedStyle(document.querySelector('#in')).color,
		document.querySelectorAll('#old').length, document.querySelectorAll('meta[charset]').length, document.querySelectorAll('head script').length].join('|')`,
		"Next|de|b|rgb(255, 0, 0)|0|1|2")
	page.wantHappened()
}

// The answer may be in another encoding.
func TestCharset(t *testing.T) {
	for contentType, test := range map[string]struct{ bytes, want string }{
		"text/html; charset=iso-8859-1":    {"caf\xe9", "café"},
		`text/html;charset="windows-1252"`: {"5 \x80", "5 €"},
		"text/html; charset=utf-8":         {"café", "café"},
		"text/html":                        {"café", "café"},
		"text/html; charset=unheard-of":    {"café", "café"},
		"Text/HTML ; charset=Shift_JIS":    {"\x93\xfa", "日"},
	} {
		t.Run(contentType, func(t *testing.T) {
			page := openForm(t)
			page.fill(say)
			page.site.shows("it", contentType, `<section id="outer" data-page-state="TOKEN"><i>`+test.bytes+`</i></section>`)
			page.Click("#outer button")
			page.Wait("document.querySelector('i')")
			page.Want("document.querySelector('i').textContent", test.want)
		})
	}
	page := openForm(t)
	page.fill(say)
	page.site.shows("it", "text/html", "<!doctype html><meta charset=latin1><i>caf\xe9</i>")
	page.Click("#outer button")
	page.Wait("document.querySelector('i')?.textContent === 'café'")
}

// Lines end as browsers end them, in names too.
func TestLineEnds(t *testing.T) {
	for _, test := range []struct{ attributes, where string }{
		{`method="post"`, "body"}, {`method="post" enctype="multipart/form-data"`, "body"}, {`action="/look"`, "url"},
	} {
		site := newSite(t)
		var got url.Values
		site.answer("it", func(w http.ResponseWriter, r *http.Request, c *Counter) error {
			r.ParseMultipartForm(1 << 20)
			got = r.Form
			w.WriteHeader(http.StatusNoContent)
			return nil
		})
		page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=form"), site}
		page.fill(`<form action="/say/it" ` + test.attributes + ` data-page-state-form><textarea name="text"></textarea><button>Go</button></form>`)
		page.Do(`document.querySelector('textarea').value = 'a\nb\r\nc\rd'`)
		if test.where == "url" {
			page.Do("document.querySelector('form').setAttribute('action', '/look')")
		}
		page.Click("#outer button")
		page.site.waitSent(1)
		if test.where == "url" {
			if sent := page.site.sent()[0]; sent != "GET /look?text=a%0D%0Ab%0D%0Ac%0D%0Ad" {
				t.Errorf("sent %s", sent)
			}
			continue
		}
		page.Wait("!document.querySelector('[aria-busy]')")
		if text := got.Get("text"); text != "a\r\nb\r\nc\r\nd" {
			t.Errorf("%s: sent %q", test.attributes, text)
		}
	}
}

// The fields of parent and child in one form are sent as without the script, and each
// follows its own component.
func TestFieldsOfParentAndChild(t *testing.T) {
	some(t, []Driver{forms, htmx2, htmx4}, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("inside=2")
		page.site.answer("it", func(w http.ResponseWriter, r *http.Request, c *Counter) error {
			for _, name := range []string{"inner1", "inner2"} {
				child, err := pagestate.Child[Counter](r.Context(), c, name, nil)
				if err != nil {
					return err
				}
				c.Count += child.Count
			}
			w.Header().Set("Content-Type", "text/html")
			_, err := io.WriteString(w, part(t, c, fmt.Sprintf("<output>%d</output>", c.Count)))
			return err
		})
		page.sayIt()
		page.Do(`(form => {
			for (const id of ['inner1', 'inner2'])
				form.insertAdjacentHTML('beforeend', '<input type="hidden" name="page_state" value="' + document.getElementById(id).dataset.pageState + '">');
		})(document.querySelector('#outer > form.add') )`)
		page.press("inner1", "add")
		page.wantCount("inner1", "1")
		release := page.site.hold("/add")
		page.press("inner2", "add")
		page.site.waitSent(2)
		page.press("outer", "add") // waits for its child
		release()
		page.wantCount("outer", "2")
	})
}

// What waits is sent only if the answer still offers it.
func TestOnlyWhatIsOffered(t *testing.T) {
	const buy = `<form method="post" action="/say/it" data-page-state-form><input type="hidden" name="id" value="%d"><button%s>Buy</button></form>`
	row := func(id int) string { return fmt.Sprintf(buy, id, "") }
	for name, test := range map[string]struct {
		before, after string
		sent          int
	}{
		"the same":                {row(1), row(1), 2},
		"none":                    {row(1), ``, 1},
		"no button":               {row(1), strings.ReplaceAll(row(1), "button", "b"), 1},
		"a disabled button":       {row(1), fmt.Sprintf(buy, 1, " disabled"), 1},
		"a disabled fieldset":     {row(1), `<fieldset disabled>` + row(1) + `</fieldset>`, 1},
		"another action":          {row(1), strings.ReplaceAll(row(1), "/say/it", "/say/other"), 1},
		"another button":          {row(1), fmt.Sprintf(buy, 1, ` name="do" value="sell"`), 1},
		"the row after":           {row(1) + row(2), row(2), 1},
		"the same row":            {row(1) + row(2), row(2) + row(1), 2},
		"other hidden fields":     {`<input type="hidden" name="csrf" value="1">` + row(1), row(1), 2},
		"a changed hidden field":  {row(1), row(2), 2},
		"another row by id":       {`<div id="a">` + row(1) + `</div>`, `<div id="b">` + row(1) + `</div>`, 1},
		"the same row by id":      {`<div id="a">` + row(1) + `</div>`, `<div id="a">` + row(1) + `</div>`, 2},
		"in another root":         {row(1), `<div data-page-state="other">` + row(1) + `</div>`, 1},
		"by a button outside":     {`<form id="f" method="post" action="/say/it" data-page-state-form></form><button form="f">Buy</button>`, `<form id="f" method="post" action="/say/it" data-page-state-form></form><button form="f">Buy</button>`, 2},
		"a button taken outside":  {`<form id="f" method="post" action="/say/it" data-page-state-form></form><button form="f">Buy</button>`, `<form id="f" method="post" action="/say/it" data-page-state-form></form>`, 1},
		"the same with a message": {row(1), `<p>Saved</p><div>` + row(1) + `</div>`, 2},
	} {
		t.Run(name, func(t *testing.T) {
			page := openForm(t)
			page.fill(test.before)
			page.site.html("it", `<i>answered</i>`+test.after)
			release := page.site.hold("/say/it")
			page.Click("#outer button")
			page.Click("#outer button")
			page.site.waitSent(1)
			release()
			page.Wait("document.querySelector('i') && !document.querySelector('[aria-busy]')")
			page.site.wantSent(test.sent)
			page.wantHappened()
		})
	}
}

// It is so with every driver: an answer without the form.
func TestBuyTwice(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		page.site.html("it", "<output>bought</output>")
		page.sayIt()
		release := page.site.hold("/say/it")
		page.press("outer", "add")
		page.press("outer", "add")
		page.site.waitSent(1)
		release()
		page.Wait("document.querySelector('output').textContent === 'bought' && !document.querySelector('[aria-busy]')")
		page.site.wantSent(1)
		page.wantHappened()
	})
}

// Further clicks are dropped while the first is under way.
func TestOnce(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		for _, marked := range []string{"form", "button"} {
			if driver == fetches && marked == "button" {
				continue // its fetch is given the form
			}
			page := open("swap=innerHTML")
			page.Do(`document.querySelector('form.add` + map[string]string{"form": "", "button": " button"}[marked] + `').setAttribute('data-page-state-once', '')`)
			release := page.site.hold("/add")
			for range 3 {
				page.press("outer", "add")
			}
			page.site.waitSent(1)
			page.press("outer", "trigger") // is another one, and waits
			release()
			page.Wait("happened.includes('counted outer') || document.querySelector('output').textContent === '2'")
			page.wantCount("outer", "2")
			page.site.wantSent(2)
			page.press("outer", "add")
			page.wantCount("outer", "3")
		}
	})
}

// aria-busy stands on the root while its turn lasts.
func TestBusy(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("inside=1&swap=innerHTML")
		release := page.site.hold("/add")
		page.press("outer", "add")
		page.site.waitSent(1)
		page.Want("document.getElementById('outer').getAttribute('aria-busy') + document.getElementById('inner1').getAttribute('aria-busy')", "truenull")
		release()
		page.wantCount("outer", "1")
		page.Wait("!document.querySelector('[aria-busy]')")
		page.Expect("Failed to load")
		page.press("outer", "failed")
		page.Wait("!document.querySelector('[aria-busy]')")
	})
}

// A form with its errors is shown as a browser without the script shows it.
func TestUnprocessable(t *testing.T) {
	page := openForm(t)
	page.Expect("422")
	page.fill(say)
	page.site.says("it", http.StatusUnprocessableEntity, `<section id="outer" data-page-state="x"><i>wrong</i></section>`, "Content-Type", "text/html")
	page.Click("#outer button")
	page.Wait("document.querySelector('i')")
	page.wantHappened()
}
