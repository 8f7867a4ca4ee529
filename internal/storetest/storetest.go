// Package storetest has the tests that every upload.Store must pass.
package storetest

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/upload"
)

// Run tests the stores that newStore returns. They are empty.
func Run(t *testing.T, newStore func(t *testing.T) upload.Store) {
	for name, test := range map[string]func(*testing.T, upload.Store){
		"what was written is read":             written,
		"what is not there":                    missing,
		"a reader that fails leaves nothing":   failing,
		"a reader that fails keeps the former": failingOver,
		"a copy is never written over":         copied,
		"one of many copies succeeds":          copiedAtOnce,
		"a list is in order":                   listed,
	} {
		t.Run(name, func(t *testing.T) { test(t, newStore(t)) })
	}
}

func written(t *testing.T, s upload.Store) {
	before := time.Now().Add(-time.Minute)
	for _, content := range []string{"first", "", strings.Repeat("long ", 1<<20)} {
		if err := s.Write(t.Context(), "pending/ab/x.content", strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		r, item, err := s.Open(t.Context(), "pending/ab/x.content")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "the content is the same", string(got) == content, true)
		testkit.Want(t, "size", item.Size, int64(len(content)))
		testkit.Want(t, "key", item.Key, "pending/ab/x.content")
		testkit.Want(t, "it is new", item.Modified.After(before), true)
	}
}

func missing(t *testing.T, s upload.Store) {
	_, _, err := s.Open(t.Context(), "pending/ab/x")
	testkit.Want(t, "open: not there", errors.Is(err, fs.ErrNotExist), true)
	testkit.Want(t, "copy: not there", errors.Is(s.Copy(t.Context(), "pending/ab/x", "kept/x"), fs.ErrNotExist), true)
	testkit.Want(t, "remove", s.Remove(t.Context(), "pending/ab/x"), nil)
	testkit.Want(t, "list", strings.Join(keys(t, s, "pending/"), " "), "")
}

var errReading = errors.New("the client went away")

func half() io.Reader {
	return io.MultiReader(strings.NewReader(strings.Repeat("half", 1<<18)), readerFunc(func([]byte) (int, error) { return 0, errReading }))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func failing(t *testing.T, s upload.Store) {
	err := s.Write(t.Context(), "pending/ab/x", half())
	testkit.Want(t, "the reader's error", errors.Is(err, errReading), true)
	_, _, err = s.Open(t.Context(), "pending/ab/x")
	testkit.Want(t, "not there", errors.Is(err, fs.ErrNotExist), true)
	testkit.Want(t, "list", strings.Join(keys(t, s, "pending/"), " "), "")
}

func failingOver(t *testing.T, s upload.Store) {
	write(t, s, "pending/ab/x", "whole")
	testkit.Want(t, "the reader's error", errors.Is(s.Write(t.Context(), "pending/ab/x", half()), errReading), true)
	testkit.Want(t, "content", read(t, s, "pending/ab/x"), "whole")
}

func copied(t *testing.T, s upload.Store) {
	write(t, s, "pending/ab/x", "first")
	write(t, s, "pending/ab/y", "second")
	testkit.Want(t, "copy", s.Copy(t.Context(), "pending/ab/x", "kept/avatars/7.jpg"), nil)
	for _, from := range []string{"pending/ab/x", "pending/ab/y"} {
		testkit.Want(t, "taken", errors.Is(s.Copy(t.Context(), from, "kept/avatars/7.jpg"), fs.ErrExist), true)
	}
	if err := s.Remove(t.Context(), "pending/ab/x"); err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "content", read(t, s, "kept/avatars/7.jpg"), "first")
	testkit.Want(t, "list", strings.Join(keys(t, s, "pending/"), " "), "pending/ab/y")
}

func copiedAtOnce(t *testing.T, s upload.Store) {
	write(t, s, "pending/ab/x", "content")
	var wg sync.WaitGroup
	results := make(chan error, 8)
	for range cap(results) {
		wg.Go(func() { results <- s.Copy(context.Background(), "pending/ab/x", "kept/x") })
	}
	wg.Wait()
	close(results)
	succeeded := 0
	for err := range results {
		if err == nil {
			succeeded++
		} else if !errors.Is(err, fs.ErrExist) {
			t.Error(err)
		}
	}
	testkit.Want(t, "succeeded", succeeded, 1)
}

func listed(t *testing.T, s upload.Store) {
	for _, key := range []string{"pending/b0/2", "pending/ab/z.record", "kept/x", "pending/ab/z.content", "pending/b0/1"} {
		write(t, s, key, "text")
	}
	testkit.Want(t, "list", strings.Join(keys(t, s, "pending/"), " "),
		"pending/ab/z.content pending/ab/z.record pending/b0/1 pending/b0/2")
	for item, err := range s.List(t.Context(), "pending/") {
		testkit.Want(t, "error", err, nil)
		testkit.Want(t, "size", item.Size, 4)
		break // and nothing is yielded after it
	}
}

func write(t *testing.T, s upload.Store, key, content string) {
	t.Helper()
	if err := s.Write(t.Context(), key, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s upload.Store, key string) string {
	t.Helper()
	r, _, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

func keys(t *testing.T, s upload.Store, prefix string) []string {
	t.Helper()
	var all []string
	for item, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, item.Key)
	}
	return slices.Clip(all)
}
