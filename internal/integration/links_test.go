package integration_test

// Links between the documents lead somewhere: to a file of this repository, and to
// a heading in it.

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/pagestate/pagestate/internal/testkit"
)

var (
	linkPattern = regexp.MustCompile(`\]\(([^()\s]+)\)|^\[[^\]]+\]: +(\S+)`)
	inlineCode  = regexp.MustCompile("`[^`]*`")
	linkText    = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

func TestLinksInDocuments(t *testing.T) {
	links := 0
	for _, pattern := range []string{"README.md", "SECURITY.md", "CHANGELOG.md", "docs/*.md", "adapter/*/README.md"} {
		files, err := filepath.Glob("../../" + pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no file (%v)", pattern, err)
		}
		for _, file := range files {
			for _, link := range linksIn(t, file) {
				links++
				if err := checkLink(file, link); err != nil {
					t.Errorf("%s: %s: %v", strings.TrimPrefix(file, "../../"), link, err)
				}
			}
		}
	}
	testkit.Want(t, "many links", links > 100, true)
}

// TestCheckLink: the test above sees what is wrong.
func TestCheckLink(t *testing.T) {
	tests := []struct {
		link string
		ok   bool
	}{
		{"errors.md", true},
		{"../SECURITY.md", true},
		{"rows.md#with-templ", true},
		{"errors.md#know-what-each-error-means", true},
		{"#put-filters-and-pages-into-the-url", true},
		{"missing.md", false},
		{"errors.md#missing", false},
		{"#With-Templ", false},
		{"/docs/errors.md", false},
		{"../../../etc/passwd", false},
	}
	for _, test := range tests {
		if err := checkLink("../../docs/lists.md", test.link); (err == nil) != test.ok {
			t.Errorf("%s: %v", test.link, err)
		}
	}
}

// linksIn returns the links of a document that stay in the repository.
func linksIn(t *testing.T, file string) (links []string) {
	for _, line := range proseOf(t, file) {
		for _, m := range linkPattern.FindAllStringSubmatch(inlineCode.ReplaceAllString(line, "code"), -1) {
			if link := m[1] + m[2]; !strings.Contains(link, "://") {
				links = append(links, link)
			}
		}
	}
	return links
}

// checkLink returns what is wrong with a link of a document.
func checkLink(file, link string) error {
	path, anchor, hasAnchor := strings.Cut(link, "#")
	target := file
	if path != "" {
		target = filepath.Join(filepath.Dir(file), path)
	}
	if filepath.IsAbs(path) || strings.HasPrefix(target, "../../../") {
		return fmt.Errorf("it leaves the repository")
	}
	if _, err := os.Stat(target); err != nil {
		return fmt.Errorf("there is no such file")
	}
	if !hasAnchor {
		return nil
	}
	text, err := os.ReadFile(target)
	if err != nil {
		return err
	}
	if !anchorsIn(string(text))[anchor] {
		return fmt.Errorf("there is no such heading")
	}
	return nil
}

// anchorsIn returns what links call the headings, as GitHub makes them.
func anchorsIn(markdown string) map[string]bool {
	anchors := make(map[string]bool)
	for _, line := range prose(markdown) {
		marks, heading, ok := strings.Cut(line, " ")
		if !ok || marks == "" || strings.Trim(marks, "#") != "" {
			continue
		}
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(linkText.ReplaceAllString(heading, "$1")))
		unique := name
		for n := 1; anchors[unique]; n++ {
			unique = fmt.Sprint(name, "-", n)
		}
		anchors[unique] = true
	}
	return anchors
}

func proseOf(t *testing.T, file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return prose(string(text))
}

// prose returns the lines of a document that stand in no fence.
func prose(markdown string) (lines []string) {
	inside := false
	for line := range strings.Lines(markdown) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			inside = !inside
		} else if !inside {
			lines = append(lines, strings.TrimRight(line, "\r\n"))
		}
	}
	return lines
}
