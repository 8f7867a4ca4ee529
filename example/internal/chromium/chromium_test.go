package chromium_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pagestate/pagestate/example/internal/chromium"
)

// chrome is the browser of all tests.
var chrome chromium.Browser

func TestMain(m *testing.M) {
	m.Run()
	chrome.Stop()
}

func TestTab(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(`<!doctype html><title>Page</title><p>no script</p><script>document.querySelector("p").remove()</script>`))
	}))
	defer server.Close()
	profile := chrome.Profile(t)
	profile.Open(server.URL).Want("document.querySelector('p')", "")
	plain := profile.Tab()
	plain.NoScript()
	plain.Go(server.URL)
	plain.Want("document.querySelector('p').textContent", "no script")
	plain.Go(server.URL + "/2")
	plain.Back()
	plain.Wait("location.pathname === '/'")
}
