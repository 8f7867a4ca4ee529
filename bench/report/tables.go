package main

// This file holds the tables: which benchmarks each one sets side by side, and
// the most that a ratio should be. How figures are spelled is at its end.

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// table is one part of the document that is written anew.
type table struct {
	name  string
	print func(*measurements) string
}

// end stands behind every table.
const end = "<!-- end -->"

func (t table) begin() string { return "<!-- table: " + t.name + " -->" }

var tables = []table{
	{"summary", summaryTable},
	{"environment", environment},
	{"request", requestTable},
	{"request, against scs", scsTable},
	{"strangers", strangersTable},
	{"no token", noTokenTable},
	{"form", formTable},
	{"redirect", redirectTable},
	{"upload", uploadTable},
	{"references", referencesTable},
	{"seal and open", sealOpenTable},
	{"codec", codecTable},
	{"public", publicTable},
	{"whose time it is", shareTable},
	{"whose time a request is", requestShareTable},
	{"allocations", allocationsTable},
	{"sizes", sizesTable},
	{"compressed", compressedTable},
	{"growth", growthTable},
	{"throughput", throughputTable},
}

var (
	states     = []string{"small", "medium", "large"}
	everyState = append(slices.Clip(states), "references")

	publicStates = []string{"fields", "list"}
)

// The goals of a request with a cheap binding, against gorilla and against scs, and
// those of a token, against fernet-go.
var (
	cheapGoals = map[string]float64{"small": 0.25, "medium": 0.3, "large": 0.45}
	scsGoals   = map[string]float64{"small": 0.3, "medium": 0.4}

	sealOpenGoals = map[string]float64{"small": 1.5, "medium": 1.8, "large": 1.9}
)

func summaryTable(m *measurements) string {
	rows := [][]string{{"", "pagestate", "gorilla", "scs", "without state"}}
	row := func(what, path, own string) {
		rows = append(rows, []string{
			what, m.time(path + own), m.quickestTime(path, "gorilla"), m.quickestTime(path, "scs"), m.time(path + "bare"),
		})
	}
	row("a request that changes a small state", "Request/state=small/impl=", "pagestate-Cookie")
	row("one that changes a medium state", "Request/state=medium/impl=", "pagestate-Cookie")
	row("a form of five fields", "Form/impl=", "pagestate")
	row("a form, its redirect, and the page there", "Redirect/state=small/impl=", "pagestate-CookieCarrier")
	const through, small = "PassingThrough/impl=", "Request/state=small/impl="
	rows = append(rows, []string{"a request without a token", m.time(through + "pagestate-Cookie"), "", "", m.time(through + "bare")})
	return markdown(append(rows, []string{
		"characters that the browser sends for a small state", m.size(small + "pagestate-Cookie"),
		m.size(m.shortest(small, "gorilla")), m.size(m.shortest(small, "scs")), "",
	}))
}

func requestTable(m *measurements) string {
	rows := [][]string{{"state", "gorilla", "`Cookie`", "`SessionFunc`", "goal", "`Session`", "goal"}}
	onCookieStore := map[string]float64{"small": 0.8, "medium": 0.6}
	for _, s := range states {
		path := "Request/state=" + s + "/impl="
		ratio := func(impl string, goal float64) string {
			return m.ratio(path+impl, m.quickest(path, "gorilla"), goal)
		}
		session := m.quickest(path, "pagestate-Session")
		onSession := m.ratio(session, m.quickest(path, "gorilla"), onCookieStore[s])
		rows = append(rows, []string{
			s, m.bothTimes(path, "gorilla"),
			ratio("pagestate-Cookie", cheapGoals[s]), ratio("pagestate-SessionFunc", cheapGoals[s]), spelledGoal(cheapGoals[s]),
			onSession, spelledGoal(onCookieStore[s]),
		})
	}
	const large = "Request/state=large/impl="
	inPage := m.ratio(large+"pagestate-page", m.quickest(large, "gorilla"), 0)
	return markdown(append(rows, []string{"large, in the page too", m.bothTimes(large, "gorilla"), inPage, "", "", "", ""}))
}

func scsTable(m *measurements) string {
	rows := [][]string{{"state", "scs", "`Cookie`", "`SessionFunc`", "goal"}}
	for _, s := range states {
		path := "Request/state=" + s + "/impl="
		ratio := func(impl string) string { return m.ratio(path+impl, m.quickest(path, "scs"), scsGoals[s]) }
		rows = append(rows, []string{
			s, m.bothTimes(path, "scs"), ratio("pagestate-Cookie"), ratio("pagestate-SessionFunc"), spelledGoal(scsGoals[s]),
		})
	}
	return markdown(rows)
}

