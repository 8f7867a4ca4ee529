package main

// This file holds what a real browser makes of the board: every line of it,
// with each engine and with none. What a plain HTTP client sees is in
// example_test.go.

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/example/internal/axe"
	"github.com/pagestate/pagestate/example/internal/chromium"
)

// boardTab is a tab that shows the board.
type boardTab struct{ *chromium.Tab }

// show opens the board in a tab, served by that engine.
func show(p *chromium.Profile, address, engine string) boardTab {
	tab := boardTab{p.Open(address)}
	chosen := `document.querySelector('[name=engine][aria-pressed=true]').value`
	if tab.Text(chosen) != engine {
		tab.press("engine", engine)
		tab.Wait(chosen + ` === '` + engine + `'`)
	}
	return tab
}

// act clicks a button and waits for the answer, which replaces the component
// that the button's form is in, or the whole page.
func (b boardTab) act(selector string) {
	b.Do(`(button => ((button.form ?? button).closest('[data-page-state]') ?? document.body).setAttribute('data-old', ''))(document.querySelector(` + quote(selector) + `))`)
	b.Click(selector)
	b.Wait(`document.readyState === 'complete' && !document.querySelector('[data-old]')`)
	b.lacks(".htmx-added, .htmx-settling") // htmx 2 takes its time to know new elements
}

// press acts by the button of that name and value, within what is given.
func (b boardTab) press(name, value string, within ...string) {
	b.act(strings.Join(append(within, fmt.Sprintf(`[name=%s][value="%s"]`, name, value)), " "))
}

func card(title string) string { return `[data-name="` + title + `"]` }

func (b boardTab) has(selector string)   { b.Wait(`document.querySelector('` + selector + `')`) }
func (b boardTab) lacks(selector string) { b.Wait(`!document.querySelector('` + selector + `')`) }
func (b boardTab) value(selector, want string) {
	b.Wait(fmt.Sprintf(`document.querySelector('%s')?.value === %q`, selector, want))
}

// titles waits until a list shows these cards.
func (b boardTab) titles(list string, want ...string) {
	b.Wait(fmt.Sprintf(`[...document.querySelectorAll('#list-%s article')].map(card => card.dataset.name).join('|') === %q`,
		list, strings.Join(want, "|")))
}

// says waits until a part of the page has that text.
func (b boardTab) says(selector, text string) {
	b.Wait(fmt.Sprintf(`[...document.querySelectorAll('%s')].some(part => part.textContent.includes(%q))`, selector, text))
}

// scripted are the engines that have a script.
var scripted = engines[:3]

// TestBoard does everything with every engine that has a script, in one browser.
func TestBoard(t *testing.T) {
	tests := []struct {
		name string
		run  func(t *testing.T, engine string)
	}{
		{"tabs", testTabs},
		{"filter", testFilter},
		{"editing", testEditing},
		{"two browsers", testTwoBrowsers},
		{"wizard", testWizard},
		{"login", testLogin},
		{"panel", testPanel},
		{"trouble", testTrouble},
		{"second tab", testSecondTab},
		{"keyboard", testKeyboard},
	}
	for _, engine := range scripted {
		for _, test := range tests {
			t.Run(engine+"/"+test.name, func(t *testing.T) { test.run(t, engine) })
		}
	}
}

// testTabs shows that filter, page, order and draft belong to the page.
func testTabs(t *testing.T, engine string) {
	address, profile := startBoard(t, newTestSite(t, false)), chrome.Profile(t)
	one, two := show(profile, address, engine), show(profile, address, engine)

	one.Type("#new-todo", "half a thought")
	one.act("#on-todo")
	one.titles("todo", "Rain plan: who has a large garage?", "Chalk for the children")
	one.value("#new-todo", "half a thought")

	two.act("#turn-doing")
	two.titles("doing", "Borrow four long tables", "Draw the poster", "Collect songs for the last hour")
	two.Type("#new-done", "another one")
	if engine == "fetch" { // sends a form and nothing else
		two.act("#look-done")
	}

	// The lists get the filter as a new argument, and keep what is theirs.
	two.Do(`document.getElementById('only').value = 'Music'`)
	two.act("#do-filter")
	two.titles("doing", "Collect songs for the last hour")
	two.says("#turn-doing", "Newest first")
	two.value("#new-done", "another one")
	two.act("#do-clear")
	two.titles("doing", "Borrow four long tables", "Draw the poster", "Collect songs for the last hour")

	one.says("#list-todo .page", "Page 2")
	one.value("#new-todo", "half a thought")
	one.Type("#find", "e")
	one.act("#do-filter")
	one.says("#list-todo .page", "Page 1")
	one.Type("#find", "drums")
	one.act("#do-filter")
	one.titles("done", "Tell number 12 about the drums")
	one.titles("todo")
	one.says(".filter .fact", "new argument")
	one.act("#do-clear")
	one.value("#new-todo", "half a thought")
	one.act("#add-todo")
	one.has("#list-todo " + card("half a thought"))
	one.value("#new-todo", "")
}

