package upload_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pagestate/pagestate/internal/storetest"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/upload"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) upload.Store { return upload.Memory() })
}

func TestDir(t *testing.T) {
	storetest.Run(t, func(t *testing.T) upload.Store { return newDir(t, t.TempDir()) })
}

func newDir(t *testing.T, dir string) upload.Store {
	t.Helper()
	s, err := upload.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDirIsForItsProcessAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "uploads")
	s := newDir(t, dir)
	if err := s.Write(t.Context(), "pending/ab/x", strings.NewReader("text")); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{".": 0o700, "pending": 0o700, "pending/ab": 0o700, "pending/ab/x": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "mode of "+name, info.Mode().Perm(), mode)
	}
	_, err := upload.Dir(filepath.Join(dir, "pending", "\x00"))
	testkit.Want(t, "an error", err != nil, true)
}

// A link that somebody has put into the directory leads nowhere.
func TestDirStaysInside(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	s := newDir(t, dir)
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "kept")); err != nil {
		t.Skip(err)
	}
	if err := s.Write(t.Context(), "pending/ab/x", strings.NewReader("text")); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"kept/secret", "../" + filepath.Base(outside) + "/secret", outside + "/secret"} {
		_, _, opening := s.Open(t.Context(), key)
		for what, err := range map[string]error{
			"open":      opening,
			"write":     s.Write(t.Context(), key, strings.NewReader("text")),
			"copy from": s.Copy(t.Context(), key, "pending/ab/copy"),
			"copy to":   s.Copy(t.Context(), "pending/ab/x", key+".copy"),
			"remove":    s.Remove(t.Context(), key),
		} {
			testkit.Want(t, what+" "+key+": an error", err != nil, true)
		}
	}
	testkit.Want(t, "outside", strings.Join(contentOf(t, outside), " "), "secret")
}

// What goes to the log names no file.
func TestErrorsOfDirNameNoKey(t *testing.T) {
	dir := t.TempDir()
	x := newSite(t, newDir(t, dir), upload.Options{})
	v := x.visitor()
	v.mustSend("a.txt", "content")
	record := filepath.Join(dir, "pending", v.id[:2], v.id+".record")
	if err := os.Remove(record); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), record); err != nil {
		t.Skip(err)
	}
	testkit.Want(t, "status", v.read().StatusCode, 503)
	testkit.WantText(t, "log", x.log.String(), "looking for a file", "escapes")
	testkit.Want(t, "the id is in the log", strings.Contains(x.log.String(), v.id), false)
}
