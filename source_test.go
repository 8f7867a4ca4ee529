package pagestate_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

const (
	sourceLimit      = 1 << 20
	sourceURLEncoded = "application/x-www-form-urlencoded"
	sourceMultipart  = "multipart/form-data; boundary=b"
	sourceJSON       = "application/json"
)

func TestHeaderSource(t *testing.T) {
	tests := []struct {
		name   string
		header http.Header
		want   []string
	}{
		{"absent", http.Header{}, nil},
		{"one", http.Header{"Page-State": {"a"}}, []string{"a"}},
		{"repeated", http.Header{"Page-State": {"a", "b"}}, []string{"a", "b"}},
		{"joined by a proxy", http.Header{"Page-State": {"a,b, c"}}, []string{"a", "b", "c"}},
		{"repeated and joined", http.Header{"Page-State": {"a, b", "c"}}, []string{"a", "b", "c"}},
		{"spaces and tabs", http.Header{"Page-State": {" \ta \t,\t b"}}, []string{"a", "b"}},
		{"empty", http.Header{"Page-State": {""}}, nil},
		{"nothing but commas", http.Header{"Page-State": {" , ,,"}}, nil},
		{"empty between others", http.Header{"Page-State": {"a,,b", "", "c,"}}, []string{"a", "b", "c"}},
		{"case of the name", http.Header{"page-state": {"a"}}, []string{"a"}},
		{"another header", http.Header{"Page-States": {"a"}}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, name := range []string{"Page-State", "page-state", "PAGE-STATE"} {
				r := sourceRequest(t, "POST", sourceURLEncoded, strings.NewReader("page_state=no"))
				maps.Copy(r.Header, test.header)
				got := sourceAsk(t, pagestate.HeaderSource(name), sourceLimit, r)
				sourceWant(t, got, test.want, "page_state=no")
				if got.read != 0 {
					t.Errorf("read %d bytes of the body", got.read)
				}
			}
		})
	}
}

func TestFormSourceURLEncoded(t *testing.T) {
	tests := []struct {
		name        string
		method      string
		contentType string
		body        string
		want        []string
	}{
		{"one", "POST", sourceURLEncoded, "a=1&page_state=t&b=2", []string{"t"}},
		{"put", "PUT", sourceURLEncoded, "page_state=t", []string{"t"}},
		{"patch", "PATCH", sourceURLEncoded, "page_state=t", []string{"t"}},
		{"delete", "DELETE", sourceURLEncoded, "page_state=t", []string{"t"}},
		{"a method of its own", "PURGE", sourceURLEncoded, "page_state=t", []string{"t"}},
		{"repeated", "POST", sourceURLEncoded, "page_state=a&x=1&page_state=b&page_state=a", []string{"a", "b", "a"}},
		{"another field", "POST", sourceURLEncoded, "page_states=t&page=t&PAGE_STATE=t", nil},
		{"empty", "POST", sourceURLEncoded, "page_state=&page_state", nil},
		{"empty before another", "POST", sourceURLEncoded, "page_state=&page_state=t", []string{"t"}},
		{"equals signs", "POST", sourceURLEncoded, "page_state=t==", []string{"t=="}},
		{"escaped value", "POST", sourceURLEncoded, "page_state=a%3D+b", []string{"a= b"}},
		{"escaped key", "POST", sourceURLEncoded, "%70age%5Fstate=t", []string{"t"}},
		{"bad escape in the value", "POST", sourceURLEncoded, "page_state=%zz&page_state=t", []string{"t"}},
		{"bad escape in a key", "POST", sourceURLEncoded, "page_state%=a&page_state=t", []string{"t"}},
		{"semicolon", "POST", sourceURLEncoded, "page_state=a;x=1&x=1;page_state=b&page_state=t", []string{"t"}},
		{"charset", "POST", sourceURLEncoded + "; charset=utf-8", "page_state=t", []string{"t"}},
		{"case of the type", "POST", "Application/X-WWW-Form-URLEncoded", "page_state=t", []string{"t"}},
		{"malformed parameter", "POST", sourceURLEncoded + "; charset", "page_state=t", []string{"t"}},
		{"no content type", "POST", "", "page_state=t", nil},
		{"another type", "POST", "text/plain", "page_state=t", nil},
		{"malformed type", "POST", "/", "page_state=t", nil},
		{"json", "POST", sourceJSON, "page_state=t", nil},
		{"no body", "POST", sourceURLEncoded, "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := sourceRequest(t, test.method, test.contentType, strings.NewReader(test.body))
			got := sourceAsk(t, pagestate.FormSource("page_state"), sourceLimit, r)
			sourceWant(t, got, test.want, test.body)
		})
	}
}

// A field name may itself hold what is escaped on the wire.
func TestFormSourceFieldName(t *testing.T) {
	tests := []struct {
		field, body string
		want        []string
	}{
		{"a b", "a+b=1&a%20b=2&a b=3", []string{"1", "2", "3"}},
		{"a+b", "a+b=1&a%2Bb=2", []string{"2"}},
		{"a%20b", "a%20b=1&a%2520b=2", []string{"2"}},
	}
	for _, test := range tests {
		r := sourceRequest(t, "POST", sourceURLEncoded, strings.NewReader(test.body))
		got := sourceAsk(t, pagestate.FormSource(test.field), sourceLimit, r)
		sourceWant(t, got, test.want, test.body)
	}
}

func TestSourcesIgnoreTheURL(t *testing.T) {
	sources := map[string]pagestate.Source{
		sourceURLEncoded: pagestate.FormSource("page_state"),
		sourceMultipart:  pagestate.FormSource("page_state"),
		sourceJSON:       pagestate.JSONSource("page_state"),
		"":               pagestate.HeaderSource("page_state"),
	}
	for contentType, source := range sources {
		for _, method := range []string{"GET", "POST"} {
			r := sourceRequest(t, method, contentType, strings.NewReader("x"))
			r.URL.RawQuery = "page_state=t"
			sourceWant(t, sourceAsk(t, source, sourceLimit, r), nil, "x")
		}
	}

	// ParseForm puts the query into Form, beside what it found in the body.
	r := sourceRequest(t, "POST", sourceURLEncoded, strings.NewReader("x=1"))
	r.URL.RawQuery = "page_state=t"
	parse := func(r *http.Request) { r.ParseForm() }
	sourceWant(t, sourceAsk(t, sources[sourceURLEncoded], sourceLimit, r, parse), nil, "")
}

