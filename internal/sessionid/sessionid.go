// Package sessionid makes the random values that name browser sessions, and
// knows them again.
package sessionid

import "crypto/rand"

// Length is that of every value: 130 bits.
const Length = 26

// New returns a value that was never used before. It is cut to Length, since a
// later Go may make rand.Text longer, and Is would know none of its values.
func New() string { return rand.Text()[:Length] }

// Is reports whether New may have made s. It keeps what others put into a cookie
// or a session out of the key.
func Is(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return len(s) == Length
}
