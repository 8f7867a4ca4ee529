package form

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/pagestate/pagestate/internal/publicjson"
)

// reader makes fields of what was sent. Its methods return an error for what is
// over a limit, and report all else.
type reader struct {
	budget  publicjson.Budget
	message func(Problem) string
	errs    Errors
	failed  bool // whether the field has a problem
}

func newReader(size int, message func(Problem) string) *reader {
	if message == nil {
		message = Problem.String
	}
	return &reader{budget: publicjson.NewBudget(size), message: message, errs: make(Errors)}
}

func (r *reader) report(p Problem) {
	r.failed = true
	if _, told := r.errs[p.Field]; !told {
		r.errs[p.Field] = r.message(p)
	}
}

// fields returns a new value for each field, and an invalid one for those with a
// problem.
func (r *reader) fields(fields []publicjson.Field, sent [][]input) ([]reflect.Value, error) {
	fresh := make([]reflect.Value, len(fields))
	for i, f := range fields {
		v := reflect.New(f.Node.Type).Elem()
		r.failed = false
		if len(sent[i]) > 0 {
			if err := r.value(f.Node, v, sent[i], len(f.Name)); err != nil {
				return nil, err
			}
		}
		if !r.failed {
			fresh[i] = v
		}
	}
	return fresh, nil
}

// value sets v, which is zero. Its name in the form is the first at bytes of that
// of each input.
func (r *reader) value(n *publicjson.Node, v reflect.Value, sent []input, at int) error {
	if isScalar(n) {
		return r.one(n, v, sent[0])
	}
	if n.Form == publicjson.Pointer {
		if err := r.point(n, v); err != nil {
			return err
		}
		n, v = n.Elem, v.Elem()
	}
	switch {
	case n.Form == publicjson.Object:
		return r.object(n, v, sent, at)
	case n.Form == publicjson.Mapping:
		return r.mapping(n, v, sent, at)
	case len(sent[0].name) > at:
		return r.indexed(n, v, sent, at)
	case len(sent) > 1:
		r.report(Problem{Field: sent[0].name, Kind: Repeated})
		return nil
	}
	return r.repeated(n, v, sent[0])
}

// point makes what a pointer points to.
func (r *reader) point(n *publicjson.Node, v reflect.Value) error {
	if err := r.budget.Charge(1, int(n.Elem.Type.Size())); err != nil {
		return err
	}
	v.Set(reflect.New(n.Elem.Type))
	return nil
}

// one sets a scalar, of which there must be one.
func (r *reader) one(n *publicjson.Node, v reflect.Value, in input) error {
	if len(in.texts) > 1 {
		r.report(Problem{Field: in.name, Kind: Repeated})
		return nil
	}
	return r.scalar(n, v, in.name, in.texts[0])
}

// scalar sets v, or leaves it zero if the text is empty.
func (r *reader) scalar(n *publicjson.Node, v reflect.Value, name, text string) error {
	if pointedTo(n).Form != publicjson.Text {
		text = strings.TrimSpace(text)
	}
	if text == "" {
		return nil
	}
	if n.Form == publicjson.Pointer {
		if err := r.point(n, v); err != nil {
			return err
		}
		n, v = n.Elem, v.Elem()
	}
	if p := convert(n, v, text); p.Kind != "" {
		p.Field = name
		r.report(p)
	}
	return nil
}

func (r *reader) object(n *publicjson.Node, v reflect.Value, sent []input, at int) error {
	for step, inputs := range steps(sent, at) {
		for _, f := range n.Fields {
			if f.Name != step {
				continue
			}
			if err := r.value(f.Node, v.Field(f.Index), inputs, at+len(".")+len(step)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *reader) mapping(n *publicjson.Node, v reflect.Value, sent []input, at int) error {
	v.Set(reflect.MakeMap(n.Type))
	for step, inputs := range steps(sent, at) {
		if err := r.budget.Charge(1, n.MapSize.Next(v.Len())); err != nil {
			return err
		}
		key, elem := reflect.New(n.Type.Key()).Elem(), reflect.New(n.Elem.Type).Elem()
		if err := publicjson.SetKey(key, step); err != nil {
			return err
		}
		if err := r.value(n.Elem, elem, inputs, at+len(".")+len(step)); err != nil {
			return err
		}
		v.SetMapIndex(key, elem)
	}
	return nil
}

// repeated sets a list or an array to several values of one name.
func (r *reader) repeated(n *publicjson.Node, v reflect.Value, in input) error {
	count := len(in.texts)
	if n.Form == publicjson.List {
		if err := r.grow(n, v, count); err != nil {
			return err
		}
	} else if count != v.Len() {
		exactly := strconv.Itoa(v.Len())
		r.report(Problem{Field: in.name, Kind: WrongCount, Min: exactly, Max: exactly})
		return nil
	}
	for i, text := range in.texts {
		if err := r.scalar(n.Elem, v.Index(i), in.name, text); err != nil {
			return err
		}
	}
	return nil
}

// indexed sets a list or an array to elements that were sent with their indices.
func (r *reader) indexed(n *publicjson.Node, v reflect.Value, sent []input, at int) error {
	missed := Problem{Field: sent[0].name[:at], Kind: WrongCount, Max: strconv.Itoa(v.Len())}
	if n.Form == publicjson.List {
		count := 0
		for range steps(sent, at) {
			count++
		}
		if err := r.grow(n, v, count); err != nil {
			return err
		}
		missed.Kind, missed.Max = Gap, ""
	}
	for step, inputs := range steps(sent, at) {
		i, err := strconv.Atoi(step)
		if err != nil || i >= v.Len() {
			r.report(missed)
			return nil
		}
		if err := r.value(n.Elem, v.Index(i), inputs, at+len(".")+len(step)); err != nil {
			return err
		}
	}
	return nil
}

// grow makes the elements of a list.
func (r *reader) grow(n *publicjson.Node, v reflect.Value, count int) error {
	if err := r.budget.Charge(count, int(n.Elem.Type.Size())); err != nil {
		return err
	}
	v.Set(reflect.MakeSlice(n.Type, count, count))
	return nil
}
