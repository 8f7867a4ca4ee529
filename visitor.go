package pagestate

// This file holds the visitor: whose request it is, as far as the binding and
// Options.User were asked, and the cookies that the binding set meanwhile.

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/pagestate/pagestate/internal/owner"
	"github.com/pagestate/pagestate/internal/token"
)

// visitor is who sent a request. It is safe for concurrent use.
type visitor struct {
	m       *Middleware
	secrets *token.Secrets // when the request began
	r       *http.Request  // as the handler gets it

	asking   sync.Mutex // held while the binding is asked, which may take time
	carrying sync.Mutex // held while the carrier is asked

	mu      sync.Mutex
	keys    *keyring // of the owner, nil until the binding was asked
	first   keyring  // what keys points to until Ensure or Renew make another owner
	cookies []string // Set-Cookie lines of the binding
	begun   bool     // whether the response has, so that no cookie leaves any more
}

// present returns the keys of the owner as the request names it: without a
// session, if it brings none.
func (v *visitor) present() (*keyring, error) {
	v.asking.Lock()
	defer v.asking.Unlock()
	return v.ask()
}

// existing is present for an owner that tokens may belong to. It never creates
// a session.
func (v *visitor) existing() (*keyring, error) {
	keys, err := v.present()
	if err != nil {
		return nil, err
	}
	if !v.m.owns(keys.owner()) {
		return nil, errNoSession
	}
	return keys, nil
}

// ensured is present with a session, which is made if there is none.
func (v *visitor) ensured() (*keyring, error) {
	v.asking.Lock()
	defer v.asking.Unlock()
	keys, err := v.ask()
	if err != nil || v.m.owns(keys.owner()) {
		return keys, err
	}
	if v.hasBegun() {
		return nil, errSessionTooLate
	}
	if err := v.mayStart(); err != nil {
		return nil, err
	}
	w := cookieWriter{make(http.Header)}
	session, err := v.m.opt.Session.Ensure(w, v.r)
	if err != nil {
		return nil, fmt.Errorf("pagestate: making a session: %w", err)
	}
	if session == "" {
		return nil, errNoID
	}
	return v.become(Owner{Session: session, User: keys.owner().User}, w.header)
}

// mayStart returns an error if the request comes from another site with an
// unsafe method: browsers leave the session's cookie out of it, and a new one
// would replace it and end what the visitor's tabs hold.
func (v *visitor) mayStart() error {
	if _, ok := v.m.opt.Session.(funcBinding); ok {
		return nil // it starts none
	}
	if err := v.m.opt.CrossOrigin.Check(v.r); err != nil {
		return fmt.Errorf("%w (%w) and brings no session, and a new one would replace the visitor's: redirect with 303 See Other to a page that attaches", ErrCrossOrigin, err)
	}
	return nil
}

// renew gives the visitor a new session, and reads the user from r. It ends the
// former keys, so that the instances which have them are orphans: they are not
// sealed any more.
func (v *visitor) renew(r *http.Request) error {
	v.carrying.Lock() // what is carried meanwhile is deleted too
	defer v.carrying.Unlock()
	v.asking.Lock()
	defer v.asking.Unlock()
	if v.hasBegun() {
		return errSessionTooLate
	}
	before, err := v.toRenew()
	if err != nil {
		return err
	}
	w := cookieWriter{make(http.Header)}
	session, err := v.m.renewSession(w, r, before.Session)
	if err != nil {
		return err
	}
	for _, line := range v.m.endSlots(r, append(v.set(), w.header["Set-Cookie"]...)) {
		w.header.Add("Set-Cookie", line)
	}
	_, err = v.become(Owner{Session: session, User: v.m.userOf(r)}, w.header)
	return err
}

// ask asks the binding, once per request. It is called with asking held.
func (v *visitor) ask() (*keyring, error) {
	if keys := v.known(); keys != nil {
		return keys, nil
	}
	o, err := v.m.readOwner(v.r)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.first = v.m.keyring(v.secrets, o)
	v.keys = &v.first
	if o.Session == "" {
		v.cookies = strays(v.m.opt.Session, v.r)
	}
	return v.keys, nil
}

// toRenew is the owner that a renewal ends.
func (v *visitor) toRenew() (Owner, error) {
	if keys := v.known(); keys != nil {
		return keys.owner(), nil
	}
	return v.m.ownerToRenew(v.r)
}

func (v *visitor) known() *keyring {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.keys
}

// set returns the cookies that were set so far.
func (v *visitor) set() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.cookies)
}

func (v *visitor) hasBegun() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.begun
}

