package pagestate

import (
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/internal/token"
)

// FuzzParcel has the secret, and signs what no server would.
func FuzzParcel(f *testing.F) {
	const id = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	m, err := New(NewRegistry(), Options{
		Secrets: [][]byte{testkit.NewSecret()},
		Session: Cookie(http.Cookie{Name: "binding"}),
	})
	if err != nil {
		f.Fatal(err)
	}
	keys := m.keyring(m.secrets.Load(), Owner{Session: id})
	whole := parcel{acted: 1, anew: true, tokens: []string{"AAAA", "BBBB"}}
	text, err := whole.print(&keys, id)
	if err != nil {
		f.Fatal(err)
	}
	good, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		f.Fatal(err)
	}
	good = good[:len(good)-token.SignatureSize]
	f.Add(good)
	f.Add([]byte{})
	f.Add(append(good[:len(good):len(good)], 0))
	f.Fuzz(func(t *testing.T, content []byte) {
		signature, err := keys.Sign(parcelMessage(id, content))
		if err != nil {
			t.Fatal(err)
		}
		p, err := parseParcel(&keys, id, base64.RawURLEncoding.EncodeToString(append(content[:len(content):len(content)], signature...)))
		if err != nil {
			return
		}
		if p.acted < -1 || p.acted >= len(p.tokens) || len(p.tokens) > len(content) {
			t.Errorf("acted: %d of %d tokens, in %d bytes", p.acted, len(p.tokens), len(content))
		}
		(&arrival{parcel: p}).replaces([]string{"a token"})
	})
}
