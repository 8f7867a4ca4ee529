package pagestate

// This file holds what is carried: how states become a parcel when a redirect is
// answered, and how they are found where it leads to.

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pagestate/pagestate/internal/token"
	"github.com/pagestate/pagestate/internal/wire"
)

// parcel is what a redirect brings along, as Carriers keep it.
type parcel struct {
	brought tokenHash // of the tokens that came with the request that was redirected
	anew    bool      // whether each state starts a new instance where it arrives
	acted   int       // which state acted in that request, -1 for none
	tokens  []string
}

// tokenHash stands for tokens, in less.
type tokenHash [16]byte

func hashTokens(tokens []string) (h tokenHash) {
	sum := sha256.Sum256([]byte(strings.Join(tokens, " ")))
	copy(h[:], sum[:])
	return h
}

// print returns p as text that opens for that id and the owner of keys alone.
func (p *parcel) print(keys *keyring, id string) (string, error) {
	b := wire.AppendBytes(nil, p.brought[:])
	anew := uint64(0)
	if p.anew {
		anew = 1
	}
	b = wire.AppendUint(b, anew)
	b = wire.AppendUint(b, uint64(p.acted+1))
	b = wire.AppendUint(b, uint64(len(p.tokens)))
	for _, text := range p.tokens {
		raw, err := base64.URLEncoding.DecodeString(text)
		if err != nil {
			return "", fmt.Errorf("pagestate: carrying a state: %w", err)
		}
		b = wire.AppendBytes(b, raw)
	}
	signature, err := keys.Sign(parcelMessage(id, b))
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(b, signature...)), nil
}

// parcelMessage is what the signature of a parcel signs. Ids have one length.
func parcelMessage(id string, content []byte) []byte {
	return append([]byte("parcel "+id+" "), content...)
}

// parseParcel is the inverse of print. It returns an ErrInvalid for what was not
// printed for that id and owner.
func parseParcel(keys *keyring, id, value string) (*parcel, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(value)
	end := len(b) - token.SignatureSize
	if err != nil || end < 0 || !keys.Signed(parcelMessage(id, b[:end]), b[end:]) {
		return nil, fmt.Errorf("%w: none of the secrets opens it for this session, user and purpose", ErrInvalid)
	}
	p := new(parcel)
	r := wire.NewReader(b[:end])
	copy(p.brought[:], r.Bytes())
	p.anew = r.Uint() == 1
	acted := r.Uint()
	for range min(r.Uint(), uint64(end)) { // each takes a byte or more
		p.tokens = append(p.tokens, base64.URLEncoding.EncodeToString(r.Bytes()))
	}
	if rest, err := r.Rest(); err != nil || len(rest) > 0 || acted > uint64(len(p.tokens)) {
		return nil, fmt.Errorf("%w: it is malformed", ErrInvalid)
	}
	p.acted = int(acted) - 1
	return p, nil
}

// carry gives the carrier the states under that id. The cookies that it sets must fit
// into so many bytes.
func (x *exchange) carry(id string, states []any, room int) error {
	keys, err := x.visitor.ensured()
	if err != nil {
		return err
	}
	all, err := x.toCarry(keys, states)
	if err != nil {
		return err
	}
	p, keep, err := x.pack(all)
	if err != nil {
		return err
	}
	value, err := p.print(keys, id)
	if err != nil {
		return err
	}
	if err := x.visitor.put(Parcel{ID: id, Value: value, Keep: keep}, room); err != nil {
		return err
	}
	x.noteCarried(all)
	return nil
}

// pack seals the states as they are now, and says for how long one of them opens.
func (x *exchange) pack(all []*instance) (*parcel, time.Duration, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.verdict != sealChanges {
		return nil, 0, errors.New("pagestate: carrying a state: the handler has failed, so nothing is sealed")
	}
	p := &parcel{brought: hashTokens(x.brought), anew: x.m.opt.Guard != nil && !x.safe, acted: -1}
	var keep time.Duration
	for i, in := range all {
		text, err := in.seal(x.r.Context())
		if err != nil {
			return nil, 0, err
		}
		p.tokens = append(p.tokens, text)
		if in == x.acting.instance {
			p.acted = i
		}
		keep = max(keep, in.opensFor())
	}
	return p, keep, nil
}

func (x *exchange) noteCarried(all []*instance) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, in := range all {
		in.carried = in.Data
	}
	x.carried = append(x.carried, all...)
}

