package backtest_test

import (
	"testing"

	"github.com/pagestate/pagestate"
)

// Where a page comes from when somebody goes back to it.
const (
	memory = "the back/forward cache" // as it was left
	disk   = "the HTTP cache"         // as it was loaded
	server = "the server"
	either = "" // which one is up to the script
)

// docs/redirects.md has a table of what this finds: what a page shows of two clicks
// when somebody comes back to it, and whether it goes on from there.
func TestBack(t *testing.T) {
	tests := []struct {
		by, cache         string
		chromium, firefox string // where the page comes from
		shows             string
		conflicts         bool // whether a guard refuses to go on
	}{
		{"plain", "", memory, memory, "2", false},
		{"plain", "unload", disk, disk, "2", false},
		{"plain", "no-store", memory, server, "2", false},

		{"plain-422", "", disk, memory, "2", false},
		{"plain-422", "unload", disk, disk, "2", false},

		{"script-redirect", "", memory, memory, "2", false},
		{"script-redirect", "unload", either, either, "2", false},
		{"script-redirect", "no-store", either, server, "2", false},

		{"script", "", memory, memory, "2", false},
		{"script", "unload", disk, disk, "0", true},
		{"script", "no-store", server, server, "0", false},

		{"fetch", "", memory, memory, "2", false},
		{"fetch", "unload", disk, disk, "0", true},
		{"fetch", "no-store", server, server, "0", false},

		{"htmx", "", memory, memory, "2", false},
		{"htmx", "unload", disk, disk, "0", true},
		{"htmx", "no-store", server, server, "0", false},

		{"htmx-url", "", memory, memory, "2", false},
		{"htmx-url", "unload", server, server, "2", false},
		{"htmx-url", "no-store", server, server, "2", false},
	}
	eachEngine(t, func(t *testing.T, open opener) {
		guarded := newSite(t, pagestate.Options{Guard: pagestate.NewGuard(1000)})
		page := open(t, guarded)
		for _, test := range tests {
			t.Log(test.by, test.cache)
			from := test.chromium
			if page.isFirefox() {
				from = test.firefox
			}
			page.count(test.by, test.cache)
			page.leave()
			page.wantBack(from, test.shows)
			if test.conflicts {
				page.wantConflict()
			} else {
				page.wantNext()
			}
		}
		t.Log("without a guard")
		page = open(t, newSite(t, pagestate.Options{}))
		for _, test := range tests {
			if test.conflicts {
				page.count(test.by, test.cache)
				page.leave()
				page.wantBack(disk, test.shows)
				page.wantNext()
			}
		}
	})
}

// A page that was left before a logout, with what its answer says of caches.
func TestBackAfterLogout(t *testing.T) {
	tests := []struct{ cache, logout, chromium, firefox, shows string }{
		{"", "keep", memory, memory, "2"},
		{"", "clear", server, server, "0"},
		{"no-store", "keep", server, server, "0"},
	}
	eachEngine(t, func(t *testing.T, open opener) {
		page := open(t, newSite(t, pagestate.Options{}))
		for _, test := range tests {
			t.Log(test.cache, test.logout)
			from := test.chromium
			if page.isFirefox() {
				from = test.firefox
			}
			page.count("plain", test.cache)
			page.leave()
			page.logout(test.logout)
			page.Back()
			page.wantBack(from, test.shows)
			if test.shows == "0" {
				page.wantNext()
			}
		}
	})
}
