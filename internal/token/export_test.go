package token

// What the tests in package token_test need: those that seal states import
// package pagestate, which imports this one.

const (
	Block         = block
	Overhead      = overhead
	FormatVersion = formatVersion
)

var PublishedSecret = publishedSecrets[0]

// Extracted returns what HKDF extracts from the first secret.
func (s *Secrets) Extracted() []byte { return s.extracted[0] }

// Info returns what the key of an owner is derived from.
func (o Owner) Info() []byte { return o.appendInfo(nil, keyLabel) }

// Key returns the Fernet key of the first secret.
func (k *Keyring) Key() ([]byte, error) {
	key, err := k.key(0)
	if err != nil {
		return nil, err
	}
	return key.key[:], nil
}
