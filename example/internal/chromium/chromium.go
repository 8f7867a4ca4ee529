// Package chromium drives a real Chromium for the tests of this module: a
// browser, the profiles of several people in it, and their tabs. What a page is
// to do stands in the tests; here is only how to click it.
package chromium

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/pagestate/pagestate/example/internal/browser"
)

// Browser is the Chromium that all tests of a package share, since starting it
// takes longer than most of them. The first profile starts it:
//
//	var chrome chromium.Browser
//
//	func TestMain(m *testing.M) {
//		m.Run()
//		chrome.Stop()
//	}
type Browser struct {
	// BackForwardCache says that pages are to come from memory when a tab goes back,
	// as in a browser with windows.
	BackForwardCache bool

	once sync.Once
	ctx  context.Context
	stop context.CancelFunc
	err  error
}

// programs are the browsers to look for. The first is Chromium without windows,
// which costs a third of the CPU time, and has no back/forward cache.
var programs = []string{"chromium-headless-shell", "chromium"}

func (b *Browser) find() (path string) {
	for _, program := range programs {
		if path, err := exec.LookPath(program); err == nil && !(b.BackForwardCache && program == programs[0]) {
			return path
		}
	}
	return ""
}

func (b *Browser) start(path string) {
	ctx, stop := chromedp.NewExecAllocator(context.Background(), append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path),
		chromedp.NoSandbox, // it would not start as root
		chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
	)...)
	b.stop = stop
	b.ctx, _ = chromedp.NewContext(ctx)
	b.err = chromedp.Do(b.ctx)
}

// Stop ends the browser, if it was started, when all tests are over.
func (b *Browser) Stop() {
	if b.stop == nil {
		return
	}
	chromedp.Cancel(b.ctx)
	b.stop()
}

// Profile is what one person's browser is: cookies and storage of its own.
type Profile struct {
	b     *Browser
	first *Tab
	t     testing.TB
}

// Profile makes a profile that lives as long as the test. Where there is no
// Chromium, the test is skipped, or fails if the variable CI is set.
func (b *Browser) Profile(t testing.TB) *Profile {
	t.Helper()
	path := b.find()
	wanted := programs[0]
	if b.BackForwardCache {
		wanted = programs[1]
	}
	switch {
	case path == "" && os.Getenv("CI") != "":
		t.Fatal("there is no Chromium; install Debian's package " + wanted)
	case path == "":
		t.Skip("there is no Chromium to test with; install Debian's package " + wanted)
	}
	b.once.Do(func() { b.start(path) })
	if b.err != nil {
		t.Fatal(b.err)
	}
	return &Profile{b: b, t: t}
}

// Tab is one page of a profile.
type Tab struct {
	browser.Page
	ctx context.Context
}

// Tab opens an empty tab. At the end of the test its console must hold no
// warning and no error but those that were expected.
func (p *Profile) Tab() *Tab {
	p.t.Helper()
	parent, option := p.b.ctx, chromedp.WithNewBrowserContext()
	if p.first != nil {
		id := chromedp.FromContext(p.first.ctx).BrowserContextID
		option = chromedp.WithExistingBrowserContext(id)
	}
	ctx, cancel := chromedp.NewContext(parent, option)
	tab := &Tab{ctx: ctx}
	tab.T, tab.Eval = p.t, tab.eval
	messages := chromedp.Console(ctx)
	if err := chromedp.Do(ctx); err != nil {
		cancel()
		p.t.Fatal(err)
	}
	if p.first == nil {
		p.first = tab
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for m, err := range messages {
			if err != nil {
				return
			}
			tab.note(m)
		}
	}()
	p.t.Cleanup(func() {
		tab.CheckConsole()
		cancel()
		<-read
	})
	return tab
}

// Open is a new tab that shows an address.
func (p *Profile) Open(address string) *Tab {
	p.t.Helper()
	tab := p.Tab()
	tab.Go(address)
	return tab
}

func (t *Tab) note(m chromedp.ConsoleMessage) {
	if kind := string(m.Type); kind != "error" && kind != "warning" && kind != "assert" && !m.IsException() {
		return
	}
	t.Note(fmt.Sprintf("%s %s", m.Text, m.URL))
}

func (t *Tab) run(steps ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(t.ctx, browser.Patience)
	defer cancel()
	return chromedp.Do(ctx, steps...)
}

