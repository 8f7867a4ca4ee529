package pagestate

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"
	"github.com/pagestate/pagestate/internal/token"
)

type sessionCustomBinding struct{ Binding }

func TestSessionBindingKind(t *testing.T) {
	for name, c := range map[string]struct {
		binding Binding
		want    token.BindingKind
	}{
		"Unbound":     {Unbound(), 0},
		"Session":     {Session(sessions.NewCookieStore(), "page"), 1},
		"Cookie":      {Cookie(http.Cookie{Name: "page"}), 1},
		"custom":      {sessionCustomBinding{Unbound()}, 1},
		"SessionFunc": {SessionFunc(func(*http.Request) string { return "" }), 2},
	} {
		if got := bindingKind(c.binding); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestSessionValidateBinding(t *testing.T) {
	store := sessions.NewCookieStore([]byte("key"))
	forgetful := sessions.NewFilesystemStore(t.TempDir(), []byte("key"))
	forgetful.MaxAge(0)
	var noStore *sessions.CookieStore
	with := func(o sessions.Options) sessions.Store {
		if o.MaxAge == 0 {
			o.MaxAge = 60
		}
		store := sessions.NewFilesystemStore(t.TempDir(), []byte("key"))
		store.Options = &o
		return store
	}
	deleting := sessions.NewCookieStore([]byte("key"))
	deleting.Options.MaxAge = -1

	for name, c := range map[string]struct {
		binding Binding
		advice  string // "" if there is no fault
	}{
		"Session":                {Session(store, "page"), ""},
		"Cookie":                 {Cookie(http.Cookie{Name: "page"}), ""},
		"Cookie, __Host-":        {Cookie(http.Cookie{Name: "__Host-page", Secure: true}), ""},
		"SessionFunc":            {SessionFunc(func(*http.Request) string { return "" }), ""},
		"Unbound":                {Unbound(), ""},
		"custom":                 {sessionCustomBinding{}, ""},
		"nil":                    {nil, "set it to Session"},
		"nil store":              {Session(nil, "page"), "make it before"},
		"nil *CookieStore":       {Session(noStore, "page"), "make it before"},
		"store that deletes":     {Session(forgetful, "page"), "give it one above 0"},
		"no session name":        {Session(store, ""), "use letters"},
		"bad session name":       {Session(store, "my page"), "use letters"},
		"nil func":               {SessionFunc(nil), "pass one"},
		"no cookie name":         {Cookie(http.Cookie{}), "invalid Cookie.Name"},
		"bad cookie name":        {Cookie(http.Cookie{Name: "my page"}), "invalid Cookie.Name"},
		"bad path":               {Cookie(http.Cookie{Name: "page", Path: "/;"}), "in Cookie.Path"},
		"negative MaxAge":        {Cookie(http.Cookie{Name: "page", MaxAge: -1}), "use 0"},
		"Partitioned, no Secure": {Cookie(http.Cookie{Name: "page", Partitioned: true}), "with Secure"},
		"__Host-, no Secure":     {Cookie(http.Cookie{Name: "__Host-page"}), "set Secure"},
		"__Host-, other path":    {Cookie(http.Cookie{Name: "__Host-page", Secure: true, Path: "/app"}), "the Path /"},
		"__Host-, domain":        {Cookie(http.Cookie{Name: "__host-page", Secure: true, Domain: "a.example"}), "no Domain"},
		"__Secure-, no Secure":   {Cookie(http.Cookie{Name: "__Secure-page"}), "set Secure"},
		"__Http-, no Secure":     {Cookie(http.Cookie{Name: "__Http-page"}), "set Secure"},
		"__Host-Http-, path":     {Cookie(http.Cookie{Name: "__Host-Http-page", Secure: true, Path: "/app"}), "the Path /"},
		"__host-, lower case":    {Cookie(http.Cookie{Name: "__host-page", Secure: true}), "write __Host-"},
		"__SECURE-":              {Cookie(http.Cookie{Name: "__SECURE-page", Secure: true}), "write __Secure-"},
		"__Secure-, Secure":      {Cookie(http.Cookie{Name: "__Secure-page", Secure: true, Path: "/app"}), ""},
		"__Http-, Secure":        {Cookie(http.Cookie{Name: "__Http-page", Secure: true, Domain: "a.example"}), ""},
		"__Host-Http-, Secure":   {Cookie(http.Cookie{Name: "__Host-Http-page", Secure: true}), ""},
		"relative path":          {Cookie(http.Cookie{Name: "page", Path: "app"}), "begin it with /"},
		"bad domain":             {Cookie(http.Cookie{Name: "page", Domain: "a..example"}), "Cookie.Domain"},
		"Strict":                 {Cookie(http.Cookie{Name: "page", SameSite: http.SameSiteStrictMode}), ""},
		"None":                   {Cookie(http.Cookie{Name: "page", SameSite: http.SameSiteNoneMode, Secure: true}), ""},
		"None, no Secure":        {Cookie(http.Cookie{Name: "page", SameSite: http.SameSiteNoneMode}), "set Secure"},
		"no such SameSite":       {Cookie(http.Cookie{Name: "page", SameSite: 9}), "a constant of net/http"},
		"Partitioned, Lax":       {Cookie(http.Cookie{Name: "page", Secure: true, Partitioned: true}), "SameSite=None"},
		"Partitioned, Strict":    {Cookie(http.Cookie{Name: "page", Secure: true, Partitioned: true, SameSite: http.SameSiteStrictMode}), "SameSite=None"},
		"Partitioned, None":      {Cookie(http.Cookie{Name: "page", Secure: true, Partitioned: true, SameSite: http.SameSiteNoneMode}), ""},
		"Value":                  {Cookie(http.Cookie{Name: "page", Value: "mine"}), "leave it out"},
		"Expires":                {Cookie(http.Cookie{Name: "page", Expires: time.Now()}), "leave it out"},

		"Session, __Host-, Secure":      {Session(with(sessions.Options{Secure: true}), "__Host-page"), ""},
		"Session, __Host-, CookieStore": {Session(store, "__Host-page"), ""},
		"Session, __Host-, no Secure":   {Session(with(sessions.Options{}), "__Host-page"), "set Secure"},
		"Session, __Host-, domain":      {Session(with(sessions.Options{Secure: true, Domain: "a.example"}), "__Host-page"), "no Domain"},
		"Session, __Host-, other path":  {Session(with(sessions.Options{Secure: true, Path: "/app"}), "__Host-page"), "the Path /"},
		"Session, __host-, lower case":  {Session(store, "__host-page"), "write __Host-"},
		"Session, __Secure-":            {Session(with(sessions.Options{}), "__Secure-page"), "set Secure"},
		"Session, None, no Secure":      {Session(with(sessions.Options{SameSite: http.SameSiteNoneMode}), "page"), "set Secure"},
		"Session, Partitioned, Lax":     {Session(with(sessions.Options{Secure: true, Partitioned: true}), "page"), "SameSite=None"},
		"Session, relative path":        {Session(with(sessions.Options{Path: "app"}), "page"), "begin it with /"},
		"Session, bad domain":           {Session(with(sessions.Options{Domain: "a..example"}), "page"), "Cookie.Domain"},
		"Session, negative MaxAge":      {Session(deleting, "page"), "use 0"},
	} {
		err := checkBinding(c.binding)
		switch {
		case c.advice == "" && err != nil:
			t.Errorf("%s: %v, want no fault", name, err)
		case c.advice != "" && (err == nil || !strings.HasPrefix(err.Error(), "pagestate: ") || !strings.Contains(err.Error(), c.advice)):
			t.Errorf("%s: %v, want a fault that says %q", name, err, c.advice)
		}
	}
}

// Only a Session, and what may be around one, needs the request prepared.
func TestSessionPrepare(t *testing.T) {
	for name, c := range map[string]struct {
		binding  Binding
		prepared bool
	}{
		"Session":     {Session(sessions.NewCookieStore(), "page"), true},
		"custom":      {sessionCustomBinding{Session(sessions.NewCookieStore(), "page")}, true},
		"Cookie":      {Cookie(http.Cookie{Name: "page"}), false},
		"SessionFunc": {SessionFunc(func(*http.Request) string { return "" }), false},
		"Unbound":     {Unbound(), false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		before := r.Context()
		if prepareSession(c.binding, r); (r.Context() != before) != c.prepared {
			t.Errorf("%s: prepared: %v, want %v", name, !c.prepared, c.prepared)
		}
	}
}
