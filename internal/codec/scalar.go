package codec

import (
	"reflect"
	"strconv"

	"github.com/pagestate/pagestate/internal/wire"
)

// leaf is what the nodes without others below them have in common.
type leaf struct {
	sig   string
	small int // the least number of bytes a value takes
}

func (n leaf) signature(s *signer) { s.text(n.sig) }
func (n leaf) least() int          { return n.small }
func (n leaf) nilable() bool       { return false }

// scalarNode is a bool, a number or a string, of whatever named type. A struct
// asks isScalar once for each field, and then calls the methods of encoder and
// decoder without a node between.
type scalarNode struct{ leaf }

func isScalar(n node) bool {
	_, ok := n.(scalarNode)
	return ok
}

func (n scalarNode) encode(e *encoder, v reflect.Value) error {
	e.scalar(v)
	return nil
}

func (n scalarNode) decode(d *decoder, v reflect.Value) error { return d.scalar(v) }

// scalar compares kinds one after the other, the commonest first: a switch on the
// kind becomes a jump through a table, which processors guess less well.
func (e *encoder) scalar(v reflect.Value) {
	switch kind := v.Kind(); {
	case kind == reflect.String:
		e.string(v.String())
	case kind == reflect.Bool:
		e.bool(v.Bool())
	case kind <= reflect.Int64:
		e.int(v.Int())
	case kind <= reflect.Uint64:
		e.uint(v.Uint())
	case kind == reflect.Float64:
		e.float64(v.Float())
	default:
		e.float32(float32(v.Float()))
	}
}

var errTooLarge = malformed("a number too large for its type")

func (d *decoder) scalar(v reflect.Value) error {
	switch kind := v.Kind(); {
	case kind == reflect.String:
		s, err := d.string()
		if err != nil {
			return err
		}
		v.SetString(s)
	case kind == reflect.Bool:
		b, err := d.Bool()
		if err != nil {
			return err
		}
		v.SetBool(b)
	case kind <= reflect.Int64:
		i, err := d.Int()
		if err != nil {
			return err
		}
		if v.OverflowInt(i) {
			return errTooLarge
		}
		v.SetInt(i)
	case kind <= reflect.Uint64:
		u, err := d.Uint()
		if err != nil {
			return err
		}
		if v.OverflowUint(u) {
			return errTooLarge
		}
		v.SetUint(u)
	case kind == reflect.Float64:
		f, err := d.Float64()
		if err != nil {
			return err
		}
		v.SetFloat(f)
	default:
		f, err := d.Float32()
		if err != nil {
			return err
		}
		v.SetFloat(float64(f))
	}
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
			e.float32(float32(part))
		} else {
			e.float64(part)
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
			f, err := d.Float32()
			if err != nil {
				return err
			}
			parts[i] = float64(f)
			continue
		}
		f, err := d.Float64()
		if err != nil {
			return err
		}
		parts[i] = f
	}
	d.leave()
	v.SetComplex(complex(parts[0], parts[1]))
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
	if d.Nil() {
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
	b, err := d.Bytes()
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
	return byteArrayNode{leaf{sig, wire.BytesSize(length)}, length}
}

func (n byteArrayNode) encode(e *encoder, v reflect.Value) error {
	e.bytes(addressable(v).Bytes())
	return nil
}

func (n byteArrayNode) decode(d *decoder, v reflect.Value) error {
	b, err := d.Bytes()
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
	case reflect.Complex64:
		return complexNode{leaf{"F", 11}, true}
	case reflect.Complex128:
		return complexNode{leaf{"D", 19}, false}
	}
	if sig := scalarSignatures[k]; sig != "" {
		return scalarNode{leaf{sig, leastScalar(k)}}
	}
	return nil
}

// scalarSignatures tells the whole numbers apart: int is a kind of its own,
// and int64 another.
var scalarSignatures = [reflect.UnsafePointer + 1]string{
	reflect.Int: "i", reflect.Int8: "c", reflect.Int16: "h", reflect.Int32: "w", reflect.Int64: "l",
	reflect.Uint: "I", reflect.Uint8: "C", reflect.Uint16: "H", reflect.Uint32: "W", reflect.Uint64: "L",
	reflect.Bool: "b", reflect.String: "s", reflect.Float32: "f", reflect.Float64: "d",
}

func leastScalar(k reflect.Kind) int {
	switch k {
	case reflect.Float32:
		return 5
	case reflect.Float64:
		return 9
	}
	return 1
}