func TestFormSourceMultipart(t *testing.T) {
	tests := []struct {
		name        string
		contentType string
		body        string
		want        []string
	}{
		{"one", sourceMultipart, sourceParts("x=1", "page_state=t", "y=2"), []string{"t"}},
		{"repeated", sourceMultipart, sourceParts("page_state=a", "x=1", "page_state=b"), []string{"a", "b"}},
		{"empty", sourceMultipart, sourceParts("page_state="), nil},
		{"empty before another", sourceMultipart, sourceParts("page_state=", "page_state=t"), []string{"t"}},
		{"before a file", sourceMultipart, sourceParts("page_state=t", "@f=data"), []string{"t"}},
		{"behind a file", sourceMultipart, sourceParts("@f=data", "page_state=t"), nil},
		{"on both sides of a file", sourceMultipart, sourceParts("page_state=a", "@f=data", "page_state=b"), []string{"a"}},
		{"a file of that name", sourceMultipart, sourceParts("@page_state=t"), nil},
		{"another field", sourceMultipart, sourceParts("PAGE_STATE=t"), nil},
		{"no file chosen", sourceMultipart,
			"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\"\r\nContent-Type: application/octet-stream\r\n\r\n\r\n" +
				sourceParts("page_state=t"), []string{"t"}},
		{"not form-data", sourceMultipart,
			"--b\r\nContent-Disposition: attachment; name=\"page_state\"\r\n\r\nt\r\n--b--\r\n", nil},
		{"bytes as they are", sourceMultipart, sourceParts("page_state=a%3D+b;"), []string{"a%3D+b;"}},
		{"what follows the form", sourceMultipart, sourceParts("page_state=t") + "--b\r\n", []string{"t"}},
		{"no last line break", sourceMultipart, strings.TrimSpace(sourceParts("page_state=t")), []string{"t"}},
		{"malformed behind a file", sourceMultipart, strings.TrimSuffix(sourceParts("page_state=t", "@f=data"), "\r\n--b--\r\n"), []string{"t"}},
		{"truncated in another field", sourceMultipart, strings.TrimSuffix(sourceParts("page_state=t", "x=1"), "1\r\n--b--\r\n"), nil},
		{"truncated in the token", sourceMultipart, strings.TrimSuffix(sourceParts("page_state=tt"), "t\r\n--b--\r\n"), nil},
		{"malformed part header", sourceMultipart, strings.TrimSuffix(sourceParts("page_state=t"), "--b--\r\n") + "--b\r\nno colon\r\n\r\n", nil},
		{"wrong boundary", "multipart/form-data; boundary=c", sourceParts("page_state=t"), nil},
		{"no boundary", "multipart/form-data", sourceParts("page_state=t"), nil},
		{"empty boundary", `multipart/form-data; boundary=""`, "--\r\nContent-Disposition: form-data; name=\"page_state\"\r\n\r\nt\r\n----\r\n", nil},
		{"mixed", "multipart/mixed; boundary=b", sourceParts("page_state=t"), nil},
		{"no body", sourceMultipart, "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := sourceRequest(t, "POST", test.contentType, strings.NewReader(test.body))
			got := sourceAsk(t, pagestate.FormSource("page_state"), sourceLimit, r)
			sourceWant(t, got, test.want, test.body)
		})
	}
}

// What someone in front has parsed is used, and what ParseForm passed over is read.
func TestFormSourceAlreadyParsed(t *testing.T) {
	parseForm := func(r *http.Request) { r.ParseForm() }
	parseMultipart := func(r *http.Request) { r.ParseMultipartForm(1 << 20) }
	readParts := func(r *http.Request) { r.MultipartReader() }
	setForm := func(r *http.Request) { r.PostForm = url.Values{"page_state": {"set"}} }
	setMultipart := func(r *http.Request) {
		r.MultipartForm = &multipart.Form{Value: map[string][]string{"page_state": {"set"}}}
	}
	tests := []struct {
		name        string
		parse       func(*http.Request)
		method      string
		contentType string
		body        string
		want        []string
		left        string // of the body
	}{
		{"urlencoded", parseForm, "POST", sourceURLEncoded, "page_state=a&page_state=&page_state=b", []string{"a", "b"}, ""},
		{"urlencoded without a token", parseForm, "POST", sourceURLEncoded, "x=1", nil, ""},
		{"urlencoded, parsed as multipart", parseMultipart, "POST", sourceURLEncoded, "page_state=t", []string{"t"}, ""},
		{"multipart", parseMultipart, "POST", sourceMultipart, sourceParts("page_state=a", "@f=data", "page_state=b"), []string{"a", "b"}, ""},
		{"a form that was set", setForm, "POST", sourceURLEncoded, "page_state=t", []string{"set"}, "page_state=t"},
		{"a multipart form that was set", setMultipart, "POST", sourceMultipart, sourceParts("page_state=t"), []string{"set"}, sourceParts("page_state=t")},
		{"a form without a type", setForm, "POST", "", "", []string{"set"}, ""},
		{"DELETE is passed over", parseForm, "DELETE", sourceURLEncoded, "page_state=t", []string{"t"}, "page_state=t"},
		{"multipart is passed over", parseForm, "POST", sourceMultipart, sourceParts("page_state=t"), []string{"t"}, sourceParts("page_state=t")},
		{"someone reads the parts", readParts, "POST", sourceMultipart, sourceParts("page_state=t"), nil, sourceParts("page_state=t")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := sourceRequest(t, test.method, test.contentType, strings.NewReader(test.body))
			got := sourceAsk(t, pagestate.FormSource("page_state"), sourceLimit, r, test.parse)
			sourceWant(t, got, test.want, test.left)
		})
	}
}

// The form an earlier layer parsed may still be used by the handler.
func TestFormSourceLeavesTheParsedFormAlone(t *testing.T) {
	r := httptest.NewRequest("POST", "/", nil)
	r.PostForm = url.Values{"page_state": {"", "a", "", "b"}}
	if got, _ := pagestate.FormSource("page_state").Tokens(r, sourceLimit); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("tokens: %q", got)
	}
	if got := r.PostForm["page_state"]; !slices.Equal(got, []string{"", "a", "", "b"}) {
		t.Errorf("the form now holds %q", got)
	}
}

