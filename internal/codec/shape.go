package codec

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pagestate/pagestate/internal/wire"
)

// The shapes say which fields the payload's structs had when it was written.
// For each component they hold a table: the component's own signature, and for
// each struct type below it the names of the saved fields, each with its
// signature. Usually that is the very table the component has today, and then
// comparing the two is all there is to do.
//
// A signature is a type, spelled by kind: a letter for a scalar, "[" before the
// element of a slice, "{3}" for the struct at place 3 of the table.

// table is a parsed table: the root's signature, and for each struct type its
// fields as alternating names and signatures.
type table struct {
	root    string
	structs [][]string
}

// signer spells signatures and collects the struct types it meets.
type signer struct {
	structs []*structNode
	stack   []node // what the signature being spelled is inside of
	sig     strings.Builder
}

// newTable returns the table of root, and the struct types in its order.
func newTable(root node) (table, []*structNode) {
	s := &signer{}
	t := table{root: s.spell(root)}
	for i := 0; i < len(s.structs); i++ { // grows while it is read
		var fields []string
		for _, f := range s.structs[i].fields {
			fields = append(fields, f.Name, s.spell(f.node))
		}
		t.structs = append(t.structs, fields)
	}
	return t, s.structs
}

func (s *signer) spell(n node) string {
	s.sig.Reset()
	s.node(n)
	return s.sig.String()
}

func (s *signer) text(sig string) { s.sig.WriteString(sig) }

// node spells n. A type that is inside of itself without a struct between is
// spelled as the number of levels up to it.
func (s *signer) node(n node) {
	if i := slices.Index(s.stack, n); i >= 0 {
		s.text("^" + strconv.Itoa(len(s.stack)-i) + ";")
		return
	}
	s.stack = append(s.stack, n)
	n.signature(s)
	s.stack = s.stack[:len(s.stack)-1]
}

func (s *signer) structType(n *structNode) {
	i := slices.Index(s.structs, n)
	if i < 0 {
		i = len(s.structs)
		s.structs = append(s.structs, n)
	}
	s.text("{" + strconv.Itoa(i) + "}")
}

// append writes the table as MessagePack.
func (t table) append(b []byte) []byte {
	b = wire.AppendArrayHeader(b, 1+len(t.structs))
	b = wire.AppendString(b, t.root)
	for _, fields := range t.structs {
		b = wire.AppendArrayHeader(b, len(fields))
		for _, s := range fields {
			b = wire.AppendString(b, s)
		}
	}
	return b
}

// parseTable reads what append wrote of a table that newTable made.
func parseTable(b []byte) (*table, error) {
	d := newDecoder(b)
	n, err := d.ArrayHeader()
	if err != nil {
		return nil, err
	}
	if err := cmp.Or(d.elements(n, 1), d.charge(n, sliceSize)); err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, malformed("a table without a type")
	}
	t := &table{structs: make([][]string, 0, n-1)}
	if t.root, err = d.string(); err != nil {
		return nil, err
	}
	for range n - 1 {
		fields, err := d.fields()
		if err != nil {
			return nil, err
		}
		t.structs = append(t.structs, fields)
	}
	if d.Left() > 0 {
		return nil, malformed("more than a table")
	}
	return t, t.check()
}

// stringSize is what a string takes beside its bytes.
const stringSize = 16

