// Package browser holds what tests do with a page in whichever browser shows it:
// wait for it, read it, and see that it has nothing to complain of. Packages
// chromium and firefox drive the browsers.
package browser

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is how long anything may take that a test waits for. It is far more
// than it takes, so that a busy machine fails no test.
const Patience = 30 * time.Second

// Page is what a tab shows.
type Page struct {
	T testing.TB
	// Eval runs a script and waits for it, if it gives a promise. It returns a text.
	Eval func(script string) (string, error)
	// NoPromises says that Eval waits for none.
	NoPromises bool

	mu       sync.Mutex
	console  []string
	expected []string
}

// Note adds a message to the console.
func (p *Page) Note(message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.console = append(p.console, message)
}

// Expect names a part of the messages that the console may hold, such as
// "status of 410".
func (p *Page) Expect(parts ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, parts...)
}

// CheckConsole fails the test if the console holds what was not expected.
func (p *Page) CheckConsole() {
	p.Eval("''") // its answer comes after what the page wrote last
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.console {
		if !slices.ContainsFunc(p.expected, func(part string) bool { return strings.Contains(line, part) }) {
			p.T.Errorf("on the console: %s", line)
		}
	}
}

// Text is what an expression of JavaScript gives, as text; null gives "".
func (p *Page) Text(script string) string {
	p.T.Helper()
	text, err := p.text(script)
	if err != nil {
		p.T.Fatalf("%s: %v\n%s", script, err, p.HTML())
	}
	return text
}

func (p *Page) text(script string) (string, error) {
	if p.NoPromises {
		return p.Eval("String((" + script + ") ?? '')")
	}
	return p.Eval("(async () => String(await (" + script + ") ?? ''))()")
}

// Want fails the test unless the expression gives that text, now.
func (p *Page) Want(script, want string) {
	p.T.Helper()
	if got := p.Text(script); got != want {
		p.T.Errorf("%s is %q, not %q", script, got, want)
	}
}

// Wait waits until an expression is true, also past the loading of a new page.
func (p *Page) Wait(script string) {
	p.T.Helper()
	p.await("(" + script + ") ? 'true' : ''")
}

// await waits until an expression gives a text.
func (p *Page) await(script string) string {
	p.T.Helper()
	deadline := time.Now().Add(Patience)
	for {
		text, err := p.text(script)
		if err == nil && text != "" {
			return text
		}
		if time.Now().After(deadline) {
			p.T.Fatalf("in vain waited for: %s (%v)\n%s", script, err, p.HTML())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Middle scrolls to an element once it is visible, and returns where its middle is.
func (p *Page) Middle(selector string) (x, y int) {
	p.T.Helper()
	place := p.await(fmt.Sprintf(`(element => {
		if (!element?.checkVisibility({ visibilityProperty: true })) return '';
		element.scrollIntoView({ block: 'nearest' });
		const { left, right, top, bottom } = element.getClientRects()[0];
		return Math.round((left + right) / 2) + ' ' + Math.round((top + bottom) / 2);
	})(document.querySelector(%q))`, selector))
	if _, err := fmt.Sscan(place, &x, &y); err != nil {
		p.T.Fatalf("%s is at %q: %v", selector, place, err)
	}
	return x, y
}

// Select puts the focus on a field, and selects its text.
func (p *Page) Select(selector string) {
	p.T.Helper()
	p.await(fmt.Sprintf(`(field => field ? (field.focus(), field.select(), 'focused') : '')(document.querySelector(%q))`, selector))
}

// HTML is the page as it stands, for messages.
func (p *Page) HTML() string {
	html, err := p.text("document.documentElement.outerHTML")
	if err != nil {
		return err.Error()
	}
	return html
}
