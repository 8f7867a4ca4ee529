package form_test

import (
	"fmt"
	"net/url"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/form"
)

type Signup struct {
	pagestate.Component
	Email  string  `state:"email,public"`
	Age    int     `state:"age,public"`
	News   bool    `state:"news,public"`
	Phones []Phone `state:"phones,public"`
	Admin  bool    // not public: no form can set it
}

type Phone struct {
	Number string `state:"number"`
}

func ExampleApply() {
	sent, _ := url.ParseQuery("email=ada@example.com&age=thirty&phones.0.number=1&phones.1.number=2&Admin=on")
	s := &Signup{News: true}
	errs, err := form.Apply(s, sent, "email", "age", "news", "phones")
	if err != nil {
		fmt.Println(err) // 413, or a mistake in the program
	}
	fmt.Println(s.Email, s.Age, s.News, s.Phones, s.Admin)
	fmt.Println(errs["age"])
	// Output:
	// ada@example.com 0 false [{1} {2}] false
	// Enter a whole number in digits alone, such as 1500.
}

func ExampleValues() {
	s := &Signup{Email: "ada@example.com", News: true}
	query, err := form.Values(s, "email", "age", "news")
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println("/signup?" + query.Encode())
	// Output:
	// /signup?email=ada%40example.com&news=true
}

func ExampleDecoder() {
	decoder := form.Decoder{Message: func(p form.Problem) string {
		if p.Kind == form.NotWhole {
			return "Un nombre entier, s'il vous plaît."
		}
		return p.String()
	}}
	errs, _ := decoder.Apply(&Signup{}, url.Values{"age": {"trente"}}, "age")
	fmt.Println(errs["age"])
	// Output:
	// Un nombre entier, s'il vous plaît.
}
