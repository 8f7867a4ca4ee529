package bench_test

// This file tests what does not depend on the machine: how many allocations the
// middleware adds to those of the libraries below it, and how long tokens are.

import (
	"context"
	"crypto/sha256"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/fernet/fernet-go"
	"github.com/pagestate/pagestate"
	"golang.org/x/crypto/hkdf"
)

// allocations of one call of f, when everything is warm.
func allocations(f func()) int { return int(testing.AllocsPerRun(200, f)) }

func fernetAllocations(t *testing.T) int {
	key := key(t)
	return allocations(func() {
		token, err := fernet.EncryptAndSignAtTime([]byte("any"), key, sealedAt)
		if err != nil || fernet.VerifyAndDecrypt(token, 0, []*fernet.Key{key}) == nil {
			t.Error("not opened", err)
		}
	})
}

func keyAllocations(t *testing.T) int {
	extracted, info := hkdf.Extract(sha256.New, secret, nil), keyInfo(owner.Session)
	return allocations(func() {
		if _, err := deriveKey(extracted, info); err != nil {
			t.Error(err)
		}
	})
}

func atMost(t *testing.T, what string, got, most int) {
	t.Helper()
	t.Logf("%s: %d, at most %d", what, got, most)
	if got > most {
		t.Errorf("%s: %d, at most %d", what, got, most)
	}
}

// TestAllocationsOfSealAndOpen counts those of hkdf with an owner's first token
// alone: the key is remembered then.
func TestAllocationsOfSealAndOpen(t *testing.T) {
	m := newMiddleware(t, boundByCookie())
	ofFernet, ofKey := fernetAllocations(t), keyAllocations(t)
	for _, test := range []struct {
		name  string
		state any
		most  int
	}{
		{"small", newSmall(), 8},
		{"medium", newMedium(), 12},
	} {
		sealOpen := func(o pagestate.Owner) {
			token, err := m.Seal(o, test.state)
			if err == nil {
				_, err = m.Open(context.Background(), o, token)
			}
			if err != nil {
				t.Error(err)
			}
		}
		atMost(t, test.name, allocations(func() { sealOpen(owner) })-ofFernet, test.most)
		stranger := []byte(owner.Session)
		got := allocations(func() {
			stranger[rand.N(len(stranger))]++
			sealOpen(pagestate.Owner{Session: string(stranger)})
		})
		atMost(t, test.name+", of a new owner", got-ofFernet-ofKey, test.most+2) // the session, and a copy that is remembered
	}
}

func TestAllocationsOfARequest(t *testing.T) {
	bare := bareExchange()
	ofOthers := allocations(func() { bare.send() })
	ofLibraries := fernetAllocations(t)
	for name, session := range map[string]pagestate.Binding{
		"Cookie":      bindings()[0].session,
		"SessionFunc": bindings()[1].session,
	} {
		x := pagestateExchange(t, session, newSmall(), func(s *small) { s.Count++ })
		atMost(t, name, allocations(func() { x.send() })-ofOthers-ofLibraries, 15)

		x = bareExchange()
		x.handler = newMiddleware(t, session).Handler(x.handler)
		atMost(t, name+", no token", allocations(func() { x.send() })-ofOthers, 3)
	}
}

func TestLengthOfTokens(t *testing.T) {
	change := func(m *medium) { m.Items[0].Done = !m.Items[0].Done }
	token := pagestateExchange(t, boundByCookie(), newMedium(), change).kept
	for _, k := range keepers[medium]() {
		if strings.HasPrefix(k.name, "gorilla") {
			atMost(t, "percent of the cookie of "+k.name, 100*token/k.exchange(t, newMedium(), change).kept, 60)
		}
	}
}

// TestMeasuredRequestsWork keeps the benchmarks from measuring error pages.
func TestMeasuredRequestsWork(t *testing.T) {
	change := func(s *small) { s.Count++ }
	exchanges := map[string]*httpExchange{"bare": bareExchange()}
	for _, k := range keepers[small]() {
		exchanges[k.name] = k.exchange(t, newSmall(), change)
	}
	for _, b := range bindings() {
		exchanges["pagestate-"+b.name] = pagestateExchange(t, b.session, newSmall(), change)
	}
	for name, x := range exchanges {
		if w := x.send(); w.Code != http.StatusOK || w.Body.String() != "changed" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