func TestJSONSource(t *testing.T) {
	one := []string{"page_state"}
	two := []string{"meta", "page_state"}
	tests := []struct {
		name        string
		path        []string
		contentType string
		body        string
		want        []string
	}{
		{"string", one, sourceJSON, `{"x":[1,{"page_state":"no"}],"page_state":"t","y":null}`, []string{"t"}},
		{"array", one, sourceJSON, `{"page_state":["a","b"]}`, []string{"a", "b"}},
		{"nested", two, sourceJSON, `{"page_state":"no","meta":{"x":1,"page_state":"t"}}`, []string{"t"}},
		{"nested array", two, sourceJSON, `{"meta":{"page_state":["a","b"]}}`, []string{"a", "b"}},
		{"white space", two, sourceJSON, " \n{ \"meta\" : {\t\"page_state\" : [ \"t\" ] } } ", []string{"t"}},
		{"escapes", one, sourceJSON, `{"\u0070age_state":"\u0074\n"}`, []string{"t\n"}},
		{"what follows is ignored", one, sourceJSON, `{"page_state":"t"} }{ "page_state"`, []string{"t"}},
		{"large number beside it", one, sourceJSON, `{"x":1e999,"page_state":"t"}`, []string{"t"}},
		{"empty key", []string{""}, sourceJSON, `{"":"t"}`, []string{"t"}},

		{"charset", one, sourceJSON + "; charset=utf-8", `{"page_state":"t"}`, []string{"t"}},
		{"suffix", one, "application/vnd.api+json", `{"page_state":"t"}`, []string{"t"}},
		{"case of the type", one, "Application/Problem+JSON", `{"page_state":"t"}`, []string{"t"}},
		{"no content type", one, "", `{"page_state":"t"}`, nil},
		{"text", one, "text/plain", `{"page_state":"t"}`, nil},
		{"no JSON type", one, "application/jsonp", `{"page_state":"t"}`, nil},
		{"form type", one, sourceURLEncoded, `{"page_state":"t"}`, nil},

		{"twice", one, sourceJSON, `{"page_state":"a","x":1,"page_state":"b"}`, nil},
		{"twice the same", one, sourceJSON, `{"page_state":"a","page_state":"a"}`, nil},
		{"twice, escaped", one, sourceJSON, `{"page_state":"a","\u0070age_state":"b"}`, nil},
		{"twice, escaped first", one, sourceJSON, `{"page\u005fstate":"a","page_state":"b"}`, nil},
		{"twice, one null", one, sourceJSON, `{"page_state":null,"page_state":"b"}`, nil},
		{"twice, one an array", one, sourceJSON, `{"page_state":"a","page_state":[]}`, nil},
		{"twice inside", two, sourceJSON, `{"meta":{"page_state":"a","page_state":"b"}}`, nil},
		{"twice on the way", two, sourceJSON, `{"meta":{"page_state":"a"},"meta":{"page_state":"a"}}`, nil},
		{"twice on the way, once without", two, sourceJSON, `{"meta":{"page_state":"a"},"meta":{}}`, nil},
		{"twice on the way, once a number", two, sourceJSON, `{"meta":{"page_state":"a"},"met\u0061":1}`, nil},
		{"twice beside the path", two, sourceJSON, `{"x":1,"x":2,"meta":{"page_state":"t","y":1,"y":2}}`, []string{"t"}},
		{"twice elsewhere", two, sourceJSON, `{"x":{"page_state":1,"page_state":2},"meta":{"page_state":"t"}}`, []string{"t"}},
		{"differing in case", one, sourceJSON, `{"Page_State":"a","page_state":"t"}`, []string{"t"}},

		{"another case", one, sourceJSON, `{"Page_State":"t"}`, nil},
		{"absent", one, sourceJSON, `{"x":"t"}`, nil},
		{"absent on the way", two, sourceJSON, `{"page_state":"t"}`, nil},
		{"deeper than said", one, sourceJSON, `{"meta":{"page_state":"t"}}`, nil},
		{"empty", one, sourceJSON, `{"page_state":""}`, nil},
		{"empty in an array", one, sourceJSON, `{"page_state":["","t",""]}`, []string{"t"}},
		{"empty array", one, sourceJSON, `{"page_state":[]}`, nil},
		{"null", one, sourceJSON, `{"page_state":null}`, nil},
		{"number", one, sourceJSON, `{"page_state":1}`, nil},
		{"object", one, sourceJSON, `{"page_state":{"page_state":"t"}}`, nil},
		{"number in an array", one, sourceJSON, `{"page_state":["t",1]}`, nil},
		{"null in an array", one, sourceJSON, `{"page_state":[null,"t"]}`, nil},
		{"array in an array", one, sourceJSON, `{"page_state":[["t"]]}`, nil},
		{"array on the way", two, sourceJSON, `{"meta":[{"page_state":"t"}]}`, nil},
		{"array like an object on the way", two, sourceJSON, `{"meta":["page_state","t"]}`, nil},
		{"array like an object", one, sourceJSON, `["page_state","t"]`, nil},
		{"string on the way", two, sourceJSON, `{"meta":"page_state"}`, nil},
		{"array at the top", one, sourceJSON, `[{"page_state":"t"}]`, nil},
		{"string at the top", one, sourceJSON, `"page_state"`, nil},
		{"empty path", nil, sourceJSON, `"t"`, nil},

		{"truncated", one, sourceJSON, `{"page_state":"t"`, nil},
		{"truncated behind the path", two, sourceJSON, `{"meta":{"page_state":"t"}`, nil},
		{"malformed behind", one, sourceJSON, `{"page_state":"t","x":}`, nil},
		{"malformed in front", one, sourceJSON, `{"x":01,"page_state":"t"}`, nil},
		{"trailing comma", one, sourceJSON, `{"page_state":"t",}`, nil},
		{"wrong bracket", one, sourceJSON, `{"page_state":"t"]`, nil},
		{"no body", one, sourceJSON, ``, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := sourceRequest(t, "POST", test.contentType, strings.NewReader(test.body))
			got := sourceAsk(t, pagestate.JSONSource(test.path...), sourceLimit, r)
			sourceWant(t, got, test.want, test.body)
		})
	}
}

func TestJSONSourceKeepsItsOwnPath(t *testing.T) {
	path, children := []string{"page_state"}, []string{"children"}
	source := pagestate.JSONSource(path...)
	all := source.Children(children, "token", "children")
	path[0], children[0] = "x", "x"
	const body = `{"page_state":"t","children":[{"token":"a"}]}`
	for _, test := range []struct {
		source pagestate.Source
		want   []string
	}{{all, []string{"t", "a"}}, {source, []string{"t"}}} {
		r := sourceRequest(t, "POST", sourceJSON, strings.NewReader(body))
		sourceWant(t, sourceAsk(t, test.source, sourceLimit, r), test.want, body)
	}
}

// sourceTree looks where a component framework sends the tokens of a page.
var sourceTree = pagestate.JSONSource("call", "state").Children([]string{"call", "children"}, "token", "children")

