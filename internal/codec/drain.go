package codec

import (
	"bytes"
	"errors"
	"hash/maphash"
	"math"
	"sync"
)

// drain is an encoder that keeps nothing of what it writes: that is compared or
// hashed, a piece at a time.
type drain struct {
	encoder
	room     [atOnce]byte  // for buf
	expected []byte        // what is still to be written, to be the same; unless hash is set
	hash     *maphash.Hash // of what was written
}

// atOnce is about as much as buf holds.
const atOnce = 512

// drains are drains that hold nothing.
var drains = sync.Pool{New: func() any { return new(drain) }}

// comparing returns a drain that expects a payload of p.
func (p *Plan) comparing(expected []byte) *drain {
	d := p.drain(math.MaxInt)
	d.expected = expected
	return d
}

// hashing returns a drain that writes a payload of p, or a part of one, into h.
func (p *Plan) hashing(h *maphash.Hash, limit int) *drain {
	d := p.drain(limit)
	d.hash = h
	return d
}

func (p *Plan) drain(limit int) *drain {
	d := drains.Get().(*drain)
	d.begin(p, d.room[:0], limit)
	d.sink = d
	return d
}

// errDiffers ends an encoding that is compared.
var errDiffers = errors.New("another value")

func (d *drain) take(b []byte) error {
	if d.hash != nil {
		d.hash.Write(b)
		return nil
	}
	rest, same := bytes.CutPrefix(d.expected, b)
	if !same {
		return errDiffers
	}
	d.expected = rest
	return nil
}

// release gives d back without anything of the value that it has written.
func (d *drain) release() {
	d.reset()
	clear(d.room[:])
	d.expected, d.hash = nil, nil
	drains.Put(d)
}
