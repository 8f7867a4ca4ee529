package clienttest_test

// This file holds what somebody does while an answer is on its way: what is typed
// stays, and so does the place at which a keyboard is.

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
)

// Text that is typed during a slow answer survives it, with focus and caret.
func TestTypedText(t *testing.T) {
	eachEngine(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		queries := []string{"", "swap=innerHTML"}
		if driver == htmx4 {
			queries = append(queries, "swap=outerMorph")
		}
		for _, query := range queries {
			page := open(query)
			field := "#outer > form.add [name=by]"
			release := page.site.hold("/add")
			page.press("outer", "add")
			page.site.waitSent(1)
			page.Type(field, "23")
			page.Do("document.querySelector('" + field + "').setSelectionRange(1, 1)")
			release()
			page.wantCount("outer", "1")
			page.Wait("!document.querySelector('[aria-busy]')")
			page.Want("document.querySelector('"+field+"').value", "23")
			page.Want("document.activeElement.name + document.activeElement.selectionStart", "by1")
			page.Press("5") // goes on
			page.press("outer", "add")
			page.wantCount("outer", "254")
			page.Wait("!document.querySelector('[aria-busy]')")
			if !strings.HasSuffix(query, "Morph") { // which leaves what is typed
				page.Want("document.querySelector('"+field+"').value", "1") // is the answer's again
			}
		}
	})
}

// What is typed after the second of two clicks survives both answers.
func TestTypedWhileTwoWait(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("")
		field := "#outer > form.add [name=by]"
		release := page.site.hold("/add")
		page.press("outer", "add")
		page.press("outer", "add")
		page.site.waitSent(1)
		page.Type(field, "40")
		release()
		page.wantCount("outer", "2")
		page.Wait("!document.querySelector('[aria-busy]')")
		page.Want("document.querySelector('"+field+"').value", "40")
	})
}

// Each kind of field, and those that must not be filled in.
func TestTypedIntoFields(t *testing.T) {
	const form = `<form method="post" action="/say/it" data-page-state-form>%s<button>Say</button></form>`
	change := func(set string) string {
		return "(field => { " + set + "; field.dispatchEvent(new Event('input', { bubbles: true })); })(document.querySelector('#f, [name=f]'))"
	}
	text := change("field.value = 'typed'")
	for name, test := range map[string]struct{ before, after, do, read, want string }{
		"text":             {`<input name="f">`, `<input name="f" value="theirs">`, text, "field.value", "typed"},
		"by id":            {`<input id="f">`, `<input id="f">`, text, "field.value", "typed"},
		"email":            {`<input name="f" type="email">`, `<input name="f" type="email">`, text, "field.value", "typed"},
		"textarea":         {`<textarea name="f"></textarea>`, `<textarea name="f">theirs</textarea>`, change(`field.value = 'a\nb'`), "field.value", "a\nb"},
		"checkbox":         {`<input type="checkbox" name="f" value="a">`, `<input type="checkbox" name="f" value="a">`, change("field.checked = true"), "field.checked", "true"},
		"another checkbox": {`<input type="checkbox" name="f" value="a">`, `<input type="checkbox" name="f" value="b">`, change("field.checked = true"), "field.checked", "false"},
		"select":           {`<select name="f"><option>a<option>b</select>`, `<select name="f"><option>a<option>b</select>`, change("field.value = 'b'"), "field.value", "b"},
		"several":          {`<select name="f" multiple><option>a<option>b<option>c</select>`, `<select name="f" multiple><option>a<option>b<option>c</select>`, change("field.options[0].selected = field.options[2].selected = true"), "[...field.selectedOptions].map(o => o.value).join('')", "ac"},
		"an option gone":   {`<select name="f"><option>a<option>b</select>`, `<select name="f"><option>a<option>c</select>`, change("field.value = 'b'"), "field.value", "a"},
		"in no form":       {`</form><input name="f">`, `</form><input name="f">`, text, "field.value", "typed"},
		"another tag":      {`<input name="f">`, `<textarea name="f"></textarea>`, text, "field.value", ""},
		"another type":     {`<input name="f">`, `<input name="f" type="search">`, text, "field.value", ""},
		"another name":     {`<input name="f">`, `<input id="f">`, text, "field.value", ""},
		"another form":     {`<input name="f">`, `</form><form action="/other"><input name="f">`, text, "field.value", ""},
		"hidden":           {`<input name="f">`, `<input type="hidden" name="f">`, text, "field.value", ""},
		"disabled":         {`<input name="f">`, `<input name="f" disabled>`, text, "field.value", ""},
		"read only":        {`<input name="f">`, `<input name="f" readonly>`, text, "field.value", ""},
		"two of a name":    {`<input name="f">`, `<input name="f"><input name="f">`, text, "field.value", ""},
		"rows":             {`<p id="a"><input name="f"></p><p id="b"><input name="f"></p>`, `<p id="b"><input name="f"></p>`, text, "field.value", ""},
		"rows in order":    {`<p id="b"><input name="f"></p><p id="a"><input name="f"></p>`, `<p id="b"><input name="f"></p>`, text, "field.value", "typed"},
	} {
		t.Run(name, func(t *testing.T) {
			page := openForm(t)
			page.fill(fmt.Sprintf(form, test.before) + say)
			page.site.html("it", `<i></i>`+fmt.Sprintf(form, test.after))
			release := page.site.hold("/say/it")
			page.Do("[...document.querySelectorAll('button')].at(-1).click()")
			page.site.waitSent(1)
			page.Do(test.do)
			release()
			page.Wait("document.querySelector('i') && !document.querySelector('[aria-busy]')")
			page.Want("(field => "+test.read+")(document.querySelector('#f, [name=f]'))", test.want)
		})
	}
}

