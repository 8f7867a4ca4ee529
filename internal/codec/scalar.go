package codec

import (
	"reflect"
	"strconv"

	"github.com/tinylib/msgp/msgp"
)

// leaf is what the nodes without others below them have in common.
type leaf struct {
	sig   string
	small int // the least number of bytes a value takes
}

func (n leaf) signature(s *signer) { s.text(n.sig) }
func (n leaf) least() int          { return n.small }
func (n leaf) nilable() bool       { return false }

type boolNode struct{ leaf }

func (n boolNode) encode(e *encoder, v reflect.Value) error {
	e.bool(v.Bool())
	return nil
}

func (n boolNode) decode(d *decoder, v reflect.Value) error {
	b, err := d.bool()
	if err != nil {
		return err
	}
	v.SetBool(b)
	return nil
}

type intNode struct{ leaf }

func (n intNode) encode(e *encoder, v reflect.Value) error {
	e.int(v.Int())
	return nil
}

func (n intNode) decode(d *decoder, v reflect.Value) error {
	i, err := d.int()
	if err != nil {
		return err
	}
	if v.OverflowInt(i) {
		return malformed("a number too large for its type")
	}
	v.SetInt(i)
	return nil
}

type uintNode struct{ leaf }

func (n uintNode) encode(e *encoder, v reflect.Value) error {
	e.uint(v.Uint())
	return nil
}

func (n uintNode) decode(d *decoder, v reflect.Value) error {
	u, err := d.uint()
	if err != nil {
		return err
	}
	if v.OverflowUint(u) {
		return malformed("a number too large for its type")
	}
	v.SetUint(u)
	return nil
}

type float32Node struct{ leaf }

func (n float32Node) encode(e *encoder, v reflect.Value) error {
	e.buf = msgp.AppendFloat32(e.buf, float32(v.Float()))
	return nil
}

func (n float32Node) decode(d *decoder, v reflect.Value) error {
	f, err := d.float32()
	if err != nil {
		return err
	}
	v.SetFloat(float64(f))
	return nil
}

type float64Node struct{ leaf }

func (n float64Node) encode(e *encoder, v reflect.Value) error {
	e.buf = msgp.AppendFloat64(e.buf, v.Float())
	return nil
}

func (n float64Node) decode(d *decoder, v reflect.Value) error {
	f, err := d.float64()
	if err != nil {
		return err
	}
	v.SetFloat(f)
	return nil
}

// complexNode writes the real and the imaginary part, each as a float of half
// the type's size.
type complexNode struct {
	leaf
	single bool
}

func (n complexNode) encode(e *encoder, v reflect.Value) error {
	if err := e.open(2); err != nil {
		return err
	}
	c := v.Complex()
	for _, part := range [...]float64{real(c), imag(c)} {
		if n.single {
			e.buf = msgp.AppendFloat32(e.buf, float32(part))
		} else {
			e.buf = msgp.AppendFloat64(e.buf, part)
		}
	}
	e.leave()
	return nil
}

func (n complexNode) decode(d *decoder, v reflect.Value) error {
	if err := d.open(2); err != nil {
		return err
	}
	var parts [2]float64
	for i := range parts {
		if n.single {
			f, err := d.float32()
			if err != nil {
				return err
			}
			parts[i] = float64(f)
			continue
		}
		f, err := d.float64()
		if err != nil {
			return err
		}
		parts[i] = f
	}
	d.leave()
	v.SetComplex(complex(parts[0], parts[1]))
	return nil
}

type stringNode struct{ leaf }

func (n stringNode) encode(e *encoder, v reflect.Value) error {
	e.string(v.String())
	return nil
}

func (n stringNode) decode(d *decoder, v reflect.Value) error {
	s, err := d.string()
	if err != nil {
		return err
	}
	v.SetString(s)
	return nil
}

// bytesNode is a slice of bytes, of whatever named types.
type bytesNode struct{ leaf }

func (n bytesNode) nilable() bool { return true }

func (n bytesNode) encode(e *encoder, v reflect.Value) error {
	if v.IsNil() {
		e.nil()
		return nil
	}
	e.charge(1, v.Len())
	e.bytes(v.Bytes())
	return nil
}

func (n bytesNode) decode(d *decoder, v reflect.Value) error {
	if d.nil() {
		return nil
	}
	b, err := d.copyBytes()
	if err != nil {
		return err
	}
	v.SetBytes(b)
	return nil
}

// copyBytes reads bytes that may be kept. They are never nil.
func (d *decoder) copyBytes() ([]byte, error) {
	b, err := d.bytes()
	if err != nil {
		return nil, err
	}
	if err := d.charge(1, len(b)); err != nil {
		return nil, err
	}
	return append(make([]byte, 0, len(b)), b...), nil
}

// byteArrayNode is an array of bytes.
type byteArrayNode struct {
	leaf
	length int
}

func newByteArray(length int) byteArrayNode {
	sig := "Y" + strconv.Itoa(length) + ";"
	return byteArrayNode{leaf{sig, blobSize(length, 0) + length}, length}
}

func (n byteArrayNode) encode(e *encoder, v reflect.Value) error {
	e.bytes(addressable(v).Bytes())
	return nil
}

func (n byteArrayNode) decode(d *decoder, v reflect.Value) error {
	b, err := d.bytes()
	if err != nil {
		return err
	}
	if len(b) != n.length {
		return malformed("bytes of another length")
	}
	copy(v.Bytes(), b)
	return nil
}

// addressable returns v, or a copy of it that has an address.
func addressable(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return v
	}
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	return c
}

// newScalar returns the node of a kind that is neither composite nor refused.
func newScalar(k reflect.Kind) node {
	switch k {
	case reflect.Bool:
		return boolNode{leaf{"b", 1}}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return intNode{leaf{scalarSignatures[k], 1}}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return uintNode{leaf{scalarSignatures[k], 1}}
	case reflect.Float32:
		return float32Node{leaf{"f", 5}}
	case reflect.Float64:
		return float64Node{leaf{"d", 9}}
	case reflect.Complex64:
		return complexNode{leaf{"F", 11}, true}
	case reflect.Complex128:
		return complexNode{leaf{"D", 19}, false}
	case reflect.String:
		return stringNode{leaf{"s", 1}}
	}
	return nil
}

// scalarSignatures tells the whole numbers apart: int is a kind of its own,
// and int64 another.
var scalarSignatures = [...]string{
	reflect.Int: "i", reflect.Int8: "c", reflect.Int16: "h", reflect.Int32: "w", reflect.Int64: "l",
	reflect.Uint: "I", reflect.Uint8: "C", reflect.Uint16: "H", reflect.Uint32: "W", reflect.Uint64: "L",
}
