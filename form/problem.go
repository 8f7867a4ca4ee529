package form

import "fmt"

// A Problem is why a value of a form could not be taken. It holds nothing of the
// value.
type Problem struct {
	// Field is the name in the form, as in [Errors].
	Field string
	Kind  Kind
	// Min and Max are the limits of OutOfRange, which the value may be equal
	// to, and of WrongCount. They are empty where there is none.
	Min, Max string
}

// Kind is what is wrong, as text that can be the key of a translation.
type Kind string

const (
	// NotWhole is text where a whole number belongs, or one with commas or a
	// fraction.
	NotWhole Kind = "not a whole number"
	// NotNumber is text where a number belongs.
	NotNumber Kind = "not a number"
	// HasComma is a number with a comma where it may have a fraction: whether
	// 1,234 is more than a thousand depends on the country.
	HasComma Kind = "number with a comma"
	// OutOfRange is a number below Min or above Max, which its field cannot
	// hold.
	OutOfRange Kind = "number out of range"
	// NotTime is what none of HTML's inputs for dates and times sends, or a day
	// that no calendar has.
	NotTime Kind = "not a date or time"
	// NotBool is what no box sends.
	NotBool Kind = "not a boolean"
	// Unreadable is text that is not valid UTF-8, or no base64 where bytes
	// belong. Browsers send neither.
	Unreadable Kind = "unreadable"
	// Repeated is a second value where one belongs, or a list that was sent both
	// under its own name and with indices.
	Repeated Kind = "sent twice"
	// Gap is a list of which an index was left out. The Field is the list.
	Gap Kind = "list with a gap"
	// WrongCount is more than Max elements, or fewer than Min, for a field that
	// is an array.
	WrongCount Kind = "wrong number of elements"
)

// String returns the message in English.
func (p Problem) String() string {
	switch p.Kind {
	case NotWhole:
		return "Enter a whole number in digits alone, such as 1500."
	case NotNumber:
		return "Enter a number, such as 12.50."
	case HasComma:
		return "Enter the number without commas, and with a point before decimals, such as 1500.25."
	case OutOfRange:
		return fmt.Sprintf("Enter a number from %s to %s.", p.Min, p.Max)
	case NotTime:
		return "Enter a date such as 2024-12-31, or a time such as 18:30."
	case NotBool:
		return "Choose yes or no."
	case Repeated:
		return "Enter one value only."
	case Gap:
		return "A part of this list is missing. Reload the page and try again."
	case WrongCount:
		if p.Min == "" {
			return fmt.Sprintf("Enter no more than %s.", p.Max)
		}
		return fmt.Sprintf("Enter exactly %s.", p.Max)
	}
	return "This could not be read. Enter it again."
}
