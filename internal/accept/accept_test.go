package accept_test

import (
	"strings"
	"testing"

	"github.com/pagestate/pagestate/internal/accept"
)

// What browsers send for a page.
const (
	chrome  = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
	firefox = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
)

func TestPrefers(t *testing.T) {
	tests := []struct {
		name   string
		accept []string
		html   bool // and not JSON
	}{
		{"no header", nil, false},
		{"empty", []string{""}, false},
		{"Chrome", []string{chrome}, true},
		{"Firefox", []string{firefox}, true},
		{"curl and fetch", []string{"*/*"}, false},
		{"axios", []string{"application/json, text/plain, */*"}, false},
		{"jQuery", []string{"application/json, text/javascript, */*; q=0.01"}, false},
		{"HTML", []string{"text/html"}, true},
		{"in capitals", []string{"TEXT/HTML;Q=1"}, true},
		{"any text", []string{"text/*"}, true},
		{"any application", []string{"application/*"}, false},
		{"only XHTML", []string{"application/xhtml+xml"}, false},
		{"a tie", []string{"text/html, application/json"}, false},
		{"a tie below 1", []string{"text/html;q=0.5, application/json;q=0.5"}, false},
		{"HTML preferred", []string{"application/json;q=0.5, text/html;q=0.501"}, true},
		{"JSON preferred", []string{"text/html;q=0.5, application/json;q=0.501"}, false},
		{"HTML refused", []string{"text/html;q=0, */*;q=0.1"}, false},
		{"both refused", []string{"text/html;q=0, application/json;q=0"}, false},
		{"JSON refused", []string{"application/json;q=0, */*;q=0.1"}, true},
		{"the specific one counts, first", []string{"text/html;q=0.2, text/*;q=0.9, application/json;q=0.5"}, false},
		{"the specific one counts, last", []string{"text/*;q=0.9, application/json;q=0.5, text/html;q=0.2"}, false},
		{"any text before anything", []string{"*/*;q=0.1, text/*;q=0.9"}, true},
		{"a charset is more specific", []string{"text/html, text/html;charset=UTF-8;q=0.2, application/json;q=0.5"}, false},
		{"our charset", []string{`text/html; charset="utf-8", application/json;q=0.9`}, true},
		{"another charset", []string{"text/html; charset=latin1, application/json;q=0.1"}, false},
		{"a variant of HTML", []string{"text/html;level=1, application/json;q=0.1"}, false},
		{"not a charset", []string{"text/html;level=utf-8, application/json;q=0.1"}, false},
		{"several headers", []string{"application/json;q=0.5", "text/html"}, true},
		{"weight without a value", []string{"text/html;q, application/json;q=0.5"}, false},
		{"several headers, tied", []string{"text/html", "application/json"}, false},
		{"weight is no number", []string{"text/html;q=high, text/*"}, true},
		{"weight over 1", []string{"text/html;q=2, text/*;q=0"}, false},
		{"weight below 0", []string{"text/html;q=-1, text/*"}, true},
		{"weight NaN", []string{"text/html;q=NaN, text/*"}, true},
		{"two weights", []string{"text/html;q=0;q=1, text/*"}, true},
		{"malformed beside good", []string{";;;, /, text/html;q, =, text/html;q=0.5"}, true},
		{"rubbish", []string{"\xff\x00,;=\"", "text/html/html", "text /html"}, false},
		{"up to 4 KiB is read", []string{fill("*/*;q=0.1, ", 4096-len("text/html")) + "text/html"}, true},
		{"beyond 4 KiB is not", []string{fill("*/*;q=0.1, ", 4097-len("text/html")) + "text/html"}, false},
		{"nothing is cut in two", []string{fill("*/*;q=0.1, ", 4096-len("text/html")) + "text/html;q=0"}, false},
		{"1 MiB of commas", []string{strings.Repeat(",", 1<<20)}, false},
		{"1 MiB without a comma", []string{strings.Repeat("a", 1<<20)}, false},
		{"1 MiB of parameters", []string{"text/html" + strings.Repeat(";a", 1<<19)}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := accept.Prefers(tt.accept, "text/html", "application/json"); got != tt.html {
				t.Errorf("Accept %.200q: HTML %v, want %v", tt.accept, got, tt.html)
			}
		})
	}
}

// fill returns start, filled up with spaces to size.
func fill(start string, size int) string {
	return start + strings.Repeat(" ", size-len(start))
}
