package codec

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"reflect"
	"slices"
	"strconv"
	"sync/atomic"
)

// Plan is a registered type, compiled.
type Plan struct {
	Name    string
	Type    reflect.Type
	Version int
	// Fields are the saved fields, if the type is a struct.
	Fields []Field

	types        *Types
	former       bool // see AddFormer
	custom       *Custom
	model        *Model
	node         node
	pointer      node // to such a value
	table        table
	structs      []*structNode // in the order of table
	encodedTable []byte
	shapes       []byte  // of data in which no other component stands
	plans        []*Plan // p alone; only read
	group        []group // what shapes say; only read
	room         atomic.Int64
}

// Custom saves a type that has no form by its structure.
type Custom struct {
	Encode func(reflect.Value) ([]byte, error)
	// Decode sets v, which is zero. It may keep b.
	Decode func(b []byte, v reflect.Value) error
}

// finish derives what needs every node to be complete.
func (p *Plan) finish() {
	p.table, p.structs = newTable(p.node)
	p.encodedTable = p.table.append(nil)
	p.shapes = appendShapes(nil, []*Plan{p})
	p.plans = slices.Clip([]*Plan{p})
	p.group = []group{{name: p.Name, table: p.encodedTable, plan: p}}
	for _, s := range p.structs {
		s.least()
	}
	if s := p.structNode(); s != nil {
		for _, f := range s.fields {
			p.Fields = append(p.Fields, f.Field)
		}
	}
}

// structNode is the node of a component that is a struct, or nil.
func (p *Plan) structNode() *structNode {
	n := p.node
	if v, ok := n.(*versionNode); ok {
		n = v.node
	}
	s, _ := n.(*structNode)
	return s
}

// Encode appends the encoded form of v, a value of the plan's type, to b. For
// each field that omit marks, by its place in Fields, it writes the zero value;
// a nil omit marks none. The payload is no longer than limit bytes. A nil b gets
// [Plan.Room] bytes to begin with.
func (p *Plan) Encode(b []byte, v reflect.Value, omit []bool, limit int) ([]byte, error) {
	start := len(b)
	if b == nil {
		b = make([]byte, 0, p.Room())
	}
	b = append(b, p.shapes...)
	e := p.encoder(b, limit)
	defer e.release()
	if err := p.encode(e, v, omit); err != nil {
		return nil, At(TypeName(p.Type), err)
	}
	encoded, err := e.finish()
	if err != nil {
		return nil, At(TypeName(p.Type), err)
	}
	if took := int64(len(encoded) - start); took != p.room.Load() {
		p.room.Store(took)
	}
	return encoded, nil
}

// Same reports whether data is what Encode would append for v and omit, with no
// limit. It looks at nothing behind the first difference, and so may not return an
// error that Encode would. It encodes an element or two of a slice or map at a time,
// unless data holds other components or former fields: then it encodes all of v.
func (p *Plan) Same(v reflect.Value, omit []bool, data []byte) (bool, error) {
	payload, ok := bytes.CutPrefix(data, p.shapes)
	if !ok { // other components stand in it, or former fields
		encoded, err := p.Encode(nil, v, omit, math.MaxInt)
		return bytes.Equal(encoded, data), err
	}
	d := p.comparing(payload)
	defer d.release()
	err := p.encode(&d.encoder, v, omit)
	if d.flush() != nil || errors.Is(err, errDiffers) {
		return false, nil
	}
	if err != nil {
		return false, At(TypeName(p.Type), err)
	}
	return len(d.expected) == 0 && len(d.groups) == 1, nil
}

// Room is how many bytes to have ready for the next value: a little more than the
// last one took. It spares growing a buffer step by step. It is bounded, so that
// a large value does not make all others expensive.
func (p *Plan) Room() int {
	last := max(int(p.room.Load()), len(p.shapes))
	return min(last+last/16+32, maxRoom)
}

const maxRoom = 64 << 10

func (p *Plan) encode(e *encoder, v reflect.Value, omit []bool) error {
	if omit != nil {
		return p.structNode().encodeWithout(e, v, omit)
	}
	return p.node.encode(e, v)
}

// HashField writes one field of v, by its place in Fields, into a hash: the same
// bytes for equal values, and others for others. Of slices and maps it holds an
// element or two at a time.
func (p *Plan) HashField(h *maphash.Hash, v reflect.Value, i, limit int) error {
	f := &p.structNode().fields[i]
	d := p.hashing(h, limit)
	defer d.release()
	err := cmp.Or(f.node.encode(&d.encoder, v.Field(f.index)), d.fits(), d.flush())
	if err != nil {
		return At(TypeName(p.Type)+"."+f.GoName, err)
	}
	if len(d.groups) > 1 { // their numbers mean nothing without their names
		h.Write(appendShapes(nil, d.groups))
	}
	return nil
}

// Largest returns the path to the field of v, a value of the plan's type, that
// takes the most bytes: of a struct in it, the field there. What omit marks does
// not count, see [Plan.Encode].
func (p *Plan) Largest(v reflect.Value, omit []bool) (path string) {
	path = TypeName(p.Type)
	for s := p.structNode(); s != nil && len(s.fields) > 0; omit = nil {
		largest, most := &s.fields[0], 0
		for i := range s.fields {
			f := &s.fields[i]
			if i < len(omit) && omit[i] {
				continue
			}
			if n := p.size(f.node, v.Field(f.index)); n > most {
				largest, most = f, n
			}
		}
		path += "." + largest.GoName
		v = v.Field(largest.index)
		s, _ = largest.node.(*structNode)
	}
	return path
}