// toCarry returns the instances of the states.
func (x *exchange) toCarry(keys *keyring, states []any) ([]*instance, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.touched = true
	var all []*instance
	for _, state := range states {
		in, err := x.instanceToCarry(keys, state)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, in.isAmbiguousBeside) {
			return nil, fmt.Errorf("pagestate: carrying %s: the page that it arrives at finds a state by its type, so there can be one of it; carry the other as a child", in.component.name)
		}
		all = append(all, in)
	}
	for _, in := range all {
		isParent := func(other *instance) bool { return other.isParentOf(&in.Envelope, in.Key) }
		if in.Key != "" && !slices.ContainsFunc(all, isParent) {
			return nil, fmt.Errorf("pagestate: carrying %s: it is a child, and opens with its parent alone; carry that too", in.component.name)
		}
	}
	return all, nil
}

// instanceToCarry returns the instance of a state, a new one if this request does not
// know it.
func (x *exchange) instanceToCarry(keys *keyring, state any) (*instance, error) {
	if in := x.find(state); in != nil {
		return in, nil
	}
	for in := range x.orphans {
		if in.state == state {
			return nil, fmt.Errorf("pagestate: carrying %s: it is of the owner before Renew; give it to Attach again", in.component.name)
		}
	}
	in, err := x.m.newInstance(state)
	if err != nil {
		return nil, err
	}
	in.keys = keys
	return &in, nil
}

// isAmbiguousBeside reports whether FromOrAttach could not tell the two apart.
func (in *instance) isAmbiguousBeside(other *instance) bool {
	return in == other || in.component == other.component && in.Key == "" && other.Key == ""
}

// opensFor is how long the token of in still opens.
func (in *instance) opensFor() time.Duration {
	end := in.LastSealed.Add(in.m.opt.MaxAge)
	if life := in.m.opt.MaxLifetime; life > 0 && in.FirstSealed.Add(life).Before(end) {
		end = in.FirstSealed.Add(life)
	}
	return end.Sub(in.m.now())
}

// arrival is what a redirect has carried to the page that a request asks for.
type arrival struct {
	id string // of the parcel

	mu     sync.Mutex // held while the carrier is asked, once
	asked  bool
	err    error
	keys   *keyring // of the owner that it is for
	parcel *parcel  // nil if none opens
	states []carriedState

	// What the page asked for, guarded by the exchange's mu.
	wanted bool    // whether that was one of the states
	found  []place // what the request had without them
}

// carriedState is a state that was carried, as far as its envelope.
type carriedState struct {
	authentic
	acted bool // in the request that was redirected
}

