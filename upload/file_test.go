package upload_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/upload"
)

func TestAFileIsWhatWasSent(t *testing.T) {
	x := newSite(t, newDir(t, t.TempDir()), upload.Options{})
	png := "\x89PNG\r\n\x1a\n" + strings.Repeat("pixels", 1000)
	for name, test := range map[string]struct {
		sent, content, called, typ string
	}{
		"a picture":                {"me.png", png, "me.png", "image/png"},
		"one that is not":          {"me.png", "<!doctype html><script>alert(1)</script>", "me.png", "text/html; charset=utf-8"},
		"an empty file":            {"empty.txt", "", "empty.txt", "text/plain; charset=utf-8"},
		"one byte":                 {"a", "a", "a", "text/plain; charset=utf-8"},
		"just what is sniffed":     {"a", strings.Repeat("\x00", 512), "a", "application/octet-stream"},
		"a picture that is a page": {"a.svg", "<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "a.svg", "text/plain; charset=utf-8"},
		"a name that is a path":    {`../../etc/passwd`, "x", "passwd", "text/plain; charset=utf-8"},
	} {
		t.Run(name, func(t *testing.T) {
			v := x.visitor()
			v.mustSend(test.sent, test.content)
			testkit.Want(t, "the content is the same", v.read().Body == test.content, true)
			testkit.Want(t, "error", v.withFile(func(_ *http.Request, file *upload.File) error {
				testkit.Want(t, "name", file.Name, test.called)
				testkit.Want(t, "type", file.Type, test.typ)
				testkit.Want(t, "size", file.Size, int64(len(test.content)))
				testkit.Want(t, "id", file.ID, v.id)
				return nil
			}), nil)
		})
	}
}

// What was sent is still there in another process, with other secrets for the token.
func TestAFileOutlivesTheServer(t *testing.T) {
	dir, old, next := t.TempDir(), testkit.NewSecret(), testkit.NewSecret()
	x := newSiteWith(t, newDir(t, dir), upload.Options{}, pagestate.Options{Secrets: [][]byte{old}})
	v := x.visitor()
	v.mustSend("a.txt", "content")
	for _, secrets := range [][][]byte{{old}, {old, next}, {next, old}} {
		v.site = newSiteWith(t, newDir(t, dir), upload.Options{}, pagestate.Options{Secrets: secrets})
		testkit.Want(t, "content", v.read().Body, "content")
	}
	answer := v.do(func(w http.ResponseWriter, r *http.Request) error {
		p, err := pagestate.From[profile](r.Context())
		if err != nil {
			return err
		}
		p.Title = "so that it is sealed again"
		return copyFile(w, r, p.Picture)
	})
	v.token = answer.Token()
	v.site = newSiteWith(t, newDir(t, dir), upload.Options{}, pagestate.Options{Secrets: [][]byte{next}})
	testkit.Want(t, "without the old secret", v.read().Body, "content")
}

func TestAFileThatWasNotTaken(t *testing.T) {
	const most = 1 << 20
	for name, test := range map[string]struct {
		store   func(upload.Store) upload.Store
		opt     upload.Options
		content io.Reader
		status  int
		code    string
	}{
		"as much as is allowed":    {nil, upload.Options{MaxBytes: most}, bytes.NewReader(make([]byte, most)), 200, ""},
		"a byte more":              {nil, upload.Options{MaxBytes: most}, bytes.NewReader(make([]byte, most+1)), 413, "StateTooLarge"},
		"far more":                 {nil, upload.Options{MaxBytes: most}, io.LimitReader(zeros{}, 20*most), 413, "StateTooLarge"},
		"less than is sniffed":     {nil, upload.Options{MaxBytes: 10}, strings.NewReader("eleven char"), 413, "StateTooLarge"},
		"more than may be pending": {nil, upload.Options{MaxBytes: most, MaxPending: most}, bytes.NewReader(make([]byte, most+1)), 413, "StateTooLarge"},
		"no room for the file":     {full(".content"), upload.Options{}, strings.NewReader("text"), 503, "StateUnavailable"},
		"no room for its record":   {full(".record"), upload.Options{}, strings.NewReader("text"), 503, "StateUnavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := newDir(t, dir)
			if test.store != nil {
				s = test.store(s)
			}
			answer := newSite(t, s, test.opt).visitor().send("a.txt", test.content)
			testkit.Want(t, "status", answer.StatusCode, test.status)
			if test.status != 200 {
				testkit.WantText(t, "answer", answer.Body, test.code)
				testkit.Want(t, "left", strings.Join(contentOf(t, dir), " "), "")
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func full(suffix string) func(upload.Store) upload.Store {
	return func(s upload.Store) upload.Store { return fullStore{s, suffix} }
}

func TestAVisitorWhoGoesAway(t *testing.T) {
	dir := t.TempDir()
	x := newSite(t, newDir(t, dir), upload.Options{})
	done := make(chan error, 1)
	x.mux.HandleFunc("POST /slow", func(w http.ResponseWriter, r *http.Request) {
		_, err := x.files.Save(r.Context(), "a.txt", r.Body)
		done <- err
	})
	r := x.visitor().Request("POST", "/slow", half(nil))
	if res, err := http.DefaultClient.Do(r); err == nil {
		res.Body.Close()
		t.Error("there was an answer")
	}
	err := <-done
	testkit.Want(t, "an error", err != nil, true)
	testkit.WantText(t, "error", err.Error(), "pagestate: reading a file that is sent")
	testkit.Want(t, "left", strings.Join(contentOf(t, dir), " "), "")
}

// What is left of the limit after each failure is what it was before.
func TestPendingIsGivenBack(t *testing.T) {
	const most = 1 << 20
	x := newSite(t, newDir(t, t.TempDir()), upload.Options{MaxBytes: most, MaxPending: most})
	v := x.visitor()
	for range 5 {
		testkit.Want(t, "too large", v.send("a", bytes.NewReader(make([]byte, most+1))).StatusCode, 413)
	}
	v.mustSend("a", strings.Repeat("x", most))
	testkit.Want(t, "no more", v.send("a", strings.NewReader("")).StatusCode, 503)
	testkit.WantText(t, "log", x.log.String(), "take all of MaxPending (1048576 bytes); see Files.Sweep")
}

func TestMillionsOfSmallFiles(t *testing.T) {
	dir := t.TempDir()
	x := newSite(t, newDir(t, dir), upload.Options{MaxBytes: 64 << 10, MaxPending: 64 << 10})
	v := x.visitor()
	for range 16 {
		v.mustSend("a", "a")
	}
	answer := v.send("a", strings.NewReader("a"))
	testkit.Want(t, "status", answer.StatusCode, 503)
	testkit.WantText(t, "answer", answer.Body, "StateUnavailable")
	testkit.Want(t, "files", len(contentOf(t, dir)), 2*16)

	// A new process counts what it finds.
	v.site = newSite(t, newDir(t, dir), upload.Options{MaxBytes: 64 << 10, MaxPending: 64 << 10})
	testkit.Want(t, "after a restart", v.send("a", strings.NewReader("a")).StatusCode, 503)
	makeOld(t, dir, 2*day)
	testkit.Want(t, "sweep", v.site.files.Sweep(t.Context()), nil)
	v.mustSend("a", "a")
}

func TestManySavesAtOnce(t *testing.T) {
	const limit = 8
	x := newSite(t, newDir(t, t.TempDir()), upload.Options{MaxBytes: 100 << 10, MaxPending: limit * 100 << 10})
	visitors := make([]*visitor, 2*limit)
	taken := make([]bool, len(visitors))
	var wg sync.WaitGroup
	for i := range visitors {
		visitors[i] = x.visitor()
		wg.Go(func() {
			taken[i] = visitors[i].send("a", bytes.NewReader(bytes.Repeat([]byte{byte(i)}, 100<<10))).StatusCode == 200
		})
	}
	wg.Wait()
	count := 0
	for i, v := range visitors {
		if taken[i] {
			count++
			testkit.Want(t, "the content is the same", v.read().Body == strings.Repeat(string(rune(i)), 100<<10), true)
		}
	}
	testkit.Want(t, "no more than the limit", count <= limit && count > 0, true)
}

func TestSaveForm(t *testing.T) {
	dir := t.TempDir()
	x := newSite(t, newDir(t, dir), upload.Options{MaxBytes: 1000})
	for name, test := range map[string]struct {
		size, status int
	}{"small": {1000, 200}, "large": {1001, 413}} {
		head, tail, contentType := form("a.txt")
		r, err := http.NewRequest("POST", "/", io.MultiReader(bytes.NewReader(head), bytes.NewReader(make([]byte, test.size)), bytes.NewReader(tail)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", contentType)
		if err := r.ParseMultipartForm(0); err != nil { // so that the file is on disk
			t.Fatal(err)
		}
		answer := x.visitor().do(func(_ http.ResponseWriter, r2 *http.Request) error {
			file, err := x.files.SaveForm(r2.Context(), r.MultipartForm.File["file"][0])
			if err == nil {
				testkit.Want(t, "size", file.Size, int64(test.size))
				testkit.Want(t, "name", file.Name, "a.txt")
			}
			return err
		})
		testkit.Want(t, name, answer.StatusCode, test.status)
		_ = r.MultipartForm.RemoveAll()
	}
	_, err := x.files.SaveForm(t.Context(), &multipart.FileHeader{Filename: "a"})
	testkit.Want(t, "an error", err != nil, true)
	testkit.Want(t, "files", len(contentOf(t, dir)), 2)
}

// Whoever is not the owner gets what he would get if the file did not exist.
func TestAFileIsItsOwnersAlone(t *testing.T) {
	secret := testkit.NewSecret()
	user := func(r *http.Request) string { return testkit.UserOf(r.Context()) }
	x := newSiteWith(t, newDir(t, t.TempDir()), upload.Options{}, pagestate.Options{Secrets: [][]byte{secret}, User: user})
	v := x.visitor()
	v.user = "ada"
	v.mustSend("a.txt", "hers")

	// A token can only be forged with the secret. It is of another owner then.
	forge := func(v *visitor, id string) {
		r := v.Request("GET", "/", nil)
		for _, c := range v.Jar.Cookies(r.URL) {
			r.AddCookie(c)
		}
		o, err := x.mw.Owner(r.WithContext(testkit.WithUser(t.Context(), v.user)))
		if err != nil {
			t.Fatal(err)
		}
		if v.token, err = x.mw.Seal(o, &profile{Picture: &upload.File{ID: id}}); err != nil {
			t.Fatal(err)
		}
	}
	forge(v, v.id)
	testkit.Want(t, "her own", v.read().Body, "hers")

	for name, prepare := range map[string]func(other *visitor){
		"another session": func(other *visitor) { other.mustSend("b.txt", "his") },
		"another user": func(other *visitor) {
			other.Jar = v.Jar
			other.user = "bob"
		},
		"nobody": func(other *visitor) {
			other.Jar = v.Jar
			other.user = ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			other := x.visitor()
			other.user = v.user
			prepare(other)
			forge(other, v.id)
			answer := other.read()
			testkit.Want(t, "status", answer.StatusCode, 410)
			r := other.Request("GET", "/files/"+v.id, nil)
			r.Header.Set("User", other.user)
			testkit.Want(t, "preview", other.Send(r).StatusCode, 404)

			forge(other, strings.Repeat("0", 31)+"1")
			testkit.Want(t, "as one that is not there", other.read().Body, answer.Body)
		})
	}
}

// Opening looks again: the owner may have changed since the file was found.
func TestOpenLooksAgain(t *testing.T) {
	dir := t.TempDir()
	x := newSite(t, newDir(t, dir), upload.Options{})
	for name, test := range map[string]struct {
		meanwhile func(w http.ResponseWriter, r *http.Request) error
		want      error
	}{
		"nothing": {func(http.ResponseWriter, *http.Request) error { return nil }, nil},
		"a logout": {func(w http.ResponseWriter, r *http.Request) error {
			return x.mw.Renew(w, r)
		}, pagestate.ErrStale},
		"swept": {func(_ http.ResponseWriter, r *http.Request) error {
			makeOld(t, dir, 2*day)
			return x.files.Sweep(r.Context())
		}, fs.ErrNotExist},
		"cut off": {func(http.ResponseWriter, *http.Request) error {
			for _, name := range contentOf(t, dir) {
				if strings.HasSuffix(name, ".content") {
					if err := os.Truncate(filepath.Join(dir, name), 3); err != nil {
						return err
					}
				}
			}
			return nil
		}, fs.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			v := x.visitor()
			v.mustSend("a.txt", "content")
			var body bytes.Buffer
			v.do(func(w http.ResponseWriter, r *http.Request) error {
				p, err := pagestate.From[profile](r.Context())
				if err != nil {
					t.Error(err)
					return err
				}
				if err := test.meanwhile(w, r); err != nil {
					t.Error(err)
				}
				err = copyFile(&body, r, p.Picture)
				testkit.Want(t, "error", errors.Is(err, test.want), true)
				return nil
			})
			testkit.Want(t, "content", body.String(), map[bool]string{true: "content"}[test.want == nil])
		})
	}
}

func TestAdopt(t *testing.T) {
	x := newSite(t, newDir(t, t.TempDir()), upload.Options{})
	login := func(v *visitor, adopt bool) testkit.Answer {
		return v.do(func(w http.ResponseWriter, r *http.Request) error {
			p, err := pagestate.From[profile](r.Context())
			if err != nil {
				return err
			}
			if err := x.mw.Renew(w, r); err != nil {
				return err
			}
			if adopt {
				if err := x.files.Adopt(r.Context(), p.Picture); err != nil {
					return err
				}
				if err := copyFile(io.Discard, r, p.Picture); err != nil {
					return err
				}
			}
			return show(w, r, p)
		})
	}
	for _, adopt := range []bool{false, true} {
		v := x.visitor()
		v.mustSend("a.txt", "content")
		before := *v
		before.Browser = x.visitor().Browser
		before.Jar.SetCookies(v.Request("GET", "/", nil).URL, v.Jar.Cookies(v.Request("GET", "/", nil).URL))
		v.token = login(v, adopt).Field()
		testkit.Want(t, "afterwards", v.read().StatusCode, map[bool]int{false: 410, true: 200}[adopt])
		testkit.Want(t, "with the old session", before.read().StatusCode, map[bool]int{false: 200, true: 410}[adopt])
	}
}

// Adopt is for who had the file. An id alone is nothing.
func TestAdoptIsNoWayToAFile(t *testing.T) {
	x := newSite(t, newDir(t, t.TempDir()), upload.Options{})
	v, thief := x.visitor(), x.visitor()
	v.mustSend("a.txt", "hers")
	thief.mustSend("b.txt", "his")
	for name, file := range map[string]*upload.File{
		"made up":  {ID: v.id},
		"no id":    {},
		"unknown":  {ID: strings.Repeat("a", 32)},
		"no hex":   {ID: strings.Repeat("g", 32)},
		"capitals": {ID: strings.ToUpper(v.id)},
	} {
		err := thief.withFile(func(r *http.Request, _ *upload.File) error { return x.files.Adopt(r.Context(), file) })
		testkit.Want(t, name+": gone", errors.Is(err, fs.ErrNotExist), true)
	}
	err := thief.withFile(func(r *http.Request, own *upload.File) error {
		changed := *own
		changed.ID = v.id
		return errors.Join(x.files.Adopt(r.Context(), &changed), copyFile(io.Discard, r, &changed), x.files.Keep(r.Context(), &changed, "a"))
	})
	testkit.Want(t, "an id put into one's own", len(err.(interface{ Unwrap() []error }).Unwrap()), 3)
	testkit.Want(t, "hers", v.read().Body, "hers")
}

func TestKeep(t *testing.T) {
	dir := t.TempDir()
	s := newDir(t, dir)
	x := newSite(t, s, upload.Options{})
	v := x.visitor()
	v.mustSend("me.jpg", "first")
	keep := func(name string) error {
		return v.withFile(func(r *http.Request, file *upload.File) error { return x.files.Keep(r.Context(), file, name) })
	}
	testkit.Want(t, "keep", keep("avatars/7.jpg"), nil)
	testkit.Want(t, "it goes on working", v.read().Body, "first")
	testkit.Want(t, "under a second name", keep("avatars/8.jpg"), nil)
	testkit.Want(t, "the same again", errors.Is(keep("avatars/7.jpg"), fs.ErrExist), true)
	v.mustSend("other.jpg", "second")
	testkit.Want(t, "another under its name", errors.Is(keep("avatars/7.jpg"), fs.ErrExist), true)
	for _, name := range []string{"", ".", "..", "/etc/passwd", "../x", "a/../b", "a//b", "a/", `a\b`, "a\x00b", "a\r\nb", "avatars/7.jpg/x", strings.Repeat("x", 300)} {
		testkit.Want(t, "keep as "+name+": an error", keep(name) != nil, true)
	}

	makeOld(t, dir, 30*day)
	testkit.Want(t, "sweep", x.files.Sweep(t.Context()), nil)
	testkit.Want(t, "left", strings.Join(contentOf(t, dir), " "), "kept/avatars/7.jpg kept/avatars/8.jpg")
	content, err := os.ReadFile(filepath.Join(dir, "kept/avatars/7.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "content", string(content), "first")
	testkit.Want(t, "the page", v.read().StatusCode, 410)
}

func TestKeepOfManyAtOnce(t *testing.T) {
	x := newSite(t, newDir(t, t.TempDir()), upload.Options{})
	var wg sync.WaitGroup
	results := make(chan int, 8)
	x.mux.Handle("POST /keep", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, p *profile) error {
		err := x.files.Keep(r.Context(), p.Picture, "one")
		if errors.Is(err, fs.ErrExist) {
			return pagestate.ErrConflict
		}
		return err
	}))
	for range cap(results) {
		v := x.visitor()
		v.mustSend("a", "a")
		wg.Go(func() { results <- v.Call("POST", "/keep", v.token).StatusCode })
	}
	wg.Wait()
	close(results)
	kept := 0
	for status := range results {
		if status == 200 {
			kept++
		} else {
			testkit.Want(t, "status", status, 409)
		}
	}
	testkit.Want(t, "kept", kept, 1)
}

func TestAStoreThatDoesNotAnswer(t *testing.T) {
	s := &switchedStore{Store: upload.Memory()}
	x := newSite(t, s, upload.Options{})
	v := x.visitor()
	v.mustSend("a.txt", "content")
	s.broken.Store(true)
	testkit.Want(t, "save", v.send("a.txt", strings.NewReader("text")).StatusCode, 503)
	testkit.Want(t, "read", v.read().StatusCode, 503)
	testkit.Want(t, "preview", v.Get("/files/"+v.id).StatusCode, 503)
	testkit.Want(t, "sweep: an error", x.files.Sweep(t.Context()) != nil, true)
	s.broken.Store(false)
	err := v.withFile(func(r *http.Request, file *upload.File) error {
		s.broken.Store(true)
		defer s.broken.Store(false)
		_, opening := file.Open(r.Context())
		for what, err := range map[string]error{
			"open": opening, "keep": x.files.Keep(r.Context(), file, "a"), "adopt": x.files.Adopt(r.Context(), file),
		} {
			testkit.Want(t, what+": unavailable", errors.Is(err, pagestate.ErrUnavailable), true)
		}
		return nil
	})
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "again", v.read().Body, "content")
	if strings.Contains(x.log.String(), v.id) {
		t.Errorf("the id is in the log: %s", x.log)
	}
}

func TestWithoutTheMiddleware(t *testing.T) {
	files, err := upload.New(upload.Memory(), upload.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = files.Save(t.Context(), "a", strings.NewReader("a"))
	testkit.Want(t, "save", errors.Is(err, pagestate.ErrNoMiddleware), true)
	testkit.Want(t, "adopt", errors.Is(files.Adopt(t.Context(), new(upload.File)), pagestate.ErrNoMiddleware), true)
	testkit.Want(t, "keep", errors.Is(files.Keep(t.Context(), new(upload.File), "a"), pagestate.ErrNoMiddleware), true)
	_, err = new(upload.File).Open(t.Context())
	testkit.WantText(t, "open", err.Error(), "neither from Save nor from a state")
}

// Without a session nobody can be told from others, except by name.
func TestUnbound(t *testing.T) {
	user := func(r *http.Request) string { return testkit.UserOf(r.Context()) }
	x := newSiteWith(t, upload.Memory(), upload.Options{}, pagestate.Options{Session: pagestate.Unbound(), User: user})
	nobody, ada, bob := x.visitor(), x.visitor(), x.visitor()
	ada.user, bob.user = "ada", "bob"
	testkit.Want(t, "nobody", nobody.send("a.txt", strings.NewReader("text")).StatusCode, 500)
	testkit.WantText(t, "log", x.log.String(), "with Unbound a visitor who is not logged in cannot be told from others")
	ada.mustSend("a.txt", "hers")
	testkit.Want(t, "ada", ada.read().Body, "hers")
	for _, other := range []*visitor{nobody, bob} {
		r := other.Request("GET", "/files/"+ada.id, nil)
		r.Header.Set("User", other.user)
		testkit.Want(t, "preview for "+other.user, other.Send(r).StatusCode, 404)
	}
}

// A form on another site starts no session here, and leaves no file.
func TestAnotherSite(t *testing.T) {
	dir := t.TempDir()
	x := newSite(t, newDir(t, dir), upload.Options{})
	head, tail, contentType := form("a.txt")
	v := x.visitor()
	r := v.Request("POST", "/save", io.MultiReader(bytes.NewReader(head), strings.NewReader("text"), bytes.NewReader(tail)))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	testkit.Want(t, "status", v.Send(r).StatusCode, 403)
	testkit.Want(t, "left", strings.Join(contentOf(t, dir), " "), "")
}

// What is opened without a request is opened for the owner of the token.
func TestATokenWithoutARequest(t *testing.T) {
	x := newSite(t, upload.Memory(), upload.Options{})
	v := x.visitor()
	v.mustSend("a.txt", "content")
	r := v.Request("GET", "/", nil)
	for _, c := range v.Jar.Cookies(r.URL) {
		r.AddCookie(c)
	}
	o, err := x.mw.Owner(r)
	if err != nil {
		t.Fatal(err)
	}
	state, err := x.mw.Open(t.Context(), o, v.token)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "name", state.(*profile).Picture.Name, "a.txt")
	other := pagestate.Owner{Session: "another", User: o.User}
	token, err := x.mw.Seal(other, state)
	if err != nil {
		t.Fatal(err)
	}
	_, err = x.mw.Open(t.Context(), other, token)
	testkit.Want(t, "stale", errors.Is(err, pagestate.ErrStale), true)
}

// Whoever can read the store learns nothing of whose the files are.
func TestStoreDoesNotSayWhose(t *testing.T) {
	dir := t.TempDir()
	x := newSiteWith(t, newDir(t, dir), upload.Options{}, pagestate.Options{
		User: func(r *http.Request) string { return testkit.UserOf(r.Context()) },
	})
	v := x.visitor()
	v.user = "ada.lovelace@example.com"
	v.mustSend("a.txt", "content")
	session := v.Jar.Cookies(v.Request("GET", "/", nil).URL)[0].Value
	for _, name := range contentOf(t, dir) {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for what, text := range map[string]string{"session": session, "user": v.user} {
			testkit.Want(t, name+" names the "+what, strings.Contains(name+string(content), text), false)
		}
	}
}
