package integration_test

// The code of docs/files.md: a form with a picture, and what becomes of it.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/form"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
	"github.com/pagestate/pagestate/upload"
)

// Membership is what somebody fills in who joins.
type Membership struct {
	pagestate.Component
	Name    string       `state:"name,public"`
	Picture *upload.File `state:",optional"` // nil if it was swept
	Errors  form.Errors
}

var membershipPage = template.Must(template.New("").Parse(`<!doctype html><title>Join</title>
<form method="post" action="/join" enctype="multipart/form-data">{{.StateField}}
	<label for="name">Your name</label>
	<input id="name" name="name" value="{{.Name}}"
		{{with .Errors.name}}aria-invalid="true" aria-describedby="name-error"{{end}}>
	{{with .Errors.name}}<p id="name-error">{{.}}</p>{{end}}

	<label for="picture">A picture</label>
	<input id="picture" name="picture" type="file" accept="image/png,image/jpeg"
		{{with .Errors.picture}}aria-invalid="true" aria-describedby="picture-error"{{end}}>
	{{with .Errors.picture}}<p id="picture-error">{{.}}</p>{{end}}
	{{with .Picture}}<p><img src="/files/{{.ID}}" alt="" width="80"> {{.Name}}, {{.Size}} bytes</p>{{end}}

	<button>Join</button>
</form>`))

// members is the part of the application that has files.
type members struct {
	mw    *pagestate.Middleware
	files *upload.Files
	names []string
}

func (s *members) join(w http.ResponseWriter, r *http.Request, m *Membership) error {
	if err := r.ParseMultipartForm(1 << 20); err != nil { // more than that goes to a temporary file
		return fmt.Errorf("%w: %w", pagestate.ErrInvalid, err)
	}
	var err error
	if m.Errors, err = form.Apply(m, r.PostForm, "name"); err != nil {
		return err
	}
	if err := s.takePicture(r, m); err != nil {
		return err
	}
	if m.Name == "" {
		m.Errors["name"] = "Tell us your name."
	}
	if len(m.Errors) > 0 {
		return showMembership(w, m, http.StatusUnprocessableEntity)
	}
	number := s.insert(m.Name)
	if m.Picture != nil {
		if err := s.files.Keep(r.Context(), m.Picture, fmt.Sprintf("members/%d", number)); err != nil {
			return err
		}
	}
	return pagestate.Redirect(w, r, "/welcome")
}

// takePicture keeps the picture that was sent, if one was. Without one, the picture
// that was sent before stays.
func (s *members) takePicture(r *http.Request, m *Membership) error {
	_, header, err := r.FormFile("picture")
	if errors.Is(err, http.ErrMissingFile) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", pagestate.ErrInvalid, err)
	}
	picture, err := s.files.SaveForm(r.Context(), header)
	switch {
	case errors.Is(err, pagestate.ErrTooLarge):
		m.Errors["picture"] = "Choose a picture of at most 10 MB."
	case err != nil:
		return err
	case picture.Type != "image/png" && picture.Type != "image/jpeg":
		m.Errors["picture"] = "Choose a PNG or a JPEG picture."
	default:
		m.Picture = picture
	}
	return nil
}

func showMembership(w http.ResponseWriter, m *Membership, status int) error {
	var page bytes.Buffer
	if err := membershipPage.Execute(&page, m); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, err := page.WriteTo(w)
	return err
}

func (s *members) insert(name string) int {
	s.names = append(s.names, name)
	return len(s.names)
}

// logIn gives the visitor a new session, and the picture along.
func (s *members) logIn(w http.ResponseWriter, r *http.Request, m *Membership) error {
	// check the password, save the login session, and then:
	r = r.WithContext(withUser(r.Context(), r.FormValue("user"))) // Renew asks Options.User about r
	if err := s.mw.Renew(w, r); err != nil {
		return err
	}
	if m.Picture != nil {
		if err := s.files.Adopt(r.Context(), m.Picture); err != nil {
			return err
		}
	}
	next := &Membership{Name: m.Name, Picture: m.Picture}
	if err := pagestate.Attach(r.Context(), next); err != nil {
		return err
	}
	return showMembership(w, next, http.StatusOK)
}

// sweep removes what nobody has used for a day, until ctx ends.
func sweep(ctx context.Context, files *upload.Files) {
	hourly := time.NewTicker(time.Hour)
	defer hourly.Stop()
	for {
		if err := files.Sweep(ctx); err != nil {
			slog.Error(err.Error())
		}
		select {
		case <-hourly.C:
		case <-ctx.Done():
			return
		}
	}
}

// stream takes a large file without writing it to a temporary one first.
func (s *members) stream(w http.ResponseWriter, r *http.Request, m *Membership) error {
	parts, err := r.MultipartReader()
	if err != nil {
		return fmt.Errorf("%w: %w", pagestate.ErrInvalid, err)
	}
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			return showMembership(w, m, http.StatusOK)
		}
		if err != nil {
			return err
		}
		if part.FormName() == "picture" && part.FileName() != "" {
			if m.Picture, err = s.files.Save(r.Context(), part.FileName(), part); err != nil {
				return err
			}
		}
	}
}

