package main

import (
	"os"
	"strings"
	"testing"
)

// docs/getting-started.md shows the program of the folder form, and the test of this
// one.
func TestDocument(t *testing.T) {
	document := read(t, "../../docs/getting-started.md")
	for _, file := range []string{"form/main.go", "main_test.go"} {
		if !strings.Contains(document, "```go\n"+read(t, file)+"```\n") {
			t.Errorf("docs/getting-started.md shows another %s", file)
		}
	}
}

// TestChanges: with the blocks that the document adds, its first program is this one.
func TestChanges(t *testing.T) {
	_, changes, _ := strings.Cut(read(t, "../../docs/getting-started.md"), "## Redirect to the next page")
	blocks := strings.Split(changes, "\n```")
	block := func(i int) string { _, code, _ := strings.Cut(blocks[2*i+1], "\n"); return code + "\n" }
	program := read(t, "form/main.go")
	edit := func(old, new string) {
		if strings.Count(program, old) != 1 {
			t.Fatalf("the program has this %d times: %s", strings.Count(program, old), old)
		}
		program = strings.Replace(program, old, new, 1)
	}
	edit("\treturn mw.Handler(mux), nil\n", block(0)+"\treturn mw.Handler(mux), nil\n")
	edit("\treturn show(w, http.StatusOK, \"form\", reply)\n}\n\n// show writes", block(1)+"}\n\n"+block(2)+"\n// show writes")
	edit("{{end}}\n`))\n", "{{end}}\n\n"+block(3)+"`))\n")
	_, want, _ := strings.Cut(read(t, "main.go"), "package main")
	if _, got, _ := strings.Cut(program, "package main"); got != want {
		t.Errorf("the changes make:\n%s", program)
	}
}

func read(t *testing.T, name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
