package bench_test

// This file measures a form that sends a file of 1 MiB: from the request to a copy in
// memory or in a directory.

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/upload"
)

const fileSize = 1 << 20

// profile is the state of a page with a picture.
type profile struct {
	Name    string
	Picture *upload.File `state:",optional"`
}

func BenchmarkUpload(b *testing.B) {
	// With hardly anything in memory the collector gives back to the system what the
	// next file needs again.
	others := make([]byte, 16*fileSize)
	defer runtime.KeepAlive(others)
	for _, u := range uploads(b) {
		b.Run(u.name, func(b *testing.B) {
			for range 8 {
				u.sent(b)
			}
			b.ReportAllocs()
			for b.Loop() {
				u.sent(b)
			}
		})
	}
}

// fileForm is a form with a file, and what answers it.
type fileForm struct {
	name    string
	handler http.Handler
	request *http.Request
	body    []byte
	kept    func() int64 // returns how many bytes were kept of the file, and removes them
}

func uploads(tb testing.TB) []*fileForm {
	tb.Helper()
	return []*fileForm{
		copyToMemory(tb, "to=memory/impl=bare"),
		pagestateUpload(tb, "to=memory/impl=pagestate", upload.Memory(), saveParsed),
		pagestateUpload(tb, "to=memory/impl=pagestate-stream", upload.Memory(), saveStream),
		copyToFile(tb, "to=file/impl=bare", false),
		copyToFile(tb, "to=file/impl=bare-Sync", true),
		pagestateUpload(tb, "to=file/impl=pagestate", newDir(tb), saveParsed),
		pagestateUpload(tb, "to=file/impl=pagestate-stream", newDir(tb), saveStream),
	}
}

// copyToMemory is what a program does that keeps files in memory by itself.
func copyToMemory(tb testing.TB, name string) *fileForm {
	tb.Helper()
	var kept []byte
	h := copying(func(content io.Reader) (err error) {
		kept, err = io.ReadAll(content)
		return err
	})
	return newFileForm(tb, name, h, "", func() int64 { return int64(len(kept)) })
}

// copyToFile is what a program does that keeps files in a directory by itself. With
// sync it waits until the disk has them, as upload.Dir does.
func copyToFile(tb testing.TB, name string, sync bool) *fileForm {
	tb.Helper()
	dir := tb.TempDir()
	h := copying(func(content io.Reader) error {
		file, err := os.CreateTemp(dir, "")
		if err != nil {
			return err
		}
		defer file.Close()
		if _, err := io.Copy(file, content); err != nil {
			return err
		}
		if sync {
			return file.Sync()
		}
		return nil
	})
	return newFileForm(tb, name, h, "", func() (size int64) {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			tb.Error(err)
		}
		for _, name := range files {
			if info, err := os.Stat(name); err == nil {
				size += info.Size()
			}
			if err := os.Remove(name); err != nil {
				tb.Error(err)
			}
		}
		return size
	})
}

// copying gives save the file that was sent.
func copying(save func(io.Reader) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := copyParsed(r, save); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w)
	})
}

func copyParsed(r *http.Request, save func(io.Reader) error) error {
	if err := r.ParseMultipartForm(2 * fileSize); err != nil {
		return err
	}
	content, _, err := r.FormFile("picture")
	if err != nil {
		return err
	}
	defer content.Close()
	return save(content)
}

// pagestateUpload saves the file with package upload, for a state that refers to it.
func pagestateUpload(tb testing.TB, name string, to upload.Store, save func(*upload.Files, *http.Request) (*upload.File, error)) *fileForm {
	tb.Helper()
	store := &writtenStore{Store: to}
	files, err := upload.New(store, upload.Options{MaxPending: 1 << 50}) // none is swept
	if err != nil {
		tb.Fatal(err)
	}
	registry := pagestate.NewRegistry()
	files.Register(registry, "upload")
	pagestate.Register[profile](registry, "profile")
	m, err := pagestate.New(registry, pagestate.Options{Secrets: [][]byte{secret}, Session: boundByCookie()})
	if err != nil {
		tb.Fatal(err)
	}
	var saved *upload.File
	h := m.Handler(pagestate.Handle(func(w http.ResponseWriter, r *http.Request, p *profile) error {
		var err error
		if p.Picture, err = save(files, r); err != nil {
			return err
		}
		saved = p.Picture
		if _, err := pagestate.Token(r.Context(), p); err != nil {
			return err
		}
		return answer(w)
	}))
	f := newFileForm(tb, name, h, seal(tb, m, &profile{Name: "Robin"}), func() int64 {
		store.removeAll(tb)
		return saved.Size
	})
	f.request.AddCookie(&http.Cookie{Name: "session", Value: owner.Session})
	return f
}

func newDir(tb testing.TB) upload.Store {
	tb.Helper()
	dir, err := upload.Dir(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

// saveParsed is for a form that is parsed before.
func saveParsed(files *upload.Files, r *http.Request) (*upload.File, error) {
	if err := r.ParseMultipartForm(2 * fileSize); err != nil {
		return nil, err
	}
	_, header, err := r.FormFile("picture")
	if err != nil {
		return nil, err
	}
	return files.SaveForm(r.Context(), header)
}

// saveStream saves the file while it is read.
func saveStream(files *upload.Files, r *http.Request) (*upload.File, error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, err
	}
	for {
		part, err := parts.NextPart()
		if err != nil {
			return nil, err
		}
		if part.FileName() != "" {
			return files.Save(r.Context(), part.FileName(), part)
		}
	}
}

// writtenStore knows what was written to it.
type writtenStore struct {
	upload.Store
	keys []string
}

func (s *writtenStore) Write(ctx context.Context, key string, content io.Reader) error {
	s.keys = append(s.keys, key)
	return s.Store.Write(ctx, key, content)
}

func (s *writtenStore) removeAll(tb testing.TB) {
	for _, key := range s.keys {
		if err := s.Remove(tb.Context(), key); err != nil {
			tb.Error(err)
		}
	}
	s.keys = s.keys[:0]
}

// newFileForm sends a token, if there is one, and a file behind it.
func newFileForm(tb testing.TB, name string, h http.Handler, token string, kept func() int64) *fileForm {
	tb.Helper()
	content := make([]byte, fileSize)
	rand.NewChaCha8([32]byte{}).Read(content)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if err := form.WriteField("page_state", token); err != nil {
		tb.Fatal(err)
	}
	part, err := form.CreateFormFile("picture", "me.png")
	if err != nil {
		tb.Fatal(err)
	}
	part.Write(content)
	form.Close()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "/picture", nil)
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.ContentLength = int64(body.Len())
	return &fileForm{name, h, r, body.Bytes(), kept}
}

// sent sends the form once. What was kept is removed again, which does not count.
func (f *fileForm) sent(tb testing.TB) {
	r := f.request.WithContext(tb.Context())
	r.Body = io.NopCloser(bytes.NewReader(f.body))
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	if b, ok := tb.(*testing.B); ok {
		b.StopTimer()
		defer b.StartTimer()
	}
	if kept := f.kept(); w.Code != http.StatusOK || kept != fileSize {
		tb.Fatalf("%s: %d %s, %d bytes were kept", f.name, w.Code, w.Body, kept)
	}
}

// TestFilesArrive keeps the benchmarks from measuring error pages.
func TestFilesArrive(t *testing.T) {
	for _, u := range uploads(t) {
		u.sent(t)
		u.sent(t)
	}
}