// What was sent is the server's: an answer that empties the field does so.
func TestSentTextIsTheServers(t *testing.T) {
	page := openForm(t)
	const form = `<form method="post" action="/say/it" data-page-state-form><input name="f" value=""><button>Say</button></form>`
	page.fill(form)
	page.site.html("it", `<i></i>`+form)
	page.Type("[name=f]", "a card")
	page.Press("\r")
	page.Wait("document.querySelector('i') && !document.querySelector('[aria-busy]')")
	page.Want("document.activeElement.name + document.activeElement.value", "f")
}

// The focus goes to the same control, its neighbour, or the root. %s is what is in a
// row of the list.
func TestFocus(t *testing.T) {
	const open = `<form method="post" action="/say/it" data-page-state-form>`
	row := func(id string) string {
		return `<div id="` + id + `">` + open + `<button name="do" value="edit">Edit</button><button name="do" value="delete">Delete</button></form></div>`
	}
	nameless := func(text string) string { return open + `<button>` + text + `</button></form>` }
	first, second := "#outer button", "#b [value=delete]"
	for name, test := range map[string]struct{ before, focus, after, want string }{
		"the same":             {row("a") + row("b"), second, row("a") + row("b"), "b delete"},
		"moved":                {row("a") + row("b"), second, row("b") + row("a"), "b delete"},
		"the next row":         {row("a") + row("b") + row("c"), second, row("a") + row("c"), "c edit"},
		"the row before":       {row("x") + row("a") + row("b"), second, row("x") + row("a"), "a delete"},
		"the button beside":    {row("a"), first, strings.Replace(row("a"), `value="edit"`, `value="edit" disabled`, 1), "a delete"},
		"the row without id":   {nameless("1") + nameless("2") + nameless("3"), "#outer form:nth-of-type(2) button", nameless("1") + nameless("3"), "outer  3"},
		"the last without id":  {nameless("1") + nameless("2"), "#outer form:nth-of-type(2) button", nameless("1"), "outer  1"},
		"hidden":               {row("a"), first, strings.Replace(row("a"), `value="edit"`, `value="edit" hidden`, 1), "a delete"},
		"the root":             {row("a"), first, `<p>Saved`, "outer"},
		"autofocus":            {row("a"), first, `<p>Edit<form action="/x"><button>No</button><input name="f" autofocus></form>`, "outer f"},
		"autofocus beside it":  {row("a"), first, row("a") + `<input name="f" autofocus>`, "outer f"},
		"autofocus as before":  {row("a") + `<input name="f" autofocus>`, first, row("a") + `<input name="f" autofocus>`, "a edit"},
		"autofocus, and no it": {row("a") + `<input name="f" autofocus>`, first, `<input name="f" autofocus>`, "outer f"},
	} {
		t.Run(name, func(t *testing.T) {
			page := openForm(t)
			page.fill(test.before)
			page.site.html("it", `<i></i>`+test.after)
			page.Do("document.querySelector('" + test.focus + "').focus()")
			for range 2 { // and a second time, when the browser itself looks at no autofocus
				page.Do("document.querySelector('i')?.remove()")
				page.Press(" ")
				page.Wait("document.querySelector('i') && !document.querySelector('[aria-busy]')")
				page.wantFocus(test.want)
				page.fill(test.before)
				page.Do("document.querySelector('" + test.focus + "').focus()")
			}
		})
	}
}

