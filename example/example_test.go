package main

// This file holds what a plain HTTP client sees of the board, and the program
// with its secret and its database. What a browser sees is in board_test.go.

import (
	"bytes"
	"errors"
	"html"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
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
	p.load(http.MethodGet, address, nil, nil)
	return p
}

// submit sends the form with that action, with what it hides and these fields.
func (p *tab) submit(action string, fields ...string) {
	p.browser.t.Helper()
	form := url.Values{}
	hidden := regexp.MustCompile(`<input type="hidden" name="page_state" value="([^"]+)"`)
	for _, field := range hidden.FindAllStringSubmatch(p.find(`(?s)action="`+regexp.QuoteMeta(action)+`(?:#[^"]*)?"(.*?)</form>`), -1) {
		form.Add("page_state", field[1])
	}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	p.load(http.MethodPost, action, form, nil)
}

func (p *tab) load(method, address string, form url.Values, header http.Header) {
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
	maps.Copy(req.Header, header)
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

// token is that of the component whose root has that id.
func (p *tab) token(id string) string {
	p.browser.t.Helper()
	return p.find(`id="` + id + `"[^>]* data-page-state="([^"]+)"`)
}

func (p *tab) cookie(name string) string {
	for _, c := range p.browser.client.Jar.Cookies(p.url) {
		if c.Name == name {
			return c.Name + "=" + c.Value
		}
	}
	p.browser.t.Fatalf("there is no cookie %q", name)
	return ""
}

func (p *tab) wantCard(title string, want bool) {
	p.browser.t.Helper()
	if got := strings.Contains(p.body, "<h3>"+html.EscapeString(title)+"</h3>"); got != want {
		p.browser.t.Errorf("%s %d: that a card %q is there is %t", p.url, p.status, title, got)
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

func TestPlainForms(t *testing.T) {
	address := startBoard(t, newTestSite(t, false))
	one, two := newBrowser(t).open(address), newBrowser(t).open(address)
	one.submit("/lists/done", "do", "on", "new-done", "half a thought")
	one.wantCard("Pick a Saturday everybody can make", true)
	one.submit("/", "do", "filter", "find", "POSTER")
	one.wantCard("Draw the poster", true)
	one.wantCard("Borrow four long tables", false)
	one.submit("/lists/doing/cards/11", "do", "edit")
	one.submit("/lists/doing/cards/11", "do", "save", "title-11", "Print the poster & <glue> it")
	one.wantCard("Print the poster & <glue> it", true)
	one.submit("/lists/done", "do", "add", "new-done", "Buy glue for the poster")
	one.wantCard("Buy glue for the poster", true)

	two.submit("/lists/doing/cards/11", "do", "delete")
	two.wantCard("Draw the poster", false)
	one.submit("/lists/doing/cards/11", "do", "edit")
	one.wantRefused(http.StatusGone, "StaleComponentState")
}

// TestAnswers wants a plain form to lead to the page, and one with an error to be
// shown again. Either way everything else on the page stays.
func TestAnswers(t *testing.T) {
	visitor, address := newBrowser(t), startBoard(t, newTestSite(t, false))
	tests := []struct {
		action string
		fields []string
		status int
		shows  string
	}{
		{"/lists/done", []string{"do", "add", "new-done", " "}, http.StatusUnprocessableEntity, "Type what is to be done"},
		{"/lists/done", []string{"do", "add", "new-done", "Sweep"}, http.StatusOK, "<h3>Sweep</h3>"},
		{"/lists/done", []string{"do", "on"}, http.StatusOK, "Page 2"},
		{"/lists/doing/cards/11", []string{"do", "save", "title-11", " "}, http.StatusUnprocessableEntity, "needs a title"},
		{"/lists/doing/cards/11", []string{"do", "save", "title-11", "Print it"}, http.StatusOK, "<h3>Print it</h3>"},
		{"/lists/doing/cards/13", []string{"do", "delete"}, http.StatusOK, "Print it"},
		{"/wizard", []string{"do", "next", "title", " "}, http.StatusUnprocessableEntity, "Say what is to be done"},
		{"/wizard", []string{"do", "next", "title", "Thank them"}, http.StatusOK, "Step 2 of 3"},
		{"/", []string{"do", "create"}, http.StatusUnprocessableEntity, "Say what is to be done"},
		{"/", []string{"do", "filter", "only", "Music"}, http.StatusOK, "<option selected>Music</option>"},
		{"/", []string{"do", ""}, http.StatusOK, "Step 1 of 3"},
		{"/", []string{"do", "", "move", "99 done"}, http.StatusOK, "That card is gone"},
	}
	for _, test := range tests {
		page := visitor.open(address)
		page.submit("/", "do", "plan")
		page.submit("/lists/doing/cards/11", "do", "edit")
		page.submit("/lists/todo", "do", "look", "new-todo", "half a thought")
		page.submit(test.action, test.fields...)
		where := "/"
		if test.status != http.StatusOK {
			where = test.action
		}
		if page.status != test.status || page.url.Path != where || page.url.Query().Has("page_state") == (test.status != http.StatusOK) {
			t.Errorf("%s %q: got %d at %s", test.action, test.fields, page.status, page.url)
		}
		if !strings.Contains(page.body, test.shows) || !strings.Contains(page.body, `value="half a thought"`) || !strings.Contains(page.body, `id="wizard"`) {
			t.Errorf("%s %q: the page lacks %q, or what was there: %s", test.action, test.fields, test.shows, page.body)
		}
	}
}

// TestFilterInURL wants the filter to be in the URL, whoever asks for it, and nothing in
// it that the page cannot show.
func TestFilterInURL(t *testing.T) {
	address := startBoard(t, newTestSite(t, false))
	for _, test := range []struct {
		query  string
		poster bool
		next   string // the query behind a form that says nothing of the filter
	}{
		{"", true, ""},
		{"find=POSTER", true, "find=POSTER"},
		{"find=++POSTER+&utm_source=letter", true, "find=POSTER"},
		{"find=tables", false, "find=tables"},
		{"only=Paper", true, "only=Paper"},
		{"only=Music&find=songs", false, "find=songs&only=Music"},
		{"only=Nothing", true, ""},
		{"find=%ff", true, ""},
		{"find=poster&find=tables", true, ""},
		{"find=" + strings.Repeat("x", 121), false, "find=" + strings.Repeat("x", 120)},
	} {
		page := newBrowser(t).open(address + "/?" + test.query)
		page.wantCard("Draw the poster", test.poster)
		page.submit("/lists/todo", "do", "turn")
		page.wantCard("Draw the poster", test.poster)
		query := page.url.Query()
		query.Del("page_state")
		if query.Encode() != test.next {
			t.Errorf("behind /?%s comes %s", test.query, page.url)
		}
	}
	page := newBrowser(t).open(address)
	tokens := []string{page.token("board"), page.token("list-todo"), page.token("list-doing"), page.token("list-done")}
	for _, test := range []struct{ find, want string }{{"poster", "/?find=poster"}, {"", ""}} {
		page.load(http.MethodPost, "/", url.Values{"do": {"filter"}, "find": {test.find}}, http.Header{"Page-State": tokens, "Hx-Request": {"true"}})
		if got := page.header.Get("HX-Push-Url"); got != test.want {
			t.Errorf("htmx is told %q", got)
		}
	}
}

// TestCreated reloads the page that a redirect has led to.
func TestCreated(t *testing.T) {
	page := newBrowser(t).open(startBoard(t, newTestSite(t, false)))
	page.submit("/", "do", "plan")
	page.submit("/wizard", "do", "next", "title", "Thank them")
	page.submit("/", "do", "create")
	for range 2 {
		page.wantCard("Thank them", true)
		page.find(`(“Thank them” is on the board)`)
		page.load(http.MethodGet, page.url.String(), nil, nil)
	}
	page.submit("/lists/done", "do", "look")
	if strings.Contains(page.body, "is on the board") {
		t.Error("what was said of one form is said of the next")
	}
	page.submit("/lists/todo", "do", "add", "new-todo", "Sweep")
	page.wantCard("Sweep", true)
	if strings.Contains(page.body, "is new here") {
		t.Error("a card is new to the one who has added it")
	}
}

// TestParts wants a script to get the part that acted, and no more.
func TestParts(t *testing.T) {
	visitor, address := newBrowser(t), startBoard(t, newTestSite(t, false))
	for _, test := range []struct {
		path, do, root string
		ids            []string // whose tokens go along, the one that acts first
	}{
		{"/", "plan", `<main id="board"`, []string{"board", "list-todo", "list-doing", "list-done"}},
		{"/", "cancel", `<main id="board"`, []string{"board", "list-todo", "wizard"}},
		{"/wizard", "next", `<section id="wizard"`, []string{"wizard"}},
		{"/lists/done", "on", `<section id="list-done"`, []string{"list-done", "card-5"}},
		{"/lists/doing/cards/11", "edit", `<article id="card-11"`, []string{"card-11"}},
	} {
		page := visitor.open(address)
		if slices.Contains(test.ids, "wizard") {
			page.submit("/", "do", "plan")
		}
		var tokens []string
		for _, id := range test.ids {
			tokens = append(tokens, page.token(id))
		}
		page.load(http.MethodPost, test.path, url.Values{"do": {test.do}, "title": {"Thank them"}}, http.Header{"Page-State": tokens, "Hx-Request": {"true"}})
		if page.status != http.StatusOK || !strings.HasPrefix(strings.TrimSpace(page.body), test.root) || strings.Contains(page.body, "page_state") {
			t.Errorf("%s: %d, %s", test.path, page.status, page.body)
		}
		if got := page.header.Get("Page-State"); got != page.token(test.ids[0]) || got == tokens[0] {
			t.Errorf("%s: the header and the page do not carry the next token", test.path)
		}
	}
}

func TestRefused(t *testing.T) {
	address := startBoard(t, newTestSite(t, false))
	mine, theirs := newBrowser(t).open(address), newBrowser(t).open(address)
	stolen := url.Values{"page_state": {mine.token("board")}, "do": {"plan"}}
	theirs.load(http.MethodPost, "/", stolen, nil)
	theirs.wantRefused(http.StatusBadRequest, "InvalidState")

	// Logging in ends the tokens made before, as the same user too.
	for range 2 {
		before := url.Values{"page_state": {mine.token("board")}, "do": {"plan"}}
		mine.load(http.MethodPost, "/login", url.Values{"user": {"Ada"}}, nil)
		mine.find(`(You are Ada)`)
		mine.load(http.MethodPost, "/", before, nil)
		mine.wantRefused(http.StatusBadRequest, "InvalidState")
		mine.load(http.MethodGet, "/", nil, nil)
	}

	// A user alone, in the same session, makes a difference as well.
	theirs.load(http.MethodGet, "/", nil, nil)
	theirs.load(http.MethodPost, "/", url.Values{"page_state": {theirs.token("board")}, "do": {"plan"}},
		http.Header{"Cookie": {mine.cookie("login")}})
	theirs.wantRefused(http.StatusBadRequest, "InvalidState")
}

// TestForeignLogin wants a login cookie that this site did not sign to be none.
func TestForeignLogin(t *testing.T) {
	page := newBrowser(t).open(startBoard(t, newTestSite(t, false)))
	page.load(http.MethodGet, "/", nil, http.Header{"Cookie": {"login=forged"}})
	page.find(`(You are a guest)`)
	page.load(http.MethodPost, "/login", url.Values{"user": {"Mallory"}}, nil)
	page.find(`(You are a guest)`)
}

func TestScriptsGetJSON(t *testing.T) {
	res, err := http.PostForm(startBoard(t, newTestSite(t, false)), url.Values{"page_state": {"made up"}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusBadRequest || got != "application/json" {
		t.Errorf("got %s, %s", res.Status, got)
	}
}

func TestOtherSites(t *testing.T) {
	page := newBrowser(t).open(startBoard(t, newTestSite(t, false)))
	page.load(http.MethodPost, "/login", url.Values{"user": {"Ada"}}, http.Header{"Sec-Fetch-Site": {"cross-site"}})
	if page.status != http.StatusForbidden {
		t.Errorf("got %d", page.status)
	}
}

// TestConflict has two people save one card, both with what they saw in mind.
func TestConflict(t *testing.T) {
	address := startBoard(t, newTestSite(t, false))
	one, two := newBrowser(t).open(address), newBrowser(t).open(address)
	const poster = "/lists/doing/cards/11"
	for _, page := range []*tab{one, two} {
		page.submit(poster, "do", "edit")
	}
	one.submit(poster, "do", "save", "title-11", "Draw two posters")
	one.wantCard("Draw two posters", true)
	two.submit(poster, "do", "save", "title-11", "Print the poster")
	if two.status != http.StatusUnprocessableEntity {
		t.Errorf("saving over another title is answered %d", two.status)
	}
	two.find(`(somebody has saved “Draw two posters”)`)
	two.find(`(value="Print the poster")`)
	two.submit(poster, "do", "save", "title-11", "Print two posters")
	two.wantCard("Print two posters", true)
}

// TestDemo wants the tour, and tokens that are opened, only where that was asked for.
func TestDemo(t *testing.T) {
	for _, demo := range []bool{false, true} {
		page := newBrowser(t).open(startBoard(t, newTestSite(t, demo)))
		if got := page.isDemo(); got != demo {
			t.Errorf("with demo %t the page has the tour and the panel: %t", demo, got)
		}
		page.load(http.MethodPost, "/inspect", url.Values{"token": {page.token("card-11"), "made up"}}, nil)
		if got := strings.Contains(page.body, "task 11") && strings.Contains(page.body, "InvalidState"); got != demo {
			t.Errorf("with demo %t: %d %s", demo, page.status, page.body)
		}
		page.load(http.MethodPost, "/meanwhile", url.Values{"meanwhile": {"delete"}}, nil)
		if want := map[bool]int{false: http.StatusNotFound, true: http.StatusNoContent}[demo]; page.status != want {
			t.Errorf("with demo %t, acting as somebody else is answered %d", demo, page.status)
		}
		page.load(http.MethodGet, "/", nil, nil)
		page.wantCard("Collect songs for the last hour", !demo)
	}
}

func (p *tab) isDemo() bool {
	return strings.Contains(p.body, "/meanwhile") && strings.Contains(p.body, "/inspect")
}

// TestElsewhere logs in past a page that is open, which is refused from then on.
func TestElsewhere(t *testing.T) {
	page := newBrowser(t).open(startBoard(t, newTestSite(t, true)))
	before := url.Values{"page_state": {page.token("board")}, "do": {"plan"}}
	for _, name := range []string{"Ada", "Grace", "Ada"} {
		page.load(http.MethodPost, "/meanwhile", url.Values{"meanwhile": {"login"}}, nil)
		page.load(http.MethodPost, "/", before, nil)
		page.wantRefused(http.StatusBadRequest, "InvalidState")
		page.load(http.MethodGet, "/", nil, nil)
		page.find(`(You are ` + name + `)`)
		before.Set("page_state", page.token("board"))
	}
}

func TestHeaders(t *testing.T) {
	visitor, address := newBrowser(t), startBoard(t, newTestSite(t, false))
	refused := visitor.open(address)
	refused.load(http.MethodPost, "/", url.Values{"page_state": {"made up"}}, nil)
	posted := visitor.open(address)
	posted.submit("/lists/done", "do", "on")
	for page, cache := range map[*tab]string{
		visitor.open(address): "private, no-cache",
		posted:                "private, no-cache",
		refused:               "no-store",
	} {
		policy := page.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; ") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: Content-Security-Policy: %s", page.url, policy)
		}
		if got := page.header.Get("Cache-Control"); got != cache {
			t.Errorf("%s: Cache-Control: %s", page.url, got)
		}
	}
	for _, test := range []struct{ path, kind, holds string }{
		{"/pagestate.js", "text/javascript", "data-page-state"},
		{"/source/card.go", "text/plain", "type Card struct"},
		{"/static/board.js", "text/javascript", "toast"},
		{"/static/tour.js", "text/javascript", "toast"},
		{"/static/style.css", "text/css", "prefers-color-scheme"},
		{"/static/htmx-2.0.11/htmx.min.js", "text/javascript", "htmx"},
		{"/static/htmx-4.0.1/htmx.min.js", "text/javascript", "htmx"},
		{"/static/htmx-4.0.1/LICENSE", "text/plain", "Zero-Clause BSD"},
	} {
		file := visitor.open(address + test.path)
		if kind := file.header.Get("Content-Type"); file.status != http.StatusOK || !strings.HasPrefix(kind, test.kind) || !strings.Contains(file.body, test.holds) {
			t.Errorf("%s is %d, %s", test.path, file.status, kind)
		}
	}
}

func TestStore(t *testing.T) {
	s, err := openStore(filepath.Join(t.TempDir(), "a #1?%41 b.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	first, err := s.add(t.Context(), Task{List: "todo", Title: "newest"})
	if err != nil {
		t.Fatal(err)
	}
	if found, err := s.remove(t.Context(), first); !found || err != nil {
		t.Errorf("removing: %t, %v", found, err)
	}
	second, err := s.add(t.Context(), Task{List: "todo", Title: "newer"})
	if err != nil || second == first {
		t.Errorf("the key %d was given again (%v)", second, err)
	}
	for name, change := range map[string]func() (bool, error){
		"rename": func() (bool, error) { return s.rename(t.Context(), first, "newest", "x") },
		"move":   func() (bool, error) { return s.move(t.Context(), first, "done") },
		"remove": func() (bool, error) { return s.remove(t.Context(), first) },
	} {
		if found, err := change(); found || err != nil {
			t.Errorf("%s finds what is gone: %t, %v", name, found, err)
		}
	}
	if saved, err := s.rename(t.Context(), second, "older", "x"); saved || err != nil {
		t.Errorf("rename replaces another title than the one that was seen: %t, %v", saved, err)
	}
	if tasks, err := s.fetch(t.Context(), []int64{second, first}); err != nil || len(tasks) != 1 || tasks[0].Title != "newer" {
		t.Errorf("fetched %v, %v", tasks, err)
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

// TestProgram runs the program that people run: it serves, stops at Ctrl-C, and
// serves the same pages and tasks when it is started again.
func TestProgram(t *testing.T) {
	program := newProgram(t)
	first := program.start(t, "localhost:0")
	page := newBrowser(t).open(first.address)
	if !page.isDemo() {
		t.Error("on an address of this machine alone there is no tour")
	}
	page.submit("/lists/todo", "do", "add", "new-todo", "Bunting")
	page.submit("/lists/done", "do", "on")
	first.stop()

	second := program.start(t, strings.TrimPrefix(first.address, "http://"))
	page.submit("/lists/doing", "do", "turn")
	page.wantCard("Bunting", true)
	page.wantCard("Pick a Saturday everybody can make", true) // on the second page still
	second.stop()

	temp := t.TempDir()
	third := program.command(t, "-addr", "localhost:0")
	third.Env = append(third.Env, "TMPDIR="+temp)
	process := startProcess(t, third)
	newBrowser(t).open(process.address).wantCard("Bunting", false)
	process.stop()
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("the temporary database is left: %v, %v", left, err)
	}

	for _, flags := range [][]string{{"-addr", ":0"}, {"-addr", ":0", "-peek"}} {
		open := startProcess(t, program.command(t, flags...))
		if got := newBrowser(t).open(open.address).isDemo(); got != slices.Contains(flags, "-peek") {
			t.Errorf("with %q there is a tour: %t", flags, got)
		}
		open.stop()
	}

	if err := os.Chmod(program.key, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := program.command(t, "-addr", "localhost:0")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Run()
	if cmd.ProcessState.ExitCode() != 1 || stdout.Len() > 0 || !strings.Contains(stderr.String(), "chmod 600") {
		t.Errorf("with a key for all to read: %s, %q, %q", cmd.ProcessState, &stdout, &stderr)
	}
}
