package token_test

// How old a token may be, on the clock that opens it.

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/token"
)

func TestTokenAge(t *testing.T) {
	m := tokenNewApp(t).with(t, func(o *pagestate.Options) { o.MaxLifetime = 48 * time.Hour })
	token := tokenSeal(t, m, &tokenCounter{})
	resealed := tokenResealAt(t, m, token, tokenNow.Add(24*time.Hour))
	tests := []struct {
		token string
		after time.Duration // on the clock, after tokenNow
		want  error
	}{
		{token, 0, nil},
		{token, 999 * time.Millisecond, nil},
		{token, -60 * time.Second, nil},
		{token, -60*time.Second - time.Nanosecond, pagestate.ErrInvalid}, // the second before
		{token, -61 * time.Second, pagestate.ErrInvalid},
		{token, -24 * time.Hour, pagestate.ErrInvalid},
		{token, 24 * time.Hour, nil},
		{token, 24*time.Hour + time.Second - time.Nanosecond, nil},
		{token, 24*time.Hour + time.Second, pagestate.ErrExpired},
		{token, 24*time.Hour + time.Minute, pagestate.ErrExpired},
		{token, 1e6 * time.Hour, pagestate.ErrExpired},
		{resealed, 24*time.Hour - time.Minute, nil},
		{resealed, 24*time.Hour - time.Minute - time.Second, pagestate.ErrInvalid},
		{resealed, 48 * time.Hour, nil},
		{resealed, 48*time.Hour + time.Second, pagestate.ErrExpired}, // by its lifetime and its age
	}
	for _, test := range tests {
		m.now = tokenNow.Add(test.after)
		if err := tokenOpens(m, test.token); !errors.Is(err, test.want) {
			t.Errorf("after %v: got the error %v, want %v", test.after, err, test.want)
		}
	}
}

func tokenResealAt(t *testing.T, m *tokenApp, token string, now time.Time) string {
	before := m.now
	defer func() { m.now = before }()
	m.now = now
	token, err := m.Reseal(context.Background(), tokenOwner, token, &tokenCounter{Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokenLifetime(t *testing.T) {
	const lifetime = 30 * time.Hour
	first := tokenNewApp(t)
	token := tokenResealAt(t, first, tokenSeal(t, first, &tokenCounter{}), tokenNow.Add(20*time.Hour))
	tests := []struct {
		what   string
		after  time.Duration // on the clock, after tokenNow
		change func(*pagestate.Options)
		want   error
	}{
		{"at the end of its lifetime", lifetime, func(o *pagestate.Options) { o.MaxLifetime = lifetime }, nil},
		{"after its lifetime", lifetime + time.Second, func(o *pagestate.Options) { o.MaxLifetime = lifetime }, pagestate.ErrExpired},
		{"without a limit to its lifetime", lifetime + time.Second, func(o *pagestate.Options) { o.MaxLifetime = -1 }, nil},
		{"first sealed at the cut-off", lifetime, func(o *pagestate.Options) { o.NotBefore = tokenNow }, nil},
		{"first sealed before the cut-off", lifetime, func(o *pagestate.Options) { o.NotBefore = tokenNow.Add(time.Second) }, pagestate.ErrExpired},
	}
	for _, test := range tests {
		first.now = tokenNow.Add(test.after)
		tokenIs(t, first.with(t, test.change), token, test.want, "%s", test.what)
	}
}

// TestTokenTimes sets the two times of a token to what only a holder of the
// secret can: whatever does not fit into a signed number, or lies far off.
func TestTokenTimes(t *testing.T) {
	m := tokenNewApp(t)
	key := m.key
	plain := tokenPlain(t, m, tokenSeal(t, m, &tokenCounter{}))
	now := uint64(tokenNow.Unix())
	tests := []struct {
		last, first uint64
		want        error
	}{
		{now, now, nil},
		{now, now - 1, nil},
		{now + 60, now + 60, nil},
		{now + 61, now, pagestate.ErrInvalid},
		{now, now + 1, pagestate.ErrInvalid},
		{0, 0, pagestate.ErrExpired},
		{now, 0, pagestate.ErrExpired},
		{0, now, pagestate.ErrInvalid},
		{253402300799, now, pagestate.ErrInvalid},
		{253402300800, 253402300801, pagestate.ErrInvalid},
		{1<<63 - 1, now, pagestate.ErrInvalid},
		{1 << 63, now, pagestate.ErrInvalid},
		{1<<64 - 1, now, pagestate.ErrInvalid},
		{now, 1<<63 - 1, pagestate.ErrInvalid},
		{now, 1 << 63, pagestate.ErrInvalid},
		{now, 1<<64 - 1, pagestate.ErrInvalid},
		{1 << 63, 1 << 63, pagestate.ErrInvalid},
		{1<<64 - 1, 1<<64 - 1, pagestate.ErrInvalid},
		{1<<64 - 62135596800, 1<<64 - 62135596800, pagestate.ErrInvalid}, // the year 1
	}
	for _, test := range tests {
		binary.BigEndian.PutUint64(plain[1:], test.first)
		token := tokenSign(key, tokenBody(key, test.last, tokenPad(plain)))
		tokenIs(t, m, token, test.want, "last sealed at %d, first at %d", test.last, test.first)
	}
}

func TestNoLifetime(t *testing.T) {
	first := tokenNow.Add(-1000 * time.Hour)
	e := &token.Envelope{FirstSealed: first, LastSealed: tokenNow}
	for _, lifetime := range []time.Duration{0, -1} {
		if err := (token.Ages{MaxAge: time.Hour, MaxLifetime: lifetime}).Check(e, tokenNow); err != nil {
			t.Errorf("a lifetime of %v: %v", lifetime, err)
		}
	}
	if err := (token.Ages{MaxAge: time.Hour, MaxLifetime: 1}).Check(e, tokenNow); !errors.Is(err, token.ErrExpired) {
		t.Errorf("a lifetime of 1ns: got the error %v, want ErrExpired", err)
	}
}
