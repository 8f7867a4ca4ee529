package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/pagestate/pagestate/inspect"
)

// writeText is for people. Long values are cut.
func writeText(out io.Writer, t *inspect.Token) error {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	line("component", "%s, schema version %d", printable(t.Component), t.Version)
	if t.Key != "" {
		line("child", "%s of %s", printable(t.Key), t.Parent)
	}
	line("owner", "%s", t.Owner)
	line("instance", "%s, revision %d", t.Instance, t.Revision)
	line("sealed", "%s", moment(t.LastSealed))
	line("first sealed", "%s", moment(t.FirstSealed))
	fields := 0
	for _, f := range t.Fields {
		fields += f.Bytes
	}
	compressed := ""
	if t.Compressed {
		compressed = ", before they were compressed"
	}
	line("size", "%d bytes: values %d, names and types %d%s; the rest is the envelope, encryption and base64", t.Bytes, fields, t.Names, compressed)
	w.Flush()
	w = tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if len(t.Fields) > 0 {
		fmt.Fprintf(w, "\n%6s  %s\t%s\n", "bytes", "field", "value")
	}
	for _, f := range t.Fields {
		name := printable(f.Name)
		if f.Name == "" {
			name = "(the state)"
		}
		fmt.Fprintf(w, "%6d  %s\t%s\n", f.Bytes, name, shortened(f.Value))
	}
	w.Flush()
	_, err := io.WriteString(out, b.String())
	return err
}

func moment(t time.Time) string {
	return fmt.Sprintf("%s, %s ago", t.Format(time.DateTime+" MST"), time.Since(t).Round(time.Second))
}

// printable is text that a terminal can take: in quotes if anything else is in it.
func printable(text string) string {
	if quoted := strconv.Quote(text); quoted != `"`+text+`"` {
		return quoted
	}
	return text
}

func shortened(value string) string {
	const most = 120 // characters
	if utf8.RuneCountInString(value) <= most {
		return value
	}
	return string([]rune(value)[:most]) + "… (all of it: -json)"
}

// writeJSON writes all there is. In strings it escapes everything that is not printed,
// and not only what JSON has escaped.
func writeJSON(out io.Writer, t *inspect.Token) error {
	data, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, r := range string(data) {
		if r == '\n' || unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	b.WriteString("\n")
	_, err = io.WriteString(out, b.String())
	return err
}
