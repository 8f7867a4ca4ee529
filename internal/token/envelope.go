package token

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/pagestate/pagestate/internal/wire"
)

const formatVersion = 1

// An Envelope is what a token holds, except the name of the component.
type Envelope struct {
	FirstSealed time.Time  // to the second
	LastSealed  time.Time  // to the second; it stands in the Fernet token around
	Version     uint64     // of the component's schema
	Key         string     // of a child, within its parent; "" for what is no child
	Parent      InstanceID // of a child's parent
	Instance    InstanceID
	Revision    uint64 // 1 at first, and one more after each request with an unsafe method
	Data        []byte // shapes and payload, see internal/codec
}

// An InstanceID is the identity of one component on one page.
type InstanceID [16]byte

// NewInstanceID returns a random one.
func NewInstanceID() (id InstanceID) {
	rand.Read(id[:]) // never fails, see crypto/rand
	return id
}

// IsChild reports whether e is the child of that key of an instance.
func (e *Envelope) IsChild(parent InstanceID, key string) bool {
	return e.Key == key && e.Parent == parent
}

// Head returns what stands in front of the data. It has room for so many bytes of
// data to be appended.
func (e *Envelope) Head(component string, room int) []byte {
	const others = 64 // more than the numbers and the lengths take
	b := make([]byte, 0, others+len(component)+len(e.Key)+len(e.Parent)+len(e.Instance)+room)
	b = append(b, formatVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(e.FirstSealed.Unix()))
	b = wire.AppendString(b, component)
	b = wire.AppendUint(b, e.Version)
	b = wire.AppendString(b, e.Key)
	var parent []byte
	if e.Key != "" {
		parent = e.Parent[:]
	}
	b = wire.AppendBytes(b, parent)
	b = wire.AppendBytes(b, e.Instance[:])
	return wire.AppendUint(b, e.Revision)
}

// ParseEnvelope reads plain, which is what [Keyring.Open] returned for token. The
// component's name and the data are parts of plain. Its errors are ErrInvalid,
// and ErrOutdated for another version of the format.
func ParseEnvelope(token string, plain []byte) (e Envelope, component []byte, err error) {
	if len(plain) < 9 {
		return e, nil, fmt.Errorf("%w: its content is cut short", ErrInvalid)
	}
	if plain[0] != formatVersion {
		return e, nil, fmt.Errorf("%w: it has format version %d, this release reads %d", ErrOutdated, plain[0], formatVersion)
	}
	e.FirstSealed = unix(binary.BigEndian.Uint64(plain[1:]))
	e.LastSealed = sealedAt(token)
	r := wire.NewReader(plain[9:])
	component = r.String()
	e.Version = r.Uint()
	e.Key = string(r.String())
	parent, instance := r.Bytes(), r.Bytes()
	e.Revision = r.Uint()
	if e.Data, err = r.Rest(); err != nil || !e.setIDs(parent, instance) || !e.hasGoodRevision() {
		return Envelope{}, nil, fmt.Errorf("%w: its envelope is malformed", ErrInvalid)
	}
	return e, component, nil
}

// setIDs reports whether the ids are there that must be: a child has a parent,
// and nothing else has.
func (e *Envelope) setIDs(parent, instance []byte) bool {
	parentLength := 0
	if e.Key != "" {
		parentLength = len(e.Parent)
	}
	if len(parent) != parentLength || len(instance) != len(e.Instance) {
		return false
	}
	copy(e.Parent[:], parent)
	copy(e.Instance[:], instance)
	return true
}

// hasGoodRevision reports whether a seal gives that revision, and can give a next
// one.
func (e *Envelope) hasGoodRevision() bool { return e.Revision > 0 && e.Revision < math.MaxUint64 }

// sealedAt returns the time in a token that CheckForm has accepted.
func sealedAt(token string) time.Time {
	var head [9]byte // the version and the time
	if _, err := base64.URLEncoding.Decode(head[:], []byte(token[:12])); err != nil {
		return time.Time{} // CheckForm was not asked; no age limit allows for it
	}
	return unix(binary.BigEndian.Uint64(head[1:]))
}

// unix turns a time from a token into one that can be compared. What is beyond
// the year 9999 is far enough in the future not to be told apart.
func unix(seconds uint64) time.Time {
	const end = 253402300800
	return time.Unix(int64(min(seconds, end)), 0)
}
