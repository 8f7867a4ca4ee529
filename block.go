package pagestate

// This file holds template blocks: a state saves the names of a template set
// and of a block in it, never a template or what it renders.

import (
	"errors"
	"fmt"
	"html/template"
	"reflect"
	"strings"

	"github.com/pagestate/pagestate/internal/codec"
)

// A Block is a template of a registered set. In a state it is saved as the
// names of the set and of the template, and rendered when it is asked:
//
//	{{.Body.HTML .}}
//
// Make one with the function that [RegisterBlocks] returned. The zero Block can
// be saved, and renders nothing but an error. A Block is safe for concurrent
// use.
type Block struct {
	set  *blockSet
	name string
}

type blockSet struct {
	name      string
	templates *template.Template
}

// RegisterBlocks names a set of templates, and returns the function that makes
// a [Block] of one of them by its name: what a {{define}} or {{block}} of the
// set declares. A name is only ever looked up in the set, and is never a path.
//
// A block that the set does not have is an error when it is rendered or sealed,
// and a token that names one is outdated.
func RegisterBlocks(r *Registry, name string, t *template.Template) func(block string) Block {
	set := &blockSet{name, t}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reserveName(reflect.TypeFor[Block](), name) {
		if t == nil {
			r.fault("blocks %q: the template is nil", name)
		}
		r.blocks[name] = set
	}
	return func(block string) Block { return Block{set, block} }
}

// HTML renders the block with data.
func (b Block) HTML(data any) (template.HTML, error) {
	if err := b.check(); err != nil {
		return "", fmt.Errorf("pagestate: %w", err)
	}
	var out strings.Builder
	if err := b.set.templates.ExecuteTemplate(&out, b.name, data); err != nil {
		return "", fmt.Errorf("pagestate: rendering a block: %w", err)
	}
	return template.HTML(out.String()), nil
}

func (b Block) check() error {
	if b.set == nil {
		return errors.New("the block is zero; make one with the function that RegisterBlocks returned")
	}
	if b.set.templates == nil || b.set.templates.Lookup(b.name) == nil {
		return fmt.Errorf("blocks %q has no template %q", b.set.name, b.name)
	}
	return nil
}

// savedBlock says how Block is saved: as the name of its set, with its own as
// the argument.
func (r *Registry) savedBlock() codec.Named {
	return codec.Named{
		Args: reflect.TypeFor[string](),
		Split: func(v reflect.Value) (string, reflect.Value, error) {
			b := v.Interface().(Block)
			if err := b.check(); err != nil {
				return "", reflect.Value{}, err
			}
			if r.blocks[b.set.name] != b.set {
				return "", reflect.Value{}, fmt.Errorf("blocks %q are not registered here", b.set.name)
			}
			return b.set.name, reflect.ValueOf(b.name), nil
		},
		Known: func(name string, block reflect.Value) bool {
			return Block{r.blocks[name], block.String()}.check() == nil
		},
		Join: func(v reflect.Value, name string, block reflect.Value) {
			v.Set(reflect.ValueOf(Block{r.blocks[name], block.String()}))
		},
	}
}
