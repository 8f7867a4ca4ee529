package pagestate_test

// What Compressed changes for an application: shorter tokens, and nothing else.

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

type notes struct {
	pagestate.Component
	Lines []string
	Seen  int
}

// newNotesApp returns an app whose handler adds a line, or looks only.
func newNotesApp(t *testing.T, secret []byte, maxBytes int, opts ...pagestate.ComponentOption) (*pagestate.Middleware, http.Handler) {
	t.Helper()
	r := pagestate.NewRegistry()
	pagestate.Register[notes](r, "notes", opts...)
	m, err := pagestate.New(r, pagestate.Options{
		Secrets:       [][]byte{secret},
		Session:       pagestate.Unbound(),
		MaxTokenBytes: maxBytes,
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /add", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, n *notes) error {
		n.Lines = append(n.Lines, "a line like all the others")
		return nil
	}))
	mux.Handle("POST /look", pagestate.Handle(func(http.ResponseWriter, *http.Request, *notes) error { return nil }))
	return m, m.Handler(mux)
}

func newNotes(lines int) *notes {
	n := &notes{}
	for range lines {
		n.Lines = append(n.Lines, "a line like all the others")
	}
	return n
}

func sealNotes(t *testing.T, m *pagestate.Middleware, n *notes) string {
	t.Helper()
	token, err := m.Seal(pagestate.Owner{}, n)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestCompressedTokensAreShorter(t *testing.T) {
	secret := make([]byte, 32)
	rand.Read(secret)
	plain, _ := newNotesApp(t, secret, 0)
	compressed, h := newNotesApp(t, secret, 0, pagestate.Compressed())
	long, short := sealNotes(t, plain, newNotes(100)), sealNotes(t, compressed, newNotes(100))
	if len(short) > len(long)/4 {
		t.Errorf("%d bytes, and %d without Compressed", len(short), len(long))
	}

	// What does not become smaller stays as it is.
	noise := make([]byte, 1000)
	rand.Read(noise)
	n := &notes{Lines: []string{string(noise)}}
	testkit.Want(t, "the length of noise", len(sealNotes(t, compressed, n)), len(sealNotes(t, plain, n)))

	// Both go through requests alike.
	for _, token := range []string{long, short} {
		res := call(t, h, "/look", token)
		testkit.Want(t, "status", res.StatusCode, http.StatusOK)
		testkit.Want(t, "a token although nothing changed", res.Header.Get("Page-State"), "")
		res = call(t, h, "/add", token)
		next := res.Header.Get("Page-State")
		if next == "" || len(next) > len(long)/4 {
			t.Errorf("a token of %d bytes for what changed", len(next))
		}
		state, err := compressed.Open(context.Background(), pagestate.Owner{}, next)
		if err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "lines", len(state.(*notes).Lines), 101)
	}
}

// TestCompressedIsCompared has a state looked at again after it was sealed.
func TestCompressedIsCompared(t *testing.T) {
	var log bytes.Buffer
	r := pagestate.NewRegistry()
	pagestate.Register[notes](r, "notes", pagestate.Compressed())
	secret := make([]byte, 32)
	rand.Read(secret)
	m, err := pagestate.New(r, pagestate.Options{
		Secrets: [][]byte{secret},
		Session: pagestate.Unbound(),
		Logger:  slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	h := m.Handler(pagestate.Handle(func(w http.ResponseWriter, r *http.Request, n *notes) error {
		n.Seen++
		first, err := n.StateToken()
		if err != nil {
			return err
		}
		io.WriteString(w, "a page")
		second, err := n.StateToken()
		testkit.Want(t, "the second token is the first", second == first, true)
		return err
	}))
	res := call(t, h, "/", sealNotes(t, m, newNotes(100)))
	testkit.Want(t, "status", res.StatusCode, http.StatusOK)
	testkit.Want(t, "log", log.String(), "")
}

// TestCompressedComesAndGoes has servers with and without it share their tokens,
// as they do while a deploy is under way.
func TestCompressedComesAndGoes(t *testing.T) {
	secret := make([]byte, 32)
	rand.Read(secret)
	without, withoutHandler := newNotesApp(t, secret, 0)
	with, withHandler := newNotesApp(t, secret, 0, pagestate.Compressed())
	token := sealNotes(t, without, newNotes(50))
	for i, h := range []http.Handler{withHandler, withoutHandler, withHandler, withHandler, withoutHandler} {
		res := call(t, h, "/add", token)
		testkit.Want(t, "status", res.StatusCode, http.StatusOK)
		token = res.Header.Get("Page-State")
		for _, m := range []*pagestate.Middleware{with, without} {
			state, err := m.Open(context.Background(), pagestate.Owner{}, token)
			if err != nil {
				t.Fatal(err)
			}
			testkit.Want(t, "lines", len(state.(*notes).Lines), 51+i)
		}
	}
}

// TestCompressedStatesAreNoLarger has a state that would fit into a token if
// only its compressed size counted.
func TestCompressedStatesAreNoLarger(t *testing.T) {
	secret := make([]byte, 32)
	rand.Read(secret)
	const limit = 8 << 10
	plain, _ := newNotesApp(t, secret, limit)
	compressed, _ := newNotesApp(t, secret, limit, pagestate.Compressed())
	text := func(n int) *notes { return &notes{Lines: []string{strings.Repeat("x", n)}} }
	most := 0
	for n := range limit {
		if _, err := plain.Seal(pagestate.Owner{}, text(n)); err != nil {
			break
		}
		most = n
	}
	testkit.Want(t, "the largest text", most > limit/2, true)
	token := sealNotes(t, compressed, text(most))
	if _, err := compressed.Open(context.Background(), pagestate.Owner{}, token); err != nil {
		t.Error(err)
	}
	_, err := compressed.Seal(pagestate.Owner{}, text(most+fernetBlock))
	if err == nil || !strings.Contains(err.Error(), "MaxTokenBytes") {
		t.Errorf("the error of a larger state is %v", err)
	}
}

// TestCompressedRunsOpen has honest states that compress better than a reader
// accepts: their tokens open all the same, and stay short.
func TestCompressedRunsOpen(t *testing.T) {
	secret := make([]byte, 32)
	rand.Read(secret)
	plain, _ := newNotesApp(t, secret, 0)
	compressed, _ := newNotesApp(t, secret, 0, pagestate.Compressed())
	for _, lines := range []int{1, 10, 100, 1000, 7000} {
		for what, n := range map[string]*notes{"equal": newNotes(lines), "empty": {Lines: make([]string, lines)}, "one": {Lines: []string{strings.Repeat(" ", 25*lines)}}} {
			long, short := sealNotes(t, plain, n), sealNotes(t, compressed, n)
			if len(long) > 4000 && len(short) > len(long)/10 {
				t.Errorf("%d lines, %s: %d bytes, and %d without Compressed", lines, what, len(short), len(long))
			}
			for _, m := range []*pagestate.Middleware{plain, compressed} {
				state, err := m.Open(t.Context(), pagestate.Owner{}, short)
				if err != nil {
					t.Fatalf("%d lines, %s: %v", lines, what, err)
				}
				testkit.Want(t, "lines", len(state.(*notes).Lines), len(n.Lines))
			}
		}
	}
}

// fernetBlock is what the length of a token is rounded up to.
const fernetBlock = 16

// call sends a token, and returns the response.
func call(t *testing.T, h http.Handler, path, token string) *http.Response {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	req, err := http.NewRequest("POST", server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Page-State", token)
	res, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res
}
