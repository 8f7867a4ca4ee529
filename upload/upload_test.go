package upload_test

// What the tests share: a site that takes files, and visitors who send them.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/upload"
)

// profile is the component of the tests.
type profile struct {
	pagestate.Component
	Title   string
	Picture *upload.File
	Others  []*upload.File `state:",optional"`
}

// site is a server that takes files.
type site struct {
	*httptest.Server
	t     *testing.T
	mw    *pagestate.Middleware
	files *upload.Files
	mux   *http.ServeMux
	log   *testkit.Log
	calls int
}

func newSite(t *testing.T, s upload.Store, o upload.Options) *site {
	t.Helper()
	return newSiteWith(t, s, o, pagestate.Options{})
}

func newSiteWith(t *testing.T, s upload.Store, o upload.Options, p pagestate.Options) *site {
	t.Helper()
	files, err := upload.New(s, o)
	if err != nil {
		t.Fatal(err)
	}
	registry := pagestate.NewRegistry()
	pagestate.Register[profile](registry, "profile")
	files.Register(registry, "upload")
	x := &site{t: t, files: files, mux: http.NewServeMux(), log: new(testkit.Log)}
	if p.Secrets == nil {
		p.Secrets = [][]byte{testkit.NewSecret()}
	}
	if p.Session == nil {
		p.Session = pagestate.Cookie(http.Cookie{Name: "session"})
	}
	p.Logger = slog.New(slog.NewTextHandler(x.log, nil))
	if x.mw, err = pagestate.New(registry, p); err != nil {
		t.Fatal(err)
	}
	x.mux.Handle("POST /save", pagestate.HandlePage(x.save))
	x.mux.Handle("POST /read", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, p *profile) error {
		return copyFile(w, r, p.Picture)
	}))
	x.mux.Handle("GET /files/{id}", files.Serve())
	x.Server = httptest.NewServer(testkit.Authenticated(x.mw.Handler(x.mux)))
	t.Cleanup(x.Close)
	return x
}

// save takes one file, and answers with a token that refers to it.
func (x *site) save(w http.ResponseWriter, r *http.Request) error {
	parts, err := r.MultipartReader()
	if err != nil {
		return err
	}
	part, err := parts.NextPart()
	if err != nil {
		return err
	}
	p := new(profile)
	if p.Picture, err = x.files.Save(r.Context(), part.FileName(), part); err != nil {
		return err
	}
	return show(w, r, p)
}

// show attaches the state, and answers with its token and the file's id.
func show(w http.ResponseWriter, r *http.Request, p *profile) error {
	if err := pagestate.Attach(r.Context(), p); err != nil {
		return err
	}
	field, err := p.StateField()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s\n%s", p.Picture.ID, field)
	return nil
}

func copyFile(w io.Writer, r *http.Request, file *upload.File) error {
	content, err := file.Open(r.Context())
	if err != nil {
		return err
	}
	defer content.Close()
	_, err = io.Copy(w, content)
	return err
}

// visitor is a browser with a page of the site.
type visitor struct {
	*testkit.Browser
	site  *site
	user  string
	token string
	id    string
}

func (x *site) visitor() *visitor {
	v := &visitor{site: x}
	v.Browser = testkit.NewBrowser(x.t, func() string { return v.site.URL })
	return v
}

// send sends a file as the form does.
func (v *visitor) send(name string, content io.Reader) testkit.Answer {
	v.site.t.Helper()
	head, tail, contentType := form(name)
	r := v.Request("POST", "/save", io.MultiReader(bytes.NewReader(head), content, bytes.NewReader(tail)))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("User", v.user)
	answer := v.Send(r)
	if answer.StatusCode == http.StatusOK {
		v.token, v.id = answer.Field(), strings.Split(answer.Body, "\n")[0]
	}
	return answer
}

// mustSend sends a file that is taken.
func (v *visitor) mustSend(name, content string) {
	v.site.t.Helper()
	if answer := v.send(name, strings.NewReader(content)); answer.StatusCode != http.StatusOK {
		v.site.t.Fatalf("saving: %d %s\n%s", answer.StatusCode, answer.Body, v.site.log)
	}
}

