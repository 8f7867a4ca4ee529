// Package accept reads the Accept header of a request, as RFC 9110 has it.
package accept

import (
	"mime"
	"strconv"
	"strings"
)

// maxBytes is how much of a header is looked at. Browsers send some 150 bytes.
const maxBytes = 4 << 10

// Prefers reports whether the Accept header, of which these are the lines, gives
// more weight to one media type than to another. The types are in lower case,
// and sent in UTF-8. A header that names neither prefers neither.
func Prefers(header []string, one, another string) bool {
	ranges := strings.Join(header, ",")
	if len(ranges) > maxBytes {
		// The range at the cut is left out, since without its end it may say
		// something else.
		ranges = ranges[:strings.LastIndexByte(ranges[:maxBytes], ',')+1]
	}
	return quality(ranges, one) > quality(ranges, another)
}

// quality returns the weight that ranges give to a media type: that of the most
// specific range which covers it, and 0 if there is none. Malformed ranges are
// passed over. A comma inside a quoted parameter makes a range malformed; no
// range with such a parameter could match here.
func quality(ranges, mediaType string) float64 {
	weight, best := 0.0, 0
	for part := range strings.SplitSeq(ranges, ",") {
		mediaRange, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q, ok := takeWeight(params)
		if s := specificity(mediaRange, params, mediaType); ok && s > best {
			weight, best = q, s
		}
	}
	return weight
}

// takeWeight removes q from the parameters of a media range and returns it: 1
// if there is none, and not ok if it isn't a number from 0 to 1.
func takeWeight(params map[string]string) (q float64, ok bool) {
	text, found := params["q"]
	if !found {
		return 1, true
	}
	delete(params, "q")
	q, err := strconv.ParseFloat(text, 64)
	return q, err == nil && q >= 0 && q <= 1
}

// specificity returns 0 if the range does not cover the type, and more the
// closer it describes it.
func specificity(mediaRange string, params map[string]string, mediaType string) int {
	for name, value := range params {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return 0 // the range wants a variant of the type, and there is none
		}
	}
	kind, _, _ := strings.Cut(mediaType, "/")
	switch mediaRange {
	case mediaType:
		return 3 + len(params)
	case kind + "/*":
		return 2
	case "*/*":
		return 1
	}
	return 0
}
