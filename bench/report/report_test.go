package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const documentFile = "../../docs/performance.md"

// TestDocument keeps the document and the program together: every table has its
// place, and what stands there has the head and the rows that the program would
// write today.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	document := string(text)
	if marks := strings.Count(document, "<!-- table: "); marks != len(tables) {
		t.Errorf("the document has the places of %d tables, and the program has %d", marks, len(tables))
	}
	m := invented()
	for _, table := range tables {
		_, rest, ok := strings.Cut(document, table.begin()+"\n")
		if !ok {
			t.Errorf("no place for the table %q", table.name)
			continue
		}
		got, _, _ := strings.Cut(rest, end)
		if table.name == "environment" {
			if !strings.HasPrefix(got, "Measured on 20") {
				t.Errorf("nobody has measured: %q", got)
			}
			continue
		}
		if want := firstCells(table.print(m)); !slices.Equal(firstCells(got), want) {
			t.Errorf("the table %q has the rows %q, and should have %q", table.name, firstCells(got), want)
		}
	}
}

// firstCells are what the rows of a table are about, and all of its head.
func firstCells(table string) []string {
	var cells []string
	for i, line := range strings.Split(strings.TrimSpace(table), "\n") {
		if i > 0 {
			line, _, _ = strings.Cut(strings.TrimPrefix(line, "|"), "|")
		}
		cells = append(cells, line)
	}
	return cells
}

// invented has a figure for whatever is asked.
func invented() *measurements {
	m := &measurements{figures: make(map[string]map[string][]float64)}
	add := func(name string, units ...string) {
		m.figures[name] = make(map[string][]float64)
		for i, unit := range units {
			m.figures[name][unit] = []float64{float64(i + 1), float64(i + 2), float64(i + 4)}
		}
	}
	add("Key/impl=hkdf", timeUnit, "allocs/op")
	for _, s := range everyState {
		for _, impl := range []string{"pagestate", "pagestate-Reseal", "pagestate-Compressed", "fernet-go", "floor"} {
			add("SealOpen/state="+s+"/impl="+impl, timeUnit, "allocs/op", "kept-B")
		}
		for _, impl := range []string{"pagestate", "pagestate-Same", "cbor", "json"} {
			add("Codec/state="+s+"/impl="+impl, timeUnit, "allocs/op", "saved-B")
		}
		for _, impl := range []string{"pagestate-Cookie", "pagestate-SessionFunc", "pagestate-Session-gob", "pagestate-Session-json", "pagestate-page", "pagestate-strangers", "pagestate-CookieCarrier", "pagestate-NewCarrier", "gorilla-gob", "gorilla-json", "scs-gob", "scs-json", "bare"} {
			for _, benchmark := range []string{"Request/state=" + s, "RequestOfReferences/state=" + s, "Redirect/state=" + s, "PassingThrough", "Form"} {
				add(benchmark+"/impl="+impl, timeUnit, "allocs/op", "kept-B")
			}
		}
	}
	add("Form/impl=Apply", timeUnit, "allocs/op")
	add("Form/impl=pagestate", timeUnit, "allocs/op")
	for _, to := range []string{"memory", "file"} {
		for _, impl := range []string{"pagestate", "pagestate-stream", "bare", "bare-Sync"} {
			add("Upload/to="+to+"/impl="+impl, timeUnit)
		}
	}
	for _, s := range publicStates {
		for _, do := range []string{"write", "read"} {
			for _, impl := range []string{"pagestate", "json"} {
				add("Public/state="+s+"/do="+do+"/impl="+impl, timeUnit, "allocs/op")
			}
		}
	}
	for _, impl := range []string{"pagestate", "fernet-go"} {
		for _, kb := range []string{"1", "4", "16", "64", "256", "1024"} {
			add("Growth/KB="+kb+"/impl="+impl, timeUnit, perByteUnit)
		}
		add("Throughput/impl="+impl, timeUnit)
		add("Throughput/impl="+impl+"-2", timeUnit)
	}
	return m
}

