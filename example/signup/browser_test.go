package main

// This file holds what real browsers make of the sign-up, with scripts and without.

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/pagestate/pagestate/example/internal/axe"
	"github.com/pagestate/pagestate/internal/testkit"
)

// driver is what the tests do with a tab of either browser.
type driver interface {
	Back()
	Click(selector string)
	Do(script string)
	Expect(parts ...string)
	File(selector, path string)
	Reload()
	Text(script string) string
	Type(selector, text string)
	Wait(script string)
	Want(script, want string)
}

// tab shows a page of the sign-up.
type tab struct {
	driver
	t *testing.T
}

// each runs a test in each browser, with scripts and without.
func each(t *testing.T, test func(t *testing.T, s *site, p tab)) {
	opens := map[string]func(t *testing.T, address string) driver{
		"Chromium": func(t *testing.T, address string) driver { return chrome.Profile(t).Open(address) },
		"Chromium without scripts": func(t *testing.T, address string) driver {
			p := chrome.Profile(t).Tab()
			p.NoScript()
			p.Go(address)
			return p
		},
		"Firefox":                 func(t *testing.T, address string) driver { return fox.Profile(t).Open(address) },
		"Firefox without scripts": func(t *testing.T, address string) driver { return plainFox.Profile(t).Open(address) },
	}
	for name, open := range opens {
		t.Run(name, func(t *testing.T) {
			s := startSite(t)
			p := tab{open(t, s.URL), t}
			p.Expect("status of 422")
			test(t, s, p)
		})
	}
}

func field(name string) string { return fmt.Sprintf(`document.querySelector('[name="%s"]')`, name) }

// fill types into a field, and puts a date into one.
func (p tab) fill(name, value string) {
	p.t.Helper()
	if p.Text(field(name)+".type") == "date" || p.Text(field(name)+".tagName") == "SELECT" {
		p.Do(field(name) + ".value = '" + value + "'") // browsers type them in their own ways
		return
	}
	p.Type(fmt.Sprintf(`[name="%s"]`, name), value)
}

func (p tab) wantField(name, value string) {
	p.t.Helper()
	p.Want(field(name)+".value", value)
}

// press clicks a button and waits for the answer, which is the step with that title.
func (p tab) press(button, title string) {
	p.t.Helper()
	p.Do("document.querySelector('main').setAttribute('data-old', '')")
	p.Click(button)
	p.Wait("document.readyState === 'complete' && !document.querySelector('[data-old]')")
	p.wantStep(title)
}

func (p tab) wantStep(title string) {
	p.t.Helper()
	p.Wait("document.readyState === 'complete' && document.querySelector('h1')?.textContent === '" + title + "'")
}

func (p tab) next(title string) { p.t.Helper(); p.press(".primary", title) }

// wantProblems wants these fields to be marked, each with a message.
func (p tab) wantProblems(names string) {
	p.t.Helper()
	p.Want("[...document.querySelectorAll('[aria-invalid]')].map(field => field.name).join(' ')", names)
	p.Want("[...document.querySelectorAll('[aria-invalid]')].every(field => document.getElementById(field.getAttribute('aria-describedby')).textContent)", "true")
}

// wantPicture wants the page to show the picture.
func (p tab) wantPicture() {
	p.t.Helper()
	p.Wait("document.querySelector('.card img')?.complete")
	p.Want("document.querySelector('.card img').naturalWidth", "240")
}

const (
	youStep        = "Who are you?"
	membershipStep = "Your membership"
	phonesStep     = "Whom do we call?"
	rulesStep      = "Is this right?"
)

func welcome(name string) string { return "Welcome aboard, " + name }

