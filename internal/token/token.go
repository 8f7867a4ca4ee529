// Package token is the format of a token: which key seals it, what it looks
// like, what is sealed, and how old it may be. docs/token.md specifies it. The
// package knows nothing of HTTP, and of no component more than its name.
//
// A token is opened by [CheckForm], [Keyring.Open], [ParseEnvelope] and
// [Ages.Check], in this order, and sealed by [Envelope.Head] and [Keyring.Seal].
//
//	secrets.go   which secrets are good, the keys they give an owner, Seal and Open
//	form.go      how a token is spelled, and how long it is
//	envelope.go  what is sealed: the times, the identity, and the data
//	age.go       how old it may be
//	sign.go      signatures of what is kept elsewhere for an owner
//	token.go     the errors
//
// The tests compare all of it with testdata/vectors.json, a list of tokens that
// were sealed once; vectors_test.go makes that list. testdata/open.py is another
// implementation.
package token

import "errors"

// The errors that say why a token is refused. Package pagestate exports them
// again, and says there what they mean to a client.
var (
	ErrInvalid  = errors.New("pagestate: the state is not valid here")
	ErrExpired  = errors.New("pagestate: the state has expired")
	ErrOutdated = errors.New("pagestate: the state was sealed by another version of the component")
)
