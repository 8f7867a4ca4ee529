package clienttest_test

// This file holds that a page of the script has nothing to complain of, and that a test
// would hear of it.

import (
	"fmt"
	"strings"
	"testing"
)

// trusted is a policy that forbids strings as markup.
const trusted = policy + "; require-trusted-types-for 'script'; trusted-types pagestate"

// noting notes what a test fails of, and does not fail.
type noting struct {
	testing.TB
	failures []string
}

func (n *noting) Errorf(format string, args ...any) {
	n.failures = append(n.failures, fmt.Sprintf(format, args...))
}

// Whatever a page complains of fails the test that has opened it.
func TestComplaintsFail(t *testing.T) {
	for engine, open := range engines {
		for name, test := range map[string]struct{ do, want string }{
			"nothing":     {`1`, ""},
			"an error":    {`setTimeout(() => { throw new Error('broken'); })`, "broken"},
			"a rejection": {`void Promise.reject(new Error('rejected'))`, "rejected"},
			"a warning":   {`console.warn('careful')`, "careful"},
			"a script":    {`document.body.append(Object.assign(document.createElement('script'), { innerText: '1' }))`, "script-src"},
			"a request":   {`void fetch('http://127.0.0.1:1/').catch(() => {})`, "connect-src"},
		} {
			t.Run(engine+" "+name, func(t *testing.T) {
				site := newSite(t)
				var noted noting
				t.Run("page", func(t *testing.T) {
					noted.TB = t
					page := open(&noted)(site.URL + "/?driver=form")
					page.Do(test.do)
					page.Text("new Promise(resolve => setTimeout(resolve))")
				})
				if failures := strings.Join(noted.failures, "\n"); !strings.Contains(failures, test.want) || test.want == "" && failures != "" {
					t.Errorf("what failed is %q, not %q", failures, test.want)
				}
			})
		}
	}
}

// All ways in which an answer is shown keep to Trusted Types.
func TestTrustedTypes(t *testing.T) {
	for engine, open := range engines {
		t.Run(engine, func(t *testing.T) {
			site := newSite(t)
			site.policy = trusted
			page := &tab{open(t)(site.URL + "/?driver=form"), site}
			page.Expect("status of 410")
			setAction := func(counter, action string) {
				page.Do("document.querySelector('#" + counter + " > form.add').setAttribute('action', '" + action + "')")
			}
			page.press("outer", "add")
			page.wantCount("outer", "1")
			setAction("outer", "/add?driver=form&page=1") // the component in its page
			page.press("outer", "add")
			page.wantCount("outer", "2")
			page.Do(`(async () => {
				const { fetch, show } = await import('/pagestate.js'), root = document.getElementById('outer');
				await show(root, await fetch(root, '/add?driver=form', { method: 'POST' }));
			})()`)
			page.wantCount("outer", "3")
			setAction("outer", "/leave?to=%2F%3Fdriver%3Dform%26inside%3D1") // a page behind a redirect
			page.press("outer", "add")
			page.Wait("document.getElementById('inner1')")
			setAction("inner1", "/without") // a page without the component
			page.press("inner1", "add")
			page.wantCount("outer", "9")
			site.delete("outer")
			page.press("outer", "add")
			page.Wait("!document.getElementById('outer')")
			page.Want("import('/pagestate.js').then(script => Object.keys(script).sort())", "fetch,reload,show")
		})
	}
}
