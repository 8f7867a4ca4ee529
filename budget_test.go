package pagestate_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// budgeted has fields of the sizes that a test wants.
type budgeted struct {
	pagestate.Component
	Step              int
	Small, Large, Mid string
	More              []string
}

func largeBudgeted() budgeted {
	return budgeted{Small: "x", Large: strings.Repeat(private, 100), Mid: strings.Repeat("x", 200), More: []string{strings.Repeat("x", 60)}}
}

const budgetLine = "over the component's budget"

type budgetedExactly []string

func TestBudget(t *testing.T) {
	now := time.Now()
	r := pagestate.NewRegistry()
	pagestate.Register[budgeted](r, "budgeted", pagestate.Budget(1000))
	pagestate.Register[counter](r, "counter", pagestate.Budget(1000))
	pagestate.Register[[]string](r, "list", pagestate.Budget(10))
	pagestate.Register[budgetedExactly](r, "exactly", pagestate.Budget(164))
	a := newApp(t, r, pagestate.Options{Session: pagestate.SessionFunc(func(*http.Request) string { return "session" }), Clock: func() time.Time { return now }})
	owner := pagestate.Owner{Session: "session"}
	notice := largeBudgeted()
	a.mux.HandleFunc("/look", func(http.ResponseWriter, *http.Request) {})
	a.mux.Handle("/change", pagestate.Handle(func(_ http.ResponseWriter, _ *http.Request, s *budgeted) error {
		s.Step++
		return nil
	}))
	a.mux.Handle("/carry", pagestate.Handle(func(w http.ResponseWriter, r *http.Request, _ *budgeted) error {
		return pagestate.Redirect(w, r, "/page", &notice)
	}))
	b := a.browser()
	small, large := mustSeal(t, a.mw, owner, budgeted{}), mustSeal(t, a.mw, owner, largeBudgeted())
	testkit.Want(t, "the length is over it", len(large) > 1000, true)
	line := func(size int) string {
		return fmt.Sprintf(`component=budgeted bytes=%d budget=1000 largest="Large (1303), Mid (202), More (63)"`, size)
	}
	exactly := budgetedExactly{"x"}
	testkit.Want(t, "the length that is its budget", len(mustSeal(t, a.mw, owner, &exactly)), 164)
	for _, tt := range []struct {
		name  string
		do    func()
		wants string // "" for no line
	}{
		{"Seal", func() { mustSeal(t, a.mw, owner, largeBudgeted()) }, line(len(large))},
		{"Reseal", func() {
			if _, err := a.mw.Reseal(t.Context(), owner, small, largeBudgeted()); err != nil {
				t.Error(err)
			}
		}, line(len(large))},
		{"a state that changes", func() { b.Call("POST", "/change", large) }, line(len(large))},
		{"a state that was only opened", func() { b.Call("POST", "/look", large) }, ""},
		{"one that is carried on", func() { b.Call("POST", "/carry", small) }, line(len(large))},
		{"one that is within its budget", func() { mustSeal(t, a.mw, owner, budgeted{Small: "x"}) }, ""},
		{"one that is its budget", func() { mustSeal(t, a.mw, owner, &exactly) }, ""},
		{"another component", func() { mustSeal(t, a.mw, owner, counter{}) }, ""},
		{"one without fields", func() { mustSeal(t, a.mw, owner, &[]string{"x"}) }, `component=list bytes=140 budget=10 largest=""`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now = now.Add(time.Minute)
			a.log.Reset()
			tt.do()
			if tt.wants == "" {
				testkit.Want(t, "warns", strings.Contains(a.log.String(), budgetLine), false)
				return
			}
			testkit.WantText(t, "log", a.log.String(), "level=WARN", budgetLine, tt.wants)
			tt.do()
			testkit.Want(t, "lines", strings.Count(a.log.String(), budgetLine), 1)
		})
	}
}

func TestBudgetFaults(t *testing.T) {
	for _, bytes := range []int{0, -1} {
		r := pagestate.NewRegistry()
		pagestate.Register[counter](r, "counter", pagestate.Budget(bytes))
		_, err := pagestate.New(r, pagestate.Options{Secrets: [][]byte{testkit.NewSecret()}, Session: pagestate.Unbound()})
		testkit.Want(t, "fault", fmt.Sprint(err), fmt.Sprintf("pagestate: pagestate_test.counter: the budget of %d bytes is less than 1", bytes))
	}
}