func TestInBrowser(t *testing.T) {
	file := pictureFile(t)
	each(t, func(t *testing.T, s *site, p tab) {
		p.wantStep(youStep)
		p.fill("name", "Ada Byron")
		p.fill("email", "ada")
		p.File("#picture", file)
		p.next(youStep)
		t.Log("the picture is there after an error beside it")
		p.wantProblems("email")
		p.wantField("name", "Ada Byron")
		p.wantField("email", "ada")
		p.wantPicture()
		p.fill("email", "ada@example.com")
		s.restart()
		p.next(membershipStep)
		p.wantPicture()

		p.fill("born", "1990-12-10")
		p.fill("start", day(0, 30))
		p.fill("amount", "12,50")
		p.next(membershipStep)
		t.Log("dates and what was typed are there after an error, and a restart")
		p.wantProblems("amount")
		p.wantField("born", "1990-12-10")
		p.wantField("start", day(0, 30))
		p.wantField("amount", "12,50")
		s.restart()
		p.fill("amount", "12.50")
		p.next(phonesStep)

		p.fill("phones.0.number", "020 7946 0001")
		p.press("[name=add]", phonesStep)
		p.Want("document.activeElement.name", "phones.1.number")
		p.fill("phones.1.kind", "Family")
		p.fill("phones.1.number", "020 7946 0002")
		p.press("[name=add]", phonesStep)
		p.fill("phones.2.number", "020 7946 0003")
		p.press(`[name=remove][value="0"]`, phonesStep)
		p.fill("phones.1.number", "none")
		p.next(phonesStep)
		t.Log("the list is there after an error in it")
		p.wantProblems("phones.1.number")
		p.wantField("phones.0.kind", "Family")
		p.wantField("phones.0.number", "020 7946 0002")
		p.wantField("phones.1.number", "none")
		p.fill("phones.1.number", "020 7946 0003")
		p.next(rulesStep)

		t.Log("all of it is there after a restart and a reload")
		p.wantAll()
		s.restart()
		p.Reload()
		p.wantStep(rulesStep)
		p.wantAll()
		p.next(rulesStep)
		p.wantProblems("rules")
		p.Click(".tick")

		t.Log("the button Back")
		p.press("[name=back]", phonesStep)
		p.wantField("phones.1.number", "020 7946 0003")
		p.press("[name=back]", membershipStep)
		p.wantField("born", "1990-12-10")
		p.wantField("start", day(0, 30))
		p.wantField("amount", "12.50")
		p.press("[name=back]", youStep)
		p.wantField("name", "Ada Byron")
		p.wantField("email", "ada@example.com")
		p.wantPicture()
		for _, step := range []string{membershipStep, phonesStep, rulesStep} {
			p.next(step)
		}
		p.wantAll()
		p.Want(field("rules")+".checked", "true")
		p.next(welcome("Ada Byron"))
		p.wantPicture()
		s.wantKept()
	})
}

// wantAll wants the last step to show everything.
func (p tab) wantAll() {
	p.t.Helper()
	p.Want("[...document.querySelectorAll('dd')].map(dd => dd.textContent).join('|')",
		"Ada Byron|ada@example.com|10 December 1990|"+longDay(0, 30)+"|€12.50|020 7946 0002|020 7946 0003")
	p.wantPicture()
}

// wantKept wants the one picture that was kept.
func (s *site) wantKept() {
	s.t.Helper()
	kept, err := filepath.Glob(filepath.Join(s.dir, "files", "kept", "members", "*"))
	if err != nil || len(kept) != 1 {
		s.t.Fatalf("kept were %q, %v", kept, err)
	}
	content, err := os.ReadFile(kept[0])
	testkit.Want(s.t, "error", err, nil)
	testkit.Want(s.t, "the picture is what was sent", string(content) == string(picture()), true)
}

// The browser's own Back leads to the pages that were left, as they were. Firefox keeps
// three of them.
func TestBackInBrowser(t *testing.T) {
	file := pictureFile(t)
	each(t, func(t *testing.T, s *site, p tab) {
		p.fill("name", "Ada Byron")
		p.fill("email", "ada@example.com")
		p.File("#picture", file)
		p.next(membershipStep)
		p.fill("born", "1990-12-10")
		p.fill("start", day(0, 30))
		p.fill("amount", "12.50")
		p.next(phonesStep)
		s.restart()

		p.Back()
		p.wantStep(membershipStep)
		p.wantField("born", "1990-12-10")
		p.wantField("start", day(0, 30))
		p.wantField("amount", "12.50")
		p.wantPicture()
		p.Back()
		p.wantStep(youStep)
		p.wantField("name", "Ada Byron")
		p.wantField("email", "ada@example.com")
		p.Want("document.querySelector('#picture').files[0].name", "morning.png")

		t.Log("and the way goes on from there")
		p.fill("name", "Ada King")
		p.next(membershipStep)
		p.wantPicture()
		p.Want("document.querySelector('.who').textContent", "Ada King")
		p.fill("born", "1990-12-10")
		p.fill("start", day(0, 30))
		p.fill("amount", "12.50")
		p.next(phonesStep)
		p.fill("phones.0.kind", "Family")
		p.fill("phones.0.number", "020 7946 0002")
		p.press("[name=add]", phonesStep)
		p.fill("phones.1.number", "020 7946 0003")
		p.next(rulesStep)
		p.Click(".tick")
		p.next(welcome("Ada King"))

		p.Back()
		p.wantStep(rulesStep)
		p.Want(field("rules")+".checked", "true")
		p.Back()
		p.wantStep(phonesStep)
		p.wantField("phones.0.kind", "Family")
		p.wantField("phones.0.number", "020 7946 0002")
		p.wantField("phones.1.number", "020 7946 0003")
		p.Back()
		p.wantStep(phonesStep)
		p.wantField("phones.0.number", "020 7946 0002")
		p.Want("document.querySelectorAll('fieldset').length", "1")
	})
}

