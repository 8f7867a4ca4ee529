package upload

import (
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"

	"github.com/pagestate/pagestate"
)

// shown are the types that a browser shows in the page: none holds a script.
var shown = []string{"image/png", "image/jpeg", "image/gif", "image/webp"}

// Serve returns a handler for previews, which answers a GET or HEAD with the file whose
// id is the last part of the path. Mount it inside [pagestate.Middleware.Handler]:
//
//	mux.Handle("GET /files/{id}", files.Serve())
//
// Only the owner of the file gets it; everybody else gets a 404, and so does whoever
// asks for one that does not exist. PNG, JPEG, GIF and WebP are shown in the page, by
// their content. Everything else is downloaded: it may be a page with a script, which
// must not run on this site.
func (f *Files) Serve() http.Handler { return http.HandlerFunc(f.serve) }

func (f *Files) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET is allowed here.", http.StatusMethodNotAllowed)
		return
	}
	file, err := f.check(r.Context(), path.Base(r.URL.Path))
	if err != nil {
		refuse(w, r, err)
		return
	}
	etag := `"` + file.ID + `"`
	if r.Header.Get("If-None-Match") == etag {
		file.setHeader(w.Header(), etag)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	content, err := file.open(r.Context())
	if err != nil {
		refuse(w, r, err)
		return
	}
	defer content.Close()
	file.setHeader(w.Header(), etag)
	w.Header().Set("Content-Length", strconv.FormatInt(file.Size, 10))
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, content) // it is too late to say anything else
	}
}

// setHeader says what a browser may do with the file. Its content is the visitor's, and
// may be two things at once, such as a picture and a page.
func (f *File) setHeader(h http.Header, etag string) {
	h.Set("Content-Type", "application/octet-stream")
	disposition := "attachment"
	if slices.Contains(shown, f.Type) {
		h.Set("Content-Type", f.Type)
		disposition = "inline"
	}
	h.Set("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": f.Name}))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "private, no-cache") // a cache asks again, so that nobody sees it after a logout
	h.Set("ETag", etag)
}

// refuse answers alike for what is not there and what is somebody else's.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	if !errors.Is(err, fs.ErrNotExist) {
		pagestate.WriteError(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "There is no such file.", http.StatusNotFound)
}
