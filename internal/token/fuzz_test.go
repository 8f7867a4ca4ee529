package token_test

// Whatever a browser, or a holder of the secret, can send.

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"github.com/pagestate/pagestate"
)

// FuzzOpen is given what a holder of the secret can seal.
func FuzzOpen(f *testing.F) {
	m := tokenNewApp(f)
	key := m.key
	for _, v := range tokenVectors() {
		f.Add(tokenPlain(f, m, tokenSeal(f, m, v.value)))
	}
	for _, v := range tokenReadVectors(f) {
		f.Add(v.plain())
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		state, err := m.Open(context.Background(), tokenOwner, tokenOf(key, plain))
		if err != nil {
			return
		}
		token, err := m.Seal(tokenOwner, state)
		if err != nil {
			t.Fatalf("a state that was opened cannot be sealed: %v\n%.200s", err, fmt.Sprintf("%+v", state))
		}
		if err := tokenOpens(m, token); err != nil {
			t.Fatalf("a token that was sealed cannot be opened: %v\n%.200s", err, fmt.Sprintf("%+v", state))
		}
	})
}

// FuzzToken is given what a browser can send. Its secret is fixed, and so is
// the token, because a fuzz target runs in several processes.
func FuzzToken(f *testing.F) {
	secret := sha256.Sum256([]byte("a secret for one test"))
	m := tokenAppOf(f, secret[:], tokenNow, func(*pagestate.Options) {})
	var good []string
	for _, v := range tokenReadVectors(f) {
		good = append(good, tokenOf(m.key, v.plain()))
		f.Add(good[len(good)-1])
	}
	f.Fuzz(func(t *testing.T, token string) {
		if tokenOpens(m, token) == nil && !slices.Contains(good, token) {
			t.Fatalf("a token of %d characters opens: %.100q", len(token), token)
		}
	})
}