// testFilter shows that the filter is in the address: it can be reloaded, shared, and gone
// back from.
func testFilter(t *testing.T, engine string) {
	address := startBoard(t, newTestSite(t, false))
	tab := show(chrome.Profile(t), address, engine)
	tab.Type("#find", "the")
	tab.Do(`document.getElementById('only').value = 'Music'`)
	tab.act("#do-filter")
	const filtered = `new URLSearchParams(location.search).get('find') === 'the' && new URLSearchParams(location.search).get('only') === 'Music'`
	tab.Wait(filtered)
	tab.titles("doing", "Collect songs for the last hour")
	tab.act("#turn-doing") // which says nothing of the filter
	tab.titles("doing", "Collect songs for the last hour")
	tab.Reload()
	tab.Wait(filtered)
	tab.titles("doing", "Collect songs for the last hour")
	tab.value("#find", "the")
	tab.value("#only", "Music")

	friend := show(chrome.Profile(t), address, engine)
	friend.Go(tab.Text("location.href"))
	friend.titles("doing", "Collect songs for the last hour")
	friend.value("#find", "the")
	friend.act("#do-clear")
	friend.Wait(`!location.search.includes('find')`)
	friend.titles("doing", "Collect songs for the last hour", "Draw the poster", "Borrow four long tables")
	friend.Do(`history.back()`) // htmx shows the page before without leaving this one
	friend.Wait(filtered)
	friend.titles("doing", "Collect songs for the last hour")
	friend.value("#only", "Music")
	friend.Wait(`document.readyState === 'complete'`)
	friend.act("#turn-doing")
	friend.titles("doing", "Collect songs for the last hour")
}

// testEditing edits in place, past what the list does meanwhile.
func testEditing(t *testing.T, engine string) {
	tab := show(chrome.Profile(t), startBoard(t, newTestSite(t, false)), engine)
	poster := "#list-doing article:nth-child(2)"
	tab.press("do", "edit", poster)
	tab.has(poster + ".editing")
	tab.Type(poster+" .draft", "Draw and print")
	if engine != "fetch" { // which sends a form and nothing else
		tab.act("#look-doing")
		tab.value(poster+" .draft", "Draw and print")
	}
	tab.press("do", "save", poster)
	tab.has(card("Draw and print") + ":not(.editing)")

	tab.press("do", "edit", poster)
	tab.has(poster + ".editing")
	tab.Type(poster+" .draft", " ")
	tab.press("do", "save", poster)
	tab.says(poster+" .problem", "needs a title")
	tab.press("do", "cancel", poster)
	tab.has(card("Draw and print") + ":not(.editing)")

	tab.press("move", "11 done")
	tab.has("#list-done " + card("Draw and print"))
	tab.press("do", "delete", "#list-done "+card("Draw and print"))
	tab.lacks(card("Draw and print"))
}

// testTwoBrowsers adds a card here that is seen there, and deletes one there
// that is acted on here.
func testTwoBrowsers(t *testing.T, engine string) {
	address := startBoard(t, newTestSite(t, false))
	ada, grace := show(chrome.Profile(t), address, engine), show(chrome.Profile(t), address, engine)
	grace.press("user", "Grace")
	grace.has("[value=Grace][aria-pressed=true]")
	grace.Type("#new-doing", "Find the ladder")
	grace.Press("\r")
	grace.has("#list-doing " + card("Find the ladder"))
	grace.lacks("#list-doing .new")

	ada.lacks(card("Find the ladder"))
	ada.act("#look-doing")
	ada.has(card("Find the ladder") + ".new")
	ada.says(card("Find the ladder"), "Grace, just now")
	ada.says("#list-doing .news", "A card is new")

	ada.press("do", "delete", card("Draw the poster"))
	ada.lacks(card("Draw the poster"))
	grace.Expect("status of 410", "Response Status Error Code 410")
	grace.press("do", "edit", card("Draw the poster"))
	grace.lacks(card("Draw the poster"))
	grace.says("#toasts", "“Draw the poster” is gone")
	grace.act("#look-doing") // the list is well
	grace.titles("doing", "Find the ladder", "Collect songs for the last hour", "Borrow four long tables")
	grace.press("move", "13 done")
	grace.has("#list-done " + card("Collect songs for the last hour"))

	ada.press("do", "delete", card("Find the ladder"))
	ada.lacks(card("Find the ladder"))
	grace.press("move", "15 done")
	grace.says("#board > .notice", "somebody deleted it")
	grace.lacks(card("Find the ladder"))
}