func TestFigures(t *testing.T) {
	m, err := parse(strings.NewReader(`goos: linux
cpu: A processor   
BenchmarkOurs/state=small 	     100	      1500 ns/op	       2.50 ns/B	     128 B/op	       3 allocs/op	     248.0 kept-B
BenchmarkTheirs/state=small 	   100	      3000 ns/op
BenchmarkOurs/state=small 	     100	      1000 ns/op	       3.50 ns/B	     128 B/op	       3 allocs/op	     248.0 kept-B
BenchmarkTheirs/state=small 	   100	      4000 ns/op
BenchmarkOurs/state=small 	     100	      1000 ns/op	       4.50 ns/B	     128 B/op	       3 allocs/op	     248.0 kept-B
BenchmarkTheirs/state=small 	   100	      1000 ns/op
PASS
`))
	if err != nil {
		t.Fatal(err)
	}
	const ours, theirs = "Ours/state=small", "Theirs/state=small"
	for what, pair := range map[string][2]string{
		"a time":       {m.time(ours), "1.0 µs"},
		"a longer one": {m.time(theirs), "3.0 µs"},
		"a ratio":      {m.ratio(ours, theirs, 0.5), "0.50 (0.38–0.75)"},
		"a missed one": {m.ratio(ours, theirs, 0.49), "0.50 (0.38–0.75) **missed**"},
		"without goal": {m.ratio(ours, theirs, 0), "0.50 (0.38–0.75)"},
		"a count":      {m.count(ours, "allocs/op"), "3"},
		"a size":       {m.size(ours), "248"},
		"per byte":     {whole(m.median(ours, perByteUnit) * 1e10), "35"},
		"throughput":   {m.perSecond(ours), "1000000/s"},
		"a machine":    {m.machine, "A processor"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %q, want %q", what, pair[0], pair[1])
		}
	}
	if _, err := parse(bytes.NewReader(nil)); err == nil {
		t.Error("there were no results, and no error")
	}
}

// TestSerializers decides what pagestate is set against: the serializer that takes the
// least time, or the one whose cookie is the shortest.
func TestSerializers(t *testing.T) {
	m, err := parse(strings.NewReader(`BenchmarkOf/impl=gorilla-gob 	100	3000 ns/op	392 kept-B
BenchmarkOf/impl=gorilla-json 	100	2000 ns/op	401 kept-B
BenchmarkOf/impl=gorilla-gob 	100	3000 ns/op	392 kept-B
BenchmarkOf/impl=gorilla-json 	100	9000 ns/op	401 kept-B
BenchmarkOf/impl=gorilla-gob 	100	3000 ns/op	392 kept-B
BenchmarkOf/impl=gorilla-json 	100	2000 ns/op	401 kept-B
BenchmarkOf/impl=scs-gob 	100	1000 ns/op	43 kept-B
BenchmarkOf/impl=scs-json 	100	1000 ns/op	43 kept-B
`))
	if err != nil {
		t.Fatal(err)
	}
	for what, pair := range map[string][2]string{
		"quickest":      {m.quickest("Of/impl=", "gorilla"), "Of/impl=gorilla-json"},
		"its time":      {m.quickestTime("Of/impl=", "gorilla"), "2.0 µs (json)"},
		"both times":    {m.bothTimes("Of/impl=", "gorilla"), "2.0 µs (json), 3.0 µs (gob)"},
		"shortest":      {m.shortest("Of/impl=", "gorilla"), "Of/impl=gorilla-gob"},
		"equally quick": {m.bothTimes("Of/impl=", "scs"), "1.0 µs (gob), 1.0 µs (json)"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %q, want %q", what, pair[0], pair[1])
		}
	}
}

func TestArguments(t *testing.T) {
	o, r, n, b := *output, *raw, *rounds, *benchtime
	t.Cleanup(func() { *output, *raw, *rounds, *benchtime = o, r, n, b })
	empty := filepath.Join(t.TempDir(), "empty.md")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		output, raw, benchtime string
		rounds                 int
		want                   string // in the error, "" for none
	}{
		{"", "", "200ms", 10, ""},
		{"", "", "3x", 1, ""},
		{documentFile, "", "1s", 1, ""},
		{"", "", "1s", 0, "-rounds"},
		{"", "", "nonsense", 1, "-benchtime"},
		{"", "", "0s", 1, "-benchtime"},
		{"", "", "0x", 1, "-benchtime"},
		{"", "", "x", 1, "-benchtime"},
		{"nowhere.md", "", "1s", 1, "nowhere.md"},
		{empty, "", "1s", 1, "the document has no"},
		{"", filepath.Join(empty, "raw.out"), "1s", 1, "raw.out"},
	} {
		*output, *raw, *rounds, *benchtime = test.output, test.raw, test.rounds, test.benchtime
		_, err := prepare()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

func TestFill(t *testing.T) {
	var document strings.Builder
	for _, table := range tables {
		document.WriteString("text\n" + table.begin() + "\nan older one\n" + end + "\n")
	}
	document.WriteString("the end\n")
	print := func(t table) string { return t.print(invented()) }
	filled, err := fill(document.String(), print)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(filled, "older") || strings.Count(filled, "text\n") != len(tables) || !strings.HasSuffix(filled, end+"\nthe end\n") {
		t.Errorf("filled to\n%s", filled)
	}
	again, err := fill(filled, print)
	if err != nil || again != filled {
		t.Errorf("filled again it is another one: %v", err)
	}
	if _, err := fill("no place", print); err == nil {
		t.Error("a document without places was filled")
	}
}
