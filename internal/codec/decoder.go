package codec

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"github.com/tinylib/msgp/msgp"
)

// decoder reads a payload. Whatever Encode would have written in another form
// is malformed: msgp's readers accept longer forms, and headers of what does not
// follow, so each result is checked here. What most values are, numbers and what
// has a header of one byte, is read without it.
type decoder struct {
	payload []byte
	pos     int      // how much of it has been read
	text    string   // the payload, once there is a string in it: strings are parts of it
	shared  []string // room for short lists
	budget  int      // how many bytes may still be allocated
	depth   int

	References
	optional bool        // of the field being decoded: its rows may be missing
	room     []reference // for those to come
	direct   *reference  // the value just decoded, if it is a reference and nothing around it

	groups []group  // the components whose shapes stand in the data
	met    int      // how many of groups the value has referred to so far
	views  views    // of the component being decoded
	form   *encoder // of what exactNode writes to compare, once there is one
}

func newDecoder(b []byte) (d decoder) {
	d.start(b)
	return d
}

// start has a decoder that holds nothing read b.
func (d *decoder) start(b []byte) { d.payload, d.budget = b, memoryBudget(len(b)) }

// decoders are decoders that hold nothing.
var decoders = sync.Pool{New: func() any { return new(decoder) }}

// release gives d back without anything of the value that it has read, field by
// field as that of an encoder.
func (d *decoder) release() {
	d.payload, d.text, d.shared, d.list, d.after = nil, "", nil, nil, nil
	d.room, d.direct, d.groups, d.views, d.form = nil, nil, nil, nil, nil
	d.pos, d.budget, d.depth, d.met, d.optional = 0, 0, 0, 0, false
	decoders.Put(d)
}

var (
	errNotArray    = malformed("not an array")
	errNotMap      = malformed("not a map")
	errNotFloat64  = malformed("not a float64")
	errNotFloat32  = malformed("not a float32")
	errNotString   = malformed("not a string")
	errNotBytes    = malformed("not bytes")
	errNotBool     = malformed("not a bool")
	errNotNumber   = malformed("not a number")
	errNotShortest = malformed("not the shortest form of a number")
)

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
	if n <= lastFix && d.depth < MaxDepth && d.next() == fixarray|byte(n) {
		d.pos++
		d.depth++
		return nil
	}
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
	if n > d.left()/least {
		return malformed("more elements than bytes")
	}
	return nil
}

// rest is what has not been read yet.
func (d *decoder) rest() []byte { return d.payload[d.pos:] }

// left is how much that is.
func (d *decoder) left() int { return len(d.payload) - d.pos }

// next is the first byte of the next value. At the end it is one that begins none.
func (d *decoder) next() byte {
	if d.pos == len(d.payload) {
		return unusedByte
	}
	return d.payload[d.pos]
}

// arrayHeader reads a header, and leaves it to the caller to check the length.
func (d *decoder) arrayHeader() (int, error) {
	if c := d.next(); c&fixMask == fixarray {
		d.pos++
		return int(c & lastFix), nil
	}
	n, rest, err := msgp.ReadArrayHeaderBytes(d.rest())
	if err != nil || n > math.MaxInt32 || d.left()-len(rest) != headerSize(n) {
		return 0, errNotArray
	}
	d.pos += headerSize(n)
	return int(n), nil
}

func (d *decoder) mapHeader() (int, error) {
	if c := d.next(); c&fixMask == fixmap {
		d.pos++
		return int(c & lastFix), nil
	}
	n, rest, err := msgp.ReadMapHeaderBytes(d.rest())
	if err != nil || n > math.MaxInt32 || d.left()-len(rest) != headerSize(n) {
		return 0, errNotMap
	}
	d.pos += headerSize(n)
	return int(n), nil
}

// nil reads a nil if there is one.
func (d *decoder) nil() bool {
	if d.next() != nilByte {
		return false
	}
	d.pos++
	return true
}

func (d *decoder) bool() (bool, error) {
	c := d.next()
	if c != trueByte && c != falseByte {
		return false, errNotBool
	}
	d.pos++
	return c == trueByte, nil
}

