package clienttest_test

// Frameworks that send nothing by themselves: their methods call the script's fetch.

import (
	"io"
	"net/http"
	"testing"
)

// frameworks are pages whose button calls a method of own, a module of the page.
var frameworks = map[string]struct {
	page library
	own  string
}{
	"Alpine": {
		library{
			head: `<script type="module" src="/own.js"></script>
				<script defer src="/libraries/alpinejs-3.17.5/alpine.min.js"></script>`,
			eval:     true,
			controls: `<div x-data="cart"><button id="plus" @click="add()">Add</button></div>`,
		},
		`import { fetch, show } from "/pagestate.js";

document.addEventListener("alpine:init", () => Alpine.data("cart", () => ({
  async add() {
    const response = await fetch(this.$el, "/fit/add", { method: "POST" });
    if (response.ok) await show(document.getElementById("outer"), response);
  },
})));`,
	},
	"Stimulus": {
		library{
			head:     `<script type="module" src="/own.js"></script>`,
			controls: `<div data-controller="cart"><button id="plus" data-action="cart#add">Add</button></div>`,
		},
		`import { Application, Controller } from "/libraries/stimulus-3.2.2/stimulus.js";
import { fetch, show } from "/pagestate.js";

Application.start().register("cart", class extends Controller {
  async add() {
    const response = await fetch(this.element, "/fit/add", { method: "POST" });
    if (response.ok) await show(document.getElementById("outer"), response);
  }
});`,
	},
}

// Three clicks on a slow line count three, and a 410 takes the component off the page.
func TestFrameworks(t *testing.T) {
	for name, framework := range frameworks {
		t.Run(name, func(t *testing.T) {
			site := newSite(t)
			site.mux.HandleFunc("GET /own.js", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/javascript")
				io.WriteString(w, framework.own)
			})
			framework.page.answer = html
			page := openFitOn(t, site, framework.page)
			release := site.hold("/fit/add")
			for range 3 {
				page.Click("#plus")
			}
			site.waitSent(1)
			site.wantSent(1)
			release()
			page.wantCount("outer", "3")
			page.Click("#plus")
			page.wantCount("outer", "4")
			page.wantHappened()

			page.Expect("status of 410")
			site.delete("outer")
			page.Click("#plus")
			page.Wait("!document.getElementById('outer')")
		})
	}
}