func formTable(m *measurements) string {
	const path, byHand = "Form/impl=", "Form/impl=bare"
	rows := [][]string{
		{"kept by", "fields set", "time", "to the first", "allocations"},
		{"nothing", "by hand", m.time(byHand), "", m.count(byHand, "allocs/op")},
	}
	row := func(keeper, set, name, time string) {
		rows = append(rows, []string{keeper, set, time, m.ratio(name, byHand, 0), m.count(name, "allocs/op")})
	}
	row("nothing", "`form.Apply`", path+"Apply", m.time(path+"Apply"))
	for _, library := range []string{"gorilla", "scs"} {
		row(library, "by hand", m.quickest(path, library), m.bothTimes(path, library))
	}
	row("pagestate", "`form.Apply`", path+"pagestate", m.time(path+"pagestate"))
	return markdown(rows)
}

func redirectTable(m *measurements) string {
	rows := [][]string{{"state", "without state", "gorilla", "`CookieCarrier`", "scs", "`NewCarrier`", "in cookies: gorilla, `CookieCarrier`"}}
	for _, s := range []string{"small", "medium"} {
		path := "Redirect/state=" + s + "/impl="
		gorilla, scs := m.quickest(path, "gorilla"), m.quickest(path, "scs")
		cookies, memory := path+"pagestate-CookieCarrier", path+"pagestate-NewCarrier"
		rows = append(rows, []string{
			s, m.time(path + "bare"),
			m.bothTimes(path, "gorilla"), m.ratio(cookies, gorilla, 0),
			m.bothTimes(path, "scs"), m.ratio(memory, scs, 0),
			m.size(gorilla) + ", " + m.size(cookies),
		})
	}
	return markdown(rows)
}

func uploadTable(m *measurements) string {
	rows := [][]string{{"to", "by hand", "`SaveForm`", "`Save` of a stream"}}
	for _, row := range [][3]string{
		{"memory", "memory", "bare"},
		{"a file", "file", "bare"},
		{"a file, synced by hand too", "file", "bare-Sync"},
	} {
		path := "Upload/to=" + row[1] + "/impl="
		base := path + row[2]
		rows = append(rows, []string{row[0], m.time(base), m.ratio(path+"pagestate", base, 0), m.ratio(path+"pagestate-stream", base, 0)})
	}
	return markdown(rows)
}

func noTokenTable(m *measurements) string {
	rows := [][]string{{"", "time", "allocations"}}
	for _, impl := range []string{"bare", "pagestate-Cookie", "pagestate-SessionFunc", "pagestate-Session-gob"} {
		name := "PassingThrough/impl=" + impl
		rows = append(rows, []string{spelled(impl), m.time(name), m.count(name, "allocs/op")})
	}
	return markdown(rows)
}

func referencesTable(m *measurements) string {
	rows := [][]string{{"", "time", "allocations", "token"}}
	for _, impl := range []string{"bare", "pagestate-Cookie", "pagestate-SessionFunc", "pagestate-Session-gob"} {
		name := "RequestOfReferences/state=references/impl=" + impl
		rows = append(rows, []string{spelled(impl), m.time(name), m.count(name, "allocs/op"), m.size(name)})
	}
	return markdown(rows)
}

func strangersTable(m *measurements) string {
	rows := [][]string{{"state: small", "time", "to gorilla", "goal", "to scs", "goal"}}
	const path = "Request/state=small/impl="
	toGorilla, toSCS := cheapGoals["small"], scsGoals["small"]
	for _, row := range [][2]string{{"one visitor", "pagestate-SessionFunc"}, {"another one each time", "pagestate-strangers"}} {
		own := path + row[1]
		rows = append(rows, []string{
			row[0], m.time(own),
			m.ratio(own, m.quickest(path, "gorilla"), toGorilla), spelledGoal(toGorilla),
			m.ratio(own, m.quickest(path, "scs"), toSCS), spelledGoal(toSCS),
		})
	}
	return markdown(append(rows, []string{"hkdf, one key", m.time("Key/impl=hkdf"), "", "", "", ""}))
}

