package pagestate_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// warningHandler calls a function for each warning.
type warningHandler struct {
	slog.Handler
	warn func(context.Context)
}

func (warningHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h warningHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level == slog.LevelWarn {
		h.warn(ctx)
	}
	return nil
}

// What is sealed is settled, and warned of, before the headers are written. They
// will keep the response private, so a component attached then is in time.
func TestExchangeAttachBetweenSealingAndHeaders(t *testing.T) {
	type notice struct{ Text string }
	registry := pagestate.NewRegistry()
	pagestate.Register[writerState](registry, "state")
	pagestate.Register[notice](registry, "notice")
	pagestate.RegisterCodec(registry, "coded", pagestate.Codec[writerCoded]{
		Encode: func(writerCoded) ([]byte, error) { return nil, nil },
		Decode: func([]byte) (writerCoded, error) { return writerCoded{}, nil },
	})
	attached := 0
	mw, err := pagestate.New(registry, pagestate.Options{
		Secrets: [][]byte{testkit.NewSecret()},
		Session: pagestate.Unbound(),
		Logger: slog.New(warningHandler{slog.DiscardHandler, func(ctx context.Context) {
			attached++
			if err := pagestate.Attach(ctx, &notice{}); err != nil {
				t.Errorf("Attach: %v", err)
			}
		}}),
	})
	if err != nil {
		t.Fatal(err)
	}
	token, err := mw.Seal(pagestate.Owner{}, &writerState{})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Page-State", token)
	handler := pagestate.Handle(func(w http.ResponseWriter, r *http.Request, s *writerState) error {
		s.Count++
		http.Redirect(w, r, "/", http.StatusSeeOther) // which loses the change, and so is warned of
		return nil
	})
	mw.Handler(handler).ServeHTTP(httptest.NewRecorder(), r)
	if attached != 1 {
		t.Errorf("attached %d times, want once", attached)
	}
}
