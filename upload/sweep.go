package upload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// Sweep removes the files that were not used for Options.MaxAge, and what a process
// that died has left. What was kept stays. It also counts what is pending: call it in
// every process, every hour or so, and when the process starts.
//
// It goes on where a file cannot be removed, and returns the first error.
func (f *Files) Sweep(ctx context.Context) error {
	f.sweeping.Lock()
	defer f.sweeping.Unlock()
	s := sweep{Files: f, ctx: ctx, now: time.Now()}
	err := f.look(ctx, s.all)
	if err == nil {
		err = s.err
	}
	if err != nil {
		return fmt.Errorf("pagestate: sweeping files: %w", err)
	}
	return nil
}

// count only counts what is pending.
func (f *Files) count(ctx context.Context) error {
	return f.look(ctx, func(_ [16]byte, all []Item) int64 { return chargeOf(all) })
}

// look goes through the pending files, and counts the bytes that visit returns.
func (f *Files) look(ctx context.Context, visit func(id [16]byte, all []Item) (bytes int64)) error {
	f.pending.beginCount()
	var found int64
	var last [16]byte
	var all []Item // of last
	for item, err := range f.store.List(ctx, pendingPrefix) {
		if err != nil {
			return err
		}
		id, ok := idOfKey(item.Key)
		if !ok {
			continue
		}
		if id != last && len(all) > 0 {
			found += visit(last, all)
			all = all[:0]
		}
		last, all = id, append(all, item)
	}
	if len(all) > 0 {
		found += visit(last, all)
	}
	f.pending.endCount(found)
	return nil
}

// chargeOf returns what the parts of one file count as.
func chargeOf(all []Item) (bytes int64) {
	for _, item := range all {
		if strings.HasSuffix(item.Key, contentSuffix) {
			bytes += max(item.Size, smallest)
		}
	}
	return bytes
}

// sweep is one run of Sweep.
type sweep struct {
	*Files
	ctx context.Context
	now time.Time
	err error // the first
}

// leftAlone is for how long nothing is taken for what a process has left: it may be
// writing.
const leftAlone = time.Hour

// fate is what becomes of a file.
type fate uint8

const (
	inUse    fate = iota
	expired       // its record was old, and is removed
	unlisted      // it has no record: it is being written, or was left half-way
)

// all looks at what there is of one file, and returns what stays of it.
func (s *sweep) all(id [16]byte, all []Item) (bytes int64) {
	mu := s.lock(id)
	mu.Lock()
	defer mu.Unlock()
	fate := s.fate(id, all)
	left := all[:0]
	for _, item := range all {
		if s.stays(item, fate) {
			left = append(left, item)
		} else {
			s.note(s.store.Remove(s.ctx, item.Key))
		}
	}
	return chargeOf(left)
}

func (s *sweep) stays(item Item, fate fate) bool {
	whole := strings.HasSuffix(item.Key, contentSuffix) || strings.HasSuffix(item.Key, recordSuffix)
	if whole && fate != unlisted {
		return fate == inUse
	}
	return s.now.Sub(item.Modified) < leftAlone
}

// fate removes the record of a file that is not in use: first, so that nothing refers
// to what is removed after it. A record that was not listed, or was old then, is read.
func (s *sweep) fate(id [16]byte, all []Item) fate {
	for _, item := range all {
		if strings.HasSuffix(item.Key, recordSuffix) && !s.isOld(item.Modified) {
			return inUse
		}
	}
	r, err := s.readRecord(s.ctx, id)
	if errors.Is(err, fs.ErrNotExist) {
		return unlisted
	}
	if err == nil && s.isOld(r.used) {
		if err = s.store.Remove(s.ctx, partsOf(id).record); err == nil {
			return expired
		}
	}
	s.note(err)
	return inUse
}

func (s *sweep) isOld(used time.Time) bool {
	age, most := s.now.Sub(used), s.opt.MaxAge
	return age > most && age-most > most/touchEvery // their sum may be too long for a Duration
}

func (s *sweep) note(err error) {
	if s.err == nil {
		s.err = err
	}
}