func sealOpenTable(m *measurements) string {
	rows := [][]string{{"state", "fernet-go", "`Seal` and `Open`", "`Reseal`", "goal"}}
	for _, s := range everyState {
		name := func(impl string) string { return "SealOpen/state=" + s + "/impl=" + impl }
		ratio := func(impl string) string { return m.ratio(name(impl), name("fernet-go"), sealOpenGoals[s]) }
		rows = append(rows, []string{
			s, m.time(name("fernet-go")), ratio("pagestate"), ratio("pagestate-Reseal"), spelledGoal(sealOpenGoals[s]),
		})
	}
	return markdown(rows)
}

func codecTable(m *measurements) string {
	rows := [][]string{{"state", "cbor", "pagestate", "goal", "encoding/json", "bytes: cbor, pagestate, json", "allocations: cbor, pagestate, json"}}
	goals := map[string]float64{"small": 0.8, "medium": 0.45, "large": 0.45}
	for _, s := range states {
		name := func(impl string) string { return "Codec/state=" + s + "/impl=" + impl }
		each := func(unit string) string {
			return m.count(name("cbor"), unit) + ", " + m.count(name("pagestate"), unit) + ", " + m.count(name("json"), unit)
		}
		rows = append(rows, []string{
			s, m.time(name("cbor")),
			m.ratio(name("pagestate"), name("cbor"), goals[s]), spelledGoal(goals[s]),
			m.ratio(name("json"), name("cbor"), 0),
			each("saved-B"), each("allocs/op"),
		})
	}
	return markdown(rows)
}

func publicTable(m *measurements) string {
	const goal = 3
	rows := [][]string{{"state", "", "encoding/json", "pagestate", "goal", "allocations: json, pagestate"}}
	for _, s := range publicStates {
		for _, do := range [][2]string{{"write", "`PublicJSON`"}, {"read", "`ApplyPublic`"}} {
			name := func(impl string) string { return "Public/state=" + s + "/do=" + do[0] + "/impl=" + impl }
			rows = append(rows, []string{
				s, do[1], m.time(name("json")), m.ratio(name("pagestate"), name("json"), goal), spelledGoal(goal),
				m.count(name("json"), "allocs/op") + ", " + m.count(name("pagestate"), "allocs/op"),
			})
		}
	}
	return markdown(rows)
}

func shareTable(m *measurements) string {
	rows := [][]string{{"state", "floor", "fernet-go", "codec", "the rest", "`Reseal`, all of it", "goal"}}
	for _, s := range states {
		name := func(impl string) string { return "SealOpen/state=" + s + "/impl=" + impl }
		row := append([]string{s, m.time(name("floor"))}, m.shares(name("pagestate-Reseal"), name("fernet-go"), "Codec/state="+s+"/impl=pagestate")...)
		rows = append(rows, append(row, spelledTime(sealOpenGoals[s]*m.median(name("fernet-go"), timeUnit))))
	}
	return markdown(rows)
}

func requestShareTable(m *measurements) string {
	rows := [][]string{{"state", "fernet-go", "codec", "late changes", "handler and httptest", "the rest", "`SessionFunc`, all of it", "goals: gorilla, scs"}}
	for _, s := range states {
		request, codec := "Request/state="+s+"/impl=", "Codec/state="+s+"/impl=pagestate"
		row := m.shares(request+"pagestate-SessionFunc", "SealOpen/state="+s+"/impl=fernet-go", codec, codec+"-Same", request+"bare")
		goals := spelledTime(cheapGoals[s] * m.median(m.quickest(request, "gorilla"), timeUnit))
		if goal, ok := scsGoals[s]; ok {
			goals += ", " + spelledTime(goal*m.median(m.quickest(request, "scs"), timeUnit))
		}
		rows = append(rows, append(append([]string{s}, row...), goals))
	}
	return markdown(rows)
}

// shares are the times of the parts, of what is left of the whole, and of that.
func (m *measurements) shares(whole string, parts ...string) (cells []string) {
	rest := m.median(whole, timeUnit)
	for _, part := range parts {
		cells = append(cells, m.time(part))
		rest -= m.median(part, timeUnit)
	}
	return append(cells, spelledTime(rest), m.time(whole))
}