// fields reads names and signatures. The names stand in a second list while the
// table is checked.
func (d *decoder) fields() ([]string, error) {
	n, err := d.ArrayHeader()
	if err != nil {
		return nil, err
	}
	if err := cmp.Or(d.elements(n, 1), d.charge(n, stringSize+stringSize/2)); err != nil {
		return nil, err
	}
	if n%2 != 0 {
		return nil, malformed("a field without a signature")
	}
	fields := make([]string, n)
	for i := range fields {
		if fields[i], err = d.string(); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

// views tells for each struct type, where data was written by another version
// of it, which field each of the written ones is now.
type views map[*structNode][]int

// dropped stands in a view for a field that the type no longer has.
const dropped = -1

// pair is a struct type of a table that was written, and the one of today in
// its place.
type pair struct{ written, own uint64 }

// views compares a table that was written with the component's own. Fields may
// come and go; one of another kind means ErrOutdated, wherever it stands.
func (p *Plan) views(written *table) (views, error) {
	pairs, ok := match(nil, written.root, p.table.root)
	if !ok {
		return nil, outdated(p.Name)
	}
	seen := make(map[uint64]uint64) // own: written
	v := make(views)
	for len(pairs) > 0 {
		next := pairs[len(pairs)-1]
		pairs = pairs[:len(pairs)-1]
		if before, ok := seen[next.own]; ok {
			// One type in the place of two former ones could be read, but
			// only with a view for each way to reach it.
			if before != next.written {
				return nil, fmt.Errorf("%w: %s stands where two types stood", ErrOutdated, p.structs[next.own].typ)
			}
			continue
		}
		seen[next.own] = next.written
		view, below, err := p.view(written.structs[next.written], next.own)
		if err != nil {
			return nil, err
		}
		v[p.structs[next.own]] = view
		pairs = append(pairs, below...)
	}
	return v, nil
}

// view compares the fields of one struct type.
func (p *Plan) view(written []string, own uint64) (view []int, below []pair, err error) {
	s := p.structs[own]
	place := make(map[string]int, len(s.fields))
	for i, f := range s.fields {
		place[f.Name] = i
	}
	for i := 0; i < len(written); i += 2 {
		name, sig := written[i], written[i+1]
		at, ok := place[name]
		if !ok {
			view = append(view, dropped)
			continue
		}
		view = append(view, at)
		if below, ok = match(below, sig, p.table.structs[own][2*at+1]); !ok {
			return nil, nil, outdated(s.typ.String() + "." + s.fields[at].GoName)
		}
	}
	return view, below, nil
}

func outdated(what string) error {
	return fmt.Errorf("%w: %s has changed its kind", ErrOutdated, what)
}

// match compares two signatures that are well formed, and appends the struct types
// that stand in the same place of both.
func match(pairs []pair, written, own string) ([]pair, bool) {
	for written != "" && own != "" {
		if written[0] != own[0] {
			return nil, false
		}
		var size int
		switch own[0] {
		case '{':
			var p pair
			p.written, written, _ = cutNumber(written[1:], "}")
			p.own, own, _ = cutNumber(own[1:], "}")
			pairs = append(pairs, p) // both are behind it now, so size stays 0
		case '<', '&':
			// A registered name may hold any character.
			n, rest, _ := strings.Cut(own[1:], ":")
			length, _ := strconv.Atoi(n)
			size = len(own) - len(rest) + length
		default:
			size = 1
		}
		if len(written) < size || written[:size] != own[:size] {
			return nil, false
		}
		written, own = written[size:], own[size:]
	}
	return pairs, written == own
}

// group is a component whose table stands in the data.
type group struct {
	name  string
	table []byte
	other *table // nil if the table is the component's own
	plan  *Plan  // nil until the value refers to it
	views views  // of other
}

var groupSize = int(reflect.TypeFor[group]().Size())

// component returns the component at place i of the shapes. They stand in the
// order in which the value refers to them.
func (d *decoder) component(i int, t *Types) (*group, error) {
	if i > d.met || i >= len(d.groups) {
		return nil, malformed("an unknown type number")
	}
	d.met = max(d.met, i+1)
	g := &d.groups[i]
	if g.plan != nil {
		return g, nil
	}
	plan := t.byName[g.name]
	if plan == nil {
		return nil, fmt.Errorf("%w: it holds a type that is not registered", ErrOutdated)
	}
	g.plan = plan
	if g.other == nil {
		return g, nil
	}
	var err error
	g.views, err = plan.views(g.other)
	return g, err
}

// appendShapes writes the tables of the components, the sealed one first. It
// goes without its name, which stands outside.
func appendShapes(b []byte, plans []*Plan) []byte {
	b = wire.AppendArrayHeader(b, 2*len(plans)-1)
	for i, p := range plans {
		if i > 0 {
			b = wire.AppendString(b, p.Name)
		}
		b = wire.AppendBytes(b, p.encodedTable)
	}
	return b
}

// readShapes reads what appendShapes wrote for data of the component p, and
// returns the payload behind it.
func readShapes(p *Plan, data []byte) (groups []group, payload []byte, err error) {
	d := newDecoder(data)
	n, err := d.ArrayHeader()
	if err != nil {
		return nil, nil, err
	}
	if err := cmp.Or(d.elements(n, 1), d.charge((n+1)/2, groupSize+stringSize)); err != nil {
		return nil, nil, err
	}
	if n%2 == 0 {
		return nil, nil, malformed("shapes without a type, or with one of no name")
	}
	groups = make([]group, (n+1)/2)
	names := make([]string, len(groups))
	for i := range groups {
		name := p.Name
		if i > 0 {
			if name, err = d.string(); err != nil {
				return nil, nil, err
			}
		}
		table, err := d.Bytes()
		if err != nil {
			return nil, nil, err
		}
		groups[i] = group{name: name, table: table}
		names[i] = name
	}
	if !distinct(names) {
		return nil, nil, malformed("a type twice, or one without a name")
	}
	groups[0].plan = p
	for i := range groups {
		if err := groups[i].parse(p.types); err != nil {
			return nil, nil, err
		}
	}
	return groups, d.Rest(), nil
}

// parse reads the table, unless it is the component's own. What it says is only
// compared when the value refers to it.
func (g *group) parse(t *Types) (err error) {
	known := g.plan
	if known == nil {
		known = t.byName[g.name]
	}
	if known != nil && string(g.table) == string(known.encodedTable) {
		return nil
	}
	g.other, err = parseTable(g.table)
	return err
}
