package pagestatetest_test

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

// echo is a server that shows a page at /page, and anything else it is asked for
// as "METHOD /path?query: body".
func echo(t *testing.T, page string) *pagestatetest.Browser {
	return pagestatetest.NewBrowser(t, echoServer(t, page))
}

// TestFormSends: what a form sends in which nothing was filled in.
func TestFormSends(t *testing.T) {
	tests := []struct {
		name, fields string
		want         string
	}{
		{"text", `<input name=a value=1><input name=b><input value=c><input name=d type=nonsense value=4><input name="" value=5>`, "a=1&b=&d=4"},
		{"order", `<input name=b value=1><input name=a value=2><input name=b value=3>`, "b=1&a=2&b=3"},
		{"escapes", `<input name="ä b" value="ß&=+%">`, "%C3%A4+b=%C3%9F%26%3D%2B%25"},
		{"line breaks", `<input name=a value="1&#10;2"><input type=hidden name=b value="1&#10;2">`, "a=12&b=1%0D%0A2"},
		{"trimmed", `<input type=url name=a value=" b:c "><input type=email name=d value=" e@f ">`, "a=b%3Ac&d=e%40f"},
		{"numbers", `<input type=number name=a value=1.5e3><input type=number name=b value=1x><input type=number name=c value=+1>`, "a=1.5e3&b=&c="},
		{"dates", `<input type=date name=a value=2006-01-02><input type=date name=b value=2006-02-30><input type=month name=c value=2006-01><input type=week name=d value=2006-W54>` +
			`<input type=time name=e value=15:04><input type=datetime-local name=f value="2006-01-02 15:04">`, "a=2006-01-02&b=&c=2006-01&d=&e=15%3A04&f=2006-01-02T15%3A04"},
		{"range", `<input type=range name=a><input type=range name=b min=10 max=20 value=30><input type=range name=c min=0 max=1 step=.1 value=.34><input type=range name=d min=0 max=5><input type=range name=e min=0 max=8 step=5 value=8>`, "a=50&b=20&c=0.3&d=3&e=5"},
		{"color", `<input type=color name=a><input type=color name=b value=#AABBCC>`, "a=%23000000&b=%23aabbcc"},
		{"check boxes", `<input type=checkbox name=a checked><input type=checkbox name=a value=1><input type=checkbox name=b value="" checked><input type=CHECKBOX name=c value=2 checked>`, "a=on&b=&c=2"},
		{"radio buttons", `<input type=radio name=a value=1 checked><input type=radio name=a value=2 checked><input type=radio name=b value=3>`, "a=2"},
		{"select", `<select name=a><option value=1 disabled><option value=2><option value=3></select><select name=b><option value=1 selected><option selected> x  y </select>`, "a=2&b=x+y"},
		{"select, nothing chosen", `<select name=a size=2><option value=1></select><select name=b><option value="" selected disabled>Choose<option value=1></select><select name=c></select>` +
			`<select name=d><optgroup disabled><option value=1></optgroup></select>`, ""},
		{"select multiple", `<select name=a multiple><option selected>1<option>2<optgroup disabled><option selected>3</optgroup><option selected>4</select><select name=b multiple><option>1</select>`, "a=1&a=4"},
		{"textarea", "<textarea name=a>\n\n1\n2\r\n&lt;</textarea><textarea name=b></textarea>", "a=%0D%0A1%0D%0A2%0D%0A%3C&b="},
		{"disabled", `<input name=a disabled><fieldset disabled><legend><input name=b></legend><legend><input name=c></legend><input name=d><fieldset><input name=e></fieldset></fieldset><fieldset disabled><input name=i></fieldset>` +
			`<select name=f disabled><option>1</select><textarea name=g disabled></textarea><input name=h readonly value=1>`, "b=&h=1"},
		{"datalist", `<input name=a list=l value=1><datalist id=l><option value=2><input name=b></datalist>`, "a=1"},
		{"buttons", `<input type=reset name=a value=1><button type=button name=b value=2></button><button type=reset name=c></button><button name=d value=4></button><input type=submit name=e value=5>`, "d=4"},
		{"input as button", `<input type=submit name=a value=1><input type=submit name=b>`, "a=1"},
		{"button without a name", `<button value=1></button><button name=a value=2></button>`, ""},
		{"image", `<input type=image name=a value=1>`, "a.x=0&a.y=0"},
		{"image without a name", `<input type=image>`, "x=0&y=0"},
		{"outside", `</form><input name=a value=1><input name=b value=2 form=f><form><input name=c value=3 form=f><input name=d></form><input name=e form=nowhere>`, "b=2&c=3"},
		{"elsewhere", `<input name=a value=1 form=other><input name=b value=2 form=nowhere><input name=c value=3></form><form id=other>`, "c=3"},
		{"nested", `<input name=a value=1><form><input name=b value=2></form><input name=c value=3>`, "a=1&b=2"},
		{"in a table", `</form><table><form id=f method=post action=/to><tr><td><input name=a value=1></td></tr><tr><td><button name=b>B</button></td></tr></form><tr><td><input name=c></td></tr></table>`, "a=1&b="},
		{"template", `<template><form><input name=a></form><input name=b></template><input name=c value=3>`, "c=3"},
		{"without scripts", `<noscript><input name=a value=1></noscript><script>"<input name=b>"</script><!-- <input name=c> -->`, "a=1"},
		{"charset", `<input type=hidden name=_charset_><input name=_charset_ value=x>`, "_charset_=UTF-8&_charset_=x"},
		{"direction", `<input name=a dirname=a.dir><div dir=rtl><textarea name=b dirname=b.dir></textarea><p dir=ltr><input name=c dirname=c.dir></p></div>`, "a=&a.dir=ltr&b=&b.dir=rtl&c=&c.dir=ltr"},
		{"file that is not sent", `<input type=file name=a>`, "a="},
		{"empty", ``, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			id := "id=f "
			if strings.Contains(test.fields, "id=f ") {
				id = ""
			}
			page := echo(t, fmt.Sprintf("<!doctype html><form %smethod=post action=/to>%s</form>", id, test.fields)).Get("/page")
			testkit.Want(t, "sent", page.Form("#f").Submit().Text, "POST /to: "+test.want)
		})
	}
}

