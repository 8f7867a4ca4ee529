package pagestate

// This file holds an instance: one component on one page, from its first seal
// on, while a request works on it. It knows the steps from token to state and
// back, and nothing of HTTP.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/pagestate/pagestate/internal/codec"
)

// instance is safe for use by one goroutine at a time.
type instance struct {
	envelope // of token; its identity stays, its revision grows

	state   any           // *T
	value   reflect.Value // the T it points to
	keys    *keyring
	token   string // the one last opened or sealed, "" before the first
	leftOut leftOut
	sealed  bool // whether it was sealed here, and not only opened
	given   bool // whether its token was put into the page

	// refresh says that the token is sealed again even if nothing changed: it has
	// little of its idle life left, or a guard has seen it.
	refresh bool
}

// field is a saved field by its place in the component's plan.
func (in *instance) field(i int) reflect.Value { return in.component.plan.FieldValue(in.value, i) }

// newInstance starts an instance of state, which is a *T.
func (m *Middleware) newInstance(keys *keyring, state any) (instance, error) {
	c, err := m.registry.component(reflect.TypeOf(state))
	if err != nil {
		return instance{}, err
	}
	v := reflect.ValueOf(state)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return instance{}, fmt.Errorf("pagestate: %s: a state is given as a pointer to it, and not as nil", c.name)
	}
	return instance{
		envelope: envelope{component: c, version: uint64(c.version), instance: newInstanceID()},
		state:    state,
		value:    v.Elem(),
		keys:     keys,
	}, nil
}

// checkToken refuses what cannot be a token, before anything is decoded.
func (m *Middleware) checkToken(token string) error {
	if len(token) > m.opt.MaxTokenBytes {
		return fmt.Errorf("%w: a token of %d bytes, the most is %d", ErrTooLarge, len(token), m.opt.MaxTokenBytes)
	}
	return checkForm(token)
}

// authentic is a token that was sealed for the owner, opened as far as its
// envelope.
type authentic struct {
	envelope
	token string
	took  time.Duration // to open so far
}

// authenticate opens the envelope of a token that checkToken let through. It
// runs no code of the application.
func (m *Middleware) authenticate(keys *keyring, token string) (authentic, error) {
	start := m.startTimer()
	plain, err := keys.decrypt(token)
	if err != nil {
		return authentic{}, err
	}
	e, err := m.parseEnvelope(token, plain)
	if err != nil {
		return authentic{}, err
	}
	return authentic{e, token, m.since(start)}, nil
}

// resume makes an instance of a token. prepare gets the state when its rows
// are there and load has not run.
func (m *Middleware) resume(ctx context.Context, keys *keyring, a authentic, f *fetched, prepare func(state any)) (instance, error) {
	start := m.startTimer()
	now := m.now()
	e := &a.envelope
	if err := m.checkAge(e, now); err != nil {
		return instance{}, err
	}
	if err := checkComponent(e); err != nil {
		return instance{}, err
	}
	data, err := m.decompressData(e.data)
	if err != nil {
		return instance{}, err
	}
	e.data = data
	c := e.component
	state := reflect.New(c.typ)
	refs, err := c.plan.Decode(data, state.Elem())
	if err != nil {
		return instance{}, decodeError(err)
	}
	if err := m.resolve(ctx, c, refs, f); err != nil {
		return instance{}, err
	}
	in := instance{
		envelope: *e,
		state:    state.Interface(),
		value:    state.Elem(),
		keys:     keys,
		token:    a.token,
		refresh:  now.Sub(e.lastSealed) > m.opt.MaxAge/2,
	}
	prepare(in.state)
	if err := m.load(ctx, &in); err != nil {
		return instance{}, err
	}
	m.opt.Observer.Opened(c.name, a.took+m.since(start))
	return in, nil
}

// asSaved is the prepare of a state that is resumed with what was saved.
func asSaved(any) {}

func checkComponent(e *envelope) error {
	c := e.component
	if c == nil {
		return fmt.Errorf("%w: it holds a component that is not registered here", ErrInvalid)
	}
	if uint64(c.version) != e.version {
		return fmt.Errorf("%w: it holds %s in schema version %d, which is %d now", ErrOutdated, c.name, e.version, c.version)
	}
	return nil
}

