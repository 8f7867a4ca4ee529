package bench_test

// This file holds what pagestate is measured against: the same value in a session,
// gorilla's in an encrypted cookie, and scs's in the memory of the server, which is
// the fastest store that it has. Each saves it with encoding/gob, as it does unless
// told otherwise, or with encoding/json.
//
// Neither has JSON for values of a type of one's own. So the serializer and the codec
// below know which type they hold, and parse once, into that.

import (
	"crypto/sha256"
	"encoding/gob"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
)

// keeper keeps a T in the session of a visitor.
type keeper[T any] struct {
	name string
	wrap func(http.Handler) http.Handler

	// open returns what the session holds, nil if that is nothing, and what saves a
	// T there.
	open func(http.ResponseWriter, *http.Request) (*T, func(*T) error, error)
}

// keepers are the ways to keep a T in a session.
func keepers[T any]() []keeper[T] {
	gob.Register(new(T))
	return []keeper[T]{
		gorillaKeeper[T]("gorilla-gob", securecookie.GobEncoder{}),
		gorillaKeeper[T]("gorilla-json", jsonSerializer[T]{}),
		scsKeeper[T]("scs-gob", scs.GobCodec{}),
		scsKeeper[T]("scs-json", jsonCodec[T]{}),
	}
}

func gorillaKeeper[T any](name string, serializer securecookie.Serializer) keeper[T] {
	store := newCookieStore(serializer)
	return keeper[T]{
		name: name,
		wrap: func(h http.Handler) http.Handler { return h },
		open: func(w http.ResponseWriter, r *http.Request) (*T, func(*T) error, error) {
			session, err := store.Get(r, "state")
			if err != nil {
				return nil, nil, err
			}
			state, _ := session.Values["state"].(*T)
			return state, func(state *T) error {
				session.Values["state"] = state
				return session.Save(r, w)
			}, nil
		},
	}
}

// newCookieStore encrypts, as a token is encrypted, and takes values of any
// size, which no browser would.
func newCookieStore(serializer securecookie.Serializer) *sessions.CookieStore {
	sum := sha256.Sum256(secret)
	store := sessions.NewCookieStore(sum[:], sum[:16])
	for _, c := range store.Codecs {
		c.(*securecookie.SecureCookie).MaxLength(0).SetSerializer(serializer)
	}
	return store
}

func scsKeeper[T any](name string, codec scs.Codec) keeper[T] {
	manager := scs.New()
	manager.Store = memstore.NewWithCleanupInterval(0)
	manager.Codec = codec
	return keeper[T]{
		name: name,
		wrap: manager.LoadAndSave,
		open: func(_ http.ResponseWriter, r *http.Request) (*T, func(*T) error, error) {
			state, _ := manager.Get(r.Context(), "state").(*T)
			return state, func(state *T) error {
				manager.Put(r.Context(), "state", state)
				return nil
			}, nil
		},
	}
}

// jsonSerializer is gorilla's serializer for sessions that hold a T.
type jsonSerializer[T any] struct{}

type gorillaValues[T any] struct{ State *T }

func (jsonSerializer[T]) Serialize(src any) ([]byte, error) {
	state, _ := src.(map[any]any)["state"].(*T)
	return json.Marshal(gorillaValues[T]{state})
}

func (jsonSerializer[T]) Deserialize(src []byte, dst any) error {
	var values gorillaValues[T]
	err := json.Unmarshal(src, &values)
	*dst.(*map[any]any) = map[any]any{"state": values.State}
	return err
}

// jsonStrings is gorilla's serializer for sessions that hold strings, as the one does
// that a Session binds to.
type jsonStrings struct{}

func (jsonStrings) Serialize(src any) ([]byte, error) {
	values := make(map[string]string)
	for name, value := range src.(map[any]any) {
		values[name.(string)] = value.(string)
	}
	return json.Marshal(values)
}

func (jsonStrings) Deserialize(src []byte, dst any) error {
	var values map[string]string
	err := json.Unmarshal(src, &values)
	all := make(map[any]any, len(values))
	for name, value := range values {
		all[name] = value
	}
	*dst.(*map[any]any) = all
	return err
}

// jsonCodec is the codec of scs for sessions that hold a T.
type jsonCodec[T any] struct{}

type scsValues[T any] struct {
	Deadline time.Time
	State    *T
}

func (jsonCodec[T]) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	state, _ := values["state"].(*T)
	return json.Marshal(scsValues[T]{deadline, state})
}

func (jsonCodec[T]) Decode(b []byte) (time.Time, map[string]any, error) {
	var values scsValues[T]
	err := json.Unmarshal(b, &values)
	return values.Deadline, map[string]any{"state": values.State}, err
}

// exchange keeps the state in a session, and changes it there with each request.
func (k keeper[T]) exchange(tb testing.TB, state *T, change func(*T)) *httpExchange {
	tb.Helper()
	handler := k.wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, save, err := k.open(w, r)
		if err == nil {
			if s == nil {
				s = state
			} else {
				change(s)
			}
			err = save(s)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w)
	}))
	r := newRequest()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r.WithContext(tb.Context()))
	x := &httpExchange{handler: handler, request: r, kept: keepCookies(r, w)}
	if x.kept == 0 || len(x.send().Result().Cookies()) == 0 {
		tb.Error("the answer has no cookie")
	}
	return x
}

// TestSessionsKeepStates keeps the benchmarks from measuring sessions that lose what
// they hold.
func TestSessionsKeepStates(t *testing.T) {
	for _, k := range keepers[medium]() {
		seen := 0
		x := k.exchange(t, newMedium(), func(m *medium) {
			if len(m.Items) != 20 || m.Counts["open"] != 13 || !m.Items[7].Due.Equal(moment(7)) {
				t.Errorf("%s: the session held %+v", k.name, m)
			}
			seen++
		})
		x.send()
		if seen != 2 {
			t.Errorf("%s: %d requests found the state, and 2 should have", k.name, seen)
		}
	}
}
