package codec

import (
	"fmt"
	"reflect"
)

// Named describes a type whose values are saved as the name of something that
// was registered, and its arguments. What the name stands for is never saved.
type Named struct {
	// Args is the type of the arguments.
	Args reflect.Type
	// Split returns the name and the arguments of a value that is not zero. Its
	// error says why the value cannot be saved.
	Split func(v reflect.Value) (name string, args reflect.Value, err error)
	// Known reports whether something is registered under the name for these
	// arguments.
	Known func(name string, args reflect.Value) bool
	// Join sets v to what is registered under the name, with the arguments.
	Join func(v reflect.Value, name string, args reflect.Value)
}

// namedCopies is how often arguments stand in memory while a value is decoded:
// by themselves, in it, and in it on its way to its place.
const namedCopies = 3

// namedNode writes nil for the zero value, and otherwise an array of the name
// and the arguments.
type namedNode struct {
	named Named
	args  node
}

func (n *namedNode) signature(s *signer) {
	s.text("@")
	s.node(n.args)
}
func (n *namedNode) least() int    { return 1 }
func (n *namedNode) nilable() bool { return true }

func (n *namedNode) encode(e *encoder, v reflect.Value) error {
	if v.IsZero() {
		e.nil()
		return nil
	}
	name, args, err := n.named.Split(v)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsavable, err)
	}
	e.charge(namedCopies, alone(int(n.named.Args.Size())))
	before := e.references
	if err := e.open(2); err != nil {
		return err
	}
	e.string(name)
	if err := n.args.encode(e, args); err != nil {
		return At(".Args", err)
	}
	if e.references > before {
		e.charge(1, lateSize)
	}
	e.leave()
	return nil
}

func (n *namedNode) decode(d *decoder, v reflect.Value) error {
	if d.Nil() {
		return nil
	}
	if err := d.open(2); err != nil {
		return err
	}
	name, err := d.string()
	if err != nil {
		return err
	}
	if err := d.charge(namedCopies, alone(int(n.named.Args.Size()))); err != nil {
		return err
	}
	args := reflect.New(n.named.Args).Elem()
	before := d.count
	if err := n.args.decode(d, args); err != nil {
		return At(".Args", err)
	}
	d.leave()
	if !n.named.Known(name, args) {
		return fmt.Errorf("%w: it names a query or template block that is not registered", ErrOutdated)
	}
	if d.count == before {
		n.named.Join(v, name, args)
		return nil
	}
	if err := d.charge(1, lateSize); err != nil {
		return err
	}
	d.late = append(d.late, &lateNamed{n, v, name, args})
	return nil
}

// lateNamed is a value whose arguments hold references.
type lateNamed struct {
	node *namedNode
	into reflect.Value
	name string
	args reflect.Value
}

func (l *lateNamed) complete() { l.node.named.Join(l.into, l.name, l.args) }
