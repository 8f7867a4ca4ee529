package pagestate

// Compressed data: what is refused of it, and that compressors and decompressors
// that are used again give nothing away.

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/pagestate/pagestate/internal/wire"
)

// deflated is data as any DEFLATE library may write it.
func deflated(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(data)
	w.Close()
	return out.Bytes()
}

// padded is a stream with blocks of nothing in front, so that n bytes are at most
// 64 times as long.
func padded(stream []byte, n int) []byte {
	for len(stream)*64 < n {
		stream = append(bytes.Clone(emptyBlock), stream...)
	}
	return stream
}

// TestCompressedTokensAreCheap has short tokens that stand for as much as they can,
// of a component that is not Compressed.
func TestCompressedTokensAreCheap(t *testing.T) {
	type list struct{ Rows []map[int]int } // a byte for an empty map
	r := NewRegistry()
	Register[list](r, "list")
	m, err := New(r, Options{Secrets: [][]byte{[]byte("the secret of a test of forged tokens")}, Session: Unbound()})
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []int{100, 10_000, 100_000, 120_000} {
		l := &list{}
		for range rows {
			l.Rows = append(l.Rows, map[int]int{})
		}
		in, err := m.newInstance(l)
		if err != nil {
			t.Fatal(err)
		}
		keys := m.keyring(m.secrets.Load(), Owner{})
		in.keys = &keys
		if _, err := in.seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		forged, err := in.keys.Seal(append(in.Head("list", 0), wire.AppendBytes(nil, deflated(t, in.Data))...), m.now())
		if err != nil {
			t.Fatal(err)
		}
		m.Open(t.Context(), Owner{}, forged) // makes the decompressor
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m.Open(t.Context(), Owner{}, forged)
		runtime.ReadMemStats(&after)
		most := uint64(1<<20 + 64*64*len(forged))
		if took := after.TotalAlloc - before.TotalAlloc; took > most {
			t.Errorf("a token of %d characters made it allocate %d bytes, the most is %d", len(forged), took, most)
		}
	}
}

func TestCompressedData(t *testing.T) {
	type counter struct{ Count int }
	r := NewRegistry()
	Register[counter](r, "counter")
	m, err := New(r, Options{Secrets: [][]byte{[]byte("the secret of a test of forged tokens")}, Session: Unbound()})
	if err != nil {
		t.Fatal(err)
	}
	in, err := m.newInstance(&counter{Count: 7})
	if err != nil {
		t.Fatal(err)
	}
	keys := m.keyring(m.secrets.Load(), Owner{})
	in.keys = &keys
	if _, err := in.seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	good := in.Data
	limit := m.opt.MaxTokenBytes / 4 * 3
	asBytes := func(b []byte) []byte { return wire.AppendBytes(nil, b) }
	tests := []struct {
		what string
		data []byte
		want error
	}{
		{"of a component without Compressed", asBytes(deflated(t, good)), nil},
		{"empty", asBytes(nil), ErrInvalid},
		{"of nothing", asBytes(deflated(t, nil)), ErrInvalid},
		{"no DEFLATE", asBytes([]byte("\xff\xff\xff\xff")), ErrInvalid},
		{"cut short", asBytes(deflated(t, good)[:10]), ErrInvalid},
		{"a byte behind it", asBytes(append(deflated(t, good), 0)), ErrInvalid},
		{"a value behind it", append(asBytes(deflated(t, good)), 0xc0), ErrInvalid},
		{"a header alone", []byte{0xc4, 200}, ErrInvalid},
		{"a longer header", append([]byte{0xc5, 0, byte(len(deflated(t, good)))}, deflated(t, good)...), ErrInvalid},
		{"compressed twice", asBytes(deflated(t, asBytes(deflated(t, good)))), ErrInvalid},
		{"more than a payload", asBytes(deflated(t, append(bytes.Clone(good), 0xc0))), ErrInvalid},
		{"as much as is allowed", asBytes(padded(deflated(t, make([]byte, limit)), limit)), ErrInvalid},
		{"a byte more", asBytes(padded(deflated(t, make([]byte, limit+1)), limit+1)), ErrTooLarge},
		{"64 times as much", asBytes(padded(deflated(t, make([]byte, 64_000)), 64_000)), ErrInvalid},
		{"more than 64 times as much", asBytes(padded(deflated(t, make([]byte, 64_000)), 63_000)), ErrTooLarge},
		{"a thousand times as much", asBytes(deflated(t, make([]byte, 100*limit))), ErrTooLarge},
	}
	for _, test := range tests {
		forged, err := in.keys.Seal(append(in.Head("counter", 0), test.data...), m.now())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Open(t.Context(), Owner{}, forged); !errors.Is(err, test.want) {
			t.Errorf("%s: got the error %v, want %v", test.what, err, test.want)
		}
	}
}

// TestDecompressingIsBounded has a little data that stands for very much, and
// much data that stands for nothing.
func TestDecompressingIsBounded(t *testing.T) {
	const limit = 1 << 20
	for _, test := range []struct {
		what   string
		stream []byte
		most   uint64 // bytes to be allocated
		want   error
	}{
		{"a bomb", deflated(t, make([]byte, 20*limit)), 4 * limit, ErrTooLarge},
		{"blocks of nothing", emptyBlocks(5000), limit, nil},
	} {
		decompress(test.stream, limit) // makes the decompressor
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := decompress(test.stream, limit)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.what, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > test.most {
			t.Errorf("%s: %d bytes made it allocate %d, the most is %d", test.what, len(test.stream), took, test.most)
		}
	}
}