func (t *Tab) must(what string, steps ...chromedp.Action[chromedp.Void]) {
	t.T.Helper()
	if err := t.run(steps...); err != nil {
		t.T.Fatalf("%s: %v\n%s", what, err, t.HTML())
	}
}

// Go shows an address.
func (t *Tab) Go(address string) {
	t.T.Helper()
	t.must("opening "+address, chromedp.Navigate(address))
}

// Back shows the page before this one in the tab's history.
func (t *Tab) Back() { t.T.Helper(); t.travel("back", -1) }

// Forward shows the page after this one.
func (t *Tab) Forward() { t.T.Helper(); t.travel("forward", 1) }

// Reload loads the page again.
func (t *Tab) Reload() {
	t.T.Helper()
	t.must("reloading", chromedp.Reload())
}

// travel leaves the page for one that may come from a cache or from the server.
func (t *Tab) travel(what string, by int64) {
	t.T.Helper()
	shown := make(chan struct{}, 1)
	ctx, cancel := context.WithTimeout(t.ctx, browser.Patience)
	defer cancel()
	err := chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*page.EventFrameNavigated); ok && e.Frame.ParentID == "" {
			select {
			case shown <- struct{}{}:
			default:
			}
		}
	})
	if err != nil {
		t.T.Fatal(err)
	}
	history, err := chromedp.Run(ctx, chromedp.NavigationEntries())
	if err != nil {
		t.T.Fatal(err)
	}
	entry := history.Entries[history.CurrentIndex+by].ID
	if _, err := chromedp.Call(ctx, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: entry}); err != nil {
		t.T.Fatal(err)
	}
	select {
	case <-shown:
	case <-ctx.Done():
		t.T.Fatalf("going %s led nowhere", what)
	}
	t.Wait("document.readyState === 'complete'")
}

// Click presses the mouse in the middle of an element, as a person does. It asks
// the page where that is: chromedp's numbers of nodes do not outlive a new page.
func (t *Tab) Click(selector string) {
	t.T.Helper()
	x, y := t.Middle(selector)
	t.must("clicking "+selector, chromedp.MouseClickXY(float64(x), float64(y)))
}

// Type replaces the text of a field, key by key.
func (t *Tab) Type(selector, text string) {
	t.T.Helper()
	t.Select(selector)
	t.must("typing into "+selector, chromedp.KeyEvent(text))
}

// File chooses a file for a field.
func (t *Tab) File(selector, path string) {
	t.T.Helper()
	t.must("choosing a file for "+selector, chromedp.SetUploadFiles(chromedp.CSS(selector), []string{path}))
}

// Press presses keys where the focus is.
func (t *Tab) Press(keys string) {
	t.T.Helper()
	t.must("pressing "+keys, chromedp.KeyEvent(keys))
}

// Do runs a script and waits for it, if it gives a promise.
func (t *Tab) Do(script string) {
	t.T.Helper()
	t.must(script, chromedp.Evaluate[chromedp.Void](script, chromedp.EvalAwaitPromise))
}

func (t *Tab) eval(script string) (string, error) {
	ctx, cancel := context.WithTimeout(t.ctx, browser.Patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
}

// NoScript switches the page's scripts off, from the next page on.
func (t *Tab) NoScript() {
	t.T.Helper()
	t.must("switching scripts off", func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return chromedp.Void{}, err
	})
}

// Before runs a script in each page of the tab from the next one on, ahead of the
// page's own.
func (t *Tab) Before(script string) {
	t.T.Helper()
	t.must("preparing "+script, func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return chromedp.Void{}, err
	})
}

// Dark makes the tab prefer dark colours.
func (t *Tab) Dark() {
	t.T.Helper()
	t.must("switching to dark", func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
		})
		return chromedp.Void{}, err
	})
}

// Size makes the tab so large, in pixels of CSS.
func (t *Tab) Size(width, height int64, options ...chromedp.EmulateViewportOption) {
	t.T.Helper()
	t.must("sizing", chromedp.EmulateViewport(width, height, options...))
}

// Screenshot writes what the tab shows to a PNG file.
func (t *Tab) Screenshot(file string) {
	t.T.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, browser.Patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.T.Fatal(err)
	}
	if err := os.WriteFile(file, png, 0o644); err != nil {
		t.T.Fatal(err)
	}
}