// become makes o the owner in place of the one before, whose keys end, and keeps
// the cookies that the binding set for it. It fails if the response has begun
// meanwhile, since it leaves without them.
func (v *visitor) become(o Owner, h http.Header) (*keyring, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.begun {
		return nil, errSessionTooLate
	}
	v.cookies = append(v.cookies, h["Set-Cookie"]...)
	if v.keys != nil {
		v.keys.ended.Store(true)
	}
	keys := v.m.keyring(v.secrets, o)
	v.keys = &keys
	return v.keys, nil
}

// put gives the carrier a parcel. The lines for cookies that it sets must fit into so
// many bytes.
func (v *visitor) put(p Parcel, room int) error {
	v.carrying.Lock()
	defer v.carrying.Unlock()
	w := v.carrierWriter()
	before := len(w.header["Set-Cookie"])
	if err := v.m.opt.Carrier.Put(w, v.r, p); err != nil {
		return carrierError(err)
	}
	lines := w.header["Set-Cookie"][before:]
	size := 0
	for _, line := range lines {
		size += len("Set-Cookie: \r\n") + len(line)
	}
	if size > room {
		return fmt.Errorf("%w: the headers of the redirect would be too long for proxies; %s", ErrTooLarge, carryLess)
	}
	return v.add(lines)
}

// get asks the carrier for the parcel of that id, "" if there is none.
func (v *visitor) get(id string) (value string, err error) {
	v.carrying.Lock()
	defer v.carrying.Unlock()
	w := v.carrierWriter()
	before := len(w.header["Set-Cookie"])
	if value, err = v.m.opt.Carrier.Get(w, v.r, id); err != nil {
		return "", carrierError(err)
	}
	if lines := w.header["Set-Cookie"][before:]; len(lines) > 0 {
		err = v.add(lines)
	}
	return value, err
}

// carrierWriter shows a carrier the cookies that are set already: of those of one name
// the last one counts.
func (v *visitor) carrierWriter() cookieWriter {
	v.mu.Lock()
	defer v.mu.Unlock()
	return cookieWriter{http.Header{"Set-Cookie": slices.Clone(v.cookies)}}
}

func carrierError(err error) error {
	if errors.Is(err, ErrTooLarge) {
		return err
	}
	return fmt.Errorf("%w: asking the carrier: %w", ErrUnavailable, err)
}

// add keeps cookies for the response.
func (v *visitor) add(lines []string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.begun {
		return errCarriedTooLate
	}
	v.cookies = append(v.cookies, lines...)
	return nil
}

// begin returns the cookies for the response, which begins now.
func (v *visitor) begin() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.begun = true
	return v.cookies
}

// requestOwner tells other packages of this module whose request it is.
type requestOwner struct{ x *exchange }

func (o requestOwner) Existing() (name owner.Name, ok bool, err error) {
	o.x.touch()
	keys, err := o.x.visitor.present()
	if err != nil {
		return owner.Name{}, false, err
	}
	name, ok = keys.ownerName()
	return name, ok, nil
}

func (o requestOwner) Ensured() (owner.Name, error) {
	o.x.touch()
	keys, err := o.x.visitor.ensured()
	if err != nil {
		return owner.Name{}, err
	}
	name, ok := keys.ownerName()
	if !ok {
		return owner.Name{}, errNobody
	}
	return name, nil
}

// tokenOwner is the same for a token that is opened without a request.
type tokenOwner struct{ keys *keyring }

func (o tokenOwner) Existing() (name owner.Name, ok bool, err error) {
	name, ok = o.keys.ownerName()
	return name, ok, nil
}

func (o tokenOwner) Ensured() (owner.Name, error) {
	name, ok := o.keys.ownerName()
	if !ok {
		return owner.Name{}, errNobody
	}
	return name, nil
}

// ownerName returns false for an owner that is everybody: without a session, and not
// logged in.
func (k *keyring) ownerName() (owner.Name, bool) {
	o := k.Owner()
	return o.Name(), o.Session != "" || o.Binding == token.Unbound && o.User != ""
}

var (
	errNobody         = errors.New("pagestate: with Unbound a visitor who is not logged in cannot be told from others, so nothing can be kept for one; use another binding")
	errNoSession      = fmt.Errorf("%w: there is no session it could belong to", ErrInvalid)
	errNoID           = errors.New("pagestate: the binding gave no id for a session it was to make")
	errCarriedTooLate = errors.New("pagestate: the first byte has left, so nothing can be carried; redirect before anything is written")
	errSessionTooLate = errors.New("pagestate: the first byte has left, so no session can be made; attach or renew before anything is written")
)

