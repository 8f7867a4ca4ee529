package token

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fernet/fernet-go"
	"golang.org/x/crypto/hkdf"
)

// MaxSecrets is how many secrets there may be: each is tried on a forged token.
const MaxSecrets = 8

const (
	minSecret   = 32
	minDistinct = 12
)

// publishedSecrets are printed in docs/token.md and its test vectors.
var publishedSecrets = []string{
	"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f",
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
}

// CheckSecret returns an error for what no random generator would have made. Its
// text continues a sentence that begins with the name of the secret.
func CheckSecret(secret []byte) error {
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

// An Owner is what a key is derived from, besides the secret. A token opens for
// the owner it was sealed for and for no other.
type Owner struct {
	Purpose  string
	Session  string
	User     string
	Binding  BindingKind
	UserKind UserKind
}

// BindingKind says who chose the name of the session, so that a name which an
// application chose never stands for one that a binding made.
type BindingKind byte

const (
	Unbound     BindingKind = 0 // there is no session
	Bound       BindingKind = 1 // a binding made the name
	BoundByFunc BindingKind = 2 // the application chose it
)

// UserKind says what an empty name of a user means.
type UserKind byte

const (
	NoUserFunc UserKind = 0 // the application does not tell users apart
	Anonymous  UserKind = 1 // nobody is logged in
	Named      UserKind = 2 // the name is not empty
)

// keyLabel keeps keys apart from whatever else the secret is used for. It stays
// when formatVersion changes, so that a server knows a token of another
// format from a forgery.
const keyLabel = "pagestate token"

// appendInfo appends what a key is derived from. Each part has its length in
// front, so that no two owners or uses give the same bytes.
func (o *Owner) appendInfo(b []byte, label string) []byte {
	for _, part := range []string{label, o.Purpose, string([]byte{byte(o.Binding)}), o.Session, string([]byte{byte(o.UserKind)}), o.User} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return b
}

// Secrets are what keys are derived from. To derive a key takes some
// microseconds, so the keys that were used lately are remembered. Secrets are
// safe for concurrent use.
type Secrets struct {
	extracted  [][]byte // the first seals, all open
	seed       maphash.Seed
	remembered [rememberedKeys]atomic.Pointer[ownerKey]
}

const (
	// rememberedKeys is how many keys are remembered at most. The hash of an owner
	// chooses one of so many slots, and each slot holds the key that was used last.
	rememberedKeys = 1 << 10

	// maxInfo is the length, in bytes, of the longest info whose key is remembered.
	// Together with rememberedKeys it limits the memory that owners can take, since
	// the names of sessions and users may be long.
	maxInfo = 256
)

// ownerKey is the key that one secret gives one owner. It does not change.
type ownerKey struct {
	secret int    // its place in Secrets.extracted
	info   []byte // of the owner
	key    fernet.Key
}

// NewSecrets returns secrets of which the first seals and all open. CheckSecret
// has accepted each, and there are at most MaxSecrets.
func NewSecrets(all [][]byte) *Secrets {
	s := &Secrets{seed: maphash.MakeSeed()}
	for _, secret := range all {
		s.extracted = append(s.extracted, hkdf.Extract(sha256.New, secret, nil))
	}
	return s
}

// key returns the key that a secret gives an owner.
func (s *Secrets) key(secret int, o *Owner) (*ownerKey, error) {
	var room [128]byte
	info := o.appendInfo(room[:0], keyLabel)
	if k := s.slot(info).Load(); k != nil && k.secret == secret && bytes.Equal(k.info, info) {
		return k, nil
	}
	return s.derive(secret, info)
}

func (s *Secrets) derive(secret int, info []byte) (*ownerKey, error) {
	k := &ownerKey{secret: secret, info: bytes.Clone(info)}
	if _, err := io.ReadFull(hkdf.Expand(sha256.New, s.extracted[secret], k.info), k.key[:]); err != nil {
		return nil, fmt.Errorf("pagestate: deriving a key: %w", err)
	}
	return k, nil
}

// remember keeps a key for later requests of its owner. It is called only after
// the key has sealed or opened a token: a forged token, which no key opens, must
// not push out the key of a real owner.
func (s *Secrets) remember(k *ownerKey) {
	if len(k.info) > maxInfo {
		return
	}
	if slot := s.slot(k.info); slot.Load() != k {
		slot.Store(k)
	}
}

// slot is where the key of an owner is remembered.
func (s *Secrets) slot(info []byte) *atomic.Pointer[ownerKey] {
	return &s.remembered[maphash.Bytes(s.seed, info)%rememberedKeys]
}

// A Keyring seals and opens the tokens of one owner. It gets each key when it
// is first needed. It is safe for use by one goroutine at a time.
type Keyring struct {
	secrets *Secrets
	owner   Owner
	keys    [MaxSecrets]*ownerKey // nil until needed
}

// Keyring returns the keys of an owner. It derives none yet.
func (s *Secrets) Keyring(o Owner) Keyring { return Keyring{secrets: s, owner: o} }

// IsOf reports whether the keys are those that s gives the owner.
func (k *Keyring) IsOf(s *Secrets) bool { return k.secrets == s }

// Owner returns whose keys they are.
func (k *Keyring) Owner() Owner { return k.owner }

// key returns the key that a secret gives the owner.
func (k *Keyring) key(secret int) (*ownerKey, error) {
	if k.keys[secret] == nil {
		found, err := k.secrets.key(secret, &k.owner)
		if err != nil {
			return nil, err
		}
		k.keys[secret] = found
	}
	return k.keys[secret], nil
}

// Seal returns a token that holds plain, sealed at now with the first secret.
func (k *Keyring) Seal(plain []byte, now time.Time) (string, error) {
	key, err := k.key(0)
	if err != nil {
		return "", err
	}
	token, err := fernet.EncryptAndSignAtTime(plain, &key.key, now)
	if err != nil {
		return "", fmt.Errorf("pagestate: sealing: %w", err)
	}
	k.secrets.remember(key)
	return string(token), nil
}

// Open returns what a token holds that CheckForm has accepted. It tries all
// secrets. ErrInvalid means that none of them sealed it for this owner.
func (k *Keyring) Open(token string) (plain []byte, err error) {
	text := []byte(token)
	for secret := range k.secrets.extracted {
		key, err := k.key(secret)
		if err != nil {
			return nil, err
		}
		// The lifetime is 0, because fernet-go would read the clock itself.
		// Ages.Check does what it leaves out.
		plain := fernet.VerifyAndDecrypt(text, 0, []*fernet.Key{&key.key})
		if plain == nil {
			continue
		}
		k.secrets.remember(key)
		// fernet-go takes any number of equal bytes for padding, and none.
		if len(token) != Size(len(plain)) {
			return nil, fmt.Errorf("%w: its padding is malformed", ErrInvalid)
		}
		return plain, nil
	}
	return nil, fmt.Errorf("%w: none of the secrets opens it for this session, user and purpose", ErrInvalid)
}
