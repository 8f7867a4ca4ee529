package codec

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"html/template"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"time"

	"github.com/pagestate/pagestate/internal/wire"
)

// stdTypes are the types of the standard library that have fields of their own
// which no other package may see, and a form of their own here.
var stdTypes = map[reflect.Type]node{
	reflect.TypeFor[time.Time]():      timeNode{leaf{"t", 4}},
	reflect.TypeFor[big.Int]():        exact("z", 3, encodeInt, decodeInt),
	reflect.TypeFor[big.Rat]():        exact("r", 8, encodeRat, decodeRat),
	reflect.TypeFor[big.Float]():      exact("g", 9, encodeFloat, decodeFloat),
	reflect.TypeFor[netip.Addr]():     exact("a", 2, encodeBinary[netip.Addr], decodeBinary[netip.Addr]),
	reflect.TypeFor[netip.AddrPort](): exact("p", 4, encodeBinary[netip.AddrPort], decodeBinary[netip.AddrPort]),
	reflect.TypeFor[netip.Prefix]():   exact("x", 3, encodeBinary[netip.Prefix], decodeBinary[netip.Prefix]),
	reflect.TypeFor[url.URL]():        exact("n", 12, encodeURL, decodeURL),
}

// templateTypes are strings that html/template trusts. Each has a signature of
// its own, so that a field which held plain text is never read as markup.
var templateTypes = map[reflect.Type]string{
	reflect.TypeFor[template.HTML]():     "Th",
	reflect.TypeFor[template.HTMLAttr](): "Ta",
	reflect.TypeFor[template.CSS]():      "Tc",
	reflect.TypeFor[template.JS]():       "Tj",
	reflect.TypeFor[template.JSStr]():    "Ts",
	reflect.TypeFor[template.URL]():      "Tu",
	reflect.TypeFor[template.Srcset]():   "Te",
}

// timeNode writes seconds and nanoseconds since 1970 and the offset from UTC
// in seconds, which is nil for time.UTC. The name of a zone is lost.
type timeNode struct{ leaf }

// zoneSize is about what time.FixedZone allocates.
const zoneSize = 256

func (n timeNode) encode(e *encoder, v reflect.Value) error {
	t, _ := reflect.TypeAssert[time.Time](v)
	sec, nsec := t.Unix(), t.Nanosecond()
	if t.Location() == time.UTC && math.MaxUint16 < sec && sec <= math.MaxUint32 && math.MaxUint16 < nsec && e.depth < MaxDepth {
		e.buf = append(e.buf, // what open, int, uint and nil would write
			wire.FixArray|3,
			wire.Uint32, byte(sec>>24), byte(sec>>16), byte(sec>>8), byte(sec),
			wire.Uint32, byte(nsec>>24), byte(nsec>>16), byte(nsec>>8), byte(nsec),
			wire.Nil)
		return nil
	}
	if err := e.open(3); err != nil {
		return err
	}
	e.int(sec)
	e.uint(uint64(nsec))
	if err := e.zone(t); err != nil {
		return err
	}
	e.leave()
	return nil
}

func (e *encoder) zone(t time.Time) error {
	if t.Location() == time.UTC {
		e.nil()
		return nil
	}
	_, offset := t.Zone()
	if offset != int(int32(offset)) {
		return fmt.Errorf("%w: the offset of its zone is out of range", ErrUnsavable)
	}
	e.charge(1, zoneSize)
	e.int(int64(offset))
	return nil
}

func (n timeNode) decode(d *decoder, v reflect.Value) error {
	t, ok := d.usualTime()
	if !ok {
		var err error
		if t, err = d.time(); err != nil {
			return err
		}
	}
	p, _ := reflect.TypeAssert[*time.Time](v.Addr())
	*p = t
	return nil
}

// usualTime reads what most times look like: UTC, seconds and nanoseconds of four
// bytes each. It reads nothing of any other.
func (d *decoder) usualTime() (t time.Time, ok bool) {
	const size = 1 + 5 + 5 + 1
	b := d.Rest()
	if len(b) < size || d.depth == MaxDepth || b[0] != wire.FixArray|3 || b[1] != wire.Uint32 || b[6] != wire.Uint32 || b[11] != wire.Nil {
		return t, false
	}
	seconds, nanoseconds := binary.BigEndian.Uint32(b[2:]), binary.BigEndian.Uint32(b[7:])
	if seconds <= math.MaxUint16 || nanoseconds <= math.MaxUint16 || nanoseconds >= uint32(time.Second) {
		return t, false
	}
	d.Pos += size
	return time.Unix(int64(seconds), int64(nanoseconds)).In(time.UTC), true
}

func (d *decoder) time() (t time.Time, err error) {
	if err := d.open(3); err != nil {
		return t, err
	}
	seconds, err := d.Int()
	if err != nil {
		return t, err
	}
	nanoseconds, err := d.Uint()
	if err != nil {
		return t, err
	}
	if nanoseconds >= uint64(time.Second) {
		return t, malformed("a time with more than a second of nanoseconds")
	}
	zone, err := d.zone()
	if err != nil {
		return t, err
	}
	d.leave()
	return time.Unix(seconds, int64(nanoseconds)).In(zone), nil
}

