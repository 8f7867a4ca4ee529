package pagestate

// This file holds the response writer that calls begin once before the first
// byte leaves.

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// writer calls begin once, with the status, before whatever begins the response
// first. It does itself what begins it and unwraps to the rest: a
// ResponseController that found only Unwrap would flush past it.
type writer struct {
	http.ResponseWriter
	x beginner // nil for a writer that only notes whether it began

	began   bool
	refused bool // begin answered: what the handler writes is dropped
}

type beginner interface {
	// begin is called before the first byte leaves. It returns false if it has
	// answered itself.
	begin(status int) (proceed bool)

	// keepPrivate is called before each informational response leaves, with the
	// headers that are set by then.
	keepPrivate()
}

// hijacked is the status of a response that the handler writes to the connection
// itself: its headers are not sent.
const hijacked = 0

// proceed reports whether to pass on what begins the response.
func (w *writer) proceed(status int) bool {
	if !w.began {
		w.began = true
		w.refused = w.x != nil && !w.x.begin(status)
	}
	return !w.refused
}

func (w *writer) WriteHeader(status int) {
	informational := 100 <= status && status < 200 && status != http.StatusSwitchingProtocols
	if informational && w.x != nil {
		w.x.keepPrivate()
	}
	if informational || w.proceed(status) {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *writer) Write(b []byte) (int, error) {
	if !w.proceed(http.StatusOK) {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

func (w *writer) WriteString(s string) (int, error) {
	if !w.proceed(http.StatusOK) {
		return len(s), nil
	}
	return io.WriteString(w.ResponseWriter, s)
}

// sniffed is how much net/http looks at to guess a Content-Type before it
// copies the rest of a source directly.
const sniffed = 512

// ReadFrom keeps the way that copies a file to a connection without reading it.
// As with net/http's own, the response begins with the first byte of src: if
// there is none, the handler may still answer with an error.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	if w.began && !w.refused {
		return io.Copy(w.ResponseWriter, src)
	}
	first := &firstBytes{src: src, w: w}
	n, err := io.Copy(w.ResponseWriter, io.LimitReader(first, sniffed))
	if err != nil || n < sniffed {
		return n + first.dropped, err
	}
	rest, err := io.Copy(w.ResponseWriter, src)
	return n + rest, err
}

// firstBytes reads from src, and nothing for a writer that refused.
type firstBytes struct {
	src     io.Reader
	w       *writer
	dropped int64
}

func (f *firstBytes) Read(p []byte) (int, error) {
	n, err := f.src.Read(p)
	if n > 0 && !f.w.proceed(http.StatusOK) {
		f.dropped += int64(n)
		n = 0
	}
	return n, err
}

func (w *writer) Flush() { _ = w.FlushError() }

func (w *writer) FlushError() error {
	flushes := can[http.Flusher](w) || can[interface{ FlushError() error }](w)
	if flushes && !w.proceed(http.StatusOK) {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if can[http.Hijacker](w) && !w.proceed(hijacked) {
		return nil, nil, http.ErrHijacked
	}
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// CloseNotify begins nothing. It is deprecated, and here because Gin's
// Context.Stream panics without it. If there is none inside, nothing is told.
func (w *writer) CloseNotify() <-chan bool {
	if n, ok := inside[interface{ CloseNotify() <-chan bool }](w); ok {
		return n.CloseNotify()
	}
	return nil
}

func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// can reports whether a writer inside is a T. What is not supported, as hijacking
// HTTP/2, does not commit the response.
func can[T any](w http.ResponseWriter) bool {
	_, ok := inside[T](w)
	return ok
}

// inside returns the first writer inside that is a T, as http.ResponseController
// finds it.
func inside[T any](w http.ResponseWriter) (t T, ok bool) {
	for {
		switch outer := w.(type) {
		case *writer: // has all methods, whatever it wraps
			w = outer.ResponseWriter
		case T:
			return outer, true
		case interface{ Unwrap() http.ResponseWriter }:
			w = outer.Unwrap()
		default:
			return t, false
		}
	}
}
