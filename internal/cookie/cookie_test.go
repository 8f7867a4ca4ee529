package cookie_test

// What a cookie jar of Go does not tell apart, and browsers do. What becomes of
// the lines in a jar is in visitor_test.go of package pagestate.

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/pagestate/pagestate/internal/cookie"
	"github.com/pagestate/pagestate/internal/testkit"
)

func TestLeftovers(t *testing.T) {
	for name, tt := range map[string]struct {
		url  string
		sent string
		set  http.Cookie
		want []string
	}{
		"none came":            {"https://www.a.example/x", "other=1", http.Cookie{Path: "/"}, nil},
		"one":                  {"https://www.a.example/x", "page=1", http.Cookie{Path: "/"}, []string{"/ www.a.example", "/ a.example"}},
		"one, with a Domain":   {"https://www.a.example/x", "page=1", http.Cookie{Path: "/", Domain: ".A.example"}, []string{"/ ", "/ www.a.example"}},
		"one, with a Path":     {"https://a.example/x", "page=1", http.Cookie{Path: "/x"}, []string{"/x a.example"}},
		"one, of an address":   {"https://127.0.0.1:8080/x", "page=1", http.Cookie{Path: "/"}, nil},
		"one, of IPv6":         {"https://[::1.2.3.4]:8080/x", "page=1", http.Cookie{Path: "/"}, nil},
		"one, of a short name": {"https://localhost:8080/x", "page=1", http.Cookie{Path: "/"}, nil},
		"one, with a port":     {"https://A.example.:8080/x", "page=1", http.Cookie{Path: "/"}, []string{"/ a.example"}},
		"behind a proxy":       {"https://10.0.0.1/x", "page=1", http.Cookie{Path: "/", Domain: "a.example"}, []string{"/ "}},
		"two":                  {"https://a.example/x/y", "page=1; page=1", http.Cookie{Path: "/"}, []string{"/ a.example", "/x ", "/x a.example", "/x/ ", "/x/ a.example", "/x/y ", "/x/y a.example"}},
		"two, Secure":          {"https://a.example/", "page=1; page=2", http.Cookie{Path: "/", Secure: true}, []string{"/  Partitioned", "/ a.example"}},
		"two, Partitioned":     {"https://a.example/", "page=1; page=2", http.Cookie{Path: "/", Secure: true, Partitioned: true}, []string{"/ ", "/ a.example Partitioned"}},
		"a path that is none":  {"https://a.example/x%3By", "page=1; page=2", http.Cookie{Path: "/"}, []string{"/ a.example", "/x%3By ", "/x%3By a.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", tt.url, nil)
			r.Header.Set("Cookie", tt.sent)
			tt.set.Name = "page"
			var got []string
			for _, line := range cookie.Leftovers(r, &tt.set) {
				c, err := http.ParseSetCookie(line)
				if err != nil {
					t.Fatal(err)
				}
				testkit.Want(t, "deletes", c.MaxAge < 0 && c.Name == "page" && c.Secure == tt.set.Secure, true)
				id := c.Path + " " + c.Domain
				if c.Partitioned {
					id += " Partitioned"
				}
				got = append(got, id)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// What begins with __Host- has one domain and path.
func TestLeftoversOfAHostPrefix(t *testing.T) {
	r := httptest.NewRequest("GET", "https://www.a.example/x", nil)
	r.Header.Set("Cookie", "__Host-page=1; __Host-page=2")
	lines := cookie.Leftovers(r, &http.Cookie{Name: "__Host-page", Path: "/", Secure: true})
	testkit.Want(t, "lines", len(lines), 1)
	testkit.Want(t, "Partitioned", strings.Contains(lines[0], "Partitioned"), true)
}

// Whatever the request, the response stays fit for a proxy.
func TestLeftoversAreFew(t *testing.T) {
	r := httptest.NewRequest("GET", "https://"+strings.Repeat("a.", 100)+"example/"+strings.Repeat("x/", 100), nil)
	r.Header.Set("Cookie", "page=1; page=2")
	size := 0
	for _, line := range cookie.Leftovers(r, &http.Cookie{Name: "page", Path: "/"}) {
		size += len(line)
	}
	testkit.Want(t, "some", size > 1<<10, true)
	testkit.Want(t, "not too many", size <= 2<<10, true)
}

// What no browser sends costs no more than what one does.
func TestLeftoversOfNoBrowser(t *testing.T) {
	for what, address := range map[string]string{
		"names that are none":      "http://" + strings.Repeat("_.", 126) + "a/;" + strings.Repeat("/", 1000),
		"a long host":              "http://" + strings.Repeat("a.", 1000) + "a/",
		"a long path":              "http://a.example/" + strings.Repeat("x/", 5000),
		"paths that are none":      "http://" + strings.Repeat("a.", 120) + "a/;" + strings.Repeat("/", 1000),
		"names that are none, too": "http://" + strings.Repeat("_.", 126) + "a/" + strings.Repeat("x/", 1000),
	} {
		r := httptest.NewRequest("GET", address, nil)
		r.Header.Set("Cookie", "page=1; page=2; __Host-page=1; __Host-page=2")
		for _, c := range []*http.Cookie{{Name: "page", Path: "/"}, {Name: "__Host-page", Path: "/", Secure: true}} {
			allocs := testing.AllocsPerRun(1, func() { cookie.Leftovers(r, c); cookie.Strays(r, c) })
			testkit.Want(t, what+": work for "+c.Name+" is bounded", allocs < 5000, true)
		}
	}
}

func TestDiffer(t *testing.T) {
	for header, want := range map[string]bool{
		"":                               false,
		"page=1":                         false,
		"page=1; page=1":                 false,
		`page=1; page="1"`:               false,
		"page=1; page=2":                 true,
		"page=1; page=1; page=2":         true,
		"page=1; page=":                  true,
		"homepage=2; page=1; a=page":     false,
		"pages=1; Page=2; a=page=3; b=1": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", header)
		testkit.Want(t, header, cookie.Differ(r, "page"), want)
	}
}

func TestDifferDoesNotAllocate(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", "other=1; page=2")
	testkit.Want(t, "allocations", testing.AllocsPerRun(10, func() { cookie.Differ(r, "page") }), 0.0)
}
