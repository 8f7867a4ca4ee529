package form

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/pagestate/pagestate/internal/codec"
	"github.com/pagestate/pagestate/internal/publicjson"
)

// plan is a struct type's public fields. It is not changed once it is made.
type plan struct {
	fields []publicjson.Field
	faults map[string]error // by field: why a form cannot name what is inside
	err    error            // why there are none
}

// plans are those that were made, by their reflect.Type. internal/publicjson says
// why they stand here.
var plans sync.Map

func planOf(typ reflect.Type) *plan {
	known, ok := plans.Load(typ)
	if !ok {
		known, _ = plans.LoadOrStore(typ, newPlan(typ))
	}
	return known.(*plan)
}

func newPlan(typ reflect.Type) *plan {
	public, err := publicjson.Of(typ)
	if err != nil {
		return &plan{err: fmt.Errorf("pagestate: %w", err)}
	}
	p := &plan{fields: public.Fields(), faults: make(map[string]error)}
	for _, f := range p.fields {
		if err := pointFault(f, make(map[*publicjson.Node]bool)); err != nil {
			p.faults[f.Name] = fmt.Errorf("pagestate: %w", codec.At(codec.TypeName(typ), err))
		}
	}
	return p
}

// pointFault looks for a name that has a point in it, which stands between names
// in a form.
func pointFault(f publicjson.Field, seen map[*publicjson.Node]bool) error {
	if strings.Contains(f.Name, ".") {
		return codec.At("."+f.Name, errors.New("a form cannot name it, since its saved name has a point; give it another in its state tag"))
	}
	n := f.Node
	for n.Elem != nil && !seen[n] {
		seen[n] = true
		n = n.Elem
	}
	if seen[n] {
		return nil
	}
	seen[n] = true
	for _, inside := range n.Fields {
		if err := pointFault(inside, seen); err != nil {
			return codec.At("."+f.Name, err)
		}
	}
	return nil
}

// namedFields returns the public fields of a struct type that a call names.
func namedFields(typ reflect.Type, names []string) ([]publicjson.Field, error) {
	p := planOf(typ)
	if p.err != nil {
		return nil, p.err
	}
	if len(names) == 0 {
		return nil, errors.New("pagestate: name the fields that the form has")
	}
	named := make([]publicjson.Field, 0, len(names))
	for i, name := range names {
		at := slices.IndexFunc(p.fields, func(f publicjson.Field) bool { return f.Name == name })
		switch {
		case at < 0:
			return nil, fmt.Errorf("pagestate: %s has no public field with the saved name %q; a tag such as state:\"name,public\" makes one", codec.TypeName(typ), name)
		case slices.Contains(names[:i], name):
			return nil, fmt.Errorf("pagestate: the field %q is named twice", name)
		case p.faults[name] != nil:
			return nil, p.faults[name]
		}
		named = append(named, p.fields[at])
	}
	return named, nil
}

// pointedTo is the node of what a pointer points to, and any other node itself.
func pointedTo(n *publicjson.Node) *publicjson.Node {
	if n.Form == publicjson.Pointer {
		return n.Elem
	}
	return n
}

// isScalar reports whether a value is sent as one text. A pointer to a scalar is
// one too.
func isScalar(n *publicjson.Node) bool {
	switch pointedTo(n).Form {
	case publicjson.List, publicjson.Array, publicjson.Mapping, publicjson.Object:
		return false
	}
	return true
}

// isRepeatable reports whether a list or an array may be sent as several values
// of one name.
func isRepeatable(n *publicjson.Node) bool {
	return (n.Form == publicjson.List || n.Form == publicjson.Array) && isScalar(n.Elem)
}
