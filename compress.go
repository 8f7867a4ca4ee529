package pagestate

// This file holds what Compressed does to the data of a token: between the codec,
// which makes it, and the encryption, which hides all of it but its length.

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"slices"
	"sync"

	inflate "github.com/klauspost/compress/flate"
	"github.com/pagestate/pagestate/internal/wire"
)

// Compressed has the states of a component compressed (DEFLATE) before they are
// encrypted, where that makes them smaller. It is for large states, whose token
// stands in the page: [docs/performance.md] shows what it saves, and what it costs.
//
// It is off by default because the length of a token can be seen by whoever
// watches the connection. Compressed, the length depends on what is in the state:
// where a state holds a secret beside something that a stranger can choose, such
// as a search word in a link, the token becomes shorter when the two are alike,
// and the secret can be guessed letter by letter, as in the attacks called CRIME
// and BREACH. A secret is also what other visitors must not know: a name, an
// address. Lengths grow in steps of 16 bytes, which makes the attack slower but
// does not stop it. Use it for states without secrets, or that hold nothing of a
// stranger's choice.
//
// It makes tokens smaller, and does not let states be larger: Options.MaxTokenBytes
// limits what a state takes uncompressed too. Tokens of any component open whether
// they are compressed or not, so the option may come and go between deploys. Data
// is at most 64 times as long as its compressed form.
//
// [docs/performance.md]: https://github.com/pagestate/pagestate/blob/main/docs/performance.md
func Compressed() ComponentOption {
	return func(c *component) error {
		c.compressed = true
		return nil
	}
}

// compressors and decompressors are large, and used again. Reset makes them as new:
// what they worked on before is in their memory, and out of the reach of whatever
// comes next. The one that writes is the standard library's, which documents that
// for Reset; a test holds it to that. The one that reads is not, since the standard
// library's allocates for each block of a forged stream, which may have thousands.
var (
	compressors = sync.Pool{New: func() any {
		w, _ := flate.NewWriter(io.Discard, flate.BestSpeed) // fails for an unknown level alone
		return w
	}}
	decompressors = sync.Pool{New: func() any { return inflate.NewReader(bytes.NewReader(nil)) }}
)

// maxRatio is how many times as long as its compressed form data may be: else a
// small forged token would take as much memory as the largest. Long runs of equal
// rows are shorter still, so they are padded.
const maxRatio = 64

// emptyBlock is a block of DEFLATE that holds nothing. It ends with a whole byte,
// so a stream may begin with it.
var emptyBlock = []byte{0, 0, 0, 0xff, 0xff}

// compressData returns plain with the data behind the head in its compressed form,
// or as it is if that is no smaller.
func compressData(plain []byte, head int) []byte {
	var out bytes.Buffer
	w := compressors.Get().(*flate.Writer)
	w.Reset(&out)
	w.Write(plain[head:]) // into a buffer, which takes everything
	w.Close()
	w.Reset(io.Discard) // else out would live as long as w
	compressors.Put(w)

	stream := out.Bytes()
	if short := (len(plain)-head+maxRatio-1)/maxRatio - len(stream); short > 0 {
		padding := bytes.Repeat(emptyBlock, (short+len(emptyBlock)-1)/len(emptyBlock))
		stream = append(padding, stream...)
	}
	data := wire.AppendBytes(bytes.Clone(plain[:head]), stream)
	if len(data) >= len(plain) {
		return plain
	}
	return data
}

// isCompressed reports whether data is compressed: then it is bytes, where shapes
// begin with an array.
func isCompressed(data []byte) bool {
	d := wire.Decoder{Data: data}
	return d.Kind() == wire.BytesKind
}

// decompressData returns data as the codec made it. It takes about three times the
// memory of the largest data that can be sealed, at most.
func decompressData(data []byte, maxTokenBytes int) ([]byte, error) {
	if !isCompressed(data) {
		return data, nil
	}
	r := wire.NewReader(data)
	compressed := r.Bytes()
	if rest, err := r.Rest(); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: its compressed data is malformed", ErrInvalid)
	}
	return decompress(compressed, min(maxTokenBytes/4*3, maxRatio*len(compressed)))
}

// decompress refuses more than limit bytes, and whatever follows their end.
func decompress(compressed []byte, limit int) ([]byte, error) {
	in := bytes.NewReader(compressed)
	r := decompressors.Get().(io.ReadCloser)
	defer func() {
		r.(inflate.Resetter).Reset(bytes.NewReader(nil), nil) // else in would live as long as r
		decompressors.Put(r)
	}()
	if err := r.(inflate.Resetter).Reset(in, nil); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	out, err := readAtMost(r, limit, 4*len(compressed))
	if err != nil {
		return nil, err
	}
	if in.Len() > 0 {
		return nil, fmt.Errorf("%w: something follows its compressed data", ErrInvalid)
	}
	return out, nil
}

// readAtMost reads to the end of a compressed stream, which holds about as much as
// expected, or more than limit.
func readAtMost(r io.Reader, limit, expected int) ([]byte, error) {
	out := make([]byte, 0, min(limit, expected)+1)
	for {
		if len(out) == cap(out) {
			out = slices.Grow(out, min(len(out), limit+1-len(out)))
		}
		n, err := r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case len(out) > limit:
			return nil, fmt.Errorf("%w: its compressed data holds more than %d bytes", ErrTooLarge, limit)
		case err == io.EOF:
			return out, nil
		case err != nil:
			return nil, fmt.Errorf("%w: its compressed data is malformed", ErrInvalid)
		}
	}
}
