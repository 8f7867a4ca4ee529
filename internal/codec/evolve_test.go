package codec

import (
	"bytes"
	"errors"
	"html/template"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

// What becomes of saved data when the types change between two deploys.

// deploy is the set of types of one version of an application.
type deploy func(*Types)

func registered[T any](name string, version int) deploy {
	return func(t *Types) { t.Add(name, reflect.TypeFor[T](), version) }
}

func custom[T any](name string, c Custom) deploy {
	return func(t *Types) { t.AddCustom(name, reflect.TypeFor[T](), c) }
}

// evolve encodes v as the first deploy has it, and decodes that as the second.
func evolve(t *testing.T, v, want any, before, after []deploy) (any, error) {
	t.Helper()
	plan := func(typ reflect.Type, deploys []deploy) *Plan {
		types := NewTypes()
		for _, d := range deploys {
			d(types)
		}
		if types.Name("root") == nil {
			types.Add("root", typ, 0)
		}
		return compile(t, types).Name("root")
	}
	data := mustEncode(t, plan(reflect.TypeOf(v), before), v)
	return decodeValue(plan(reflect.TypeOf(want), after), data)
}

type (
	address1 struct{ Street, City string }
	address2 struct {
		City   string
		Zip    string
		Street string
	}
	address3 struct {
		Town string `state:"City"`
	}
	address4 struct {
		City   []byte
		Street string
	}
	home  struct{ Address address1 }
	away  struct{ Address address1 }
	homes struct {
		Home  *home
		Away  *away
		Extra point
		Last  address1
	}
	homesAfter struct {
		Last  address2
		Away  *awayAfter
		Home  *homeAfter
		First map[string]homeAfter
	}
	homeAfter struct{ Address address2 }
	awayAfter struct{ Address address2 }

	left     struct{ A int }
	right    struct{ A int }
	both     struct{ A int }
	twoTypes struct {
		L []left
		R []right
	}
	oneType    struct{ L, R []both }
	listBefore struct {
		Value int
		Old   string
		Next  *listBefore
	}
	listAfter struct {
		Next  *listAfter
		Value int
		New   string
	}
	wide struct{ A, B int }
)

func TestFieldsComeAndGo(t *testing.T) {
	tests := []struct {
		name    string
		v, want any
	}{
		{"added", struct{ A int }{1}, struct{ B, A int }{0, 1}},
		{"removed", struct{ A, B int }{1, 2}, struct{ B int }{2}},
		{"all removed", struct{ A, B int }{1, 2}, struct{}{}},
		{"none before", struct{}{}, struct{ A int }{}},
		{"reordered", struct {
			A int
			B string
		}{1, "b"}, struct {
			B string
			A int
		}{"b", 1}},
		{"renamed in Go only", struct{ A int }{1}, struct {
			B int `state:"A"`
		}{1}},
		{"renamed", struct{ A int }{1}, struct{ B int }{}},
		{"swapped by tags", struct{ A, B int }{1, 2}, struct {
			A int `state:"B"`
			B int `state:"A"`
		}{2, 1}},
		{"a named type of the same kind", struct {
			A string
			B int64
			C []byte
		}{"a", 1, []byte{1}}, struct {
			A shout
			B time.Duration
			C namedBytes
		}{"a", 1, namedBytes{1}}},
		{"in a struct", in(address1{"s", "c"}), in(address2{Street: "s", City: "c"})},
		{"in a slice", in([]address1{{"s", "c"}, {}}), in([]address2{{Street: "s", City: "c"}, {}})},
		{"in an array", in([2]address1{{"s", "c"}}), in([2]address2{{Street: "s", City: "c"}})},
		{"in a map", in(map[string]address1{"k": {"s", "c"}}), in(map[string]address3{"k": {"c"}})},
		{"in a map key", in(map[point]int{{1, 2}: 3}), in(map[struct{ Y int32 }]int{{2}: 3})},
		{"behind pointers", in(new(&address1{"s", "c"})), in(new(&address3{"c"}))},
		{"in a recursive struct", listBefore{1, "o", &listBefore{2, "o", nil}}, listAfter{Value: 1, Next: &listAfter{Value: 2}}},
		{"places of struct types shift",
			homes{&home{address1{"1", "2"}}, &away{address1{"3", "4"}}, point{5, 6}, address1{"7", "8"}},
			homesAfter{address2{Street: "7", City: "8"}, &awayAfter{address2{Street: "3", City: "4"}}, &homeAfter{address2{Street: "1", City: "2"}}, nil}},
		{"one type becomes two", oneType{[]both{{1}}, []both{{2}}}, twoTypes{[]left{{1}}, []right{{2}}}},
		{"embedded", struct {
			Exported
			N int
		}{Exported{1}, 2}, struct{ Exported struct{ B, A int } }{struct{ B, A int }{0, 1}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := evolve(t, test.v, test.want, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !same(reflect.ValueOf(got), reflect.ValueOf(test.want)) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestChangedKinds(t *testing.T) {
	tests := []struct {
		name    string
		v, want any
	}{
		{"int and int64", in(1), in(int64(1))},
		{"int and uint", in(1), in(uint(1))},
		{"int32 and int64", in(int32(1)), in(int64(1))},
		{"float32 and float64", in(float32(1)), in(1.0)},
		{"string and bytes", in("a"), in([]byte("a"))},
		{"bytes and array of bytes", in([]byte("a")), in([1]byte{})},
		{"bytes and slice of int8", in([]byte("a")), in([]int8{})},
		{"array of another length", in([2]int{}), in([3]int{})},
		{"array of another length, by its first digit", in([1]int{}), in([10]int{})},
		{"array of bytes of another length", in([2]byte{}), in([3]byte{})},
		{"slice and array", in([]int{}), in([0]int{})},
		{"value and pointer", in(1), in(new(1))},
		{"pointer and pointer to pointer", in((*int)(nil)), in((**int)(nil))},
		{"string and HTML", in("a"), in(template.HTML("a"))},
		{"HTML and string", in(template.HTML("a")), in("a")},
		{"HTML and JS", in(template.HTML("a")), in(template.JS("a"))},
		{"URL and template.URL", in(url.URL{}), in(template.URL("a"))},
		{"time and int64", in(time.Time{}), in(int64(1))},
		{"struct and map", in(point{}), in(map[string]int32{})},
		{"struct and interface", in(point{}), in(any(nil))},
		{"map and slice", in(map[string]int{}), in([]int{})},
		{"map key", in(map[string]int{}), in(map[int]int{})},
		{"map element", in(map[string]int{}), in(map[string]string{})},
		{"behind an empty slice", in([]address1{}), in([]address4{})},
		{"behind a nil slice", in([]address1(nil)), in([]address4(nil))},
		{"behind a nil pointer", in((*address1)(nil)), in((*address4)(nil))},
		{"in an empty map", in(map[string]address1{}), in(map[string]address4{})},
		{"in the key of an empty map", in(map[wide]int{}), in(map[struct{ A string }]int{})},
		{"in an array of none", in([0]address1{}), in([0]address4{})},
		{"in a struct in a struct", in(home{}), in(struct{ Address address4 }{})},
		{"in the second of two", twoTypes{}, struct {
			L []left
			R []struct{ A string }
		}{}},
		{"in a recursive struct", listBefore{}, struct{ Next *struct{ Value string } }{}},
		{"recursion of another depth", in(tree{}), in([]any{})},
		{"two types merged into one", twoTypes{}, oneType{}},
		{"two types merged into one, one of them unused", twoTypes{L: []left{{1}}}, oneType{}},
		{"two types that differed merged into one", struct {
			L *left
			R *wide
		}{}, struct{ L, R *both }{}},
		{"two map keys become one", map[point]int{{1, 2}: 1, {3, 2}: 2}, map[struct{ Y int32 }]int{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got, err := evolve(t, test.v, test.want, nil, nil); !errors.Is(err, ErrOutdated) {
				t.Errorf("got %+v and %v, want %v", got, err, ErrOutdated)
			}
		})
	}
}

func TestRegisteredTypesChange(t *testing.T) {
	decimal := custom[money]("decimal", moneyCodec)
	type before struct{ A, B int }
	type after struct{ B, C int }
	type changed struct{ B string }
	tests := []struct {
		name          string
		v, want       any
		before, after []deploy
		err           error
	}{
		{"version of the component", point{1, 2}, point{1, 2},
			[]deploy{registered[point]("root", 1)}, []deploy{registered[point]("root", 1)}, nil},
		{"another version of the component", point{}, point{},
			[]deploy{registered[point]("root", 1)}, []deploy{registered[point]("root", 2)}, ErrOutdated},
		{"version 1 and 10", point{}, point{},
			[]deploy{registered[point]("root", 1)}, []deploy{registered[point]("root", 10)}, ErrOutdated},
		{"a first version", point{}, point{},
			nil, []deploy{registered[point]("root", 1)}, ErrOutdated},
		{"no version any more", point{}, point{},
			[]deploy{registered[point]("root", 1)}, nil, ErrOutdated},
		{"version of a component in it", in([]point{}), in([]point{}),
			[]deploy{registered[point]("point", 1)}, []deploy{registered[point]("point", 2)}, ErrOutdated},
		{"version of a component in an interface", in(any(point{})), in(any(nil)),
			[]deploy{registered[point]("point", 1)}, []deploy{registered[point]("point", 2)}, ErrOutdated},
		{"registered under a name", in(point{1, 2}), in(point{1, 2}),
			nil, []deploy{registered[point]("point", 0)}, nil},

		{"fields of a type in an interface", in([]any{before{1, 2}, &before{3, 4}}), in([]any{after{2, 0}, &after{4, 0}}),
			[]deploy{registered[before]("x", 0)}, []deploy{registered[after]("x", 0)}, nil},
		{"fields around an interface", struct {
			A int
			V any
			B []before
		}{1, before{1, 2}, []before{{3, 4}}}, struct {
			V any
			B []after
		}{before{1, 2}, []after{{4, 0}}},
			[]deploy{registered[before]("x", 0)}, []deploy{registered[before]("x", 0)}, nil},
		{"a changed kind in an interface", in(any(before{})), in(any(nil)),
			[]deploy{registered[before]("x", 0)}, []deploy{registered[changed]("x", 0)}, ErrOutdated},
		{"a type in an interface is gone", in([]any{1, before{}}), in([]any{}),
			[]deploy{registered[before]("x", 0)}, nil, ErrOutdated},
		{"a pointer in an interface is gone", in(any((*before)(nil))), in(any(nil)),
			[]deploy{registered[before]("x", 0)}, nil, ErrOutdated},
		{"a type has another name", in(any(before{})), in(any(nil)),
			[]deploy{registered[before]("x", 0)}, []deploy{registered[before]("y", 0)}, ErrOutdated},
		{"another type has the name", in(any(item{})), in(shown(nil)),
			[]deploy{registered[item]("x", 0)}, []deploy{registered[point]("x", 0), registered[item]("item", 0)}, ErrOutdated},
		{"a dropped field held a type that is gone", struct {
			A any
			B any
		}{[]any{before{}, before{}}, point{1, 2}}, struct{ B any }{point{1, 2}},
			[]deploy{registered[before]("x", 0), registered[point]("point", 0)}, []deploy{registered[point]("point", 0)}, nil},
		{"a dropped field in an interface held a type that is gone", in([]any{struct1{item{}, 1}, item{"a"}}), in([]any{struct2{1}, item{"a"}}),
			[]deploy{registered[struct1]("x", 0), registered[item]("item", 0)}, []deploy{registered[struct2]("x", 0), registered[item]("item", 0)}, nil},
		{"a basic type is registered now", in(any(time.Second)), in(any(time.Second)),
			nil, []deploy{registered[time.Duration]("d", 0)}, ErrOutdated},
		{"a basic type is not registered any more", in(any(time.Second)), in(any(nil)),
			[]deploy{registered[time.Duration]("d", 0)}, nil, ErrOutdated},
		{"a registered basic type", in(any([]any{time.Second})), in(any([]any{time.Second})),
			[]deploy{registered[time.Duration]("d", 1)}, []deploy{registered[time.Duration]("d", 1)}, nil},

		{"the same codec", in(money{1}), in(money{1}), []deploy{decimal}, []deploy{decimal}, nil},
		{"a codec of another name as long", in(money{1}), in(money{1}), []deploy{custom[money]("m", moneyCodec)}, []deploy{custom[money]("n", moneyCodec)}, ErrOutdated},
		{"a codec of another name", in(money{1}), in(money{1}), []deploy{decimal}, []deploy{custom[money]("money", moneyCodec)}, ErrOutdated},
		{"a codec of another type", in(any(money{1})), in(any(nil)), []deploy{decimal}, []deploy{registered[point]("decimal", 0)}, ErrOutdated},
		{"a codec whose name is a signature", struct {
			A money
			B int
		}{money{1}, 1}, struct {
			A money
			B int
		}{money{1}, 1}, []deploy{custom[money]("{0}:7", moneyCodec)}, []deploy{custom[money]("{0}:7", moneyCodec), registered[point]("p", 0)}, nil},
		{"a longer name that begins alike", in(map[money]point{}), in(map[money]address3{}),
			[]deploy{custom[money]("m", moneyCodec)}, []deploy{custom[money]("mm", moneyCodec)}, ErrOutdated},
		{"fields behind a codec", struct {
			F map[money]address1
			G int
		}{map[money]address1{{1}: {"s", "c"}}, 1}, struct{ F map[money]address3 }{map[money]address3{{1}: {"c"}}},
			[]deploy{custom[money]("a}:{9", moneyCodec)}, []deploy{custom[money]("a}:{9", moneyCodec)}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := evolve(t, test.v, test.want, test.before, test.after)
			if !errors.Is(err, test.err) {
				t.Fatalf("got %+v and %v, want %v", got, err, test.err)
			}
			if err == nil && !same(reflect.ValueOf(got), reflect.ValueOf(test.want)) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

type (
	struct1 struct {
		A any
		B int
	}
	struct2 struct{ B int }
)

// A field of whatever kind can go.
func TestDroppedFields(t *testing.T) {
	for _, test := range values {
		typ := reflect.StructOf([]reflect.StructField{
			{Name: "Before", Type: reflect.TypeFor[string]()},
			{Name: "Gone", Type: reflect.TypeOf(test.v)},
			{Name: "After", Type: reflect.TypeFor[[]int]()},
		})
		v := reflect.New(typ).Elem()
		v.Field(0).SetString("before")
		v.Field(1).Set(reflect.ValueOf(test.v))
		v.Field(2).Set(reflect.ValueOf([]int{1, 2}))
		types := newTypes(typ)
		types.Add("gone", reflect.TypeOf(test.v), 0)
		data := mustEncode(t, compile(t, types).Name("root"), v.Interface())

		type after struct {
			After  []int
			Before string
		}
		got, err := decodeValue(planOf(t, reflect.TypeFor[after]()), data)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if want := (after{[]int{1, 2}, "before"}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", test.name, got, want)
		}
	}
}

func TestOutdatedErrors(t *testing.T) {
	tests := []struct {
		v, want any
		err     string
	}{
		{address1{}, address4{}, "address4: saved by another version of the type: codec.address4.City has changed its kind"},
		{celsius(1), 2, "int: saved by another version of the type: root has changed its kind"},
		{twoTypes{}, oneType{}, "oneType: saved by another version of the type: codec.both stands where two types stood"},
		{map[point]int{{1, 2}: 1, {3, 2}: 2}, map[struct1Key]int{}, "map[codec.struct1Key]int: saved by another version of the type: two map keys have become one"},
		{[]any{item{}}, []any{}, "[]interface {}[0]: saved by another version of the type: it holds a type that is not registered"},
	}
	for _, test := range tests {
		before := []deploy{registered[item]("item", 0)}
		if _, err := evolve(t, test.v, test.want, before, nil); err == nil || err.Error() != test.err {
			t.Errorf("got  %v\nwant %s", err, test.err)
		}
	}
}

type struct1Key struct{ Y int32 }

// A key that stands there twice was never encoded: that is no matter of versions.
func TestKeyTwiceBehindAnOtherTable(t *testing.T) {
	type before struct {
		M    map[point]int
		Gone int
	}
	type after struct{ M map[point]int }
	data := mustEncode(t, planOf(t, reflect.TypeFor[before]()), before{M: map[point]int{{1, 2}: 1, {1, 3}: 2}})
	data = bytes.Replace(data, []byte{0x92, 1, 3}, []byte{0x92, 1, 2}, 1)
	if got, err := decodeValue(planOf(t, reflect.TypeFor[after]()), data); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %+v, %v, want %v", got, err, ErrMalformed)
	}
}

// What a table written by someone else says is compared and never trusted.
func TestForeignTables(t *testing.T) {
	type own struct {
		A []point
		B map[money]string
	}
	p := planOf(t, reflect.TypeFor[own]())
	good := table{root: "{0}", structs: [][]string{{"B", "m<5:moneys", "A", "[{1}"}, {"Y", "w"}}}
	payload := "92 80 91 91 01"
	tests := []struct {
		name   string
		change func(*table)
		want   error
	}{
		{"as it is", func(*table) {}, nil},
		{"root", func(t *table) { t.root = "[" + t.root }, ErrOutdated},
		{"empty root", func(t *table) { t.root = "" }, ErrOutdated},
		{"no end of a root", func(t *table) { t.root = "{0" }, ErrOutdated},
		{"leading zero", func(t *table) { t.root = "{00}" }, ErrOutdated},
		{"no number", func(t *table) { t.root = "{}" }, ErrOutdated},
		{"negative", func(t *table) { t.root = "{-1}" }, ErrOutdated},
		{"too large", func(t *table) { t.root = "{99999999999999999999}" }, ErrOutdated},
		{"no such struct", func(t *table) { t.root = "{2}" }, ErrMalformed},
		{"no such struct below", func(t *table) { t.structs[0][3] = "[{7}" }, ErrMalformed},
		{"more behind a signature", func(t *table) { t.structs[0][3] += "s" }, ErrOutdated},
		{"codec cut short", func(t *table) { t.structs[0][1] = "m<5:mon" }, ErrOutdated},
		{"codec of another length", func(t *table) { t.structs[0][1] = "m<05:moneys" }, ErrOutdated},
		{"field twice", func(t *table) { t.structs[1] = append(t.structs[1], t.structs[1]...) }, ErrMalformed},
		{"dropped field", func(t *table) { t.structs[1][0], t.structs[1][1] = "Z", "b" }, nil},
		{"dropped field of an unknown signature", func(t *table) { t.structs[1][0], t.structs[1][1] = "Z", "q" }, ErrOutdated},
		{"dropped field of no such struct", func(t *table) { t.structs[1][0], t.structs[1][1] = "Z", "{77}" }, ErrMalformed},
		{"dropped field twice", func(t *table) {
			t.root, t.structs = "{0}", [][]string{{"Y", "w", "Y", "w"}}
		}, ErrMalformed},
		{"dropped field of no name", func(t *table) { t.structs[1][0] = "" }, ErrMalformed},
		{"itself in itself", func(t *table) { t.structs[0][3] = "[{0}" }, ErrMalformed},
		{"structs out of order", func(t *table) {
			t.structs[1] = []string{"Z", "m{3}{2}"}
			t.structs = append(t.structs, nil, nil)
		}, ErrMalformed},
		{"a struct type nobody refers to", func(t *table) { t.structs = append(t.structs, []string{"A", "?"}) }, ErrMalformed},
		{"a struct type that only itself refers to", func(t *table) { t.structs = append(t.structs, []string{"A", "*{2}"}) }, ErrMalformed},
	}
	for _, test := range tests {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			written := table{root: good.root}
			for _, fields := range good.structs {
				written.structs = append(written.structs, append([]string(nil), fields...))
			}
			test.change(&written)
			shapes := appendShapes(nil, []*Plan{{encodedTable: written.append(nil)}})
			_, err := decodeValue(p, append(shapes, unhex(payload)...))
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// A signature is checked in a field that is dropped too.
func TestSkippedSignatures(t *testing.T) {
	p := planOf(t, reflect.TypeFor[struct{}]())
	tests := []struct {
		sig  string
		want error
	}{
		{"b", nil}, {"?", nil}, {"Th", nil}, {"Te", nil}, {"Y16;", nil}, {"Y0;", nil}, {"(3)i", nil}, {"*[(0)s", nil},
		{"msi", nil}, {"mm1", ErrOutdated}, {"ms?", nil}, {"m(2){1}[{1}", nil}, {"{0}", nil}, {"{1}", nil},
		{"<5:money", nil}, {"<2:é", nil}, {"<3:}:{", nil}, {"&4:todoi", nil}, {"&1:t{1}", nil}, {"@s", nil}, {"@{1}", nil}, {"*@&1:ti", nil},
		{"v1;{1}", nil}, {"*v20;[i", nil}, {"v9223372036854775807;i", nil},
		{"[^1;", nil}, {"ms*^2;", nil}, {"v2;[^1;", nil}, {"ms*^1;", nil}, {"m*i^1;", nil}, {"m[i[^2;", nil},
		{strings.Repeat("*", 1000) + "^1000;", nil}, {strings.Repeat("ms", 1000) + "i", nil},

		{"", ErrOutdated}, {" ", ErrOutdated}, {"q", ErrOutdated}, {"B", ErrOutdated}, {"T", ErrOutdated}, {"Tx", ErrOutdated}, {"Thh", ErrOutdated}, {"ii", ErrOutdated},
		{"*", ErrOutdated}, {"ms", ErrOutdated}, {"m", ErrOutdated}, {"[]", ErrOutdated}, {"\xff", ErrOutdated}, {"é", ErrOutdated},
		{"Y", ErrOutdated}, {"Y;", ErrOutdated}, {"Y01;", ErrOutdated}, {"Y-1;", ErrOutdated}, {"Y+1;", ErrOutdated}, {"Y1_0;", ErrOutdated}, {"Y9223372036854775808;", ErrOutdated},
		{"(3)", ErrOutdated}, {"()i", ErrOutdated}, {"(3i", ErrOutdated},
		{"<0:", ErrOutdated}, {"<6:money", ErrOutdated}, {"<4:money", ErrOutdated}, {"<05:money", ErrOutdated}, {"<5money", ErrOutdated},
		{"&4:todo", ErrOutdated}, {"&0:i", ErrOutdated}, {"&4:todoii", ErrOutdated}, {"@", ErrOutdated},
		{"v0;{1}", ErrOutdated}, {"v1;", ErrOutdated}, {"v1;v1;i", ErrOutdated}, {"v{1}", ErrOutdated}, {"v9223372036854775808;i", ErrOutdated},
		{"^1;", ErrOutdated}, {"[^0;", ErrOutdated}, {"[^2;", ErrOutdated}, {"v2;^1;", ErrOutdated}, {"ms*^3;", ErrOutdated}, {"m*i^2;", ErrOutdated}, {strings.Repeat("*", 1000) + "^1001;", ErrOutdated},
		{"{", ErrOutdated}, {"{}", ErrOutdated}, {"{01}", ErrOutdated}, {"{2}", ErrMalformed}, {"{9}", ErrMalformed},
	}
	for _, test := range tests {
		// A field behind it refers to struct 1 if that has not been met.
		written := table{root: "{0}", structs: [][]string{{"Gone", test.sig, "Too", "{1}"}, nil}}
		shapes := appendShapes(nil, []*Plan{{encodedTable: written.append(nil)}})
		_, err := decodeValue(p, append(shapes, 0x92, 0xc0, 0xc0))
		if !errors.Is(err, test.want) {
			t.Errorf("%.20q: got %v, want %v", test.sig, err, test.want)
		}
	}
}