func testWizard(t *testing.T, engine string) {
	tab := show(chrome.Profile(t), startBoard(t, newTestSite(t, false)), engine)
	tab.press("do", "plan")
	tab.has("#wizard-text")
	tab.press("do", "next", "#wizard")
	tab.says("#wizard .problem", "Say what")
	tab.Type("#wizard-text", "Thank everybody")
	tab.Press("\r")
	tab.says("#wizard .step", "2 of 3")
	tab.Click("#wizard [value=done] + span")
	tab.Click("#wizard [value=Paper] + span")
	tab.press("do", "next", "#wizard")
	tab.says("#wizard dd", "Thank everybody")
	tab.press("do", "previous", "#wizard")
	tab.has("#wizard [value=Paper]:checked")
	tab.press("do", "previous", "#wizard")
	tab.value("#wizard-text", "Thank everybody")

	title := "Thank everybody"
	if engine != "fetch" { // which sends a form and nothing else
		title = "Thank everybody twice"
		tab.Type("#wizard-text", title)
	}
	tab.Do(`document.getElementById('only').value = 'Paper'`)
	tab.act("#do-filter") // the wizard comes along
	tab.has("#do-clear")
	tab.value("#wizard-text", title)
	tab.press("do", "next", "#wizard")
	tab.says("#wizard .step", "2 of 3")
	tab.press("do", "next", "#wizard")
	tab.says("#wizard .step", "3 of 3")
	tab.press("do", "create", "#wizard")
	tab.has("#list-done " + card(title))
	tab.lacks("#wizard")
	tab.says(card(title)+" .label", "Paper")
}

// testLogin ends the tokens of an open page.
func testLogin(t *testing.T, engine string) {
	address, profile := startBoard(t, newTestSite(t, false)), chrome.Profile(t)
	before := show(profile, address, engine)
	before.Do(`history.replaceState(history.state, '', '/?find=e')`)
	in := show(profile, address, engine)
	for _, user := range []string{"Ada", "Grace", ""} {
		in.press("user", user)
		in.Wait(`(document.querySelector('.people [aria-pressed=true]')?.value ?? '') === '` + user + `'`)
		before.Expect("status of 400", "Response Status Error Code 400")
		before.Click("#on-todo")
		before.says(".toast", "logged in or out in another tab")
		before.Do(`document.querySelector('.toast').setAttribute('data-old', '')`)
		before.Click("#on-todo")
		before.lacks(".toast[data-old]")
		before.Want(`document.querySelectorAll('.toast').length`, "1")
		before.says("#list-todo .page", "Page 1")
		before.Click(".toast button")
		before.lacks(".toast")
		before.Wait(`document.readyState === 'complete' && (document.querySelector('.people [aria-pressed=true]')?.value ?? '') === '` + user + `'`)
		before.value("#find", "e")
		before.act("#on-todo")
		before.says("#list-todo .page", "Page 2")
		before.act("#back-todo")
		before.says("#list-todo .page", "Page 1")
	}
}

// testPanel compares the panel with the tokens of the page.
func testPanel(t *testing.T, engine string) {
	tab := show(chrome.Profile(t), startBoard(t, newTestSite(t, true)), engine)
	tab.lacks("input[name=page_state]") // is for browsers without scripts
	sizes := texts("li:not(.gone) .size") + `.map(text => parseInt(text)).join()`
	tokens := `[...document.querySelectorAll('[data-page-state]')].map(root => root.dataset.pageState.length).join()`
	tab.Wait(sizes + " === " + tokens)
	tab.Type("#new-done", "Sweep the street")
	tab.act("#look-done")
	tab.Wait(texts("li:has(.changed) .name") + `.join() === 'list done'`)
	tab.Wait(texts("tr.changed") + `.some(text => text === 'Draft17"""Sweep the street"')`)
	tab.Wait(sizes + " === " + tokens)
	tab.Wait(texts("#toggle") + `[0].startsWith('15 tokens')`)
}

