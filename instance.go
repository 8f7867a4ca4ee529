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
	"github.com/pagestate/pagestate/internal/token"
)

// instance is safe for use by one goroutine at a time.
type instance struct {
	token.Envelope // of token; its identity stays, its revision grows

	component *component
	state     any           // *T
	value     reflect.Value // the T it points to
	keys      *token.Keyring
	token     string // the one last opened or sealed, "" before the first
	leftOut   leftOut
	sealed    bool // whether it was sealed here, and not only opened
	given     bool // whether its token was put into the page

	// refresh says that the token is sealed again even if nothing changed: it has
	// little of its idle life left, or a guard has seen it.
	refresh bool
}

// field is a saved field by its place in the component's plan.
func (in *instance) field(i int) reflect.Value { return in.component.plan.FieldValue(in.value, i) }

// newInstance starts an instance of state, which is a *T.
func (m *Middleware) newInstance(keys *token.Keyring, state any) (instance, error) {
	c, err := m.registry.component(reflect.TypeOf(state))
	if err != nil {
		return instance{}, err
	}
	v := reflect.ValueOf(state)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return instance{}, fmt.Errorf("pagestate: %s: a state is given as a pointer to it, and not as nil", c.name)
	}
	return instance{
		Envelope:  token.Envelope{Version: uint64(c.version), Instance: token.NewInstanceID()},
		component: c,
		state:     state,
		value:     v.Elem(),
		keys:      keys,
	}, nil
}

// checkToken refuses what cannot be a token, before anything is decoded.
func (m *Middleware) checkToken(text string) error {
	if len(text) > m.opt.MaxTokenBytes {
		return fmt.Errorf("%w: a token of %d bytes, the most is %d", ErrTooLarge, len(text), m.opt.MaxTokenBytes)
	}
	return token.CheckForm(text)
}

// authentic is a token that was sealed for the owner, opened as far as its
// envelope.
type authentic struct {
	token.Envelope
	component *component // nil if it is not registered here
	token     string
	took      time.Duration // to open so far
}

// authenticate opens the envelope of a token that checkToken let through. It
// runs no code of the application.
func (m *Middleware) authenticate(keys *token.Keyring, text string) (authentic, error) {
	start := m.startTimer()
	plain, err := keys.Open(text)
	if err != nil {
		return authentic{}, err
	}
	e, name, err := token.ParseEnvelope(text, plain)
	if err != nil {
		return authentic{}, err
	}
	return authentic{e, m.registry.named(name), text, m.since(start)}, nil
}

// resume makes an instance of a token. prepare gets the state when its rows
// are there and load has not run.
func (m *Middleware) resume(ctx context.Context, keys *token.Keyring, a authentic, f *fetched, prepare func(state any)) (instance, error) {
	start := m.startTimer()
	now := m.now()
	e := &a.Envelope
	if err := m.ages().Check(e, now); err != nil {
		return instance{}, err
	}
	c := a.component
	if err := checkComponent(c, e.Version); err != nil {
		return instance{}, err
	}
	data, err := m.decompressData(e.Data)
	if err != nil {
		return instance{}, err
	}
	e.Data = data
	state := reflect.New(c.typ)
	refs, err := c.plan.Decode(data, state.Elem())
	if err != nil {
		return instance{}, decodeError(err)
	}
	if err := m.resolve(ctx, c, refs, f); err != nil {
		return instance{}, err
	}
	in := instance{
		Envelope:  *e,
		component: c,
		state:     state.Interface(),
		value:     state.Elem(),
		keys:      keys,
		token:     a.token,
		refresh:   now.Sub(e.LastSealed) > m.opt.MaxAge/2,
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

// checkComponent gets the component that a token holds, nil if it is not
// registered, and its schema version there.
func checkComponent(c *component, version uint64) error {
	if c == nil {
		return fmt.Errorf("%w: it holds a component that is not registered here", ErrInvalid)
	}
	if uint64(c.version) != version {
		return fmt.Errorf("%w: it holds %s in schema version %d, which is %d now", ErrOutdated, c.name, version, c.version)
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
	next := in.Envelope
	next.Revision++
	room := in.component.plan.Room()
	if in.token != "" {
		room = len(in.Data) + len(in.Data)/16 + 32 // most states stay about as large
	}
	plain = next.Head(in.component.name, room)
	head = len(plain)
	limit := max(0, token.Capacity(m.opt.MaxTokenBytes)-head)
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
func (m *Middleware) changed(in *instance) (bool, error) { return m.differs(in, in.Data) }

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
	if in.FirstSealed.IsZero() {
		in.FirstSealed = m.now()
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
	if in.token != "" && !in.refresh && bytes.Equal(plain[head:], in.Data) {
		return in.token, nil
	}
	return m.encrypt(in, plain, head, start)
}

// sealAs returns a token of the next revision that holds data, which an earlier
// one held, and not the state as it is now.
func (m *Middleware) sealAs(in *instance, data []byte) (string, error) {
	start := m.startTimer()
	next := in.Envelope
	next.Revision++
	plain := next.Head(in.component.name, len(data))
	return m.encrypt(in, append(plain, data...), len(plain), start)
}

// encrypt makes plain, of which so much is the head, the token of in. Sealing
// began at start.
func (m *Middleware) encrypt(in *instance, plain []byte, head int, start time.Time) (string, error) {
	now := m.now()
	if now.Before(in.FirstSealed) {
		now = in.FirstSealed // by another server, whose clock is ahead
	}
	if size := token.Size(len(plain)); size > m.opt.MaxTokenBytes {
		return "", fmt.Errorf("pagestate: sealing %s: a token of %d bytes (uncompressed, if it is compressed), the most is %d; raise MaxTokenBytes, or save less", in.component.name, size, m.opt.MaxTokenBytes)
	}
	sealed := plain
	if in.component.compressed {
		sealed = compressData(plain, head)
	}
	text, err := in.keys.Seal(sealed, now)
	if err != nil {
		return "", err
	}
	in.token = text
	in.refresh, in.sealed = false, true
	in.Revision++
	in.LastSealed = now
	in.Data = plain[head:]
	m.opt.Observer.Sealed(in.component.name, m.since(start))
	return text, nil
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
