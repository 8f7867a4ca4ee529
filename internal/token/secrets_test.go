package token

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
)

func randomSecret() []byte { return []byte(rand.Text() + rand.Text()) }

func keyringOf(s *Secrets, o Owner) *Keyring {
	k := s.Keyring(o)
	return &k
}

func mustSeal(t *testing.T, s *Secrets, o Owner) string {
	t.Helper()
	token, err := keyringOf(s, o).Seal([]byte("plain"), time.Unix(1770000000, 0))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func open(s *Secrets, o Owner, token string) error {
	if err := CheckForm(token); err != nil {
		return err
	}
	_, err := keyringOf(s, o).Open(token)
	return err
}

// known returns how many keys are remembered.
func (s *Secrets) known() (n int) {
	for i := range s.remembered {
		if s.remembered[i].Load() != nil {
			n++
		}
	}
	return n
}

// TestWhoseKeysAreRemembered: of those who sealed or opened a token, and of
// nobody who only tried.
func TestWhoseKeysAreRemembered(t *testing.T) {
	secret := randomSecret()
	elsewhere := NewSecrets([][]byte{secret})
	owner := Owner{Session: "s"}
	token := mustSeal(t, elsewhere, owner)
	rest := len(Owner{}.Info()) // what is not the session
	long := Owner{Session: strings.Repeat("s", 256-rest)}
	longer := Owner{Session: long.Session + "s"}
	opens := func(o Owner, token string, want error) func(*Secrets) {
		return func(s *Secrets) {
			if err := open(s, o, token); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
	}
	for name, c := range map[string]struct {
		do   func(*Secrets)
		want int
	}{
		"nobody yet":        {func(*Secrets) {}, 0},
		"who only asks":     {func(s *Secrets) { s.Keyring(owner) }, 0},
		"who seals":         {func(s *Secrets) { mustSeal(t, s, owner) }, 1},
		"who opens":         {opens(owner, token, nil), 1},
		"who tries another": {opens(Owner{Session: "stranger"}, token, ErrInvalid), 0},
		"who tries nothing": {opens(owner, token[:len(token)-4], ErrInvalid), 0},
		"a long one":        {opens(long, mustSeal(t, elsewhere, long), nil), 1},
		"a longer one":      {opens(longer, mustSeal(t, elsewhere, longer), nil), 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewSecrets([][]byte{secret})
			for range 3 {
				c.do(s)
			}
			if got := s.known(); got != c.want {
				t.Errorf("%d keys are remembered, want %d", got, c.want)
			}
		})
	}
}

// TestRememberedKeysAreUsed: of each secret, as long as no other owner comes.
func TestRememberedKeysAreUsed(t *testing.T) {
	older, newer := randomSecret(), randomSecret()
	owner := Owner{Session: "s"}
	token := mustSeal(t, NewSecrets([][]byte{older}), owner)
	s := NewSecrets([][]byte{newer, older})
	for secret, do := range []func(){
		func() { mustSeal(t, s, owner) },
		func() {
			if err := open(s, owner, token); err != nil {
				t.Error(err)
			}
		},
	} {
		do()
		for range 2 {
			got, err := keyringOf(s, owner).key(secret)
			if err != nil {
				t.Fatal(err)
			}
			if got != s.slot(owner.Info()).Load() {
				t.Errorf("the key of secret %d is derived again", secret)
			}
		}
	}
}

// TestRememberedKeysAreTheirOwners has two owners share a slot.
func TestRememberedKeysAreTheirOwners(t *testing.T) {
	s := NewSecrets([][]byte{randomSecret()})
	ada, other := Owner{Session: "ada"}, Owner{}
	for i := 0; other.Session == "" || s.slot(other.Info()) != s.slot(ada.Info()); i++ {
		other.Session = strconv.Itoa(i)
	}
	token := mustSeal(t, s, ada)
	got, err := keyringOf(s, other).Key()
	if err != nil {
		t.Fatal(err)
	}
	want, err := s.derive(0, other.Info())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.key[:]) {
		t.Error("an owner got the key of another")
	}
	if err := open(s, other, token); !errors.Is(err, ErrInvalid) {
		t.Errorf("opening the token of another owner: %v", err)
	}
}

// TestRememberedKeysAreBounded has more owners than are remembered.
func TestRememberedKeysAreBounded(t *testing.T) {
	s := NewSecrets([][]byte{randomSecret()})
	for i := range 5000 {
		mustSeal(t, s, Owner{Session: strconv.Itoa(i)})
	}
	if n := s.known(); n < 1000 || n > 1024 {
		t.Errorf("%d keys are remembered", n)
	}
}

func TestCheckSecret(t *testing.T) {
	bytesOf := func(distinct, length int) []byte {
		secret := make([]byte, length)
		for i := range secret {
			secret[i] = byte(i % distinct)
		}
		return secret
	}
	for name, tt := range map[string]struct {
		secret []byte
		good   bool
	}{
		"random":               {randomSecret(), true},
		"32 bytes":             {bytesOf(31, 32), true},
		"31 bytes":             {bytesOf(31, 31), false},
		"twelve different":     {bytesOf(12, 32), true},
		"eleven different":     {bytesOf(11, 64), false},
		"nothing":              {nil, false},
		"printed, as bytes":    {[]byte(publishedSecrets[0]), false},
		"printed, in hex":      {[]byte(publishedSecrets[1]), false},
		"more than is printed": {[]byte(publishedSecrets[0] + "x"), true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := CheckSecret(tt.secret); (err == nil) != tt.good {
				t.Errorf("got the error %v", err)
			}
		})
	}
}

func TestKeysAreOfOneSet(t *testing.T) {
	secret := randomSecret()
	s, again := NewSecrets([][]byte{secret}), NewSecrets([][]byte{secret})
	k := s.Keyring(Owner{})
	if !k.IsOf(s) || k.IsOf(again) {
		t.Error("keys are taken for those of another set")
	}
}
