package pagestate

// This file holds children: components inside another one's part of the page,
// each with state and a token of its own.

import (
	"context"
	"fmt"
	"reflect"

	"github.com/pagestate/pagestate/internal/token"
)

// An AttachOption is given to [Attach].
type AttachOption struct {
	parent any
	key    string
}

// Under attaches a state as a child of parent, which was attached or opened in
// this request, under a key that tells it from the parent's other children of
// its type: "item-42". [Child] finds it again by these. The child's token names
// the instance of its parent, so it is of no use under another.
//
// A request carries at most Options.MaxTokens tokens: a page with more children
// sends those that a handler asks for.
func Under(parent any, key string) AttachOption { return AttachOption{parent, key} }

// place is where on a page a component stands.
type place struct {
	component *component
	parent    *instance // nil for what is no child
	key       string
}

// placeOf returns the place that the options give a component.
func (x *exchange) placeOf(c *component, opts []AttachOption) (place, error) {
	p := place{component: c}
	for _, o := range opts {
		parent := x.lookUp(o.parent)
		switch {
		case o.key == "":
			return p, fmt.Errorf("pagestate: attaching %s: the key of a child is empty", c.name)
		case parent == nil:
			return p, fmt.Errorf("pagestate: attaching %s: its parent, a %T, is neither attached nor opened", c.name, o.parent)
		case p.parent != nil:
			return p, fmt.Errorf("pagestate: attaching %s: a child has one parent", c.name)
		}
		p.parent, p.key = parent, o.key
	}
	return p, nil
}

// put makes in, which is new, stand there.
func (p *place) put(in *instance) {
	if p.parent != nil {
		in.Parent, in.Key = p.parent.Instance, p.key
	}
}

// isOf reports whether a state that came with the request stands there.
func (p *place) isOf(c *component, e *token.Envelope) bool {
	if p.parent == nil {
		return c == p.component && e.Key == ""
	}
	return c == p.component && p.parent.isParentOf(e, p.key)
}

// isParentOf reports whether e is the child of that key, also if it came with in over
// a redirect that made in a new instance.
func (in *instance) isParentOf(e *token.Envelope, key string) bool {
	return e.IsChild(in.Instance, key) || in.former != token.InstanceID{} && e.IsChild(in.former, key)
}

// findAt returns the instance that stands there already, or nil. Several of one
// component may be attached that are no children: FromOrAttach finds its own. The
// caller holds mu; lookUpAt takes it.
func (x *exchange) findAt(p place) *instance {
	for in := range x.all {
		mayRepeat := p.parent == nil && in != x.acting.instance && !in.placed
		if !mayRepeat && p.isOf(in.component, &in.Envelope) {
			return in
		}
	}
	return nil
}

func (x *exchange) lookUpAt(p place) *instance {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.findAt(p)
}

// holdAt puts in into its place and returns it, or the one that another goroutine of
// the handler has put there meanwhile.
func (x *exchange) holdAt(in *instance, p place) *instance {
	x.mu.Lock()
	defer x.mu.Unlock()
	if before := x.findAt(p); before != nil {
		return before
	}
	in.placed = true
	x.hold(in)
	return in
}

// drop has an instance never sealed again: its state has no token any more. If it
// acts, the page keeps the state that it sent, in a new token if the old one is used up.
func (x *exchange) drop(in *instance) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.instances, in.state)
	if in == x.acting.instance {
		x.limit(sealArrived)
	}
}

// Child returns the child of parent that was attached with [Under] and that
// key: from one of the request's further tokens, opened now, or one that this
// request has opened or attached before, which is the same pointer then.
//
// update gives the child new arguments before its Load runs; nil leaves them as
// they are. With an update, a child that was opened before is loaded again, and
// what was changed in the fields that Load fills is gone.
//
// What changes in a child is sealed when its token is put into the page, by
// [Token] or [Field]: the response header carries the component that acts
// alone.
//
// It returns [ErrMissing] if the request brought no such child, [ErrInvalid] if
// it brought two, and otherwise the errors of [Middleware.Open]. Tokens that do
// not authenticate are passed over. A handler that returns the child's
// [StaleError] as its own says that the component that acts is gone.
func Child[T any](ctx context.Context, parent any, key string, update func(*T)) (*T, error) {
	x, err := exchangeOf(ctx)
	if err != nil {
		return nil, err
	}
	c, err := x.m.registry.component(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	prepare := asSaved
	if update != nil {
		prepare = func(state any) { update(state.(*T)) }
	}
	p := place{c, x.lookUp(parent), key}
	if p.parent == nil {
		return nil, fmt.Errorf("pagestate: opening a child %s: its parent, a %T, is neither attached nor opened", c.name, parent)
	}
	in, err := x.child(ctx, p, prepare, update != nil)
	if err != nil {
		return nil, err
	}
	return in.state.(*T), nil
}

// child returns the child from before or, else, from its token. updates says
// that prepare gives it new arguments.
func (x *exchange) child(ctx context.Context, p place, prepare func(any), updates bool) (*instance, error) {
	in := x.lookUpAt(p)
	if in == nil {
		opened, err := x.openFurther(ctx, p, prepare)
		if err != nil {
			return nil, err
		}
		if opened == nil {
			return nil, fmt.Errorf("%w: no token is for that child %s", ErrMissing, p.component.name)
		}
		if in = x.holdAt(opened, p); in == opened {
			return in, nil
		}
	}
	if updates {
		if err := in.reload(ctx, prepare); err != nil {
			x.drop(in)
			return nil, err
		}
		in.noteRows()
	}
	return in, nil
}

// openFurther makes an instance of the further token that is for that place. It is
// nil if there is none.
func (x *exchange) openFurther(ctx context.Context, p place, prepare func(any)) (*instance, error) {
	a, keys, err := x.furtherToken(p)
	if a == nil {
		return nil, err
	}
	in, err := x.m.resume(ctx, keys, *a, &x.fetched, prepare)
	if err != nil {
		return nil, err
	}
	if x.safe {
		in.onlyRead()
	}
	in.next = in.Revision // nothing is claimed for it
	return &in, nil
}

// furtherToken finds the token for that place among those after the first, and the
// keys that open it.
func (x *exchange) furtherToken(p place) (*authentic, *keyring, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.touched = true
	if x.acting.instance == nil || x.acting.orphaned() {
		return nil, nil, nil // whose they are is not the present owner
	}
	keys := x.acting.keys
	if x.others == nil {
		x.others = x.authenticateOthers(keys)
	}
	var found *authentic
	for i := range x.others {
		a := &x.others[i]
		if !p.isOf(a.component, &a.Envelope) {
			continue
		}
		if found != nil {
			return nil, nil, fmt.Errorf("%w: two further tokens are for one %s", ErrInvalid, p.component.name)
		}
		found = a
	}
	return found, keys, nil
}

// authenticateOthers returns those of the request's tokens that are the owner's,
// except the first, which is the acting component's.
func (x *exchange) authenticateOthers(keys *keyring) []authentic {
	others := []authentic{} // not nil: they have been looked at
	for _, token := range x.tokens[min(1, len(x.tokens)):] {
		if x.m.checkToken(token) != nil {
			continue
		}
		if a, err := x.m.authenticate(keys, token); err == nil {
			others = append(others, a)
		}
	}
	return others
}
