package integration_test

// Keys that the database compares in another way than Go does.

import (
	"context"
	"database/sql"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// Account is a row with a key that people type.
type Account struct{ Email string }

// Invitation is a component with one account that it needs, and more that it can
// do without.
type Invitation struct {
	pagestate.Component
	From *Account
	To   []*Account `state:",optional"`
}

// TestCollation has a table whose collation ignores case: the row is there, and a
// page that spells its key in another way is not told that it is gone.
func TestCollation(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "accounts"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(statement string, args ...any) {
		t.Helper()
		if _, err := db.Exec(statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE TABLE account (email TEXT PRIMARY KEY COLLATE NOCASE)`)

	registry := pagestate.NewRegistry()
	pagestate.Register[Invitation](registry, "invitation")
	pagestate.RegisterModel(registry, "account", pagestate.Model[string, Account]{
		Key: func(a *Account) string { return a.Email },
		Fetch: func(ctx context.Context, emails []string) (found []*Account, err error) {
			keys, err := json.Marshal(emails)
			if err != nil {
				return nil, err
			}
			rows, err := db.QueryContext(ctx, `SELECT email FROM account WHERE email IN (SELECT value FROM json_each(?))`, string(keys))
			if err != nil {
				return nil, err
			}
			defer rows.Close()
			for rows.Next() {
				var a Account
				if err := rows.Scan(&a.Email); err != nil {
					return nil, err
				}
				found = append(found, &a)
			}
			return found, rows.Err()
		},
	})

	tests := map[string]struct {
		from, to string
		status   int
		body     string
	}{
		"as they are":            {"ann@x.org", "bob@x.org", 200, "ann@x.org to bob@x.org"},
		"another case":           {"Ann@x.org", "bob@x.org", 500, ""},
		"another case, optional": {"ann@x.org", "BOB@x.org", 500, ""},
		"gone":                   {"eve@x.org", "bob@x.org", 410, ""},
		"gone, optional":         {"ann@x.org", "eve@x.org", 200, "ann@x.org to"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			exec(`DELETE FROM account`)
			exec(`INSERT INTO account VALUES (?), (?)`, "ann@x.org", "bob@x.org")
			a := newApp(t, registry, pagestate.Options{})
			page(a, "/", func(*http.Request) *Invitation {
				return &Invitation{From: &Account{test.from}, To: []*Account{{test.to}}}
			})
			action(a, "/send", func(_ *http.Request, i *Invitation) (string, error) {
				var text strings.Builder
				text.WriteString(i.From.Email + " to")
				for _, to := range i.To {
					text.WriteString(" " + to.Email)
				}
				return text.String(), nil
			})
			answer := call(a.browser().Get("/"), "/send")
			wantStatus(t, answer, test.status)
			if test.status == http.StatusOK {
				testkit.Want(t, "body", answer.Text, test.body)
			}
			if test.status == http.StatusInternalServerError {
				testkit.WantText(t, "log", a.log.String(), "level=ERROR", `model \"account\"`, "case or white space")
			}
			if strings.Contains(strings.ToLower(a.log.String()), "x.org") {
				t.Errorf("a key is in the log: %s", a.log)
			}
		})
	}
}
