// Package client serves the script that keeps the tokens of a page's components
// current in the browser. Load it as a module; it needs no configuration, and
// allows a Content-Security-Policy of script-src 'self':
//
//	mux.Handle("GET /pagestate.js", client.Handler())
//
//	<script type="module" src="/pagestate.js"></script>
//
// What the script does is told in the file docs/client.md of this module. This
// package holds the file and serves it, and knows nothing of tokens.
package client

import (
	"bytes"
	"crypto/sha512"
	_ "embed"
	"encoding/base64"
	"net/http"
	"time"
)

//go:embed pagestate.js
var script []byte

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
