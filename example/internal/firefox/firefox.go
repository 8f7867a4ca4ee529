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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pagestate/pagestate/example/internal/browser"
	"golang.org/x/net/websocket"
)

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

	mu     sync.Mutex // held while a command runs
	conn   *websocket.Conn
	lastID int
	tabs   map[string]*Tab
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

// preferences keep Firefox from asking other hosts for anything, from asking for icons,
// which a policy may forbid, and from what it does when somebody starts it for the first
// time.
const preferences = `
user_pref("app.normandy.enabled", false);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("browser.chrome.site_icons", false);
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
	b.tabs = make(map[string]*Tab)
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
	case <-time.After(browser.Patience):
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
		defer time.AfterFunc(browser.Patience, b.stop).Stop()
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
	b.conn.SetDeadline(time.Now().Add(browser.Patience))
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
				if tab := b.tabs[m.Params.Source.Context]; tab != nil {
					tab.Note(m.Params.Text)
				}
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
	browser.Page
	b  *Browser
	id string
}

// Open is a new tab that shows an address. At the end of the test its console must
// hold no warning and no error but those that were expected.
func (p *Profile) Open(address string) *Tab {
	p.t.Helper()
	var made struct{ Context string }
	if err := p.b.call("browsingContext.create", object{"type": "tab", "userContext": p.id}, &made); err != nil {
		p.t.Fatal(err)
	}
	t := &Tab{b: p.b, id: made.Context}
	t.T, t.Eval, t.NoPromises = p.t, t.eval, p.b.NoScript
	p.b.keep(t)
	p.t.Cleanup(t.CheckConsole)
	t.must("browsingContext.activate", object{}) // or the first tab gets no keys
	t.Go(address)
	return t
}

// keep lets the tab have what its page writes to the console.
func (b *Browser) keep(t *Tab) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tabs[t.id] = t
}

func (t *Tab) must(method string, params object) {
	t.T.Helper()
	params["context"] = t.id
	if err := t.b.call(method, params, nil); err != nil {
		t.T.Fatalf("%v\n%s", err, t.HTML())
	}
}

// Go shows an address.
func (t *Tab) Go(address string) {
	t.T.Helper()
	t.must("browsingContext.navigate", object{"url": address, "wait": "complete"})
}

// Back shows the page before this one in the tab's history.
func (t *Tab) Back() { t.T.Helper(); t.travel(-1) }

// Forward shows the page after this one.
func (t *Tab) Forward() { t.T.Helper(); t.travel(1) }

func (t *Tab) travel(by int) {
	t.T.Helper()
	t.must("browsingContext.traverseHistory", object{"delta": by})
	t.Wait("document.readyState === 'complete'")
}

// Reload loads the page again.
func (t *Tab) Reload() {
	t.T.Helper()
	t.must("browsingContext.reload", object{"wait": "complete"})
}

// Click presses the mouse in the middle of an element, as a person does.
func (t *Tab) Click(selector string) {
	t.T.Helper()
	x, y := t.Middle(selector)
	t.act(object{"type": "pointer", "id": "mouse", "actions": []object{
		{"type": "pointerMove", "x": x, "y": y},
		{"type": "pointerDown", "button": 0},
		{"type": "pointerUp", "button": 0},
	}})
}

// Type replaces the text of a field, key by key.
func (t *Tab) Type(selector, text string) {
	t.T.Helper()
	t.Select(selector)
	t.Press(text)
}

// Press presses keys where the focus is.
func (t *Tab) Press(keys string) {
	t.T.Helper()
	var actions []object
	for _, key := range keys {
		actions = append(actions, object{"type": "keyDown", "value": string(key)}, object{"type": "keyUp", "value": string(key)})
	}
	t.act(object{"type": "key", "id": "keyboard", "actions": actions})
}

func (t *Tab) act(source object) {
	t.T.Helper()
	t.must("input.performActions", object{"actions": []object{source}})
}

// File chooses a file for a field.
func (t *Tab) File(selector, path string) {
	t.T.Helper()
	var found struct{ Nodes []struct{ SharedID string } }
	locator := object{"type": "css", "value": selector}
	if err := t.b.call("browsingContext.locateNodes", object{"context": t.id, "locator": locator}, &found); err != nil || len(found.Nodes) == 0 {
		t.T.Fatalf("no field %s: %v\n%s", selector, err, t.HTML())
	}
	t.must("input.setFiles", object{"element": object{"sharedId": found.Nodes[0].SharedID}, "files": []string{path}})
}

// Do runs a script and waits for it, if it gives a promise.
func (t *Tab) Do(script string) {
	t.T.Helper()
	if _, err := t.eval(script); err != nil {
		t.T.Fatalf("%s: %v\n%s", script, err, t.HTML())
	}
}

func (t *Tab) eval(script string) (string, error) {
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails struct{ Text string }
	}
	err := t.b.call("script.evaluate", object{"expression": script, "target": object{"context": t.id}, "awaitPromise": !t.b.NoScript}, &answer)
	if err == nil && answer.ExceptionDetails.Text != "" {
		err = errors.New(answer.ExceptionDetails.Text)
	}
	var text string
	json.Unmarshal(answer.Result.Value, &text) // what is no text is not asked for
	return text, err
}
