package pagestate

// This file holds what loading a component means: which fields are left out of
// the saved state because load fills them, and which errors mean that what the
// state refers to is gone.

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"
	"reflect"
)

// A Loader is a component that fetches what it does not save. Load runs when
// the component is attached, and again whenever it is resumed, with the saved
// fields as its arguments.
//
// A field of the component that was zero before and that Load set is left out
// of the saved state, so a token stays small however much is loaded. A field
// that was not zero is an argument, and saved as Load left it. The tag option
// keep saves a field in any case. A decision, such as whether the visitor may
// edit, is not an argument: leave it out with "-", since a value set before
// Attach would be saved, and an old token holds old authority.
//
// What a handler changes in a field that is left out is not saved; it is
// logged, for fields up to 16 MiB. Load replaces maps and slices and never
// changes those it finds.
//
// Load must be free of side effects: it runs whenever such a token reaches a
// wrapped route. It may authorise, by returning [ErrForbidden]. It says that
// what the state refers to is gone by returning [ErrStale], sql.ErrNoRows or
// what Options.IsStale accepts. The error of a context means that the database
// did not answer, as [ErrUnavailable] does; any other is a failure.
type Loader interface {
	Load(ctx context.Context) error
}

// LoadWith registers a component with a load of its own, for types that need
// the application to load:
//
//	pagestate.Register[List](r, "list", pagestate.LoadWith(func(ctx context.Context, l *List) error {
//		items, err := db.Items(ctx, l.Filter)
//		l.Items = items
//		return err
//	}))
//
// See [Loader] for what load may do. A type with a Load method cannot have this
// option.
func LoadWith[T any](load func(context.Context, *T) error) ComponentOption {
	return func(c *component) error {
		switch {
		case load == nil:
			return errors.New("the function of LoadWith is nil")
		case c.typ != reflect.TypeFor[T]():
			return fmt.Errorf("LoadWith is for %s", reflect.TypeFor[T]())
		case c.load != nil:
			return errors.New("it has a load already; use either a Load method or one LoadWith")
		}
		c.load = func(ctx context.Context, state any) error { return load(ctx, state.(*T)) }
		return nil
	}
}

// leftOut says which fields of a state are not saved because load set them.
type leftOut struct {
	fields []bool   // by their place in the plan; nil if there are none
	hashes []uint64 // of what load set them to
}

// load runs the component's load on the instance, and notes what it set.
func (in *instance) load(ctx context.Context) error {
	if in.component.load == nil {
		return nil
	}
	fields := in.component.plan.Fields
	zero := make([]bool, len(fields))
	for i := range fields {
		zero[i] = in.field(i).IsZero()
	}
	if err := in.component.load(ctx, in.state); err != nil {
		return in.m.applicationError(ctx, in.component, err)
	}
	for i, f := range fields {
		if !zero[i] || f.Keep || in.field(i).IsZero() {
			continue
		}
		if in.leftOut.fields == nil {
			in.leftOut = leftOut{make([]bool, len(fields)), make([]uint64, len(fields))}
		}
		in.leftOut.fields[i] = true
		in.leftOut.hashes[i] = in.hashField(i)
	}
	return nil
}

// reload runs load again with new arguments. What it filled before is emptied,
// as if the state had just come out of its token. After an error the instance
// must not be sealed any more: it holds what load filled.
func (in *instance) reload(ctx context.Context, prepare func(state any)) error {
	for i, out := range in.leftOut.fields {
		if out {
			in.component.plan.ClearField(in.value, i)
		}
	}
	in.leftOut = leftOut{}
	prepare(in.state)
	return in.load(ctx)
}

// maxCompared is the size up to which a field that load set is compared with
// what it is when the response is written.
const maxCompared = 16 << 20

// hashField returns 0 for a field that cannot be saved: load may set what does
// not fit into a token.
func (in *instance) hashField(i int) uint64 {
	var h maphash.Hash
	h.SetSeed(in.m.seed)
	if err := in.component.plan.HashField(&h, in.value, i, maxCompared); err != nil {
		return 0
	}
	return h.Sum64()
}

// changedLeftOut returns the name of a field that is not saved and was changed
// all the same, or "".
func (in *instance) changedLeftOut() string {
	for i, out := range in.leftOut.fields {
		if out && in.hashField(i) != in.leftOut.hashes[i] {
			return in.component.plan.Fields[i].GoName
		}
	}
	return ""
}

// leftOutChanged is logged with the name of such a field.
const leftOutChanged = "a field that load sets was changed, which is not saved, since load sets it again; tag it \"-\" if that is meant, or keep to save it"

// applicationError returns what an error of Load or Fetch means.
func (m *Middleware) applicationError(ctx context.Context, c *component, err error) error {
	var stale *StaleError
	if errors.As(err, &stale) {
		return err
	}
	if errors.Is(err, ErrStale) || errors.Is(err, sql.ErrNoRows) || m.opt.IsStale != nil && m.opt.IsStale(err) {
		return &StaleError{Component: c.name, Err: err}
	}
	// A driver may have words of its own for a query that was cancelled.
	if ctx.Err() != nil && !errors.Is(err, ErrForbidden) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("pagestate: loading %s: %w", c.name, err)
}
