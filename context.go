package pagestate

// This file holds what a handler calls: From, Attach, Token, Field, and the
// embeddable Component. What stands behind them is in exchange.go.

import (
	"context"
	"errors"
	"fmt"
	"html"
	"html/template"
	"reflect"
)

// From returns the state of the component that acts: the one in the request's
// token. Changes to it are sealed into the response when its first byte leaves,
// if the status is below 500.
//
// Its errors are [ErrNoMiddleware], [ErrMissing] if the request carries no token,
// [ErrTooLarge] if its body was too long to look for one, and [ErrInvalid] if the
// token holds another component than T.
//
// All strings of a state share the memory of one large string. Use strings.Clone
// for a string that you keep after the request, or it keeps them all. The state is
// for one goroutine at a time.
func From[T any](ctx context.Context) (*T, error) {
	x, err := exchangeOf(ctx)
	if err != nil {
		return nil, err
	}
	acting := x.actingInstance()
	if acting != nil {
		if state, ok := acting.state.(*T); ok {
			return state, nil
		}
	}
	if _, err := x.m.registry.component(reflect.TypeFor[T]()); err != nil {
		return nil, err
	}
	x.touch()
	if acting == nil {
		return nil, x.missing()
	}
	return nil, fmt.Errorf("%w: the token of the component that acts holds %q, and the handler wants a %v: most likely the page sends the request from inside the root of another component", ErrInvalid, acting.component.name, reflect.TypeFor[T]())
}

func (x *exchange) actingInstance() *instance {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.acting.instance
}

// Attach makes state a component of the page that the response shows: by
// itself, or with [Under] as a child of another one. Its Load runs, and the
// visitor has a session afterwards, so call it before anything is written.
// [Token] and [Field] then give what the page must hold.
//
// In an unsafe request from another site that brings no session it returns
// [ErrCrossOrigin]: such a request comes without a SameSite cookie, and a new
// session would replace the visitor's. Answer it with 303 See Other, and attach
// in the page that this leads to.
//
// It also returns [ErrNoMiddleware], an error that names a type which is not
// registered, what Load returned, or that of the session's store. A state that
// is attached or was opened in this request cannot be attached again, except
// after a [Middleware.Renew].
func Attach[T any](ctx context.Context, state *T, opts ...AttachOption) error {
	x, err := exchangeOf(ctx)
	if err != nil {
		return err
	}
	return x.attach(ctx, state, opts)
}

func (x *exchange) attach(ctx context.Context, state any, opts []AttachOption) error {
	in, err := x.m.newInstance(state)
	if err != nil {
		return err
	}
	if err := x.canAttach(&in); err != nil {
		return err
	}
	if in.keys, err = x.visitor.ensured(); err != nil {
		return err
	}
	p, err := x.placeOf(in.component, opts)
	if err != nil {
		return err
	}
	if p.parent != nil && x.lookUpAt(p) != nil {
		return fmt.Errorf("pagestate: attaching %s: its parent has a child of that key already", in.component.name)
	}
	p.put(&in)
	if err := in.load(ctx); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.hold(&in)
	return nil
}

func (x *exchange) canAttach(in *instance) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.find(in.state) != nil {
		return fmt.Errorf("pagestate: this %v is attached or was opened already", in.component.typ)
	}
	return x.willShow()
}

// willShow notes that the response shows a state, or returns why it is too late for
// that. It is called with mu held.
func (x *exchange) willShow() error {
	if x.ended {
		return errors.New("pagestate: the handler has returned; attach before that")
	}
	if x.sent == shared {
		return errors.New("pagestate: the first byte has left without the headers that keep it from caches; attach before anything is written")
	}
	x.touched = true
	return nil
}

// Token returns the token of a state that was attached or opened in this
// request, for the page to hold: in the data-page-state attribute of the
// component, or wherever its script finds it.
//
// It seals the state as it is now, so call it where the page is rendered, after
// the last change. It works after the first byte of the response too. But the
// component that acts is sealed into the header when the first byte leaves: it is
// an error if that one has changed since.
//
// It is also an error if the state is neither attached nor opened, if it is from
// before a [Middleware.Renew], and if it was opened and changed before the handler
// failed.
func Token(ctx context.Context, state any) (string, error) {
	x, err := exchangeOf(ctx)
	if err != nil {
		return "", err
	}
	return x.token(state)
}

