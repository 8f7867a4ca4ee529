package integration_test

// Each promise in SECURITY.md names the tests that hold it, in a comment behind the
// sentence.

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pagestate/pagestate/internal/testkit"
)

var (
	promise     = regexp.MustCompile(`(?s)(.*?)\s*<!-- ([^>]*) -->\s*`)
	sentenceEnd = regexp.MustCompile("[.]\\*{0,2} [A-Z`*]")
	testFunc    = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
)

func TestPromisesNameTheirTests(t *testing.T) {
	text, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := testsOfAllModules(t)
	promises := 0
	inTable := false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| promised | not promised |") {
			inTable = true
			continue
		}
		inTable = inTable && strings.HasPrefix(line, "|")
		cell, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		if !inTable || !ok || strings.HasPrefix(line, "| |") {
			continue
		}
		for _, m := range promise.FindAllStringSubmatch(cell, -1) {
			promises++
			if sentenceEnd.MatchString(m[1]) || !strings.HasSuffix(m[1], ".") {
				t.Errorf("%q: name the tests of each sentence behind it, as in <!-- TestA TestB -->", m[1])
			}
			for name := range strings.FieldsSeq(m[2]) {
				if !tests[name] {
					t.Errorf("%q: there is no test %s", m[1], name)
				}
			}
		}
		if rest := promise.ReplaceAllString(cell, ""); rest != "" {
			t.Errorf("%q: name the tests that hold it, as in <!-- TestA TestB -->", rest)
		}
	}
	testkit.Want(t, "many promises", promises > 30, true)
}

func testsOfAllModules(t *testing.T) map[string]bool {
	all := make(map[string]bool)
	err := filepath.WalkDir("../..", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		source, err := os.ReadFile(name)
		for _, m := range testFunc.FindAllSubmatch(source, -1) {
			all[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
