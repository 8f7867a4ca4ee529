package pagestate

// This file holds the carriers, which keep what a redirect carries: in cookies of
// the visitor, or in this process. What a parcel holds, and when a carrier is
// asked, is in parcel.go.

import (
	"cmp"
	"container/list"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pagestate/pagestate/internal/cookie"
	"github.com/pagestate/pagestate/internal/gorilla"
	"github.com/pagestate/pagestate/internal/sessionid"
	"github.com/pagestate/pagestate/internal/token"
)

// A Parcel is what [Redirect] gives a [Carrier] to keep.
type Parcel struct {
	ID    string        // stands in the URL; 26 letters and digits, random
	Value string        // what to keep: letters, digits, - and _
	Keep  time.Duration // until nothing in it opens any more; a carrier may keep it for less
}

// A Carrier keeps parcels between a redirect and the page that it leads to.
// [CookieCarrier] and [NewCarrier] are carriers, and package adapter/redisstate
// has one for several servers.
//
// A parcel opens for the owner alone whose states it holds, so a carrier needs no
// rule about who may get it. The arguments w and r are as in [Binding]: cookies may be
// set on w, and nothing written. A Carrier is safe for concurrent use.
type Carrier interface {
	// Put keeps p. It returns an [ErrTooLarge] if there is no room for it; any
	// other error means that nothing is known, and the client is answered 503
	// StateUnavailable. It returns when the request's context ends.
	Put(w http.ResponseWriter, r *http.Request, p Parcel) error

	// Get returns the Value of the parcel with that id, "" if it is not known. It
	// consumes nothing: a page may be loaded again. Errors are as those of Put.
	Get(w http.ResponseWriter, r *http.Request, id string) (value string, err error)
}

// carriedFor is how long parcels are kept, unless they are told otherwise.
const carriedFor = time.Hour

// carryLess is what to do about states that cookies have no room for.
const carryLess = "keep less in the state, or set Options.Carrier to NewCarrier or to the one of package adapter/redisstate"

// checkCarrier returns what New has to say against c.
func checkCarrier(c Carrier, b Binding) error {
	if isNilPointer(c) {
		return fmt.Errorf("pagestate: Options.Carrier is a nil %T; leave it nil itself for CookieCarrier", c)
	}
	if cookies, ok := c.(*cookieCarrier); ok {
		if err := cookies.check(b); err != nil {
			return fmt.Errorf("pagestate: Options.Carrier: CookieCarrier: %w", err)
		}
		return nil
	}
	if _, ok := b.(unboundBinding); ok {
		return errors.New("pagestate: Options.Carrier: with Unbound, whoever sees the URL of a page could open what was carried to it; use CookieCarrier, or another binding")
	}
	return nil
}

// CookieCarrier keeps parcels in six cookies of the visitor, so that every server
// with the secret finds them. A state of some 400 characters, sealed, takes one
// cookie, so the last four or more of them can be opened; a larger one takes
// several. A parcel of more than 2560 characters, five cookies, is an [ErrTooLarge]:
// keep less in the state, or use another carrier.
//
// Where all six are in use, the parcel that was put first makes room. The six
// cookies and the one of the binding stay below 4 KiB in a request, however many
// redirects there are. They are for one host, with the path /, and HttpOnly; all else
// is as c says, and where c says nothing, as the cookie of the binding is:
//   - Name is how their names begin: the rest is a number, with the prefix __Host-
//     in front where they are Secure. "" means the name of the binding's cookie
//     without its prefix.
//   - Secure, SameSite and Partitioned.
//   - MaxAge is how many seconds a page can be loaded again. 0 means an hour. No
//     cookie lasts longer than the states in it.
//
// The cookie of a [SessionFunc], of [Unbound], of a binding of your own, and of a
// [Session] whose store has no field called Options is not known. It counts as
// SameSite=Lax, as Secure where the request came over TLS, and as page_state where
// it has no name. Behind a proxy that ends TLS, set Secure in c.
//
// What others have put into the cookies opens no state, and makes room first.
// [Middleware.Renew] deletes them.
//
// These are faults that [New] reports: a cookie that browsers refuse, as with
// [Cookie]; a name with a prefix, one that leaves no room in the cookies, or one that
// makes one of them the binding's; Value, Expires, Domain, a Path other than /, and a
// negative MaxAge. It is safe for concurrent use.
func CookieCarrier(c http.Cookie) Carrier { return &cookieCarrier{c} }

type cookieCarrier struct{ given http.Cookie }

const (
	slotCount = 6
	maxPieces = 5   // of a parcel, so that none pushes out all others
	maxPiece  = 512 // in characters, so that a redirect with as many stays below 4 KiB
	minPiece  = 256

	secondsSize   = 10
	headSize      = secondsSize + len("05") + sessionid.Length // of a slot's value
	signatureSize = 22                                         // 16 bytes in base64
)