func TestJSONSourceChildren(t *testing.T) {
	flat := pagestate.JSONSource("call", "state").Children([]string{"children"}, "token", "")
	tests := []struct {
		name   string
		source pagestate.Source
		body   string
		want   []string
	}{
		{"children", sourceTree, `{"call":{"children":[{"token":"a"},{"token":"b"}],"state":"t"}}`, []string{"t", "a", "b"}},
		{"children of children", sourceTree, `{"call":{"state":"t","children":[{"token":"a","children":[{"token":"b","children":[{"token":"c"}]}]},{"token":"d"}]}}`, []string{"t", "a", "b", "c", "d"}},
		{"children first", sourceTree, `{"call":{"state":"t","children":[{"children":[{"token":"b"}],"token":"a"}]}}`, []string{"t", "b", "a"}},
		{"other members", sourceTree, `{"call":{"state":"t","children":[{"x":{"token":"no","children":[{"token":"no"}]},"token":"a","y":[1e999]}],"x":1}}`, []string{"t", "a"}},
		{"an array of tokens", sourceTree, `{"call":{"state":["t","u"],"children":[{"token":"a"}]}}`, []string{"t", "u", "a"}},
		{"white space and escapes", sourceTree, ` {"call" : {"state":"t", "children" : [ { "tok\u0065n" : "\u0061" } ] } } }`, []string{"t", "a"}},
		{"no deeper", flat, `{"call":{"state":"t"},"children":[{"token":"a","":[{"token":"no"}],"children":[{"token":"no"}]}]}`, []string{"t", "a"}},

		{"no array", sourceTree, `{"call":{"state":"t"}}`, []string{"t"}},
		{"null", sourceTree, `{"call":{"state":"t","children":null}}`, []string{"t"}},
		{"empty array", sourceTree, `{"call":{"state":"t","children":[]}}`, []string{"t"}},
		{"nothing inside", sourceTree, `{"call":{"state":"t","children":[{"token":"a","children":[]},{"token":"b","children":null}]}}`, []string{"t", "a", "b"}},
		{"without a token", sourceTree, `{"call":{"state":"t","children":[{},{"token":null},{"token":""},{"children":[{"token":"a"}]}]}}`, []string{"t", "a"}},

		{"nothing for the component that acts", sourceTree, `{"call":{"children":[{"token":"a"}]}}`, nil},
		{"an empty token for it", sourceTree, `{"call":{"state":"","children":[{"token":"a"}]}}`, nil},
		{"a number for it", sourceTree, `{"call":{"state":1,"children":[{"token":"a"}]}}`, nil},
		{"two for it", sourceTree, `{"call":{"state":"t","state":"t","children":[{"token":"a"}]}}`, nil},

		{"an object", sourceTree, `{"call":{"state":"t","children":{"token":"a"}}}`, nil},
		{"a string", sourceTree, `{"call":{"state":"t","children":"a"}}`, nil},
		{"strings", sourceTree, `{"call":{"state":"t","children":["a"]}}`, nil},
		{"null in the array", sourceTree, `{"call":{"state":"t","children":[null]}}`, nil},
		{"an array in the array", sourceTree, `{"call":{"state":"t","children":[[{"token":"a"}]]}}`, nil},
		{"a number for a token", sourceTree, `{"call":{"state":"t","children":[{"token":"a"},{"token":1}]}}`, nil},
		{"an array for a token", sourceTree, `{"call":{"state":"t","children":[{"token":["a"]}]}}`, nil},
		{"an object inside", sourceTree, `{"call":{"state":"t","children":[{"token":"a","children":{}}]}}`, nil},
		{"twice", sourceTree, `{"call":{"state":"t","children":[{"token":"a"}],"children":[]}}`, nil},
		{"twice, escaped", sourceTree, `{"call":{"state":"t","children":[],"childre\u006e":[{"token":"a"}]}}`, nil},
		{"twice on the way", sourceTree, `{"call":{"state":"t","children":[{"token":"a"}]},"call":{}}`, nil},
		{"a token twice", sourceTree, `{"call":{"state":"t","children":[{"token":"a","token":"a"}]}}`, nil},
		{"a token twice, once null", sourceTree, `{"call":{"state":"t","children":[{"token":"a","token":null}]}}`, nil},
		{"children twice inside", sourceTree, `{"call":{"state":"t","children":[{"children":[{"token":"a"}],"children":[]}]}}`, nil},
		{"nothing on the way", flat, `{"children":[{"token":"a"}]}`, nil},
		{"truncated", sourceTree, `{"call":{"state":"t","children":[{"token":"a"`, nil},
		{"malformed behind", sourceTree, `{"call":{"state":"t","children":[{"token":"a"}]},}`, nil},
		{"malformed inside", sourceTree, `{"call":{"state":"t","children":[{"token":"a",}]}}`, nil},

		{"no keys", pagestate.JSONSource("call", "state").Children(nil, "token", ""), `{"call":{"state":"t"}}`, nil},
		{"no path", pagestate.JSONSource().Children([]string{"call"}, "token", ""), `{"call":[{"token":"a"}]}`, nil},
		{"zero", pagestate.JSONTokens{}, `{"call":{"state":"t"}}`, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := sourceRequest(t, "POST", sourceJSON, strings.NewReader(test.body))
			sourceWant(t, sourceAsk(t, test.source, sourceLimit, r), test.want, test.body)
		})
	}
}

// The JSON of a form is the same as that of a body, and may stand behind files.
func TestJSONSourceInForm(t *testing.T) {
	const value = `call={"call":{"state":"t","children":[{"token":"a"}]}}`
	source, both := sourceTree.InForm("call"), []string{"t", "a"}
	tests := []struct {
		name        string
		contentType string
		body        string
		want        []string
	}{
		{"alone", sourceMultipart, sourceParts(value), both},
		{"among others", sourceMultipart, sourceParts("x=1", value, "y=2"), both},
		{"before a file", sourceMultipart, sourceParts(value, "@f=data"), both},
		{"behind a file", sourceMultipart, sourceParts("@f=data", value), both},
		{"behind several", sourceMultipart, sourceParts("@f=data", "x=1", "@g=data", value, "@h=data"), both},
		{"one state", sourceMultipart, sourceParts(`call={"call":{"state":"t"}}`), []string{"t"}},
		{"twice", sourceMultipart, sourceParts(value, value), nil},
		{"twice, once empty", sourceMultipart, sourceParts("call=", value), nil},
		{"again behind a file", sourceMultipart, sourceParts(value, "@f=data", `call={}`), both},
		{"as a file", sourceMultipart, sourceParts("@" + value), nil},
		{"another field", sourceMultipart, sourceParts("CALL" + strings.TrimPrefix(value, "call")), nil},
		{"no field", sourceMultipart, sourceParts("x=1", "@f=data"), nil},
		{"empty", sourceMultipart, sourceParts("call="), nil},
		{"a token alone", sourceMultipart, sourceParts("call=t"), nil},
		{"truncated JSON", sourceMultipart, sourceParts(strings.TrimSuffix(value, "}")), nil},
		{"truncated form", sourceMultipart, strings.TrimSuffix(sourceParts("@f=data", value), "}\r\n--b--\r\n"), nil},
		{"truncated behind", sourceMultipart, strings.TrimSuffix(sourceParts(value, "x=1"), "1\r\n--b--\r\n"), nil},
		{"no boundary", "multipart/form-data", sourceParts(value), nil},
		{"mixed", "multipart/mixed; boundary=b", sourceParts(value), nil},
		{"urlencoded", sourceURLEncoded, value, nil},
		{"JSON", sourceJSON, strings.TrimPrefix(value, "call="), nil},
		{"no body", sourceMultipart, "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := sourceRequest(t, "POST", test.contentType, strings.NewReader(test.body))
			sourceWant(t, sourceAsk(t, source, sourceLimit, r), test.want, test.body)
		})
	}

	t.Run("of a body that is JSON", func(t *testing.T) {
		r := sourceRequest(t, "POST", sourceMultipart, strings.NewReader(sourceParts(value)))
		sourceWant(t, sourceAsk(t, sourceTree, sourceLimit, r), nil, sourceParts(value))
	})
	t.Run("without a name", func(t *testing.T) {
		body := sourceParts(strings.TrimPrefix(value, "call"))
		r := sourceRequest(t, "POST", sourceMultipart, strings.NewReader(body))
		sourceWant(t, sourceAsk(t, sourceTree.InForm(""), sourceLimit, r), nil, body)
	})
	t.Run("parsed before", func(t *testing.T) {
		parse := func(r *http.Request) { r.ParseMultipartForm(1 << 20) }
		for limit, want := range map[int64][]string{sourceLimit: both, 10: nil} {
			r := sourceRequest(t, "POST", sourceMultipart, strings.NewReader(sourceParts("@f=data", value)))
			sourceWant(t, sourceAsk(t, source, limit, r, parse), want, "")
		}
	})
}

// A file behind the field is not read, however long it is.
func TestJSONSourceBeforeAFile(t *testing.T) {
	body := sourceParts(`call={"call":{"state":"t"}}`, "@f="+strings.Repeat("x", 2*sourceLimit))
	r := sourceRequest(t, "POST", sourceMultipart, strings.NewReader(body))
	got := sourceAsk(t, sourceTree.InForm("call"), sourceLimit, r)
	sourceWant(t, got, []string{"t"}, body)
	if got.read > 16<<10 {
		t.Errorf("read %d bytes", got.read)
	}
}

