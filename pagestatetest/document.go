package pagestatetest

// This file parses a page, and knows which of its fields belong to which form.

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

// document is a page as a browser without scripts has parsed it.
type document struct {
	url   *url.URL     // of the page
	base  *url.URL     // what its addresses are relative to
	nodes []*html.Node // all elements outside of templates, in their order
}

func newDocument(text string, address *url.URL) (*document, error) {
	root, err := html.ParseWithOptions(strings.NewReader(markOwners(text)), html.ParseOptionEnableScripting(false))
	if err != nil {
		return nil, err
	}
	d := &document{url: address, base: address}
	d.collect(root)
	for _, n := range d.nodes {
		if href, ok := attribute(n, "href"); ok && n.Data == "base" {
			if base, err := address.Parse(strings.TrimSpace(href)); err == nil {
				d.base = base
			}
			break
		}
	}
	return d, nil
}

func (d *document) collect(n *html.Node) {
	if n.Type == html.ElementNode {
		d.nodes = append(d.nodes, n)
		if n.Data == "template" {
			return
		}
	}
	for c := range n.ChildNodes() {
		d.collect(c)
	}
}

func (d *document) forms() []*html.Node {
	return slices.DeleteFunc(slices.Clone(d.nodes), func(n *html.Node) bool { return n.Data != "form" })
}

// byID returns the first element with that id, or nil.
func (d *document) byID(id string) *html.Node {
	for _, n := range d.nodes {
		if value, ok := attribute(n, "id"); ok && value == id {
			return n
		}
	}
	return nil
}

// owner returns the form that a field belongs to, or nil.
func (d *document) owner(field *html.Node) *html.Node {
	if id, ok := attribute(field, "form"); ok {
		if form := d.byID(id); form != nil && form.Data == "form" {
			return form
		}
		return nil
	}
	mark, ok := attribute(field, ownerMark)
	if !ok {
		return nil
	}
	for _, form := range d.forms() {
		if value, _ := attribute(form, ownerMark); value == mark {
			return form
		}
	}
	return nil
}

const ownerMark = "pagestatetest-form"

// markOwners gives each form a number, and each field that of its form. A form
// has the fields that come after its start tag and before its end tag in the
// text, also where the tree has them elsewhere: a form around table rows is
// empty in the tree.
func markOwners(text string) string {
	var out strings.Builder
	open, last := 0, 0 // the number of the form that is open, 0 if none is
	templates := 0
	z := html.NewTokenizer(strings.NewReader(text))
	for z.Next() != html.ErrorToken {
		raw := string(z.Raw())
		token := z.Token()
		start := token.Type == html.StartTagToken || token.Type == html.SelfClosingTagToken
		end := token.Type == html.EndTagToken
		switch token.Data {
		case "noscript":
			if start {
				z.NextIsNotRawText()
			}
		case "template":
			if start {
				templates++
			} else if end && templates > 0 {
				templates--
			}
		case "form":
			switch {
			case templates > 0:
			case end:
				open = 0
			case start && open == 0:
				last++
				open = last
				raw = marked(token, open)
			}
		case "input", "select", "textarea", "button":
			if start && open > 0 {
				raw = marked(token, open)
			}
		}
		out.WriteString(raw)
	}
	return out.String()
}

func marked(tag html.Token, number int) string {
	mark := html.Attribute{Key: ownerMark, Val: strconv.Itoa(number)}
	tag.Attr = append([]html.Attribute{mark}, tag.Attr...)
	return tag.String()
}

// attribute returns an attribute of n. The first one counts, as in a browser.
func attribute(n *html.Node, name string) (value string, ok bool) {
	for _, a := range n.Attr {
		if a.Namespace == "" && a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func has(n *html.Node, name string) bool {
	_, ok := attribute(n, name)
	return ok
}

// inside reports whether n is in an element of that name.
func inside(n *html.Node, name string) bool {
	for a := range n.Ancestors() {
		if a.Data == name && a.Type == html.ElementNode {
			return true
		}
	}
	return false
}

// textOf returns the text in n, with its white space as it is.
func textOf(n *html.Node) string {
	var text strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			text.WriteString(d.Data)
		}
	}
	return text.String()
}

// words returns text with single spaces, as a page shows it.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }
