package form

import (
	"cmp"
	"fmt"
	"iter"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/pagestate/pagestate/internal/codec"
	"github.com/pagestate/pagestate/internal/publicjson"
)

// input is a name of a form, and what was sent under it: at least one text.
type input struct {
	name  string
	texts []string
}

// collect returns what was sent for each field, in the order of their names, and
// how many bytes that is. Names that lead to no value are left out.
func collect(values url.Values, fields []publicjson.Field) (sent [][]input, size int, err error) {
	sent = make([][]input, len(fields))
	for name, texts := range values {
		top, _ := cutStep(name)
		i := slices.IndexFunc(fields, func(f publicjson.Field) bool { return f.Name == top })
		if i < 0 || len(texts) == 0 {
			continue
		}
		if size += bytesOf(name, texts...); size > publicjson.MaxBytes {
			return nil, 0, errTooMany
		}
		levels, ok := reach(fields[i].Node, name[len(top):])
		if !ok {
			continue
		}
		if levels > codec.MaxDepth {
			return nil, 0, errTooDeep
		}
		sent[i] = append(sent[i], input{name, texts})
	}
	for _, inputs := range sent {
		slices.SortFunc(inputs, func(a, b input) int { return compareNames(a.name, b.name) })
	}
	return sent, size, nil
}

var (
	errTooMany = fmt.Errorf("%w: more than %d bytes of names and values", codec.ErrLimit, publicjson.MaxBytes)
	errTooDeep = fmt.Errorf("%w: nested deeper than %d levels", codec.ErrLimit, codec.MaxDepth)
)

// bytesOf is what a name and its texts count against the limit: what they take
// in a query, with nothing escaped.
func bytesOf(name string, texts ...string) int {
	size := 0
	for _, text := range texts {
		size += len(name) + len("=") + len(text) + len("&")
	}
	return size
}

// reach follows path, what a name has behind that of a field, from the field's
// node. It reports whether it leads to a value that a form can hold, and how
// many structs, lists and maps are open there.
func reach(n *publicjson.Node, path string) (levels int, ok bool) {
	levels = 1
	for path != "" {
		var step string
		step, path = cutStep(path[1:])
		if n = inside(pointedTo(n), step); n == nil {
			return 0, false
		}
		levels++
	}
	if isRepeatable(pointedTo(n)) {
		return levels + 1, true
	}
	return levels, isScalar(n)
}

// inside returns the node of a field, element or entry of n. It is nil if step
// can be none.
func inside(n *publicjson.Node, step string) *publicjson.Node {
	switch n.Form {
	case publicjson.Object:
		for _, f := range n.Fields {
			if f.Name == step {
				return f.Node
			}
		}
	case publicjson.List, publicjson.Array:
		if isIndex(step) {
			return n.Elem
		}
	case publicjson.Mapping:
		if publicjson.SetKey(reflect.New(n.Type.Key()).Elem(), step) == nil {
			return n.Elem
		}
	}
	return nil
}

// isIndex reports whether a step is a whole number as strconv.Itoa writes it,
// however large.
func isIndex(step string) bool {
	return step == "0" || step != "" && step[0] != '0' && strings.Trim(step, "0123456789") == ""
}

// cutStep returns what stands in front of the first point of a name, and the
// rest with that point.
func cutStep(name string) (step, rest string) {
	if i := strings.IndexByte(name, '.'); i >= 0 {
		return name[:i], name[i:]
	}
	return name, ""
}

// compareNames orders names so that those with a step in common stand together:
// a point comes before every other byte.
func compareNames(a, b string) int {
	for i := range min(len(a), len(b)) {
		switch {
		case a[i] == b[i]:
		case a[i] == '.':
			return -1
		case b[i] == '.':
			return 1
		default:
			return cmp.Compare(a[i], b[i])
		}
	}
	return cmp.Compare(len(a), len(b))
}

// steps yields what the names of sent, in order, have behind their first at bytes
// and a point, up to the next point, each with the inputs that share it.
func steps(sent []input, at int) iter.Seq2[string, []input] {
	return func(yield func(string, []input) bool) {
		for len(sent) > 0 {
			step := stepAt(sent[0], at)
			n := 1
			for n < len(sent) && stepAt(sent[n], at) == step {
				n++
			}
			if !yield(step, sent[:n]) {
				return
			}
			sent = sent[n:]
		}
	}
}

func stepAt(in input, at int) string {
	step, _ := cutStep(in.name[at+len("."):])
	return step
}
