// Package cookie knows what browsers do with the cookie that names a session:
// which ones they refuse, and how one takes the place of all others of its name.
package cookie

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// SameSite returns s, or Lax where s is not set.
func SameSite(s http.SameSite) http.SameSite {
	if s == 0 || s == http.SameSiteDefaultMode {
		return http.SameSiteLaxMode
	}
	return s
}

// Check returns what keeps browsers from storing c as it is, and what to do
// about it. The SameSite of c must be set.
func Check(c *http.Cookie) error {
	if err := c.Valid(); err != nil {
		return fmt.Errorf("%w; correct what was passed", err)
	}
	if !strings.HasPrefix(c.Path, "/") {
		return fmt.Errorf("browsers replace the Path %q; begin it with /", c.Path)
	}
	if c.MaxAge < 0 {
		return errors.New("a negative MaxAge deletes it; use 0 for a browser session")
	}
	switch c.SameSite {
	case http.SameSiteLaxMode, http.SameSiteStrictMode:
		if c.Partitioned {
			return errors.New("a frame of another site, which is what Partitioned is for, gets no cookie without SameSite=None; set that too, or leave Partitioned out")
		}
	case http.SameSiteNoneMode:
		if !c.Secure {
			return errors.New("browsers refuse SameSite=None without Secure; set Secure, or another SameSite")
		}
	default:
		return fmt.Errorf("there is no SameSite %d; use a constant of net/http", c.SameSite)
	}
	return checkName(c)
}

// prefixes are those of names that browsers refuse for some cookies. __Http-
// wants HttpOnly too, which every cookie here is, and __Host-Http- what both
// want.
var prefixes = []string{"__Host-", "__Secure-", "__Http-"}

func checkName(c *http.Cookie) error {
	for _, prefix := range prefixes {
		// Browsers compare it in any case.
		if len(c.Name) < len(prefix) || !strings.EqualFold(c.Name[:len(prefix)], prefix) {
			continue
		}
		host := prefix == "__Host-"
		switch {
		case host && (!c.Secure || c.Path != "/" || c.Domain != ""):
			return errors.New("browsers refuse this name; set Secure, the Path / and no Domain")
		case !c.Secure:
			return errors.New("browsers refuse this name; set Secure")
		case !strings.HasPrefix(c.Name, prefix):
			return fmt.Errorf("older browsers know the prefix in its usual case alone, and do not protect this cookie; write %s", prefix)
		}
	}
	return nil
}

// WithoutPrefix returns name without the prefixes for which browsers refuse some
// cookies.
func WithoutPrefix(name string) string {
	for _, prefix := range prefixes {
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			return WithoutPrefix(name[len(prefix):])
		}
	}
	return name
}

// Differ reports whether r brings cookies of that name with different values.
// Whose they are cannot be known then: a browser does not say which host has set
// them, or for which path.
func Differ(r *http.Request, name string) bool {
	if !mayRepeat(r, name) {
		return false
	}
	all := r.CookiesNamed(name)
	return slices.ContainsFunc(all, func(c *http.Cookie) bool { return c.Value != all[0].Value })
}

// mayRepeat keeps Differ from allocating for most requests.
func mayRepeat(r *http.Request, name string) bool {
	n := 0
	for _, line := range r.Header["Cookie"] {
		n += strings.Count(line, name)
	}
	return n > 1
}

// maxLeftovers is how many bytes the lines of Leftovers have together, since
// proxies cap a response's headers.
const maxLeftovers = 2 << 10

// Leftovers returns Set-Cookie lines that end what the browser of r may have
// under the name of c beside c itself: cookies with another Domain and, if r
// brings several, with another Path. There are none if r brings no such cookie.
//
// They must stand before the line of c: some clients take a cookie of the host
// alone for the one that has the host as its Domain.
func Leftovers(r *http.Request, c *http.Cookie) (lines []string) {
	came := len(r.CookiesNamed(c.Name))
	if came == 0 {
		return nil
	}
	paths := []string{c.Path}
	if came > 1 {
		paths = append(paths, pathsOf(r)...)
	}
	return leftovers(r, c, paths, came)
}

// Strays returns those of the lines of Leftovers that are for paths below that of
// c, if r brings cookies of its name with different values. A browser may send such
// a cookie with r, and never with the page that would replace it.
func Strays(r *http.Request, c *http.Cookie) []string {
	if !Differ(r, c.Name) {
		return nil
	}
	below := slices.DeleteFunc(pathsOf(r), func(path string) bool { return len(path) <= len(c.Path) })
	return leftovers(r, c, below, len(r.CookiesNamed(c.Name)))
}

func leftovers(r *http.Request, c *http.Cookie, paths []string, came int) (lines []string) {
	// Each is checked by itself, and not in all pairs, since a request may have many
	// that no cookie has.
	domains := slices.DeleteFunc(append([]string{""}, domainsOf(r, c)...), func(domain string) bool { return !exists(ended(c, domain, c.Path)) })
	paths = slices.DeleteFunc(paths, func(path string) bool { return !exists(ended(c, domainOf(c), path)) })
	size := 0
	for _, path := range paths {
		for _, domain := range domains {
			e := ended(c, domain, path)
			if domain == domainOf(c) && path == c.Path {
				if came == 1 {
					continue // c replaces it
				}
				e.Partitioned = !c.Partitioned // which c does not replace
				if !exists(e) {
					continue
				}
			}
			line := e.String()
			if slices.Contains(lines, line) {
				continue
			}
			if size += len(line); size > maxLeftovers {
				return lines
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// exists reports whether there is a cookie like c.
func exists(c *http.Cookie) bool { return c.Valid() == nil && checkName(c) == nil }

// ended returns c as it is deleted, with that domain and path.
func ended(c *http.Cookie, domain, path string) *http.Cookie {
	return &http.Cookie{
		Name: c.Name, Domain: domain, Path: path, MaxAge: -1,
		Secure: c.Secure, HttpOnly: true, SameSite: c.SameSite, Partitioned: c.Partitioned,
	}
}

// domainsOf returns the host of r and its parents, and those of the domain of c,
// since a proxy may have changed the host. Browsers ignore the ones that nobody
// may set a cookie for, and there are none for a host that no name server knows.
func domainsOf(r *http.Request, c *http.Cookie) (all []string) {
	for _, domain := range []string{hostOf(r), domainOf(c)} {
		if len(domain) > maxHost {
			continue
		}
		if _, err := netip.ParseAddr(domain); err == nil {
			continue // an address has no parents
		}
		for strings.Contains(domain, ".") {
			if !slices.Contains(all, domain) {
				all = append(all, domain)
			}
			_, domain, _ = strings.Cut(domain, ".")
		}
	}
	return all
}

func hostOf(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// domainOf returns the Domain of c, "" if it is for one host alone.
func domainOf(c *http.Cookie) string { return strings.ToLower(strings.TrimPrefix(c.Domain, ".")) }

const (
	maxHost  = 253 // characters
	maxPaths = 64  // more than there is room for
)

// pathsOf returns the paths of the cookies that a browser sends with r, the
// shortest first.
func pathsOf(r *http.Request) (all []string) {
	asked := r.URL.EscapedPath()
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		asked = u.EscapedPath() // before http.StripPrefix
	}
	for i, c := range asked {
		if c != '/' {
			continue
		}
		if len(all) >= maxPaths {
			return all
		}
		if i > 0 {
			all = append(all, asked[:i])
		}
		all = append(all, asked[:i+1])
	}
	return append(all, asked)
}