// wantFocus wants the focus on an element whose nearest id, value or name and text are
// these.
func (p *tab) wantFocus(want string) {
	p.t().Helper()
	got := p.Text(`(e => e.closest('[id]') ? [e.closest('[id]').id, e.value || e.name, !e.value && e.localName === 'button' ? e.textContent : ''].join(' ') : e.localName)(document.activeElement)`)
	if strings.TrimSpace(got) != want {
		p.t().Errorf("the focus is on %q, not on %q", got, want)
	}
}

// A component that leaves the page leaves the focus near.
func TestFocusAfterRemoval(t *testing.T) {
	each(t, func(t *testing.T, driver Driver, open func(string) *tab) {
		page := open("inside=2")
		page.site.delete("inner1")
		page.Do("document.querySelector('#inner1 > form.add button').focus()")
		page.press("inner1", "add")
		page.Wait("document.activeElement.closest('section')?.id + document.activeElement.name === 'inner2by'")
		page.site.delete("outer")
		page.press("outer", "add")
		page.Wait("!document.getElementById('outer')")
	})
	page := openForm(t)
	page.Do(`document.querySelector('main').insertAdjacentHTML('beforebegin', '<a href="/">Before</a>')`)
	page.site.delete("outer")
	page.Expect("Failed to load")
	page.press("outer", "add")
	page.Wait("document.activeElement.textContent === 'Before'")
}

// A page may disable the button that was clicked, which takes the focus off it.
func TestFocusOfDisabled(t *testing.T) {
	page := openForm(t)
	page.Do(`addEventListener('submit', event => { event.submitter.disabled = true; })`)
	page.fill(say)
	page.site.html("it", `<i></i>`+say)
	page.Do("document.querySelector('#outer button').focus()")
	page.Press(" ")
	page.Wait("document.querySelector('i') && !document.querySelector('[aria-busy]')")
	page.Want("document.activeElement.textContent", "Say")
}

// The focus of somebody who is elsewhere stays there, and that of who types on.
func TestFocusElsewhere(t *testing.T) {
	page := openForm(t)
	page.Do(`document.querySelector('main').insertAdjacentHTML('beforebegin', '<input id="elsewhere">')`)
	const field = `<form method="post" action="/say/it" data-page-state-form><input name="typed"><button>Say</button></form>`
	page.fill(field)
	page.site.html("it", `<i></i>`+field+`<input name="f" autofocus>`)
	for _, where := range []string{"#elsewhere", "[name=typed]"} {
		page.fill(field)
		release := page.site.hold("/say/it")
		page.Click("#outer button")
		page.Wait("document.querySelector('[aria-busy]')")
		page.Type(where, "text")
		release()
		page.Wait("document.querySelector('i') && !document.querySelector('[aria-busy]')")
		page.Want("document.activeElement.matches('"+where+"') + document.activeElement.value", "truetext")
	}
}

// A page after a redirect keeps the focus where there is the same control.
func TestFocusAfterRedirect(t *testing.T) {
	page := openForm(t)
	page.Do(`document.querySelector('form.add').setAttribute('action', '/leave?to=%2F%3Fdriver%3Dform')
		document.querySelector('main').insertAdjacentHTML('beforebegin', '<p id="old">');
		document.querySelector('[name=by]').focus()`)
	page.Press("\r")
	page.Wait("!document.getElementById('old') && !document.querySelector('[aria-busy]')")
	page.Want("document.activeElement.id", "outer") // another action
	page.Do("document.querySelector('form.add button').focus()")
	page.Do(`document.querySelector('form.add').insertAdjacentHTML('beforeend', '<button id="go" formaction="/leave?to=%2F%3Fdriver%3Dform">Go</button>');
		document.querySelector('main').insertAdjacentHTML('beforebegin', '<p id="old">');
		document.getElementById('go').focus()`)
	page.Press(" ")
	page.Wait("!document.getElementById('old') && !document.querySelector('[aria-busy]')")
	page.Want("document.activeElement.id", "outer")
}

// reload calls the script's, and does not wait for it, since the page goes away.
func (p *tab) reload() {
	p.t().Helper()
	p.Do("void import('/pagestate.js').then(({ reload }) => reload())")
}

