package codec

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"
)

// interfaceNode writes nil, or an array of two: which type it is, and the
// value. The type is a basic one of the list below, or a registered one by the
// place of its name in the shapes.
type interfaceNode struct {
	typ   reflect.Type
	types *Types
}

// basicTypes may stand in an interface without being registered; one that is
// registered goes by its name. Their place in this list is part of the format:
// only append.
var basicTypes = []reflect.Type{
	reflect.TypeFor[bool](),
	reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
	reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](),
	reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[complex64](), reflect.TypeFor[complex128](),
	reflect.TypeFor[string](), reflect.TypeFor[[]byte](),
	reflect.TypeFor[time.Time](), reflect.TypeFor[time.Duration](),
	reflect.TypeFor[[]any](), reflect.TypeFor[map[string]any](),
}

// firstRegistered is the number of the first type that is not a basic one: the
// sealed component itself. Each registered type has two numbers: its own, and
// that of a pointer to it.
const firstRegistered = 32

func (n *interfaceNode) signature(s *signer) { s.text("?") }
func (n *interfaceNode) least() int          { return 1 }
func (n *interfaceNode) nilable() bool       { return true }

func (n *interfaceNode) encode(e *encoder, v reflect.Value) error {
	if v.IsNil() {
		e.nil()
		return nil
	}
	v = v.Elem()
	number, value, err := n.types.dynamic(e, v.Type())
	if err != nil {
		return err
	}
	e.charge(2, alone(int(v.Type().Size())))
	before := e.references
	if err := e.open(2); err != nil {
		return err
	}
	e.uint(number)
	if err := value.encode(e, v); err != nil {
		return err
	}
	if e.references > before {
		e.charge(1, lateSize)
	}
	e.leave()
	return nil
}

// dynamic returns the number and the node of a type met behind an interface.
func (t *Types) dynamic(e *encoder, typ reflect.Type) (uint64, node, error) {
	if p := t.byType[typ]; p != nil {
		return uint64(firstRegistered + 2*e.group(p)), p.node, nil
	}
	if i := slices.Index(basicTypes, typ); i >= 0 {
		return uint64(i), t.basics[i], nil
	}
	if typ.Kind() == reflect.Pointer {
		if p := t.byType[typ.Elem()]; p != nil {
			return uint64(firstRegistered + 2*e.group(p) + 1), p.pointer, nil
		}
	}
	return 0, nil, fmt.Errorf("%w: it holds a %s, which is not registered", ErrUnsavable, typ)
}

func (n *interfaceNode) decode(d *decoder, v reflect.Value) error {
	if d.Nil() {
		return nil
	}
	if err := d.open(2); err != nil {
		return err
	}
	number, err := d.Uint()
	if err != nil {
		return err
	}
	outer := d.views
	typ, value, err := n.types.numbered(d, number)
	if err != nil {
		return err
	}
	if !typ.AssignableTo(n.typ) {
		return fmt.Errorf("%w: %s does not implement %s", ErrOutdated, typ, n.typ)
	}
	// Once to decode it, and once as the interface holds it.
	if err := d.charge(2, alone(int(typ.Size()))); err != nil {
		return err
	}
	held := reflect.New(typ).Elem()
	before := d.count
	if err := value.decode(d, held); err != nil {
		return err
	}
	d.views = outer
	d.leave()
	if d.count == before {
		v.Set(held)
		return nil
	}
	if err := d.charge(1, lateSize); err != nil {
		return err
	}
	d.late = append(d.late, &lateHeld{v, held, d.direct})
	return nil
}

// lateHeld is what an interface holds.
type lateHeld struct {
	into, value reflect.Value
	ref         *reference // nil if value is none
}

func (l *lateHeld) complete() {
	if l.ref == nil || !l.ref.missing { // else the interface would hold a nil pointer, and not be nil
		l.into.Set(l.value)
	}
}

// numbered is the reverse of dynamic. For a registered type it also sets the
// views that its value is to be read with.
func (t *Types) numbered(d *decoder, number uint64) (reflect.Type, node, error) {
	if number < uint64(len(t.basics)) {
		typ := basicTypes[number]
		if t.byType[typ] != nil {
			return nil, nil, fmt.Errorf("%w: %s is a registered type now", ErrOutdated, typ)
		}
		return typ, t.basics[number], nil
	}
	if number < firstRegistered || number > math.MaxInt32 {
		return nil, nil, malformed("an unknown type number")
	}
	g, err := d.component(int(number-firstRegistered)/2, t)
	if err != nil {
		return nil, nil, err
	}
	if g.plan.former {
		return nil, nil, fmt.Errorf("%w: it holds a former version of itself", ErrOutdated)
	}
	d.views = g.views
	if number%2 == 1 {
		return reflect.PointerTo(g.plan.Type), g.plan.pointer, nil
	}
	return g.plan.Type, g.plan.node, nil
}
