package main

import (
	"crypto/rand"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pagestate/pagestate/pagestatetest"
)

func TestReply(t *testing.T) {
	secret := make([]byte, 32)
	rand.Read(secret)
	handler, err := newHandler(secret)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	browser := pagestatetest.NewBrowser(t, server)

	refused := browser.Get("/").Form("/").Submit()
	if refused.StatusCode != 422 || !strings.Contains(refused.Text, "Enter your name.") {
		t.Errorf("without a name: %d %s", refused.StatusCode, refused.Text)
	}
	thanks := refused.Form("/").Fill("name", "Ada").Submit()
	if !strings.Contains(thanks.Text, "Thank you, Ada") {
		t.Errorf("with a name: %s", thanks.Text)
	}
	two := thanks.Form("/guest").Submit()
	three := two.Form("/guest").Submit()
	if !strings.Contains(three.Reload().Text, "Guests: 3") {
		t.Errorf("reloaded: %s", three.Reload().Text)
	}
	if again := three.Back().Form("/guest").Submit(); !strings.Contains(again.Text, "Guests: 3") {
		t.Errorf("from the page before: %s", again.Text)
	}
}
