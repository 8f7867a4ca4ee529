package main

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// A browser is what a cookie jar and the reading of HTML amount to.
type browser struct {
	t      *testing.T
	client *http.Client
}

func newBrowser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, &http.Client{Jar: jar, Timeout: 10 * time.Second}}
}

// A tab is one page of a browser.
type tab struct {
	browser *browser
	url     *url.URL
	status  int
	header  http.Header
	body    string
}

func (b *browser) open(address string) *tab {
	b.t.Helper()
	p := &tab{browser: b}
	p.load(http.MethodGet, address, nil)
	return p
}

// press submits the form of the page with the button do, to action.
func (p *tab) press(action, do string, fields ...string) {
	p.browser.t.Helper()
	form := url.Values{"page_state": {p.token()}, "do": {do}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	p.load(http.MethodPost, action, form)
}

func (p *tab) load(method, address string, form url.Values) {
	t := p.browser.t
	t.Helper()
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if p.url != nil {
		target = p.url.ResolveReference(target)
	}
	req, err := http.NewRequest(method, target.String(), strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := p.browser.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	p.url, p.status, p.header, p.body = res.Request.URL, res.StatusCode, res.Header, string(body)
}

func (p *tab) find(pattern string) string {
	p.browser.t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(p.body)
	if found == nil {
		p.browser.t.Fatalf("%s %d: nothing matches %s in\n%s", p.url, p.status, pattern, p.body)
	}
	return html.UnescapeString(found[1])
}

func (p *tab) token() string {
	p.browser.t.Helper()
	return p.find(`<input type="hidden" name="page_state" value="([^"]+)">`)
}

func (p *tab) wantCount(want string) {
	p.browser.t.Helper()
	if got := p.find(`id="count">(-?\d+)<`); got != want {
		p.browser.t.Errorf("the page counts %s, not %s", got, want)
	}
}

// wantRefused wants the page of this site for that error.
func (p *tab) wantRefused(status int, code string) {
	p.browser.t.Helper()
	if p.status != status || !strings.Contains(p.body, code) || !strings.Contains(p.body, "/static/style.css") {
		p.browser.t.Errorf("got %d, not %d %s:\n%s", p.status, status, code, p.body)
	}
	if strings.Contains(p.body, "page_state") {
		p.browser.t.Error("there is a token in a page that refuses one")
	}
}

func startSite(t *testing.T) string {
	t.Helper()
	secret, err := loadSecret(filepath.Join(t.TempDir(), "test.key"))
	if err != nil {
		t.Fatal(err)
	}
	site, err := newSite(secret)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(site)
	t.Cleanup(server.Close)
	return server.URL
}

func TestCount(t *testing.T) {
	page := newBrowser(t).open(startSite(t))
	page.wantCount("0")
	page.press("/", "up")
	page.press("/", "up", "step", "5", "name", "Birds & <bees>")
	page.wantCount("6")
	page.press("/", "down", "step", "5000", "name", strings.Repeat("x", 31))
	page.wantCount("1")
	if got := page.find(`<h2 id="name-shown">([^<]*)</h2>`); got != "Birds & <bees>" {
		t.Errorf("the name is %q", got)
	}
	if got, want := page.find(`(\d+) bytes`), fmt.Sprint(len(page.token())); got != want {
		t.Errorf("the page says that its token has %s bytes, not %s", got, want)
	}
}

func TestTabsDoNotCollide(t *testing.T) {
	address := startSite(t)
	visitor := newBrowser(t)
	one, two := visitor.open(address), visitor.open(address)
	one.press("/", "up")
	two.press("/", "down", "step", "10")
	one.press("/", "up")
	one.wantCount("2")
	two.wantCount("-10")
}

func TestRefused(t *testing.T) {
	address := startSite(t)
	mine := newBrowser(t).open(address)
	theirs := newBrowser(t).open(address)
	theirs.press("/", "up", "page_state", mine.token())
	theirs.wantRefused(http.StatusBadRequest, "InvalidState")

	token := mine.token()
	mine.press("/", "send", "page_state", token+"x")
	mine.wantRefused(http.StatusBadRequest, "InvalidState")
	mine.load(http.MethodPost, "/", url.Values{"page_state": {token}, "do": {"send"}})
	mine.wantCount("0")
}

func TestScriptsGetJSON(t *testing.T) {
	res, err := http.PostForm(startSite(t), url.Values{"page_state": {"made up"}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusBadRequest || got != "application/json" {
		t.Errorf("got %s, %s", res.Status, got)
	}
}

func TestOtherSites(t *testing.T) {
	address := startSite(t)
	req, err := http.NewRequest(http.MethodPost, address+"/note/new", strings.NewReader("text=spam"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("got %s", res.Status)
	}
}

func TestDeletedNote(t *testing.T) {
	address := startSite(t)
	visitor := newBrowser(t)
	one, two := visitor.open(address+"/note"), visitor.open(address+"/note")
	one.press("/note", "larger")
	one.find(`(size-3)">Water the plants`)
	two.press("/note", "delete")
	one.press("/note", "larger")
	one.wantRefused(http.StatusGone, "StaleComponentState")

	two.load(http.MethodPost, "/note/new", url.Values{"text": {"<i>Hello</i>"}})
	if got := two.find(`size-2">([^<]*)</blockquote>`); got != "<i>Hello</i>" {
		t.Errorf("the note says %q", got)
	}
}

func TestHeaders(t *testing.T) {
	visitor, address := newBrowser(t), startSite(t)
	refused := visitor.open(address)
	refused.press("/", "up", "page_state", "made up")
	for _, page := range []*tab{visitor.open(address), visitor.open(address + "/note"), refused} {
		if policy := page.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'self'; ") {
			t.Errorf("%s: Content-Security-Policy: %s", page.url, policy)
		}
		if got := page.header.Get("Cache-Control"); got != "private, no-cache" {
			t.Errorf("%s: Cache-Control: %s", page.url, got)
		}
		if strings.Contains(page.body, "<script") || strings.Contains(page.body, "style=") {
			t.Errorf("%s: holds what the policy forbids", page.url)
		}
	}
	style := visitor.open(address + "/static/style.css")
	if got := style.header.Get("Content-Type"); style.status != http.StatusOK || !strings.HasPrefix(got, "text/css") {
		t.Errorf("the style is %d, %s", style.status, got)
	}
}

func TestSecretIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.key")
	secrets := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range secrets {
		wg.Go(func() { secrets[i], _ = loadSecret(path) })
	}
	wg.Wait()
	for _, secret := range secrets {
		if len(secret) != 32 || !bytes.Equal(secret, secrets[0]) {
			t.Errorf("%x is not %x", secret, secrets[0])
		}
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	if err := createSecret(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("making it again: %v", err)
	}
}

func TestSecretOfOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such modes")
	}
	path := filepath.Join(t.TempDir(), "test.key")
	if _, err := loadSecret(path); err != nil {
		t.Fatal(err)
	}
	for mode, ok := range map[fs.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o644: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := loadSecret(path); (err == nil) != ok {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

// TestProgram runs the program that people run: it counts, stops at Ctrl-C, and
// goes on counting when it is started again.
func TestProgram(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signal stands for Ctrl-C")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "example")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	key := filepath.Join(dir, "test.key")

	first := startProgram(t, program, key)
	page := newBrowser(t).open(first.address)
	page.press("/", "up")
	first.stop()

	second := startProgram(t, program, key)
	page.load(http.MethodPost, second.address, url.Values{"page_state": {page.token()}, "do": {"up"}})
	page.wantCount("2")
	second.stop()

	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-addr", "localhost:0", "-key", key)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Run()
	if cmd.ProcessState.ExitCode() != 1 || stdout.Len() > 0 || !strings.Contains(stderr.String(), "chmod 600") {
		t.Errorf("with a key for all to read: %s, %q, %q", cmd.ProcessState, &stdout, &stderr)
	}
}

type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	address string
}

func startProgram(t *testing.T, program, key string) *process {
	t.Helper()
	cmd := exec.Command(program, "-addr", "localhost:0", "-key", key)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	var address string
	if _, err := fmt.Fscanf(stdout, "Open %s", &address); err != nil {
		t.Fatal(err)
	}
	return &process{t, cmd, address}
}

func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("at Ctrl-C: %v", err)
	}
}
