package bench_test

// This file measures a token without a request: state to token and back. What
// it is measured against is fernet-go on the very bytes that the token holds,
// and the floor, which is what the processor needs for the same with nothing
// allocated.

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"reflect"
	"testing"

	"github.com/fernet/fernet-go"
	"github.com/pagestate/pagestate"
	"golang.org/x/crypto/hkdf"
)

func sealedStates() []struct {
	name  string
	state any
} {
	return []struct {
		name  string
		state any
	}{
		{"small", newSmall()},
		{"medium", newMedium()},
		{"large", newLarge(largeRows)},
		{"references", newReferences(pageRows)},
	}
}

func BenchmarkSealOpen(b *testing.B) {
	m := newMiddleware(b, boundByCookie())
	compressed := newMiddleware(b, boundByCookie(), pagestate.Compressed())
	for _, s := range sealedStates() {
		content := plain(b, seal(b, m, s.state))
		b.Run("state="+s.name+"/impl=pagestate", sealOpen(m, s.state))
		b.Run("state="+s.name+"/impl=pagestate-Reseal", reseal(m, s.state))
		b.Run("state="+s.name+"/impl=pagestate-Compressed", sealOpen(compressed, s.state))
		b.Run("state="+s.name+"/impl=fernet-go", fernetSealOpen(content))
		b.Run("state="+s.name+"/impl=floor", floorSealOpen(content))
	}
}

func sealOpen(m *pagestate.Middleware, state any) func(b *testing.B) {
	return func(b *testing.B) {
		checkSealOpen(b, m, state)
		b.ReportAllocs()
		for b.Loop() {
			token, err := m.Seal(owner, state)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := m.Open(b.Context(), owner, token); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(seal(b, m, state))), "kept-B")
	}
}

// reseal opens a token and seals its state, as a request does.
func reseal(m *pagestate.Middleware, state any) func(b *testing.B) {
	return func(b *testing.B) {
		token := seal(b, m, state)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := m.Reseal(b.Context(), owner, token, state); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func checkSealOpen(tb testing.TB, m *pagestate.Middleware, state any) {
	tb.Helper()
	opened, err := m.Open(tb.Context(), owner, seal(tb, m, state))
	if err != nil {
		tb.Fatal(err)
	}
	if !reflect.DeepEqual(opened, state) {
		tb.Fatal("another state was opened than was sealed")
	}
}

func fernetSealOpen(content []byte) func(b *testing.B) {
	return func(b *testing.B) {
		keys := []*fernet.Key{key(b)}
		b.ReportAllocs()
		for b.Loop() {
			token, err := fernet.EncryptAndSignAtTime(content, keys[0], sealedAt)
			if err != nil {
				b.Fatal(err)
			}
			if fernet.VerifyAndDecrypt(token, 0, keys) == nil {
				b.Fatal("not opened")
			}
		}
	}
}

// BenchmarkKey is what a key costs, which is derived for an owner who was not here
// lately.
func BenchmarkKey(b *testing.B) {
	b.Run("impl=hkdf", func(b *testing.B) {
		extracted, info := hkdf.Extract(sha256.New, secret, nil), keyInfo(owner.Session)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := deriveKey(extracted, info); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// floor is AES-CBC, HMAC-SHA-256 and base64 in both directions, in memory that
// is there already, with a cipher and a MAC that are ready.
type floor struct {
	encrypt, decrypt cipher.BlockMode
	mac              hash.Hash
	content          []byte // padded
	token, back      []byte
	text             []byte
	sum              [sha256.Size]byte
}

func newFloor(key *fernet.Key, content []byte) (*floor, error) {
	block, err := aes.NewCipher(key[16:])
	if err != nil {
		return nil, err
	}
	iv := make([]byte, aes.BlockSize)
	f := &floor{
		encrypt: cipher.NewCBCEncrypter(block, iv),
		decrypt: cipher.NewCBCDecrypter(block, iv),
		mac:     hmac.New(sha256.New, key[:16]),
		content: make([]byte, len(content)/aes.BlockSize*aes.BlockSize+aes.BlockSize),
	}
	copy(f.content, content)
	const head = 1 + 8 + aes.BlockSize
	f.token = make([]byte, head+len(f.content)+sha256.Size)
	f.back = make([]byte, len(f.token))
	f.text = make([]byte, base64.URLEncoding.EncodedLen(len(f.token)))
	return f, nil
}

// run seals and opens once.
func (f *floor) run() error {
	const head = 1 + 8 + aes.BlockSize
	end := head + len(f.content)
	f.encrypt.CryptBlocks(f.token[head:end], f.content)
	f.sign(f.token[:end])
	copy(f.token[end:], f.sum[:])
	base64.URLEncoding.Encode(f.text, f.token)

	if _, err := base64.URLEncoding.Decode(f.back, f.text); err != nil {
		return err
	}
	f.sign(f.back[:end])
	if !hmac.Equal(f.sum[:], f.back[end:]) {
		return fmt.Errorf("not authentic")
	}
	f.decrypt.CryptBlocks(f.back[head:end], f.back[head:end])
	return nil
}

func (f *floor) sign(b []byte) {
	f.mac.Reset()
	f.mac.Write(b)
	f.mac.Sum(f.sum[:0])
}

func floorSealOpen(content []byte) func(b *testing.B) {
	return func(b *testing.B) {
		f, err := newFloor(key(b), content)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if err := f.run(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkGrowth is what a byte of state costs, in token and back.
func BenchmarkGrowth(b *testing.B) {
	m := newMiddleware(b, boundByCookie())
	for _, size := range []int{1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20} {
		state := newLarge(rowsOf(b, m, size))
		content := plain(b, seal(b, m, state))
		for _, impl := range []struct {
			name string
			run  func(*testing.B)
		}{
			{"pagestate", sealOpen(m, state)},
			{"fernet-go", fernetSealOpen(content)},
		} {
			b.Run(fmt.Sprintf("KB=%d/impl=%s", size>>10, impl.name), func(b *testing.B) {
				impl.run(b)
				perByte := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / float64(len(content))
				b.ReportMetric(perByte, "ns/B")
			})
		}
	}
}

// rowsOf is how many rows make a state of about so many bytes.
func rowsOf(tb testing.TB, m *pagestate.Middleware, size int) int {
	const sample = 1000
	return max(1, size*sample/len(plain(tb, seal(tb, m, newLarge(sample)))))
}

// BenchmarkThroughput is run with -cpu 1,2, to see what a second goroutine adds.
func BenchmarkThroughput(b *testing.B) {
	m := newMiddleware(b, boundByCookie())
	state := newMedium()
	content := plain(b, seal(b, m, state))
	b.Run("impl=pagestate", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				token, err := m.Seal(owner, state)
				if err == nil {
					_, err = m.Open(b.Context(), owner, token)
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("impl=fernet-go", func(b *testing.B) {
		keys := []*fernet.Key{key(b)}
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				token, err := fernet.EncryptAndSignAtTime(content, keys[0], sealedAt)
				if err != nil || fernet.VerifyAndDecrypt(token, 0, keys) == nil {
					b.Error(err)
				}
			}
		})
	})
}
