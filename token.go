package pagestate

// This file holds the token: the key it is sealed with, the envelope that is
// sealed, and how old it may be. docs/token.md specifies the format. What the
// payload means is in internal/codec, and who the owner is in session.go.

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fernet/fernet-go"
	"github.com/pagestate/pagestate/internal/codec"
	"github.com/tinylib/msgp/msgp"
	"golang.org/x/crypto/hkdf"
)

const (
	// formatLabel keeps keys apart from whatever else the secret is used for.
	// It stays when formatVersion changes, so that a server can tell a token of
	// another format from a forgery.
	formatLabel   = "pagestate token"
	formatVersion = 1

	instanceBytes = 16
	minSecret     = 32
	minDistinct   = 12
	maxSecrets    = 8

	// maxSkew is how far the clocks of two servers may be apart.
	maxSkew = time.Minute

	// A Fernet token is a version, a time, an initialisation vector, at least
	// one block, and a MAC.
	fernetBlock    = 16
	fernetOverhead = 1 + 8 + fernetBlock + sha256.Size
)

// publishedSecrets are printed in docs/token.md and its test vectors.
var publishedSecrets = []string{
	"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f",
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
}

// checkSecret refuses what no random generator would have made.
func checkSecret(secret []byte) error {
	if len(secret) < minSecret {
		return fmt.Errorf("is %d bytes long; make it at least %d from crypto/rand", len(secret), minSecret)
	}
	var seen [256]bool
	distinct := 0
	for _, b := range secret {
		if !seen[b] {
			seen[b] = true
			distinct++
		}
	}
	if distinct < minDistinct {
		return fmt.Errorf("has only %d different bytes; make it from crypto/rand", distinct)
	}
	if slices.Contains(publishedSecrets, string(secret)) {
		return errors.New("is printed in the documentation; make one from crypto/rand")
	}
	return nil
}

// secrets are what keys are derived from. As that takes a while, those of a number of
// owners are remembered, each until another takes its slot. Safe for concurrent use.
type secrets struct {
	extracted  [][]byte // the first seals, all open
	seed       maphash.Seed
	remembered [rememberedKeys]atomic.Pointer[ownerKey]
}

const (
	// rememberedKeys is how many keys are remembered at most. An owner pushes out
	// another one, whom chance has given the same slot.
	rememberedKeys = 1 << 10

	// maxInfo is how many bytes of info an owner has at most whose key is
	// remembered.
	maxInfo = 256
)

// ownerKey is the key that one of the secrets gives an owner. It is only read.
type ownerKey struct {
	secret int // which of them
	info   []byte
	key    fernet.Key
}

func newSecrets(all [][]byte) *secrets {
	s := &secrets{seed: maphash.MakeSeed()}
	for _, secret := range all {
		s.extracted = append(s.extracted, hkdf.Extract(sha256.New, secret, nil))
	}
	return s
}

// slot is where the keys of an owner are remembered.
func (s *secrets) slot(info []byte) *atomic.Pointer[ownerKey] {
	return &s.remembered[maphash.Bytes(s.seed, info)%rememberedKeys]
}

func (s *secrets) derive(i int, info []byte) (*ownerKey, error) {
	k := &ownerKey{secret: i, info: bytes.Clone(info)}
	if _, err := io.ReadFull(hkdf.Expand(sha256.New, s.extracted[i], k.info), k.key[:]); err != nil {
		return nil, fmt.Errorf("pagestate: deriving a key: %w", err)
	}
	return k, nil
}

// Kinds of users, in what a key is derived from.
const (
	noUserFunction byte = iota
	anonymousUser
	namedUser
)

// keyring has the keys of one owner, each from when it is first needed. It is safe
// for use by one goroutine at a time.
type keyring struct {
	m     *Middleware
	owner Owner
	slot  *atomic.Pointer[ownerKey] // nil until the first key was needed
	keys  []*ownerKey               // as far as they were needed

	room [1]*ownerKey // for keys: most owners need no more
}

func (m *Middleware) newKeyring(o Owner) *keyring {
	if m.unbound {
		o.Session = ""
	}
	k := &keyring{m: m, owner: o}
	k.keys = k.room[:0]
	return k
}

// appendInfo appends what the keys are derived from. An owner without a name is
// anonymous where the application tells users apart.
func (k *keyring) appendInfo(b []byte) []byte {
	opt := &k.m.opt
	user := noUserFunction
	switch {
	case k.owner.User != "":
		user = namedUser
	case opt.User != nil:
		user = anonymousUser
	}
	return appendKeyInfo(b, opt.Purpose, bindingKind(opt.Session), k.owner.Session, user, k.owner.User)
}