func (d *decoder) uint() (uint64, error) {
	c := d.next()
	if c <= lastFixint {
		d.pos++
		return uint64(c), nil
	}
	if c < firstUint || c > lastUint {
		return 0, errNotNumber
	}
	size := 1 << (c - firstUint)
	u, ok := d.number(size)
	if !ok || uintSize(u) != 1+size {
		return 0, errNotShortest
	}
	d.pos += 1 + size
	return u, nil
}

func (d *decoder) int() (int64, error) {
	c := d.next()
	if c >= firstNegative {
		d.pos++
		return int64(int8(c)), nil
	}
	if c < firstInt || c > lastInt {
		u, err := d.uint()
		if u > math.MaxInt64 {
			return 0, errNotNumber
		}
		return int64(u), err
	}
	size := 1 << (c - firstInt)
	u, ok := d.number(size)
	i := int64(u<<(64-8*size)) >> (64 - 8*size) // with its sign
	if !ok || i >= 0 || negativeSize(i) != 1+size {
		return 0, errNotShortest
	}
	d.pos += 1 + size
	return i, nil
}

// number returns the bytes behind the next one: 1, 2, 4 or 8.
func (d *decoder) number(size int) (u uint64, ok bool) {
	b := d.payload[d.pos+1:]
	if len(b) < size {
		return 0, false
	}
	switch size {
	case 1:
		return uint64(b[0]), true
	case 2:
		return uint64(binary.BigEndian.Uint16(b)), true
	case 4:
		return uint64(binary.BigEndian.Uint32(b)), true
	default:
		return binary.BigEndian.Uint64(b), true
	}
}

func (d *decoder) float64() (float64, error) {
	if d.next() != float64Byte || d.left() < 9 {
		return 0, errNotFloat64
	}
	u, _ := d.number(8)
	d.pos += 9
	return math.Float64frombits(u), nil
}

func (d *decoder) float32() (float32, error) {
	if d.next() != float32Byte || d.left() < 5 {
		return 0, errNotFloat32
	}
	u, _ := d.number(4)
	f := math.Float32frombits(uint32(u))
	// reflect holds floats as float64, and the way there quiets a signalling NaN.
	if math.Float32bits(float32(float64(f))) != uint32(u) {
		return 0, errNotFloat32
	}
	d.pos += 5
	return f, nil
}

// string returns a part of d.text: all strings of a payload share one
// allocation.
func (d *decoder) string() (string, error) {
	c := d.next()
	if end := d.pos + 1 + int(c&lastFixstr); c&fixstrMask == fixstr && end <= len(d.text) {
		start := d.pos + 1
		d.pos = end
		return d.text[start:end], nil
	}
	start, err := d.stringHeader()
	if err != nil || start == d.pos {
		return "", err
	}
	if d.text == "" {
		if err := d.charge(1, len(d.payload)); err != nil {
			return "", err
		}
		d.text = string(d.payload)
	}
	return d.text[start:d.pos], nil
}

// rawString returns a part of the payload.
func (d *decoder) rawString() ([]byte, error) {
	start, err := d.stringHeader()
	if err != nil {
		return nil, err
	}
	return d.payload[start:d.pos], nil
}

// stringHeader reads over a string, and returns where its first byte stands.
func (d *decoder) stringHeader() (start int, err error) {
	if c := d.next(); c&fixstrMask == fixstr && int(c&lastFixstr) < d.left() {
		start = d.pos + 1
		d.pos = start + int(c&lastFixstr)
		return start, nil
	}
	if huge(d.rest()) {
		return 0, errNotString
	}
	s, rest, err := msgp.ReadStringZC(d.rest())
	if err != nil || d.left()-len(rest) != blobSize(len(s), lastFixstr+1)+len(s) {
		return 0, errNotString
	}
	d.pos = len(d.payload) - len(rest)
	return d.pos - len(s), nil
}

// bytes returns a part of the payload, which the caller copies if it keeps it.
func (d *decoder) bytes() ([]byte, error) {
	if huge(d.rest()) {
		return nil, errNotBytes
	}
	b, rest, err := msgp.ReadBytesZC(d.rest())
	if err != nil || d.left()-len(rest) != blobSize(len(b), 0)+len(b) {
		return nil, errNotBytes
	}
	d.pos = len(d.payload) - len(rest)
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
	if d.left() == 0 {
		return malformed("cut short")
	}
	switch msgp.NextType(d.rest()) {
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