// Deep nesting costs no stack and little more memory than the body itself.
func TestJSONSourceNesting(t *testing.T) {
	const depth = sourceLimit / 2
	deep := strings.Repeat("[", depth) + strings.Repeat("]", depth)
	children := strings.Repeat(`[{"c":`, depth/8) + "[]" + strings.Repeat("}]", depth/8)
	for _, body := range []string{
		deep,
		`{"page_state":"t","x":` + deep + `}`,
		`{"page_state":` + deep + `}`,
		strings.Repeat(`{"page_state":`, depth/8),
		`{"page_state":"t","c":` + children + `}`,
		`{"page_state":"t","c":[{"x":` + deep + `}]}`,
		`{"page_state":"t","c":` + strings.Repeat(`[{"c":`, depth/8),
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", sourceJSON)
		var tokens []string
		allocated := sourceAllocated(func() {
			tokens, _ = pagestate.JSONSource("page_state").Children([]string{"c"}, "t", "c").Tokens(r, 2*sourceLimit)
		})
		if tokens != nil {
			t.Errorf("%.30s…: tokens %q", body, tokens)
		}
		if allocated > 20*sourceLimit {
			t.Errorf("%.30s…: allocated %d bytes for a body of %d", body, allocated, len(body))
		}
		if got, err := io.ReadAll(r.Body); string(got) != body || err != nil {
			t.Errorf("%.30s…: the body changed, or %v", body, err)
		}
	}
}

// At the limit there is a token, beyond it there is none; either way the handler reads it all.
func TestSourceLimit(t *testing.T) {
	const file = "\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n"
	fields := sourceParts("page_state=t", "x=1")
	beforeFile := strings.TrimSuffix(fields, "\r\n--b--\r\n") + file
	form, object := pagestate.FormSource("page_state"), pagestate.JSONSource("page_state")
	inForm := object.Children([]string{"children"}, "t", "c").InForm("call")
	call := strings.TrimSpace(sourceParts(`call={"page_state":"t"}`))
	behindFile := strings.TrimSpace(sourceParts("@f=data", `call={"page_state":"t"}`))
	bodies := []struct {
		name        string
		source      pagestate.Source
		contentType string
		body        string
		counted     int // how much of body the limit counts
	}{
		{"urlencoded", form, sourceURLEncoded, "page_state=t&x=12345", 20},
		{"json", object, sourceJSON, `{"page_state":"t"}`, 18},
		{"json and what follows", object, sourceJSON, `{"page_state":"t"} x`, 20},
		{"multipart without a file", form, sourceMultipart, strings.TrimSpace(fields), len(strings.TrimSpace(fields))},
		{"multipart with a file", form, sourceMultipart, beforeFile + strings.Repeat("f", 1000) + "\r\n--b--\r\n", len(beforeFile)},
		{"json in a form", inForm, sourceMultipart, call, len(call)},
		{"json behind a file", inForm, sourceMultipart, behindFile, len(behindFile)},
	}
	for _, b := range bodies {
		for _, chunked := range []bool{false, true} {
			for _, limit := range []int{b.counted + 1, b.counted, b.counted - 1, 1, 0, -1} {
				t.Run(fmt.Sprintf("%s/chunked %v/%d of %d", b.name, chunked, b.counted, limit), func(t *testing.T) {
					r := sourceRequest(t, "POST", b.contentType, strings.NewReader(b.body))
					if chunked {
						r.ContentLength = -1
					}
					got := sourceAsk(t, b.source, int64(limit), r)
					var want []string
					if limit >= b.counted {
						want = []string{"t"}
					}
					sourceWant(t, got, want, b.body)
					if got.read > max(limit+1, 0) {
						t.Errorf("read %d bytes, the limit is %d", got.read, limit)
					}
					wholeCounts := b.counted == len(b.body)
					if wholeCounts && b.contentType != sourceMultipart && !chunked && limit < b.counted && got.read != 0 {
						t.Errorf("read %d bytes of a body known to be too long", got.read)
					}
				})
			}
		}
	}
}

func TestSourceLimitMayBeHuge(t *testing.T) {
	r := sourceRequest(t, "POST", sourceURLEncoded, strings.NewReader("page_state=t"))
	sourceWant(t, sourceAsk(t, pagestate.FormSource("page_state"), 1<<63-1, r), []string{"t"}, "page_state=t")
}

// However the handler reads the body, it finds what it would find without the source. That holds for
// bodies that hold no token, are malformed, or too long to look through.
func TestSourceLeavesTheBodyToTheHandler(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	bodies := []struct{ contentType, body string }{
		{sourceURLEncoded, "page_state=t&x=1"},
		{sourceURLEncoded, "x=%zz;&page_state=t"},
		{sourceURLEncoded, "page_state=t&x=" + long},
		{sourceMultipart, sourceParts("page_state=t", "x=1", "@f="+long)},
		{sourceMultipart, sourceParts("@f="+long, "page_state=t")},
		{sourceMultipart, sourceParts("page_state=t", "x="+long)},
		{sourceMultipart, strings.TrimSuffix(sourceParts("page_state=t", "x=1"), "1\r\n--b--\r\n")},
		{sourceMultipart, "--b\r\nno colon\r\n\r\n--b--\r\n"},
		{"multipart/form-data; boundary=c", sourceParts("page_state=t", "x=1")},
		{"multipart/form-data", sourceParts("page_state=t", "x=1")},
		{sourceJSON, `{"page_state":"t","x":1}`},
		{sourceJSON, `{"page_state":"t","x":`},
		{sourceJSON, `{"page_state":"t","x":"` + long + `"}`},
		{"text/plain", "text"},
		{"", ""},
	}
	// Each returns all that it sees.
	readers := map[string]func(r *http.Request) string{
		"raw": func(r *http.Request) string {
			body, err := io.ReadAll(r.Body)
			return fmt.Sprintf("%q %v", body, err)
		},
		"small reads": func(r *http.Request) string {
			var body strings.Builder
			_, err := io.CopyBuffer(struct{ io.Writer }{&body}, r.Body, make([]byte, 7))
			return fmt.Sprintf("%q %v", body.String(), err)
		},
		"ParseForm": func(r *http.Request) string {
			err := r.ParseForm()
			return fmt.Sprint(r.PostForm, err)
		},
		"PostFormValue": func(r *http.Request) string {
			return r.PostFormValue("page_state") + " " + r.PostFormValue("x")
		},
		"ParseMultipartForm": func(r *http.Request) string {
			if err := r.ParseMultipartForm(100); err != nil {
				return err.Error()
			}
			file, header, err := r.FormFile("f")
			if err != nil {
				return fmt.Sprint(r.MultipartForm.Value, err)
			}
			defer r.MultipartForm.RemoveAll()
			defer file.Close()
			content, err := io.ReadAll(file)
			return fmt.Sprintf("%v %s %q %v", r.MultipartForm.Value, header.Filename, content, err)
		},
		"MultipartReader": func(r *http.Request) string {
			parts, err := r.MultipartReader()
			if err != nil {
				return err.Error()
			}
			var seen strings.Builder
			for {
				part, err := parts.NextPart()
				if err != nil {
					return seen.String() + err.Error()
				}
				content, err := io.ReadAll(part)
				fmt.Fprintf(&seen, "%v %q %v\n", part.Header, content, err)
			}
		},
		"json": func(r *http.Request) string {
			var value any
			err := json.NewDecoder(r.Body).Decode(&value)
			return fmt.Sprint(value, err)
		},
	}
	all := []pagestate.Source{
		pagestate.HeaderSource("Page-State"),
		pagestate.FormSource("page_state"),
		pagestate.JSONSource("page_state"),
		pagestate.JSONSource("page_state").InForm("page_state"),
	}
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			answer := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, read(r)) }
			look := func(w http.ResponseWriter, r *http.Request) {
				r = sourceCopy(r)
				for _, source := range all {
					source.Tokens(r, 1000)
				}
				answer(w, r)
			}
			plain := sourceServer(t, 1, answer)
			for _, looked := range []*httptest.Server{sourceServer(t, 1, look), sourceServer(t, 2, look)} {
				for _, b := range bodies {
					for _, chunked := range []bool{false, true} {
						want := sourcePost(t, plain, b.contentType, b.body, chunked)
						got := sourcePost(t, looked, b.contentType, b.body, chunked)
						if got != want {
							t.Errorf("%s: %.60q: the handler sees\n%.300s\nwithout the source it saw\n%.300s", b.contentType, b.body, got, want)
						}
					}
				}
			}
		})
	}
}