// emptyBlocks is a stream of blocks that hold nothing. Each has codes of its own,
// which take as many tables to read as there can be.
func emptyBlocks(n int) []byte {
	const size = 285 // bits
	block, _ := hex.DecodeString("d4e0031040dbb22cca2edbb66ddbb66ddbb66ddbb66ddbb66dab7accc8657bed73dfff09")
	var stream bytes.Buffer
	bits := bitWriter{w: &stream}
	for range n {
		for i := range size {
			bits.write(uint(block[i/8]>>(i%8)), 1)
		}
	}
	bits.writeEnd()
	return stream.Bytes()
}

// TestCompressorsForget has a compressor and a decompressor work on another
// visitor's data first.
func TestCompressorsForget(t *testing.T) {
	var secret []byte // that shrinks, and not so much that it is padded
	for i := range 5000 {
		secret = fmt.Appendf(secret, "the password of visitor %d, ", i)
	}

	// What is written must be what a new compressor writes: shorter would mean
	// that it refers to what went before.
	for _, size := range []int{200, 2_000, 20_000, 100_000} {
		plain := append([]byte("head"), secret[:size]...)
		var fresh bytes.Buffer
		w, _ := flate.NewWriter(&fresh, flate.BestSpeed)
		w.Write(plain[4:])
		w.Close()
		want := wire.AppendBytes([]byte("head"), fresh.Bytes())
		if len(want) >= len(plain) {
			t.Fatalf("%d bytes of state do not shrink", size)
		}
		for _, before := range []int{100, 5_000, len(secret)} {
			for range 5 {
				compressData(secret[:before], 0)
				if got := compressData(plain, 4); !bytes.Equal(got, want) {
					t.Fatalf("%d bytes after %d others: compressed to %d, and by a new compressor to %d", size, before, len(got), len(want))
				}
			}
		}
	}

	// A stream that copies three times the byte before: behind a literal, and as
	// the first thing it does.
	for _, test := range []struct {
		literal bool
		want    error
	}{{true, nil}, {false, ErrInvalid}} {
		var stream bytes.Buffer
		bits := bitWriter{w: &stream}
		bits.write(1, 1) // the last block
		bits.write(1, 2) // with fixed codes, which stand with their highest bit first
		if test.literal {
			bits.write(0b10001001, 8) // "a"
		}
		bits.write(0b1000000, 7) // three bytes
		bits.write(0, 5)         // from one before
		bits.write(0, 7)         // the end
		bits.flush()
		for range 20 {
			if _, err := decompress(deflated(t, secret), len(secret)); err != nil {
				t.Fatal(err)
			}
			got, err := decompress(stream.Bytes(), 1<<20)
			if !errors.Is(err, test.want) || err == nil && string(got) != "aaaa" {
				t.Fatalf("literal %t: %q, %v", test.literal, got, err)
			}
		}
	}
}

// bitWriter writes the lowest bit first, as DEFLATE wants it.
type bitWriter struct {
	w    io.ByteWriter
	bits uint
	n    int
}

func (b *bitWriter) write(bits uint, n int) {
	for i := range n {
		b.bits |= bits >> i & 1 << b.n
		if b.n++; b.n == 8 {
			b.flush()
		}
	}
}

// writeEnd writes a last block, which is empty.
func (b *bitWriter) writeEnd() {
	b.write(1, 1) // the last
	b.write(1, 2) // with fixed codes
	b.write(0, 7) // the end
	b.flush()
}

func (b *bitWriter) flush() {
	if b.n > 0 {
		b.w.WriteByte(byte(b.bits))
		b.bits, b.n = 0, 0
	}
}

func TestCompressorsAreUsedAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			own := []byte(strings.Repeat(fmt.Sprintf("of visitor %d ", i), 20+i))
			for range 20 {
				data := compressData(own, 0)
				r := wire.NewReader(data)
				b := r.Bytes()
				if rest, err := r.Rest(); err != nil || len(rest) > 0 {
					t.Error("not compressed")
				}
				if got, err := decompress(b, 1<<20); err != nil || !bytes.Equal(got, own) {
					t.Errorf("%q, %v", got, err)
				}
				if _, err := decompress(b[:len(b)/2], 1<<20); !errors.Is(err, ErrInvalid) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzDecompress(f *testing.F) {
	f.Add(deflated(f, nil))
	f.Add(deflated(f, []byte("too short to be shorter")))
	f.Add(deflated(f, bytes.Repeat([]byte("over and "), 20)))
	f.Add(deflated(f, make([]byte, 1<<16)))
	f.Add([]byte{0x05, 0x02, 0x00})
	f.Fuzz(func(t *testing.T, compressed []byte) {
		const limit = 1 << 12
		data, err := decompress(compressed, limit)
		if err != nil {
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrTooLarge) {
				t.Error(err)
			}
			return
		}
		if len(data) > limit {
			t.Errorf("%d bytes, the most is %d", len(data), limit)
		}
		again := compressData(data, 0)
		if len(again) >= len(data) {
			return // it stayed as it was
		}
		r := wire.NewReader(again)
		b := r.Bytes()
		if _, err := r.Rest(); err != nil {
			t.Fatal(err)
		}
		if got, err := decompress(b, limit); err != nil || !bytes.Equal(got, data) {
			t.Errorf("compressed again: %x, %v", got, err)
		}
	})
}