func TestFill(t *testing.T) {
	const page = `<form id=f method=post action=/to>
		<input name=text value=old maxlength=3>
		<input type=hidden name=text value=hidden>
		<textarea name=area maxlength=4></textarea>
		<input type=hidden name=box value=none><input type=checkbox name=box value=1 checked><input type=checkbox name=box value=2>
		<input type=radio name=radio value=1 checked><input type=radio name=radio value=2><input type=radio name=radio value=3 disabled>
		<select name=select><option value=1>One<option value=2>Two<option value=3 disabled>Three</select>
		<select name=several multiple><option selected>1<option>2<option selected disabled>3</select>
		<input name=two value=1><input name=two value=2>
		<input type=number name=number min=1 max=3 step=.5><input type=range name=range min=0 max=10 step=5><input type=date name=date><input type=color name=color>
		<input name=disabled disabled><input name=readonly readonly value=as-is><input type=file name=file><button name=button value=1>Go</button>
	</form><form id=g><input name=other></form>`
	tests := []struct {
		name   string
		values []string
		want   string // what is sent in the name, or what the test fails with
	}{
		{"text", []string{"new"}, "new hidden"},
		{"text", []string{"üöä"}, "üöä hidden"},
		{"text", []string{""}, " hidden"},
		{"text", []string{"long"}, "takes 3 characters at most, and these are 4"},
		{"text", []string{"a😀b"}, "takes 3 characters at most, and these are 4"}, // as UTF-16
		{"text", []string{"a\nb"}, "takes one line"},
		{"text", nil, `it has 1 fields "text" for one value each, and the values are []`},
		{"text", []string{"a", "b"}, `the values are ["a" "b"]`},
		{"area", []string{"1\r\n2\r"}, "1\r\n2\r\n"},
		{"box", nil, "none"},
		{"box", []string{"2"}, "none 2"},
		{"box", []string{"2", "1"}, "none 1 2"},
		{"box", []string{"3"}, `the field "box" does not offer "3"; it offers ["1" "2"]`},
		{"radio", []string{"2"}, "2"},
		{"radio", nil, "one can be chosen, and not 0"},
		{"radio", []string{"1", "2"}, "one can be chosen, and not 2"},
		{"radio", []string{"3"}, `does not offer "3"; it offers ["1" "2"]`},
		{"select", []string{"2"}, "2"},
		{"select", []string{"Two"}, `does not offer "Two"; it offers ["1" "2"]`},
		{"select", []string{"3"}, `does not offer "3"`},
		{"several", []string{"2"}, "2"},
		{"several", nil, ""},
		{"several", []string{"1", "2"}, "1 2"},
		{"several", []string{"3"}, `does not offer "3"; it offers ["1" "2"]`},
		{"two", []string{"3", "4"}, "3 4"},
		{"two", []string{"3"}, `it has 2 fields "two"`},
		{"number", []string{"1.5"}, "1.5"},
		{"number", []string{""}, ""},
		{"number", []string{"many"}, `takes a number, and not "many"`},
		{"number", []string{"0"}, "is less than 1"},
		{"number", []string{"4"}, "is more than 3"},
		{"number", []string{"1.7"}, "takes steps of 0.5"},
		{"range", []string{"5"}, "5"},
		{"range", []string{"6"}, `cannot be set to "6"`},
		{"range", []string{"15"}, `cannot be set to "15"`},
		{"date", []string{"2006-01-02"}, "2006-01-02"},
		{"date", []string{"2. 1. 2006"}, "takes a date like 2006-01-02"},
		{"color", []string{"#00FF7f"}, "#00ff7f"},
		{"color", []string{"red"}, "takes a color"},
		{"disabled", []string{"x"}, `the field "disabled" is disabled`},
		{"readonly", []string{"x"}, `the field "readonly" is read-only`},
		{"file", []string{"x"}, "is for a file: see File"},
		{"button", []string{"x"}, "is a button: see Press"},
		{"hidden", []string{"x"}, `the form POST /to #f: it has no field "hidden"; it has ["text" "area" "box"`},
		{"other", []string{"x"}, `it has no field "other"`},
		{"", []string{"x"}, `it has no field ""`},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.name, test.values), func(t *testing.T) {
			got := try(t, page, func(p pagestatetest.Page) string {
				_, body, _ := strings.Cut(p.Form("#f").Fill(test.name, test.values...).Submit().Text, ": ")
				sent, _ := url.ParseQuery(body)
				return strings.Join(sent[test.name], " ")
			})
			wantTry(t, got, test.want)
		})
	}
}