// appendKeyInfo writes each part with its length in front, so that no two lists
// of parts give the same bytes.
func appendKeyInfo(info []byte, purpose string, binding byte, session string, kind byte, user string) []byte {
	for _, part := range []string{formatLabel, purpose, string([]byte{binding}), session, string([]byte{kind}), user} {
		info = binary.BigEndian.AppendUint32(info, uint32(len(part)))
		info = append(info, part...)
	}
	return info
}

// key returns the key that the secret at place i gives: at most one more than was
// asked for before.
func (k *keyring) key(i int) (*fernet.Key, error) {
	if i == len(k.keys) {
		found, err := k.find(i)
		if err != nil {
			return nil, err
		}
		k.keys = append(k.keys, found)
	}
	return &k.keys[i].key, nil
}

func (k *keyring) find(i int) (*ownerKey, error) {
	var room [128]byte
	info := k.appendInfo(room[:0])
	k.slot = k.m.secrets.slot(info)
	if known := k.slot.Load(); known != nil && known.secret == i && bytes.Equal(known.info, info) {
		return known, nil
	}
	return k.m.secrets.derive(i, info)
}

// remember is called when a key has opened or sealed a token: who has none of their
// own leaves nothing behind.
func (k *keyring) remember(i int) {
	if used := k.keys[i]; len(used.info) <= maxInfo && k.slot.Load() != used {
		k.slot.Store(used)
	}
}

// encrypt seals with the current secret.
func (k *keyring) encrypt(plain []byte, now time.Time) (string, error) {
	key, err := k.key(0)
	if err != nil {
		return "", err
	}
	token, err := fernet.EncryptAndSignAtTime(plain, key, now)
	if err != nil {
		return "", fmt.Errorf("pagestate: sealing: %w", err)
	}
	k.remember(0)
	return string(token), nil
}

// decrypt tries all secrets on a token of canonical form. The lifetime is 0
// because fernet-go would read the clock itself; checkAge does what it leaves
// out.
func (k *keyring) decrypt(token string) (plain []byte, err error) {
	text := []byte(token)
	for i := range k.m.secrets.extracted {
		key, err := k.key(i)
		if err != nil {
			return nil, err
		}
		plain := fernet.VerifyAndDecrypt(text, 0, []*fernet.Key{key})
		if plain == nil {
			continue
		}
		k.remember(i)
		// fernet-go takes any number of equal bytes for padding, and none.
		if blocks := (binarySize(token) - fernetOverhead) / fernetBlock; len(plain)/fernetBlock != blocks-1 {
			return nil, fmt.Errorf("%w: its padding is malformed", ErrInvalid)
		}
		return plain, nil
	}
	return nil, fmt.Errorf("%w: it does not authenticate for this session, user and purpose", ErrInvalid)
}

// checkForm accepts what Fernet writes and nothing else: base64url with
// padding, of a length that blocks give. fernet-go ignores what is wrong with
// the first, and panics over the second.
func checkForm(token string) error {
	size := binarySize(token)
	if len(token)%4 != 0 || size < fernetOverhead+fernetBlock || (size-fernetOverhead)%fernetBlock != 0 {
		return fmt.Errorf("%w: it has not the length of a token", ErrInvalid)
	}
	body := token[:len(token)-padding(token)]
	if !isBase64(body) {
		return fmt.Errorf("%w: it is not base64url", ErrInvalid)
	}
	// The last character holds bits that stand for nothing and must be 0: two
	// bits if one padding character follows, four if two do.
	unused := byte(1)<<(2*padding(token)) - 1
	if base64Values[body[len(body)-1]]&unused != 0 {
		return fmt.Errorf("%w: it is not canonical base64url", ErrInvalid)
	}
	return nil
}

// tokenSize is the length of the token that holds so many bytes.
func tokenSize(plain int) int {
	return base64.URLEncoding.EncodedLen(fernetOverhead + plain/fernetBlock*fernetBlock + fernetBlock)
}

func binarySize(token string) int {
	return base64.URLEncoding.DecodedLen(len(token)) - padding(token)
}

// padding is how many padding characters a token ends in, at most two.
func padding(token string) int {
	n := 0
	for n < 2 && n < len(token) && token[len(token)-1-n] == '=' {
		n++
	}
	return n
}

// isBase64 tells whether s has characters of base64url alone. It takes eight at
// a time, since a token may be long, and whoever sends one need not have a key.
func isBase64(s string) bool {
	values := &base64Values
	var all byte
	for ; len(s) >= 8; s = s[8:] {
		all |= values[s[0]] | values[s[1]] | values[s[2]] | values[s[3]] |
			values[s[4]] | values[s[5]] | values[s[6]] | values[s[7]]
	}
	for i := range len(s) {
		all |= values[s[i]]
	}
	return all&noBase64 == 0
}