// testTrouble wants each refusal told to the person, and nothing taken away.
func testTrouble(t *testing.T, engine string) {
	trouble := []struct {
		err    error
		toast  string
		reload bool
	}{
		{pagestate.ErrExpired, "too old", true},
		{pagestate.ErrOutdated, "too old", true},
		{pagestate.ErrConflict, "moved on", true},
		{pagestate.ErrTooLarge, "more than can be accepted", false},
		{pagestate.ErrUnavailable, "not available at the moment", false},
		{errors.New("a bug"), "Something went wrong", false},
	}
	var failure atomic.Pointer[error]
	site := newTestSite(t, false)
	tab := show(chrome.Profile(t), startBoard(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := failure.Swap(nil); err != nil {
			pagestate.WriteError(w, r, *err)
			return
		}
		site.ServeHTTP(w, r)
	})), engine)
	tab.Expect("the server responded with a status of", "Response Status Error Code")
	for _, trouble := range trouble {
		tab.Type("#new-todo", "kept")
		failure.Store(&trouble.err)
		tab.Click("#on-todo")
		tab.says(".toast p", trouble.toast)
		tab.Want(`document.querySelectorAll('.toast').length`, "1")
		tab.Want(`document.querySelector('.toast button').textContent === 'Reload'`, fmt.Sprint(trouble.reload))
		tab.Click(".toast button:last-child")
		tab.lacks(".toast")
		tab.value("#new-todo", "kept")
	}
	tab.act("#on-todo")
	tab.says("#list-todo .page", "Page 2")
}

// testSecondTab opens all that a page holds in a second tab, in the middle of an edit,
// and goes on in both.
func testSecondTab(t *testing.T, engine string) {
	address, profile := startBoard(t, newTestSite(t, true)), chrome.Profile(t)
	one := show(profile, address, engine)
	one.act("#on-todo")
	one.says("#list-todo .page", "Page 2")
	one.press("do", "edit", card("Chalk for the children"))
	one.has(".editing")
	one.Type(".editing .draft", "Chalk, six colours")
	one.Type("#new-done", "half a thought")
	one.Want(`document.getElementById('twin').target`, "_blank")
	one.Do(`document.getElementById('twin').target = ''`) // the helper opens tabs by their address
	one.press("do", "twin")
	one.says("#list-todo .page", "Page 2")

	two := boardTab{profile.Open(one.Text("location.href"))}
	two.says("#list-todo .page", "Page 2")
	two.value("#new-done", "half a thought")
	two.value(".editing .draft", "Chalk, six colours")
	two.press("do", "save", ".editing")
	two.has(card("Chalk, six colours") + ":not(.editing)")
	one.has(card("Chalk for the children") + ".editing")
	one.act("#turn-todo")
	one.says("#list-todo .page", "Page 1")
	one.has(card("Chalk, six colours") + ".editing")
	two.says("#list-todo .page", "Page 2")
	two.act("#back-todo")
	two.says("#list-todo .page", "Page 1")
}

