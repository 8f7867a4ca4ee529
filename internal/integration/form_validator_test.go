package integration_test

// A form that github.com/go-playground/validator checks.

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/go-playground/validator/v10"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/form"
	"github.com/pagestate/pagestate/internal/testkit"
)

// Profile is what somebody who signs up fills in.
type Profile struct {
	pagestate.Component
	Email  string      `state:"email,public" validate:"required,email"`
	Age    int         `state:"age,public" validate:"min=18"`
	Phones []Phone     `state:"phones,public" validate:"max=3,dive"`
	Errors form.Errors `validate:"-"`
}

type Phone struct {
	Number string `state:"number" validate:"required,e164"`
}

var checker = newValidator()

// newValidator names fields as forms do, by their saved names.
func newValidator() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("state"), ",")
		return name
	})
	return v
}

// validate adds what is wrong with the fields that could be read.
func validate(state any, errs form.Errors) error {
	err := checker.Struct(state)
	var invalid validator.ValidationErrors
	if err == nil || !errors.As(err, &invalid) {
		return err
	}
	for _, fault := range invalid {
		if name := formName(fault.Namespace()); errs[name] == "" {
			errs[name] = message(fault)
		}
	}
	return nil
}

// formName makes phones.0.number of Profile.phones[0].number.
func formName(namespace string) string {
	_, path, _ := strings.Cut(namespace, ".")
	return strings.NewReplacer("[", ".", "]", "").Replace(path)
}

func message(fault validator.FieldError) string {
	switch fault.Tag() {
	case "required":
		return "Fill this in."
	case "email":
		return "Enter an email address, such as ada@example.com."
	case "e164":
		return "Enter the number with its country, such as +441632960000."
	case "min":
		return "Enter " + fault.Param() + " or more."
	case "max":
		return "Enter no more than " + fault.Param() + "."
	}
	return "This is not valid."
}

func signUp(w http.ResponseWriter, r *http.Request, p *Profile) error {
	if err := r.ParseForm(); err != nil {
		return fmt.Errorf("%w: %w", pagestate.ErrInvalid, err)
	}
	var err error
	if p.Errors, err = form.Apply(p, r.PostForm, "email", "age", "phones"); err != nil {
		return err
	}
	if err := validate(p, p.Errors); err != nil {
		return err
	}
	return showProfile(w, p)
}

// showProfile stands for a page.
func showProfile(w http.ResponseWriter, p *Profile) error {
	if len(p.Errors) > 0 {
		w.WriteHeader(http.StatusUnprocessableEntity)
	}
	_, err := fmt.Fprintln(w, p.Email, p.Age, p.Phones, p.Errors)
	return err
}

func TestValidator(t *testing.T) {
	registry := pagestate.NewRegistry()
	pagestate.Register[Profile](registry, "profile")
	a := newApp(t, registry, pagestate.Options{})
	page(a, "/signup", func(*http.Request) *Profile { return &Profile{Age: 20} })
	a.mux.Handle("POST /signup", pagestate.Handle(signUp))

	tests := []struct {
		sent   string
		status int
		want   string
	}{
		{"email=ada@example.com&age=36&phones.0.number=%2B441632960000", 200, "ada@example.com 36 [{+441632960000}] map[]"},
		{"email=ada&age=x", 422, "ada 20 [] map[age:Enter a whole number in digits alone, such as 1500. email:Enter an email address, such as ada@example.com.]"},
		{"age=17&phones.0.number=1&phones.1.number=", 422,
			"17 [{1} {}] map[age:Enter 18 or more. email:Fill this in. phones.0.number:Enter the number with its country, such as +441632960000. phones.1.number:Fill this in.]"},
		{"email=a@b.c&age=18&phones.0.number=&phones.1.number=&phones.2.number=&phones.3.number=", 422,
			"a@b.c 18 [{} {} {} {}] map[phones:Enter no more than 3.]"},
	}
	for _, test := range tests {
		t.Run(test.sent, func(t *testing.T) {
			sent, err := url.ParseQuery(test.sent)
			if err != nil {
				t.Fatal(err)
			}
			answer := wantStatus(t, a.browser().Get("/signup").Call("POST", "/signup", sent), test.status)
			testkit.Want(t, "the page", strings.TrimSpace(answer.Text), test.want)
		})
	}
}
