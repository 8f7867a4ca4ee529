package upload_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/upload"
)

// The first bytes of files, each with a page behind them.
const page = "<!doctype html><script>alert(document.cookie)</script>"

func TestServe(t *testing.T) {
	x := newSite(t, newDir(t, t.TempDir()), upload.Options{})
	for name, test := range map[string]struct{ called, content, typ, disposition string }{
		"png":                    {"a.png", "\x89PNG\r\n\x1a\n", "image/png", "inline; filename=a.png"},
		"jpeg":                   {"a.jpg", "\xff\xd8\xff\xe0", "image/jpeg", "inline; filename=a.jpg"},
		"gif":                    {"a.gif", "GIF89a", "image/gif", "inline; filename=a.gif"},
		"webp":                   {"a.webp", "RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp", "inline; filename=a.webp"},
		"a picture and a page":   {"a.html", "GIF89a=0;" + page, "image/gif", "inline; filename=a.html"},
		"a page":                 {"a.png", page, "application/octet-stream", "attachment; filename=a.png"},
		"a page behind a space":  {"a.png", "  \n" + page, "application/octet-stream", "attachment; filename=a.png"},
		"svg":                    {"a.svg", `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`, "application/octet-stream", "attachment; filename=a.svg"},
		"svg and html":           {"a.svg", `<svg xmlns="http://www.w3.org/2000/svg"><foreignObject><html xmlns="http://www.w3.org/1999/xhtml">` + page + `</html></foreignObject></svg>`, "application/octet-stream", "attachment; filename=a.svg"},
		"pdf":                    {"a.pdf", "%PDF-1.7", "application/octet-stream", "attachment; filename=a.pdf"},
		"a name with more to it": {"ä;b='c'.txt", "text", "application/octet-stream", "attachment; filename*=utf-8''%C3%A4%3Bb%3D%27c%27.txt"},
		"an empty file":          {"a", "", "application/octet-stream", "attachment; filename=a"},
	} {
		t.Run(name, func(t *testing.T) {
			v := x.visitor()
			v.mustSend(test.called, test.content)
			got := v.Get("/files/" + v.id)
			testkit.Want(t, "status", got.StatusCode, 200)
			testkit.Want(t, "body", got.Body, test.content)
			for header, want := range map[string]string{
				"Content-Type":                 test.typ,
				"Content-Disposition":          test.disposition,
				"X-Content-Type-Options":       "nosniff",
				"Content-Security-Policy":      "default-src 'none'; sandbox",
				"Cross-Origin-Resource-Policy": "same-origin",
				"Cache-Control":                "private, no-cache",
				"Page-State":                   "",
			} {
				testkit.Want(t, header, got.Header.Get(header), want)
			}
		})
	}
}

func TestServeRefuses(t *testing.T) {
	x := newSite(t, newDir(t, t.TempDir()), upload.Options{})
	x.mux.Handle("/any/{id}", x.files.Serve())
	v, other := x.visitor(), x.visitor()
	v.mustSend("a.png", "\x89PNG\r\n\x1a\n")
	other.mustSend("b.png", "\x89PNG\r\n\x1a\n")
	without := other.Get("/files/" + strings.Repeat("0", 32))
	for name, test := range map[string]struct {
		visitor *visitor
		path    string
	}{
		"another visitor's":       {other, "/files/" + v.id},
		"a visitor who is new":    {x.visitor(), "/files/" + v.id},
		"in capitals":             {v, "/files/" + strings.ToUpper(v.id)},
		"cut off":                 {v, "/files/" + v.id[1:]},
		"with more":               {v, "/files/" + v.id + ".content"},
		"a path":                  {v, "/files/..%2f" + v.id[:2] + "%2f" + v.id + ".record"},
		"not a number":            {v, "/files/" + strings.Repeat("g", 32)},
		"none":                    {v, "/any/x"},
		"one that does not exist": {v, "/files/" + strings.Repeat("0", 32)},
	} {
		got := test.visitor.Get(test.path)
		testkit.Want(t, name, got.StatusCode, 404)
		testkit.Want(t, name+": the answer", got.Body, without.Body)
		testkit.Want(t, name+": caches", got.Header.Get("Cache-Control"), "no-store")
		testkit.Want(t, name+": cookies", len(got.Cookies()), 0)
	}
	testkit.Want(t, "POST", v.Call("POST", "/any/"+v.id).StatusCode, 405)

	plain := http.NewServeMux()
	plain.Handle("/files/{id}", x.files.Serve())
	x.Config.Handler = plain
	testkit.Want(t, "without the middleware", v.Get("/files/"+v.id).StatusCode, 500)
}

func TestServeOnceMore(t *testing.T) {
	x := newSite(t, newDir(t, t.TempDir()), upload.Options{})
	v, other := x.visitor(), x.visitor()
	v.mustSend("a.png", "\x89PNG\r\n\x1a\n")
	again := func(v *visitor, method string) testkit.Answer {
		r := v.Request(method, "/files/"+v.id, nil)
		r.Header.Set("If-None-Match", v.Get("/files/"+v.id).Header.Get("ETag"))
		return v.Send(r)
	}
	got := again(v, "GET")
	testkit.Want(t, "status", got.StatusCode, 304)
	testkit.Want(t, "body", got.Body, "")
	other.id = v.id
	r := other.Request("GET", "/files/"+v.id, nil)
	r.Header.Set("If-None-Match", `"`+v.id+`"`)
	testkit.Want(t, "somebody else", other.Send(r).StatusCode, 404)

	head := v.Send(v.Request("HEAD", "/files/"+v.id, nil))
	testkit.Want(t, "HEAD", head.StatusCode, 200)
	testkit.Want(t, "length", head.ContentLength, 8)
}

// What depends on who asks is for that visitor alone, also where no state is involved.
func TestAnswersAreTheVisitors(t *testing.T) {
	x := newSite(t, newDir(t, t.TempDir()), upload.Options{})
	v := x.visitor()
	v.mustSend("a.txt", "content")
	x.mux.HandleFunc("POST /only-save", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		if _, err := x.files.Save(r.Context(), "b.txt", r.Body); err != nil {
			t.Error(err)
		}
	})
	saved := v.Send(v.Request("POST", "/only-save", strings.NewReader("content")))
	testkit.Want(t, "Cache-Control", saved.Header.Get("Cache-Control"), "private, no-cache")
	preview := v.Send(v.Request("GET", "/files/"+v.id, nil))
	testkit.WantText(t, "Vary of a preview", preview.Header.Get("Vary"), "Cookie")
}
