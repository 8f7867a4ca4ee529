// Package replay looks into the body of a request and leaves it there: whoever
// reads the body afterwards finds what would have been there without the look.
package replay

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// PeekAll returns the whole body of r. Its error is ErrLimit if the body is longer
// than limit, or that of reading it. The body is left as by [Peek], and the bytes
// are only to be read.
func PeekAll(r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, ErrLimit
	}
	p := peek(r, limit)
	if _, err := io.Copy(io.Discard, p); err != nil {
		return nil, err
	}
	return p.body.head, nil
}

// Peek returns a reader of the body of r that fails with ErrLimit beyond limit bytes. To see
// whether the body ends there, it may read one byte more. It leaves in r.Body a
// body that reads from the start whatever was read this way, and starts there
// itself when it is called again.
//
// Peeking ends before anybody reads r.Body. What may happen at the same time
// then is what net/http's own body allows: a Read and a Close.
func Peek(r *http.Request, limit int64) io.Reader { return peek(r, limit) }

func peek(r *http.Request, limit int64) *peeker {
	if r.Body == nil || r.Body == http.NoBody {
		return &peeker{body: &body{rest: http.NoBody}}
	}
	b, ok := r.Body.(*body)
	if !ok {
		b = &body{rest: r.Body}
		r.Body = b
	}
	return &peeker{body: b, left: limit}
}

// ErrLimit means that a body goes on beyond the limit of a look.
var ErrLimit = errors.New("the body goes on beyond the limit")

type peeker struct {
	body *body
	seen int   // how much of the body was read through this peeker
	left int64 // how much more may be, -1 if there is more
}

func (p *peeker) Read(b []byte) (int, error) {
	if p.left < 0 {
		return 0, ErrLimit
	}
	// One byte more shows whether a body that reaches the limit goes on.
	if int64(len(b))-1 > p.left {
		b = b[:p.left+1]
	}
	n, err := p.body.peekAt(p.seen, b)
	p.seen += n
	p.left -= int64(n)
	if p.left < 0 {
		return n - 1, ErrLimit
	}
	return n, err
}

// body is a request body whose beginning was read ahead, and is read again by
// Read. Read and Close may run at the same time: httputil.ReverseProxy needs
// that.
//
// One thing tells it from the original: ParseForm takes more than 10 MB only if
// r.Body itself is an http.MaxBytesReader. A urlencoded body that large, of
// unknown length, is what it then refuses.
type body struct {
	rest io.ReadCloser

	mu   sync.Mutex
	head []byte // read ahead, and not yet again
	err  error  // what rest answered after head
}

// peekAt reads what stands at offset and keeps it in head. The offset is at
// most len(head).
func (b *body) peekAt(offset int, p []byte) (int, error) {
	if offset < len(b.head) {
		return copy(p, b.head[offset:]), nil
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.rest.Read(p)
	b.head = append(b.head, p[:n]...)
	b.err = err
	return n, err
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	if len(b.head) > 0 {
		defer b.mu.Unlock()
		n := copy(p, b.head)
		b.head = b.head[n:]
		if len(b.head) == 0 {
			b.head = nil // an empty slice would keep its array alive
		}
		return n, nil
	}
	err := b.err
	b.err = nil
	b.mu.Unlock()

	if err != nil {
		return 0, err
	}
	return b.rest.Read(p)
}

// Close closes the original body and drops what was not replayed: a read after
// it gets what the original answers then.
func (b *body) Close() error {
	b.mu.Lock()
	b.head, b.err = nil, nil
	b.mu.Unlock()
	return b.rest.Close()
}
