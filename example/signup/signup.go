package main

// This file holds what a visitor fills in, and the handlers of its pages.

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/form"
	"github.com/pagestate/pagestate/upload"
)

// Signup is what somebody has filled in so far.
type Signup struct {
	pagestate.Component
	Name    string       `state:"name,public"`
	Email   string       `state:"email,public"`
	Picture *upload.File `state:"picture,optional"` // nil if there is none, or if it was swept
	Born    *time.Time   `state:"born,public"`
	Start   *time.Time   `state:"start,public"`
	Amount  string       `state:"amount,public"` // money is text to package form
	Phones  []Phone      `state:"phones,public"`
	Rules   bool         `state:"rules,public"`
	Member  string       `state:"member"` // the number, "" until the last step is done
	Errors  form.Errors  `state:"-"`      // what to correct on the page that is shown
}

type Phone struct {
	Kind   string `state:"kind"`
	Number string `state:"number"`
}

// A step is one page of the sign-up.
type step struct {
	Path, Name  string
	Title, Lead string   // of its page
	fields      []string // that its form has
	check       func(*Signup) form.Errors
}

var steps = []step{
	{"/", "You", "Who are you?", "So that we know whom to greet at the boathouse.",
		[]string{"name", "email"}, (*Signup).checkYou},
	{"/membership", "Membership", "Your membership", "Begin when you like, and give what you can.",
		[]string{"born", "start", "amount"}, (*Signup).checkMembership},
	{"/phones", "Phones", "Whom do we call?", "If you are late back, we ring these numbers, the first one first.",
		[]string{"phones"}, (*Signup).checkPhones},
	{"/rules", "Rules", "Is this right?", "Go back to change it. Nothing gets lost.",
		[]string{"rules"}, (*Signup).checkRules},
}

// url is where a redirect leads. Its fragment moves the focus to the title of the step.
// Scripts leave such a redirect to the browser, so Back shows the page as it was left.
func (p step) url() string { return p.Path + "#step" }

// club is what the handlers share. Nothing in it belongs to a visitor.
type club struct{ files *upload.Files }

// page shows a step. Whoever is not that far is led to the step to go on with.
func (c *club) page(n int) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		s, err := pagestate.FromOrAttach(r.Context(), &Signup{Phones: []Phone{{}}})
		if err != nil {
			return err
		}
		if at := s.done(n); at < n {
			return pagestate.Redirect(w, r, steps[at].url(), s)
		}
		return show(w, r, http.StatusOK, n, s)
	}
}

// take takes the form of a step, and leads to the next one.
func (c *club) take(n int) func(http.ResponseWriter, *http.Request, *Signup) error {
	return func(w http.ResponseWriter, r *http.Request, s *Signup) error {
		if err := r.ParseMultipartForm(1 << 20); err != nil { // larger files go to temporary ones
			return fmt.Errorf("%w: %w", pagestate.ErrInvalid, err) // or 413, if the body is too large
		}
		problems, err := form.Apply(s, r.PostForm, steps[n].fields...)
		if err != nil {
			return err
		}
		if err := c.takePicture(r, s, problems); err != nil {
			return err
		}
		if url := s.pressed(r.PostForm, n); url != "" {
			return pagestate.Redirect(w, r, url, s)
		}
		if at := s.done(n); at < n { // as page does
			return pagestate.Redirect(w, r, steps[at].url(), s)
		}
		s.Errors = steps[n].check(s)
		maps.Copy(s.Errors, problems)
		if len(s.Errors) > 0 {
			return show(w, r, http.StatusUnprocessableEntity, n, s)
		}
		if at := s.done(n + 1); at < len(steps) {
			return pagestate.Redirect(w, r, steps[at].url(), s)
		}
		return c.join(w, r, s)
	}
}

// done returns how many of the first n steps are done, up to one that is not.
func (s *Signup) done(n int) int {
	for i := range n {
		if len(steps[i].check(s)) > 0 {
			return i
		}
	}
	return n
}

// takePicture keeps the picture that was sent, if one was. Without one, the picture
// that was sent before stays.
func (c *club) takePicture(r *http.Request, s *Signup, problems form.Errors) error {
	_, header, err := r.FormFile("picture")
	if errors.Is(err, http.ErrMissingFile) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", pagestate.ErrInvalid, err)
	}
	picture, err := c.files.SaveForm(r.Context(), header)
	switch {
	case errors.Is(err, pagestate.ErrTooLarge):
		problems["picture"] = "Choose a picture of at most 5 MB."
	case err != nil:
		return err
	case picture.Type != "image/png" && picture.Type != "image/jpeg":
		problems["picture"] = "Choose a PNG or a JPEG picture."
	default:
		s.Picture = picture
	}
	return nil
}