func (x *exchange) token(state any) (string, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.touched = true
	in := x.find(state)
	if in == nil {
		return "", fmt.Errorf("pagestate: this %T has no token: attach it first, and again after Renew; a copy has none", state)
	}
	token, err := x.tokenOf(in)
	if err != nil {
		return "", err
	}
	in.given = true
	return token, nil
}

// tokenOf seals in as it is now, unless that is too late: after an error no
// change is sealed, and after the first byte none of the component that acts.
func (x *exchange) tokenOf(in *instance) (string, error) {
	acts := in == x.acting.instance
	switch {
	case x.verdict != sealChanges && acts:
		if err := in.mustHold(x.acting.was, "before an error, and such changes are not sealed"); err != nil {
			if x.unsealed != nil {
				err = x.unsealed // which is that error, and says what to do
			}
			return "", err
		}
		return x.acting.asArrived(x.r.Context())
	case x.verdict != sealChanges && in.token != "":
		if err := in.mustHold(in.Data, "before an error, and such changes are not sealed"); err != nil {
			return "", err
		}
	case x.sent != notYet && acts:
		if err := in.mustHold(in.Data, "after the first byte of the response: too late to seal it"); err != nil {
			return "", err
		}
		return in.token, nil
	}
	return in.seal(x.r.Context())
}

// mustHold returns an error unless the state is the one in data: it changed when
// no change is sealed.
func (in *instance) mustHold(data []byte, when string) error {
	changed, err := in.differs(data)
	if err == nil && changed {
		err = fmt.Errorf("pagestate: %s changed %s", in.component.name, when)
	}
	return err
}

// Field returns the token of a state as a hidden form field, named after the
// first [FormSource] of Options.Sources. Its errors are those of [Token], and
// one if there is no such source.
func Field(ctx context.Context, state any) (template.HTML, error) {
	x, err := exchangeOf(ctx)
	if err != nil {
		return "", err
	}
	return x.field(state)
}

func (x *exchange) field(state any) (template.HTML, error) {
	if x.m.formField == "" {
		return "", errors.New("pagestate: Options.Sources has no FormSource that would read the field")
	}
	token, err := x.token(state)
	if err != nil {
		return "", err
	}
	// The name is the application's, and the token is base64url. Without
	// autocomplete="off" a browser that reloads or goes back may put an older
	// token into the field of a newer page.
	return template.HTML(`<input type="hidden" name="` + html.EscapeString(x.m.formField) + `" value="` + token + `" autocomplete="off">`), nil
}

// Discard says that the handler has failed and that somebody else answers for
// it: nothing that it changed is sealed. It is for adapters to frameworks whose
// handlers return errors; [Handle] does it by itself. It does nothing if the
// request did not pass through the middleware, or if the first byte has left.
func Discard(ctx context.Context) {
	if x, err := exchangeOf(ctx); err == nil {
		x.discard()
	}
}

// Component may be embedded in a component, to give html/template, which has no
// context, what it needs:
//
//	type Counter struct {
//		pagestate.Component
//		Count int
//	}
//
//	<form method="post" action="/increment">{{.StateField}} …</form>
//
// It is never part of the saved state. It works for the very value that was
// attached or opened: in templates use pointers or slices of components, since
// a map's values and a range variable's copies have no address.
type Component struct {
	self     *Component // shows a copy
	exchange *exchange
	state    any
}

func (c *Component) component() *Component { return c }

// StateToken is [Token] for the component it is embedded in.
func (c *Component) StateToken() (string, error) {
	if err := c.check(); err != nil {
		return "", err
	}
	return c.exchange.token(c.state)
}

// StateField is [Field] for the component it is embedded in.
func (c *Component) StateField() (template.HTML, error) {
	if err := c.check(); err != nil {
		return "", err
	}
	return c.exchange.field(c.state)
}

func (c *Component) check() error {
	switch {
	case c == nil || c.self == nil:
		return errors.New("pagestate: the component is not attached: call Attach with a pointer to it")
	case c.self != c:
		return errors.New("pagestate: this is a copy of a component: use the one that was attached, through a pointer or in a slice")
	}
	return nil
}
