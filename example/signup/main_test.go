package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/pagestatetest"
)

// toMembership goes to the second step.
func toMembership(t *testing.T, s *site) pagestatetest.Page {
	t.Helper()
	page := pagestatetest.NewBrowser(t, s.Server).Get("/")
	return page.Form("/").Fill("name", "Ada Byron").Fill("email", "ada@example.com").File("picture", "morning.png", picture()).Submit()
}

// toPhones goes to the third step.
func toPhones(t *testing.T, s *site) pagestatetest.Page {
	t.Helper()
	form := toMembership(t, s).Form("/membership")
	return form.Fill("born", "1990-12-10").Fill("start", day(0, 30)).Fill("amount", "12.50").Submit()
}

func TestSignup(t *testing.T) {
	s := startSite(t)
	page := toPhones(t, s)
	page = page.Form("/phones").Fill("phones.0.number", "020 7946 0001").Press("add")
	page = page.Form("/phones").Fill("phones.0.number", "020 7946 0001").Fill("phones.1.kind", "Friend").Fill("phones.1.number", "020 7946 0002").Submit()
	testkit.WantText(t, "rules", page.Text, rulesStep, "Ada Byron", "10 December 1990", longDay(0, 30), "€12.50", "020 7946 0001", "<dt>Friend</dt><dd>020 7946 0002</dd>", `src="/files/`)
	s.restart()
	page = page.Reload().Form("/rules").Fill("rules", "on").Submit()
	testkit.WantText(t, "welcome", page.Text, welcome("Ada Byron"), "No. ")
	s.wantKept()
}

// What is wrong is marked, in its place, and all that was filled in is still there.
func TestProblems(t *testing.T) {
	s := startSite(t)
	membership, phones := toMembership(t, s), toPhones(t, s)
	for _, tt := range []struct {
		page   pagestatetest.Page
		path   string
		fields []string
		wrong  string // a field
		want   []string
	}{
		{pagestatetest.NewBrowser(t, s.Server).Get("/"), "/", []string{"name", " ", "email", "ada"}, "email", []string{"Enter an e-mail address"}},
		{membership, "/membership", []string{"born", day(-15, 0), "start", day(0, 30), "amount", "12.50"}, "born", []string{"You have to be 16", day(-15, 0), day(0, 30), "12.50"}},
		{membership, "/membership", []string{"born", "1000-01-01"}, "born", []string{"four digits", "Choose your first day", "from 5 to 500"}},
		{membership, "/membership", []string{"born", "1990-12-10", "start", day(-1, 0), "amount", "12,50"}, "start", []string{"from tomorrow on", "a point before the cents", `value="12,50"`}},
		{membership, "/membership", []string{"start", day(2, 0), "amount", "4.99"}, "start", []string{"within a year", "from 5 to 500", `value="4.99"`}},
		{membership, "/membership", []string{"amount", "12.505"}, "amount", []string{"a point before the cents", `value="12.505"`}},
		{membership, "/membership", []string{"amount", "1e2"}, "amount", []string{"a point before the cents"}},
		{membership, "/membership", []string{"amount", "-12"}, "amount", []string{"a point before the cents"}},
		{phones, "/phones", []string{"phones.0.number", "none"}, "phones.0.number", []string{"6 to 15 digits", `value="none"`}},
	} {
		form := tt.page.Form(tt.path).NoValidate()
		for i := 0; i < len(tt.fields); i += 2 {
			form.Fill(tt.fields[i], tt.fields[i+1])
		}
		page := form.Submit()
		testkit.Want(t, fmt.Sprint(form, tt.fields, " status"), page.StatusCode, http.StatusUnprocessableEntity)
		testkit.WantText(t, fmt.Sprint(form, tt.fields), page.Text, append(tt.want, fmt.Sprintf(`aria-invalid="true" aria-describedby="%s-error"`, tt.wrong), fmt.Sprintf(`id="%s-error"`, tt.wrong))...)
	}
}

// A name may have as many letters as its field takes, whatever they are.
func TestLongName(t *testing.T) {
	s := startSite(t)
	page := pagestatetest.NewBrowser(t, s.Server).Get("/").Form("/").Fill("name", strings.Repeat("я", 100)).Fill("email", "ada@example.com").Submit()
	testkit.Want(t, "status", page.StatusCode, http.StatusOK)
}

