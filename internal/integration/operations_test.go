package integration_test

// The other code of docs/operations.md: reading secrets, metrics for those
// inside alone, and what a proxy has to leave as it is.

import (
	"expvar"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/inspect"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

// readSecrets reads a secret from each file. The first is the one that seals.
func readSecrets(files ...string) ([][]byte, error) {
	var secrets [][]byte
	for _, file := range files {
		secret, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

func TestReadSecrets(t *testing.T) {
	first, second := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	for _, file := range []string{first, second} {
		if err := os.WriteFile(file, testkit.NewSecret(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	secrets, err := readSecrets(first, second)
	if err != nil {
		t.Fatal(err)
	}
	p := newPair(t)
	counting.start(p, 0, pagestate.Options{Secrets: secrets})
	if secrets, err = readSecrets(second, first); err != nil {
		t.Fatal(err)
	}
	counting.start(p, 1, pagestate.Options{Secrets: secrets})
	page := wantStatus(t, p.browser().Get("/"), http.StatusOK)
	wantBody(t, call(page, "/change"), "{Count:1}")
	if _, err := readSecrets(first, first+".missing"); err == nil {
		t.Error("a file that is not there: no error")
	}
}

// publish does so once, since expvar has no way to take a name back.
var publish = sync.OnceValues(func() (*expvar.Map, http.Handler) {
	metrics := expvar.NewMap("pagestate")

	inside := http.NewServeMux()
	inside.Handle("GET /debug/vars", expvar.Handler())
	return metrics, inside
})

func TestMetrics(t *testing.T) {
	metrics, inside := publish()
	metrics.Add("refused", 1)
	rec := httptest.NewRecorder()
	inside.ServeHTTP(rec, httptest.NewRequest("GET", "/debug/vars", nil))
	testkit.WantText(t, "the page", rec.Body.String(), `"pagestate": {"refused": `)

	// Whoever serves this one shows the metrics to everybody.
	rec = httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(rec, httptest.NewRequest("GET", "/debug/vars", nil))
	testkit.Want(t, "status of the default mux", rec.Code, http.StatusOK)
}

func TestInspectOperations(t *testing.T) {
	for _, development := range []bool{true, false} {
		mw, err := pagestate.New(pagestate.NewRegistry(), pagestate.Options{
			Secrets: [][]byte{testkit.NewSecret()},
			Session: pagestate.Cookie(http.Cookie{Name: "binding"}),
		})
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		mux.Handle("/inspect", inspect.Handler(mw, func(*http.Request) bool { return development }))
		rec := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/inspect", nil)
		r.Host = "localhost:8080"
		mw.Handler(mux).ServeHTTP(rec, r)
		testkit.Want(t, "has the script", rec.Code == http.StatusOK, development)
	}
}

// A browser that sends no Sec-Fetch-Site is believed if its Origin is the Host.
func TestProxyAndHost(t *testing.T) {
	p := newPair(t)
	counting.start(p, 0, pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}})
	node := httptest.NewServer(p.nodes[0])
	t.Cleanup(node.Close)
	target, err := url.Parse(node.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, keep := range []bool{true, false} {
		proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			if keep {
				r.Out.Host = r.In.Host
			}
		}})
		t.Cleanup(proxy.Close)
		b := pagestatetest.NewBrowser(t, proxy)
		b.Header.Set("Sec-Fetch-Site", "")
		b.Header.Set("Origin", proxy.URL)
		page := wantStatus(t, b.Get("/"), http.StatusOK)
		if page = call(page, "/change"); keep {
			wantBody(t, page, "{Count:1}")
		} else {
			wantRefused(t, page, pagestate.ErrCrossOrigin)
		}
	}
}