// A body that cannot be read has no token, and the handler meets the very same error.
func TestSourceReadError(t *testing.T) {
	broken := errors.New("broken")
	sources := []struct {
		source      pagestate.Source
		contentType string
		body        string
	}{
		{pagestate.FormSource("page_state"), sourceURLEncoded, "page_state=t&x=1"},
		{pagestate.FormSource("page_state"), sourceMultipart, strings.TrimSuffix(sourceParts("page_state=t"), "--\r\n")},
		{pagestate.JSONSource("page_state"), sourceJSON, `{"page_state":"t"}`},
		{pagestate.JSONSource("page_state").InForm("call"), sourceMultipart, strings.TrimSuffix(sourceParts("@f=data", `call={"page_state":"t"}`), "--\r\n")},
	}
	for _, s := range sources {
		t.Run(s.contentType, func(t *testing.T) {
			answers := []error{broken, nil, io.EOF}
			r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader(s.body), sourceReader(func([]byte) (int, error) {
				err := answers[0]
				answers = answers[1:]
				return 0, err
			})))
			r.Header.Set("Content-Type", s.contentType)
			for range 3 {
				if tokens, err := s.source.Tokens(r, sourceLimit); tokens != nil || err == nil || !strings.Contains(err.Error(), "broken") {
					t.Errorf("Tokens: %q, %v", tokens, err)
				}
			}
			if body, err := io.ReadAll(r.Body); string(body) != s.body || err != broken {
				t.Errorf("the handler reads %q, %v", body, err)
			}
			// The error is not made up again: what the original answers next gets through.
			if body, err := io.ReadAll(r.Body); len(body) != 0 || err != nil || len(answers) != 0 {
				t.Errorf("after the error the handler reads %q, %v", body, err)
			}
		})
	}
}

func TestSourceBehindMaxBytesReader(t *testing.T) {
	const body = "page_state=t&x=12345"
	for size, want := range map[int64][]string{int64(len(body)): {"t"}, int64(len(body)) - 1: nil} {
		r := sourceRequest(t, "POST", sourceURLEncoded, strings.NewReader(body))
		r.ContentLength = -1
		got := sourceAsk(t, pagestate.FormSource("page_state"), sourceLimit, r, func(r *http.Request) {
			r.Body = http.MaxBytesReader(nil, r.Body, size)
		})
		var tooLarge *http.MaxBytesError
		if errors.As(got.err, &tooLarge) != (want == nil) {
			t.Errorf("with %d bytes allowed the handler got %v", size, got.err)
		}
		got.err = nil
		sourceWant(t, got, want, body[:size])
	}
}

func TestSourceConnectionBreaks(t *testing.T) {
	for _, contentType := range []string{sourceURLEncoded, sourceMultipart, sourceJSON} {
		t.Run(contentType, func(t *testing.T) {
			seen := make(chan string, 1)
			server := sourceServer(t, 1, func(_ http.ResponseWriter, r *http.Request) {
				r = sourceCopy(r)
				for _, s := range []pagestate.Source{pagestate.FormSource("page_state"), pagestate.JSONSource("page_state"), pagestate.JSONSource("page_state").InForm("call")} {
					if tokens, err := s.Tokens(r, sourceLimit); tokens != nil || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
						t.Errorf("Tokens: %q, %v", tokens, err)
					}
				}
				body, err := io.ReadAll(r.Body)
				seen <- fmt.Sprintf("%s, %v", body, err)
			})

			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 100\r\n\r\npage_state=t", contentType)
			conn.Close()
			if got := <-seen; got != "page_state=t, unexpected EOF" {
				t.Errorf("the handler read %s", got)
			}
		})
	}
}

// Each of several sources sees the body from its start, and together they leave one buffer.
func TestSourcesOneAfterAnother(t *testing.T) {
	const body = `{"a":"1","b":"2"}`
	r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader(body)))
	r.Header.Set("Content-Type", sourceJSON)
	var first io.ReadCloser
	for _, limit := range []int64{3, sourceLimit, 3, sourceLimit} { // the shorter look must not cut off the longer
		for _, key := range []string{"a", "b"} {
			tokens, err := pagestate.JSONSource(key).Tokens(r, limit)
			if (err == nil) != (limit == sourceLimit) || (len(tokens) == 1) != (limit == sourceLimit) {
				t.Errorf("%s, limit %d: %q, %v", key, limit, tokens, err)
			}
			if first == nil {
				first = r.Body
			}
			if r.Body != first {
				t.Error("the body was wrapped again")
			}
		}
	}
	if got, err := io.ReadAll(r.Body); string(got) != body || err != nil {
		t.Errorf("the handler reads %q, %v", got, err)
	}
}

func TestSourceWithoutBody(t *testing.T) {
	for _, body := range []io.ReadCloser{nil, http.NoBody} {
		for contentType, source := range map[string]pagestate.Source{
			sourceURLEncoded: pagestate.FormSource("page_state"),
			sourceMultipart:  pagestate.FormSource("page_state"),
			sourceJSON:       pagestate.JSONSource("page_state"),
		} {
			r := httptest.NewRequest("POST", "/", nil)
			r.Header.Set("Content-Type", contentType)
			r.Body = body
			if tokens, err := source.Tokens(r, sourceLimit); tokens != nil || err != nil && contentType != sourceMultipart {
				t.Errorf("%s: %q, %v", contentType, tokens, err)
			}
			if r.Body != body {
				t.Errorf("%s: the body was replaced", contentType)
			}
		}
	}
}

// An upload is streamed to the handler, however large.
func TestFormSourceLargeUpload(t *testing.T) {
	const size = 64 << 20
	type answer struct {
		tokens          []string
		read            int
		allocated, heap int64
		sum             []byte
		size            int64
		err             error
	}
	answers := make(chan answer, 1)
	server := sourceServer(t, 1, func(_ http.ResponseWriter, r *http.Request) {
		r = sourceCopy(r)
		original := &sourceBody{Reader: r.Body}
		r.Body = original
		var a answer
		before := sourceHeap()
		a.allocated = sourceAllocated(func() {
			a.tokens, a.err = pagestate.FormSource("page_state").Tokens(r, sourceLimit)
		})
		a.heap = sourceHeap() - before
		a.read = original.read
		if a.err == nil {
			a.sum, a.size, a.err = sourceReadUpload(r)
		}
		answers <- a
	})

	token := strings.Repeat("t", 1000)
	body, sent := sourceUpload(token, size)
	r, err := http.NewRequest("POST", server.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", sourceMultipart)
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()

	got := <-answers
	if !slices.Equal(got.tokens, []string{token}) || got.err != nil {
		t.Errorf("tokens %.20q…, %v", got.tokens, got.err)
	}
	if got.read > len(token)+16<<10 {
		t.Errorf("looking for the token read %d bytes", got.read)
	}
	// This counts what the client in the same process allocates, too.
	if got.allocated > 256<<10 || got.heap > 256<<10 {
		t.Errorf("looking for the token allocated %d bytes and kept %d", got.allocated, got.heap)
	}
	if got.size != size || !bytes.Equal(got.sum, <-sent) {
		t.Errorf("the file arrived changed: %d bytes of %d", got.size, size)
	}
}

func FuzzFormSource(f *testing.F) {
	for _, seed := range []string{
		"", "page_state=t", "a=1&page_state=a&page_state=b", "page_state", "page_state==&=", "%70age_state=%74",
		"page_state=%zz", "page_state%=t", "page_state=a;b&page_state=t", "page+state=t&page_state=+", "&&=&page_state=\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if strings.Count(body, "&") >= 10_000 {
			return // ParseQuery takes no more
		}
		form, _ := url.ParseQuery(body)
		want := slices.DeleteFunc(form["page_state"], func(token string) bool { return token == "" })
		if got := sourceFuzz(t, pagestate.FormSource("page_state"), sourceURLEncoded, body); !slices.Equal(got, want) {
			t.Errorf("%q: tokens %q, url.ParseQuery finds %q", body, got, want)
		}
	})
}