// check returns what New has to say against c.
func (c *cookieCarrier) check(b Binding) error {
	switch given := &c.given; {
	case given.Value != "" || given.Quoted:
		return errors.New("its Value is not honoured; leave it out")
	case !given.Expires.IsZero():
		return errors.New("its Expires is not honoured; use MaxAge")
	case given.Domain != "":
		return errors.New("its Domain is not honoured, since the cookies are for one host; leave it out")
	case given.Path != "" && given.Path != "/":
		return fmt.Errorf("its Path %q is not honoured, since a redirect leads anywhere; leave it out", given.Path)
	case given.MaxAge < 0:
		return errors.New("its MaxAge is negative; 0 means an hour")
	case cookie.WithoutPrefix(given.Name) != given.Name:
		return fmt.Errorf("its name %q has a prefix; leave it out, it is added where the cookie is Secure", given.Name)
	}
	if checkBinding(b) != nil {
		return nil // what the cookies are like is not known yet
	}
	slot := c.slot(b, false)
	if err := cookie.Check(&slot); err != nil {
		return err
	}
	if number := c.number(b, cookieName(b)); number >= 0 {
		return fmt.Errorf("number %d of its cookies would be the one of Options.Session; give it another Name", number)
	}
	if c.room(b) < minPiece {
		return fmt.Errorf("cookies called %q leave no room for what they hold; give it a shorter Name", slot.Name)
	}
	return nil
}

// slot returns what the cookies are like, except their values and the numbers at the
// end of their names. overTLS counts where the binding's cookie is not known.
func (c *cookieCarrier) slot(b Binding, overTLS bool) http.Cookie {
	own := bindingCookie(b, overTLS)
	slot := http.Cookie{
		Name:        c.name(b) + "-",
		Path:        "/",
		HttpOnly:    true,
		MaxAge:      cmp.Or(c.given.MaxAge, int(carriedFor/time.Second)),
		Secure:      own.Secure || c.given.Secure,
		Partitioned: own.Partitioned || c.given.Partitioned,
		SameSite:    own.SameSite,
	}
	if s := c.given.SameSite; s != 0 && s != http.SameSiteDefaultMode {
		slot.SameSite = s
	}
	if slot.Secure {
		slot.Name = hostPrefix + slot.Name
	}
	return slot
}

const hostPrefix = "__Host-"

func (c *cookieCarrier) name(b Binding) string {
	return cmp.Or(c.given.Name, cookie.WithoutPrefix(cookieName(b)), "page_state")
}

// number returns which slot a cookie of that name is, Secure or not, and -1 for none.
func (c *cookieCarrier) number(b Binding, name string) int {
	return slotNumber(strings.TrimPrefix(name, hostPrefix), c.name(b)+"-")
}

func slotNumber(name, begins string) int {
	rest, ok := strings.CutPrefix(name, begins)
	if !ok || len(rest) != 1 || rest[0] < '0' || rest[0] >= '0'+slotCount {
		return -1
	}
	return int(rest[0] - '0')
}

// room is how many characters of a parcel a slot holds, so that all of them and the
// binding's cookie fit into a line of 4 KiB.
func (c *cookieCarrier) room(b Binding) int {
	name := c.name(b)
	own := len(cmp.Or(cookieName(b), name)) + len("=; ") + sessionid.Length
	all := 4<<10 - len("Cookie: \r\n") - own
	return min(maxPiece, all/slotCount-len(hostPrefix)-len(name)-len("-0=; ")-headSize-signatureSize)
}

// bindingCookie returns the cookie that b sets, as far as it is known.
func bindingCookie(b Binding, overTLS bool) http.Cookie {
	switch b := b.(type) {
	case *cookieBinding:
		return b.cookie
	case *gorilla.Binding:
		if c, known := b.Cookie(); known {
			return *c
		}
	}
	return http.Cookie{Secure: overTLS, SameSite: http.SameSiteLaxMode}
}

func (c *cookieCarrier) Put(w http.ResponseWriter, r *http.Request, p Parcel) error {
	if !sessionid.Is(p.ID) {
		return errors.New("pagestate: CookieCarrier: the id of a parcel is malformed")
	}
	s, err := c.open(w, r, "")
	if err != nil {
		return err
	}
	need := max(1, (len(p.Value)+s.room-1)/s.room)
	if need > maxPieces {
		return fmt.Errorf("%w: what is to be carried takes %d characters, and cookies hold %d; %s",
			ErrTooLarge, len(p.Value), maxPieces*s.room, carryLess)
	}
	slot := s.slot
	slot.MaxAge = int(min(int64(slot.MaxAge), max(1, int64(p.Keep/time.Second))))
	whole, rest := parcelKey{p.ID, s.now.Unix(), need}, p.Value
	for number, place := range s.choose(p.ID)[:need] {
		end := min(len(rest), s.room)
		value, err := s.print(piece{whole, number, rest[:end]})
		if err != nil {
			return err
		}
		rest = rest[end:]
		set := slot
		set.Name, set.Value = slot.Name+strconv.Itoa(place), value
		http.SetCookie(w, &set)
	}
	return nil
}