// TestFillLeavesOtherForms: what is of the same name in another form stays.
func TestFillLeavesOtherForms(t *testing.T) {
	page := echo(t, `<form action=/a method=post><input name=x value=1><input type=radio name=r value=1 checked></form>
		<form action=/b method=post><input name=x value=2><input type=radio name=r value=2 checked></form>`).Get("/page")
	filled := page.Form("/a").Fill("x", "3")
	testkit.Want(t, "another form", page.Form("/b").Submit().Text, "POST /b: x=2&r=2")
	testkit.Want(t, "the same form again", page.Form("/a").Submit().Text, "POST /a: x=1&r=1")
	testkit.Want(t, "the form that was filled", filled.Submit().Text, "POST /a: x=3&r=1")
}

// TestValidation: what a browser does not send, unless it is told not to look.
func TestValidation(t *testing.T) {
	tests := []struct {
		fields, want string // "" is sent
	}{
		{`<input name=a required>`, `a browser does not send it: the field "a" is required; NoValidate`},
		{`<input name=a required value=x>`, ""},
		{`<input name=a required disabled>`, ""},
		{`<input name=a required readonly>`, ""},
		{`<input name=a required type=hidden>`, ""},
		{`<input name=a required type=checkbox>`, "is required"},
		{`<input name=a required type=checkbox checked>`, ""},
		{`<input name=a required type=radio value=1><input name=a type=radio value=2>`, "is required"},
		{`<input name=a required type=radio value=1><input name=a type=radio value=2 checked>`, ""},
		{`<input name=a required type=file>`, "is required"},
		{`<input name=a required type=number value=x>`, "is required"},
		{`<input name=a required type=range>`, ""},
		{`<textarea name=a required></textarea>`, "is required"},
		{`<select name=a required><option value="">Choose<option>1</select>`, "is required"},
		{`<select name=a required><option value="" disabled selected>Choose<option>1</select>`, "is required"},
		{`<select name=a required><option>1<option value="" selected>None</select>`, ""},
		{`<select name=a required multiple><option>1</select>`, "is required"},
		{`<input name=a value=abcd maxlength=3>`, ""}, // by the page
		{`<input name=a value=ab minlength=3>`, ""},
		{`<input name=a pattern="[a-c]+|x" value=d>`, "does not match the pattern [a-c]+|x"},
		{`<input name=a pattern="[a-c]+|x" value=xx>`, "does not match the pattern"},
		{`<input name=a pattern="[a-c]+|x" value=ab>`, ""},
		{`<input name=a pattern="[a-c]+">`, ""},
		{`<input name=a pattern="(?=b)" value=x>`, ""}, // not one of Go's
		{`<input name=a type=email value=x>`, "takes an email address"},
		{`<input name=a type=email value=x@y>`, ""},
		{`<input name=a type=email value="x@y, z">`, "takes an email address"},
		{`<input name=a type=email multiple value="x@y, z@y">`, ""},
		{`<input name=a type=url value=/x>`, "takes a whole URL"},
		{`<input name=a type=url value=x:y>`, ""},
		{`<input name=a type=number value=1.5 min=0>`, "takes steps of 1"},
		{`<input name=a type=number value=1.5>`, ""}, // which is where the steps begin
		{`<input name=a type=number value=1.5 min=.5>`, ""},
		{`<input name=a type=number value=1.5 step=any>`, ""},
		{`<input name=a type=number value=0.3 step=0.1 min=0>`, ""},
		{`<input name=a type=number value=-1 min=0>`, "is less than 0"},
		{`<input name=a type=date value=2006-01-02 min=2006-01-03>`, "is before 2006-01-03"},
		{`<input name=a type=date value=2006-01-02 max=2006-01-01>`, "is after 2006-01-01"},
		{`<input name=a type=date value=2006-01-02 min=2006-01-02 max=x>`, ""},
		{`<input name=a required><button formnovalidate>`, ""},
	}
	for _, test := range tests {
		t.Run(test.fields, func(t *testing.T) {
			submit := func(attribute string, noValidate bool) string {
				return try(t, "<form method=post action=/to"+attribute+">"+test.fields+"</form>", func(p pagestatetest.Page) string {
					form := p.Form("/to")
					if noValidate {
						form = form.NoValidate()
					}
					sent, _, _ := strings.Cut(form.Submit().Text, ":")
					return sent
				})
			}
			if test.want == "" {
				test.want = "POST /to"
			}
			wantTry(t, submit("", false), test.want)
			testkit.Want(t, "with novalidate", submit(" novalidate", false), "POST /to")
			testkit.Want(t, "with NoValidate", submit("", true), "POST /to")
		})
	}
	typed := try(t, `<form><input name=a minlength=3>`, func(p pagestatetest.Page) string {
		return p.Form("/page").Fill("a", "ab").Submit().Text
	})
	wantTry(t, typed, "takes 3 characters at least")
}

