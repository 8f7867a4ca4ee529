package pagestatetest

// This file is about one field of a form: what it holds when the page was
// loaded, what a visitor can give it, and what it sends.

import (
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"golang.org/x/net/html"
)

// field is an input, a select, a textarea or a button of a form.
type field struct {
	node     *html.Node
	name     string
	kind     string // the type of an input or button, "select", "select multiple" or "textarea"
	disabled bool
	value    string // of a check box or radio button: what it sends if it is checked
	checked  bool
	options  []*option
	files    []file
	filled   bool // by the test
}

type option struct {
	value              string
	selected, disabled bool
}

type file struct {
	name    string
	content []byte
}

// inputTypes are those that are not treated as text, which any other type is.
var inputTypes = []string{
	"hidden", "search", "tel", "url", "email", "password", "date", "month", "week", "time", "datetime-local", "number",
	"range", "color", "checkbox", "radio", "file", "submit", "image", "reset", "button",
}

// newField returns nil if n is no field.
func newField(n *html.Node) *field {
	f := &field{node: n, disabled: disabled(n)}
	f.name, _ = attribute(n, "name")
	f.value, _ = attribute(n, "value")
	kind, _ := attribute(n, "type")
	kind = strings.ToLower(kind)
	switch n.Data {
	case "input":
		f.kind = "text"
		if slices.Contains(inputTypes, kind) {
			f.kind = kind
		}
		f.checked = has(n, "checked") && f.is("checkbox", "radio")
		if f.is("checkbox", "radio") && !has(n, "value") {
			f.value = "on"
		}
		f.value = f.sanitized(f.value)
	case "button":
		f.kind = "submit"
		if kind == "reset" || kind == "button" {
			f.kind = kind
		}
	case "textarea":
		f.kind = "textarea"
		f.value = lineFeeds(textOf(n))
	case "select":
		f.kind = "select"
		if has(n, "multiple") {
			f.kind = "select multiple"
		}
		f.options = optionsOf(n)
		f.chooseDefault()
	default:
		return nil
	}
	return f
}

// disabled reports whether n or a fieldset around it is. What is in the first
// legend of a fieldset is not disabled with it.
func disabled(n *html.Node) bool {
	if has(n, "disabled") {
		return true
	}
	within := n
	for a := range n.Ancestors() {
		if a.Data == "fieldset" && has(a, "disabled") && within != firstLegend(a) {
			return true
		}
		within = a
	}
	return false
}

func firstLegend(fieldset *html.Node) *html.Node {
	for c := range fieldset.ChildNodes() {
		if c.Type == html.ElementNode && c.Data == "legend" {
			return c
		}
	}
	return nil
}

func optionsOf(n *html.Node) []*option {
	var all []*option
	for d := range n.Descendants() {
		if d.Type != html.ElementNode || d.Data != "option" {
			continue
		}
		o := &option{selected: has(d, "selected"), disabled: has(d, "disabled")}
		if o.value = words(textOf(d)); has(d, "value") {
			o.value, _ = attribute(d, "value")
		}
		for a := range d.Ancestors() {
			o.disabled = o.disabled || a.Data == "optgroup" && has(a, "disabled")
		}
		all = append(all, o)
	}
	return all
}

// chooseDefault leaves one option selected where there can be only one.
func (f *field) chooseDefault() {
	if f.kind == "select multiple" {
		return
	}
	var chosen *option
	for _, o := range f.options {
		if o.selected {
			chosen = o // the last one counts
		}
	}
	if chosen == nil && f.rows() == 1 {
		if i := slices.IndexFunc(f.options, func(o *option) bool { return !o.disabled }); i >= 0 {
			chosen = f.options[i]
		}
	}
	for _, o := range f.options {
		o.selected = o == chosen
	}
}

// rows returns how many options a select shows at once.
func (f *field) rows() int {
	size, _ := attribute(f.node, "size")
	if n, err := strconv.Atoi(size); err == nil && n > 0 {
		return n
	}
	return 1
}

func (f *field) is(kinds ...string) bool { return slices.Contains(kinds, f.kind) }

// isText reports whether it holds one line of any text.
func (f *field) isText() bool { return f.is("text", "search", "tel", "url", "email", "password") }

func (f *field) isButton() bool { return f.is("submit", "image", "reset", "button") }

// submits reports whether it is a button that sends the form.
func (f *field) submits() bool { return f.is("submit", "image") }

// label returns what is written on a button.
func (f *field) label() string {
	if f.node.Data == "button" {
		return words(textOf(f.node))
	}
	if text, ok := attribute(f.node, "alt"); ok && f.kind == "image" {
		return words(text)
	}
	if f.value == "" && !has(f.node, "value") {
		return "Submit"
	}
	return words(f.value)
}

// locked says why a visitor cannot change it, "" if he can.
func (f *field) locked() string {
	switch {
	case f.disabled:
		return "is disabled"
	case f.kind == "hidden":
		return "is hidden; what no browser sends, send with Page.Do"
	case f.isButton():
		return "is a button: see Press"
	case f.kind == "file":
		return "is for a file: see File"
	case has(f.node, "readonly") && !f.is("checkbox", "radio", "range", "color", "select", "select multiple"):
		return "is read-only"
	}
	return ""
}

