package inspect

import (
	_ "embed"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/pagestate/pagestate"
)

//go:embed panel.js
var panel []byte

const (
	maxBody   = 4 << 20 // bytes
	maxTokens = 100     // in one request; panel.js sends fewer
)

// Handler is for development. It serves a script that shows the tokens of a page in a
// panel on it, and opens them for that script. Mount it inside of
// [pagestate.Middleware.Handler], for every method, and add one line to the page:
//
//	mux.Handle("/inspect", inspect.Handler(mw, func(*http.Request) bool { return *development }))
//
//	<script type="module" src="/inspect"></script>
//
// The script is what a GET is answered with. A POST has the tokens in form fields named
// token, in its body, and is answered in JSON with what is in each. They open for the
// session and user of the request alone, so for nobody who could not use them. A state
// may well hold what its visitor is not to know: that is what allow is for, which is
// asked for each request and reports whether it may see this. A nil allow panics.
//
// Where Options.Sources has a FormSource of the name token, mount it outside instead,
// so that what it is sent does not act.
//
// Those whom allow refuses are answered 404, and so are all requests to a Host that is
// not localhost or a loopback address: a page of another site may have its own name
// point to this machine. A POST from another site is answered 403. No answer is stored
// in a cache.
func Handler(m *pagestate.Middleware, allow func(*http.Request) bool) http.Handler {
	if m == nil || allow == nil {
		panic("pagestate: inspect.Handler needs a Middleware, and a function that says who may see what is in states")
	}
	return &handler{m, allow, http.NewCrossOriginProtection()}
}

type handler struct {
	m     *pagestate.Middleware
	allow func(*http.Request) bool
	sites *http.CrossOriginProtection
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if !isLoopback(r.Host) || !h.allow(r) {
		http.NotFound(w, r)
		return
	}
	if err := h.sites.Check(r); err != nil {
		http.Error(w, "this is for pages of the same origin alone", http.StatusForbidden)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		w.Write(panel)
	case http.MethodPost:
		h.open(w, r)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "GET has the script, POST opens tokens", http.StatusMethodNotAllowed)
	}
}

// isLoopback reports whether the Host of a request can only be this machine.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// answer is what the panel gets for a token: what is in it, or why it was refused.
type answer struct {
	Token *Token `json:"token,omitempty"`
	Error string `json:"error,omitempty"` // a code of pagestate.Status
}

func (h *handler) open(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		status := http.StatusBadRequest
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "the form with the tokens cannot be read", status)
		return
	}
	tokens := r.PostForm["token"]
	if len(tokens) > maxTokens {
		http.Error(w, "too many tokens in one request", http.StatusRequestEntityTooLarge)
		return
	}
	owner, err := h.m.Owner(r)
	if err != nil {
		pagestate.WriteError(w, r, err)
		return
	}
	answers := make([]answer, len(tokens))
	for i, token := range tokens {
		t, err := Open(r.Context(), h.m, owner, token)
		if err != nil {
			_, code := pagestate.Status(err)
			answers[i].Error = code
			continue
		}
		answers[i].Token = t
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answers) // an error means that the client has left
}
