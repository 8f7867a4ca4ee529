package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/pagestatetest"
)

func start(t *testing.T) (*pagestate.Middleware, *pagestatetest.Browser) {
	t.Helper()
	secret := make([]byte, 32)
	rand.Read(secret)
	mw, handler, err := newSite(secret)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return mw, pagestatetest.NewBrowser(t, server)
}

// press posts the form of the page with a button.
func press(page pagestatetest.Page, name, value string) pagestatetest.Page {
	return page.Form("/").Press(name + "=" + value)
}

func wantRecipe(t *testing.T, mw *pagestate.Middleware, page pagestatetest.Page, want, shown string) {
	t.Helper()
	c := pagestatetest.State[Recipe](t, mw, page.Request, page.Response)
	if got := fmt.Sprint(c.Servings, c.Have); got != want {
		t.Errorf("the page is for %s, want %s", got, want)
	}
	if !strings.Contains(page.Text, shown) {
		t.Errorf("there is no %q in the page: %s", shown, page.Text)
	}
}

func TestRecipe(t *testing.T) {
	mw, browser := start(t)
	page := browser.Get("/")
	wantRecipe(t, mw, page, "2 []", `<span class="amount">160 g</span>`)
	page = press(press(page, "do", "more"), "have", "Limes")
	wantRecipe(t, mw, page, "3 [Limes]", `<button name="have" value="Limes" aria-pressed="true">`)
	wantRecipe(t, mw, page, "3 [Limes]", `4 of 5 to buy`)
	page = page.Call("POST", "/", url.Values{"have": {"Money"}}) // which no button says
	wantRecipe(t, mw, page, "3 [Limes]", `aria-pressed="true"`)
	page = press(page, "have", "Limes")
	wantRecipe(t, mw, page, "3 []", `5 of 5 to buy`)
	for _, i := range ingredients {
		page = press(page, "have", i.name)
	}
	wantRecipe(t, mw, page, "3 [Red lentils Coconut milk Onions Ginger Limes]", `Everything is there`)
}

func TestTabs(t *testing.T) {
	mw, browser := start(t)
	one, two := browser.Get("/"), browser.Get("/")
	one, two = press(one, "do", "more"), press(two, "do", "fewer")
	wantRecipe(t, mw, one, "3 []", `aria-label="One fewer">`)
	wantRecipe(t, mw, two, "1 []", `aria-label="One fewer" disabled>`)
}

// TestReload: reloading what a form has led to sends nothing again.
func TestReload(t *testing.T) {
	mw, browser := start(t)
	page := press(browser.Get("/"), "do", "more")
	if method := page.Request.Method; method != "GET" {
		t.Errorf("reloading would %s", method)
	}
	wantRecipe(t, mw, page.Reload(), "3 []", `aria-label="One fewer">`)
	wantRecipe(t, mw, press(page, "do", "more").Back(), "3 []", `aria-label="One fewer">`)
}

// TestTokenInAttribute: a script finds it there.
func TestTokenInAttribute(t *testing.T) {
	mw, browser := start(t)
	page := browser.Get("/")
	if len(page.Tokens) != 1 || !strings.Contains(page.Text, `id="recipe" data-page-state="`+page.Tokens[0]+`"`) {
		t.Errorf("%d tokens in %s", len(page.Tokens), page.Text)
	}
	page = page.Call("POST", "/", url.Values{"do": {"more"}})
	wantRecipe(t, mw, page, "3 []", `data-page-state="`+page.Header.Get("Page-State")+`"`)
}

// TestErrorInAComponent: nothing has been attached, so Token returns an error in
// the middle of the page.
func TestErrorInAComponent(t *testing.T) {
	mw, _ := start(t)
	rec := httptest.NewRecorder()
	mw.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pagestate.WriteError(w, r, render(w, r, recipePage(&Recipe{})))
	})).ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	pagestatetest.Refused(t, rec.Result(), errors.New("any other"))
	if strings.Contains(rec.Body.String(), "<h1>") {
		t.Errorf("half a page: %s", rec.Body)
	}
}

func TestProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(program, "-addr", "localhost:0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var address string
	if _, err := fmt.Fscanf(stdout, "Open %s", &address); err != nil {
		t.Fatal(err)
	}
	browser := pagestatetest.NewBrowser(t, &httptest.Server{URL: address})
	if page := press(browser.Get("/"), "do", "more"); !strings.Contains(page.Text, "Lentil soup for 3") {
		t.Errorf("got %d: %s", page.StatusCode, page.Text)
	}
	if style := browser.Get("/style.css"); style.Header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("the style is %d, %s", style.StatusCode, style.Header.Get("Content-Type"))
	}
}
