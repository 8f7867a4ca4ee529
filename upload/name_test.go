package upload

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pagestate/pagestate/internal/testkit"
)

func TestCleanName(t *testing.T) {
	long := strings.Repeat("x", 300)
	for given, want := range map[string]string{
		"me.jpg":                          "me.jpg",
		"Zeugnis für Jürgen.pdf":          "Zeugnis für Jürgen.pdf",
		"写真.png":                          "写真.png",
		"":                                "file",
		".":                               "file",
		"..":                              "file",
		"/":                               "file",
		"a/":                              "file",
		" . . ":                           "file",
		"\x00\r\n":                        "file",
		"/etc/passwd":                     "passwd",
		"../../etc/passwd":                "passwd",
		`C:\Users\ada\me.jpg`:             "me.jpg",
		`..\..\boot.ini`:                  "boot.ini",
		"a\r\nSet-Cookie: x=y.txt":        "aSet-Cookie_ x=y.txt",
		"a\x00b":                          "ab",
		"a\x7fb\u0085c":                   "abc",
		"gpj.\u202eexe":                   "gpj.exe",
		"\u2066a\u2069\ufeff":             "a",
		"a\u2028b":                        "ab",
		"a\xff\xfe.txt":                   "a.txt",
		"CON":                             "_CON",
		"con.txt":                         "_con.txt",
		"NUL .tar.gz":                     "_NUL .tar.gz",
		"LPT1.jpg":                        "_LPT1.jpg",
		"com\u00b9":                       "_com\u00b9",
		"console.txt":                     "console.txt",
		"COM10":                           "COM10",
		".htaccess":                       "htaccess",
		"name.":                           "name",
		"name .":                          "name",
		"a:b?.txt":                        "a_b_.txt",
		`a"b<c>|*.txt`:                    "a_b_c___.txt",
		long:                              long[:255],
		long + ".jpg":                     long[:251] + ".jpg",
		"a." + long:                       "a." + long[:253],
		strings.Repeat("ü", 200):          strings.Repeat("ü", 127),
		strings.Repeat("ü", 200) + ".png": strings.Repeat("ü", 125) + ".png",
	} {
		got := cleanName(given)
		testkit.Want(t, given, got, want)
		testkit.Want(t, "it stays as it is", cleanName(got), got)
	}
}

func FuzzName(f *testing.F) {
	for _, name := range []string{"a.jpg", "../a", "CON", "\u202e", strings.Repeat("ü", 300)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, given string) {
		name := cleanName(given)
		if name == "" || len(name) > maxName || !utf8.ValidString(name) || strings.ContainsAny(name, "/\\\r\n\x00") || trimName(name) != name || isReserved(name) {
			t.Errorf("%q became %q", given, name)
		}
	})
}

func TestParseID(t *testing.T) {
	const id = "00112233445566778899aabbccddeeff"
	for text, want := range map[string]bool{
		id: true, "": false, id[1:]: false, id + "0": false, strings.ToUpper(id): false,
		"../" + id[3:]: false, id[:31] + "g": false, id[:31] + "/": false,
	} {
		got, ok := parseID(text)
		testkit.Want(t, text, ok, want)
		if !ok {
			testkit.Want(t, text, got, [16]byte{})
		}
	}
}