func FuzzJSONSource(f *testing.F) {
	for _, seed := range []string{
		"", "{}", `{"meta":{"page_state":"t"}}`, `{"meta":{"page_state":["a","b"]}}`, `{"meta":{"page_state":"a","page_state":"b"}}`,
		`{"meta":{"page_state":"a"},"m\u0065ta":{}}`, `{"meta":null}`, `{"x":[[{}],1e9],"meta":{"page_state":"\ud800"}} x`,
		`{"meta":{"page_state":"t"}]`, `{"meta":{"page_state":"t",}}`, `[{"meta":1}]`, `{"META":{"page_state":"t"}}`,
		`{"meta":{"page_state":"t","children":[{"token":"a","children":[{"token":"b","x":[{}]}]},{"token":"c"}]}}`,
		`{"meta":{"children":[{"children":null,"token":"a"}],"page_state":"t"}}`, `{"meta":{"page_state":"t","children":[null]}}`,
		`{"meta":{"page_state":"t","children":{}}}`, `{"meta":{"page_state":"t","children":[{"token":"a","token":"b"}]}}`,
	} {
		f.Add(seed)
	}
	source := pagestate.JSONSource("meta", "page_state")
	tree := source.Children([]string{"meta", "children"}, "token", "children")
	f.Fuzz(func(t *testing.T, body string) {
		got := sourceFuzz(t, source, sourceJSON, body)
		all, treeErr := sourceFuzzTree(t, tree, body)

		var handler struct {
			Meta struct {
				PageState string `json:"page_state"`
			} `json:"meta"`
		}
		err := json.NewDecoder(strings.NewReader(body)).Decode(&handler)
		if err != nil || sourceAmbiguous(json.NewDecoder(strings.NewReader(body))) {
			return
		}
		if token := strings.Join(got, " "); token != handler.Meta.PageState {
			t.Errorf("%q: tokens %q, encoding/json finds %q", body, got, handler.Meta.PageState)
		}
		var children struct {
			Meta struct {
				Children []*sourceChild `json:"children"`
			} `json:"meta"`
		}
		err = json.NewDecoder(strings.NewReader(body)).Decode(&children)
		want, isTree := sourceTokens(children.Meta.Children)
		if len(got) == 0 {
			want = nil
		} else if err != nil || !isTree {
			testkit.Want(t, "an error", treeErr != nil, true)
			want = nil
		} else {
			want = append(got, want...)
		}
		slices.Sort(all)
		slices.Sort(want)
		if !slices.Equal(all, want) {
			t.Errorf("%q: tokens %q with those of children, encoding/json finds %q", body, all, want)
		}
	})
}

// sourceChild is a child in JSON, as a handler may decode it.
type sourceChild struct {
	Token    string         `json:"token"`
	Children []*sourceChild `json:"children"`
}

// sourceTokens returns the tokens of children. ok reports whether none of them is null.
func sourceTokens(children []*sourceChild) (tokens []string, ok bool) {
	for _, child := range children {
		if child == nil {
			return nil, false
		}
		if child.Token != "" {
			tokens = append(tokens, child.Token)
		}
		inside, ok := sourceTokens(child.Children)
		if !ok {
			return nil, false
		}
		tokens = append(tokens, inside...)
	}
	return tokens, true
}

// sourceFuzzTree returns what tree finds in a JSON body, and in a form that holds the
// same.
func sourceFuzzTree(t *testing.T, tree pagestate.JSONTokens, body string) ([]string, error) {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("Content-Type", sourceJSON)
	found, err := tree.Tokens(r, sourceLimit)
	testkit.Want(t, "both", found != nil && err != nil, false)
	if strings.Contains(body, "--b") {
		return found, err
	}
	r = httptest.NewRequest("POST", "/", strings.NewReader(sourceParts("@file=data", "call="+body)))
	r.Header.Set("Content-Type", sourceMultipart)
	inForm, formErr := tree.InForm("call").Tokens(r, sourceLimit)
	testkit.Want(t, "an error in a form", formErr != nil, err != nil)
	if !slices.Equal(inForm, found) {
		t.Errorf("%q: tokens %q in a form, %q in a body", body, inForm, found)
	}
	return found, err
}

// sourceAmbiguous reports whether the next value holds an object with keys that encoding/json takes
// for one, or a key that matters in another case. It also does so if the value is malformed.
func sourceAmbiguous(dec *json.Decoder) bool {
	dec.UseNumber()
	start, err := dec.Token()
	if err != nil {
		return true
	}
	if start != json.Delim('{') && start != json.Delim('[') {
		return false
	}
	var keys []string
	for dec.More() {
		if start == json.Delim('{') {
			token, _ := dec.Token()
			key, _ := token.(string)
			same := func(other string) bool { return strings.EqualFold(key, other) }
			differs := func(other string) bool { return same(other) && key != other }
			if slices.ContainsFunc(keys, same) || slices.ContainsFunc([]string{"meta", "page_state", "token", "children"}, differs) {
				return true
			}
			keys = append(keys, key)
		}
		if sourceAmbiguous(dec) {
			return true
		}
	}
	_, err = dec.Token()
	return err != nil
}

func sourceFuzz(t *testing.T, source pagestate.Source, contentType, body string) []string {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	tokens, err := source.Tokens(r, sourceLimit)
	if err != nil {
		t.Errorf("%q: %v", body, err)
	}
	if got, err := io.ReadAll(r.Body); string(got) != body || err != nil {
		t.Errorf("%q: the handler reads %q, %v", body, got, err)
	}
	return tokens
}

// sourceAnswer is what the server saw of a request: what the source found, and then the handler.
type sourceAnswer struct {
	tokens []string
	read   int    // how much of the body the source read
	body   string // what the handler read then,
	err    error  // and the error it met
}

