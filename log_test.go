package pagestate_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// What a visitor can cause again and again is logged once a minute, with a count.
// The line at level info for each refusal stays.
func TestLogOnceAMinute(t *testing.T) {
	now := time.Now()
	a := newWriterApp(t, pagestate.Options{Clock: func() time.Time { return now }})
	fails := errors.New("the database is away")
	a.mux.Handle("/warns", writerHandle(func(w http.ResponseWriter, r *http.Request, s *writerState) {
		s.Count++
		w.WriteHeader(http.StatusSeeOther)
	}))
	a.mux.Handle("/fails", pagestate.Handle(func(http.ResponseWriter, *http.Request, *writerState) error { return fails }))
	a.mux.Handle("/refuses", pagestate.Handle(func(http.ResponseWriter, *http.Request, *writerState) error { return pagestate.ErrForbidden }))
	token := a.seal(&writerState{})
	for _, test := range []struct {
		path, line string
		again      int // how often it is logged when it happens 10 times in a minute
	}{
		{"/warns", "level=WARN", 1},
		{"/fails", "level=ERROR", 1},
		{"/refuses", "level=INFO", 10},
	} {
		a.log.Reset()
		for range 10 {
			a.call(test.path, token)
		}
		testkit.Want(t, test.path+", lines", a.logged(test.line), test.again)
		testkit.Want(t, test.path+", counts", a.logged("count="), 0)
		now = now.Add(time.Minute)
		a.log.Reset()
		a.call(test.path, token)
		testkit.Want(t, test.path+", lines a minute later", a.logged(test.line), 1)
		if test.again == 1 {
			testkit.Want(t, test.path+", which count", a.logged(test.line, "count=10"), 1)
		}
	}
}
