package main

// This file holds what the pages show.

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pagestate/pagestate"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("").Parse(pageText))

//go:embed static
var static embed.FS

// view is what the template gets.
type view struct {
	*Signup
	N    int        // which step it is, from 0; len(steps) behind the last one
	Form url.Values // that was sent, if one was
}

// show answers with the page of a step.
func show(w http.ResponseWriter, r *http.Request, status, n int, s *Signup) error {
	return write(w, status, "page", view{s, n, r.PostForm})
}

// refuse answers errors in the looks of this site. The page that pagestate has for them
// brings its own style, which the Content-Security-Policy forbids.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, _ := pagestate.Status(err)
	if !strings.Contains(r.Header.Get("Accept"), "text/html") || write(w, status, "refused", status) != nil {
		pagestate.WriteError(w, r, err)
	}
}

// write answers with a whole page, or not at all if its template fails.
func write(w http.ResponseWriter, status int, name string, data any) error {
	var page bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&page, name, data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, err := page.WriteTo(w)
	return err
}

func (v view) Steps() []step          { return steps }
func (v view) Kinds() []string        { return kinds }
func (v view) IsLast() bool           { return v.N == len(steps)-1 }
func (v view) IsDone() bool           { return v.N == len(steps) }
func (v view) Count(i int) int        { return i + 1 }
func (v view) Day(t time.Time) string { return t.Format("2 January 2006") }

func (v view) Title() string {
	if v.IsDone() {
		return "Welcome aboard"
	}
	return v.Step().Title
}

// Step is the one that is shown, if any is.
func (v view) Step() step { return steps[v.N] }

// Typed is what was typed where the field could not take it, and otherwise the date
// that the field holds.
func (v view) Typed(field string, day *time.Time) string {
	switch {
	case v.Errors[field] != "" && v.Form.Has(field):
		return v.Form.Get(field)
	case day == nil:
		return ""
	}
	return day.Format(time.DateOnly)
}

// A problem is what is wrong with a field, "" for nothing.
type problem struct{ Field, Message string }

func (v view) Problem(field string) problem { return problem{field, v.Errors[field]} }

// Invalid are the attributes of a field with a problem.
func (v view) Invalid(field string) template.HTMLAttr {
	if v.Errors[field] == "" {
		return ""
	}
	return template.HTMLAttr(fmt.Sprintf(`aria-invalid="true" aria-describedby="%s-error"`, field))
}

func (v view) Money() string {
	cents, _ := parseAmount(v.Amount)
	return fmt.Sprintf("%d.%02d", cents/100, cents%100)
}

// Initial stands where no picture is.
func (v view) Initial() string {
	_, size := utf8.DecodeRuneInString(v.Name)
	return v.Name[:size]
}
