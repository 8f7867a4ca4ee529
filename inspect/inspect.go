// Package inspect shows what is in a token, for developers: each field with its value
// and its size. [Handler] shows the tokens of a page in a panel on it, and the command
// pagestate those that somebody sends along with the secret and the session.
//
// It reads the table of fields that every token has. So it shows tokens of former
// versions and of components that are not registered as well, runs no code of the
// application, and changes nothing.
//
//	inspect.go  opening a token
//	handler.go  the panel's handler, and who may use it
//	panel.js    the panel
package inspect

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/codec"
	"github.com/pagestate/pagestate/internal/sealed"
	"github.com/pagestate/pagestate/internal/token"
)

// Token is what a token holds. What is text in it may be of a visitor's making: it is
// as it was saved, except for Field.Value.
type Token struct {
	Component   string    `json:"component"`        // the name it is registered under
	Version     int       `json:"version"`          // of its schema
	Owner       string    `json:"owner"`            // the kind of session and user it was sealed for
	Key         string    `json:"key,omitempty"`    // of a child, "" for what is none
	Parent      string    `json:"parent,omitempty"` // of a child, its parent's instance
	Instance    string    `json:"instance"`         // in hexadecimal
	Revision    uint64    `json:"revision"`         // 1 in the first token of the instance
	FirstSealed time.Time `json:"first_sealed"`     // the instance
	LastSealed  time.Time `json:"last_sealed"`      // this token
	Bytes       int       `json:"bytes"`            // of the token
	Compressed  bool      `json:"compressed"`       // see pagestate.Compressed
	Names       int       `json:"names"`            // bytes of the table: names and types of the fields
	Fields      []Field   `json:"fields"`           // the largest first
}

// Field is a saved field. A state that is no struct is one field without a name.
type Field struct {
	Name string `json:"name"`
	// Value is text for a person, in which strings are quoted as in Go, so that it holds
	// no control character. Rows of a model are their name and key, and queries and
	// blocks their name and arguments. It ends with "…" after 64 KiB.
	Value string `json:"value"`
	Bytes int    `json:"bytes"` // of the value, before compression and encryption
}

// Open opens a token of the owner. It loads and fetches nothing, and no guard is asked:
// the token can be used afterwards as before. It does not look at the token's age, so
// one that has expired is shown too.
//
// Its errors are [pagestate.ErrInvalid], also for an empty token or an empty
// Owner.Session (except with [pagestate.Unbound]), [pagestate.ErrTooLarge], and
// [pagestate.ErrOutdated] for what a newer release of this module has sealed. Safe for
// concurrent use.
func Open(ctx context.Context, m *pagestate.Middleware, o pagestate.Owner, token string) (*Token, error) {
	opened, err := m.Open(sealed.Context(ctx), o, token)
	if err != nil {
		return nil, err
	}
	t := opened.(*sealed.Token)
	d, err := codec.Describe(t.Component, t.Data)
	if err != nil {
		return nil, describeError(err)
	}
	return newToken(t, d, len(token)), nil
}

func describeError(err error) error {
	switch {
	case errors.Is(err, codec.ErrOutdated):
		return fmt.Errorf("%w: %w", pagestate.ErrOutdated, err)
	case errors.Is(err, codec.ErrLimit):
		return fmt.Errorf("%w: %w", pagestate.ErrTooLarge, err)
	default:
		return fmt.Errorf("%w: %w", pagestate.ErrInvalid, err)
	}
}

func newToken(t *sealed.Token, d *codec.Description, bytes int) *Token {
	out := &Token{
		Component:   t.Component,
		Version:     int(t.Version),
		Owner:       ownerKind(t.Owner),
		Key:         t.Key,
		Instance:    hex.EncodeToString(t.Instance[:]),
		Revision:    t.Revision,
		FirstSealed: t.FirstSealed.UTC(),
		LastSealed:  t.LastSealed.UTC(),
		Bytes:       bytes,
		Compressed:  t.Compressed,
		Names:       d.Shapes,
		Fields:      make([]Field, len(d.Fields)),
	}
	if t.Key != "" {
		out.Parent = hex.EncodeToString(t.Parent[:])
	}
	for i, f := range d.Fields {
		out.Fields[i] = Field(f)
	}
	slices.SortStableFunc(out.Fields, func(a, b Field) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return out
}

// ownerKind says what o is, and not who.
func ownerKind(o token.Owner) string {
	kind := "a session"
	switch o.Binding {
	case token.Unbound:
		kind = "no session"
	case token.BoundByFunc:
		kind = "a session of SessionFunc"
	}
	switch o.UserKind {
	case token.Anonymous:
		kind += ", nobody logged in"
	case token.Named:
		kind += ", a user"
	}
	return kind
}