// sourceAsk sends r to a server that runs prepare, then the source, and then reads the body.
func sourceAsk(t *testing.T, source pagestate.Source, limit int64, r *http.Request, prepare ...func(*http.Request)) sourceAnswer {
	t.Helper()
	answers := make(chan sourceAnswer, 1)
	server := sourceServer(t, 1, func(_ http.ResponseWriter, r *http.Request) {
		r = sourceCopy(r)
		original := &sourceBody{Reader: r.Body}
		if r.Body != http.NoBody {
			r.Body = original
		}
		for _, p := range prepare {
			p(r)
		}

		var a sourceAnswer
		readBefore, before := original.read, sourceState(r)
		var err error
		a.tokens, err = source.Tokens(r, limit)
		a.read = original.read - readBefore
		if err != nil && a.tokens != nil {
			t.Errorf("Tokens: %v", err)
		}
		if after := sourceState(r); after != before {
			t.Errorf("Tokens changed the request from\n%s\nto\n%s", before, after)
		}

		body, err := io.ReadAll(r.Body)
		a.body, a.err = string(body), err
		answers <- a
	})

	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Scheme, r.URL.Host = target.Scheme, target.Host
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return <-answers
}

// sourceState tells what a source must not change in r.
func sourceState(r *http.Request) string {
	return fmt.Sprintf("%d %s %#v %#v %#v %#v", r.ContentLength, r.URL, r.Header, r.Form, r.PostForm, r.MultipartForm)
}

func sourceWant(t *testing.T, got sourceAnswer, tokens []string, body string) {
	t.Helper()
	if !slices.Equal(got.tokens, tokens) || (got.tokens == nil) != (tokens == nil) {
		t.Errorf("tokens %#v, want %#v", got.tokens, tokens)
	}
	if got.body != body || got.err != nil {
		t.Errorf("the handler reads %q, %v, want %q", got.body, got.err, body)
	}
}

// sourceServer returns a server for HTTP/1.1 or, over TLS, HTTP/2.
func sourceServer(t *testing.T, version int, h http.HandlerFunc) *httptest.Server {
	server := httptest.NewUnstartedServer(h)
	t.Cleanup(server.Close)
	if version == 2 {
		server.EnableHTTP2 = true
		server.StartTLS()
	} else {
		server.Start()
	}
	return server
}

// sourceCopy returns a request for the handlers inside, as middleware does.
func sourceCopy(r *http.Request) *http.Request {
	return r.WithContext(r.Context())
}

func sourceRequest(t *testing.T, method, contentType string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, "/", body)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

// sourcePost returns the server's answer.
func sourcePost(t *testing.T, server *httptest.Server, contentType, body string, chunked bool) string {
	t.Helper()
	r, err := http.NewRequest("POST", server.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	if chunked {
		r.ContentLength = -1
	}
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// sourceParts returns a multipart form: "name=value" is a field, "@name=content" a file.
func sourceParts(parts ...string) string {
	var body strings.Builder
	form := multipart.NewWriter(&body)
	form.SetBoundary("b")
	for _, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		create := form.CreateFormField
		if file, ok := strings.CutPrefix(name, "@"); ok {
			create = func(string) (io.Writer, error) { return form.CreateFormFile(file, file+".txt") }
		}
		w, _ := create(name)
		io.WriteString(w, value)
	}
	form.Close()
	return body.String()
}

// sourceUpload generates a form of a token and a file of size bytes. The channel gets the file's hash.
func sourceUpload(token string, size int64) (io.Reader, <-chan []byte) {
	body, w := io.Pipe()
	sums := make(chan []byte, 1)
	go func() {
		form := multipart.NewWriter(w)
		form.SetBoundary("b")
		form.WriteField("page_state", token)
		file, _ := form.CreateFormFile("f", "f.bin")
		sum := sha256.New()
		_, err := io.CopyN(io.MultiWriter(file, sum), rand.NewChaCha8([32]byte{}), size)
		sums <- sum.Sum(nil)
		form.Close()
		w.CloseWithError(err)
	}()
	return body, sums
}

// sourceReadUpload returns hash and size of the file in a form that sourceUpload made.
func sourceReadUpload(r *http.Request) (sum []byte, size int64, err error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, 0, err
	}
	if field, err := parts.NextPart(); err != nil || field.FormName() != "page_state" {
		return nil, 0, fmt.Errorf("the field is missing: %v", err)
	}
	file, err := parts.NextPart()
	if err != nil {
		return nil, 0, err
	}
	hash := sha256.New()
	size, err = io.Copy(hash, file)
	return hash.Sum(nil), size, err
}

// sourceBody counts what is read.
type sourceBody struct {
	io.Reader
	read int
}

func (b *sourceBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read += n
	return n, err
}

func (b *sourceBody) Close() error { return nil }

type sourceReader func(p []byte) (int, error)

func (f sourceReader) Read(p []byte) (int, error) { return f(p) }

// sourceAllocated returns how many bytes were allocated while f ran, by anyone.
func sourceAllocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// sourceHeap returns how many bytes are in use. What a sync.Pool or a finalizer holds goes in the second
// collection.
func sourceHeap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestSourcesAreBounded gives each source far more tokens than a request may
// carry: what it yields, and what it allocates, stays in proportion.
func TestSourcesAreBounded(t *testing.T) {
	const n, limit = 200_000, 1 << 21
	part := "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n"
	tree := pagestate.JSONSource("a").Children([]string{"c"}, "t", "c")
	tests := []struct {
		name   string
		source pagestate.Source
		header http.Header
		body   string
		want   int
	}{
		{"commas", pagestate.HeaderSource("Page-State"), http.Header{"Page-State": {strings.Repeat(",", n)}}, "", 0},
		{"header", pagestate.HeaderSource("Page-State"), http.Header{"Page-State": {strings.Repeat("a,", n)}}, "", 1001},
		{"form", pagestate.FormSource("a"), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, strings.Repeat("a=b&", n), 1001},
		{"empty fields", pagestate.FormSource("a"), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, strings.Repeat("a=&", n), 0},
		{"parts", pagestate.FormSource("a"), http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}, strings.Repeat(part, n/10) + "--b--\r\n", 0},
		{"JSON", pagestate.JSONSource("a"), http.Header{"Content-Type": {"application/json"}}, `{"a":[` + strings.Repeat(`"b",`, n) + `"b"]}`, 1001},
		{"children", tree, http.Header{"Content-Type": {"application/json"}}, `{"a":"b","c":[` + strings.Repeat(`{"t":"b"},`, n/10) + `{}]}`, 0},
		{"empty children", tree, http.Header{"Content-Type": {"application/json"}}, `{"a":"b","c":[` + strings.Repeat(`{},`, n) + `{}]}`, 0},
		{"children of children", tree, http.Header{"Content-Type": {"application/json"}}, `{"a":"b","c":` + strings.Repeat(`[{"c":`, 4000) + "[]" + strings.Repeat("}]", 4000) + "}", 0},
		{"as many as there may be", tree, http.Header{"Content-Type": {"application/json"}}, `{"a":"b","c":[` + strings.Repeat(`{"t":"b"},`, 998) + `{"t":"b"}]}`, 1000},
		{"parts around JSON", tree.InForm("a"), http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}, strings.Repeat(part, n/10) + "--b--\r\n", 0},
	}
	tooMany := []string{"parts", "children", "empty children", "children of children", "parts around JSON"} // to look at all
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", strings.NewReader(test.body))
			r.Header = test.header
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			tokens, err := test.source.Tokens(r, limit)
			runtime.ReadMemStats(&after)
			testkit.Want(t, "error", err != nil, slices.Contains(tooMany, test.name))
			testkit.Want(t, "tokens", len(tokens), test.want)
			size := uint64(len(test.body)) + 100_000
			if used := after.TotalAlloc - before.TotalAlloc; used > 12*size {
				t.Errorf("%d bytes allocated for %d", used, size)
			}
		})
	}
}