func newMembers(t *testing.T, store upload.Store) (*members, *app) {
	registry := pagestate.NewRegistry()
	pagestate.Register[Membership](registry, "membership")
	files, err := upload.New(store, upload.Options{
		MaxBytes:   10 << 20,       // of one file
		MaxPending: 5 << 30,        // of all together
		MaxAge:     24 * time.Hour, // as long as a token is good, or longer
	})
	if err != nil {
		t.Fatal(err)
	}
	files.Register(registry, "upload")
	a := newApp(t, registry, pagestate.Options{})
	mux := a.mux
	s := &members{mw: a.mw, files: files}
	mux.Handle("GET /files/{id}", files.Serve())
	mux.Handle("GET /join", pagestate.HandlePage(func(w http.ResponseWriter, r *http.Request) error {
		m, err := pagestate.FromOrAttach(r.Context(), &Membership{})
		if err != nil {
			return err
		}
		return showMembership(w, m, http.StatusOK)
	}))
	mux.Handle("POST /join", pagestate.Handle(s.join))
	mux.Handle("POST /login", pagestate.Handle(s.logIn))
	mux.Handle("POST /stream", pagestate.Handle(s.stream))
	mux.HandleFunc("GET /welcome", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "Welcome!") })
	return s, a
}

var picture = []byte("\x89PNG\r\n\x1a\n and its pixels")

func TestJoinWithAPicture(t *testing.T) {
	dir := t.TempDir()
	store, err := upload.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, a := newMembers(t, store)
	browser := pagestatetest.NewBrowser(t, a.Server)
	page := browser.Get("/join").Form("/join").File("picture", "me.png", picture).Submit()
	if page.StatusCode != 422 || !strings.Contains(page.Text, "me.png, 23 bytes") {
		t.Errorf("without a name: %d %s", page.StatusCode, page.Text)
	}
	testkit.WantText(t, "page", page.Text, "Tell us your name.")
	_, id, _ := strings.Cut(page.Text, `src="/files/`)
	id, _, _ = strings.Cut(id, `"`)
	testkit.Want(t, "preview", browser.Get("/files/"+id).Text, string(picture))
	stranger := pagestatetest.NewBrowser(t, a.Server)
	testkit.Want(t, "somebody else's preview", stranger.Get("/files/"+id).StatusCode, 404)

	page = page.Form("/join").File("picture", "page.png", []byte("<!doctype html>")).Submit()
	testkit.WantText(t, "page", page.Text, "Choose a PNG or a JPEG picture.", "me.png, 23 bytes")
	page = page.Form("/join").Fill("name", "Ada").File("picture", "large.png", make([]byte, 10<<20+1)).Submit()
	testkit.WantText(t, "page", page.Text, "Choose a picture of at most 10 MB.", `value="Ada"`, "me.png, 23 bytes")
	page = page.Form("/join").Submit()
	testkit.Want(t, "page", page.Text, "Welcome!")
	testkit.Want(t, "members", strings.Join(s.names, " "), "Ada")
	kept, err := os.ReadFile(filepath.Join(dir, "kept", "members", "1"))
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "kept", string(kept), string(picture))
}

func TestPictureAfterLogin(t *testing.T) {
	_, a := newMembers(t, upload.Memory())
	browser := pagestatetest.NewBrowser(t, a.Server)
	page := browser.Get("/join").Form("/join").File("picture", "me.png", picture).Submit()
	page = page.Call("POST", "/login", url.Values{"user": {"ada"}})
	testkit.Want(t, "status", page.StatusCode, 200)
	browser.Header.Set("User", "ada")
	_, id, _ := strings.Cut(page.Text, `src="/files/`)
	id, _, _ = strings.Cut(id, `"`)
	testkit.Want(t, "preview", browser.Get("/files/"+id).Text, string(picture))
	page = page.Form("/join").Submit()
	testkit.WantText(t, "page", page.Text, "me.png, 23 bytes")
}

func TestPictureThatIsStreamed(t *testing.T) {
	_, a := newMembers(t, upload.Memory())
	browser := pagestatetest.NewBrowser(t, a.Server)
	page := browser.Get("/join")
	r, err := http.NewRequest("POST", a.URL+"/stream", strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"picture\"; filename=\"me.png\"\r\n\r\n"+string(picture)+"\r\n--x--\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	r.Header.Set("Page-State", page.Tokens[0])
	testkit.WantText(t, "page", page.Do(r).Text, "me.png, 23 bytes")
}

func TestSweepOnATicker(t *testing.T) {
	s, _ := newMembers(t, upload.Memory())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	sweep(ctx, s.files) // sweeps once, and returns
}

func TestPictureThatIsTaken(t *testing.T) {
	s, a := newMembers(t, upload.Memory())
	for _, name := range []string{"Ada", "Bob"} {
		page := pagestatetest.NewBrowser(t, a.Server).Get("/join").Form("/join").Fill("name", name).File("picture", "me.png", picture).Submit()
		testkit.Want(t, "page", page.Text, "Welcome!")
	}
	s.names = nil // so that a number is given twice
	page := pagestatetest.NewBrowser(t, a.Server).Get("/join").Form("/join").Fill("name", "Eve").File("picture", "me.png", picture).Submit()
	testkit.Want(t, "status", page.StatusCode, 500)
	testkit.WantText(t, "log", a.log.String(), fs.ErrExist.Error())
}