// cookieWriter takes the cookies that a binding sets. They wait in the visitor
// until the response begins: http.TimeoutHandler copies the handler's own header
// over what was set on the outer one.
type cookieWriter struct{ header http.Header }

func (w cookieWriter) Header() http.Header { return w.header }
func (w cookieWriter) WriteHeader(int)     {}
func (w cookieWriter) Write([]byte) (int, error) {
	return 0, errors.New("pagestate: a binding may set cookies, and write nothing")
}

// mergeCookies puts the binding's cookies into the response, in place of those
// of their names that the handler has set. Of two lines for one cookie the last
// one wins.
func mergeCookies(h http.Header, lines []string) {
	for _, line := range lines {
		name, _, _ := strings.Cut(line, "=")
		h["Set-Cookie"] = slices.DeleteFunc(h["Set-Cookie"], func(other string) bool { return strings.HasPrefix(other, name+"=") })
	}
	for i, line := range lines {
		if !slices.ContainsFunc(lines[i+1:], func(later string) bool { return sameCookie(line, later) }) {
			h["Set-Cookie"] = append(h["Set-Cookie"], line)
		}
	}
}

// sameCookie reports whether two Set-Cookie lines are for one cookie.
func sameCookie(a, b string) bool {
	if a == b {
		return true
	}
	x, err := http.ParseSetCookie(a)
	if err != nil {
		return false
	}
	y, err := http.ParseSetCookie(b)
	return err == nil && x.Name == y.Name && x.Domain == y.Domain && x.Path == y.Path && x.Partitioned == y.Partitioned
}

// owns reports whether tokens can belong to o: it has a session, or needs none.
func (m *Middleware) owns(o Owner) bool { return o.Session != "" || m.unbound }

func (m *Middleware) readOwner(r *http.Request) (Owner, error) {
	session, err := m.opt.Session.Existing(r)
	if err != nil {
		return Owner{}, fmt.Errorf("pagestate: reading the session: %w", err)
	}
	return Owner{Session: session, User: m.userOf(r)}, nil
}

func (m *Middleware) userOf(r *http.Request) string {
	if m.opt.User == nil {
		return ""
	}
	return m.opt.User(r)
}

// Renew gives the visitor a new session, and so ends the tokens made before:
// call it at login and at logout, before anything is written. It reads
// Options.User again, from r, so r must know by then who is logged in.
//
// What the request has opened or attached before is not sealed any more. A warning
// is logged if that loses something. What the request attaches afterwards belongs to
// the new owner.
//
// It works in a request from another site too, as when an identity provider
// posts a login. That comes without a SameSite cookie, so no record of the old
// session is deleted.
//
// It works outside of [Middleware.Handler] too, but cannot tell there that
// something was written already, and the new cookie is then lost. It keeps caches
// from sharing the response, as Handler does, but does not see what is set
// afterwards: set Cache-Control and the like before, or not at all. The request
// itself still names the old session, to a Handler behind it too: redirect to the
// page that attaches.
//
// Its error is that of the session's store, or says that the session is still
// the same; with a [SessionFunc] that is seen if the request carried a token or
// has attached something.
func (m *Middleware) Renew(w http.ResponseWriter, r *http.Request) error {
	if x := m.exchangeOf(r); x != nil {
		return x.visitor.renew(r)
	}
	before, err := m.ownerToRenew(r)
	if err != nil {
		return err
	}
	_, err = m.renewSession(w, r, before.Session)
	if err == nil {
		for _, line := range m.endSlots(r, w.Header()["Set-Cookie"]) {
			w.Header().Add("Set-Cookie", line)
		}
	}
	m.keepPrivate(r.Context(), w.Header())
	return err
}

// ownerToRenew is whose session r had before a Renew, if nothing has asked yet.
// With a SessionFunc nobody can know that: the application has renewed the
// session itself by now.
func (m *Middleware) ownerToRenew(r *http.Request) (Owner, error) {
	if _, ok := m.opt.Session.(funcBinding); ok {
		return Owner{}, nil
	}
	return m.readOwner(r)
}

// renewSession fails rather than to leave the old session as it was: the tokens
// made for it would go on.
func (m *Middleware) renewSession(w http.ResponseWriter, r *http.Request, before string) (session string, err error) {
	session, err = m.opt.Session.Renew(w, r)
	switch {
	case err != nil:
		return "", fmt.Errorf("pagestate: renewing the session: %w", err)
	case m.unbound:
		return "", nil
	case session == "":
		return "", errNoID
	case session == before:
		return "", errors.New("pagestate: renewing the session: its id is still the same; renew it in its own library first")
	}
	return session, nil
}
