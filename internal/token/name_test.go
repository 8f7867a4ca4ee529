package token_test

import (
	"testing"

	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/internal/token"
)

// Owners that have different keys have different names.
func TestNameOfAnOwner(t *testing.T) {
	names := make(map[[32]byte]token.Owner)
	for _, o := range []token.Owner{
		{},
		{Session: "s", Binding: token.Bound},
		{Session: "s", Binding: token.BoundByFunc},
		{Session: "s2", Binding: token.Bound},
		{Session: "s", Binding: token.Bound, UserKind: token.Anonymous},
		{Session: "s", Binding: token.Bound, UserKind: token.Named, User: "u"},
		{Session: "s", Binding: token.Bound, UserKind: token.Named, User: "u2"},
		{Session: "su", Binding: token.Bound, UserKind: token.Named},
		{Session: "s", Binding: token.Bound, Purpose: "p"},
	} {
		name := o.Name()
		if other, ok := names[name]; ok {
			t.Errorf("%v and %v have one name", o, other)
		}
		names[name] = o
		again := o
		testkit.Want(t, "the same again", again.Name(), name)
	}
}
