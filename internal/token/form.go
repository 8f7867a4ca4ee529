package token

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// A Fernet token is a version, a time, an initialisation vector, at least one
// block, and a MAC, in base64url with padding.
const (
	block    = 16
	overhead = 1 + 8 + block + sha256.Size
)

// Size returns the length, in characters, of the token that holds so many bytes.
func Size(plain int) int {
	padded := plain/block*block + block
	return base64.URLEncoding.EncodedLen(overhead + padded)
}

// Capacity returns the most bytes that a token of so many characters holds, 0 if
// it holds none.
func Capacity(size int) int {
	blocks := (size/4*3 - overhead) / block
	return max(0, blocks*block-1) // at least one byte is padding
}

// CheckForm accepts what Fernet writes and nothing else: base64url with padding,
// of a length that whole blocks give. Its error is ErrInvalid. fernet-go ignores
// what is wrong with the first, and panics over the second.
func CheckForm(token string) error {
	padding := paddingOf(token)
	size := base64.URLEncoding.DecodedLen(len(token)) - padding
	if len(token)%4 != 0 || size < overhead+block || (size-overhead)%block != 0 {
		return fmt.Errorf("%w: it has not the length of a token", ErrInvalid)
	}
	body := token[:len(token)-padding]
	if !isBase64(body) {
		return fmt.Errorf("%w: it is not base64url", ErrInvalid)
	}
	// The last character holds bits that stand for nothing and must be 0: two
	// bits if one padding character follows, four if two do.
	unused := byte(1)<<(2*padding) - 1
	if base64Values[body[len(body)-1]]&unused != 0 {
		return fmt.Errorf("%w: it is not canonical base64url", ErrInvalid)
	}
	return nil
}

// paddingOf returns how many padding characters a token ends in, at most two.
func paddingOf(token string) int {
	n := 0
	for n < 2 && n < len(token) && token[len(token)-1-n] == '=' {
		n++
	}
	return n
}

// isBase64 reports whether s has characters of base64url alone. It takes eight
// at a time, since a token may be long, and whoever sends one need not have a
// key.
func isBase64(s string) bool {
	values := &base64Values
	var all byte
	for ; len(s) >= 8; s = s[8:] {
		all |= values[s[0]] | values[s[1]] | values[s[2]] | values[s[3]] |
			values[s[4]] | values[s[5]] | values[s[6]] | values[s[7]]
	}
	for i := range len(s) {
		all |= values[s[i]]
	}
	return all&noBase64 == 0
}

// base64Values are the values of the characters of base64url. Those of all other
// bytes have the bit noBase64.
var base64Values = func() (values [256]byte) {
	for c := range values {
		values[c] = noBase64
	}
	for value, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		values[c] = byte(value)
	}
	return values
}()

const noBase64 = 0x80