func (d *decoder) zone() (*time.Location, error) {
	if d.Nil() {
		return time.UTC, nil
	}
	offset, err := d.Int()
	if err != nil {
		return nil, err
	}
	if offset < math.MinInt32 || offset > math.MaxInt32 {
		return nil, malformed("an offset out of range")
	}
	if err := d.charge(1, zoneSize); err != nil {
		return nil, err
	}
	return time.FixedZone("", int(offset)), nil
}

// exactNode reads a type whose own functions accept several forms of a value:
// what was read must be what would be written.
type exactNode[T any] struct {
	leaf
	write func(*encoder, *T) error
	read  func(*decoder, *T) error
}

func exact[T any](sig string, least int, write func(*encoder, *T) error, read func(*decoder, *T) error) node {
	return &exactNode[T]{leaf{sig, least}, write, read}
}

func (n *exactNode[T]) encode(e *encoder, v reflect.Value) error {
	return n.write(e, addressable(v).Addr().Interface().(*T))
}

func (n *exactNode[T]) decode(d *decoder, v reflect.Value) error {
	start := d.Pos
	p := v.Addr().Interface().(*T)
	if err := n.read(d, p); err != nil {
		return err
	}
	if d.form == nil {
		d.form = new(encoder)
	}
	*d.form = encoder{buf: d.form.buf[:0], limit: len(d.Data) - start}
	err := n.write(d.form, p)
	if err != nil || !bytes.Equal(d.form.buf, d.Data[start:d.Pos]) {
		return malformed("not the one form of its value")
	}
	return nil
}

var errNumber = fmt.Errorf("%w: a number of more than %d bytes", ErrLimit, maxNumber)

// numberMemory is about what reading a big number of so many bytes allocates,
// with what it takes to see that a Rat is in lowest terms.
func numberMemory(size int) int { return 96 + 6*size }

// magnitude reads the bytes of a big number.
func (d *decoder) magnitude() ([]byte, error) {
	b, err := d.Bytes()
	if err != nil {
		return nil, err
	}
	if len(b) > maxNumber+1 {
		return nil, errNumber
	}
	return b, d.charge(1, numberMemory(len(b)))
}

// A big.Int is a byte for its sign, 1 if negative, and its magnitude.
func encodeInt(e *encoder, x *big.Int) error {
	size := (x.BitLen() + 7) / 8
	if size > maxNumber {
		return errNumber
	}
	var sign byte
	if x.Sign() < 0 {
		sign = 1
	}
	e.charge(1, numberMemory(1+size))
	e.buf = append(wire.AppendBytesHeader(e.buf, 1+size), sign)
	e.buf = append(e.buf, make([]byte, size)...)
	x.FillBytes(e.buf[len(e.buf)-size:])
	return nil
}

func decodeInt(d *decoder, x *big.Int) error {
	b, err := d.magnitude()
	if err != nil {
		return err
	}
	if len(b) == 0 {
		return malformed("not a whole number")
	}
	x.SetBytes(b[1:])
	if b[0] == 1 {
		x.Neg(x)
	}
	return nil
}

// A big.Rat is its numerator and its denominator, in lowest terms.
func encodeRat(e *encoder, x *big.Rat) error {
	if err := e.open(2); err != nil {
		return err
	}
	if err := encodeInt(e, x.Num()); err != nil {
		return err
	}
	if err := encodeInt(e, x.Denom()); err != nil {
		return err
	}
	e.leave()
	return nil
}

func decodeRat(d *decoder, x *big.Rat) error {
	if err := d.open(2); err != nil {
		return err
	}
	var num, denom big.Int
	if err := decodeInt(d, &num); err != nil {
		return err
	}
	if err := decodeInt(d, &denom); err != nil {
		return err
	}
	if denom.Sign() <= 0 {
		return malformed("a denominator that is not positive")
	}
	d.leave()
	x.SetFrac(&num, &denom)
	return nil
}

const (
	maxPrecision = 8 * maxNumber // of a big.Float, in bits
	maxExponent  = 1 << 16
)

var (
	errPrecision = fmt.Errorf("%w: a precision of more than %d bits", ErrLimit, maxPrecision)
	errExponent  = fmt.Errorf("%w: an exponent beyond %d", ErrLimit, maxExponent)
)

