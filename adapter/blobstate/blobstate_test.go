package blobstate_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/adapter/blobstate"
	"github.com/pagestate/pagestate/internal/storetest"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/upload"
	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"
)

// buckets are of drivers that need no service.
var buckets = map[string]func(t *testing.T) *blob.Bucket{
	"memblob":  func(*testing.T) *blob.Bucket { return memblob.OpenBucket(nil) },
	"fileblob": openFiles,
	"prefixed": func(t *testing.T) *blob.Bucket { return blob.PrefixedBucket(openFiles(t), "shop/uploads/") },
}

func openFiles(t *testing.T) *blob.Bucket {
	b, err := fileblob.OpenBucket(t.TempDir(), &fileblob.Options{NoTempDir: true})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestStore(t *testing.T) {
	for name, open := range buckets {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) upload.Store {
				b := open(t)
				t.Cleanup(func() { b.Close() })
				return blobstate.New(b)
			})
		})
	}
}

// A file is sent, shown, kept, and what is in the bucket says nothing of its type.
func TestFilesInABucket(t *testing.T) {
	for name, open := range buckets {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			defer b.Close()
			files, err := upload.New(blobstate.New(b), upload.Options{MaxBytes: 1000})
			if err != nil {
				t.Fatal(err)
			}
			visitor := newVisitor(t, files)
			const content = "<!doctype html><script>alert(1)</script>"
			id := visitor.Send(visitor.Request("POST", "/save", strings.NewReader(content)))
			testkit.Want(t, "status", id.StatusCode, 200)
			got := visitor.Get("/files/" + id.Body)
			testkit.Want(t, "preview", got.Body, content)
			testkit.Want(t, "disposition", got.Header.Get("Content-Disposition"), "attachment; filename=a.html")

			attributes, err := b.Attributes(t.Context(), "kept/pages/1")
			if err != nil {
				t.Fatal(err)
			}
			testkit.Want(t, "type", attributes.ContentType, "application/octet-stream")
			again := visitor.Send(visitor.Request("POST", "/save", strings.NewReader(content)))
			testkit.Want(t, "under a name that is taken", again.StatusCode, 409)
			large := visitor.Send(visitor.Request("POST", "/save", strings.NewReader(strings.Repeat("x", 1001))))
			testkit.Want(t, "too large", large.StatusCode, 413)
			testkit.Want(t, "objects", countObjects(t, b), 2*2+1)
			testkit.Want(t, "sweep", files.Sweep(t.Context()), nil)
		})
	}
}

// newVisitor visits a site that saves what it is sent, and keeps it.
func newVisitor(t *testing.T, files *upload.Files) *testkit.Browser {
	registry := pagestate.NewRegistry()
	files.Register(registry, "upload")
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{testkit.NewSecret()},
		Session: pagestate.Cookie(http.Cookie{Name: "session"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /files/{id}", files.Serve())
	mux.Handle("POST /save", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
		file, err := files.Save(r.Context(), "a.html", r.Body)
		if err != nil {
			return err
		}
		if err := files.Keep(r.Context(), file, "pages/1"); err != nil {
			return errors.Join(pagestate.ErrConflict, err)
		}
		_, err = io.WriteString(w, file.ID)
		return err
	}))
	server := httptest.NewServer(mw.Handler(mux))
	t.Cleanup(server.Close)
	return testkit.NewBrowser(t, func() string { return server.URL })
}

func countObjects(t *testing.T, b *blob.Bucket) (n int) {
	for all := b.List(nil); ; n++ {
		if _, err := all.Next(t.Context()); err == io.EOF {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// What goes to the log names no file.
func TestErrorsNameNoKey(t *testing.T) {
	b := openFiles(t)
	s := blobstate.New(b)
	b.Close()
	const name = "00112233445566778899aabbccddeeff"
	_, _, opening := s.Open(t.Context(), "pending/00/"+name)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	live := blobstate.New(memblob.OpenBucket(nil))
	var listing error
	for _, err := range s.List(t.Context(), "pending/00/"+name) {
		listing = err
	}
	for what, err := range map[string]error{
		"open":   opening,
		"write":  s.Write(t.Context(), "pending/00/"+name, strings.NewReader("text")),
		"copy":   s.Copy(t.Context(), "pending/00/"+name, "kept/x"),
		"remove": s.Remove(t.Context(), "pending/00/"+name),
		"list":   listing,
		"ended":  live.Write(ended, "pending/00/"+name, strings.NewReader("text")),
	} {
		if err == nil || strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestNoBucket(t *testing.T) {
	defer func() { testkit.Want(t, "a panic", recover() != nil, true) }()
	blobstate.New(nil)
}
