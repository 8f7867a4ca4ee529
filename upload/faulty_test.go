package upload_test

import (
	"context"
	"io"
	"iter"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/pagestate/pagestate/upload"
)

// brokenStore does not answer.
type brokenStore struct{ upload.Store }

func (brokenStore) Write(context.Context, string, io.Reader) error { return errBroken }
func (brokenStore) Open(context.Context, string) (io.ReadCloser, upload.Item, error) {
	return nil, upload.Item{}, errBroken
}
func (brokenStore) Copy(context.Context, string, string) error { return errBroken }
func (brokenStore) Remove(context.Context, string) error       { return errBroken }
func (brokenStore) List(context.Context, string) iter.Seq2[upload.Item, error] {
	return func(yield func(upload.Item, error) bool) { yield(upload.Item{}, errBroken) }
}

// switchedStore breaks and works again as a test says.
type switchedStore struct {
	upload.Store
	broken atomic.Bool
}

func (s *switchedStore) now() upload.Store {
	if s.broken.Load() {
		return brokenStore{}
	}
	return s.Store
}

func (s *switchedStore) Write(ctx context.Context, key string, content io.Reader) error {
	return s.now().Write(ctx, key, content)
}
func (s *switchedStore) Open(ctx context.Context, key string) (io.ReadCloser, upload.Item, error) {
	return s.now().Open(ctx, key)
}
func (s *switchedStore) Copy(ctx context.Context, from, to string) error {
	return s.now().Copy(ctx, from, to)
}
func (s *switchedStore) Remove(ctx context.Context, key string) error {
	return s.now().Remove(ctx, key)
}
func (s *switchedStore) List(ctx context.Context, prefix string) iter.Seq2[upload.Item, error] {
	return s.now().List(ctx, prefix)
}

// fullStore has no room for what has a key with that ending.
type fullStore struct {
	upload.Store
	suffix string
}

func (s fullStore) Write(ctx context.Context, key string, content io.Reader) error {
	if strings.HasSuffix(key, s.suffix) {
		return syscall.ENOSPC
	}
	return s.Store.Write(ctx, key, content)
}