func allocationsTable(m *measurements) string {
	const (
		unit   = "allocs/op"
		fernet = "SealOpen/state=small/impl=fernet-go"
		bare   = "Request/state=small/impl=bare"
	)
	rows := [][]string{{"", "all", "of fernet-go", "of the handler and httptest", "of pagestate", "goal"}}
	row := func(what, name string, goal float64, others ...string) {
		all := m.median(name, unit)
		own := all
		cells := []string{what, whole(all)}
		for _, other := range []string{fernet, bare} {
			n := 0.0
			if slices.Contains(others, other) {
				n = m.median(other, unit)
			}
			own -= n
			cells = append(cells, whole(n))
		}
		rows = append(rows, append(cells, marked(whole(own), own > goal), spelledGoal(goal)))
	}
	row("`Seal`, `Open`: small", "SealOpen/state=small/impl=pagestate", 8, fernet)
	row("`Seal`, `Open`: medium", "SealOpen/state=medium/impl=pagestate", 12, fernet)
	row("request, `Cookie`: small", "Request/state=small/impl=pagestate-Cookie", 15, fernet, bare)
	row("request, `SessionFunc`: small", "Request/state=small/impl=pagestate-SessionFunc", 15, fernet, bare)
	row("request without a token", "PassingThrough/impl=pagestate-Cookie", 3, bare)
	return markdown(rows)
}

func sizesTable(m *measurements) string {
	rows := [][]string{{"state", "as JSON", "token", "gorilla's cookie", "token to cookie", "goal"}}
	for _, s := range states {
		path := "Request/state=" + s + "/impl="
		token, cookie := path+"pagestate-Cookie", m.shortest(path, "gorilla")
		ratio := m.median(token, "kept-B") / m.median(cookie, "kept-B")
		goal := ""
		if s == "medium" {
			goal = percent(lengthGoal)
		}
		rows = append(rows, []string{
			s, whole(m.median("Codec/state="+s+"/impl=json", "saved-B")), m.size(token), m.size(cookie) + " (" + serializer(cookie) + ")",
			marked(percent(ratio), goal != "" && ratio > lengthGoal), goal,
		})
	}
	return markdown(rows)
}

const lengthGoal = 0.6

func compressedTable(m *measurements) string {
	rows := [][]string{{"state", "token", "compressed", "of its length", "time of `Seal` and `Open`"}}
	for _, s := range everyState {
		plain, compressed := "SealOpen/state="+s+"/impl=pagestate", "SealOpen/state="+s+"/impl=pagestate-Compressed"
		rows = append(rows, []string{
			s, m.size(plain), m.size(compressed), percent(m.median(compressed, "kept-B") / m.median(plain, "kept-B")),
			m.ratio(compressed, plain, 0),
		})
	}
	return markdown(rows)
}

func growthTable(m *measurements) string {
	rows := [][]string{{"KB of state", "ns a byte, pagestate", "ns a byte, fernet-go"}}
	name := func(kb, impl string) string { return "Growth/KB=" + kb + "/impl=" + impl }
	for _, kb := range []string{"1", "4", "16", "64", "256", "1024"} {
		perByte := func(impl string) string { return fmt.Sprintf("%.1f", m.median(name(kb, impl), perByteUnit)*1e9) }
		rows = append(rows, []string{kb, perByte("pagestate"), perByte("fernet-go")})
	}
	ratios := func(impl string) []float64 { return m.ratios(name("1024", impl), name("16", impl), perByteUnit) }
	own := ratios("pagestate")
	rows = append(rows, []string{
		"1024 to 16 (goal: " + spelledGoal(growthGoal) + ")",
		marked(spread(own), quantile(own, 0.5) > growthGoal), spread(ratios("fernet-go")),
	})
	return markdown(rows)
}

const growthGoal = 1.4

// perByteUnit is what benchfmt makes of ns/B.
const perByteUnit = "sec/B"

func throughputTable(m *measurements) string {
	rows := [][]string{{"", "one goroutine", "two", "two to one"}}
	speedup := func(impl string) []float64 {
		return m.ratios("Throughput/impl="+impl, "Throughput/impl="+impl+"-2", timeUnit)
	}
	for _, impl := range []string{"pagestate", "fernet-go"} {
		name := "Throughput/impl=" + impl
		rows = append(rows, []string{impl, m.perSecond(name), m.perSecond(name + "-2"), spread(speedup(impl))})
	}
	own, fernet := speedup("pagestate"), speedup("fernet-go")
	for i := range own {
		own[i] /= fernet[i]
	}
	rows = append(rows, []string{
		"of fernet-go's gain (goal: " + spelledGoal(gainGoal) + ")", "", "",
		marked(spread(own), quantile(own, 0.5) < gainGoal),
	})
	return markdown(rows)
}

const gainGoal = 0.8 // at least

// timeUnit is what benchfmt makes of ns/op.
const timeUnit = "sec/op"

