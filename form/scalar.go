package form

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pagestate/pagestate/internal/publicjson"
)

// convert sets v to what text says, which is not empty. The Kind of what it
// returns is empty if it could.
func convert(n *publicjson.Node, v reflect.Value, text string) Problem {
	switch n.Form {
	case publicjson.Text:
		return convertText(v, text)
	case publicjson.Boolean:
		return convertBool(v, text)
	case publicjson.Integer:
		return convertInteger(v, text)
	case publicjson.Unsigned:
		return convertUnsigned(v, text)
	case publicjson.Float32, publicjson.Float64:
		return convertFloat(v, text)
	case publicjson.Moment:
		t, ok := parseMoment(text)
		if !ok {
			return Problem{Kind: NotTime}
		}
		v.Set(reflect.ValueOf(t))
		return Problem{}
	}
	if publicjson.SetBase64(n, v, text) != nil {
		return Problem{Kind: Unreadable}
	}
	return Problem{}
}

// lineEnds makes of every line end what a program expects. Browsers send CR LF.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

func convertText(v reflect.Value, text string) Problem {
	if !utf8.ValidString(text) {
		return Problem{Kind: Unreadable}
	}
	v.SetString(lineEnds.Replace(text))
	return Problem{}
}

func convertBool(v reflect.Value, text string) Problem {
	switch text {
	case "on", "true", "1":
		v.SetBool(true)
	case "off", "false", "0":
	default:
		return Problem{Kind: NotBool}
	}
	return Problem{}
}

func convertInteger(v reflect.Value, text string) Problem {
	bits := v.Type().Bits()
	i, err := strconv.ParseInt(text, 10, bits)
	switch {
	case errors.Is(err, strconv.ErrRange):
		most := int64(math.MaxInt64) >> (64 - bits)
		return Problem{Kind: OutOfRange, Min: strconv.FormatInt(-most-1, 10), Max: strconv.FormatInt(most, 10)}
	case err != nil:
		return Problem{Kind: NotWhole}
	}
	v.SetInt(i)
	return Problem{}
}

func convertUnsigned(v reflect.Value, text string) Problem {
	bits := v.Type().Bits()
	digits := strings.TrimPrefix(text, "+") // which ParseInt takes, and ParseUint does not
	u, err := strconv.ParseUint(digits, 10, bits)
	switch {
	case errors.Is(err, strconv.ErrRange) || isNegative(text):
		most := uint64(math.MaxUint64) >> (64 - bits)
		return Problem{Kind: OutOfRange, Min: "0", Max: strconv.FormatUint(most, 10)}
	case err != nil:
		return Problem{Kind: NotWhole}
	}
	v.SetUint(u)
	return Problem{}
}

// isNegative reports whether text is a whole number below zero.
func isNegative(text string) bool {
	digits, ok := strings.CutPrefix(text, "-")
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

func convertFloat(v reflect.Value, text string) Problem {
	bits := v.Type().Bits()
	if strings.Contains(text, ",") {
		return Problem{Kind: HasComma}
	}
	// ParseFloat takes NaN, infinities and hexadecimal numbers too.
	if strings.Trim(text, "+-.0123456789eE") != "" {
		return Problem{Kind: NotNumber}
	}
	f, err := strconv.ParseFloat(text, bits)
	switch {
	case errors.Is(err, strconv.ErrRange):
		most := math.MaxFloat64
		if bits == 32 {
			most = math.MaxFloat32
		}
		return Problem{Kind: OutOfRange, Min: strconv.FormatFloat(-most, 'g', -1, bits), Max: strconv.FormatFloat(most, 'g', -1, bits)}
	case err != nil:
		return Problem{Kind: NotNumber}
	}
	v.SetFloat(f)
	return Problem{}
}