// size is how many bytes v takes: no end of them if it is over a limit by itself.
func (p *Plan) size(n node, v reflect.Value) int {
	d := p.hashing(new(maphash.Hash), math.MaxInt) // so that what was written does not stay in memory
	defer d.release()
	if err := n.encode(&d.encoder, v); errors.Is(err, ErrLimit) {
		return math.MaxInt
	}
	return len(d.buf) - d.start
}

// FieldSizes returns how many bytes the fields take in data that Encode wrote, by
// their places in Fields. It is nil for what is no struct, or had other fields.
func (p *Plan) FieldSizes(data []byte) []int {
	s := p.structNode()
	_, payload, err := readShapes(p, data)
	if s == nil || err != nil {
		return nil
	}
	d := newDecoder(payload)
	if d.open(len(s.fields)) != nil {
		return nil
	}
	sizes := make([]int, len(s.fields))
	for i := range sizes {
		start := d.Pos
		if d.skip() != nil {
			return nil
		}
		sizes[i] = d.Pos - start
	}
	return sizes
}

// FieldValue is the value of one field of v, by its place in Fields.
func (p *Plan) FieldValue(v reflect.Value, i int) reflect.Value {
	return v.Field(p.structNode().fields[i].index)
}

// ClearField makes one field of v zero, by its place in Fields.
func (p *Plan) ClearField(v reflect.Value, i int) { clearValue(p.FieldValue(v, i)) }

// clearValue does what it can for an embedded struct that is unexported: no more
// of it was set.
func clearValue(v reflect.Value) {
	if v.CanSet() {
		v.SetZero()
		return
	}
	for _, f := range v.Fields() {
		if f.CanSet() || f.Kind() == reflect.Struct {
			clearValue(f)
		}
	}
}

// Decode sets v, a zero value of the plan's type that can be set, to what
// Encode wrote. After an error v is half set and of no use.
//
// Strings of the value are parts of one string as long as the payload; bytes
// are copies. Where the value refers to rows, v is complete only after they have
// been resolved.
func (p *Plan) Decode(data []byte, v reflect.Value) (References, error) {
	d := decoders.Get().(*decoder)
	defer d.release()
	if err := p.decode(d, data, v); err != nil {
		return References{}, At(TypeName(p.Type), err)
	}
	return d.References, nil
}

func (p *Plan) decode(d *decoder, data []byte, v reflect.Value) error {
	if err := p.begin(d, data); err != nil {
		return err
	}
	if err := p.node.decode(d, v); err != nil {
		return err
	}
	if d.Left() > 0 {
		return malformed("more than a payload")
	}
	if d.met < len(d.groups) {
		return malformed("a type that nothing holds")
	}
	return nil
}

// begin reads the shapes of data, and sets d to decode the payload behind them.
// Mostly the shapes are what Encode writes today for a value in which no other
// component stands, and then there is nothing to read.
func (p *Plan) begin(d *decoder, data []byte) error {
	if payload, ok := bytes.CutPrefix(data, p.shapes); ok {
		d.start(payload)
		d.groups, d.met = p.group, 1
		return nil
	}
	groups, payload, err := readShapes(p, data)
	if err != nil {
		return err
	}
	d.start(payload)
	d.groups, d.met = groups, 1
	own := &groups[0]
	if own.other != nil {
		own.views, err = p.views(own.other)
	}
	d.views = own.views
	return err
}

// versionNode is a component whose schema version is not 0: the version is part
// of its signature, wherever it stands.
type versionNode struct {
	node
	version int
}

func (n *versionNode) signature(s *signer) {
	s.text("v" + strconv.Itoa(n.version) + ";")
	n.node.signature(s)
}

// customNode is a type saved by the functions of a Custom, as bytes.
type customNode struct {
	name   string
	custom *Custom
}

func (n *customNode) signature(s *signer) { s.text("<" + strconv.Itoa(len(n.name)) + ":" + n.name) }
func (n *customNode) least() int          { return 2 }
func (n *customNode) nilable() bool       { return false }

func (n *customNode) encode(e *encoder, v reflect.Value) error {
	b, err := n.custom.Encode(v)
	if err != nil {
		return &customError{ErrUnsavable, n.name, err}
	}
	e.charge(1, len(b))
	e.bytes(b)
	return nil
}

func (n *customNode) decode(d *decoder, v reflect.Value) error {
	b, err := d.copyBytes()
	if err != nil {
		return err
	}
	if err := n.custom.Decode(b, v); err != nil {
		return &customError{ErrMalformed, n.name, err}
	}
	return nil
}

// customError is what the functions of a Custom returned. Its text leaves out
// theirs, which may hold the value.
type customError struct {
	meaning error // ErrUnsavable or ErrMalformed
	name    string
	err     error
}

func (e *customError) Error() string {
	return fmt.Sprintf("%v: codec %q returned an error", e.meaning, e.name)
}

func (e *customError) Unwrap() []error { return []error{e.meaning, e.err} }
