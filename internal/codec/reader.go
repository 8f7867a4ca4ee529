package codec

// Reader reads single MessagePack values as strictly as Decode does, for what
// stands around encoded data. After the first error it reads zero values.
type Reader struct {
	d   decoder
	err error
}

// NewReader returns a reader of b.
func NewReader(b []byte) *Reader { return &Reader{d: newDecoder(b)} }

// String reads a string.
func (r *Reader) String() string { return read(r, r.d.rawString) }

// Bytes reads bytes, as a string.
func (r *Reader) Bytes() string { return read(r, r.d.bytes) }

func read(r *Reader, next func() ([]byte, error)) string {
	if r.err != nil {
		return ""
	}
	b, err := next()
	r.err = err
	return string(b)
}

// Uint reads an unsigned number.
func (r *Reader) Uint() uint64 {
	if r.err != nil {
		return 0
	}
	u, err := r.d.uint()
	r.err = err
	return u
}

// Rest returns what has not been read, and the first error.
func (r *Reader) Rest() ([]byte, error) { return r.d.rest(), r.err }
