package codec

import "reflect"

// FindRow calls f for each row of a model that v, a value of the plan's type,
// holds by value, until it returns true, and returns the path to that row. Rows
// behind a pointer are not v's own. It gives up on a value too large to be saved.
func (p *Plan) FindRow(v reflect.Value, f func(model *Plan, row reflect.Value) bool) (path string, found bool) {
	w := rowWalk{types: p.types, visit: f, left: maxVisited}
	path, found = w.walk(p.node, v)
	if w.gaveUp {
		return "", false
	}
	return path, found
}

// RowKey returns the key of a row of the plan, which is that of a model.
func (p *Plan) RowKey(row reflect.Value) any {
	return p.model.KeyOf(addressable(row).Addr()).Interface()
}

// maxVisited is how many values are looked at for rows.
const maxVisited = 1 << 16

type rowWalk struct {
	types *Types
	visit func(model *Plan, row reflect.Value) bool
	left  int // how many values may still be looked at
	depth int

	gaveUp bool
}

// walk returns true if it ends here: with the row that was looked for, or because
// the value is too large.
func (w *rowWalk) walk(n node, v reflect.Value) (path string, end bool) {
	if !w.types.holdsRows[n] {
		return "", false
	}
	if w.left == 0 || w.depth >= maxVisitedDepth {
		w.gaveUp = true
		return "", true
	}
	w.left--
	w.depth++
	defer func() { w.depth-- }()
	switch n := n.(type) {
	case *referenceNode:
		return "", !v.IsZero() && w.visit(n.plan, v)
	case *versionNode:
		return w.walk(n.node, v)
	case *structNode:
		for _, f := range n.fields {
			if path, end := w.walk(f.node, v.Field(f.index)); end {
				return "." + f.GoName + path, true
			}
		}
	case *pointerNode:
		if !v.IsNil() {
			return w.walk(n.elem, v.Elem())
		}
	case *sliceNode:
		return w.elements(n.elem, v)
	case *arrayNode:
		return w.elements(n.elem, v)
	case *mapNode:
		for it := v.MapRange(); it.Next(); {
			if path, end := w.walk(n.elem, it.Value()); end {
				return "[]" + path, true
			}
		}
	case *interfaceNode:
		if !v.IsNil() {
			return w.walk(w.types.held(v.Elem().Type()), v.Elem())
		}
	}
	return "", false
}

// maxVisitedDepth leaves room for what takes no level of MaxDepth: pointers and
// interfaces.
const maxVisitedDepth = 4 * MaxDepth

func (w *rowWalk) elements(elem node, v reflect.Value) (path string, end bool) {
	for i := range v.Len() {
		if path, end := w.walk(elem, v.Index(i)); end {
			return index(i) + path, true
		}
	}
	return "", false
}

// held returns the node of a type met behind an interface, nil if it is of none
// that can hold rows.
func (t *Types) held(typ reflect.Type) node {
	if p := t.byType[typ]; p != nil {
		return p.node
	}
	for i, basic := range basicTypes {
		if typ == basic {
			return t.basics[i]
		}
	}
	if typ.Kind() == reflect.Pointer {
		if p := t.byType[typ.Elem()]; p != nil {
			return p.pointer
		}
	}
	return nil
}

// findHolders notes the nodes whose values may hold rows by value.
func (t *Types) findHolders() {
	t.holdsRows = make(map[node]bool)
	if !t.hasModels() {
		return
	}
	seen := make(map[node]bool)
	for _, p := range t.order {
		reach(p.node, seen)
		reach(p.pointer, seen)
	}
	for _, basic := range t.basics {
		reach(basic, seen)
	}
	for before := -1; before < len(t.holdsRows); {
		before = len(t.holdsRows)
		for n := range seen {
			if t.mayHoldRows(n) {
				t.holdsRows[n] = true
			}
		}
	}
}

func (t *Types) hasModels() bool {
	for _, p := range t.order {
		if p.model != nil {
			return true
		}
	}
	return false
}

func (t *Types) mayHoldRows(n node) bool {
	switch n := n.(type) {
	case *referenceNode:
		return !n.pointer
	case *interfaceNode:
		return true
	default:
		for _, part := range parts(n) {
			if t.holdsRows[part] {
				return true
			}
		}
	}
	return false
}

// reach collects the nodes below n that have parts, are rows, or may be anything.
func reach(n node, seen map[node]bool) {
	switch n.(type) {
	case *referenceNode, *interfaceNode, *versionNode, *structNode, *pointerNode, *sliceNode, *arrayNode, *mapNode:
	default:
		return
	}
	if seen[n] {
		return
	}
	seen[n] = true
	for _, part := range parts(n) {
		reach(part, seen)
	}
}

// parts are the nodes of what a value of n consists of. No key of a map is a row.
func parts(n node) []node {
	switch n := n.(type) {
	case *versionNode:
		return []node{n.node}
	case *pointerNode:
		return []node{n.elem}
	case *sliceNode:
		return []node{n.elem}
	case *arrayNode:
		return []node{n.elem}
	case *mapNode:
		return []node{n.elem}
	case *structNode:
		var all []node
		for _, f := range n.fields {
			all = append(all, f.node)
		}
		return all
	}
	return nil
}
