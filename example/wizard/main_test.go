package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

// docs/redirects.md shows this program.
func TestDocument(t *testing.T) {
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../../docs/redirects.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(document), "```go\n"+string(program)+"```\n") {
		t.Error("docs/redirects.md shows another program than main.go")
	}
}

func TestReport(t *testing.T) {
	registry := pagestate.NewRegistry()
	pagestate.Register[Report](registry, "report")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{testkit.NewSecret()},
		Session: pagestate.Cookie(http.Cookie{Name: "report"}),
		Carrier: pagestate.NewCarrier(64 << 20),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(mw.Handler(routes()))
	defer server.Close()
	browser := pagestatetest.NewBrowser(t, server)
	long := strings.Repeat("It made a noise, and then nothing.\n", 500)

	start := browser.Get("/")
	refused := start.Form("/").Submit()
	testkit.Want(t, "status", refused.Response.StatusCode, 422)
	testkit.WantText(t, "who", refused.Text, "Say who you are.")
	story := refused.Form("/").Fill("name", "Ada").Submit()
	testkit.WantText(t, "story", story.Text, "What happened, Ada?")
	empty := story.Form("/story").Submit()
	testkit.WantText(t, "empty", empty.Text, "Say what happened.", "What happened, Ada?")
	check := empty.Form("/story").Fill("story", long).Submit()
	testkit.WantText(t, "check", check.Text, "Ada says:", "made a noise")
	testkit.WantText(t, "reloaded", check.Reload().Text, "Ada says:", "made a noise")

	stranger := pagestatetest.NewBrowser(t, server).Get(check.URL.RequestURI())
	testkit.WantText(t, "of another visitor", stranger.Text, "Report a problem")

	t.Log("Back, and a second tab")
	other := browser.Get(check.URL.RequestURI())
	again := check.Back().Form("/story").Fill("story", "Nothing happened.").Submit()
	testkit.WantText(t, "again", again.Text, "Nothing happened.")
	done := other.Form("/check").Submit()
	testkit.WantText(t, "done", done.Text, "Thank you, Ada")
	testkit.WantText(t, "the first tab", again.Reload().Text, "Nothing happened.")
}
