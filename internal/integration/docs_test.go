package integration_test

// The Go code in docs/ is code of these tests, so it compiles and does what it
// says.

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCodeInDocuments(t *testing.T) {
	sources := readSources(t)
	for _, name := range []string{"resume.md", "stale.md"} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("../../docs", name))
			if err != nil {
				t.Fatal(err)
			}
			blocks := goBlocks(string(text))
			want(t, "has code", len(blocks) > 0, true)
			for _, block := range blocks {
				if !strings.Contains(sources, unindented(block)) {
					t.Errorf("none of the tests has this code:\n%s", block)
				}
			}
		})
	}
}

// readSources returns the text of all tests.
func readSources(t *testing.T) string {
	files, err := filepath.Glob("*_test.go")
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
