// Package firefox drives a real Firefox for the tests of this module, as package
// chromium does a Chromium. It speaks WebDriver BiDi, one command at a time.
package firefox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// patience is how long anything may take that a test waits for. It is far more
// than it takes, so that a busy machine fails no test.
const patience = time.Minute

// Browser is the Firefox that all tests of a package share. The first profile
// starts it:
//
//	var fox firefox.Browser
//
//	func TestMain(m *testing.M) {
//		m.Run()
//		fox.Stop()
//	}
type Browser struct {
	// NoScript says that pages run no scripts. The tests still look at them with theirs,
	// which cannot wait for a promise then.
	NoScript bool

	once sync.Once
	home string
	stop context.CancelFunc
	cmd  *exec.Cmd
	err  error

	mu      sync.Mutex // held while a command runs
	conn    *websocket.Conn
	lastID  int
	console map[string][]string // by tab
}

// programs are the browsers to look for: Debian's, and Mozilla's own.
var programs = []string{"firefox-esr", "firefox"}

func find() (path string) {
	for _, program := range programs {
		if path, err := exec.LookPath(program); err == nil {
			return path
		}
	}
	return ""
}

// preferences keep Firefox from asking other hosts for anything, and from what it
// does when somebody starts it for the first time.
const preferences = `
user_pref("app.normandy.enabled", false);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("browser.newtabpage.enabled", false);
user_pref("browser.startup.page", 0);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("extensions.update.enabled", false);
user_pref("media.gmp-manager.updateEnabled", false);
user_pref("network.dns.disabled", true);
user_pref("services.settings.server", "data:,");
user_pref("toolkit.telemetry.enabled", false);
`

func (b *Browser) start(path string) error {
	home, err := os.MkdirTemp("", "firefox")
	if err != nil {
		return err
	}
	b.home = home
	wanted := preferences + fmt.Sprintf("user_pref(\"javascript.enabled\", %t);\n", !b.NoScript)
	if err := os.WriteFile(filepath.Join(home, "user.js"), []byte(wanted), 0o600); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.cmd = exec.CommandContext(ctx, path, "--headless", "--no-remote", "--profile", home,
		"--remote-debugging-port", "0", "--remote-allow-origins", origin)
	b.cmd.Env = append(os.Environ(), "HOME="+home)
	stderr, err := b.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := b.cmd.Start(); err != nil {
		b.cmd = nil
		return err
	}
	address, err := listening(stderr)
	if err != nil {
		return err
	}
	if b.conn, err = websocket.Dial(address+"/session", "", origin); err != nil {
		return err
	}
	if err := b.call("session.new", object{"capabilities": object{}}, nil); err != nil {
		return err
	}
	b.console = make(map[string][]string)
	return b.call("session.subscribe", object{"events": []string{logEntry}}, nil)
}

// origin is what the connection says it comes from; Firefox refuses any other.
const origin = "http://localhost"

// listening waits until Firefox says where it listens, and reads on behind that, so
// that Firefox can go on writing.
func listening(stderr io.Reader) (address string, err error) {
	found := make(chan string, 1)
	go func() {
		defer close(found)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			if _, address, ok := strings.Cut(lines.Text(), "BiDi listening on "); ok {
				found <- strings.TrimSpace(address)
				break
			}
		}
		io.Copy(io.Discard, stderr)
	}()
	select {
	case address := <-found:
		if address == "" {
			return "", errors.New("the browser ended before it listened")
		}
		return address, nil
	case <-time.After(patience):
		return "", errors.New("the browser does not listen")
	}
}

// Stop ends the browser, if it was started, when all tests are over.
func (b *Browser) Stop() {
	if b.stop == nil {
		return
	}
	if b.conn == nil || b.call("browser.close", object{}, nil) != nil {
		b.stop()
	}
	if b.cmd != nil {
		defer time.AfterFunc(patience, b.stop).Stop()
		b.cmd.Wait()
	}
	b.stop()
	os.RemoveAll(b.home)
}

type object = map[string]any

const logEntry = "log.entryAdded"

