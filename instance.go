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
	"sync/atomic"
	"time"

	"github.com/pagestate/pagestate/internal/codec"
	"github.com/pagestate/pagestate/internal/token"
)

// instance is safe for use by one goroutine at a time.
type instance struct {
	token.Envelope // of token

	m         *Middleware
	component *component
	state     any           // *T
	value     reflect.Value // the T it points to
	keys      *keyring
	token     string // the one last opened or sealed, "" before the first
	next      uint64 // the revision of what is sealed from now on
	leftOut   leftOut
	rows      rowsByValue      // that the state held by value when it was opened or attached
	sealed    bool             // whether it was sealed here, and not only opened
	given     bool             // whether its token was put into the page
	placed    bool             // whether FromOrAttach returned it
	former    token.InstanceID // what it was before a redirect made it a new instance
	carried   []byte           // what it held when a redirect carried it on, nil if none has
	migrated  bool             // whether the token that came is of a former version
	refresh   bool             // whether to seal it again even if nothing changed
	keepsTime bool             // whether what is sealed is as old as the token that came
}

// keyring is an owner with the keys of its tokens. It opens with the secrets that
// it was made of, and seals and signs with those of the moment.
type keyring struct {
	token.Keyring
	m     *Middleware
	ended atomic.Bool // by Renew, in the request that they were made for
}

func (k *keyring) owner() Owner {
	o := k.Owner()
	return Owner{o.Session, o.User}
}

func (k *keyring) Seal(plain []byte, now time.Time) (string, error) {
	return k.current().Seal(plain, now)
}

func (k *keyring) Sign(message []byte) ([]byte, error) { return k.current().Sign(message) }

func (k *keyring) current() *token.Keyring {
	secrets := k.m.secrets.Load()
	if k.IsOf(secrets) {
		return &k.Keyring
	}
	current := secrets.Keyring(k.Owner())
	return &current
}

func (m *Middleware) keyring(secrets *token.Secrets, o Owner) keyring {
	if m.unbound {
		o.Session = ""
	}
	kind := token.NoUserFunc
	switch {
	case o.User != "":
		kind = token.Named
	case m.opt.User != nil:
		kind = token.Anonymous
	}
	return keyring{m: m, Keyring: secrets.Keyring(token.Owner{
		Purpose:  m.opt.Purpose,
		Binding:  bindingKind(m.opt.Session),
		Session:  o.Session,
		UserKind: kind,
		User:     o.User,
	})}
}

// orphaned reports whether Renew has ended the keys: nothing is sealed with them
// any more.
func (in *instance) orphaned() bool { return in.keys.ended.Load() }

// field is a saved field by its place in the component's plan.
func (in *instance) field(i int) reflect.Value { return in.component.plan.FieldValue(in.value, i) }

