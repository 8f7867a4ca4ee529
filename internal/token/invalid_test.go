package token_test

// The tokens of testdata/invalid.json. What they hold would open: what is wrong is
// the text around it, its encryption, or the envelope.

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/fernet/fernet-go"
	"github.com/pagestate/pagestate/internal/token"
	"github.com/pagestate/pagestate/internal/wire"
)

func invalidVectors() []*changedVector {
	var (
		now   = uint64(tokenNow.Unix())
		data  = slices.Concat(changedShapes(changedTable("[b")), unhexed("92c2c3"))
		plain = func(head string) []byte { return slices.Concat(unhexed(head), data) }
		// The parts of the envelope of a token that opens.
		version, first, name = "01", "0000000069800e80", " a5666c616773 00"
		root, instance       = " a0 c400", " c410 000102030405060708090a0b0c0d0e0f 01"
		good                 = plain(version + first + name + root + instance)

		vector = func(name, result string, text func(key *fernet.Key) string) *changedVector {
			return &changedVector{Name: name, Result: result, text: text}
		}
		// changed is a good token, changed as a text.
		changed = func(name string, change func(text string) string) *changedVector {
			return vector(name, "invalid", func(key *fernet.Key) string { return change(tokenOf(key, good)) })
		}
		// bytesOf is a good token, changed before it is written in base64.
		bytesOf = func(name string, change func(b []byte) []byte) *changedVector {
			return changed(name, func(text string) string {
				b, err := base64.URLEncoding.DecodeString(text)
				if err != nil {
					panic(err)
				}
				return base64.URLEncoding.EncodeToString(change(b))
			})
		}
		// sealed is a token of blocks that are padded already, at a time of its own.
		sealed = func(name, result string, seconds uint64, blocks []byte) *changedVector {
			return vector(name, result, func(key *fernet.Key) string { return tokenSign(key, tokenBody(key, seconds, blocks)) })
		}
		envelope = func(name string, plain []byte) *changedVector {
			return &changedVector{Name: name, Result: "invalid", plain: plain}
		}
		padded = func(n, last byte) []byte { // a good plaintext with n more bytes
			b := append(slices.Clip(good), bytes.Repeat([]byte{n}, token.Block-len(good)%token.Block)...)
			b[len(b)-1] = last
			return b
		}
		rest = byte(token.Block - len(good)%token.Block)
	)
	opens := changedFlags{false, true}
	return []*changedVector{
		(&changedVector{Name: "as it should be", Result: "opened", plain: good}).is(&opens, "[false, true]"),

		// The text.
		changed("empty", func(string) string { return "" }),
		changed("without padding", func(s string) string { return strings.TrimRight(s, "=") }),
		changed("with padding that is percent-encoded", func(s string) string { return strings.ReplaceAll(s, "=", "%3D") }),
		changed("with one more padding character", func(s string) string { return s + "=" }),
		changed("with a line break in it", func(s string) string { return s[:64] + "\n" + s[64:] }),
		changed("with a space in front", func(s string) string { return " " + s }),
		changed("with a line break behind", func(s string) string { return s + "\r\n" }),
		changed("with a NUL behind", func(s string) string { return s + "\x00" }),
		vector("in the alphabet of standard base64", "invalid", func(key *fernet.Key) string {
			for revision := byte(1); ; revision++ { // until the token has one of the two
				s := tokenOf(key, slices.Concat(good[:len(good)-len(data)-1], []byte{revision}, data))
				if strings.ContainsAny(s, "-_") {
					return strings.NewReplacer("-", "+", "_", "/").Replace(s)
				}
			}
		}),
		changed("with an unused bit that is set", func(s string) string {
			bare := strings.TrimRight(s, "=")
			if len(bare) == len(s) {
				panic("no unused bits: change the plaintext")
			}
			const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
			last := strings.IndexByte(alphabet, bare[len(bare)-1])
			return bare[:len(bare)-1] + alphabet[last|1:][:1] + s[len(bare):]
		}),
		changed("twice", func(s string) string { return s + s }),

		// The bytes.
		bytesOf("of Fernet version 0x81", func(b []byte) []byte { b[0] = 0x81; return b }),
		bytesOf("another time than was signed", func(b []byte) []byte { b[8]++; return b }),
		bytesOf("another initialization vector than was signed", func(b []byte) []byte { b[9] ^= 1; return b }),
		bytesOf("another ciphertext than was signed", func(b []byte) []byte { b[25] ^= 1; return b }),
		bytesOf("another MAC", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }),
		bytesOf("a MAC of zeros", func(b []byte) []byte { clear(b[len(b)-32:]); return b }),
		bytesOf("a byte less", func(b []byte) []byte { return b[:len(b)-1] }),
		bytesOf("a block less", func(b []byte) []byte { return b[:len(b)-token.Block] }),
		bytesOf("a byte more", func(b []byte) []byte { return append(b, 0) }),
		bytesOf("no ciphertext", func(b []byte) []byte { return slices.Concat(b[:25], b[len(b)-32:]) }),
		vector("of another key", "invalid", func(key *fernet.Key) string {
			other := *key
			other[0] ^= 1
			return tokenOf(&other, good)
		}),
		vector("signed with the right key, and encrypted with another", "invalid", func(key *fernet.Key) string {
			other := *key
			other[31] ^= 1
			return tokenSign(key, tokenBody(&other, now, tokenPad(good)))
		}),
		vector("with half a block of ciphertext more, signed", "invalid", func(key *fernet.Key) string {
			return tokenSign(key, append(tokenBody(key, now, tokenPad(good)), make([]byte, token.Block/2)...))
		}),

		// Padding of the plaintext.
		sealed("a last byte of padding of 0", "invalid", now, padded(rest, 0)),
		sealed("more padding than a block", "invalid", now, append(tokenPad(good), bytes.Repeat([]byte{token.Block + rest}, token.Block)...)),
		sealed("a first byte of padding that differs", "invalid", now, padded(rest+1, rest)),

		// Times.
		sealed("sealed a minute ahead", "opened", now+60, tokenPad(good)).is(&opens, "[false, true]"),
		sealed("sealed a minute and a second ahead", "invalid", now+61, tokenPad(good)),
		sealed("sealed a day ago", "opened", now-24*3600, tokenPad(slices.Concat(unhexed(version), binary.BigEndian.AppendUint64(nil, now-24*3600), good[9:]))).is(&opens, "[false, true]"),
		sealed("sealed a day and a second ago", "expired", now-24*3600-1, tokenPad(slices.Concat(unhexed(version), binary.BigEndian.AppendUint64(nil, now-24*3600-1), good[9:]))),
		sealed("sealed at the last second of 64 bits", "invalid", 1<<64-1, tokenPad(good)),

		// The envelope.
		envelope("cut behind the time", good[:9]),
		envelope("cut in the instance", good[:len(good)-len(data)-2]),
		envelope("no data", good[:len(good)-len(data)]),
		envelope("a byte more", append(slices.Clip(good), 0)),
		envelope("an instance of 15 bytes", plain(version+first+name+root+" c40f 000102030405060708090a0b0c0d0e 01")),
		envelope("revision 0", plain(version+first+name+root+" c410 000102030405060708090a0b0c0d0e0f 00")),
		envelope("the last revision", plain(version+first+name+root+" c410 000102030405060708090a0b0c0d0e0f cfffffffffffffffff")),
		envelope("a revision in a longer form", plain(version+first+name+root+" c410 000102030405060708090a0b0c0d0e0f cc01")),
		envelope("a revision below 0", plain(version+first+name+root+" c410 000102030405060708090a0b0c0d0e0f ff")),
		envelope("a schema version in a longer form", plain(version+first+" a5666c616773 cc00"+root+instance)),
		envelope("a key without a parent", plain(version+first+name+" a161 c400"+instance)),
		envelope("a parent without a key", plain(version+first+name+" a0 c410 000102030405060708090a0b0c0d0e0f"+instance)),
		envelope("a parent of 15 bytes", plain(version+first+name+" a161 c40f 000102030405060708090a0b0c0d0e"+instance)),
		envelope("a name in a longer form", plain(version+first+" d905666c616773 00"+root+instance)),
		envelope("a name that is bytes", plain(version+first+" c405666c616773 00"+root+instance)),
		envelope("without a name", plain(version+first+" a0 00"+root+instance)),
		envelope("compressed, and no DEFLATE stream", slices.Concat(good[:len(good)-len(data)], wire.AppendBytes(nil, []byte("\xff")))),
	}
}

const invalidVectorsFile = "testdata/invalid.json"

func TestInvalidVectors(t *testing.T) { changedCheck(t, invalidVectorsFile, invalidVectors()) }
