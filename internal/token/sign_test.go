package token

import (
	"slices"
	"testing"
)

func TestSignatures(t *testing.T) {
	first, second, third := randomSecret(), randomSecret(), randomSecret()
	secrets := func(s ...[]byte) *Secrets { return NewSecrets(s) }
	owner := Owner{Session: "s", User: "u", UserKind: Named}
	message := []byte("a message")
	signature, err := keyringOf(secrets(first), owner).Sign(message)
	if err != nil {
		t.Fatal(err)
	}
	altered := slices.Clone(signature)
	altered[len(altered)-1] ^= 1
	for name, tt := range map[string]struct {
		secrets   *Secrets
		owner     Owner
		message   string
		signature []byte
		want      bool
	}{
		"as it was signed":     {secrets(first), owner, "a message", signature, true},
		"rotated":              {secrets(second, first), owner, "a message", signature, true},
		"rotated twice":        {secrets(third, second, first), owner, "a message", signature, true},
		"a dropped secret":     {secrets(second, third), owner, "a message", signature, false},
		"another session":      {secrets(first), Owner{Session: "t", User: "u", UserKind: Named}, "a message", signature, false},
		"another user":         {secrets(first), Owner{Session: "s", User: "v", UserKind: Named}, "a message", signature, false},
		"another kind of user": {secrets(first), Owner{Session: "s", User: "u"}, "a message", signature, false},
		"another purpose":      {secrets(first), Owner{Session: "s", User: "u", UserKind: Named, Purpose: "p"}, "a message", signature, false},
		"another message":      {secrets(first), owner, "a messagf", signature, false},
		"a longer message":     {secrets(first), owner, "a message ", signature, false},
		"another signature":    {secrets(first), owner, "a message", altered, false},
		"a shorter signature":  {secrets(first), owner, "a message", signature[:SignatureSize-1], false},
		"without a signature":  {secrets(first), owner, "a message", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := keyringOf(tt.secrets, tt.owner).Signed([]byte(tt.message), tt.signature); got != tt.want {
				t.Errorf("signed: %t, want %t", got, tt.want)
			}
		})
	}
}

func TestFirstSecretSigns(t *testing.T) {
	first, second := randomSecret(), randomSecret()
	signature, err := keyringOf(NewSecrets([][]byte{first, second}), Owner{}).Sign(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !keyringOf(NewSecrets([][]byte{first}), Owner{}).Signed(nil, signature) {
		t.Error("the first secret does not open what the set signed")
	}
	if keyringOf(NewSecrets([][]byte{second}), Owner{}).Signed(nil, signature) {
		t.Error("the second secret signed")
	}
}