// pressed does what the other buttons of a step say, and returns the URL that follows,
// "" if none of them was pressed. Nothing is checked.
func (s *Signup) pressed(sent url.Values, n int) string {
	switch i, err := strconv.Atoi(sent.Get("remove")); {
	case sent.Has("back"):
		return steps[max(n-1, 0)].url()
	case sent.Has("no-picture"):
		s.Picture = nil
	case sent.Has("add"):
		s.Phones = append(s.Phones, Phone{})
		return steps[n].Path + fmt.Sprintf("#phones.%d.number", len(s.Phones)-1)
	case err == nil && 0 <= i && i < len(s.Phones):
		s.Phones = slices.Delete(s.Phones, i, i+1)
	default:
		return ""
	}
	return steps[n].url()
}

// join makes a member of the visitor.
func (c *club) join(w http.ResponseWriter, r *http.Request, s *Signup) error {
	s.Member = rand.Text()[:6] // the key of a row in a database
	if s.Picture != nil {
		if err := c.files.Keep(r.Context(), s.Picture, "members/"+s.Member); err != nil {
			return err
		}
	}
	return pagestate.Redirect(w, r, "/welcome#step", s)
}

func (c *club) welcome(w http.ResponseWriter, r *http.Request) error {
	s, err := pagestate.FromOrAttach(r.Context(), &Signup{})
	if err != nil {
		return err
	}
	if s.Member == "" {
		return pagestate.Redirect(w, r, "/")
	}
	return show(w, r, http.StatusOK, len(steps), s)
}

func (s *Signup) checkYou() form.Errors {
	errs := form.Errors{}
	want(errs, s.Name != "", "name", "Enter your name.")
	want(errs, utf8.RuneCountInString(s.Name) <= 100, "name", "Enter a shorter name.")
	want(errs, isEmail(s.Email), "email", "Enter an e-mail address, such as ada@example.com.")
	return errs
}

func (s *Signup) checkMembership() form.Errors {
	errs, today := form.Errors{}, time.Now()
	want(errs, s.Born != nil, "born", "Enter your date of birth.")
	want(errs, s.Born == nil || s.Born.Before(today.AddDate(-16, 0, 0)), "born", "You have to be 16 to row with us.")
	want(errs, s.Born == nil || s.Born.After(today.AddDate(-120, 0, 0)), "born", "Enter the year with four digits.")
	want(errs, s.Start != nil, "start", "Choose your first day.")
	want(errs, s.Start == nil || s.Start.After(today), "start", "Choose a day from tomorrow on.")
	want(errs, s.Start == nil || s.Start.Before(today.AddDate(1, 0, 0)), "start", "Choose a day within a year.")
	cents, ok := parseAmount(s.Amount)
	want(errs, ok, "amount", "Enter an amount with a point before the cents, such as 12.50.")
	want(errs, 5_00 <= cents && cents <= 500_00, "amount", "Enter an amount from 5 to 500.")
	return errs
}

func (s *Signup) checkPhones() form.Errors {
	errs := form.Errors{}
	want(errs, len(s.Phones) > 0, "phones", "Add a number, so that we can reach somebody.")
	want(errs, len(s.Phones) <= 5, "phones", "Enter no more than 5 numbers.")
	for i, phone := range s.Phones {
		field := fmt.Sprintf("phones.%d.", i)
		want(errs, slices.Contains(kinds, phone.Kind), field+"kind", "Choose whose number it is.")
		want(errs, isPhone(phone.Number), field+"number", "Enter a number with 6 to 15 digits, or remove it.")
	}
	return errs
}

func (s *Signup) checkRules() form.Errors {
	errs := form.Errors{}
	want(errs, s.Rules, "rules", "Tick the box if you agree.")
	return errs
}

// want puts the message beside a field that is not as it should be, if it has none.
func want(errs form.Errors, ok bool, field, message string) {
	if !ok && errs[field] == "" {
		errs[field] = message
	}
}

var kinds = []string{"Mine", "Family", "Friend"}

func isEmail(text string) bool {
	name, host, _ := strings.Cut(text, "@")
	return name != "" && strings.Contains(strings.Trim(host, "."), ".") && len(text) <= 100 && !strings.ContainsAny(text, " \t\n")
}

func isPhone(text string) bool {
	digits := strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", "+", "").Replace(text)
	return 6 <= len(digits) && len(digits) <= 15 && len(text) <= 30 && strings.Trim(digits, "0123456789") == ""
}

// parseAmount reads 12, 12.5 or 12.50 without rounding, as no float does.
func parseAmount(text string) (cents int, ok bool) {
	whole, part, _ := strings.Cut(strings.TrimSpace(text), ".")
	digits := whole + (part + "00")[:2]
	cents, err := strconv.Atoi(digits)
	return cents, err == nil && len(part) <= 2 && len(digits) <= 9 && strings.Trim(digits, "0123456789") == ""
}