// arrived returns what was carried here. It is nil if nothing was, or if that is for
// another owner.
func (x *exchange) arrived() (*arrival, error) {
	a := x.arrival
	if a == nil {
		return nil, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.asked {
		a.asked = true
		a.err = x.receive()
	}
	if a.err != nil || a.parcel == nil || a.keys.ended.Load() {
		return nil, a.err
	}
	return a, nil
}

// receive asks the carrier for the parcel, and passes over what opens no more.
func (x *exchange) receive() error {
	value, err := x.visitor.get(x.arrival.id)
	if err != nil || value == "" {
		return err
	}
	keys, err := x.visitor.existing()
	if err == nil {
		err = x.unpack(keys, value)
	}
	if startsFresh(err) {
		x.logFresh(nil, err)
		return nil
	}
	return err
}

func (x *exchange) unpack(keys *keyring, value string) error {
	p, err := parseParcel(keys, x.arrival.id, value)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.arrival.parcel, x.arrival.keys = p, keys
	for i, text := range p.tokens {
		if err := x.m.checkToken(text); err != nil {
			return err
		}
		a, err := x.m.authenticate(keys, text)
		if err != nil {
			return err
		}
		x.arrival.states = append(x.arrival.states, carriedState{a, i == p.acted})
	}
	return nil
}

// startsFresh reports whether err means that what was carried is not good any more.
// A page then starts fresh. Anything else would hide a fault: a database that is down
// must not restart a wizard.
func startsFresh(err error) bool {
	for _, target := range [...]error{ErrInvalid, ErrExpired, ErrOutdated, ErrStale, ErrTooLarge} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// logFresh logs why a state that was carried is not used. c is nil if it is not known.
func (x *exchange) logFresh(c *component, err error) {
	attrs := []slog.Attr{slog.String("cause", err.Error()), slog.String("pattern", x.r.Pattern)}
	if c != nil {
		attrs = append(attrs, slog.String("component", c.name))
	}
	x.m.opt.Logger.LogAttrs(x.r.Context(), slog.LevelInfo, "pagestate: what a redirect carried is not used", attrs...)
}

// follows reports whether the request is one that a script has sent on by following a
// redirect, with the headers of the request before it: then its tokens are older than
// what was carried.
func (a *arrival) follows(tokens []string) bool {
	return a != nil && a.parcel.brought == hashTokens(tokens)
}

// replaces reports whether what was carried stands for the component that acts, in
// another state than its token holds.
func (a *arrival) replaces(tokens []string) bool {
	return a.follows(tokens) && a.parcel.acted >= 0 && a.parcel.tokens[a.parcel.acted] != tokens[0]
}

// openCarried makes an instance of what was carried to that place. It is nil if there
// is nothing that opens.
func (x *exchange) openCarried(ctx context.Context, p place) (*instance, error) {
	arrived, err := x.arrived()
	if arrived == nil {
		return nil, err
	}
	for i := range arrived.states {
		s := &arrived.states[i]
		if !p.isOf(s.component, &s.Envelope) {
			continue
		}
		x.noteWanted()
		in, err := x.m.resume(ctx, arrived.keys, s.authentic, &x.fetched, asSaved)
		if startsFresh(err) {
			x.logFresh(s.component, err)
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return x.settle(ctx, &in, p, s.acted)
	}
	return nil, nil
}

func (x *exchange) noteWanted() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.arrival.wanted = true
}

func (x *exchange) noteFound(p place) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.arrival != nil {
		x.arrival.found = append(x.arrival.found, p)
	}
}

// isFor reports whether one of the states is for that place.
func (a *arrival) isFor(p place) bool {
	return slices.ContainsFunc(a.states, func(s carriedState) bool { return p.isOf(s.component, &s.Envelope) })
}

// settle puts what was carried into its place. acted says that it is the component
// that acted, so that the response's header brings its token.
func (x *exchange) settle(ctx context.Context, in *instance, p place, acted bool) (*instance, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.willShow(); err != nil {
		return nil, err
	}
	if found := x.findAt(p); found != nil {
		return found, nil // by another goroutine of the handler
	}
	if x.arrival.parcel.anew {
		if err := in.startAnew(ctx, p.parent); err != nil {
			return nil, err
		}
	}
	in.onlyRead()
	in.placed = true
	if acted && x.acting.instance == nil && x.sent == notYet {
		x.act(in, false)
		x.acting.came = true
	} else {
		x.hold(in)
	}
	return in, nil
}

// startAnew makes in a new instance, with the state and the age of the one before. So
// a page that is loaded again is a new page to a guard.
func (in *instance) startAnew(ctx context.Context, parent *instance) error {
	in.former, in.Instance, in.next = in.Instance, token.NewInstanceID(), 1
	if parent != nil {
		in.Parent = parent.Instance
	}
	_, err := in.sealData(ctx, in.Data)
	return err
}

// warnOfCarried warns of what changed after it was carried on.
func (x *exchange) warnOfCarried() {
	for _, in := range x.carried {
		if changed, err := in.differs(in.carried); changed || err != nil {
			x.warn(in, "changed after Redirect or Link had carried it: what changed is lost")
		}
	}
}

// warnOfUnasked warns if a page was shown and did not ask for what was carried to it.
func (x *exchange) warnOfUnasked() {
	if x.arrival == nil {
		return
	}
	x.mu.Lock()
	shown := x.status >= 200 && x.status < 300 && !x.arrival.wanted
	found := slices.Clone(x.arrival.found)
	x.mu.Unlock()
	if !shown {
		return
	}
	arrived, err := x.arrived()
	if err != nil || arrived == nil || len(arrived.states) == 0 || arrived.states[0].component == nil {
		return
	}
	if slices.ContainsFunc(found, arrived.isFor) { // a script brought the same state, or a newer one
		return
	}
	name := arrived.states[0].component.name
	x.m.log(x.r.Context(), slog.LevelWarn, lineKind{text: "pagestate: a redirect carried a state to a page that did not ask for it with FromOrAttach: it is lost", component: name},
		slog.String("component", name), slog.String("pattern", x.r.Pattern))
}