// testKeyboard does without a mouse, and hears what is shown.
func testKeyboard(t *testing.T, engine string) {
	tab := show(chrome.Profile(t), startBoard(t, newTestSite(t, false)), engine)
	focused := func(what string) {
		tab.Wait(`[document.activeElement.id, document.activeElement.ariaLabel, document.activeElement.textContent].includes(` + quote(what) + `)`)
	}
	hears := func(text string) {
		tab.Wait(`document.getElementById('said').textContent.includes(` + quote(text) + `)`)
	}
	stops := `[...document.querySelectorAll('a, button, input, select')].filter(e => e.tabIndex >= 0 && !e.disabled && e.checkVisibility()).length`
	tab.Want(stops+" < 36", "true")
	tab.Reload()
	tab.Press("\t")
	focused("Skip to the cards")
	tab.Press("\r")
	tab.Wait(`location.hash === '#lists'`)
	tab.Press("\t")
	focused("new-todo")

	const lemonade = "Lemonade: ask Mr. Okafor for his recipe"
	tab.Press("\t\t" + kb.ArrowLeft)
	focused("Delete “" + lemonade + "”")
	tab.Press("\t")
	focused("Move “Find a long cable for the stage” on")
	tab.Press(kb.ArrowRight + "\r")
	tab.has(card("Find a long cable for the stage") + ".editing")
	focused("title-12")
	tab.Press("\x1b")
	tab.has(card("Find a long cable for the stage") + ":not(.editing)")
	tab.lacks(".htmx-added, .htmx-settling")
	tab.Want(stops+" < 36", "true")

	tab.act("#on-todo")
	hears("Page 2")
	tab.Type("#new-todo", " ")
	tab.Press("\r")
	tab.says("#list-todo .problem", "Type what is to be done")
	hears("Type what is to be done")

	tab.press("do", "plan")
	tab.has("#wizard-text")
	tab.lacks(".htmx-added, .htmx-settling")
	tab.Type("#wizard-text", "Thank everybody")
	tab.Press("\x1b")
	tab.lacks("#wizard")
	tab.lacks(".htmx-added, .htmx-settling")
	tab.Type("#find", "drums")
	tab.Press("\r")
	tab.titles("done", "Tell number 12 about the drums")
	tab.lacks("#wizard")
}

// TestTour presses each button of the tour, and does what stands beside it.
func TestTour(t *testing.T) {
	tab := show(chrome.Profile(t), startBoard(t, newTestSite(t, true)), "htmx2")
	meanwhile := func(what, said string) {
		tab.Click("[name=meanwhile][value=" + what + "]")
		tab.says(".toast", said)
	}
	tab.Expect("status of 410", "status of 400", "Response Status Error Code")
	meanwhile("delete", "Ada has deleted “Collect songs for the last hour”")
	tab.press("do", "edit", card("Collect songs for the last hour"))
	tab.lacks(card("Collect songs for the last hour"))
	meanwhile("add", "Ada has added a card")
	tab.lacks(card("Ask who has a ladder"))
	tab.act("#look-doing")
	tab.has(card("Ask who has a ladder") + ".new")
	tab.press("do", "edit", card("Ask who has a ladder"))
	tab.Type(".editing .draft", "Find two ladders")
	meanwhile("rename", "Ada has renamed “Ask who has a ladder”")
	tab.press("do", "save", ".editing")
	tab.says(".editing .problem", "somebody has saved “Ask who has a ladder, please”")
	tab.value(".editing .draft", "Find two ladders")
	tab.press("do", "save", ".editing")
	tab.has(card("Find two ladders") + ":not(.editing)")
	meanwhile("login", "logged in as Ada")
	tab.Click("#on-todo")
	tab.says(".toast", "logged in or out in another tab")

	// The panel is beside the board where there is room, until somebody closes it.
	tab.lacks(".beside")
	tab.Do(`sessionStorage.clear()`)
	tab.Size(1500, 900)
	tab.Reload()
	tab.has("body.beside")
	tab.Do(inPanel("#toggle") + `[0].click()`)
	tab.lacks(".beside")
	tab.Reload()
	tab.Wait(texts("#toggle") + `[0]?.includes('tokens')`)
	tab.lacks(".beside")
}

// TestMessage has the time of two messages run out: of one with the focus, which stays,
// and of one without.
func TestMessage(t *testing.T) {
	tab := show(chrome.Profile(t), startBoard(t, newTestSite(t, false)), "fetch")
	for selector, left := range map[string]string{".toast button": "1", "#find": "0"} {
		tab.Want(`(async () => {
			const { toast } = await import('/static/board.js'), wait = setTimeout;
			let later;
			window.setTimeout = act => { later = act; };
			toast('Something');
			window.setTimeout = wait;
			document.querySelector('`+selector+`').focus();
			later();
			return document.querySelectorAll('.toast').length;
		})()`, left)
	}
}

// TestRestart stops the server in the middle of an edit.
func TestRestart(t *testing.T) {
	program := newProgram(t)
	for _, engine := range scripted {
		t.Run(engine, func(t *testing.T) { testRestart(t, program, engine) })
	}
}

