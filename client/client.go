// Package client serves the script that keeps the tokens of a page's components
// current in the browser. Load it as a module; it needs no configuration, and
// allows a Content-Security-Policy of script-src 'self':
//
//	mux.Handle("GET /pagestate.js", client.Handler())
//
//	<script type="module" src="/pagestate.js"></script>
//
// [docs/client.md] says what the script does. This package holds the script and
// serves it, and knows nothing of tokens.
//
// [docs/client.md]: https://github.com/pagestate/pagestate/blob/main/docs/client.md
package client

import (
	"bytes"
	"crypto/sha512"
	"embed"
	"encoding/base64"
	"net/http"
	"regexp"
	"time"
)

// Pages load one module; readers and tools see several, which import each other's
// names. join removes the imports, each a line of its own, and the word export in
// front of a declaration, so that all names share one scope. An export list, such
// as export { fetch }, is what pages may import, and stays. Comments that are lines
// of their own are for readers, and are left out.
//
//go:embed js/*.js
var files embed.FS

// parts are the files in the order in which they run, each behind what it imports.
var parts = []string{"dom", "tokens", "same", "typed", "focus", "component", "core", "page", "answer", "fetch", "form", "reload", "xhr", "htmx", "htmx2", "htmx4", "relay", "held", "told", "datastar", "turbo", "alpine", "unpoly"}

var (
	imports  = regexp.MustCompile(`(?m)^import .*\n+`)
	comments = regexp.MustCompile(`(?m)^[ \t]*//.*\n`)
	exports  = regexp.MustCompile(`(?m)^export (const|let|class|function|async)\b`)
)

var script = join()

func join() []byte {
	var joined []byte
	for _, part := range parts {
		file, err := files.ReadFile("js/" + part + ".js")
		if err != nil {
			panic(err) // it is embedded
		}
		file = comments.ReplaceAll(imports.ReplaceAll(file, nil), nil)
		file = exports.ReplaceAll(file, []byte("$1"))
		joined = append(append(joined, file...), '\n')
	}
	return joined
}

// Handler serves the script, at whatever path it is mounted. Browsers keep it,
// and ask with its ETag whether it has changed. It is safe for concurrent use.
func Handler() http.Handler {
	etag := `"` + Integrity() + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "public, no-cache")
		h.Set("ETag", etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(script))
	})
}

// Integrity returns what the integrity attribute of the script's tag may hold,
// for pages that name what they run. As a function of html/template:
//
//	<script type="module" src="/pagestate.js" integrity="{{integrity}}"></script>
func Integrity() string {
	sum := sha512.Sum384(script)
	return "sha384-" + base64.StdEncoding.EncodeToString(sum[:])
}
