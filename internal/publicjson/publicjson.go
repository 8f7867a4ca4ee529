// Package publicjson writes the public fields of a state as JSON for its page,
// and reads back what the page sends. A type is compiled once, as in package
// codec, whose limits hold here too, and no method of a value's type is called.
// Package form walks the same nodes, for forms.
//
//	publicjson.go  a struct type and what stands below its public fields, compiled
//	check.go       what may be public
//	encode.go      writing
//	decode.go      strict reading, within a memory budget
package publicjson

import (
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pagestate/pagestate/internal/codec"
)

// MaxBytes is how many bytes of JSON public fields may take, in both directions.
const MaxBytes = 1 << 20

// Budget is how many bytes of memory reading may still allocate.
type Budget int

// NewBudget returns that of what was sent in so many bytes.
func NewBudget(sent int) Budget { return Budget(codec.MemoryBudget(sent)) }

// Charge takes n times size off. It is called with what is about to be allocated
// where that may be much more than the text that asks for it.
func (b *Budget) Charge(n, size int) error {
	if size > 0 && n > int(*b)/size {
		return fmt.Errorf("%w: it takes more memory than its size allows", codec.ErrLimit)
	}
	*b -= Budget(n * size)
	return nil
}

// Public are the public fields of a struct type: those a page may see and change
// as JSON. It is safe for concurrent use.
type Public struct {
	typ    reflect.Type
	fields []Field
	took   atomic.Int64 // how many bytes the last value took
}

// compiled are the results of Of, each a compilation, by their reflect.Type. They
// stand here because a state does not know which Middleware it belongs to, and a
// program has only so many types. encoding/json keeps its own in the same way.
var compiled sync.Map

type compilation struct {
	public *Public
	err    error
}

// Of returns the public fields of a struct type, which need not be registered.
// What may not be public is an error that starts with the path to it.
func Of(typ reflect.Type) (*Public, error) {
	known, ok := compiled.Load(typ)
	if !ok {
		p, err := compile(typ)
		known, _ = compiled.LoadOrStore(typ, compilation{p, err})
	}
	c := known.(compilation)
	return c.public, c.err
}

// Fields are the public fields, in the order of their declaration.
func (p *Public) Fields() []Field { return p.fields }

func compile(typ reflect.Type) (*Public, error) {
	c := newCheck(new(codec.Types), typ.PkgPath())
	var public []savedField
	for _, f := range c.named(typ, codec.TypeName(typ)) {
		if f.saved.Public {
			c.field(f, codec.TypeName(typ))
			public = append(public, f)
		}
	}
	if len(c.faults) > 0 {
		return nil, c.faults[0]
	}
	nodes := compiler{check: c, nodes: make(map[reflect.Type]*Node)}
	return &Public{typ: typ, fields: nodes.fields(public)}, nil
}

// Node is a type below a public field.
type Node struct {
	Type    reflect.Type
	Form    Form
	Elem    *Node // of a Pointer, List, Array or Mapping
	Fields  []Field
	MapSize codec.MapSize
}

// Field is a public field, or a saved one of a struct below it.
type Field struct {
	Name  string
	Index int // in the Go struct
	Node  *Node
	label []byte // the name as JSON, with a colon behind it
}

// Form is how values of a type are written.
type Form int

const (
	Boolean Form = iota
	Integer
	Unsigned
	Float32
	Float64
	Text
	Moment
	Base64Slice
	Base64Array
	Pointer
	List
	Array
	Mapping
	Object
)

var forms = [reflect.UnsafePointer + 1]Form{
	reflect.Bool: Boolean,
	reflect.Int:  Integer, reflect.Int8: Integer, reflect.Int16: Integer, reflect.Int32: Integer, reflect.Int64: Integer,
	reflect.Uint: Unsigned, reflect.Uint8: Unsigned, reflect.Uint16: Unsigned, reflect.Uint32: Unsigned, reflect.Uint64: Unsigned,
	reflect.Float32: Float32, reflect.Float64: Float64,
	reflect.String: Text, reflect.Pointer: Pointer, reflect.Slice: List, reflect.Array: Array, reflect.Map: Mapping, reflect.Struct: Object,
}

var timeType = reflect.TypeFor[time.Time]()

func formOf(typ reflect.Type) Form {
	if typ == timeType {
		return Moment
	}
	f := forms[typ.Kind()]
	if f == List && isBytes(typ) {
		return Base64Slice
	}
	if f == Array && isBytes(typ) {
		return Base64Array
	}
	return f
}

func isBytes(typ reflect.Type) bool { return typ.Elem().Kind() == reflect.Uint8 }

// compiler makes nodes of types in which check found no fault.
type compiler struct {
	check *check
	nodes map[reflect.Type]*Node
}

func (c *compiler) node(typ reflect.Type) *Node {
	if n := c.nodes[typ]; n != nil {
		return n
	}
	n := &Node{Type: typ, Form: formOf(typ)}
	c.nodes[typ] = n // before its parts, which may hold the type again
	switch n.Form {
	case Pointer, List, Array:
		n.Elem = c.node(typ.Elem())
	case Mapping:
		n.Elem = c.node(typ.Elem())
		n.MapSize = codec.SizeOfMap(typ)
	case Object:
		n.Fields = c.fields(c.check.within[typ])
	}
	return n
}

func (c *compiler) fields(saved []savedField) []Field {
	var fields []Field
	for _, f := range saved {
		fields = append(fields, Field{
			Name:  f.saved.Name,
			Index: f.Index[0],
			Node:  c.node(f.Type),
			label: append(appendString(nil, f.saved.Name), ':'),
		})
	}
	return fields
}

func malformed(what string) error { return fmt.Errorf("%w: %s", codec.ErrMalformed, what) }
