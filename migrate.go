package pagestate

// This file holds how a token of a former version becomes today's state. That it is
// authentic is known by then, and load has not run. What the former types are saved
// as is in internal/codec.

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/pagestate/pagestate/internal/codec"
)

// Migrate has tokens of the schema version from open as an Old, which f turns into a
// New, in place of [ErrOutdated]:
//
//	pagestate.Register[Order](r, "order", pagestate.Schema(1),
//		pagestate.Migrate(0, func(ctx context.Context, old *orderV0) (*Order, error) {
//			return &Order{Step: old.Step, Emails: []string{old.Email}}, nil
//		}))
//
// Old is the type as it was, kept under another name: see docs/operations.md for the
// order of deploys. New is today's type, or the Old of a later Migrate, which goes on
// from there. Where it is both, the later Migrate goes on.
//
// f runs when the token has been authenticated and the rows that it refers to are
// there, before Load: it leaves what that sets zero. It must be free of side effects,
// and returns a New that nothing else holds, or old itself. Its error is treated as
// one of [Loader], and a nil New without an error is a failure. The component stays
// the same instance, as old as it was, and its next token is of today's version.
//
// [New] checks an Old like every other type that a token may hold. It belongs to one
// component. A version that has no Migrate stays outdated, and so does one inside
// another state, except where both are an Old and no interface is between.
//
// Whoever has an old token can bring it back until it expires. So never migrate what
// [Schema] was raised for because of a right or a price.
func Migrate[Old, New any](from int, f func(context.Context, *Old) (*New, error)) ComponentOption {
	return func(c *component) error {
		switch {
		case f == nil:
			return fmt.Errorf("the function of Migrate from version %d is nil", from)
		case from < 0:
			return fmt.Errorf("the schema version %d that Migrate starts from is negative", from)
		case c.step(uint64(from)) != nil:
			return fmt.Errorf("there are two Migrate from version %d", from)
		}
		c.steps = append(c.steps, &step{
			from: from,
			old:  reflect.TypeFor[Old](),
			new:  reflect.TypeFor[New](),
			migrate: func(ctx context.Context, old any) (any, error) {
				state, err := f(ctx, old.(*Old))
				if err == nil && state == nil {
					err = errNoState
				}
				return state, err
			},
		})
		return nil
	}
}

// step is one Migrate.
type step struct {
	from     int
	old, new reflect.Type
	plan     *codec.Plan // of old
	next     *step       // nil if new is today's type
	migrate  func(ctx context.Context, old any) (state any, err error)
}

var errNoState = errors.New("the function of Migrate returned nil and no error")

// step returns what migrates a version, or nil.
func (c *component) step(version uint64) *step {
	for _, s := range c.steps {
		if uint64(s.from) == version {
			return s
		}
	}
	return nil
}

// addSteps checks the steps of a component, of which all options are known, and
// registers their types.
func (r *Registry) addSteps(c *component) {
	for _, s := range c.steps {
		s.next = c.stepAfter(s)
		if s.from >= c.version {
			r.fault("%s: Migrate is from version %d, and today's is %d; raise Schema", c.typ, s.from, c.version)
		}
		if s.next == nil && s.new != c.typ {
			r.fault("%s: Migrate from version %d returns a %s, which is neither today's type nor what a later Migrate starts from", c.typ, s.from, s.new)
		}
		if r.reserveFormer(s.old, c) {
			s.plan = r.types.AddFormer(c.name, s.old, s.from)
		}
	}
}

// reserveFormer takes the type of a former version, which may be today's, or that of
// several versions.
func (r *Registry) reserveFormer(typ reflect.Type, c *component) bool {
	before := len(r.faults)
	r.checkType(typ)
	if other, ok := r.registered[typ]; ok && other != c.name {
		r.fault("%s: is registered as %q already, and is what a Migrate of %q starts from", typ, other, c.name)
	}
	if typ != c.typ {
		r.checkEmbedded(typ)
	}
	r.registered[typ] = c.name
	return len(r.faults) == before
}

// stepAfter returns the step that goes on from s, nil if there is none.
func (c *component) stepAfter(s *step) (next *step) {
	for _, other := range c.steps {
		if other.from > s.from && other.old == s.new && (next == nil || other.from < next.from) {
			next = other
		}
	}
	return next
}

// migrate turns the state of a former version, in in, into today's. From here on that
// is what the token held.
func (in *instance) migrate(ctx context.Context, s *step) error {
	state := in.state
	for ; s != nil; s = s.next {
		var err error
		if state, err = s.migrate(ctx, state); err != nil {
			return in.m.applicationError(ctx, in.component, fmt.Errorf("migrating it from schema version %d: %w", s.from, err))
		}
	}
	in.state, in.value = state, reflect.ValueOf(state).Elem()
	in.Version = uint64(in.component.version)
	in.migrated, in.refresh = true, true
	plain, head, err := in.encode()
	if err != nil {
		return err
	}
	in.Data = plain[head:]
	return nil
}
