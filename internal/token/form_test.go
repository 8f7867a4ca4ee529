package token_test

// What a Fernet library leaves to its caller: how a token is spelled and padded.

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/token"
)

// tokenPadded returns tokens that end in no, one and two padding characters.
func tokenPadded(t *testing.T, m *tokenApp) (tokens [3]string) {
	for i := range 3 {
		token := tokenSeal(t, m, &tokenText{ASCII: strings.Repeat("x", i*token.Block)})
		tokens[strings.Count(token, "=")] = token
	}
	if slices.Contains(tokens[:], "") {
		t.Fatal("a number of padding characters is missing")
	}
	return tokens
}

func TestTokenBase64(t *testing.T) {
	m := tokenNewApp(t)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for n, token := range tokenPadded(t, m) {
		if err := tokenOpens(m, token); err != nil {
			t.Fatal(err)
		}
		bare := strings.TrimRight(token, "=")
		tokenMalformed(t, m, token+"=", "%d padding characters and one more", n)
		if n == 0 {
			continue
		}
		tokenMalformed(t, m, bare, "%d padding characters missing", n)
		tokenMalformed(t, m, token[:len(token)-1], "one of %d padding characters missing", n)
		last := strings.IndexByte(alphabet, bare[len(bare)-1])
		for bits := 1; bits < 1<<(2*n); bits++ {
			other := bare[:len(bare)-1] + alphabet[last|bits:][:1] + token[len(bare):]
			if decoded, err := base64.URLEncoding.DecodeString(other); err != nil || !strings.HasPrefix(token, base64.URLEncoding.EncodeToString(decoded)) {
				t.Fatal("not another form of the same token")
			}
			tokenMalformed(t, m, other, "padding bits %b of %d", bits, 2*n)
		}
	}
}

func TestTokenStandardAlphabet(t *testing.T) {
	m := tokenNewApp(t)
	var minus, underscore bool
	for !minus || !underscore {
		token := tokenSeal(t, m, &tokenCounter{})
		if strings.Contains(token, "-") {
			tokenMalformed(t, m, strings.ReplaceAll(token, "-", "+"), "+ for -")
			minus = true
		}
		if strings.Contains(token, "_") {
			tokenMalformed(t, m, strings.ReplaceAll(token, "_", "/"), "/ for _")
			underscore = true
		}
	}
}

// TestTokenAround repeats each string 64 times as well: so much garbage leaves
// a token of a good length.
func TestTokenAround(t *testing.T) {
	m := tokenNewApp(t)
	foreign := []string{"\x00", "\r", "\n", "\r\n", " ", "\t", "=", "==", "!!x", "!", "+", "/", "*", ",", "\"", "\u00a0", "\ufeff", "\xff", "."}
	for _, token := range tokenPadded(t, m) {
		for i := range len(token) + 1 {
			for _, s := range foreign {
				tokenMalformed(t, m, token[:i]+s+token[i:], "%q in front of character %d of %d", s, i, len(token))
				s64 := strings.Repeat(s, 64)
				tokenMalformed(t, m, token[:i]+s64+token[i:], "64 times %q in front of character %d of %d", s, i, len(token))
			}
			for _, n := range []int{1, 2, 3, 4, 64} {
				tokenIs(t, m, token[:i]+strings.Repeat("A", n)+token[i:], pagestate.ErrInvalid, "%d times A in front of character %d of %d", n, i, len(token))
			}
		}
		tokenIs(t, m, token+token, pagestate.ErrInvalid, "twice the token")
	}
	tokenMalformed(t, m, "", "an empty token")
}

func TestTokenDamaged(t *testing.T) {
	m := tokenNewApp(t)
	for _, token := range tokenPadded(t, m) {
		for i := range len(token) {
			damaged := []byte(token)
			for bit := range 8 {
				damaged[i] = token[i] ^ 1<<bit
				if err := tokenOpens(m, string(damaged)); !errors.Is(err, pagestate.ErrInvalid) {
					t.Errorf("bit %d of character %d: %v", bit, i, err)
				}
			}
		}
		for _, i := range []int{0, 1, 11, 12, 33, 34, len(token) / 2, len(token) - 44, len(token) - 3, len(token) - 2, len(token) - 1} {
			damaged := []byte(token)
			for c := range 256 {
				damaged[i] = byte(c)
				if err := tokenOpens(m, string(damaged)); !errors.Is(err, pagestate.ErrInvalid) && damaged[i] != token[i] {
					t.Errorf("%q for character %d: %v", damaged[i], i, err)
				}
			}
		}
	}
}

func TestTokenCut(t *testing.T) {
	m := tokenNewApp(t)
	for _, token := range tokenPadded(t, m) {
		for i := range len(token) {
			tokenIs(t, m, token[:i], pagestate.ErrInvalid, "cut to %d characters", i)
			tokenIs(t, m, token[i+1:], pagestate.ErrInvalid, "without the first %d", i+1)
			tokenIs(t, m, token[:i]+token[i+1:], pagestate.ErrInvalid, "without character %d", i)
		}
	}
}