// newInstance starts an instance of state, which is a *T. Its keys are nil.
func (m *Middleware) newInstance(state any) (instance, error) {
	c, err := m.registry.component(reflect.TypeOf(state))
	if err != nil {
		return instance{}, err
	}
	v := reflect.ValueOf(state)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return instance{}, fmt.Errorf("pagestate: %s: give a pointer to the state, and not its value or nil", c.name)
	}
	return instance{
		Envelope:  token.Envelope{Version: uint64(c.version), Instance: token.NewInstanceID()},
		m:         m,
		component: c,
		state:     state,
		value:     v.Elem(),
		next:      1,
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
func (m *Middleware) authenticate(keys *keyring, text string) (authentic, error) {
	start := startTimer(m.opt.Observer.Opened != nil)
	plain, err := keys.Open(text)
	if err != nil {
		return authentic{}, err
	}
	e, name, err := token.ParseEnvelope(text, plain)
	if err != nil {
		return authentic{}, err
	}
	return authentic{e, m.registry.named(name), text, since(start)}, nil
}

// resume makes an instance of a token. prepare gets the state when its rows
// are there and load has not run.
func (m *Middleware) resume(ctx context.Context, keys *keyring, a authentic, f *fetched, prepare func(state any)) (instance, error) {
	start := startTimer(m.opt.Observer.Opened != nil)
	now := m.now()
	if err := m.ages().Check(&a.Envelope, now); err != nil {
		return instance{}, err
	}
	if err := a.checkComponent(); err != nil {
		return instance{}, err
	}
	data, err := decompressData(a.Data, m.opt.MaxTokenBytes)
	if err != nil {
		return instance{}, err
	}
	a.Data = data
	c, plan := a.component, a.component.plan
	former := a.former()
	if former != nil {
		plan = former.plan
	}
	state := reflect.New(plan.Type)
	refs, err := plan.Decode(data, state.Elem())
	if err != nil {
		return instance{}, decodeError(err)
	}
	if err := m.resolve(ctx, c, refs, f); err != nil {
		return instance{}, err
	}
	in := instance{
		Envelope:  a.Envelope,
		m:         m,
		component: c,
		state:     state.Interface(),
		value:     state.Elem(),
		keys:      keys,
		token:     a.token,
		next:      a.Revision + 1,
		refresh:   now.Sub(a.LastSealed) > m.opt.MaxAge/2, // before its idle life ends
	}
	if former != nil {
		if err := in.migrate(ctx, former); err != nil {
			return instance{}, err
		}
	}
	prepare(in.state)
	if err := in.load(ctx); err != nil {
		return instance{}, err
	}
	if observe := m.opt.Observer.Opened; observe != nil {
		observe(ctx, Opened{Component: c.name, Took: a.took + since(start)})
	}
	return in, nil
}

// onlyRead keeps in what it is to a guard, for a request that has used nothing up:
// a claim ends all tokens of its revision, and those of earlier ones. Where no
// lifetime bounds a claim's record, it is kept for MaxAge alone, and no token that
// the claim ends may live longer.
func (in *instance) onlyRead() {
	in.next = in.Revision
	if in.m.opt.Guard != nil && in.m.opt.MaxLifetime < 0 {
		in.keepsTime = true
		in.refresh = in.refresh && in.migrated
	}
}

// asSaved is the prepare of a state that is resumed with what was saved.
func asSaved(any) {}

func (a *authentic) checkComponent() error {
	c := a.component
	if c == nil {
		return fmt.Errorf("%w: it holds a component that is not registered here", ErrInvalid)
	}
	if uint64(c.version) != a.Version && c.step(a.Version) == nil {
		return fmt.Errorf("%w: it holds %s in schema version %d, which is %d now", ErrOutdated, c.name, a.Version, c.version)
	}
	return nil
}

// former is what migrates the token, nil for one of today's version.
func (a *authentic) former() *step {
	if uint64(a.component.version) == a.Version {
		return nil
	}
	return a.component.step(a.Version)
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

// changed reports whether the state is another than that in the token.
func (in *instance) changed() (bool, error) { return in.differs(in.Data) }

// differs reports whether the state is another than that in data.
func (in *instance) differs(data []byte) (bool, error) {
	same, err := in.component.plan.Same(in.value, in.leftOut.fields, data)
	if err != nil {
		return false, in.sealingError(err)
	}
	return !same, nil
}

// sealingError is why a state cannot be sealed. An error of a codec is found in it
// by errors.As alone: whatever it is, to a client it is a failure of the server.
type sealingError struct {
	component string
	err       error
}

func (e *sealingError) Error() string {
	return fmt.Sprintf("pagestate: sealing %s: %v", e.component, e.err)
}
func (e *sealingError) As(target any) bool { return errors.As(e.err, target) }

// sealingError returns what an error of the codec means.
func (in *instance) sealingError(err error) error {
	switch {
	case errors.Is(err, codec.ErrSize):
		return in.tooLarge(in.tokenTooLong())
	case errors.Is(err, codec.ErrLimit):
		return in.tooLarge(err)
	}
	return &sealingError{in.component.name, err}
}

func (in *instance) tokenTooLong() error {
	return fmt.Errorf("its token would be too long, compressed or not (MaxTokenBytes is %d)", in.m.opt.MaxTokenBytes)
}

// tooLarge says which field holds the most: the one that was written when a limit
// was reached may hold next to nothing.
func (in *instance) tooLarge(why error) error {
	largest := in.component.plan.Largest(in.value, in.leftOut.fields)
	return fmt.Errorf("%w: sealing %s: %v; %s holds the most", ErrTooLarge, in.component.name, why, largest)
}

// seal returns a token of the state as it is now: the one last opened or sealed
// if it is still good, and otherwise a new one.
func (in *instance) seal(ctx context.Context) (string, error) {
	start := startTimer(in.m.opt.Observer.Sealed != nil)
	if in.FirstSealed.IsZero() {
		in.FirstSealed = in.m.now()
	}
	if in.sealed { // most likely there is nothing new
		if changed, err := in.changed(); err == nil && !changed {
			return in.token, nil
		}
	}
	plain, head, err := in.encode()
	if err != nil {
		return "", err
	}
	if in.token != "" && !in.refresh && bytes.Equal(plain[head:], in.Data) {
		return in.token, nil
	}
	return in.encrypt(ctx, plain, head, start)
}

// sealData returns a new token that holds data, which an earlier one held, and
// not the state as it is now.
func (in *instance) sealData(ctx context.Context, data []byte) (string, error) {
	start := startTimer(in.m.opt.Observer.Sealed != nil)
	head := in.nextHead(len(data))
	return in.encrypt(ctx, append(head, data...), len(head), start)
}

// nextHead is what stands in front of the data in a new token, with room for the
// data.
func (in *instance) nextHead(room int) []byte {
	next := in.Envelope
	next.Revision = in.next
	return next.Head(in.component.name, room)
}

// encode returns what seal would encrypt now, uncompressed, and how much of it is
// the head.
func (in *instance) encode() (plain []byte, head int, err error) {
	plan := in.component.plan
	room := plan.Room()
	if in.token != "" {
		room = len(in.Data) + len(in.Data)/16 + 32 // most states stay about as large
	}
	plain = in.nextHead(room)
	head = len(plain)
	limit := max(0, token.Capacity(in.m.opt.MaxTokenBytes)-head)
	plain, err = plan.Encode(plain, in.value, in.leftOut.fields, limit)
	if err != nil {
		return nil, 0, in.sealingError(err)
	}
	return plain, head, nil
}

// encrypt makes plain, of which so much is the head, the token of in. Sealing
// began at start.
func (in *instance) encrypt(ctx context.Context, plain []byte, head int, start time.Time) (string, error) {
	now := in.m.now()
	if in.keepsTime {
		now = in.LastSealed
	}
	if now.Before(in.FirstSealed) {
		now = in.FirstSealed // by another server, whose clock is ahead
	}
	if token.Size(len(plain)) > in.m.opt.MaxTokenBytes {
		return "", in.tooLarge(in.tokenTooLong())
	}
	sealed := plain
	if in.component.compressed {
		sealed = compressData(plain, head)
	}
	text, err := in.keys.Seal(sealed, now)
	if err != nil {
		return "", err
	}
	in.token, in.Data = text, plain[head:]
	in.LastSealed = now
	in.Revision = in.next
	in.refresh, in.sealed = false, true
	if observe := in.m.opt.Observer.Sealed; observe != nil {
		observe(ctx, Sealed{Component: in.component.name, Took: since(start), Bytes: len(text)})
	}
	return text, nil
}

// ages are how old a token may be.
func (m *Middleware) ages() token.Ages {
	return token.Ages{MaxAge: m.opt.MaxAge, MaxLifetime: m.opt.MaxLifetime, NotBefore: m.opt.NotBefore}
}

// now is the time to the second.
func (m *Middleware) now() time.Time { return time.Unix(m.opt.Clock().Unix(), 0) }
