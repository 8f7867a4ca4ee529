package main

import (
	_ "embed"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pagestate/pagestate"
)

// Counter is a component: its exported fields are what the page keeps. The
// embedded Component gives the template {{.StateField}} and {{.StateToken}}.
type Counter struct {
	pagestate.Component
	Name  string
	Step  int
	Count int
}

// newCounter shows a counter for the first time.
func (s *site) newCounter(w http.ResponseWriter, r *http.Request) error {
	c := &Counter{Name: "Cups of tea", Step: 1}
	if err := pagestate.Attach(r.Context(), c); err != nil {
		return err
	}
	return s.showCounter(w, c, "")
}

// count works on the counter of the page that was clicked. What it changes is
// sealed into the page that answers.
func (s *site) count(w http.ResponseWriter, r *http.Request, c *Counter) error {
	c.configure(r.PostFormValue("name"), r.PostFormValue("step"))
	did := r.PostFormValue("do")
	switch did {
	case "up":
		c.Count += c.Step
	case "down":
		c.Count -= c.Step
	}
	return s.showCounter(w, c, did)
}

// configure overlooks what is not valid. The token is proof of where the state
// comes from; the other fields of a form are not.
func (c *Counter) configure(name, step string) {
	if name = strings.TrimSpace(name); name != "" && utf8.RuneCountInString(name) <= 30 {
		c.Name = name
	}
	if n, err := strconv.Atoi(step); err == nil && 1 <= n && n <= 10 {
		c.Step = n
	}
}

//go:embed counter.go
var counterSource string

// showCounter marks what was done, since the focus belongs back there: with the
// whole page new, the keyboard would begin at its top.
func (s *site) showCounter(w http.ResponseWriter, c *Counter, did string) error {
	return s.show(w, http.StatusOK, "counter.html", struct {
		*Counter
		Did    string
		Steps  []int
		Source string
	}{c, did, []int{1, 5, 10}, counterSource})
}
