package form

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/pagestate/pagestate/internal/publicjson"
)

// zeroDate is the date of the zero time, which times of day have.
const zeroDate = "0001-01-01"

// parseMoment reads what HTML's five inputs for dates and times send, and RFC
// 3339.
func parseMoment(text string) (time.Time, bool) {
	if year, week, ok := strings.Cut(text, "-W"); ok {
		return parseWeek(year, week)
	}
	t, ok := publicjson.ParseTime(completed(text))
	t = t.UTC()
	return t, ok && isYear(t)
}

// completed fills in what RFC 3339 has more than an input sends.
func completed(text string) string {
	switch {
	case len(text) == len("15:04"):
		return zeroDate + "T" + text + ":00Z"
	case len(text) >= len("15:04:05") && text[2] == ':':
		return zeroDate + "T" + text + "Z"
	case len(text) == len("2006-01"):
		return text + "-01T00:00:00Z"
	case len(text) == len("2006-01-02"):
		return text + "T00:00:00Z"
	case len(text) == len("2006-01-02T15:04"):
		return text + ":00Z"
	case len(text) >= len("2006-01-02T15:04:05") && !strings.ContainsAny(text[len("2006-01-02T15:04:05"):], "Z+-"):
		return text + "Z"
	}
	return text
}

// parseWeek returns the Monday of a week as in ISO 8601.
func parseWeek(year, week string) (time.Time, bool) {
	y, w := digits(year, 4), digits(week, 2)
	first := time.Date(y, time.January, 4, 0, 0, 0, 0, time.UTC) // always in week 1
	sinceMonday := (int(first.Weekday()) + 6) % 7
	monday := first.AddDate(0, 0, 7*(w-1)-sinceMonday)
	_, got := monday.ISOWeek() // another one if the year has no such week
	return monday, got == w && isYear(monday)
}

// digits reads a number of so many digits. It is -1 for anything else.
func digits(text string, count int) int {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || len(text) != count {
		return -1
	}
	return int(n)
}

// isYear reports whether RFC 3339 can express the year of a time.
func isYear(t time.Time) bool { return 0 <= t.Year() && t.Year() <= 9999 }

// formatMoment writes what parseMoment reads, and no more of it than is needed.
func formatMoment(t time.Time) (string, error) {
	t = t.UTC()
	if !isYear(t) {
		return "", errors.New("a time before the year 0 or after 9999")
	}
	date, clock := t.Format(time.DateOnly), t.Format("15:04:05.999999999")
	switch {
	case date == zeroDate:
		return clock, nil
	case clock == "00:00:00":
		return date, nil
	}
	return date + "T" + clock + "Z", nil
}