// message is what Firefox sends: the answer to a command, or an event.
type message struct {
	ID     int
	Result json.RawMessage
	Error  string
	Text   string `json:"message"`

	Method string
	Params struct {
		Level, Text string
		Source      struct{ Context string }
	}
}

// call sends a command and waits for its answer.
func (b *Browser) call(method string, params, result any) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lastID++
	b.conn.SetDeadline(time.Now().Add(patience))
	if err := websocket.JSON.Send(b.conn, object{"id": b.lastID, "method": method, "params": params}); err != nil {
		return err
	}
	for {
		var m message
		switch err := websocket.JSON.Receive(b.conn, &m); {
		case err != nil:
			return fmt.Errorf("%s: %w", method, err)
		case m.Method == logEntry:
			if level := m.Params.Level; level == "warn" || level == "error" {
				tab := m.Params.Source.Context
				b.console[tab] = append(b.console[tab], m.Params.Text)
			}
		case m.ID != b.lastID:
		case m.Error != "":
			return fmt.Errorf("%s: %s: %s", method, m.Error, m.Text)
		case result != nil:
			return json.Unmarshal(m.Result, result)
		default:
			return nil
		}
	}
}

// Profile is what one person's browser is: cookies and storage of its own.
type Profile struct {
	b  *Browser
	id string
	t  testing.TB
}

// Profile makes a profile that lives as long as the test. Where there is no
// Firefox, the test is skipped, or fails if the variable CI is set.
func (b *Browser) Profile(t testing.TB) *Profile {
	t.Helper()
	path := find()
	switch {
	case path == "" && os.Getenv("CI") != "":
		t.Fatal("there is no Firefox; install Debian's package firefox-esr")
	case path == "":
		t.Skip("there is no Firefox to test with; install Debian's package firefox-esr")
	}
	b.once.Do(func() { b.err = b.start(path) })
	if b.err != nil {
		t.Fatal(b.err)
	}
	var made struct{ UserContext string }
	if err := b.call("browser.createUserContext", object{}, &made); err != nil {
		t.Fatal(err)
	}
	p := &Profile{b, made.UserContext, t}
	t.Cleanup(func() { b.call("browser.removeUserContext", object{"userContext": p.id}, nil) })
	return p
}

// Tab is one page of a profile.
type Tab struct {
	b        *Browser
	id       string
	t        testing.TB
	expected []string
}

// Open is a new tab that shows an address. At the end of the test its console must
// hold no warning and no error but those that were expected.
func (p *Profile) Open(address string) *Tab {
	p.t.Helper()
	var made struct{ Context string }
	if err := p.b.call("browsingContext.create", object{"type": "tab", "userContext": p.id}, &made); err != nil {
		p.t.Fatal(err)
	}
	t := &Tab{b: p.b, id: made.Context, t: p.t}
	p.t.Cleanup(t.checkConsole)
	t.Go(address)
	return t
}

// Expect names a part of the messages that the console may hold.
func (t *Tab) Expect(parts ...string) { t.expected = append(t.expected, parts...) }

func (t *Tab) checkConsole() {
	t.Text("0") // its answer comes after what the page wrote last
	for _, line := range t.b.console[t.id] {
		if !slices.ContainsFunc(t.expected, func(part string) bool { return strings.Contains(line, part) }) {
			t.t.Errorf("on the console: %s", line)
		}
	}
}

func (t *Tab) must(method string, params object) {
	t.t.Helper()
	params["context"] = t.id
	if err := t.b.call(method, params, nil); err != nil {
		t.t.Fatalf("%v\n%s", err, t.HTML())
	}
}

// Go shows an address.
func (t *Tab) Go(address string) {
	t.t.Helper()
	t.must("browsingContext.navigate", object{"url": address, "wait": "complete"})
}

// Back shows the page before this one in the tab's history.
func (t *Tab) Back() {
	t.t.Helper()
	t.must("browsingContext.traverseHistory", object{"delta": -1})
	t.Wait("document.readyState === 'complete'")
}

// Reload loads the page again.
func (t *Tab) Reload() {
	t.t.Helper()
	t.must("browsingContext.reload", object{"wait": "complete"})
}

