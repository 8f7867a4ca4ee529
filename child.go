package pagestate

// This file holds children: components inside another one's part of the page,
// each with state and a token of its own.

import (
	"context"
	"fmt"
	"reflect"
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

// place puts a new instance where the option says.
func (x *exchange) place(in *instance, o AttachOption) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	parent := x.find(o.parent)
	switch {
	case o.key == "":
		return fmt.Errorf("pagestate: attaching %s: the key of a child is empty", in.component.name)
	case parent == nil:
		return fmt.Errorf("pagestate: attaching %s: its parent, a %T, is neither attached nor opened", in.component.name, o.parent)
	case in.Key != "":
		return fmt.Errorf("pagestate: attaching %s: a child has one parent", in.component.name)
	case x.findChild(in.component, parent, o.key) != nil:
		return fmt.Errorf("pagestate: attaching %s: its parent has a child of that key already", in.component.name)
	}
	in.Parent, in.Key = parent.Instance, o.key
	return nil
}

// findChild returns the child that was attached or opened already, or nil. The
// caller holds mu; lookUpChild takes it.
func (x *exchange) findChild(c *component, parent *instance, key string) *instance {
	for in := range x.all {
		if in.component == c && in.IsChild(parent.Instance, key) {
			return in
		}
	}
	return nil
}

func (x *exchange) lookUpChild(c *component, parent *instance, key string) *instance {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.findChild(c, parent, key)
}

// drop forgets an instance: its state has no token any more.
func (x *exchange) drop(in *instance) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.instances, in.state)
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
	in, err := x.child(ctx, c, parent, key, prepare, update != nil)
	if err != nil {
		return nil, err
	}
	return in.state.(*T), nil
}

// child returns the child from before or, else, from its token. updates says
// that prepare gives it new arguments.
func (x *exchange) child(ctx context.Context, c *component, parent any, key string, prepare func(any), updates bool) (*instance, error) {
	above := x.lookUp(parent)
	if above == nil {
		return nil, fmt.Errorf("pagestate: opening a child %s: its parent, a %T, is neither attached nor opened", c.name, parent)
	}
	in := x.lookUpChild(c, above, key)
	if in == nil {
		opened, err := x.openChild(ctx, c, above, key, prepare)
		if err != nil {
			return nil, err
		}
		if in = x.holdChild(opened, above); in == opened {
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

func (x *exchange) openChild(ctx context.Context, c *component, parent *instance, key string, prepare func(any)) (*instance, error) {
	a, err := x.childToken(c, parent, key)
	if err != nil {
		return nil, err
	}
	in, err := x.m.resume(ctx, parent.keys, a, &x.fetched, prepare)
	if err != nil {
		return nil, err
	}
	if x.safe {
		in.onlyRead()
	}
	return &in, nil
}

// holdChild returns the child, or the same one that another goroutine of the
// handler has opened meanwhile.
func (x *exchange) holdChild(in, parent *instance) *instance {
	x.mu.Lock()
	defer x.mu.Unlock()
	if before := x.findChild(in.component, parent, in.Key); before != nil {
		return before
	}
	x.hold(in)
	return in
}

// childToken finds the child among the request's further tokens.
func (x *exchange) childToken(c *component, parent *instance, key string) (authentic, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.touched = true
	if x.others == nil {
		x.others = x.authenticateOthers(parent.keys)
	}
	var found *authentic
	for i := range x.others {
		a := &x.others[i]
		if a.component != c || !a.IsChild(parent.Instance, key) {
			continue
		}
		if found != nil {
			return authentic{}, fmt.Errorf("%w: two tokens are for one child %s", ErrInvalid, c.name)
		}
		found = a
	}
	if found == nil {
		return authentic{}, fmt.Errorf("%w: no token is for that child %s", ErrMissing, c.name)
	}
	return *found, nil
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
