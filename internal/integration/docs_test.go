package integration_test

// The Go code in docs/ is code of these tests, so it compiles and does what it
// says. What the README says of pagestatetest is code of that package's tests.

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pagestate/pagestate/internal/testkit"
)

func TestCodeInDocuments(t *testing.T) {
	var sources strings.Builder
	for _, pattern := range []string{
		"*_test.go", "frameworks/*_test.go", "../../example_secrets_test.go", "../../example_source_test.go", "../../pagestatetest/*_test.go",
		"../../example/datastar/main.go", "../../example/minimal/main.go", "../../example/signup/*.go", "../../example/wizard/main.go",
	} {
		sources.WriteString(readSources(t, pattern))
	}
	for _, name := range []string{
		"README.md",
		"docs/adapters.md", "docs/children.md", "docs/client.md", "docs/errors.md", "docs/files.md", "docs/forms.md", "docs/lists.md", "docs/login.md", "docs/migrating.md", "docs/operations.md", "docs/redirects.md", "docs/rows.md", "docs/testing.md", "docs/throttle.md",
	} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("../..", name))
			if err != nil {
				t.Fatal(err)
			}
			blocks := goBlocks(string(text))
			testkit.Want(t, "has code", len(blocks) > 0, true)
			for _, block := range blocks {
				if !strings.Contains(sources.String(), unindented(block)) {
					t.Errorf("none of the tests has this code:\n%s", block)
				}
			}
		})
	}
}

func TestCodeOfTestsInReadme(t *testing.T) {
	const dir = "../../pagestatetest/"
	tests := readSources(t, dir+"*_test.go")
	comment := strings.ReplaceAll(readSources(t, dir+"pagestatetest.go"), "//\t", "")
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, block := range goBlocks(string(readme)) {
		if !strings.Contains(block, "pagestatetest.") {
			continue
		}
		found++
		testkit.Want(t, "in the tests: "+block, strings.Contains(tests, unindented(block)), true)
		if strings.HasPrefix(block, "func Test") {
			testkit.Want(t, "in the package comment: "+block, strings.Contains(unindented(comment), unindented(block)), true)
		}
	}
	testkit.Want(t, "blocks", found, 2)
}

// readSources returns the text of the files that a pattern matches.
func readSources(t *testing.T, pattern string) string {
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(unindented(string(text)))
	}
	return all.String()
}

// goBlocks returns what stands between the fences of Go code.
func goBlocks(markdown string) (blocks []string) {
	const outside = -1
	start := outside
	lines := strings.SplitAfter(markdown, "\n")
	for i, line := range lines {
		switch fence := strings.TrimSpace(line); {
		case fence == "```go":
			start = i + 1
		case fence == "```" && start != outside:
			blocks = append(blocks, strings.Join(lines[start:i], ""))
			start = outside
		}
	}
	return blocks
}

// unindented is a text without what starts its lines, since a document shows
// the inside of a function too.
func unindented(text string) string {
	var all strings.Builder
	for line := range strings.Lines(text) {
		all.WriteString(strings.TrimLeft(line, "\t "))
	}
	return all.String()
}