// A big.Float is its precision, its rounding mode, whether it is negative,
// whether it is infinite, its exponent and its mantissa: the odd number that
// times 2 to the exponent is the value. Its accuracy is lost.
func encodeFloat(e *encoder, x *big.Float) error {
	if x.Prec() > maxPrecision {
		return errPrecision
	}
	if err := e.open(6); err != nil {
		return err
	}
	e.uint(uint64(x.Prec()))
	e.uint(uint64(x.Mode()))
	e.bool(x.Signbit())
	e.bool(x.IsInf())
	mantissa, exponent := new(big.Int), 0
	if !x.IsInf() && x.Sign() != 0 {
		bits := int(x.MinPrec())
		whole := new(big.Float)
		exponent = x.MantExp(whole) - bits
		whole.SetMantExp(whole.Abs(whole), bits).Int(mantissa)
	}
	if exponent < -maxExponent || exponent > maxExponent {
		return errExponent
	}
	e.int(int64(exponent))
	if err := encodeInt(e, mantissa); err != nil {
		return err
	}
	e.leave()
	return nil
}

func decodeFloat(d *decoder, x *big.Float) error {
	if err := d.open(6); err != nil {
		return err
	}
	precision, err1 := d.Uint()
	mode, err2 := d.Uint()
	negative, err3 := d.Bool()
	infinite, err4 := d.Bool()
	exponent, err5 := d.Int()
	if err := cmp.Or(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	if precision > maxPrecision {
		return errPrecision
	}
	if exponent < -maxExponent || exponent > maxExponent {
		return errExponent
	}
	if mode > uint64(big.ToPositiveInf) {
		return malformed("an unknown rounding mode")
	}
	mantissa := new(big.Int)
	if err := decodeInt(d, mantissa); err != nil {
		return err
	}
	d.leave()
	x.SetMode(big.RoundingMode(mode)).SetPrec(uint(precision))
	switch {
	case infinite:
		x.SetInf(false)
	case mantissa.Sign() != 0:
		x.SetMantExp(x.SetInt(mantissa), int(exponent))
	}
	if negative {
		x.Neg(x)
	}
	return nil
}

// binaryForm is the fixed form that the types of net/netip document.
type binaryForm[T any] interface {
	*T
	MarshalBinary() ([]byte, error)
	UnmarshalBinary([]byte) error
}

func encodeBinary[T any, P binaryForm[T]](e *encoder, x P) error {
	b, err := x.MarshalBinary()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsavable, err)
	}
	e.charge(zoneNames, len(b))
	e.bytes(b)
	return nil
}

// zoneNames allows for what netip keeps of the name of a zone, times its length.
const zoneNames = 8

func decodeBinary[T any, P binaryForm[T]](d *decoder, x P) error {
	b, err := d.Bytes()
	if err != nil {
		return err
	}
	if err := d.charge(zoneNames, len(b)); err != nil {
		return err
	}
	if err := x.UnmarshalBinary(b); err != nil {
		return malformed("not a network address")
	}
	return nil
}

// A url.URL is its fields in the order of urlStrings, its user, and its two
// flags. Its user is nil, or an array of the name and, if it is set, the
// password.
func encodeURL(e *encoder, u *url.URL) error {
	if err := e.open(11); err != nil {
		return err
	}
	for _, s := range urlStrings(u) {
		e.string(*s)
	}
	if err := encodeUser(e, u.User); err != nil {
		return err
	}
	e.bool(u.ForceQuery)
	e.bool(u.OmitHost)
	e.leave()
	return nil
}

func urlStrings(u *url.URL) [8]*string {
	return [...]*string{&u.Scheme, &u.Opaque, &u.Host, &u.Path, &u.RawPath, &u.RawQuery, &u.Fragment, &u.RawFragment}
}

func encodeUser(e *encoder, user *url.Userinfo) error {
	if user == nil {
		e.nil()
		return nil
	}
	e.charge(1, userSize)
	parts := []string{user.Username()}
	if password, set := user.Password(); set {
		parts = append(parts, password)
	}
	if err := e.open(len(parts)); err != nil {
		return err
	}
	for _, part := range parts {
		e.string(part)
	}
	e.leave()
	return nil
}

var userSize = int(reflect.TypeFor[url.Userinfo]().Size())

func decodeURL(d *decoder, u *url.URL) (err error) {
	if err := d.open(11); err != nil {
		return err
	}
	for _, s := range urlStrings(u) {
		if *s, err = d.string(); err != nil {
			return err
		}
	}
	if u.User, err = d.user(); err != nil {
		return err
	}
	if u.ForceQuery, err = d.Bool(); err != nil {
		return err
	}
	if u.OmitHost, err = d.Bool(); err != nil {
		return err
	}
	d.leave()
	return nil
}

func (d *decoder) user() (*url.Userinfo, error) {
	if d.Nil() {
		return nil, nil
	}
	n, err := d.ArrayHeader()
	if err != nil {
		return nil, err
	}
	if err := cmp.Or(d.enter(), d.charge(1, userSize)); err != nil {
		return nil, err
	}
	name, err := d.string()
	if err != nil {
		return nil, err
	}
	if n == 1 {
		d.leave()
		return url.User(name), nil
	}
	password, err := d.string()
	if err != nil {
		return nil, err
	}
	d.leave()
	return url.UserPassword(name, password), nil
}
