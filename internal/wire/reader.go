package wire

// Reader reads values one after the other. After the first error it reads zero
// values, and [Reader.Rest] returns the error.
type Reader struct {
	d   Decoder
	err error
}

// NewReader returns a reader of b.
func NewReader(b []byte) *Reader { return &Reader{d: Decoder{Data: b}} }

// String reads a string. It returns a part of what is read.
func (r *Reader) String() (s []byte) {
	if r.err == nil {
		s, r.err = r.d.String()
	}
	return s
}

// Bytes reads bytes. It returns a part of what is read.
func (r *Reader) Bytes() (b []byte) {
	if r.err == nil {
		b, r.err = r.d.Bytes()
	}
	return b
}

// Uint reads a number that is not negative.
func (r *Reader) Uint() (u uint64) {
	if r.err == nil {
		u, r.err = r.d.Uint()
	}
	return u
}

// Rest returns what has not been read, and the first error.
func (r *Reader) Rest() ([]byte, error) { return r.d.Rest(), r.err }