func testRestart(t *testing.T, program program, engine string) {
	title := "Chalk, as of " + engine // the database goes on from one engine to the next
	first := program.start(t, "localhost:0")
	tab := show(chrome.Profile(t), first.address, engine)
	tab.act("#on-todo")
	tab.press("do", "edit", "#card-6")
	tab.Type("#card-6 .draft", title)
	first.stop()

	tab.Expect("ERR_CONNECTION_REFUSED", "htmx:afterRequest", "htmx:sendError", "Failed to fetch")
	tab.Click("#card-6 [value=save]")
	tab.says(".toast", "does not answer")
	tab.value("#card-6 .draft", title)

	second := program.start(t, strings.TrimPrefix(first.address, "http://"))
	tab.press("do", "save", "#card-6")
	tab.has(card(title))
	tab.says("#list-todo .page", "Page 2")
	second.stop()
}

// TestNoScript does with plain forms what the others do with a script: with
// scripts switched off, and with a page that has none.
func TestNoScript(t *testing.T) {
	t.Run("switched off", func(t *testing.T) {
		address, profile := startBoard(t, newTestSite(t, false)), chrome.Profile(t)
		one, again, two := profile.Tab(), profile.Tab(), chrome.Profile(t).Tab()
		for _, tab := range []*chromium.Tab{one, again, two} {
			tab.NoScript()
			tab.Go(address)
		}
		testPlainForms(t, boardTab{one}, boardTab{again}, boardTab{two})
	})
	t.Run("none", func(t *testing.T) {
		address, profile := startBoard(t, newTestSite(t, false)), chrome.Profile(t)
		testPlainForms(t, show(profile, address, "none"), show(profile, address, "none"), show(chrome.Profile(t), address, "none"))
	})
}

// testPlainForms has two tabs of one person, and one of somebody else.
func testPlainForms(t *testing.T, one, again, two boardTab) {
	left := func(selector string) string {
		return `document.querySelector('` + selector + `').getBoundingClientRect().left`
	}
	one.Want(left("#find")+" - "+left("#filter"), "0") // what a form hides takes no place
	one.Type("#new-todo", "half a thought")
	one.act("#on-todo")
	one.titles("todo", "Rain plan: who has a large garage?", "Chalk for the children")
	one.value("#new-todo", "half a thought")
	one.act("#turn-doing")
	one.titles("doing", "Borrow four long tables", "Draw the poster", "Collect songs for the last hour")
	one.Type("#find", "drums")
	one.act("#do-filter")
	one.titles("done", "Tell number 12 about the drums")
	one.press("do", "edit", card("Tell number 12 about the drums"))
	one.has(".editing")
	one.Type(".editing .draft", "Tell number 12 about the drums again")
	one.press("do", "save")
	one.titles("done", "Tell number 12 about the drums again") // still filtered
	one.Back()
	one.has(".editing")
	one.Forward()
	one.titles("done", "Tell number 12 about the drums again")
	one.act("#do-clear")
	one.value("#new-todo", "half a thought")
	one.says("#turn-doing", "Newest first")

	one.press("do", "plan")
	one.Type("#wizard-text", "Thank everybody")
	one.press("do", "next", "#wizard")
	one.Click("#wizard [value=done] + span")
	one.press("do", "next", "#wizard")
	one.press("do", "create", "#wizard")
	one.has("#list-done " + card("Thank everybody"))
	one.press("move", "15 doing")
	one.act("#on-todo")

	two.act("#look-done")
	two.press("do", "delete", card("Draw the poster"))
	two.lacks(card("Draw the poster"))
	one.Expect("status of 410", "status of 400", "status of 422")
	one.press("do", "edit", card("Draw the poster"))
	one.says("h1", "The card is gone")
	one.Back()
	one.says("#list-todo .page", "Page 2")
	one.act("#look-doing")
	one.titles("doing", "Borrow four long tables", "Collect songs for the last hour", "Thank everybody")

	testReload(one)
	testForks(one, again)
	two.Go(one.Text("location.href"))
	two.says("#list-todo .page", "Page 1") // the link is worth nothing to others
}

// testReload reloads pages that redirects have led to, and goes back to one. What is
// to be corrected is no such page.
func testReload(tab boardTab) {
	const page = `location.pathname === '/' && location.search.startsWith('?page_state=')`
	tab.act("#turn-doing")
	tab.act("#turn-doing")
	tab.says("#turn-doing", "Newest first")
	tab.Type("#new-todo", " ")
	tab.act("#add-todo")
	tab.says("#list-todo .problem", "Type what is to be done")
	tab.Wait(`location.pathname === '/lists/todo'`)
	tab.Type("#new-todo", "Buy tape")
	tab.act("#add-todo")
	tab.has(card("Buy tape") + ":not(.new)")
	tab.Wait(page)
	for range 2 {
		tab.Reload()
		tab.has(card("Buy tape") + ":not(.new)")
		tab.lacks("#list-todo .notice")
		tab.says("#turn-doing", "Newest first")
	}
	tab.press("do", "edit", card("Buy tape"))
	tab.has(".editing")
	tab.Wait(page + ` && location.hash.startsWith('#card-')`)
	tab.Back()
	tab.has(card("Buy tape") + ":not(.editing)")
	tab.Forward()
	tab.Reload()
	tab.has(card("Buy tape") + ".editing")
}

