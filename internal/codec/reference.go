package codec

import (
	"fmt"
	"reflect"
	"slices"
)

// Model describes a type whose values are saved as a key and fetched again.
type Model struct {
	// Key is the type of the key: a safe type that can be compared, without
	// pointers, interfaces and floats.
	Key reflect.Type
	// KeyOf returns the key of the value that a pointer points to.
	KeyOf func(pointer reflect.Value) reflect.Value
}

// referenceSize is about what decoding one reference allocates, without its key.
const referenceSize = 120

// lateSize is about what something late takes, beside what it holds.
const lateSize = 160

// referenceNode is a model, T or *T. It writes the key alone, and nil for a nil
// pointer or a zero T.
type referenceNode struct {
	plan    *Plan
	key     node
	pointer bool
}

func (n *referenceNode) signature(s *signer) {
	s.text(fmt.Sprintf("&%d:%s", len(n.plan.Name), n.plan.Name))
	s.node(n.key)
}
func (n *referenceNode) least() int    { return 1 }
func (n *referenceNode) nilable() bool { return true }

// size is what decoding a reference allocates. Its key is decoded, and then put
// into an interface.
func (n *referenceNode) size() int { return referenceSize + 2*alone(int(n.plan.model.Key.Size())) }

func (n *referenceNode) encode(e *encoder, v reflect.Value) error {
	if v.IsZero() {
		e.nil()
		return nil
	}
	if !n.pointer {
		v = addressable(v).Addr()
	}
	key := n.plan.model.KeyOf(v)
	if key.IsZero() {
		return fmt.Errorf("%w: a row of model %q that has no key yet; save the row first", ErrUnsavable, n.plan.Name)
	}
	if e.references++; e.references > MaxReferences {
		return fmt.Errorf("%w: more than %d references", ErrLimit, MaxReferences)
	}
	e.charge(1, n.size())
	return n.key.encode(e, key)
}

func (n *referenceNode) decode(d *decoder, v reflect.Value) error {
	if d.Nil() {
		return nil
	}
	if d.count == MaxReferences {
		return fmt.Errorf("%w: more than %d references", ErrLimit, MaxReferences)
	}
	if err := d.charge(1, n.size()); err != nil {
		return err
	}
	key := reflect.New(n.plan.model.Key).Elem()
	if err := n.key.decode(d, key); err != nil {
		return err
	}
	if key.IsZero() {
		return malformed("a reference without a key")
	}
	d.direct = d.reference()
	*d.direct = reference{model: n.plan, key: key.Interface(), target: v, pointer: n.pointer, optional: d.optional}
	return nil
}

// reference returns the next one of the list. Several are allocated together, but
// no more than there are bytes that could be one.
func (d *decoder) reference() *reference {
	last := len(d.list) - 1
	if last < 0 || len(d.list[last]) == cap(d.list[last]) {
		d.list = append(d.list, make([]reference, 0, min(referencesAtOnce, 1+d.Left())))
		last++
	}
	d.count++
	d.list[last] = d.list[last][:len(d.list[last])+1]
	return &d.list[last][len(d.list[last])-1]
}

const referencesAtOnce = 16

// indirect says that what was decoded last is part of something else now. Most
// of the time it was no reference, and a pointer that is nil need not be written.
func (d *decoder) indirect() {
	if d.direct != nil {
		d.direct = nil
	}
}

// reference is a place in a decoded value that waits for a row.
type reference struct {
	model    *Plan
	key      any
	target   reflect.Value
	pointer  bool
	optional bool
	missing  bool

	place   int        // of the element that it is, in a slice
	sibling *reference // the next element of the same slice that is one
}

// References are the places in a decoded value that wait for their rows. The
// value is complete after Resolve.
type References struct {
	list  [][]reference // several at once: a place in memory stays what it is
	count int
	late  []late // the inner before the outer
}

// late is a part of the value that cannot be complete before the rows are in
// place, since what holds it has a copy of it.
type late interface{ complete() }

func (r *References) all(yield func(*reference) bool) {
	for _, several := range r.list {
		for i := range several {
			if !yield(&several[i]) {
				return
			}
		}
	}
}

// Empty reports whether there is no such place.
func (r *References) Empty() bool { return r.count == 0 }

// Missing says which row did not come back.
type Missing struct {
	Model string
	Key   any
}

func (e *Missing) Error() string { return fmt.Sprintf("a row of model %q is gone", e.Model) }

// Models returns the plans of the models referred to, each once.
func (r *References) Models() []*Plan {
	var models []*Plan
	for ref := range r.all {
		if !slices.Contains(models, ref.model) {
			models = append(models, ref.model)
		}
	}
	return models
}

// Keys returns the keys of the rows of one model, each once.
func (r *References) Keys(model *Plan) []any {
	keys := make([]any, 0, r.count)
	seen := make(map[any]bool, r.count)
	for ref := range r.all {
		if ref.model == model && !seen[ref.key] {
			seen[ref.key] = true
			keys = append(keys, ref.key)
		}
	}
	return keys
}

// Resolve puts the rows into their places. row returns a pointer to a row, or
// nil if there is none; then the place stays zero if its field is optional, and
// the element of an optional slice or map is dropped. Otherwise the error is a
// *Missing.
func (r *References) Resolve(row func(model *Plan, key any) any) error {
	for ref := range r.all {
		pointer := row(ref.model, ref.key)
		switch {
		case pointer == nil && ref.optional:
			ref.missing = true
		case pointer == nil:
			return &Missing{ref.model.Name, ref.key}
		case ref.pointer:
			ref.target.Set(reflect.ValueOf(pointer))
		default:
			ref.target.Set(reflect.ValueOf(pointer).Elem())
		}
	}
	for _, part := range r.late {
		part.complete()
	}
	return nil
}