func (c *cookieCarrier) Get(w http.ResponseWriter, r *http.Request, id string) (string, error) {
	if !sessionid.Is(id) {
		return "", nil
	}
	s, err := c.open(w, r, id)
	if err != nil {
		return "", err
	}
	for _, p := range s.held {
		if p == nil {
			continue
		}
		if value, ok := s.join(p.parcelKey); ok {
			return value, nil
		}
	}
	return "", nil
}

// slots are the cookies of one visitor, as a request and its response have them.
type slots struct {
	slot http.Cookie
	room int
	keys *keyring
	now  time.Time
	only string            // the parcel that is asked for, "" for all
	held [slotCount]*piece // nil where there is none, or none that counts
}

// piece is what one slot holds of a parcel.
type piece struct {
	parcelKey
	number int
	text   string
}

// parcelKey is what all pieces of a parcel have in common.
type parcelKey struct {
	id      string
	written int64 // in seconds since 1970
	pieces  int
}

// maxRivals is how many cookies of one name are looked at. A browser sends several
// if other hosts or pages have set them.
const maxRivals = 8

// open reads the cookies that r brought and those that the response sets, of one
// parcel or, without an id, of all.
func (c *cookieCarrier) open(w http.ResponseWriter, r *http.Request, id string) (*slots, error) {
	x, err := exchangeOf(r.Context())
	if err != nil {
		return nil, err
	}
	keys, err := x.visitor.present()
	if err != nil {
		return nil, err
	}
	b := x.m.opt.Session
	s := &slots{slot: c.slot(b, r.TLS != nil), room: c.room(b), keys: keys, now: x.m.now(), only: id}
	var rivals [slotCount]int
	for _, sent := range r.Cookies() {
		i := slotNumber(sent.Name, s.slot.Name)
		if i < 0 || rivals[i] == maxRivals {
			continue
		}
		rivals[i]++
		if p := s.parse(sent.Value); p != nil && (s.held[i] == nil || s.held[i].written < p.written) {
			s.held[i] = p
		}
	}
	for _, line := range w.Header()["Set-Cookie"] {
		set, err := http.ParseSetCookie(line)
		if err != nil {
			continue
		}
		if i := slotNumber(set.Name, s.slot.Name); i >= 0 {
			s.held[i] = s.parse(set.Value)
		}
	}
	return s, nil
}

// print returns the value of a slot: the head of the piece, a signature of the owner,
// and the text.
func (s *slots) print(p piece) (string, error) {
	head := fmt.Sprintf("%0*d%d%d%s", secondsSize, p.written, p.number, p.pieces, p.id)
	signature, err := s.keys.Sign(slotMessage(head, p.text))
	if err != nil {
		return "", err
	}
	return head + base64.RawURLEncoding.EncodeToString(signature) + p.text, nil
}

// slotMessage is what the signature of a slot signs. All heads have one length.
func slotMessage(head, text string) []byte { return []byte("slot " + head + text) }

