// Package publicjson writes the public fields of a state as JSON for its page,
// and reads back what the page sends. A type is compiled once, as in package
// codec, whose limits hold here too, and no method of a value's type is called.
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

// Public are the public fields of a struct type: those a page may see and change
// as JSON. It is safe for concurrent use.
type Public struct {
	typ  reflect.Type
	node *node        // of the struct, with its public fields alone
	took atomic.Int64 // how many bytes the last value took
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
	nodes := compiler{check: c, nodes: make(map[reflect.Type]*node)}
	return &Public{typ: typ, node: &node{typ: typ, form: object, fields: nodes.fields(public)}}, nil
}

// node is a type below a public field.
type node struct {
	typ     reflect.Type
	form    form
	elem    *node // of a pointer, list, array or mapping
	fields  []field
	mapSize codec.MapSize
}

type field struct {
	name  string
	label []byte // the name as JSON, with a colon behind it
	index int    // in the Go struct
	node  *node
}

// form is how values of a type are written.
type form int

const (
	boolean form = iota
	integer
	unsigned
	float32Number
	float64Number
	text
	moment
	base64Slice
	base64Array
	pointer
	list
	array
	mapping
	object
)

var forms = [reflect.UnsafePointer + 1]form{
	reflect.Bool: boolean,
	reflect.Int:  integer, reflect.Int8: integer, reflect.Int16: integer, reflect.Int32: integer, reflect.Int64: integer,
	reflect.Uint: unsigned, reflect.Uint8: unsigned, reflect.Uint16: unsigned, reflect.Uint32: unsigned, reflect.Uint64: unsigned,
	reflect.Float32: float32Number, reflect.Float64: float64Number,
	reflect.String: text, reflect.Pointer: pointer, reflect.Slice: list, reflect.Array: array, reflect.Map: mapping, reflect.Struct: object,
}

var timeType = reflect.TypeFor[time.Time]()

func formOf(typ reflect.Type) form {
	if typ == timeType {
		return moment
	}
	f := forms[typ.Kind()]
	if f == list && isBytes(typ) {
		return base64Slice
	}
	if f == array && isBytes(typ) {
		return base64Array
	}
	return f
}

func isBytes(typ reflect.Type) bool { return typ.Elem().Kind() == reflect.Uint8 }

// compiler makes nodes of types in which check found no fault.
type compiler struct {
	check *check
	nodes map[reflect.Type]*node
}

func (c *compiler) node(typ reflect.Type) *node {
	if n := c.nodes[typ]; n != nil {
		return n
	}
	n := &node{typ: typ, form: formOf(typ)}
	c.nodes[typ] = n // before its parts, which may hold the type again
	switch n.form {
	case pointer, list, array:
		n.elem = c.node(typ.Elem())
	case mapping:
		n.elem = c.node(typ.Elem())
		n.mapSize = codec.SizeOfMap(typ)
	case object:
		n.fields = c.fields(c.check.within[typ])
	}
	return n
}

func (c *compiler) fields(saved []savedField) []field {
	var fields []field
	for _, f := range saved {
		fields = append(fields, field{
			name:  f.saved.Name,
			label: append(appendString(nil, f.saved.Name), ':'),
			index: f.Index[0],
			node:  c.node(f.Type),
		})
	}
	return fields
}

func malformed(what string) error { return fmt.Errorf("%w: %s", codec.ErrMalformed, what) }