// testForks opens in a second tab what the first one shows, and goes on in both.
func testForks(one, two boardTab) {
	two.Expect("status of 422")
	two.Go(one.Text("location.href"))
	two.has(card("Buy tape") + ".editing")
	one.Type(".editing .draft", "Buy strong tape")
	one.press("do", "save")
	one.has(card("Buy strong tape") + ":not(.editing)")
	two.Type(".editing .draft", " ")
	two.press("do", "save")
	two.says(".editing .problem", "needs a title")
	two.press("do", "cancel")
	two.has(card("Buy strong tape") + ":not(.editing)")
	one.act("#on-todo")
	one.says("#list-todo .page", "Page 2")
	two.Reload()
	two.says("#list-todo .page", "Page 1")
}

// TestScreenshots takes pictures of the board, into the folder that the variable
// SCREENSHOTS names, and has axe look at each page.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	address := startBoard(t, newTestSite(t, true))
	adas, graces := chrome.Profile(t), chrome.Profile(t)
	shot := func(tab boardTab, name string) {
		tab.Do(`scrollTo(0, 0), Promise.all(document.getAnimations().map(a => a.finished))`)
		tab.Screenshot(filepath.Join(dir, name+".png"))
		axe.Check(t, name, tab)
	}

	ada, grace := show(adas, address, "htmx2"), show(graces, address, "htmx2")
	ada.Size(1240, 930)
	ada.press("user", "Ada")
	ada.has("[value=Ada][aria-pressed=true]")
	grace.press("user", "Grace")
	grace.has("[value=Grace][aria-pressed=true]")
	grace.Type("#new-todo", "Bunting, and a ladder that reaches")
	grace.act("#add-todo")
	grace.has(card("Bunting, and a ladder that reaches"))
	ada.act("#look-todo")
	ada.has("#list-todo .new")
	ada.press("do", "edit", card("Draw the poster"))
	ada.has(".editing")
	shot(ada, "light")

	ada.Size(1240, 2300)
	shot(ada, "all")

	ada.Size(1600, 1000)
	ada.Do(inPanel("#toggle") + `[0].click()`)
	ada.has(".beside")
	grace.press("do", "delete", card("Book the brass band"))
	grace.lacks(card("Book the brass band"))
	ada.Expect("status of 410")
	ada.press("do", "edit", card("Book the brass band"))
	ada.says("#toasts", "is gone")
	ada.Wait(texts(".gone .name") + `.join() === 'card 5'`)
	ada.Do(inPanel("details") + `.find(d => d.textContent.startsWith('card 11')).open = true`)
	ada.Do(inPanel("section") + `[0].scrollTo(0, 9999)`)
	shot(ada, "stale")

	dark := boardTab{adas.Tab()}
	dark.Dark()
	dark.Size(1240, 930)
	dark.Go(address)
	dark.press("do", "plan")
	dark.Type("#wizard-text", "Thank everybody")
	dark.press("do", "next", "#wizard")
	dark.says("#wizard .step", "2 of 3")
	shot(dark, "dark")

	phone := boardTab{adas.Tab()}
	phone.Size(390, 844, chromedp.EmulateMobile)
	phone.Go(address)
	phone.press("do", "edit", card("Draw the poster"))
	phone.Want(`[...document.querySelectorAll('a:not(.skip), button, input, select')].filter(e => {
		const { width, height } = e.getBoundingClientRect();
		return e.checkVisibility() && (width < 44 || height < 44);
	}).map(e => e.outerHTML).join()`, "") // a finger hits everything
	shot(phone, "phone")
	phone.Size(390, 1500, chromedp.EmulateMobile)
	phone.Dark()
	shot(phone, "phone-dark")
	phone.Want(`document.documentElement.scrollWidth`, "390") // nothing sticks out
}
