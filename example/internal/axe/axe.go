// Package axe looks for what keeps people out of a page: it runs axe-core in it, a
// library that checks the rules of WCAG which a program can check.
package axe

import (
	_ "embed"
	"testing"
)

//go:embed axe-core-4.14.1/axe.min.js
var source string

// tab is a page in a browser that runs scripts.
type tab interface {
	Do(script string)
	Text(script string) string
}

// Check fails the test if axe finds anything in the page that a tab shows.
func Check(t testing.TB, page string, in tab) {
	t.Helper()
	in.Do(source)
	found := in.Text(`axe.run().then(found => found.violations.map(rule =>
		rule.help + ':\n' + rule.nodes.map(node => '\t' + node.html + '\n\t' + node.failureSummary).join('\n')).join('\n'))`)
	if found != "" {
		t.Errorf("%s: %s", page, found)
	}
}
