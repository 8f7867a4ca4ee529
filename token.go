package pagestate

// This file holds the way without a request: Seal, Open and Reseal, and the
// Owner that they need. What a token looks like is in internal/token, and what
// its data means in internal/codec.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"

	"github.com/pagestate/pagestate/internal/owner"
	"github.com/pagestate/pagestate/internal/sealed"
	"github.com/pagestate/pagestate/internal/token"
)

// Owner is whose token it is: a browser session, and who is logged in there. A
// token opens for the owner it was sealed for and for no other.
//
// Handlers seldom need it: the middleware works it out from the request. It is
// for what seals and opens without one, such as a WebSocket: get it with
// [Middleware.Owner] while there is a request, and keep it.
//
// Session is what the [Binding] gave, and is empty if there is no session yet.
// User is what Options.User gave, and is empty for an anonymous visitor and
// where that function is not set. Treat Session as a credential: do not log it.
type Owner struct{ Session, User string }

// Owner returns the owner of the request. It creates nothing: a visitor without
// a session has an empty Owner.Session, until a state is attached. Within
// [Middleware.Handler] the owner is read once per request, and changes with
// Attach and Renew.
//
// Its error is that of the session's store.
func (m *Middleware) Owner(r *http.Request) (Owner, error) {
	x := m.exchangeOf(r)
	if x == nil {
		return m.readOwner(r)
	}
	keys, err := x.visitor.present()
	if err != nil {
		return Owner{}, err
	}
	return keys.owner(), nil
}

// SetSecrets puts others in the place of Options.Secrets while requests run. Its
// error is what [New] says of them, and the former ones then stay. It is for one that
// rotates secrets without a restart: a new one goes to all servers as the second,
// then to all as the first, and then the old one goes.
//
// A request opens all that it brings with the secrets that were set when it began,
// also what a redirect carried, and seals with those that are set by then. A token that
// it brought and that is still good stays as it is. Open and Reseal open with what is
// set when they are called, in a stream too. No key of a former secret is remembered:
// one that is dropped opens nothing more. Safe for concurrent use.
func (m *Middleware) SetSecrets(secrets [][]byte) error {
	if err := checkSecrets("SetSecrets", secrets); err != nil {
		return err
	}
	m.secrets.Store(token.NewSecrets(secrets))
	return nil
}

// Seal starts an instance of state, a *T or T of a registered component, and
// returns its first token for the owner. It never loads, so it saves every
// field as it is.
//
// It is the way without a request: for WebSockets, server-sent events, jobs and
// tests. An empty Owner.Session is an error, except with [Unbound], which ignores
// it. Safe for concurrent use with different states.
func (m *Middleware) Seal(o Owner, state any) (token string, err error) {
	if !m.owns(o) {
		return "", errors.New("pagestate: Seal needs the owner's session; see Middleware.Owner")
	}
	if state == nil {
		return "", errors.New("pagestate: Seal needs a state, and not nil")
	}
	in, err := m.newInstance(pointerTo(state))
	if err != nil {
		return "", err
	}
	keys := m.keyring(m.secrets.Load(), o)
	in.keys = &keys
	return in.sealAlone(context.Background())
}

// pointerTo returns state if it is a pointer, and otherwise a pointer to a
// copy.
func pointerTo(state any) any {
	v := reflect.ValueOf(state)
	if !v.IsValid() || v.Kind() == reflect.Pointer {
		return state
	}
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	return p.Interface()
}

// Open returns the state in a token of the owner, as a *T of the component it
// holds, loaded. ctx is what Load gets.
//
// Its errors are those of a request: [ErrInvalid], also for an empty token or
// an empty Owner.Session (except with [Unbound]), [ErrTooLarge], [ErrExpired],
// [ErrOutdated], a *[StaleError], or what Load returned. With an Options.Guard it
// uses the token up, as a request does, and a second Open of it is an
// [ErrConflict]: continue with what Reseal returns. Safe for concurrent use.
func (m *Middleware) Open(ctx context.Context, o Owner, token string) (state any, err error) {
	if sealed.Is(ctx) {
		return m.openSealed(o, token)
	}
	in, err := m.openFor(ctx, o, token)
	if err != nil {
		return nil, err
	}
	if err := in.claim(ctx); err != nil {
		return nil, err
	}
	return in.state, nil
}

// openSealed returns what package inspect shows.
func (m *Middleware) openSealed(o Owner, text string) (*sealed.Token, error) {
	if err := m.mayOpen(o, text); err != nil {
		return nil, err
	}
	keys := m.keyring(m.secrets.Load(), o)
	plain, err := keys.Open(text)
	if err != nil {
		return nil, err
	}
	e, name, err := token.ParseEnvelope(text, plain)
	if err != nil {
		return nil, err
	}
	t := &sealed.Token{Envelope: e, Component: string(name), Compressed: isCompressed(e.Data), Owner: keys.Owner()}
	t.Data, err = decompressData(e.Data, m.opt.MaxTokenBytes)
	return t, err
}

func (m *Middleware) openFor(ctx context.Context, o Owner, token string) (instance, error) {
	if err := m.mayOpen(o, token); err != nil {
		return instance{}, err
	}
	around := &opening{Context: ctx, keys: m.keyring(m.secrets.Load(), o)}
	a, err := m.authenticate(&around.keys, token)
	if err != nil {
		return instance{}, err
	}
	return m.resume(around, &around.keys, a, &around.fetched, asSaved)
}

// mayOpen refuses, before a key is derived, what cannot be a token of the owner.
func (m *Middleware) mayOpen(o Owner, text string) error {
	if err := m.checkToken(text); err != nil {
		return err
	}
	if !m.owns(o) {
		return errNoSession
	}
	return nil
}

// opening is what a token that comes without a request is opened with, in one
// allocation: the context that Load gets, which knows whose the token is, and what was
// fetched.
type opening struct {
	context.Context
	keys    keyring
	fetched fetched
}

func (o *opening) Value(key any) any {
	if key == (owner.Key{}) {
		return tokenOwner{&o.keys}
	}
	return o.Context.Value(key)
}

// Reseal returns a token that continues the instance in token with another
// state of the same component. The instance, its key and the time it was first
// sealed stay, and so its absolute age.
//
// It opens token again, with the errors of [Middleware.Open], to learn what
// Load sets, and leaves those fields out. It does not ask Options.Guard. Safe for
// concurrent use with different states.
func (m *Middleware) Reseal(ctx context.Context, o Owner, token string, state any) (string, error) {
	in, err := m.openFor(ctx, o, token)
	if err != nil {
		return "", err
	}
	c, err := m.registry.component(reflect.TypeOf(state))
	if err != nil {
		return "", err
	}
	if c != in.component {
		return "", fmt.Errorf("%w: it holds %q and not %q", ErrInvalid, in.component.name, c.name)
	}
	next, err := m.newInstance(pointerTo(state))
	if err != nil {
		return "", err
	}
	in.state, in.value, in.refresh = next.state, next.value, true
	if field := in.changedLeftOut(); field != "" {
		m.log(ctx, slog.LevelWarn, lineKind{text: "pagestate: " + leftOutChanged, component: c.name},
			slog.String("component", c.name), slog.String("field", field))
	}
	return in.sealAlone(ctx)
}

// sealAlone seals without a request, which would warn of the size.
func (in *instance) sealAlone(ctx context.Context) (string, error) {
	token, err := in.seal(ctx)
	if err == nil {
		in.warnOfBudget(ctx)
	}
	return token, err
}