// base64Values are the values of the characters of base64url. Those of all other
// bytes have the bit noBase64.
var base64Values = func() (values [256]byte) {
	for c := range values {
		values[c] = noBase64
	}
	for value, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		values[c] = byte(value)
	}
	return values
}()

const noBase64 = 0x80

// envelope is what a token holds.
type envelope struct {
	firstSealed time.Time  // to the second
	lastSealed  time.Time  // to the second; it stands in the Fernet token around
	component   *component // nil if it is not registered here
	version     uint64
	key         string     // of a child, within its parent; "" for what is no child
	parent      instanceID // of a child's parent
	instance    instanceID
	revision    uint64 // how often the instance has been sealed
	data        []byte // shapes and payload, see internal/codec; as they came until resume
}

// instanceID is the identity of one component on one page.
type instanceID [instanceBytes]byte

func newInstanceID() (id instanceID) {
	rand.Read(id[:]) // never fails, see crypto/rand
	return id
}

// headRoom is more than the head takes.
func (e *envelope) headRoom() int { return 64 + len(e.component.name) + len(e.key) + 2*instanceBytes }

// appendHead writes all but the data, which follows it to the end.
func (e *envelope) appendHead(b []byte) []byte {
	b = append(b, formatVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(e.firstSealed.Unix()))
	b = msgp.AppendString(b, e.component.name)
	b = msgp.AppendUint64(b, e.version)
	b = msgp.AppendString(b, e.key)
	var parent []byte
	if e.key != "" {
		parent = e.parent[:]
	}
	b = msgp.AppendBytes(b, parent)
	b = msgp.AppendBytes(b, e.instance[:])
	return msgp.AppendUint64(b, e.revision)
}

// parseEnvelope reads what was decrypted from token.
func (m *Middleware) parseEnvelope(token string, plain []byte) (e envelope, err error) {
	if len(plain) < 9 {
		return e, fmt.Errorf("%w: its content is cut short", ErrInvalid)
	}
	if plain[0] != formatVersion {
		return e, fmt.Errorf("%w: it has format version %d, this release reads %d", ErrOutdated, plain[0], formatVersion)
	}
	r := codec.NewReader(plain[9:])
	e = envelope{
		firstSealed: unix(binary.BigEndian.Uint64(plain[1:])),
		lastSealed:  sealedAt(token),
		component:   m.registry.named(r.String()),
		version:     r.Uint(),
		key:         string(r.String()),
	}
	parent, instance := r.Bytes(), r.Bytes()
	e.revision = r.Uint()
	if e.data, err = r.Rest(); err != nil || !e.setIdentity(parent, instance) {
		return e, fmt.Errorf("%w: its envelope is malformed", ErrInvalid)
	}
	return e, nil
}

// setIdentity takes the ids, and tells whether the identity is one that a seal
// gives.
func (e *envelope) setIdentity(parent, instance []byte) bool {
	copy(e.parent[:], parent)
	copy(e.instance[:], instance)
	isChild := len(parent) == instanceBytes && e.key != ""
	isNone := len(parent) == 0 && e.key == ""
	return len(instance) == instanceBytes && (isChild || isNone) && e.revision > 0 && e.revision < math.MaxUint64
}

// sealedAt is the time in a token of canonical form.
func sealedAt(token string) time.Time {
	var head [9]byte // the version and the time
	if _, err := base64.URLEncoding.Decode(head[:], []byte(token[:12])); err != nil {
		return time.Time{} // checkForm was not asked; no age limit allows for it
	}
	return unix(binary.BigEndian.Uint64(head[1:]))
}

// unix turns a time from a token into one that can be compared. What is beyond
// the year 9999 is far enough in the future not to be told apart.
func unix(seconds uint64) time.Time {
	const end = 253402300800
	return time.Unix(int64(min(seconds, end)), 0)
}

// checkAge compares whole seconds, as a token has no others.
func (m *Middleware) checkAge(e *envelope, now time.Time) error {
	switch {
	case e.lastSealed.Sub(now) > maxSkew || e.firstSealed.After(e.lastSealed):
		return fmt.Errorf("%w: it was sealed in the future", ErrInvalid)
	case now.Sub(e.lastSealed) > m.opt.MaxAge:
		return fmt.Errorf("%w: it was last sealed more than %v ago", ErrExpired, m.opt.MaxAge)
	case m.opt.MaxLifetime > 0 && now.Sub(e.firstSealed) > m.opt.MaxLifetime:
		return fmt.Errorf("%w: it was first sealed more than %v ago", ErrExpired, m.opt.MaxLifetime)
	case e.firstSealed.Before(m.opt.NotBefore):
		return fmt.Errorf("%w: it was first sealed before the cut-off", ErrExpired)
	}
	return nil
}

// now is the time to the second.
func (m *Middleware) now() time.Time { return time.Unix(m.opt.Clock().Unix(), 0) }