func TestFindForm(t *testing.T) {
	const page = `<form action=/a><input name=n value=1></form>
		<form action="b/?x=1#top" id=b><input name=n value=2></form>
		<form><input name=n value=3></form>
		<ul><li id=row><form action=/rows><input name=n value=4></form></li><li><form action=/rows><input name=n value=5></form></li></ul>
		<form action=https://elsewhere.example/a></form>
		<form id=token action=/t?state=gAAAAAsecret></form>
		<p id=none></p>`
	tests := []struct{ which, want string }{
		{"/a", "1"},
		{"a", "1"},
		{"/a?x=1", "the page has 0 forms /a?x=1; it has GET /a, GET /b/?x=1 #b, GET /page"},
		{"/b/", "2"},
		{"/b/?x=1", "2"},
		{"/b", "0 forms /b"},
		{"#b", "2"},
		{"/page", "3"},
		{"", "3"},
		{"#row", "4"},
		{"/rows", "the page has 2 forms /rows"},
		{"#none", "0 forms #none"},
		{"#nowhere", "0 forms #nowhere"},
		{"/x", "#token"},
		{":", "0 forms :"},
	}
	for _, test := range tests {
		t.Run(test.which, func(t *testing.T) {
			wantTry(t, try(t, page, func(p pagestatetest.Page) string {
				return p.Form(test.which).Submit().Request.URL.Query().Get("n")
			}), test.want)
		})
	}
	p := echo(t, page).Get("/page")
	testkit.Want(t, "rows", fmt.Sprint(p.Forms("/rows")), "[GET /rows GET /rows]")
	testkit.Want(t, "the second row", p.Forms("/rows")[1].Submit().Request.URL.Query().Get("n"), "5")
	testkit.Want(t, "no rows", len(p.Forms("/x")), 0)

	wantTry(t, try(t, "nothing", func(p pagestatetest.Page) string { return p.Form("/").Submit().Text }),
		`the page has 0 forms /; it is 200 OK with the body "nothing"`)
	wantOutcome(t, func(t testing.TB) { pagestatetest.NewBrowser(t, echoServer(t, "")).Page("gAAAAAx").Form("/") }, "has tokens alone")
}

