package replay_test

// What the sources of package pagestate find in bodies, and leave in them for
// every kind of handler, is in source_test.go there.

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pagestate/pagestate/internal/replay"
	"github.com/pagestate/pagestate/internal/testkit"
)

func TestLimit(t *testing.T) {
	const text = "0123456789"
	for _, test := range []struct {
		limit  int64
		all    string // what PeekAll returns
		peeked string // what a reader of Peek reads
		fails  bool   // whether that ends in an error
		read   int    // how much of the original was read
	}{
		{1<<63 - 1, text, text, false, 10},
		{11, text, text, false, 10},
		{10, text, text, false, 10},
		{9, "", text[:9], true, 10},
		{1, "", text[:1], true, 2},
		{0, "", "", true, 1},
		{-1, "", "", true, 0},
	} {
		for _, length := range []int64{10, -1} {
			t.Run(fmt.Sprintf("%d, Content-Length %d", test.limit, length), func(t *testing.T) {
				r, original := request(text)
				r.ContentLength = length
				all, _ := replay.PeekAll(r, test.limit)
				testkit.Want(t, "all", string(all), test.all)
				if length > test.limit {
					testkit.Want(t, "read of a body known to be too long", original.read, 0)
				} else {
					testkit.Want(t, "read", original.read, test.read)
				}

				peeked, err := io.ReadAll(replay.Peek(r, test.limit))
				testkit.Want(t, "peeked", string(peeked), test.peeked)
				testkit.Want(t, "failed", err != nil, test.fails)
				testkit.Want(t, "read", original.read, test.read)

				left, err := io.ReadAll(r.Body)
				testkit.Want(t, "left", string(left), text)
				testkit.Want(t, "error", err, nil)
			})
		}
	}
}

// One buffer serves all looks, and a shorter one does not cut off a longer.
func TestPeekAgain(t *testing.T) {
	r, original := request("0123456789")
	first := r.Body
	for i, limit := range []int64{3, 10, 3, 10} {
		peeked, _ := io.ReadAll(iotest.OneByteReader(replay.Peek(r, limit)))
		testkit.Want(t, "peeked", string(peeked), "0123456789"[:limit])
		if i == 0 {
			testkit.Want(t, "wrapped", r.Body != first, true)
			first = r.Body
		}
		testkit.Want(t, "wrapped again", r.Body != first, false)
	}
	testkit.Want(t, "read", original.read, 10)
}

func TestWithoutBody(t *testing.T) {
	for _, none := range []io.ReadCloser{nil, http.NoBody} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Body = none
		all, err := replay.PeekAll(r, 10)
		testkit.Want(t, "all", len(all), 0)
		testkit.Want(t, "error", err, nil)
		peeked, err := io.ReadAll(replay.Peek(r, 10))
		testkit.Want(t, "peeked", len(peeked), 0)
		testkit.Want(t, "error", err, nil)
		testkit.Want(t, "replaced", r.Body != none, false)
	}
}

// The error of the original comes once, at its place. What it answers next gets
// through.
func TestReadError(t *testing.T) {
	broken := errors.New("broken")
	answers := []error{broken, nil, io.EOF}
	r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("begun"), reader(func([]byte) (int, error) {
		err := answers[0]
		answers = answers[1:]
		return 0, err
	})))
	for range 3 {
		all, _ := replay.PeekAll(r, 10)
		testkit.Want(t, "all", string(all), "")
		peeked, err := io.ReadAll(replay.Peek(r, 10))
		testkit.Want(t, "peeked", string(peeked), "begun")
		testkit.Want(t, "error", err, broken)
	}
	left, err := io.ReadAll(r.Body)
	testkit.Want(t, "left", string(left), "begun")
	testkit.Want(t, "error", err, broken)
	left, err = io.ReadAll(r.Body)
	testkit.Want(t, "after the error", len(left), 0)
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "answers that are left", len(answers), 0)
}

func TestClosesTheOriginal(t *testing.T) {
	r, original := request("0123456789")
	original.closeErr = errors.New("failed to close")
	replay.PeekAll(r, 10)
	testkit.Want(t, "closed by a look", original.closed, false)
	testkit.Want(t, "Close", r.Body.Close(), original.closeErr)
	testkit.Want(t, "closed", original.closed, true)
	n, err := r.Body.Read(make([]byte, 10))
	testkit.Want(t, "read after Close", n, 0)
	testkit.Want(t, "error", err, http.ErrBodyReadAfterClose)
}

// httputil.ReverseProxy closes the body while the transport may still read it. Run with -race.
func TestCloseWhileReading(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		r = r.WithContext(r.Context()) // as middleware does
		replay.PeekAll(r, 1<<20)
		done := make(chan struct{})
		go func() {
			defer close(done)
			io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 10))
		}()
		r.Body.Close()
		<-done
	}))
	defer server.Close()
	res, err := server.Client().Post(server.URL, "text/plain", strings.NewReader(strings.Repeat("x", 100_000)))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

// A buffer that was replayed is not kept until the request ends.
func TestReleasesTheBuffer(t *testing.T) {
	const size = 32 << 20
	r := httptest.NewRequest("POST", "/", io.MultiReader(io.LimitReader(reader(fill), size)))
	before := heap()
	replay.PeekAll(r, size)
	if kept := heap() - before; kept < size/2 {
		t.Fatalf("only %d bytes are buffered: this test shows nothing", kept)
	}
	if n, err := io.Copy(io.Discard, r.Body); n != size || err != nil {
		t.Fatalf("the handler read %d bytes, %v", n, err)
	}
	if kept := heap() - before; kept > size/4 {
		t.Errorf("%d bytes are kept after the handler read all", kept)
	}
	runtime.KeepAlive(r)
}

// request has a body of that text.
func request(text string) (*http.Request, *original) {
	body := &original{Reader: strings.NewReader(text)}
	return httptest.NewRequest("POST", "/", body), body
}

// original counts what is read and, once closed, answers as a server's body does.
type original struct {
	io.Reader
	read     int
	closed   bool
	closeErr error
}

func (o *original) Read(p []byte) (int, error) {
	if o.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := o.Reader.Read(p)
	o.read += n
	return n, err
}

func (o *original) Close() error {
	o.closed = true
	return o.closeErr
}

type reader func(p []byte) (int, error)

func (f reader) Read(p []byte) (int, error) { return f(p) }

func fill(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// heap returns how many bytes are in use. What a sync.Pool or a finalizer holds goes in the second
// collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