// TestScreenshots takes pictures of the sign-up, into the folder that the variable
// SCREENSHOTS names, and has axe look at each page.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	file := pictureFile(t)
	for _, look := range []struct {
		name          string
		dark          bool
		width, height int64
		options       []chromedp.EmulateViewportOption
	}{
		{"light", false, 1080, 860, nil},
		{"dark", true, 1080, 860, nil},
		{"phone", false, 390, 1200, []chromedp.EmulateViewportOption{chromedp.EmulateMobile}},
		{"phone-dark", true, 390, 1200, []chromedp.EmulateViewportOption{chromedp.EmulateMobile}},
	} {
		t.Run(look.name, func(t *testing.T) {
			s, page := startSite(t), chrome.Profile(t).Tab()
			page.Expect("status of 422")
			page.Size(look.width, look.height, look.options...)
			if look.dark {
				page.Dark()
			}
			page.Go(s.URL)
			p := tab{page, t}
			shot := func(name string) {
				page.Wait("[...document.images].every(img => img.complete)")
				page.Screenshot(filepath.Join(dir, look.name+"-"+name+".png"))
				page.Want("document.documentElement.scrollWidth", fmt.Sprint(look.width)) // nothing sticks out
				axe.Check(t, name, page)
			}
			shot("you")
			p.fill("name", "Ada Byron")
			p.fill("email", "ada")
			p.File("#picture", file)
			p.next(youStep)
			shot("you-wrong")
			p.fill("email", "ada@example.com")
			p.next(membershipStep)
			shot("membership")
			p.fill("amount", "12,50")
			p.next(membershipStep)
			shot("membership-wrong")
			p.fill("born", "1990-12-10")
			p.fill("start", day(0, 30))
			p.fill("amount", "12.50")
			p.next(phonesStep)
			p.fill("phones.0.number", "020 7946 0001")
			p.press("[name=add]", phonesStep)
			p.fill("phones.1.number", "none")
			p.next(phonesStep)
			shot("phones-wrong")
			p.fill("phones.1.number", "020 7946 0002")
			p.next(rulesStep)
			shot("rules")
			p.next(rulesStep)
			shot("rules-wrong")
			p.Click(".tick")
			p.next(welcome("Ada Byron"))
			shot("welcome")

			page.Expect("status of 400")
			page.NoScript()
			page.Go(s.URL)
			page.Do("document.querySelector('[name=page_state]').value = 'forged'")
			page.Click(".primary")
			p.wantStep("This did not work")
			page.Screenshot(filepath.Join(dir, look.name+"-refused.png"))
		})
	}
}

// TestKeyboard signs up without a mouse.
func TestKeyboard(t *testing.T) {
	s := startSite(t)
	page := chrome.Profile(t).Open(s.URL)
	page.Expect("status of 422")
	p := tab{page, t}
	const tabKey, enter, space = "\t", "\r", " "
	p.wantStep(youStep)
	page.Press(tabKey + tabKey + "Ada Byron" + enter)
	p.wantFocus("role", "alert")
	p.wantProblems("email")
	p.wantField("name", "Ada Byron")
	page.Press(tabKey + tabKey + "ada@example.com" + enter)
	p.wantStep(membershipStep)
	p.wantFocus("id", "step")
	page.Press(tabKey + "12101990" + tabKey)
	p.wantField("born", "1990-12-10")
	p.fill("start", day(0, 30))
	p.Do("document.getElementById('amount').focus()")
	page.Press("12.50" + enter)
	p.wantStep(phonesStep)
	page.Press(tabKey + "M" + tabKey + "020 7946 0001" + tabKey)
	p.wantFocus("name", "remove")
	page.Press(tabKey)
	p.wantFocus("name", "add")
	page.Press(enter)
	p.Wait("document.activeElement?.name === 'phones.1.number'")
	page.Press("020 7946 0002" + enter)
	p.wantStep(rulesStep)
	page.Press(tabKey + space + tabKey)
	p.wantFocus("class", "primary")
	page.Press(enter)
	p.wantStep(welcome("Ada Byron"))
}

func (p tab) wantFocus(attribute, value string) {
	p.t.Helper()
	p.Wait(fmt.Sprintf("document.readyState === 'complete' && document.activeElement?.getAttribute('%s') === '%s'", attribute, value))
}
