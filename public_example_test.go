package pagestate_test

import (
	"fmt"
	"html/template"
	"os"

	"github.com/pagestate/pagestate"
)

// Settings is a component whose page has a script.
type Settings struct {
	pagestate.Component
	Name  string   `state:"name,public"`
	Tags  []string `state:"tags,public"`
	Owner int      // saved, but neither seen by the page nor changed
}

// In a script, the JSON is given as template.JS: it is JavaScript already, and
// nothing in it can end the script.
func ExamplePublicJSON() {
	page := template.Must(template.New("page").Parse(`<script>
  const settings = {{.}};
</script>
`))
	settings := &Settings{Name: `</script><script>alert("hi")</script>`, Owner: 7}
	public, err := pagestate.PublicJSON(settings)
	if err != nil {
		panic(err)
	}
	if err := page.Execute(os.Stdout, template.JS(public)); err != nil {
		panic(err)
	}
	// Output:
	// <script>
	//   const settings = {"name":"\u003c/script\u003e\u003cscript\u003ealert(\"hi\")\u003c/script\u003e","tags":null};
	// </script>
}

// In an attribute, the JSON is given as a string, which html/template escapes.
// A script reads it with JSON.parse(element.dataset.settings), and Alpine from
// x-data.
func ExamplePublicJSON_attribute() {
	page := template.Must(template.New("page").Parse(`<form data-settings="{{.}}"></form>
`))
	public, err := pagestate.PublicJSON(&Settings{Name: `"Tea" & more`, Tags: []string{"hot"}})
	if err != nil {
		panic(err)
	}
	if err := page.Execute(os.Stdout, string(public)); err != nil {
		panic(err)
	}
	// Output:
	// <form data-settings="{&#34;name&#34;:&#34;\&#34;Tea\&#34; \u0026 more&#34;,&#34;tags&#34;:[&#34;hot&#34;]}"></form>
}

// The page sends what its user changed. In a handler, the error can be returned
// as it is: the page gets 400, and the state stays as it was.
func ExampleApplyPublic() {
	settings := &Settings{Name: "Tea", Tags: []string{"hot"}, Owner: 7}
	for _, body := range []string{
		`{"name":"Green tea"}`,
		`{"tags":[],"Owner":1}`,
		`{"tags":["cold",5]}`,
	} {
		err := pagestate.ApplyPublic(settings, []byte(body))
		status, _ := pagestate.Status(err)
		fmt.Println(status, settings.Name, settings.Tags, settings.Owner)
	}
	// Output:
	// 200 Green tea [hot] 7
	// 400 Green tea [hot] 7
	// 400 Green tea [hot] 7
}
