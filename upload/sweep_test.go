package upload_test

import (
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/upload"
)

// What is used stays, and what is not goes, whichever way it is used.
func TestSweep(t *testing.T) {
	for name, test := range map[string]struct {
		use   func(v *visitor)
		stays bool
	}{
		"nobody asks":        {func(*visitor) {}, false},
		"the file is opened": {func(v *visitor) { v.read() }, true},
		"the preview is":     {func(v *visitor) { v.Get("/files/" + v.id) }, true},
		"the state is":       {func(v *visitor) { v.do(func(http.ResponseWriter, *http.Request) error { return nil }) }, true},
		"another visitor asks": {func(v *visitor) {
			other := v.site.visitor()
			other.id = v.id
			other.Get("/files/" + v.id)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			x := newSite(t, newDir(t, dir), upload.Options{MaxAge: 2 * day})
			v := x.visitor()
			v.mustSend("a.txt", "content")
			makeOld(t, dir, day+12*time.Hour)
			testkit.Want(t, "sweep", x.files.Sweep(t.Context()), nil)
			testkit.Want(t, "files", len(contentOf(t, dir)), 2)
			test.use(v)
			makeOld(t, dir, day)
			testkit.Want(t, "sweep", x.files.Sweep(t.Context()), nil)
			testkit.Want(t, "files", len(contentOf(t, dir)), map[bool]int{true: 2, false: 0}[test.stays])
			testkit.Want(t, "status", v.read().StatusCode, map[bool]int{true: 200, false: 410}[test.stays])
		})
	}
}

func TestSweepOfWhatNeverGrowsOld(t *testing.T) {
	dir := t.TempDir()
	x := newSite(t, newDir(t, dir), upload.Options{MaxAge: math.MaxInt64})
	v := x.visitor()
	v.mustSend("a.txt", "content")
	makeOld(t, dir, 365*day)
	testkit.Want(t, "sweep", x.files.Sweep(t.Context()), nil)
	testkit.Want(t, "status", v.read().StatusCode, 200)
}

// A page that refers to a swept file is stale, and an optional field is empty.
func TestSweptWhileAPageRefersToIt(t *testing.T) {
	dir := t.TempDir()
	x := newSite(t, newDir(t, dir), upload.Options{})
	v := x.visitor()
	v.mustSend("a.txt", "content")
	var optional string
	v.do(func(w http.ResponseWriter, r *http.Request) error {
		p, err := pagestate.From[profile](r.Context())
		if err != nil {
			return err
		}
		other := &profile{Others: []*upload.File{p.Picture, p.Picture}}
		if err := pagestate.Attach(r.Context(), other); err != nil {
			return err
		}
		optional, err = other.StateToken()
		return err
	})
	makeOld(t, dir, 2*day)
	testkit.Want(t, "sweep", x.files.Sweep(t.Context()), nil)
	answer := v.read()
	testkit.Want(t, "status", answer.StatusCode, 410)
	testkit.WantText(t, "answer", answer.Body, "StaleComponentState")
	v.token = optional
	answer = v.do(func(_ http.ResponseWriter, r *http.Request) error {
		p, err := pagestate.From[profile](r.Context())
		if err == nil {
			testkit.Want(t, "others", len(p.Others), 0)
		}
		return err
	})
	testkit.Want(t, "status", answer.StatusCode, 200)
}

// What a process has left half-way is never opened, and goes when it is an hour old.
func TestHalfFiles(t *testing.T) {
	for name, keeps := range map[string][]string{
		"nothing of it":               {},
		"the content, half":           {".content~X"},
		"the content":                 {".content"},
		"the record, half":            {".content", ".record~X"},
		"the record alone":            {".record"},
		"a record that was cut short": {".content", ".record"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			x := newSite(t, newDir(t, dir), upload.Options{})
			v := x.visitor()
			v.mustSend("a.txt", "content")
			stem := filepath.Join(dir, "pending", v.id[:2], v.id)
			texts := make(map[string][]byte)
			for _, suffix := range []string{".content", ".record"} {
				text, err := os.ReadFile(stem + suffix)
				if err != nil {
					t.Fatal(err)
				}
				texts[suffix] = text
				if err := os.Remove(stem + suffix); err != nil {
					t.Fatal(err)
				}
			}
			for _, suffix := range keeps {
				text := texts[strings.TrimSuffix(suffix, "~X")]
				if strings.HasSuffix(suffix, "~X") || strings.HasPrefix(name, "a record") && suffix == ".record" {
					text = text[:len(text)/2]
				}
				if err := os.WriteFile(stem+suffix, text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			testkit.Want(t, "preview", v.Get("/files/"+v.id).StatusCode, 404)
			testkit.Want(t, "page", v.read().StatusCode == 200, false)
			testkit.Want(t, "sweep", x.files.Sweep(t.Context()), nil)
			testkit.Want(t, "files while they are young", len(contentOf(t, dir)), len(keeps))
			makeOld(t, dir, 59*time.Minute)
			testkit.Want(t, "sweep", x.files.Sweep(t.Context()), nil)
			testkit.Want(t, "files in an hour", len(contentOf(t, dir)), len(keeps))
			makeOld(t, dir, day+2*time.Hour)
			testkit.Want(t, "sweep", x.files.Sweep(t.Context()), nil)
			testkit.Want(t, "left", strings.Join(contentOf(t, dir), " "), "")
		})
	}
}

// Strangers in the directory are left alone.
func TestSweepKnowsItsFiles(t *testing.T) {
	dir := t.TempDir()
	x := newSite(t, newDir(t, dir), upload.Options{})
	names := []string{"README", "pending/.DS_Store", "pending/ab/notes.content", "pending/ab/00112233445566778899aabbccddeeff.content"}
	for _, name := range names {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	makeOld(t, dir, 30*day)
	testkit.Want(t, "sweep", x.files.Sweep(t.Context()), nil)
	testkit.Want(t, "left", len(contentOf(t, dir)), len(names))
}

// A process that ends while it writes leaves half a file.
func TestAServerThatDiesHalfWay(t *testing.T) {
	if dir := os.Getenv(dyingDir); dir != "" {
		x := newSite(t, newDir(t, dir), upload.Options{})
		x.visitor().send("a.txt", dyingReader{})
		t.Fatal("it lives")
	}
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestAServerThatDiesHalfWay$")
	cmd.Env = append(os.Environ(), dyingDir+"="+dir)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != dyingStatus {
		t.Fatalf("%v: %s", err, out)
	}
	left := contentOf(t, dir)
	testkit.Want(t, "left", len(left), 1)
	testkit.WantText(t, "left", left[0], ".content~")

	x := newSite(t, newDir(t, dir), upload.Options{})
	id, _, _ := strings.Cut(filepath.Base(left[0]), ".")
	testkit.Want(t, "preview", x.visitor().Get("/files/"+id).StatusCode, 404)
	makeOld(t, dir, 2*time.Hour)
	testkit.Want(t, "sweep", x.files.Sweep(t.Context()), nil)
	testkit.Want(t, "left", strings.Join(contentOf(t, dir), " "), "")
}

const (
	dyingDir    = "PAGESTATE_UPLOAD_DYING"
	dyingStatus = 42
)

// dyingReader ends the process as soon as half a file is there.
type dyingReader struct{}

func (dyingReader) Read(b []byte) (int, error) {
	halves, _ := filepath.Glob(filepath.Join(os.Getenv(dyingDir), "pending", "*", "*~*"))
	for _, half := range halves {
		if info, err := os.Stat(half); err == nil && info.Size() > 0 {
			os.Exit(dyingStatus)
		}
	}
	clear(b)
	return len(b), nil
}
