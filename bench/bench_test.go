// Package bench_test measures pagestate beside what a user would take instead:
//
//	go test -run '^$' -bench . ./bench
//
// Names of benchmarks are configurations as benchstat reads them: the same state
// stands in one row, and the implementations beside each other. The program in
// bench/report runs them in turns and writes the tables of docs/performance.md.
//
// No benchmark fails for being slow. What does not depend on the machine, sizes
// and allocations, has limits in sizes_test.go, which is a test.
//
// The soak, which puts load on servers for minutes, is in bench/soak.
package bench_test

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/fernet/fernet-go"
	"github.com/pagestate/pagestate"
	"golang.org/x/crypto/hkdf"
)

var (
	secret = []byte("only for benchmarks: 0123456789 abcdefghij")
	owner  = pagestate.Owner{Session: "QWERTZUIOPASDFGHJKLYXCVBNM"}
)

// newMiddleware opens tokens of up to 8 MiB, and sends them in the header.
func newMiddleware(tb testing.TB, session pagestate.Binding, opts ...pagestate.ComponentOption) *pagestate.Middleware {
	tb.Helper()
	m, err := pagestate.New(newRegistry(opts...), pagestate.Options{
		Secrets:        [][]byte{secret},
		Session:        session,
		MaxTokenBytes:  8 << 20,
		MaxHeaderBytes: 8 << 20,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// boundByCookie is the binding whose tokens belong to owner.
func boundByCookie() pagestate.Binding { return pagestate.Cookie(http.Cookie{Name: "session"}) }

func seal(tb testing.TB, m *pagestate.Middleware, state any) string {
	tb.Helper()
	token, err := m.Seal(owner, state)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// key derives the key of owner's tokens, as docs/token.md says.
func key(tb testing.TB) *fernet.Key {
	tb.Helper()
	key, err := deriveKey(hkdf.Extract(sha256.New, secret, nil), keyInfo(owner.Session))
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func deriveKey(extracted, info []byte) (*fernet.Key, error) {
	key := new(fernet.Key)
	_, err := io.ReadFull(hkdf.Expand(sha256.New, extracted, info), key[:])
	return key, err
}

func keyInfo(session string) []byte {
	var info []byte
	for _, part := range []string{"pagestate token", "", "\x01", session, "\x00", ""} {
		info = binary.BigEndian.AppendUint32(info, uint32(len(part)))
		info = append(info, part...)
	}
	return info
}

// plain returns what stands in a token of owner.
func plain(tb testing.TB, token string) []byte {
	tb.Helper()
	b := fernet.VerifyAndDecrypt([]byte(token), 0, []*fernet.Key{key(tb)})
	if b == nil {
		tb.Fatal("the token does not open as docs/token.md says")
	}
	return b
}

var sealedAt = time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)

// BenchmarkWarmUp is the first of those that are chosen together with it, and is
// not about anything: whatever runs first in a process pays for memory that the
// next ones find ready.
func BenchmarkWarmUp(b *testing.B) {
	m, state := newMiddleware(b, boundByCookie()), newMedium()
	for b.Loop() {
		seal(b, m, state)
	}
}