// parse is the inverse of print. It returns nil for what was not printed for this
// owner, is too old, was printed in the future, or is not of the parcel that is asked
// for.
func (s *slots) parse(value string) *piece {
	if n := len(value) - headSize - signatureSize; n < 0 || n > maxPiece { // before a key is derived for it
		return nil
	}
	head, text := value[:headSize], value[headSize+signatureSize:]
	written, err := strconv.ParseInt(head[:secondsSize], 10, 64)
	if age := s.now.Unix() - written; err != nil || age >= int64(s.slot.MaxAge) || age < -int64(token.MaxSkew/time.Second) {
		return nil
	}
	number, pieces := int(head[secondsSize])-'0', int(head[secondsSize+1])-'0'
	if number < 0 || number >= pieces || pieces > maxPieces {
		return nil
	}
	id := head[secondsSize+2:]
	if s.only != "" && id != s.only { // before its signature is made
		return nil
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(value[headSize : headSize+signatureSize])
	if err != nil || !s.keys.Signed(slotMessage(head, text), signature) {
		return nil
	}
	return &piece{parcelKey{id, written, pieces}, number, text}
}

// join returns the value of a parcel, and false if a piece of it is missing.
func (s *slots) join(k parcelKey) (value string, ok bool) {
	var texts [maxPieces]string
	found := 0
	for _, p := range s.held {
		if p == nil || p.parcelKey != k {
			continue
		}
		texts[p.number] = p.text
		found |= 1 << p.number
	}
	return strings.Join(texts[:], ""), found == 1<<k.pieces-1
}

// choose returns all slots in the order in which they are written: first those that
// hold nothing of use, then those of the oldest parcel. It begins at one that depends
// on the id, so that two tabs which are redirected at one moment seldom meet.
func (s *slots) choose(id string) (order []int) {
	parcels := make(map[parcelKey][]int)
	var oldest []parcelKey
	for i := range slotCount {
		i = (i + int(id[0])) % slotCount
		p := s.held[i]
		if !s.isUsed(p) {
			order = append(order, i)
			continue
		}
		if parcels[p.parcelKey] == nil {
			oldest = append(oldest, p.parcelKey)
		}
		parcels[p.parcelKey] = append(parcels[p.parcelKey], i)
	}
	slices.SortStableFunc(oldest, func(a, b parcelKey) int { return cmp.Compare(a.written, b.written) })
	for _, k := range oldest {
		order = append(order, parcels[k]...)
	}
	return order
}

// isUsed reports whether p is a piece of a parcel that has all others too.
func (s *slots) isUsed(p *piece) bool {
	if p == nil {
		return false
	}
	_, ok := s.join(p.parcelKey)
	return ok
}

// isSlot reports whether m keeps parcels in cookies of that name.
func (m *Middleware) isSlot(name string) bool {
	c, ok := m.opt.Carrier.(*cookieCarrier)
	return ok && c.number(m.opt.Session, name) >= 0
}

// endSlots returns Set-Cookie lines that delete the slots which r brought, and those
// that the lines of its response set.
func (m *Middleware) endSlots(r *http.Request, response []string) (lines []string) {
	var names []string
	for _, c := range r.Cookies() {
		names = append(names, c.Name)
	}
	for _, line := range response {
		name, _, _ := strings.Cut(line, "=")
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if !m.isSlot(name) {
			continue
		}
		end := m.opt.Carrier.(*cookieCarrier).slot(m.opt.Session, r.TLS != nil)
		end.Name, end.MaxAge = name, -1
		end.Secure = end.Secure || strings.HasPrefix(name, hostPrefix)
		lines = append(lines, end.String())
	}
	return lines
}

// NewCarrier returns a carrier that keeps parcels in this process, each for an hour at
// most. Another server does not find them, and a restart forgets them: the page then
// starts fresh.
//
// Together they take at most so many bytes. To make room it forgets the one that was
// put first. A visitor who is redirected often enough can make it forget those of
// others, so choose a number that is out of reach. A parcel that alone takes more is
// an [ErrTooLarge]. It panics if bytes is less than 1.
func NewCarrier(bytes int) Carrier {
	if bytes < 1 {
		panic("pagestate: NewCarrier: a carrier needs room for 1 byte or more")
	}
	return &localCarrier{room: bytes, parcels: make(map[string]*list.Element)}
}

type localCarrier struct {
	room int

	mu      sync.Mutex
	parcels map[string]*list.Element // by id
	order   list.List                // of *localParcel, the oldest in front
	size    int                      // of all
}

type localParcel struct {
	id, value string
	until     time.Time
}

// parcelOverhead is about what a parcel takes beside its texts.
const parcelOverhead = 200

func (p *localParcel) size() int { return len(p.id) + len(p.value) + parcelOverhead }

func (c *localCarrier) Put(_ http.ResponseWriter, _ *http.Request, parcel Parcel) error {
	now := time.Now()
	// The copies hold no larger text that they are parts of.
	p := &localParcel{strings.Clone(parcel.ID), strings.Clone(parcel.Value), now.Add(min(parcel.Keep, carriedFor))}
	if p.size() > c.room {
		return fmt.Errorf("%w: what is to be carried takes %d bytes, and the carrier keeps %d; keep less in the state, or give NewCarrier more",
			ErrTooLarge, p.size(), c.room)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.parcels[p.id]; e != nil {
		c.forget(e)
	}
	for e := c.order.Front(); e != nil && (c.size+p.size() > c.room || ended(e, now)); e = c.order.Front() {
		c.forget(e)
	}
	c.parcels[p.id] = c.order.PushBack(p)
	c.size += p.size()
	return nil
}

func (c *localCarrier) Get(_ http.ResponseWriter, _ *http.Request, id string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.parcels[id]
	if e == nil {
		return "", nil
	}
	if ended(e, time.Now()) {
		c.forget(e)
		return "", nil
	}
	return e.Value.(*localParcel).value, nil
}

func (c *localCarrier) forget(e *list.Element) {
	p := c.order.Remove(e).(*localParcel)
	delete(c.parcels, p.id)
	c.size -= p.size()
}

func ended(e *list.Element, now time.Time) bool { return !now.Before(e.Value.(*localParcel).until) }