func decodeError(err error) error {
	switch {
	case errors.Is(err, codec.ErrOutdated):
		return fmt.Errorf("%w: %w", ErrOutdated, err)
	case errors.Is(err, codec.ErrLimit):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	default:
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
}

// encode returns what seal would encrypt now, uncompressed, and how much of it is
// the head.
func (m *Middleware) encode(in *instance) (plain []byte, head int, err error) {
	next := in.envelope
	next.revision++
	room := in.component.plan.Room()
	if in.token != "" {
		room = len(in.data) + len(in.data)/16 + 32 // most states stay about as large
	}
	plain = next.appendHead(make([]byte, 0, next.headRoom()+room))
	head = len(plain)
	// Three bytes of what is encrypted are four of the token.
	limit := max(0, m.opt.MaxTokenBytes/4*3-fernetOverhead-fernetBlock-head)
	plain, err = in.component.plan.Encode(plain, in.value, in.leftOut.fields, limit)
	if err != nil {
		if errors.Is(err, codec.ErrSize) {
			return nil, 0, fmt.Errorf("pagestate: sealing %s: %w (MaxTokenBytes is %d)", in.component.name, err, m.opt.MaxTokenBytes)
		}
		return nil, 0, fmt.Errorf("pagestate: sealing %s: %w", in.component.name, err)
	}
	return plain, head, nil
}

// changed tells whether the state is another than that in the token.
func (m *Middleware) changed(in *instance) (bool, error) { return m.differs(in, in.data) }

// differs tells whether the state is another than that in data.
func (m *Middleware) differs(in *instance, data []byte) (bool, error) {
	same, err := in.component.plan.Same(in.value, in.leftOut.fields, data)
	if err != nil {
		return false, fmt.Errorf("pagestate: sealing %s: %w", in.component.name, err)
	}
	return !same, nil
}

// seal returns a token of the state as it is now: the one last opened or sealed
// if it is still good, and otherwise one of the next revision.
func (m *Middleware) seal(in *instance) (string, error) {
	start := m.startTimer()
	if in.firstSealed.IsZero() {
		in.firstSealed = m.now()
	}
	if in.sealed { // most likely there is nothing new
		if changed, err := m.changed(in); err == nil && !changed {
			return in.token, nil
		}
	}
	plain, head, err := m.encode(in)
	if err != nil {
		return "", err
	}
	if in.token != "" && !in.refresh && bytes.Equal(plain[head:], in.data) {
		return in.token, nil
	}
	return m.encrypt(in, plain, head, start)
}

// sealAs returns a token of the next revision that holds data, which an earlier
// one held, and not the state as it is now.
func (m *Middleware) sealAs(in *instance, data []byte) (string, error) {
	start := m.startTimer()
	next := in.envelope
	next.revision++
	plain := next.appendHead(make([]byte, 0, next.headRoom()+len(data)))
	return m.encrypt(in, append(plain, data...), len(plain), start)
}

// encrypt makes plain, of which so much is the head, the token of in. Sealing
// began at start.
func (m *Middleware) encrypt(in *instance, plain []byte, head int, start time.Time) (string, error) {
	now := m.now()
	if now.Before(in.firstSealed) {
		now = in.firstSealed // by another server, whose clock is ahead
	}
	if size := tokenSize(len(plain)); size > m.opt.MaxTokenBytes {
		return "", fmt.Errorf("pagestate: sealing %s: a token of %d bytes (uncompressed, if it is compressed), the most is %d; raise MaxTokenBytes, or save less", in.component.name, size, m.opt.MaxTokenBytes)
	}
	sealed := plain
	if in.component.compressed {
		sealed = compressData(plain, head)
	}
	token, err := in.keys.encrypt(sealed, now)
	if err != nil {
		return "", err
	}
	in.token = token
	in.refresh, in.sealed = false, true
	in.revision++
	in.lastSealed = now
	in.data = plain[head:]
	m.opt.Observer.Sealed(in.component.name, m.since(start))
	return token, nil
}

// Seal starts an instance of state, a *T or T of a registered component, and
// returns its first token for the owner. It never loads, so it saves every
// field as it is.
//
// It is the way without a request: for WebSockets, server-sent events, jobs and
// tests. An empty Owner.Session is an error, but for [Unbound], which ignores
// it. Safe for concurrent use with different states.
func (m *Middleware) Seal(o Owner, state any) (token string, err error) {
	if o.Session == "" && !m.unbound {
		return "", errors.New("pagestate: Seal needs the owner's session; see Middleware.Owner")
	}
	if state == nil {
		return "", errors.New("pagestate: Seal needs a state, and not nil")
	}
	in, err := m.newInstance(m.newKeyring(o), pointerTo(state))
	if err != nil {
		return "", err
	}
	return m.seal(&in)
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
// an empty Owner.Session (but for [Unbound]), [ErrTooLarge], [ErrExpired],
// [ErrOutdated], a *[StaleError], or what Load returned. With an Options.Guard it
// uses the token up, as a request does, and a second Open of it is an
// [ErrConflict]: continue with what Reseal returns. Safe for concurrent use.
func (m *Middleware) Open(ctx context.Context, o Owner, token string) (state any, err error) {
	in, err := m.openFor(ctx, o, token)
	if err != nil {
		return nil, err
	}
	if err := m.claim(ctx, &in); err != nil {
		return nil, err
	}
	return in.state, nil
}

// startTimer and since measure for the observer: a clock is not read for nobody.
func (m *Middleware) startTimer() (start time.Time) {
	if m.observed {
		start = time.Now()
	}
	return start
}

func (m *Middleware) since(start time.Time) time.Duration {
	if !m.observed {
		return 0
	}
	return time.Since(start)
}

func (m *Middleware) openFor(ctx context.Context, o Owner, token string) (instance, error) {
	if err := m.checkToken(token); err != nil {
		return instance{}, err
	}
	if o.Session == "" && !m.unbound {
		return instance{}, errNoSession
	}
	keys := m.newKeyring(o)
	a, err := m.authenticate(keys, token)
	if err != nil {
		return instance{}, err
	}
	return m.resume(ctx, keys, a, new(fetched), asSaved)
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
	next, err := m.newInstance(in.keys, pointerTo(state))
	if err != nil {
		return "", err
	}
	in.state, in.value, in.refresh = next.state, next.value, true
	if field := m.changedLeftOut(&in); field != "" {
		m.warnLeftOut(ctx, &in, field)
	}
	return m.seal(&in)
}