func TestButtons(t *testing.T) {
	const fields = `<input name=a value=1><button type=button>More</button>
		<button> Save
			<b>now</b> </button>
		<button name=do value=up>Up</button><button name=do value=down>Down</button>
		<input type=submit name=in value=Input><input type=image name=img alt=Picture><input type=submit>
		<button name=off disabled>Off</button><button name=same>Same</button><button name=same value=1>Same</button>`
	tests := []struct{ press, want string }{
		{"Save now", "a=1"},
		{"Up", "a=1&do=up"},
		{"do=down", "a=1&do=down"},
		{"do", `it has 2 buttons "do"; it has "Save now" (=), "Up" (do=up)`},
		{"Input", "a=1&in=Input"},
		{"in", "a=1&in=Input"},
		{"Picture", "a=1&img.x=0&img.y=0"},
		{"Submit", "a=1"},
		{"same=", "a=1&same="},
		{"Same", `it has 2 buttons "Same"`},
		{"Off", `its button "Off" is disabled`},
		{"More", `it has 0 buttons "More"`},
		{"", `it has 0 buttons ""`},
	}
	for _, test := range tests {
		t.Run(test.press, func(t *testing.T) {
			got := try(t, "<form method=post action=/to>"+fields+"</form>", func(p pagestatetest.Page) string {
				return strings.TrimPrefix(p.Form("/to").Press(test.press).Text, "POST /to: ")
			})
			wantTry(t, got, test.want)
		})
	}
	wantTry(t, try(t, "<form><button disabled>Off</button><button>On</button></form>", func(p pagestatetest.Page) string {
		return p.Form("/page").Submit().Text
	}), `its button "Off" is disabled`)
}

// TestMethodAndURL: where the form goes, and how, with and without a button that
// says otherwise.
func TestMethodAndURL(t *testing.T) {
	tests := []struct{ head, form, button, want string }{
		{"", "action=/to", "", "GET /to?a=1: "},
		{"", "action=/to?x=1#y", "", "GET /to?a=1: "},
		{"", "action=/to method=POST", "", "POST /to: a=1"},
		{"", "action=/to?x=1 method=post", "", "POST /to?x=1: a=1"},
		{"", "action=/to method=put", "", "GET /to?a=1: "},
		{"", "action=to method=post", "", "POST /to: a=1"},
		{"<base href=/there/>", "action=to method=post", "", "POST /there/to: a=1"},
		{"<base href=/there/>", "method=post", "", "POST /page: a=1"},
		{"", "action=' ' method=post", "", "POST /page: a=1"},
		{"", "action=/to method=post", "formaction=/other", "POST /other: a=1"},
		{"", "action=/to method=post", "formaction=''", "POST /page: a=1"},
		{"", "action=/to method=post", "formmethod=get", "GET /to?a=1: "},
		{"", "action=/to", "formmethod=post formenctype=application/x-www-form-urlencoded", "POST /to: a=1"},
		{"", "action=/to method=post enctype=nonsense", "", "POST /to: a=1"},
		{"", "action=/to method=post enctype=text/plain", "", "its enctype is text/plain"},
		{"", "action=/to enctype=text/plain", "", "GET /to?a=1: "},
		{"", "action=/to method=post", "formenctype=text/plain", "its enctype is text/plain"},
		{"", "action=/to method=dialog", "", "it closes a dialog"},
		{"", "action=mailto:a@b.example method=post", "", "which is not HTTP"},
		{"", "action=javascript:alert(1)", "", "which is not HTTP"},
		{"", "action=http://%zz", "", "which is not HTTP"},
	}
	for _, test := range tests {
		t.Run(test.head+test.form+" "+test.button, func(t *testing.T) {
			page := fmt.Sprintf("<!doctype html>%s<form id=f %s><input name=a value=1><button %s>Go</button></form>", test.head, test.form, test.button)
			wantTry(t, try(t, page, func(p pagestatetest.Page) string { return p.Form("#f").Press("Go").Text }), test.want)
		})
	}
}