// Click presses the mouse in the middle of an element, as a person does.
func (t *Tab) Click(selector string) {
	t.t.Helper()
	var x, y int
	place := t.await(fmt.Sprintf(`(element => {
		if (!element?.checkVisibility({ visibilityProperty: true })) return '';
		element.scrollIntoView({ block: 'nearest' });
		const { left, right, top, bottom } = element.getClientRects()[0];
		return Math.round((left + right) / 2) + ' ' + Math.round((top + bottom) / 2);
	})(document.querySelector(%q))`, selector))
	if _, err := fmt.Sscan(place, &x, &y); err != nil {
		t.t.Fatalf("clicking %s at %q: %v", selector, place, err)
	}
	t.must("input.performActions", object{"actions": []object{{"type": "pointer", "id": "mouse", "actions": []object{
		{"type": "pointerMove", "x": x, "y": y},
		{"type": "pointerDown", "button": 0},
		{"type": "pointerUp", "button": 0},
	}}}})
}

// Type replaces the text of a field, key by key.
func (t *Tab) Type(selector, text string) {
	t.t.Helper()
	t.await(fmt.Sprintf(`(field => field ? (field.focus(), field.select(), 'focused') : '')(document.querySelector(%q))`, selector))
	var keys []object
	for _, key := range text {
		keys = append(keys, object{"type": "keyDown", "value": string(key)}, object{"type": "keyUp", "value": string(key)})
	}
	t.must("input.performActions", object{"actions": []object{{"type": "key", "id": "keyboard", "actions": keys}}})
}

// File chooses a file for a field.
func (t *Tab) File(selector, path string) {
	t.t.Helper()
	var found struct{ Nodes []struct{ SharedID string } }
	locator := object{"type": "css", "value": selector}
	if err := t.b.call("browsingContext.locateNodes", object{"context": t.id, "locator": locator}, &found); err != nil || len(found.Nodes) == 0 {
		t.t.Fatalf("no field %s: %v\n%s", selector, err, t.HTML())
	}
	t.must("input.setFiles", object{"element": object{"sharedId": found.Nodes[0].SharedID}, "files": []string{path}})
}

// Do runs a script and waits for it, if it gives a promise.
func (t *Tab) Do(script string) {
	t.t.Helper()
	t.Text("(" + script + ", '')")
}

// Text is what an expression of JavaScript gives, as text; null gives "".
func (t *Tab) Text(script string) string {
	t.t.Helper()
	text, err := t.text(script)
	if err != nil {
		t.t.Fatalf("%s: %v\n%s", script, err, t.HTML())
	}
	return text
}

func (t *Tab) text(script string) (string, error) {
	var answer struct {
		Result           struct{ Value string }
		ExceptionDetails struct{ Text string }
	}
	expression := "(async () => String(await (" + script + ") ?? ''))()"
	if t.b.NoScript {
		expression = "String((" + script + ") ?? '')"
	}
	err := t.b.call("script.evaluate", object{
		"expression":   expression,
		"target":       object{"context": t.id},
		"awaitPromise": !t.b.NoScript,
	}, &answer)
	if err == nil && answer.ExceptionDetails.Text != "" {
		err = errors.New(answer.ExceptionDetails.Text)
	}
	return answer.Result.Value, err
}

// Want fails the test unless the expression gives that text, now.
func (t *Tab) Want(script, want string) {
	t.t.Helper()
	if got := t.Text(script); got != want {
		t.t.Errorf("%s is %q, not %q", script, got, want)
	}
}

// Wait waits until an expression is true, also past the loading of a new page.
func (t *Tab) Wait(script string) {
	t.t.Helper()
	t.await("(" + script + ") ? 'true' : ''")
}

// await waits until an expression gives a text.
func (t *Tab) await(script string) string {
	t.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		text, err := t.text(script)
		if err == nil && text != "" {
			return text
		}
		if time.Now().After(deadline) {
			t.t.Fatalf("in vain waited for: %s (%v)\n%s", script, err, t.HTML())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// HTML is the page as it stands, for messages.
func (t *Tab) HTML() string {
	html, err := t.text("document.documentElement.outerHTML")
	if err != nil {
		return err.Error()
	}
	return html
}