// TestCheckForm has what nobody seals, of a length that whole blocks give.
func TestCheckForm(t *testing.T) {
	good := strings.Repeat("A", 140) // 57 bytes and three blocks
	tests := map[string]struct {
		token string
		good  bool
	}{
		"whole blocks":               {good, true},
		"one character more":         {good + "A", false},
		"two more":                   {good + "AA", false},
		"three more":                 {good + "AAA", false},
		"three padding characters":   {good + "A===", false},
		"four padding characters":    {good + "====", false},
		"nothing but padding":        {strings.Repeat("=", 140), false},
		"one block and its overhead": {strings.Repeat("A", 98) + "==", true},
		"no block":                   {strings.Repeat("A", 76), false},
		"nothing":                    {"", false},
	}
	for i := range 24 { // past what is looked at in one step
		bad := good[:i] + "!" + good[i+1:]
		tests["a bad character "+strconv.Itoa(i)] = struct {
			token string
			good  bool
		}{bad, false}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			switch err := token.CheckForm(tt.token); {
			case tt.good && err != nil:
				t.Error(err)
			case !tt.good && !errors.Is(err, token.ErrInvalid):
				t.Errorf("got the error %v, want ErrInvalid", err)
			}
		})
	}
}

// TestSizeAndCapacity: the longest that fits does, and a byte more does not.
func TestSizeAndCapacity(t *testing.T) {
	m := tokenNewApp(t)
	for n := range 5 * token.Block {
		sealed, err := m.keys.Seal(make([]byte, n), tokenNow)
		if err != nil {
			t.Fatal(err)
		}
		if got := token.Size(n); got != len(sealed) {
			t.Errorf("Size(%d) is %d, and the token has %d characters", n, got, len(sealed))
		}
	}
	for size := range 1000 {
		n := token.Capacity(size)
		if n > 0 && token.Size(n) > size {
			t.Errorf("Capacity(%d) is %d, which takes %d", size, n, token.Size(n))
		}
		if token.Size(n+1) <= size {
			t.Errorf("Capacity(%d) is %d, and one more takes %d", size, n, token.Size(n+1))
		}
	}
}

// TestTokenSizes makes tokens of every size under a valid MAC.
func TestTokenSizes(t *testing.T) {
	m := tokenNewApp(t)
	key := m.key
	// Every whole number of these blocks is padded by one byte.
	body := tokenBody(key, uint64(tokenNow.Unix()), bytes.Repeat([]byte{1}, 3*token.Block))
	const head = token.Overhead - sha256.Size
	for n := range len(body) + 1 {
		if n > head && (n-head)%token.Block == 0 {
			tokenIs(t, m, tokenSign(key, body[:n]), pagestate.ErrInvalid, "a body of %d bytes", n)
		} else {
			tokenMalformed(t, m, tokenSign(key, body[:n]), "a body of %d bytes", n)
		}
	}
	tokenMalformed(t, m, base64.URLEncoding.EncodeToString(make([]byte, sha256.Size)), "nothing but a MAC")
	for n := range 3 * token.Block {
		plain := bytes.Repeat([]byte{token.FormatVersion}, n)
		tokenIs(t, m, tokenOf(key, plain), pagestate.ErrInvalid, "%d bytes encrypted", n)
	}
}

func TestTokenVersion(t *testing.T) {
	m := tokenNewApp(t)
	key := m.key
	body := tokenBody(key, uint64(tokenNow.Unix()), tokenPad(tokenPlain(t, m, tokenSeal(t, m, &tokenCounter{}))))
	for v := range 256 {
		body[0] = byte(v)
		if v != 0x80 {
			tokenIs(t, m, tokenSign(key, body), pagestate.ErrInvalid, "Fernet version %#x", v)
		}
	}
}

// TestTokenPadding takes plaintexts of which a lenient reader sees an envelope
// in spite of the padding behind it.
func TestTokenPadding(t *testing.T) {
	m := tokenNewApp(t)
	key := m.key
	plain := tokenAligned(t, m)
	repeat := func(n int) []byte { return slices.Concat(plain, bytes.Repeat([]byte{byte(n)}, n)) }
	now := uint64(tokenNow.Unix())
	token := func(blocks []byte) string { return tokenSign(key, tokenBody(key, now, blocks)) }
	tokenIs(t, m, token(repeat(16)), nil, "padding as it should be")
	tokenIs(t, m, token(plain), pagestate.ErrInvalid, "no padding, and a last byte of 0")
	for n := 32; n < 256; n += 16 {
		tokenIs(t, m, token(repeat(n)), pagestate.ErrInvalid, "%d bytes of padding", n)
	}
	for c := range 256 {
		other := repeat(16)
		other[len(other)-1] = byte(c)
		if c != 16 && c != 1 {
			tokenIs(t, m, token(other), pagestate.ErrInvalid, "a last byte of %d", c)
		}
		other = repeat(16)
		other[len(other)-16] = byte(c)
		if c != 16 {
			tokenIs(t, m, token(other), pagestate.ErrInvalid, "a first byte of padding of %d", c)
		}
	}
	short := slices.Repeat([]byte{16}, 15)
	tokenIs(t, m, token(append(short, 17)), pagestate.ErrInvalid, "more padding than there is")
}

// tokenAligned is a plaintext that fills its blocks and ends in a 0.
func tokenAligned(t *testing.T, m *tokenApp) []byte {
	for i := range token.Block {
		plain := tokenPlain(t, m, tokenSeal(t, m, &tokenNumbers{Int8: make([]int8, i)}))
		if len(plain)%token.Block == 0 && plain[len(plain)-1] == 0 {
			return plain
		}
	}
	t.Fatal("no plaintext fills its blocks")
	return nil
}
