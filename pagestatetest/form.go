package pagestatetest

// This file fills in a form and sends it.

import (
	"bytes"
	"fmt"
	"mime"
	"mime/multipart"
	"net/textproto"
	"net/url"
	"path"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// A Form is a form of a page, with the values that the page gives its fields.
// It is filled in and sent as by a visitor whose browser runs no script, and
// what such a visitor cannot do ends the test: fill in a field that is not there,
// choose what is not offered, type more than maxlength, or send what the
// browser's own checks refuse. It is for the goroutine of its test.
type Form struct {
	page       Page
	document   *document
	node       *html.Node
	fields     []*field // in the page's order
	noValidate bool
}

// Form returns the form of the page that which names: its action, as a path or
// a whole URL, or "#" and the id of the form or of an element around it. Without
// a query, it names the action whatever query that has; a form without an action
// has the URL of the page. The test ends if there is no such form, or more than
// one.
//
// Each call returns a form with nothing filled in.
func (p Page) Form(which string) *Form {
	p.browser.t.Helper()
	forms := p.Forms(which)
	if len(forms) != 1 {
		p.browser.fatalf("the page has %d forms %s; %s", len(forms), which, p.listForms())
	}
	return forms[0]
}

// Forms returns all the forms that which names, as for [Page.Form], in the
// page's order: those of the rows of a list, say.
func (p Page) Forms(which string) []*Form {
	p.browser.t.Helper()
	id, byID := strings.CutPrefix(which, "#")
	var named []*Form
	for _, f := range p.allForms() {
		if byID && f.isIn(id) || !byID && f.leadsTo(which) {
			named = append(named, f)
		}
	}
	return named
}

func (p Page) allForms() []*Form {
	p.browser.t.Helper()
	d, err := newDocument(p.html, p.address())
	if err != nil {
		p.browser.fatalf("parsing the page: %v", err)
	}
	var all []*Form
	for _, n := range d.forms() {
		all = append(all, &Form{page: p, document: d, node: n})
	}
	for _, n := range d.nodes {
		field := newField(n)
		if field == nil {
			continue
		}
		owner := d.owner(n)
		if i := slices.IndexFunc(all, func(f *Form) bool { return f.node == owner }); i >= 0 {
			all[i].fields = append(all[i].fields, field)
		}
	}
	for _, f := range all {
		f.uncheckAllButLast()
	}
	return all
}

// uncheckAllButLast leaves one radio button of a name checked.
func (f *Form) uncheckAllButLast() {
	last := make(map[string]*field)
	for _, field := range f.fields {
		if field.kind != "radio" || !field.checked || field.name == "" {
			continue
		}
		if before := last[field.name]; before != nil {
			before.checked = false
		}
		last[field.name] = field
	}
}

func (p Page) listForms() string {
	var all []string
	for _, f := range p.allForms() {
		all = append(all, f.String())
	}
	switch {
	case len(all) > 0:
		return "it has " + strings.Join(all, ", ")
	case p.Response == nil:
		return "it was not loaded, and has tokens alone"
	}
	return "it is " + describe(p.Response, p.html)
}

// String names the form in what a test prints.
func (f *Form) String() string {
	name := strings.ToUpper(f.method(nil)) + " " + f.action(nil).RequestURI()
	if id, ok := attribute(f.node, "id"); ok {
		name += " #" + id
	}
	return name
}

func (f *Form) isIn(id string) bool {
	around := f.document.byID(id)
	for n := f.node; n != nil && around != nil; n = n.Parent {
		if n == around {
			return true
		}
	}
	return false
}

func (f *Form) leadsTo(target string) bool {
	t, err := f.document.base.Parse(target)
	if err != nil {
		return false
	}
	a := f.action(nil)
	return sameOrigin(a, t) && pathOf(a) == pathOf(t) && (!strings.Contains(target, "?") || a.RawQuery == t.RawQuery)
}

func pathOf(u *url.URL) string { return "/" + strings.TrimPrefix(u.EscapedPath(), "/") }

func (f *Form) fatalf(format string, args ...any) {
	f.page.browser.t.Helper()
	f.page.browser.fatalf("the form %s: %s", f, fmt.Sprintf(format, args...))
}

// Fill types or chooses values, in the place of what the fields of that name
// held. Of check boxes, radio buttons and a select with multiple, those with the
// values are chosen and no others. Each other field of the name takes one value,
// in the page's order. A field for a number or a date takes it as the browser
// sends it: "1.5", "2006-01-02".
func (f *Form) Fill(name string, values ...string) *Form {
	f.page.browser.t.Helper()
	var single []*field
	rest := slices.Clone(values)
	for _, field := range f.open(name) {
		switch field.kind {
		case "checkbox", "radio":
			field.checked, rest = slices.Contains(values, field.value), without(rest, field.value)
		case "select multiple":
			for _, o := range field.options {
				if !o.disabled {
					o.selected, rest = slices.Contains(values, o.value), without(rest, o.value)
				}
			}
		default:
			single = append(single, field)
		}
	}
	if len(single) == 0 && len(rest) > 0 {
		f.fatalf("the field %q does not offer %q; it offers %q", name, rest[0], f.offered(name))
	}
	if len(single) != len(rest) {
		f.fatalf("it has %d fields %q for one value each, and the values are %q", len(single), name, rest)
	}
	for i, field := range single {
		f.fillSingle(field, rest[i])
	}
	f.checkRadios(name)
	return f
}

// open returns the fields of that name that a visitor can change.
func (f *Form) open(name string) []*field {
	f.page.browser.t.Helper()
	var open []*field
	why := ""
	for _, field := range f.named(name) {
		if locked := field.locked(); locked == "" {
			open = append(open, field)
		} else if why == "" {
			why = locked
		}
	}
	if len(open) == 0 {
		f.fatalf("the field %q %s", name, why)
	}
	return open
}

// named returns all the fields of that name.
func (f *Form) named(name string) []*field {
	f.page.browser.t.Helper()
	var found []*field
	var names []string
	for _, field := range f.fields {
		if field.name == name && name != "" {
			found = append(found, field)
		}
		if field.name != "" && !field.isButton() && !slices.Contains(names, field.name) {
			names = append(names, field.name)
		}
	}
	if found == nil {
		f.fatalf("it has no field %q; it has %q", name, names)
	}
	return found
}

func without(all []string, value string) []string {
	return slices.DeleteFunc(all, func(s string) bool { return s == value })
}

// offered returns what can be chosen for the name.
func (f *Form) offered(name string) []string {
	var all []string
	for _, field := range f.fields {
		if field.name != name || field.disabled {
			continue
		}
		if field.is("checkbox", "radio") {
			all = append(all, field.value)
		}
		for _, o := range field.options {
			if !o.disabled {
				all = append(all, o.value)
			}
		}
	}
	return all
}

func (f *Form) fillSingle(field *field, value string) {
	f.page.browser.t.Helper()
	if field.kind != "select" {
		if err := field.enter(value); err != nil {
			f.fatalf("the field %q %v", field.name, err)
		}
		return
	}
	i := slices.IndexFunc(field.options, func(o *option) bool { return o.value == value && !o.disabled })
	if i < 0 {
		f.fatalf("the field %q does not offer %q; it offers %q", field.name, value, f.offered(field.name))
	}
	for j, o := range field.options {
		o.selected = i == j
	}
}

// checkRadios ends the test unless one radio button of the name is checked, if
// there are any. The visitor's choice takes the place of a disabled one.
func (f *Form) checkRadios(name string) {
	f.page.browser.t.Helper()
	radios, chosen := 0, 0
	for _, field := range f.fields {
		if field.name != name || field.kind != "radio" {
			continue
		}
		if field.disabled {
			field.checked = false
			continue
		}
		radios++
		if field.checked {
			chosen++
		}
	}
	if radios > 0 && chosen != 1 {
		f.fatalf("of the radio buttons %q, one can be chosen, and not %d", name, chosen)
	}
}

// File chooses a file for a field of that name: the first that has none, or one
// with multiple. Its media type is that of the extension of its name.
func (f *Form) File(name, filename string, content []byte) *Form {
	f.page.browser.t.Helper()
	why := "is for no file"
	for _, field := range f.named(name) {
		switch {
		case field.kind != "file":
		case field.disabled:
			why = "is disabled"
		case len(field.files) > 0 && !has(field.node, "multiple"):
			why = "takes one file"
		default:
			field.files = append(field.files, file{filename, content})
			return f
		}
	}
	f.fatalf("the field %q %s", name, why)
	return f
}

// NoValidate has the form sent whatever is in its fields, as if it had the
// attribute novalidate. It is for tests of what the handler checks itself.
func (f *Form) NoValidate() *Form {
	f.noValidate = true
	return f
}

// Submit sends the form with its first button, as the Enter key does. A form
// without a button is sent as a script sends it.
func (f *Form) Submit() Page {
	f.page.browser.t.Helper()
	i := slices.IndexFunc(f.fields, (*field).submits)
	if i < 0 {
		return f.send(nil)
	}
	return f.send(f.fields[i])
}

// Press sends the form with a button, named by what is written on it, by its
// name, or by its name and value: "Save", "do", "do=save". The test ends if the
// form has no such button, or more than one.
func (f *Form) Press(button string) Page {
	f.page.browser.t.Helper()
	var found []*field
	var all []string
	for _, field := range f.fields {
		if !field.submits() {
			continue
		}
		full := field.name + "=" + field.value
		all = append(all, fmt.Sprintf("%q (%s)", field.label(), full))
		if slices.Contains([]string{field.label(), field.name, full}, button) && button != "" {
			found = append(found, field)
		}
	}
	if len(found) != 1 {
		f.fatalf("it has %d buttons %q; it has %s", len(found), button, strings.Join(all, ", "))
	}
	return f.send(found[0])
}

// send sends the form as the button does, which may be nil.
func (f *Form) send(button *field) Page {
	f.page.browser.t.Helper()
	if button != nil && button.disabled {
		f.fatalf("its button %q is disabled", button.label())
	}
	f.validate(button)
	target := f.action(button)
	if target.Scheme != "http" && target.Scheme != "https" {
		f.fatalf("it leads to %s, which is not HTTP", target)
	}
	switch f.method(button) {
	case "dialog":
		f.fatalf("it closes a dialog, and sends nothing")
	case "get":
		target.RawQuery, target.ForceQuery = encodeURL(f.entries(button)), true
		return f.page.open("GET", target, nil, "")
	}
	switch enctype := f.overridden(button, "enctype"); enctype {
	case "text/plain":
		f.fatalf("its enctype is text/plain, which a server cannot take apart for certain")
	case "multipart/form-data":
		body, contentType := encodeMultipart(f.entries(button))
		return f.page.open("POST", target, body, contentType)
	}
	return f.page.open("POST", target, []byte(encodeURL(f.entries(button))), "application/x-www-form-urlencoded")
}

// validate ends the test if a browser would not send the form.
func (f *Form) validate(button *field) {
	f.page.browser.t.Helper()
	if f.noValidate || has(f.node, "novalidate") || button != nil && has(button.node, "formnovalidate") {
		return
	}
	for _, field := range f.fields {
		why := field.invalid()
		if field.kind == "radio" && !field.disabled && has(field.node, "required") && !f.anyChecked(field.name) {
			why = "is required"
		}
		if why != "" {
			f.fatalf("a browser does not send it: the field %q %s; NoValidate sends it all the same", field.name, why)
		}
	}
}

func (f *Form) anyChecked(radio string) bool {
	return slices.ContainsFunc(f.fields, func(o *field) bool { return o.kind == "radio" && o.name == radio && o.checked })
}

// overridden returns an attribute of the form in lower case, or what its button
// has in the place of it.
func (f *Form) overridden(button *field, name string) string {
	value, _ := attribute(f.node, name)
	if button != nil && has(button.node, "form"+name) {
		value, _ = attribute(button.node, "form"+name)
	}
	return strings.ToLower(value)
}

func (f *Form) method(button *field) string {
	if method := f.overridden(button, "method"); method == "post" || method == "dialog" {
		return method
	}
	return "get"
}

// action returns the URL that the form leads to.
func (f *Form) action(button *field) *url.URL {
	action, _ := attribute(f.node, "action")
	if button != nil && has(button.node, "formaction") {
		action, _ = attribute(button.node, "formaction")
	}
	if action = strings.TrimSpace(action); action == "" {
		own := *f.document.url
		return &own
	}
	target, err := f.document.base.Parse(action)
	if err != nil {
		return &url.URL{Opaque: action} // that it is not HTTP is said when it is sent
	}
	return target
}

func (f *Form) entries(button *field) []entry {
	var all []entry
	for _, field := range f.fields {
		all = append(all, field.entries(button)...)
	}
	for i := range all {
		all[i].name = carriageReturns(all[i].name)
		if all[i].file == nil {
			all[i].value = carriageReturns(all[i].value)
		}
	}
	return all
}

func carriageReturns(text string) string { return strings.ReplaceAll(lineFeeds(text), "\n", "\r\n") }

// encodeURL keeps the order of the entries, as url.Values would not.
func encodeURL(entries []entry) string {
	var pairs []string
	for _, e := range entries {
		pairs = append(pairs, url.QueryEscape(e.name)+"="+url.QueryEscape(e.value))
	}
	return strings.Join(pairs, "&")
}

func encodeMultipart(entries []entry) (body []byte, contentType string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, e := range entries {
		header := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="` + quoted(e.name) + `"`}}
		content := []byte(e.value)
		if e.file != nil {
			header["Content-Disposition"][0] += `; filename="` + quoted(e.file.name) + `"`
			header.Set("Content-Type", mediaType(e.file.name))
			content = e.file.content
		}
		part, _ := w.CreatePart(header) // a buffer takes everything
		part.Write(content)
	}
	w.Close()
	return b.Bytes(), w.FormDataContentType()
}

// quoted escapes a name as browsers do, which is not how package mime does it.
var quoted = strings.NewReplacer("\n", "%0A", "\r", "%0D", `"`, "%22").Replace

func mediaType(filename string) string {
	full, _, _ := strings.Cut(mime.TypeByExtension(path.Ext(filename)), ";")
	if full == "" {
		return "application/octet-stream"
	}
	return full
}
