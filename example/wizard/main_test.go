package main

import (
	"os"
	"strings"
	"testing"
)

// docs/redirects.md shows this program.
func TestDocument(t *testing.T) {
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../../docs/redirects.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(document), "```go\n"+string(program)+"```\n") {
		t.Error("docs/redirects.md shows another program than main.go")
	}
}