// sanitized returns what a browser makes of the value that a page gives an
// input.
func (f *field) sanitized(value string) string {
	switch {
	case f.is("url", "email"):
		return strings.TrimSpace(withoutLines(value))
	case f.isText():
		return withoutLines(value)
	case f.kind == "range":
		return f.slider(value)
	case f.kind == "color":
		if f.wellFormed(value) != nil {
			return "#000000"
		}
		return strings.ToLower(value)
	case f.wellFormed(value) != nil:
		return ""
	case f.kind == "datetime-local":
		return strings.Replace(value, " ", "T", 1)
	}
	return value
}

var withoutLines = strings.NewReplacer("\r", "", "\n", "").Replace

// enter types or picks a value, and returns an error if a visitor could not.
func (f *field) enter(value string) error {
	value = lineFeeds(value)
	if f.kind != "textarea" && strings.Contains(value, "\n") {
		return errors.New("takes one line")
	}
	if err := f.wellFormed(value); err != nil {
		return err
	}
	if most, ok := f.number("maxlength"); ok && (f.isText() || f.kind == "textarea") && float64(length(value)) > most {
		return fmt.Errorf("takes %v characters at most, and these are %d", most, length(value))
	}
	if f.kind == "range" && f.slider(value) != value {
		return fmt.Errorf("cannot be set to %q", value)
	}
	f.value, f.filled = f.sanitized(value), true
	return nil
}

var (
	numberPattern = regexp.MustCompile(`^-?(\d+(\.\d+)?|\.\d+)([eE][-+]?\d+)?$`)
	colorPattern  = regexp.MustCompile(`^#[0-9A-Fa-f]{6}$`)
	weekPattern   = regexp.MustCompile(`^\d{4}-W(0[1-9]|[1-4]\d|5[0-3])$`)
)

// layouts are how the values of inputs for times look.
var layouts = map[string][]string{
	"date":           {"2006-01-02"},
	"month":          {"2006-01"},
	"time":           {"15:04", "15:04:05"},
	"datetime-local": {"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05"},
}

// wellFormed returns an error for a value that an input of this type cannot
// hold.
func (f *field) wellFormed(value string) error {
	switch {
	case f.is("number", "range"):
		if _, ok := parseNumber(value); !ok && value != "" {
			return fmt.Errorf("takes a number, and not %q", value)
		}
	case f.kind == "color":
		if !colorPattern.MatchString(value) {
			return fmt.Errorf("takes a color like #00ff7f, and not %q", value)
		}
	case f.kind == "week":
		if value != "" && !weekPattern.MatchString(value) {
			return fmt.Errorf("takes a week like 2006-W01, and not %q", value)
		}
	case layouts[f.kind] != nil && value != "":
		for _, layout := range layouts[f.kind] {
			if _, err := time.Parse(layout, value); err == nil {
				return nil
			}
		}
		return fmt.Errorf("takes a %s like %s, and not %q", f.kind, layouts[f.kind][0], value)
	}
	return nil
}

func parseNumber(text string) (float64, bool) {
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil && numberPattern.MatchString(text)
}

// number returns an attribute that is one.
func (f *field) number(name string) (n float64, ok bool) {
	text, _ := attribute(f.node, name)
	return parseNumber(text)
}

