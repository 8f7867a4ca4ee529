package sessionid_test

import (
	"strings"
	"testing"

	"github.com/pagestate/pagestate/internal/sessionid"
)

func TestIs(t *testing.T) {
	id := sessionid.New()
	if id == sessionid.New() {
		t.Error("made twice: " + id)
	}
	for name, c := range map[string]struct {
		id   string
		want bool
	}{
		"made here":      {id, true},
		"all letters":    {"ABCDEFGHIJKLMNOPQRSTUVWXYZ", true},
		"all digits":     {strings.Repeat("234567", 5)[:26], true},
		"empty":          {"", false},
		"cut short":      {id[1:], false},
		"longer":         {id + "A", false},
		"lower case":     {strings.Repeat("a", 26), false},
		"another digit":  {id[:25] + "1", false},
		"and one more":   {id[:25] + "8", false},
		"another sign":   {id[:25] + "-", false},
		"before letters": {id[:25] + "@", false},
		"behind letters": {id[:25] + "[", false},
		"another script": {id[:24] + "é", false},
	} {
		if got := sessionid.Is(c.id); got != c.want {
			t.Errorf("%s: %q: %v, want %v", name, c.id, got, c.want)
		}
	}
}
