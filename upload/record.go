package upload

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/pagestate/pagestate/internal/owner"
)

// record is what is saved beside a file. It is written last and removed first, so a
// file that has one is whole.
type record struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Size  int64  `json:"size"`
	Owner []byte `json:"owner"` // as ownerMark has it

	used time.Time // when it was last written
}

// maxRecord is more than any record has.
const maxRecord = 8 << 10

// ownerMark stands for the owner of one file. It tells whoever reads the store
// neither the session nor which files are of one owner.
func ownerMark(who owner.Name, id [16]byte) []byte {
	mac := hmac.New(sha256.New, who[:])
	mac.Write(id[:])
	return mac.Sum(nil)
}

func (r *record) belongsTo(who owner.Name, id [16]byte) bool {
	return hmac.Equal(r.Owner, ownerMark(who, id))
}

// readRecord returns the record of a file, and fs.ErrNotExist if there is none.
func (f *Files) readRecord(ctx context.Context, id [16]byte) (record, error) {
	content, item, err := f.store.Open(ctx, partsOf(id).record)
	if err != nil {
		return record{}, err
	}
	defer content.Close()
	text, err := io.ReadAll(io.LimitReader(content, maxRecord))
	if err != nil {
		return record{}, err
	}
	r := record{used: item.Modified}
	if err := json.Unmarshal(text, &r); err != nil {
		return record{}, fmt.Errorf("the record of a file is damaged: %w", fs.ErrNotExist)
	}
	return r, nil
}

func (f *Files) writeRecord(ctx context.Context, id [16]byte, r record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return f.store.Write(ctx, partsOf(id).record, bytes.NewReader(text))
}

// lock returns the mutex under which the record of a file is changed or removed.
func (f *Files) lock(id [16]byte) *sync.Mutex { return &f.records[int(id[0])%len(f.records)] }

// touchEvery is the part of MaxAge after which a file that is used is made young: not
// each time, since that is a write.
const touchEvery = 24

// touch makes a file young if it is not. It fails in silence: a store that cannot be
// written to must not keep pages from being used, and the next use tries again.
func (f *Files) touch(ctx context.Context, id [16]byte, used time.Time) {
	if time.Since(used) < f.opt.MaxAge/touchEvery {
		return
	}
	mu := f.lock(id)
	mu.Lock()
	defer mu.Unlock()
	if r, err := f.readRecord(ctx, id); err == nil { // it may have changed, or be gone, meanwhile
		_ = f.writeRecord(ctx, id, r)
	}
}

func formatID(id [16]byte) string { return hex.EncodeToString(id[:]) }

// parseID accepts what formatID returns.
func parseID(text string) (id [16]byte, ok bool) {
	if len(text) != hex.EncodedLen(len(id)) {
		return id, false
	}
	if _, err := hex.Decode(id[:], []byte(text)); err != nil || formatID(id) != text {
		return [16]byte{}, false
	}
	return id, true
}
