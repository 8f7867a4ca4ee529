package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// TestCounter acts as the script and Datastar do: the next request has the token of
// the headers, which the stream has too.
func TestCounter(t *testing.T) {
	registry := pagestate.NewRegistry()
	pagestate.Register[Counter](registry, "counter")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{testkit.NewSecret()},
		Session: pagestate.Cookie(http.Cookie{Name: "counter"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(mw.Handler(routes()))
	defer server.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	visitor := &http.Client{Jar: jar}
	ask := func(method, path, token string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequest(method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Page-State", token)
		}
		res, err := visitor.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(body)
	}

	_, page := ask("GET", "/", "")
	found := regexp.MustCompile(`data-page-state="([^"]+)"`).FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("there is no token in %s", page)
	}
	token := found[1]
	for _, count := range []string{"1", "2", "3"} {
		res, events := ask("POST", "/increment", token)
		if !strings.HasPrefix(events, "event: datastar-patch-elements\n") || !strings.Contains(events, "<output>"+count+"</output>") {
			t.Errorf("got %s: %s", res.Status, events)
		}
		token = res.Header.Get("Page-State")
		if token == "" || !strings.Contains(events, `data-page-state="`+token+`"`) {
			t.Error("the stream has another token than the headers")
		}
	}
}
