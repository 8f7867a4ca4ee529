package codec

// Reader reads single MessagePack values as strictly as Decode does, for what
// stands around encoded data. After the first error it reads zero values.
type Reader struct {
	d   decoder
	err error
}

// NewReader returns a reader of b.
func NewReader(b []byte) *Reader { return &Reader{d: newDecoder(b)} }

// String reads a string. What it returns is a part of what is read.
func (r *Reader) String() (s []byte) {
	if r.err == nil {
		s, r.err = r.d.rawString()
	}
	return s
}

// Bytes reads bytes. What it returns is a part of what is read.
func (r *Reader) Bytes() (b []byte) {
	if r.err == nil {
		b, r.err = r.d.bytes()
	}
	return b
}

// Uint reads an unsigned number.
func (r *Reader) Uint() (u uint64) {
	if r.err == nil {
		u, r.err = r.d.uint()
	}
	return u
}

// Rest returns what has not been read, and the first error.
func (r *Reader) Rest() ([]byte, error) { return r.d.rest(), r.err }