// slider returns the value of a range that is nearest to value, or the one in
// its middle.
func (f *field) slider(value string) string {
	least, _ := f.number("min")
	most, ok := f.number("max")
	if !ok {
		most = 100
	}
	n, ok := parseNumber(value)
	if !ok {
		n = least + (most-least)/2
	}
	n = f.onStep(max(min(n, most), least))
	if size, ok := f.step(); ok && n > most {
		n = f.onStep(n - size)
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// step returns how far the numbers that it takes are from each other, and false
// if it takes any.
func (f *field) step() (size float64, ok bool) {
	if text, _ := attribute(f.node, "step"); strings.EqualFold(text, "any") {
		return 0, false
	}
	if size, ok = f.number("step"); !ok || size <= 0 {
		size = 1
	}
	return size, true
}

// onStep returns the nearest number to n that is on a step, the larger one of
// two. It counts in decimals, in which 0.3 is three steps of 0.1.
func (f *field) onStep(n float64) float64 {
	size, ok := f.step()
	if !ok {
		return n
	}
	begin, ok := f.number("min")
	if !ok {
		begin, _ = f.number("value")
	}
	steps := new(big.Rat).Sub(decimal(n), decimal(begin))
	steps.Quo(steps, decimal(size)).Add(steps, big.NewRat(1, 2))
	whole := new(big.Rat).SetInt(new(big.Int).Div(steps.Num(), steps.Denom()))
	n, _ = whole.Mul(whole, decimal(size)).Add(whole, decimal(begin)).Float64()
	return n
}

func decimal(n float64) *big.Rat {
	r, _ := new(big.Rat).SetString(strconv.FormatFloat(n, 'f', -1, 64))
	return r
}

var emailPattern = regexp.MustCompile(`^[a-zA-Z0-9.!#$%&'*+/=?^_{|}~` + "`" + `-]+@[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$`)

// invalid says why a browser would not send the form with what the field holds,
// "" if it would. The required radio buttons are the form's to check.
func (f *field) invalid() string {
	switch {
	case f.locked() != "" && f.kind != "file" || f.disabled || inside(f.node, "datalist"):
		return ""
	case has(f.node, "required") && f.missing():
		return "is required"
	case f.value == "" || f.is("checkbox", "radio"):
		return ""
	}
	if f.isText() || f.kind == "textarea" {
		if least, ok := f.number("minlength"); ok && f.filled && float64(length(f.value)) < least {
			return fmt.Sprintf("takes %v characters at least", least)
		}
	}
	if pattern, ok := attribute(f.node, "pattern"); ok && f.isText() {
		// One that Go's regular expressions cannot do is not checked.
		if p, err := regexp.Compile("^(?:" + pattern + ")$"); err == nil && !p.MatchString(f.value) {
			return fmt.Sprintf("does not match the pattern %s", pattern)
		}
	}
	switch f.kind {
	case "email":
		addresses := []string{f.value}
		if has(f.node, "multiple") {
			addresses = strings.Split(f.value, ",")
		}
		for _, address := range addresses {
			if !emailPattern.MatchString(strings.TrimSpace(address)) {
				return "takes an email address"
			}
		}
	case "url":
		if u, err := url.Parse(f.value); err != nil || !u.IsAbs() {
			return "takes a whole URL"
		}
	case "number":
		return f.outOfRange()
	case "date", "month", "week", "time", "datetime-local":
		least, _ := attribute(f.node, "min")
		most, _ := attribute(f.node, "max")
		if least != "" && f.wellFormed(least) == nil && f.value < least {
			return "is before " + least
		}
		if most != "" && f.wellFormed(most) == nil && f.value > most {
			return "is after " + most
		}
	}
	return ""
}

func (f *field) missing() bool {
	switch f.kind {
	case "checkbox":
		return !f.checked
	case "file":
		return len(f.files) == 0
	case "select", "select multiple":
		i := slices.IndexFunc(f.options, func(o *option) bool { return o.selected })
		placeholder := i == 0 && f.options[0].value == "" && f.kind == "select" && f.rows() == 1
		return i < 0 || placeholder
	case "radio", "range", "color":
		return false
	}
	return f.value == ""
}

func (f *field) outOfRange() string {
	n, _ := parseNumber(f.value)
	if least, ok := f.number("min"); ok && n < least {
		return fmt.Sprintf("is less than %v", least)
	}
	if most, ok := f.number("max"); ok && n > most {
		return fmt.Sprintf("is more than %v", most)
	}
	if size, _ := f.step(); f.onStep(n) != n {
		return fmt.Sprintf("takes steps of %v", size)
	}
	return ""
}

// entry is a name and value that a form sends.
type entry struct {
	name, value string
	file        *file // of an input for files
}

// entries returns what the field sends if button, which may be nil, sends the
// form.
func (f *field) entries(button *field) []entry {
	switch {
	case f.disabled, f.isButton() && f != button, f.is("checkbox", "radio") && !f.checked, inside(f.node, "datalist"):
		return nil
	case f.kind == "image":
		prefix := ""
		if f.name != "" {
			prefix = f.name + "."
		}
		return []entry{{name: prefix + "x", value: "0"}, {name: prefix + "y", value: "0"}}
	case f.name == "":
		return nil
	case f.is("select", "select multiple"):
		var all []entry
		for _, o := range f.options {
			if o.selected && !o.disabled {
				all = append(all, entry{name: f.name, value: o.value})
			}
		}
		return all
	case f.kind == "file":
		if len(f.files) == 0 {
			return []entry{{name: f.name, file: new(file)}}
		}
		var all []entry
		for i := range f.files {
			all = append(all, entry{name: f.name, value: f.files[i].name, file: &f.files[i]})
		}
		return all
	case f.kind == "hidden" && strings.EqualFold(f.name, "_charset_"):
		return []entry{{name: f.name, value: "UTF-8"}}
	}
	all := []entry{{name: f.name, value: f.value}}
	if name, _ := attribute(f.node, "dirname"); name != "" && (f.isText() || f.is("textarea", "hidden", "submit")) {
		all = append(all, entry{name: name, value: direction(f.node)})
	}
	return all
}

func direction(n *html.Node) string {
	for ; n != nil; n = n.Parent {
		if dir, _ := attribute(n, "dir"); strings.EqualFold(dir, "rtl") {
			return "rtl"
		} else if strings.EqualFold(dir, "ltr") {
			break
		}
	}
	return "ltr"
}

var lineFeeds = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace

// length counts as browsers do.
func length(text string) int { return len(utf16.Encode([]rune(text))) }
