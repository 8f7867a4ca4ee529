// Package blobstate keeps the files of package upload in a bucket of S3, Google Cloud
// Storage, Azure, or whatever else gocloud.dev/blob has a driver for.
//
//	bucket, err := blob.OpenBucket(ctx, "s3://my-uploads?region=eu-central-1") // with import _ "gocloud.dev/blob/s3blob"
//	files, err := upload.New(blobstate.New(bucket), upload.Options{})
//
// Nothing but this package may write below pending/ in the bucket. Use
// [blob.PrefixedBucket] to put everything below a prefix of your own.
//
// Keep the bucket private: what is in it was sent by visitors. Every object has the
// type application/octet-stream, so that a browser that gets one shows no page.
//
// # What is held in memory
//
// A file that is written or kept goes through a buffer of 5 MiB, or what the driver
// makes of that. What is kept is read and written again rather than copied inside the
// bucket: only a write can be told not to replace what is there. A service that does not
// know conditional writes, such as an old one that imitates S3, may keep two files under
// one name, of which the later stays.
//
// # What a dead process leaves
//
// A service does not show what was not written to its end, but S3 charges for it: give
// the bucket a lifecycle rule that aborts incomplete multipart uploads after a day.
// Google Cloud Storage and Azure drop it after a week by themselves.
package blobstate

import (
	"context"
	"io"
	"io/fs"
	"iter"
	"path"
	"strings"

	"github.com/pagestate/pagestate/upload"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// New returns a store in bucket, which stays the caller's to close. It panics if bucket
// is nil.
func New(bucket *blob.Bucket) upload.Store {
	if bucket == nil {
		panic("pagestate: blobstate.New: a store needs a bucket")
	}
	return store{bucket}
}

type store struct{ bucket *blob.Bucket }

// bufferSize is the smallest that S3 has for the parts of an upload.
const bufferSize = 5 << 20

func (s store) Write(ctx context.Context, key string, content io.Reader) error {
	return s.write(ctx, key, content, blob.WriterOptions{})
}

func (s store) write(ctx context.Context, key string, content io.Reader, o blob.WriterOptions) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o.ContentType = "application/octet-stream"
	o.BufferSize, o.MaxConcurrency = bufferSize, 1
	w, err := s.bucket.NewWriter(ctx, key, &o)
	if err != nil {
		return explain(err, key)
	}
	if _, err := io.Copy(w, content); err != nil {
		cancel() // or Close would write what is there
		_ = w.Close()
		return explain(err, key)
	}
	return explain(w.Close(), key)
}

func (s store) Open(ctx context.Context, key string) (io.ReadCloser, upload.Item, error) {
	r, err := s.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return nil, upload.Item{}, explain(err, key)
	}
	return r, upload.Item{Key: key, Size: r.Size(), Modified: r.ModTime()}, nil
}

func (s store) Copy(ctx context.Context, from, to string) error {
	r, _, err := s.Open(ctx, from)
	if err != nil {
		return err
	}
	defer r.Close()
	return s.write(ctx, to, r, blob.WriterOptions{IfNotExist: true})
}

func (s store) Remove(ctx context.Context, key string) error {
	err := s.bucket.Delete(ctx, key)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil
	}
	return explain(err, key)
}

func (s store) List(ctx context.Context, prefix string) iter.Seq2[upload.Item, error] {
	return func(yield func(upload.Item, error) bool) {
		for all := s.bucket.List(&blob.ListOptions{Prefix: prefix}); ; {
			object, err := all.Next(ctx)
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(upload.Item{}, explain(err, prefix))
				return
			}
			if !yield(upload.Item{Key: object.Key, Size: object.Size, Modified: object.ModTime}, nil) {
				return
			}
		}
	}
}

// explain returns err as a store has it.
func explain(err error, key string) error {
	if err == nil {
		return nil
	}
	switch gcerrors.Code(err) {
	case gcerrors.NotFound:
		return fs.ErrNotExist
	case gcerrors.FailedPrecondition, gcerrors.AlreadyExists:
		return fs.ErrExist
	}
	return failure{err, path.Base(key)}
}

// failure is an error whose text does not name the key, which is not for a log.
type failure struct {
	error
	name string
}

func (f failure) Error() string { return strings.ReplaceAll(f.error.Error(), f.name, "…") }
func (f failure) Unwrap() error { return f.error }
