package pagestate

// This file holds what becomes of the response's headers: caches must not share
// a state, and an error must not carry what was set for another body.

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// keepPrivate keeps caches from giving the response of one visitor to another: its
// Cache-Control is own, unless it has one that keeps shared caches away. It returns
// the names of the headers that would have let them, and forbids it there: a cache
// may go by its own header alone.
func keepPrivate(h http.Header, own string) (replaced []string) {
	for name, values := range h {
		if !isCacheControl(name) || len(values) == 0 || len(values) == 1 && values[0] == own || forbidsSharing(name, values) {
			continue
		}
		replaced = append(replaced, name)
		switch http.CanonicalHeaderKey(name) {
		case "Cache-Control":
			h[name] = []string{own}
		case "X-Accel-Expires":
			h[name] = []string{"0"}
		default:
			h[name] = []string{"no-store"}
		}
	}
	addVary(h)
	if len(h["Cache-Control"]) == 0 {
		h["Cache-Control"] = []string{own}
	}
	return replaced
}

// isCacheControl reports whether name is Cache-Control or one for a kind of cache,
// which overrules it: those of RFC 9213, and nginx's, Akamai's and the one of
// Fastly and others.
func isCacheControl(name string) bool {
	if len(name) < len("Edge-Control") {
		return false
	}
	switch name[len(name)-1] {
	case 'l', 'L', 's', 'S':
	default:
		return false // most headers, for less
	}
	switch name = http.CanonicalHeaderKey(name); name {
	case "Cache-Control", "Surrogate-Control", "Edge-Control", "X-Accel-Expires":
		return true
	}
	return strings.HasSuffix(name, "-Cache-Control")
}

// forbidsSharing reports whether a header that isCacheControl keeps shared caches
// away.
func forbidsSharing(name string, values []string) bool {
	name, all := http.CanonicalHeaderKey(name), strings.Join(values, ",")
	if name == "X-Accel-Expires" {
		return strings.TrimSpace(all) == "0"
	}
	if strings.ContainsAny(all, `"!`) {
		return false // a quoted list of fields may hold the very words, and Akamai's !no-store undoes one
	}
	for directive := range strings.SplitSeq(all, ",") {
		switch strings.ToLower(strings.TrimSpace(directive)) {
		case "no-store":
			return true
		case "private":
			if strings.HasSuffix(name, "Cache-Control") {
				return true
			}
		case "bypass-cache":
			if name == "Edge-Control" {
				return true
			}
		}
	}
	return false
}

// keepPrivate is the function of that name, and warns of what it replaces.
func (m *Middleware) keepPrivate(ctx context.Context, h http.Header) {
	for _, name := range keepPrivate(h, m.opt.CacheControl) {
		m.log(ctx, slog.LevelWarn, lineKind{text: "pagestate: the handler's " + name + " would let caches share state; replaced"})
	}
}

// setsSession reports whether a response sets the binding's cookie or one of the
// carrier's, whoever put it there: Renew may have been called outside of Handler.
func (m *Middleware) setsSession(h http.Header) bool {
	if len(h["Set-Cookie"]) == 0 {
		return false
	}
	session := cookieName(m.opt.Session)
	return slices.ContainsFunc(h["Set-Cookie"], func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return name != "" && name == session || m.isSlot(name)
	})
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
	switch vary := h["Vary"]; {
	case len(vary) == 0:
		h["Vary"] = []string{allFields}
		return
	case len(vary) == 1 && vary[0] == allFields:
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
