package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrMalformed means that what was to be read does not stand there, or not in its
// one form. Every error of this package wraps it.
var ErrMalformed = errors.New("malformed data")

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

// Decoder reads values one after the other. A method that returns an error has
// read nothing.
//
// Its fields are there for whoever reads a form without a method for it. Data
// stays whole: a position is faster than a slice that becomes shorter.
type Decoder struct {
	Data []byte
	Pos  int // how much of Data has been read
}

// Left is how many bytes have not been read.
func (d *Decoder) Left() int { return len(d.Data) - d.Pos }

// Rest is what has not been read.
func (d *Decoder) Rest() []byte { return d.Data[d.Pos:] }

// Next is the first byte of the next value. At the end it is Unused.
func (d *Decoder) Next() byte {
	if d.Pos == len(d.Data) {
		return Unused
	}
	return d.Data[d.Pos]
}

// Nil reads a nil if there is one.
func (d *Decoder) Nil() bool {
	if d.Next() != Nil {
		return false
	}
	d.Pos++
	return true
}

// Bool reads a bool.
func (d *Decoder) Bool() (bool, error) {
	c := d.Next()
	if c != True && c != False {
		return false, errNotBool
	}
	d.Pos++
	return c == True, nil
}

// Uint reads a number that is not negative.
func (d *Decoder) Uint() (uint64, error) {
	c := d.Next()
	if c <= LastFixInt {
		d.Pos++
		return uint64(c), nil
	}
	if c < Uint8 || c > Uint64 {
		return 0, errNotNumber
	}
	size := 1 << (c - Uint8)
	u, ok := d.number(size)
	if !ok || uintSize(u) != 1+size {
		return 0, errNotShortest
	}
	d.Pos += 1 + size
	return u, nil
}

// Int reads a number.
func (d *Decoder) Int() (int64, error) {
	c := d.Next()
	if c >= firstNegative {
		d.Pos++
		return int64(int8(c)), nil
	}
	if c < Int8 || c > Int64 {
		start := d.Pos
		u, err := d.Uint()
		if u > math.MaxInt64 {
			d.Pos = start
			return 0, errNotNumber
		}
		return int64(u), err
	}
	size := 1 << (c - Int8)
	u, ok := d.number(size)
	i := int64(u<<(64-8*size)) >> (64 - 8*size) // with its sign
	if !ok || negativeSize(i) != 1+size {       // what is not negative takes one byte
		return 0, errNotShortest
	}
	d.Pos += 1 + size
	return i, nil
}

// number returns the bytes behind the next one: 1, 2, 4 or 8.
func (d *Decoder) number(size int) (u uint64, ok bool) {
	b := d.Data[d.Pos+1:]
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

// Float64 reads a float of 8 bytes, and keeps all of its bits.
func (d *Decoder) Float64() (float64, error) {
	if d.Next() != Float64 || d.Left() < 9 {
		return 0, errNotFloat64
	}
	u, _ := d.number(8)
	d.Pos += 9
	return math.Float64frombits(u), nil
}

// Float32 reads a float of 4 bytes, as its bits. A signalling NaN is malformed,
// since it becomes a quiet one wherever it is converted.
func (d *Decoder) Float32() (float32, error) {
	if d.Next() != Float32 || d.Left() < 5 {
		return 0, errNotFloat32
	}
	u, _ := d.number(4)
	f := math.Float32frombits(uint32(u))
	if math.Float32bits(float32(float64(f))) != uint32(u) {
		return 0, errNotFloat32
	}
	d.Pos += 5
	return f, nil
}

// String reads a string. It returns a part of Data.
func (d *Decoder) String() ([]byte, error) {
	if c := d.Next(); c&FixStrMask == FixStr {
		start := d.Pos + 1
		end := start + int(c&LastFixStr)
		if end > len(d.Data) {
			return nil, errNotString
		}
		d.Pos = end
		return d.Data[start:end], nil
	}
	return d.blob(Str8, stringSize, errNotString)
}

// Bytes reads bytes. It returns a part of Data.
func (d *Decoder) Bytes() ([]byte, error) { return d.blob(Bin8, BytesSize, errNotBytes) }

// blob reads the form with a length of one byte, or one of the two behind it.
func (d *Decoder) blob(form byte, sizeOf func(int) int, fault error) ([]byte, error) {
	c := d.Next()
	if c < form || c > form+2 {
		return nil, fault
	}
	header := 1 + 1<<(c-form)
	n, ok := d.number(header - 1)
	if !ok || n > uint64(d.Left()-header) || sizeOf(int(n)) != header+int(n) {
		return nil, fault
	}
	start := d.Pos + header
	d.Pos = start + int(n)
	return d.Data[start:d.Pos], nil
}

// ArrayHeader reads how many values follow. There need not be so many.
func (d *Decoder) ArrayHeader() (int, error) {
	if c := d.Next(); c&FixMask == FixArray {
		d.Pos++
		return int(c & LastFix), nil
	}
	return d.header(Array16, errNotArray)
}

// MapHeader reads how many keys follow, each with a value behind it. There need
// not be so many.
func (d *Decoder) MapHeader() (int, error) {
	if c := d.Next(); c&FixMask == FixMap {
		d.Pos++
		return int(c & LastFix), nil
	}
	return d.header(Map16, errNotMap)
}

// header reads the form with a length of two bytes, or the one behind it. A length
// that an int may not hold is as far over every limit as the largest int32.
func (d *Decoder) header(form byte, fault error) (int, error) {
	c := d.Next()
	if c != form && c != form+1 {
		return 0, fault
	}
	size := 2 << (c - form)
	n, ok := d.number(size)
	length := int(min(n, math.MaxInt32))
	if !ok || HeaderSize(length) != 1+size {
		return 0, fault
	}
	d.Pos += 1 + size
	return length, nil
}

// Kind is what a value is.
type Kind int

// An extension, and the end of the data, are OtherKind.
const (
	OtherKind Kind = iota
	NilKind
	BoolKind
	UintKind // a number that is not negative
	IntKind  // one that is
	Float32Kind
	Float64Kind
	StringKind
	BytesKind
	ArrayKind
	MapKind
)

// Kind is that of the next value.
func (d *Decoder) Kind() Kind {
	switch c := d.Next(); {
	case c <= LastFixInt || Uint8 <= c && c <= Uint64:
		return UintKind
	case c >= firstNegative || Int8 <= c && c <= Int64:
		return IntKind
	case c&FixStrMask == FixStr || Str8 <= c && c <= Str8+2:
		return StringKind
	case c&FixMask == FixArray || Array16 <= c && c <= Array16+1:
		return ArrayKind
	case c&FixMask == FixMap || Map16 <= c && c <= Map16+1:
		return MapKind
	case Bin8 <= c && c <= Bin8+2:
		return BytesKind
	case c == Nil:
		return NilKind
	case c == False || c == True:
		return BoolKind
	case c == Float32:
		return Float32Kind
	case c == Float64:
		return Float64Kind
	}
	return OtherKind
}