// form returns what stands around a file in a multipart form. The browser claims that
// it is a picture.
func form(name string) (head, tail []byte, contentType string) {
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	_, _ = m.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="` + name + `"`},
		"Content-Type":        {"image/png"},
	})
	head = bytes.Clone(body.Bytes())
	body.Reset()
	_ = m.Close()
	return head, body.Bytes(), m.FormDataContentType()
}

// read opens the file that the visitor's page refers to, in a handler.
func (v *visitor) read() testkit.Answer {
	v.site.t.Helper()
	r := v.Request("POST", "/read", nil)
	r.Header.Set("Page-State", v.token)
	r.Header.Set("User", v.user)
	return v.Send(r)
}

// do runs h for a request of the visitor, with the token if it has one.
func (v *visitor) do(h func(w http.ResponseWriter, r *http.Request) error) testkit.Answer {
	v.site.t.Helper()
	v.site.calls++
	path := fmt.Sprintf("/do/%d", v.site.calls)
	v.site.mux.Handle("POST "+path, pagestate.HandlePage(h))
	r := v.Request("POST", path, nil)
	r.Header.Set("User", v.user)
	if v.token != "" {
		r.Header.Set("Page-State", v.token)
	}
	return v.Send(r)
}

// withFile runs h for the file that the visitor's page refers to, and wants no error
// but what h returns.
func (v *visitor) withFile(h func(r *http.Request, file *upload.File) error) error {
	v.site.t.Helper()
	var result error
	answer := v.do(func(w http.ResponseWriter, r *http.Request) error {
		p, err := pagestate.From[profile](r.Context())
		if err != nil {
			return err
		}
		result = h(r, p.Picture)
		return nil
	})
	testkit.Want(v.site.t, "status", answer.StatusCode, http.StatusOK)
	return result
}

// contentOf returns the regular files below dir.
func contentOf(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			name, err = filepath.Rel(dir, name)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// makeOld makes all files below dir older.
func makeOld(t *testing.T, dir string, by time.Duration) {
	t.Helper()
	for _, name := range contentOf(t, dir) {
		name = filepath.Join(dir, name)
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, time.Time{}, info.ModTime().Add(-by)); err != nil {
			t.Fatal(err)
		}
	}
}

// half is a reader that breaks off.
func half(err error) io.Reader {
	if err == nil {
		err = errBroken
	}
	return io.MultiReader(strings.NewReader(strings.Repeat("half", 1<<16)), failingReader{err})
}

var errBroken = errors.New("broken off")

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

const day = 24 * time.Hour

func TestOptions(t *testing.T) {
	for name, test := range map[string]struct {
		store upload.Store
		opt   upload.Options
		want  string
	}{
		"the usual":          {upload.Memory(), upload.Options{}, ""},
		"no store":           {nil, upload.Options{}, "needs a store"},
		"negative bytes":     {upload.Memory(), upload.Options{MaxBytes: -1}, "MaxBytes is negative"},
		"negative pending":   {upload.Memory(), upload.Options{MaxPending: -1}, "MaxPending is negative"},
		"negative age":       {upload.Memory(), upload.Options{MaxAge: -1}, "MaxAge is negative"},
		"a file never fits":  {upload.Memory(), upload.Options{MaxBytes: 2, MaxPending: 1}, "less than MaxBytes"},
		"more than one":      {upload.Memory(), upload.Options{MaxBytes: -1, MaxAge: -1}, "MaxAge is negative"},
		"a store that fails": {brokenStore{upload.Memory()}, upload.Options{}, "counting what is pending: broken off"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := upload.New(test.store, test.opt)
			testkit.Want(t, "fails", err != nil, test.want != "")
			if err != nil {
				testkit.WantText(t, "error", err.Error(), "pagestate: upload", test.want)
			}
		})
	}
}
