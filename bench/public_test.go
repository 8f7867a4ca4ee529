package bench_test

import (
	"encoding/json"
	"testing"

	"github.com/pagestate/pagestate"
)

// filter is a state with two public fields, as a script reads and changes them.
type filter struct {
	pagestate.Component `json:"-"`

	Word   string `state:"word,public" json:"word"`
	Page   int    `state:"page,public" json:"page"`
	Tenant int    `json:"-"`
}

// BenchmarkPublic sets the public fields of a state beside encoding/json, and
// those of a list, with a time in each row.
func BenchmarkPublic(b *testing.B) {
	b.Run("state=fields", public(&filter{Word: "invoice 2031", Page: 3, Tenant: 7}))
	b.Run("state=list", public(newPublicList()))
}

type publicList struct {
	Items []item `state:",public"`
}

func newPublicList() *publicList { return &publicList{Items: newMedium().Items} }

func public[T any](state *T) func(b *testing.B) {
	return func(b *testing.B) {
		text, err := pagestate.PublicJSON(state)
		if err != nil {
			b.Fatal(err)
		}
		if other, err := json.Marshal(state); err != nil || string(text) != string(other) {
			b.Fatalf("%s, but of encoding/json %s: %v", text, other, err)
		}
		for _, do := range []struct {
			name string
			run  func() error
		}{
			{"do=write/impl=pagestate", func() error { _, err := pagestate.PublicJSON(state); return err }},
			{"do=write/impl=json", func() error { _, err := json.Marshal(state); return err }},
			{"do=read/impl=pagestate", func() error { return pagestate.ApplyPublic(state, text) }},
			{"do=read/impl=json", func() error { return json.Unmarshal(text, state) }},
		} {
			b.Run(do.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := do.run(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
