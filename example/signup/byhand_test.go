package main

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pagestate/pagestate/form"
	"github.com/pagestate/pagestate/internal/testkit"
)

// applyByHand is form.Apply for the forms of the sign-up.
func applyByHand(s *Signup, sent url.Values, path string) form.Errors {
	r := byHand{sent, form.Errors{}}
	switch path {
	case "/":
		r.text("name", &s.Name)
		r.text("email", &s.Email)
	case "/membership":
		r.day("born", &s.Born)
		r.day("start", &s.Start)
		r.text("amount", &s.Amount)
	case "/phones":
		r.phones(&s.Phones)
	case "/rules":
		r.box("rules", &s.Rules)
	}
	return r.problems
}

type byHand struct {
	sent     url.Values
	problems form.Errors
}

// one returns what was sent under a name, if that can be read.
func (r byHand) one(name string) (text string, ok bool) {
	switch all := r.sent[name]; {
	case len(all) == 0:
		return "", true
	case len(all) > 1:
		r.problems[name] = "Enter one value only."
	case !utf8.ValidString(all[0]):
		r.problems[name] = "This could not be read. Enter it again."
	default:
		return strings.ReplaceAll(all[0], "\r\n", "\n"), true
	}
	return "", false
}

func (r byHand) text(name string, field *string) {
	if text, ok := r.one(name); ok {
		*field = text
	}
}

func (r byHand) day(name string, field **time.Time) {
	text, ok := r.one(name)
	if !ok {
		return
	}
	if text = strings.TrimSpace(text); text == "" {
		*field = nil
		return
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		r.problems[name] = "Enter a date such as 2024-12-31."
		return
	}
	*field = &day
}

func (r byHand) box(name string, field *bool) {
	switch text, ok := r.one(name); {
	case ok && (text == "" || text == "on"):
		*field = text == "on"
	case ok:
		r.problems[name] = "Choose yes or no."
	}
}

func (r byHand) phones(field *[]Phone) {
	var phones []Phone
	before := len(r.problems)
	for i := 0; ; i++ {
		kind, number := fmt.Sprintf("phones.%d.kind", i), fmt.Sprintf("phones.%d.number", i)
		if !r.sent.Has(kind) && !r.sent.Has(number) {
			break
		}
		var phone Phone
		r.text(kind, &phone.Kind)
		r.text(number, &phone.Number)
		phones = append(phones, phone)
	}
	if len(r.problems) == before {
		*field = phones
	}
}

// docs/forms.md shows both.
func TestByHand(t *testing.T) {
	born := time.Date(1990, 12, 10, 0, 0, 0, 0, time.UTC)
	for _, query := range []string{
		"",
		"name=Ada&email=ada%40example.com&Member=1&picture=2&born=2000-01-01",
		"name=Ada&name=Grace&email=%ff",
		"born=1990-12-10&start=+2027-01-01+&amount=12.50",
		"born=10+Dec&start=&amount=",
		"phones.0.kind=Mine&phones.0.number=1&phones.1.number=2",
		"phones.1.number=2&phones.0.number=1",
		"phones.0.number=1&phones.0.number=2",
		"rules=on",
		"rules=maybe",
	} {
		sent, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range steps {
			fresh := Signup{Name: "Grace", Born: &born, Phones: []Phone{{"Mine", "1"}}, Rules: true}
			applied, byHand := fresh, fresh
			problems, err := form.Apply(&applied, sent, step.fields...)
			if err != nil {
				t.Fatal(err)
			}
			problemsByHand := applyByHand(&byHand, sent, step.Path)
			testkit.Want(t, query+" at "+step.Path, content(t, byHand), content(t, applied))
			testkit.Want(t, query+" at "+step.Path+": problems", fmt.Sprint(keys(problemsByHand)), fmt.Sprint(keys(problems)))
		}
	}
}

// content is what a sign-up holds, as a query.
func content(t *testing.T, s Signup) string {
	t.Helper()
	values, err := form.Values(&s, "name", "email", "born", "start", "amount", "phones", "rules")
	if err != nil {
		t.Fatal(err)
	}
	return values.Encode()
}

func keys(problems form.Errors) []string { return slices.Sorted(maps.Keys(problems)) }