// reload keeps what was typed, after a refusal that leaves no doubt of who is there.
func TestReload(t *testing.T) {
	for code, kept := range map[string]bool{
		"conflict": true, "expired": true, "outdated": true, "missing": true,
		"invalid": false, "toolarge": false, "failed": false, "": false, "invalid, conflict": false, "conflict, failed": false,
	} {
		t.Run(code, func(t *testing.T) {
			page := openForm(t)
			page.Expect("Failed to load")
			page.site.answer("missing", func(http.ResponseWriter, *http.Request, *Counter) error { return pagestate.ErrMissing })
			page.Do(`history.replaceState(null, '', '/?driver=form&page_state=abcdefghijklmnopqrstuvwxyz#part'); window.old = true`)
			for name := range strings.SplitSeq(code, ", ") {
				if name == "" {
					continue
				}
				page.Do(`happened.length = 0; document.querySelector('form.own410').setAttribute('action', '` + map[bool]string{true: "/say/missing", false: "/refuse?as=" + name}[name == "missing"] + `')`)
				page.press("outer", "own410")
				page.Wait("happened.length && !document.querySelector('[aria-busy]')")
			}
			page.Type("form.add [name=by]", "a draft")
			page.reload()
			page.Wait("!window.old && window.happened && document.querySelector('form.add [name=by]')")
			page.Want("document.querySelector('form.add [name=by]').value", map[bool]string{true: "a draft", false: "1"}[kept])
			page.Want("location.search", "?driver=form")
			page.Want("sessionStorage.length", "0")
			page.Go(page.site.URL + "/?driver=form")
			page.Want("document.querySelector('form.add [name=by]').value", "1")
		})
	}
}

// What reload never keeps.
func TestReloadKeepsNoSecrets(t *testing.T) {
	site := newSite(t)
	const fields = `<form id="f" action="/x"><input name="plain"><textarea name="text"></textarea><select name="one"><option>a<option>b</select><input type="checkbox" name="box">
		<input type="password" name="p1"><input type="hidden" name="p2"><input name="p3" autocomplete="off"><input name="p4" autocomplete="section-a one-time-code">
		<input name="p5" autocomplete="cc-number"><input name="p6" autocomplete="billing CC-CSC"><input name="p7" autocomplete="current-password"><input name="p8" autocomplete="new-password">
		<input name="p9" disabled></form><form id="g" autocomplete="off" action="/y"><input name="p10"><input name="named" autocomplete="name"></form>`
	page := &tab{chrome.Profile(t).Tab(), site}
	page.Expect("Failed to load")
	page.Go(site.URL + "/?driver=form&fields=" + url.QueryEscape(fields))
	page.Do(`window.old = true;
		for (const field of document.querySelectorAll('#f [name], #g [name]')) {
			if (field.type === 'checkbox') field.checked = true;
			else field.value = field.localName === 'select' ? 'b' : 'secret ' + field.name;
		}`)
	page.press("outer", "conflict")
	page.Wait("happened.length")
	page.reload()
	page.Wait("!window.old && window.happened")
	page.Want("[...document.querySelectorAll('#f [name], #g [name]')].filter(f => f.type === 'checkbox' ? f.checked : f.value && f.value !== 'a').map(f => f.name).join()", "plain,text,one,box,named")
}

// What was kept is for the same address, and for a minute. Whatever comes of it, it is
// gone then.
func TestDraftsEnd(t *testing.T) {
	site := newSite(t)
	page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=form"), site}
	page.Expect("Failed to load")
	page.press("outer", "conflict")
	page.Wait("happened.length")
	page.Type("form.add [name=by]", "a draft")
	page.Do("window.old = true; Storage.prototype.setItem = (name, text) => { window.name = text; }") // which outlives the page
	page.reload()
	page.Wait("!window.old && window.happened")
	for _, test := range []struct{ change, want string }{
		{"draft.at = Date.now()", "a draft"},
		{"draft.at = Date.now() - 50_000", "a draft"},
		{"draft.at = Date.now() - 61_000", "1"},
		{"draft.at = Date.now(); draft.url += '&other'", "1"},
		{"draft = 'x'", "1"},
	} {
		page.Do("{ let draft = JSON.parse(window.name); " + test.change + "; sessionStorage.setItem('pagestate:draft', JSON.stringify(draft)); }")
		page.Go(site.URL + "/?driver=form")
		page.Want("document.querySelector('form.add [name=by]').value", test.want)
		page.Want("sessionStorage.length", "0")
	}
}

// reload leads to no address that only takes POST.
func TestReloadAfterPost(t *testing.T) {
	site := newSite(t)
	site.answer("it", func(w http.ResponseWriter, r *http.Request, c *Counter) error {
		w.Header().Set("Content-Type", "text/html")
		_, err := io.WriteString(w, `<!doctype html><script type="module" src="/pagestate.js"></script><p id="in">`)
		return err
	})
	page := &tab{chrome.Profile(t).Open(site.URL + "/?driver=form&page_state=x"), site}
	page.Expect("405", "404")
	page.fill(`<form method="post" action="/say/it"><input type="hidden" name="page_state" value="TOKEN"><button>Go</button></form>`)
	page.Click("#outer button")
	page.Wait("document.querySelector('#in')")
	page.reload()
	page.Wait("location.pathname === '/' && document.getElementById('outer')")
	page.Want("location.search", "?driver=form")
}