// get returns a figure for each round. A table that asks for what was not
// measured is a mistake in this file.
func (m *measurements) get(name, unit string) []float64 {
	figures := m.figures[name][unit]
	if len(figures) == 0 {
		panic("no " + unit + " of " + name)
	}
	return figures
}

func (m *measurements) median(name, unit string) float64 { return quantile(m.get(name, unit), 0.5) }

// serializers are those that the session libraries are measured with.
var serializers = []string{"gob", "json"}

// quickest is the benchmark of a session library with the serializer that takes the
// least time there.
func (m *measurements) quickest(path, library string) string {
	return m.least(path, library, timeUnit)
}

// shortest is the one with the serializer whose cookie is the shortest.
func (m *measurements) shortest(path, library string) string {
	return m.least(path, library, "kept-B")
}

func (m *measurements) least(path, library, unit string) string {
	return slices.MinFunc(withSerializers(path, library), func(a, b string) int {
		return cmp.Compare(m.median(a, unit), m.median(b, unit))
	})
}

func withSerializers(path, library string) (names []string) {
	for _, s := range serializers {
		names = append(names, path+library+"-"+s)
	}
	return names
}

// serializer is the one that a benchmark is named after.
func serializer(name string) string { return name[strings.LastIndexByte(name, '-')+1:] }

// quickestTime is the time with the serializer that takes the least, and which it is.
func (m *measurements) quickestTime(path, library string) string {
	name := m.quickest(path, library)
	return m.time(name) + " (" + serializer(name) + ")"
}

// bothTimes is quickestTime, and the time with the other serializer.
func (m *measurements) bothTimes(path, library string) string {
	names := withSerializers(path, library)
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(m.median(a, timeUnit), m.median(b, timeUnit))
	})
	var times []string
	for _, name := range names {
		times = append(times, m.time(name)+" ("+serializer(name)+")")
	}
	return strings.Join(times, ", ")
}

// ratios are those of two benchmarks, one for each round.
func (m *measurements) ratios(name, base, unit string) []float64 {
	ratios := slices.Clone(m.get(name, unit))
	for i, b := range m.get(base, unit) {
		ratios[i] /= b
	}
	return ratios
}

// ratio is that of two times, marked if it is over its goal. A goal of 0 is none.
func (m *measurements) ratio(name, base string, goal float64) string {
	ratios := m.ratios(name, base, timeUnit)
	return marked(spread(ratios), goal > 0 && quantile(ratios, 0.5) > goal)
}

// marked says of a figure that it misses its goal.
func marked(figure string, missed bool) string {
	if missed {
		return figure + " **missed**"
	}
	return figure
}

func spelledGoal(goal float64) string {
	if goal == 0 {
		return ""
	}
	return strconv.FormatFloat(goal, 'f', -1, 64)
}

func (m *measurements) time(name string) string { return spelledTime(m.median(name, timeUnit)) }

func spelledTime(t float64) string {
	switch {
	case t < 1e-6:
		return fmt.Sprintf("%.0f ns", t*1e9)
	case t < 10e-6:
		return fmt.Sprintf("%.1f µs", t*1e6)
	case t < 1e-3:
		return fmt.Sprintf("%.0f µs", t*1e6)
	default:
		return fmt.Sprintf("%.2f ms", t*1e3)
	}
}

func (m *measurements) perSecond(name string) string {
	return whole(1/m.median(name, timeUnit)) + "/s"
}

func (m *measurements) count(name, unit string) string { return whole(m.median(name, unit)) }

func (m *measurements) size(name string) string { return whole(m.median(name, "kept-B")) }

// spread is the median of ratios, and the range of the middle half of them.
func spread(ratios []float64) string {
	return fmt.Sprintf("%.2f (%.2f–%.2f)", quantile(ratios, 0.5), quantile(ratios, 0.25), quantile(ratios, 0.75))
}

// quantile lies between the two figures that are nearest.
func quantile(figures []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

func whole(f float64) string { return fmt.Sprintf("%.0f", f) }

func percent(f float64) string { return fmt.Sprintf("%.0f %%", 100*f) }

// spelled is how the document calls an implementation.
func spelled(impl string) string {
	if binding, ok := strings.CutPrefix(impl, "pagestate-"); ok {
		binding, _, _ = strings.Cut(binding, "-")
		return "`" + binding + "`"
	}
	return "without pagestate"
}

// markdown makes a table of rows, of which the first is its head.
func markdown(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString("|" + strings.Repeat("---|", len(row)) + "\n")
		}
	}
	return b.String()
}
