package pagestate

// This file holds what becomes of the response's headers: caches must not share
// a state, and an error must not carry what was set for another body.

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// keepPrivate keeps caches from giving the response of one visitor to another.
// It returns the names of the headers that would have let them, which it
// replaced.
func keepPrivate(h http.Header) (replaced []string) {
	maps.DeleteFunc(h, func(name string, values []string) bool {
		shared := isCacheControl(name) && !forbidsSharing(values)
		if shared {
			replaced = append(replaced, name)
		}
		return shared
	})
	addVary(h)
	if len(h["Cache-Control"]) == 0 {
		h["Cache-Control"] = []string{"no-store"}
	}
	return replaced
}

// isCacheControl reports whether name is Cache-Control or one for a kind of cache,
// which overrules it (RFC 9213, and nginx's own).
func isCacheControl(name string) bool {
	if len(name) < len("Cache-Control") {
		return false // most headers, for less
	}
	name = http.CanonicalHeaderKey(name)
	return name == "Cache-Control" || name == "Surrogate-Control" || name == "X-Accel-Expires" || strings.HasSuffix(name, "-Cache-Control")
}

func forbidsSharing(cacheControl []string) bool {
	all := strings.Join(cacheControl, ",")
	if strings.Contains(all, `"`) {
		return false // a quoted list of fields may hold the very words
	}
	for directive := range strings.SplitSeq(all, ",") {
		switch strings.ToLower(strings.TrimSpace(directive)) {
		case "no-store", "private":
			return true
		}
	}
	return false
}

// leftovers are the headers, in their canonical form, that a handler may have
// set for a body which now does not follow, or that would make a proxy or cache
// treat the error as that body.
var leftovers = []string{
	"Accept-Ranges",
	"Content-Digest",
	"Content-Disposition",
	"Content-Language",
	"Content-Length",
	"Content-Location",
	"Content-Md5",
	"Content-Range",
	"Digest",
	"Etag",
	"Expires",
	"Last-Modified",
	"Location",
	"Refresh",
	"Repr-Digest",
	"Trailer",
	"Transfer-Encoding",
	"X-Accel-Redirect",
	"X-Sendfile",
}

func removeLeftovers(h http.Header) {
	maps.DeleteFunc(h, func(key string, _ []string) bool {
		name := http.CanonicalHeaderKey(key)
		return slices.Contains(leftovers, name) ||
			strings.HasPrefix(name, "Hx-") ||
			strings.HasPrefix(name, http.TrailerPrefix) ||
			name != "Cache-Control" && isCacheControl(name)
	})
}

var (
	// varyFields are the request headers that the answers of this package depend
	// on.
	varyFields = []string{"Cookie", stateHeader, "HX-Request", "Accept"}
	allFields  = strings.Join(varyFields, ", ")
)

// addVary adds those varyFields to Vary that it lacks. A Vary of * says more,
// and is kept.
func addVary(h http.Header) {
	if len(h["Vary"]) == 0 {
		h["Vary"] = []string{allFields}
		return
	}
	var fields []string
	for field := range strings.SplitSeq(strings.Join(h.Values("Vary"), ","), ",") {
		if field = strings.TrimSpace(field); field != "" {
			fields = append(fields, field)
		}
	}
	if slices.Contains(fields, "*") {
		return
	}
	for _, want := range varyFields {
		same := func(field string) bool { return strings.EqualFold(field, want) }
		if !slices.ContainsFunc(fields, same) {
			fields = append(fields, want)
		}
	}
	h.Set("Vary", strings.Join(fields, ", "))
}
