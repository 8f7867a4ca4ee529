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
// Its errors are [ErrNoMiddleware], [ErrMissing] if the request carries no
// token, and [ErrInvalid] if it holds another component than T.
//
// The strings of a state are parts of one string that holds the whole of it:
// strings.Clone what outlives the request. The state is for one goroutine at a
// time.
func From[T any](ctx context.Context) (*T, error) {
	x, err := exchangeOf(ctx)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.acting != nil { // and the exchange is touched
		if state, ok := x.acting.state.(*T); ok {
			return state, nil
		}
	}
	if _, err := x.m.registry.component(reflect.TypeFor[T]()); err != nil {
		return nil, err
	}
	x.touched = true
	if x.acting == nil {
		return nil, ErrMissing
	}
	return nil, fmt.Errorf("%w: the token of the component that acts holds %q, and the handler wants a %v", ErrInvalid, x.acting.component.name, reflect.TypeFor[T]())
}

// Attach makes state a component of the page that the response shows: by
// itself, or with [Under] as a child of another one. Its Load runs, and the
// visitor has a session afterwards, so call it before anything is written.
// [Token] and [Field] then give what the page must hold.
//
// It returns [ErrNoMiddleware], an error that names a type which is not
// registered, what Load returned, or that of the session's store. A state that
// is attached or was opened in this request cannot be attached again, but for
// after a [Middleware.Renew].
func Attach[T any](ctx context.Context, state *T, opts ...AttachOption) error {
	x, err := exchangeOf(ctx)
	if err != nil {
		return err
	}
	if state != nil && x.instance(state) != nil {
		return fmt.Errorf("pagestate: this %T is attached or was opened already", *state)
	}
	if _, err := x.m.registry.component(reflect.TypeFor[T]()); err != nil {
		return err
	}
	if x.tooLate() {
		return errors.New("pagestate: the first byte has left without Cache-Control: no-store; attach before anything is written")
	}
	x.touch()
	keys, err := x.ensureKeys()
	if err != nil {
		return err
	}
	in, err := x.m.newInstance(keys, state)
	if err != nil {
		return err
	}
	for _, o := range opts {
		if err := x.place(&in, o); err != nil {
			return err
		}
	}
	if err := x.m.load(ctx, &in); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.hold(&in)
	return nil
}

// Token returns the token of a state that was attached or opened in this
// request, for the page to hold: in the data-page-state attribute of the
// component, or wherever its script finds it.
//
// It seals the state as it is now, so call it where the page is rendered, after
// the last change. After the first byte of the response it still works; for the
// component that acts, whose token has left in the header by then, as long as
// it has not changed since. A state that is neither attached nor opened is an
// error, as is one from before a [Middleware.Renew], and one that was opened and
// changed before the handler failed.
func Token(ctx context.Context, state any) (string, error) {
	x, err := exchangeOf(ctx)
	if err != nil {
		return "", err
	}
	return x.token(state)
}

func (x *exchange) token(state any) (string, error) {
	x.touch()
	in := x.instance(state)
	if in == nil {
		return "", fmt.Errorf("pagestate: this %T has no token: attach it first, and again after Renew; a copy has none", state)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.failed && in == x.acting {
		return x.arrivedToken()
	}
	if x.failed && in.token != "" {
		changed, err := x.m.changed(in)
		if err != nil {
			return "", err
		}
		if changed {
			return "", changedBeforeError(in)
		}
	}
	if x.committed && in == x.acting {
		changed, err := x.m.changed(in)
		if err != nil {
			return "", err
		}
		if changed {
			return "", fmt.Errorf("pagestate: %s changed after the first byte of the response: too late to seal it", in.component.name)
		}
		in.given = true
		return in.token, nil
	}
	token, err := x.m.seal(in)
	if err != nil {
		return "", err
	}
	in.given = true
	return token, nil
}

// arrivedToken is the token of the component that acts after an error: what a
// handler changed before it is not sealed.
func (x *exchange) arrivedToken() (string, error) {
	changed, err := x.m.differs(x.acting, x.was)
	if err != nil {
		return "", err
	}
	if changed {
		return "", changedBeforeError(x.acting)
	}
	x.acting.given = true
	return x.asItCame()
}

func changedBeforeError(in *instance) error {
	return fmt.Errorf("pagestate: %s changed before an error, and such changes are not sealed", in.component.name)
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
	self     *Component // tells a copy
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
