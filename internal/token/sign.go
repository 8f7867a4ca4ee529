package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"

	"golang.org/x/crypto/hkdf"
)

// SignatureSize is the length of a signature in bytes.
const SignatureSize = 16

// signLabel keeps the keys of signatures apart from those of tokens.
const signLabel = "pagestate signature"

// Sign returns a signature of message for the owner, made with the first secret.
// A message must say what it is for, so that it does not stand for one of another
// use.
func (k *Keyring) Sign(message []byte) ([]byte, error) { return k.sign(0, message) }

// Signed reports whether signature is what Sign returned for message and the
// owner, with any of the secrets.
func (k *Keyring) Signed(message, signature []byte) bool {
	for secret := range k.secrets.extracted {
		if want, err := k.sign(secret, message); err == nil && hmac.Equal(want, signature) {
			return true
		}
	}
	return false
}

// nameLabel keeps names of owners apart from what keys are derived from.
const nameLabel = "pagestate owner"

// Name returns what stands for an owner, whatever the secrets are. The session, which
// is random, cannot be found out from it.
func (o *Owner) Name() [sha256.Size]byte { return sha256.Sum256(o.appendInfo(nil, nameLabel)) }

// sign derives its key each time. Few requests need one, and those that seal and
// open tokens are not to lose theirs to it.
func (k *Keyring) sign(secret int, message []byte) ([]byte, error) {
	var key [sha256.Size]byte
	info := k.owner.appendInfo(nil, signLabel)
	if _, err := io.ReadFull(hkdf.Expand(sha256.New, k.secrets.extracted[secret], info), key[:]); err != nil {
		return nil, fmt.Errorf("pagestate: deriving a key: %w", err)
	}
	mac := hmac.New(sha256.New, key[:])
	mac.Write(message)
	return mac.Sum(nil)[:SignatureSize], nil
}