func TestMultipart(t *testing.T) {
	const fields = `<textarea name=text>1
2</textarea><input type=file name=one><input type=file name=many multiple><input type=file name=none><input type=file name=off disabled><input name='"'>`
	browser := echo(t, "<form method=post action=/to enctype=multipart/form-data>"+fields+"</form>")
	form := browser.Get("/page").Form("/to")
	page := form.File("one", "a.html", []byte("<p>\n")).File("many", `b".xyz`, []byte("b")).File("many", "c", nil).Submit()
	_, params, err := mime.ParseMediaType(page.Request.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	_, body, _ := strings.Cut(page.Text, ": ")
	for r := multipart.NewReader(strings.NewReader(body), params["boundary"]); ; {
		part, err := r.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, _ := io.ReadAll(part)
		got = append(got, fmt.Sprintf("%s %s %q", part.Header.Get("Content-Disposition"), part.Header.Get("Content-Type"), content))
	}
	testkit.Want(t, "sent", strings.Join(got, "\n"), strings.Join([]string{
		`form-data; name="text"  "1\r\n2"`,
		`form-data; name="one"; filename="a.html" text/html "<p>\n"`,
		`form-data; name="many"; filename="b%22.xyz" application/octet-stream "b"`,
		`form-data; name="many"; filename="c" application/octet-stream ""`,
		`form-data; name="none"; filename="" application/octet-stream ""`,
		`form-data; name="%22"  ""`,
	}, "\n"))

	tests := []struct{ name, want string }{
		{"text", `the field "text" is for no file`},
		{"off", `the field "off" is disabled`},
		{"one", `the field "one" takes one file`},
		{"nowhere", `it has no field "nowhere"`},
	}
	for _, test := range tests {
		wantTry(t, try(t, "<form method=post action=/to>"+fields+"</form>", func(p pagestatetest.Page) string {
			return p.Form("/to").File(test.name, "a", nil).File(test.name, "b", nil).Submit().Text
		}), test.want)
	}
	// Without the enctype, a browser sends the name alone.
	plain := echo(t, "<form method=post action=/to><input type=file name=a></form>").Get("/page")
	testkit.Want(t, "sent", plain.Form("/to").File("a", "b.txt", []byte("c")).Submit().Text, "POST /to: a=b.txt")
}

// TestTokensOfTheForm: a form sends its own token, in a field and never from an
// attribute.
func TestTokensOfTheForm(t *testing.T) {
	const one, two, three = "gAAAAAone", "gAAAAAtwo==", "gAAAAAthree"
	browser := echo(t, fmt.Sprintf(`<form id=a method=post action=/to data-page-state=%s><input name=do value=up></form>
		<form id=b method=post action=/to><input type=hidden name=page_state value="%s"><input type=hidden name=page_state value=%s></form>`, one, two, three))
	page := browser.Get("/page")
	testkit.Want(t, "tokens", fmt.Sprint(page.Tokens), fmt.Sprint([]string{one, two, three}))
	testkit.Want(t, "without a field", page.Form("#a").Submit().Text, "POST /to: do=up")
	testkit.Want(t, "with two", page.Form("#b").Submit().Text, "POST /to: page_state=gAAAAAtwo%3D%3D&page_state=gAAAAAthree")
	wantTry(t, try(t, "<form action=/to?x="+one+">", func(p pagestatetest.Page) string { return p.Form("#c").Submit().Text }), "GET /to?x=(token)")
}

func echoServer(t testing.TB, page string) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI == "/page" && r.Method == "GET" {
			fmt.Fprint(w, page)
			return
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s: %s", r.Method, r.RequestURI, body)
	}))
	t.Cleanup(server.Close)
	return server
}

// try returns what a test gets from a page, or what it fails with.
func try(t *testing.T, page string, do func(p pagestatetest.Page) string) (got string) {
	server := echoServer(t, page)
	failed := outcome(t, func(t testing.TB) { got = do(pagestatetest.NewBrowser(t, server).Get("/page")) })
	return failed + got
}

// wantTry wants the whole of what was sent, or a part of the failure.
func wantTry(t *testing.T, got, want string) {
	t.Helper()
	if strings.HasPrefix(got, "pagestatetest: ") && want != "" {
		testkit.WantText(t, "failed with", got, want)
		return
	}
	testkit.Want(t, "got", got, want)
}
