package codec

import (
	"reflect"

	"github.com/pagestate/pagestate/internal/wire"
)

// structNode writes the values of a struct's fields as an array. Their names
// stand once per type, in the shapes ahead of the payload.
type structNode struct {
	typ    reflect.Type
	fields []structField
	small  int // see least; 0 until it was asked for
}

type structField struct {
	Field
	node   node
	scalar bool // whether node is one
	index  int  // in the Go struct
}

// Field describes one saved field of a component.
type Field struct {
	// Name is what the field is called in saved data.
	Name string
	// GoName is the name of the Go field.
	GoName string
	// Keep, Optional and Public are the options of its state tag.
	Keep, Optional, Public bool
}

func (n *structNode) signature(s *signer) { s.structType(n) }
func (n *structNode) nilable() bool       { return false }

func (n *structNode) least() int {
	if n.small == 0 {
		n.small = wire.HeaderSize(len(n.fields))
		for _, f := range n.fields {
			n.small = min(n.small+f.node.least(), maxLeast)
		}
	}
	return n.small
}

func (n *structNode) encode(e *encoder, v reflect.Value) error {
	return n.encodeWithout(e, v, nil)
}

// encodeWithout writes the zero value for each field that omit marks. A nil
// omit marks none.
func (n *structNode) encodeWithout(e *encoder, v reflect.Value, omit []bool) error {
	if err := e.open(len(n.fields)); err != nil {
		return err
	}
	for i := range n.fields {
		f := &n.fields[i]
		value := v.Field(f.index)
		if i < len(omit) && omit[i] {
			value = reflect.Zero(value.Type())
		}
		if f.scalar {
			e.scalar(value)
		} else if err := f.encode(e, value); err != nil {
			return At("."+f.GoName, err)
		}
	}
	e.leave()
	return nil
}

func (f *structField) encode(e *encoder, v reflect.Value) error {
	outer := e.optional
	e.optional = f.Optional
	err := f.node.encode(e, v)
	e.optional = outer
	return err
}

func (n *structNode) decode(d *decoder, v reflect.Value) error {
	if d.views != nil {
		return n.decodeView(d, v, d.views[n])
	}
	if err := d.open(len(n.fields)); err != nil {
		return err
	}
	for i := range n.fields {
		f := &n.fields[i]
		value := v.Field(f.index)
		var err error
		if f.scalar {
			err = d.scalar(value)
		} else {
			err = f.decode(d, value)
		}
		if err != nil {
			return At("."+f.GoName, err)
		}
	}
	d.leave()
	return nil
}

func (f *structField) decode(d *decoder, v reflect.Value) error {
	outer := d.optional
	d.optional = f.Optional
	if err := f.node.decode(d, v); err != nil {
		return err
	}
	d.optional = outer
	d.indirect()
	return nil
}

// decodeView reads a struct that was written when it had other fields.
func (n *structNode) decodeView(d *decoder, v reflect.Value, view []int) error {
	if err := d.open(len(view)); err != nil {
		return err
	}
	for _, i := range view {
		if i == dropped {
			d.met = len(d.groups) // what is skipped may have referred to any of them
			if err := d.skip(); err != nil {
				return err
			}
			continue
		}
		f := &n.fields[i]
		if err := f.decode(d, v.Field(f.index)); err != nil {
			return At("."+f.GoName, err)
		}
	}
	d.leave()
	return nil
}
