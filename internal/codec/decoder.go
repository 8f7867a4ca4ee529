package codec

import (
	"bytes"
	"fmt"
	"math"

	"github.com/tinylib/msgp/msgp"
)

// decoder reads a payload. Whatever Encode would have written in another form
// is malformed: msgp's readers accept longer forms, other families of numbers
// and headers of what does not follow, so each result is checked here.
type decoder struct {
	b       []byte // what has not been read yet
	payload []byte
	text    string // the payload, once there is a string in it: strings are parts of it
	budget  int    // how many bytes may still be allocated
	depth   int

	References
	optional bool       // of the field being decoded: its rows may be missing
	direct   *reference // the value just decoded, if it is a reference and nothing around it

	groups []group // the components whose shapes stand in the data
	met    int     // how many of groups the value has referred to so far
	views  views   // of the component being decoded
	form   encoder // of what exactNode writes to compare
}

func newDecoder(b []byte) decoder {
	return decoder{b: b, payload: b, budget: memoryBudget(len(b))}
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// charge is called with what is about to be allocated.
func (d *decoder) charge(n, size int) error {
	if size > 0 && n > d.budget/size {
		return fmt.Errorf("%w: decoding it takes more memory than its size allows", ErrLimit)
	}
	d.budget -= n * size
	return nil
}

// open reads the header of an array of exactly n values.
func (d *decoder) open(n int) error {
	got, err := d.arrayHeader()
	if err != nil {
		return err
	}
	if got != n {
		return malformed("an array of another length")
	}
	return d.enter()
}

func (d *decoder) enter() error {
	if d.depth == MaxDepth {
		return fmt.Errorf("%w: nested deeper than %d levels", ErrLimit, MaxDepth)
	}
	d.depth++
	return nil
}

func (d *decoder) leave() { d.depth-- }

// elements checks a length read from a header, before anything is allocated:
// so many elements of at least so many bytes each must fit into what is left.
func (d *decoder) elements(n, least int) error {
	if n > MaxElements {
		return fmt.Errorf("%w: %d elements, the most is %d", ErrLimit, n, MaxElements)
	}
	if n > len(d.b)/least {
		return malformed("more elements than bytes")
	}
	return nil
}

// arrayHeader reads a header, and leaves it to the caller to check the length.
func (d *decoder) arrayHeader() (int, error) {
	n, rest, err := msgp.ReadArrayHeaderBytes(d.b)
	if err != nil || n > math.MaxInt32 || len(d.b)-len(rest) != headerSize(n) {
		return 0, malformed("not an array")
	}
	d.b = rest
	return int(n), nil
}

func (d *decoder) mapHeader() (int, error) {
	n, rest, err := msgp.ReadMapHeaderBytes(d.b)
	if err != nil || n > math.MaxInt32 || len(d.b)-len(rest) != headerSize(n) {
		return 0, malformed("not a map")
	}
	d.b = rest
	return int(n), nil
}

// headerSize is the size of the shortest header of an array or map.
func headerSize(n uint32) int {
	switch {
	case n <= 15:
		return 1
	case n <= math.MaxUint16:
		return 3
	default:
		return 5
	}
}

// blobSize is the size of the shortest header of a string or of bytes, whose
// first form holds lengths below short.
func blobSize(n, short int) int {
	switch {
	case n < short:
		return 1
	case n <= math.MaxUint8:
		return 2
	case n <= math.MaxUint16:
		return 3
	default:
		return 5
	}
}

// nil reads a nil if there is one.
func (d *decoder) nil() bool {
	if len(d.b) == 0 || !msgp.IsNil(d.b) {
		return false
	}
	d.b = d.b[1:]
	return true
}

func (d *decoder) bool() (bool, error) {
	v, rest, err := msgp.ReadBoolBytes(d.b)
	if err != nil {
		return false, malformed("not a bool")
	}
	d.b = rest
	return v, nil
}

func (d *decoder) uint() (uint64, error) {
	if len(d.b) > 0 && d.b[0] <= math.MaxInt8 {
		u := uint64(d.b[0])
		d.b = d.b[1:]
		return u, nil
	}
	u, rest, err := msgp.ReadUint64Bytes(d.b)
	var form [9]byte
	if err != nil || !bytes.Equal(msgp.AppendUint64(form[:0], u), d.b[:len(d.b)-len(rest)]) {
		return 0, malformed("not an unsigned number")
	}
	d.b = rest
	return u, nil
}

func (d *decoder) int() (int64, error) {
	if len(d.b) > 0 && d.b[0] <= math.MaxInt8 {
		i := int64(d.b[0])
		d.b = d.b[1:]
		return i, nil
	}
	i, rest, err := msgp.ReadInt64Bytes(d.b)
	var form [9]byte
	if err != nil || !bytes.Equal(appendInt(form[:0], i), d.b[:len(d.b)-len(rest)]) {
		return 0, malformed("not a number")
	}
	d.b = rest
	return i, nil
}

func (d *decoder) float64() (float64, error) {
	f, rest, err := msgp.ReadFloat64Bytes(d.b)
	if err != nil || msgp.NextType(d.b) != msgp.Float64Type {
		return 0, malformed("not a float64")
	}
	d.b = rest
	return f, nil
}

func (d *decoder) float32() (float32, error) {
	f, rest, err := msgp.ReadFloat32Bytes(d.b)
	// reflect holds floats as float64, and the way there quiets a signalling NaN.
	if err != nil || math.Float32bits(float32(float64(f))) != math.Float32bits(f) {
		return 0, malformed("not a float32")
	}
	d.b = rest
	return f, nil
}

// string returns a part of d.text: all strings of a payload share one
// allocation.
func (d *decoder) string() (string, error) {
	s, err := d.rawString()
	if err != nil || len(s) == 0 {
		return "", err
	}
	if d.text == "" {
		if err := d.charge(1, len(d.payload)); err != nil {
			return "", err
		}
		d.text = string(d.payload)
	}
	end := len(d.payload) - len(d.b)
	return d.text[end-len(s) : end], nil
}

// rawString returns a part of the payload.
func (d *decoder) rawString() ([]byte, error) {
	if huge(d.b) {
		return nil, malformed("not a string")
	}
	s, rest, err := msgp.ReadStringZC(d.b)
	if err != nil || len(d.b)-len(rest) != blobSize(len(s), 32)+len(s) {
		return nil, malformed("not a string")
	}
	d.b = rest
	return s, nil
}

// bytes returns a part of the payload, which the caller copies if it keeps it.
func (d *decoder) bytes() ([]byte, error) {
	if huge(d.b) {
		return nil, malformed("not bytes")
	}
	b, rest, err := msgp.ReadBytesZC(d.b)
	if err != nil || len(d.b)-len(rest) != blobSize(len(b), 0)+len(b) {
		return nil, malformed("not bytes")
	}
	d.b = rest
	return b, nil
}

// huge tells the header of a string or of bytes of 2 GiB and more. Where an int
// has 32 bits, msgp takes such a length for a negative one, and panics.
func huge(b []byte) bool {
	const str32, bin32 = 0xdb, 0xc6
	return len(b) > 1 && (b[0] == str32 || b[0] == bin32) && b[1] > math.MaxInt8
}

// skip reads over the value of a field that the type no longer has.
func (d *decoder) skip() error {
	if len(d.b) == 0 {
		return malformed("cut short")
	}
	switch msgp.NextType(d.b) {
	case msgp.NilType:
		d.nil()
		return nil
	case msgp.BoolType:
		_, err := d.bool()
		return err
	case msgp.IntType:
		_, err := d.int()
		return err
	case msgp.UintType:
		_, err := d.uint()
		return err
	case msgp.Float32Type:
		_, err := d.float32()
		return err
	case msgp.Float64Type:
		_, err := d.float64()
		return err
	case msgp.StrType:
		_, err := d.string()
		return err
	case msgp.BinType:
		_, err := d.bytes()
		return err
	case msgp.ArrayType:
		n, err := d.arrayHeader()
		if err != nil {
			return err
		}
		return d.skipElements(n, 1)
	case msgp.MapType:
		n, err := d.mapHeader()
		if err != nil {
			return err
		}
		return d.skipElements(n, 2)
	default:
		return malformed("an extension")
	}
}

// skipElements reads over n elements of the given number of values each.
func (d *decoder) skipElements(n, values int) error {
	if err := d.elements(n, values); err != nil {
		return err
	}
	if err := d.enter(); err != nil {
		return err
	}
	for range n * values {
		if err := d.skip(); err != nil {
			return err
		}
	}
	d.leave()
	return nil
}