// What cannot be a date is shown again, as a browser without a calendar sends it.
func TestTypedDate(t *testing.T) {
	s := startSite(t)
	page := toMembership(t, s)
	sent := page.Call("POST", "/membership", nil)
	testkit.Want(t, "without a form", sent.StatusCode, http.StatusBadRequest)
	body, contentType := multipartOf(t, map[string]string{"born": "10 Dec 1990", "start": day(0, 30), "amount": "12.50"})
	r, err := http.NewRequest("POST", "/membership", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	answer := page.Do(r)
	testkit.Want(t, "status", answer.StatusCode, http.StatusUnprocessableEntity)
	testkit.WantText(t, "page", answer.Text, "Enter a date such as", `value="10 Dec 1990"`, day(0, 30), "12.50")
}

func TestPicture(t *testing.T) {
	s := startSite(t)
	start := pagestatetest.NewBrowser(t, s.Server).Get("/")
	for _, tt := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"large.png", append(picture(), make([]byte, maxPicture)...), "at most 5 MB"},
		{"page.png", []byte("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"), "a PNG or a JPEG picture"},
		{"empty.png", nil, "a PNG or a JPEG picture"},
	} {
		page := start.Form("/").Fill("name", "Ada Byron").File("picture", tt.name, tt.content).Submit()
		testkit.Want(t, tt.name+": status", page.StatusCode, http.StatusUnprocessableEntity)
		testkit.WantText(t, tt.name, page.Text, tt.want, "Ada Byron")
	}
	with := start.Form("/").Fill("name", "Ada Byron").File("picture", "../../<me>.png", picture()).Submit()
	testkit.WantText(t, "name", with.Text, "_me_.png", `src="/files/`)
	without := with.Form("/").Press("no-picture")
	testkit.Want(t, "status", without.StatusCode, http.StatusOK)
	testkit.Want(t, "a picture that was removed is shown", strings.Contains(without.Text, "/files/"), false)
	testkit.WantText(t, "page", without.Text, "Ada Byron")
}

// A body over the limit is a 413, and none leaves a temporary file.
func TestBody(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	s := startSite(t)
	start := pagestatetest.NewBrowser(t, s.Server).Get("/")
	for size, status := range map[int]int{2 * maxPicture: http.StatusUnprocessableEntity, 4 * maxPicture: http.StatusRequestEntityTooLarge} {
		page := start.Form("/").Fill("name", "Ada Byron").File("picture", "a.png", append(picture(), make([]byte, size)...)).Submit()
		testkit.Want(t, "status", page.StatusCode, status)
		if status == http.StatusRequestEntityTooLarge {
			testkit.WantText(t, "page", page.Text, "choose a smaller picture", "/static/style.css")
		}
	}
	s.Close() // net/http removes them when the handler has returned
	left, err := os.ReadDir(dir)
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "temporary files", len(left), 0)
}

// Who comes by a link begins where there is something to fill in.
func TestOrder(t *testing.T) {
	s := startSite(t)
	browser := pagestatetest.NewBrowser(t, s.Server)
	for _, path := range []string{"/membership", "/phones", "/rules", "/welcome"} {
		page := browser.Get(path)
		testkit.Want(t, path, page.URL.Path, "/")
		testkit.WantText(t, path, page.Text, youStep)
	}
	page := toPhones(t, s)
	testkit.Want(t, "a step too far", page.Get("/rules?"+page.URL.RawQuery).URL.Path, "/phones")
	for _, filled := range []map[string]string{{"rules": "on"}, {"other": "on"}} {
		body, contentType := multipartOf(t, filled)
		r, err := http.NewRequest("POST", "/rules", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Page-State", page.Tokens[0])
		testkit.WantText(t, "a form too far", page.Do(r).Header.Get("Page-State-Location"), "/phones?page_state=")
	}
	stranger := pagestatetest.NewBrowser(t, s.Server).Get(page.URL.RequestURI())
	testkit.WantText(t, "of another visitor", stranger.Text, youStep)
}
