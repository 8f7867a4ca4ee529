package client_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip" // the same with every release of Go
	"github.com/pagestate/pagestate/client"
)

// exported are the lines that name what a page may import.
var exported = []string{"export { fetch };\n", "export { show };\n", "export { reload };\n"}

// TestFiles wants every line of every file in the script, less what joins them.
func TestFiles(t *testing.T) {
	rec := httptest.NewRecorder()
	client.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/pagestate.js", nil))
	script := rec.Body.String()
	names, err := filepath.Glob("js/*.js")
	if err != nil || len(names) == 0 {
		t.Fatalf("found %q, %v", names, err)
	}
	for _, name := range names {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var lines strings.Builder
		for line := range strings.Lines(string(file)) {
			if strings.HasPrefix(line, "import ") {
				if !strings.HasSuffix(line, ";\n") {
					t.Errorf("%s: an import that goes on in another line: %s", name, line)
				}
				continue
			}
			if strings.HasPrefix(strings.TrimSpace(line), "//") {
				continue
			}
			if !strings.HasPrefix(line, "export {") {
				line = strings.TrimPrefix(line, "export ")
			}
			lines.WriteString(line)
		}
		if !strings.Contains(script, strings.TrimLeft(lines.String(), "\n")) {
			t.Errorf("%s is not in the script", name)
		}
	}
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "import ") || strings.HasPrefix(line, "export ") && !slices.Contains(exported, line) {
			t.Errorf("the script has the line %s", line)
		}
	}
}

// TestSize wants the documentation to say how large the script is.
func TestSize(t *testing.T) {
	rec := httptest.NewRecorder()
	client.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/pagestate.js", nil))
	docs, err := os.ReadFile("../docs/client.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("It is %d KB, gzipped", (zipped(t, rec.Body.Bytes())+500)/1000); !strings.Contains(string(docs), want) {
		t.Errorf("docs/client.md does not say: %s", want)
	}
}

func TestHandler(t *testing.T) {
	server := httptest.NewServer(client.Handler())
	defer server.Close()
	ask := func(method, etag string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequest(method, server.URL+"/pagestate.js", nil)
		if err != nil {
			t.Fatal(err)
		}
		if etag != "" {
			r.Header.Set("If-None-Match", etag)
		}
		res, err := http.DefaultClient.Do(r)
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

	first, script := ask("GET", "")
	for name, want := range map[string]string{
		"Content-Type":           "text/javascript; charset=utf-8",
		"X-Content-Type-Options": "nosniff",
		"Cache-Control":          "public, no-cache",
	} {
		if got := first.Header.Get(name); got != want {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
	}
	if first.StatusCode != http.StatusOK || !strings.Contains(script, "\nexport { fetch };\n") {
		t.Errorf("got %s, %q", first.Status, script)
	}
	sum := sha512.Sum384([]byte(script))
	if want := "sha384-" + base64.StdEncoding.EncodeToString(sum[:]); client.Integrity() != want {
		t.Errorf("the integrity is %s, not %s", client.Integrity(), want)
	}

	for _, tt := range []struct {
		name, method, etag string
		status             int
		body               string
	}{
		{"asked again", "GET", first.Header.Get("ETag"), http.StatusNotModified, ""},
		{"after a change", "GET", `"another"`, http.StatusOK, script},
		{"head", "HEAD", "", http.StatusOK, ""},
		{"post", "POST", "", http.StatusMethodNotAllowed, "Method Not Allowed\n"},
	} {
		res, body := ask(tt.method, tt.etag)
		if res.StatusCode != tt.status || body != tt.body {
			t.Errorf("%s: got %s with %d bytes", tt.name, res.Status, len(body))
		}
	}
}

// TestParts wants the documentation to say what each library costs of that, to 100 bytes.
func TestParts(t *testing.T) {
	docs, err := os.ReadFile("../docs/client.md")
	if err != nil {
		t.Fatal(err)
	}
	for library, parts := range map[string][]string{
		"htmx":        {"htmx", "htmx2", "htmx4"},
		"Datastar":    {"relay", "datastar"},
		"Turbo":       {"held", "told", "turbo"},
		"Alpine AJAX": {"alpine"},
		"Unpoly":      {"unpoly"},
	} {
		var all []byte
		for _, part := range parts {
			file, err := os.ReadFile("js/" + part + ".js")
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, file...)
		}
		want := fmt.Sprintf(" | %d |", (zipped(t, all)+50)/100*100)
		if !strings.HasSuffix(lineOf(string(docs), "| "+library+" | "), want+"\n") {
			t.Errorf("docs/client.md does not say %q of %s", want, library)
		}
	}
}

func lineOf(text, start string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, start) {
			return line
		}
	}
	return ""
}

func zipped(t *testing.T, text []byte) int {
	t.Helper()
	var zipped bytes.Buffer
	w, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(text)
	w.Close()
	return zipped.Len()
}
