package upload

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"
)

// Dir returns a store in a directory, which is made with mode 0700 if it is not
// there. The file system must have hard links: what was kept takes no more room while
// it is pending too. What is kept as avatars/7.jpg is the file kept/avatars/7.jpg
// there.
func Dir(dir string) (Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("pagestate: upload.Dir: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("pagestate: upload.Dir: %w", err)
	}
	return &directory{root}, nil
}

type directory struct{ root *os.Root }

func (d *directory) Write(_ context.Context, key string, content io.Reader) error {
	if err := d.root.MkdirAll(path.Dir(key), 0o700); err != nil {
		return withoutPath(err)
	}
	half := key + "~" + rand.Text()
	err := d.writeHalf(half, content)
	if err == nil {
		err = d.root.Rename(half, key)
	}
	if err != nil {
		return errors.Join(withoutPath(err), d.Remove(context.Background(), half))
	}
	return nil
}

// writeHalf writes a file that is complete when it returns nil.
func (d *directory) writeHalf(name string, content io.Reader) error {
	w, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, content)
	if err == nil {
		err = w.Sync() // a power failure might keep the name and lose the content
	}
	if closing := w.Close(); err == nil {
		err = closing
	}
	return err
}

func (d *directory) Open(_ context.Context, key string) (io.ReadCloser, Item, error) {
	file, err := d.root.Open(key)
	if err != nil {
		return nil, Item{}, withoutPath(err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, Item{}, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		file.Close()
		return nil, Item{}, fs.ErrNotExist
	}
	return file, item(key, info), nil
}

func (d *directory) Copy(_ context.Context, from, to string) error {
	if err := d.root.MkdirAll(path.Dir(to), 0o700); err != nil {
		return withoutPath(err)
	}
	return withoutPath(d.root.Link(from, to))
}

func (d *directory) Remove(_ context.Context, key string) error {
	if err := d.root.Remove(key); !errors.Is(err, fs.ErrNotExist) {
		return withoutPath(err)
	}
	return nil
}

func (d *directory) List(ctx context.Context, prefix string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		err := fs.WalkDir(d.root.FS(), strings.TrimSuffix(prefix, "/"), func(key string, entry fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			if err == nil && !entry.Type().IsRegular() {
				return nil
			}
			var info fs.FileInfo
			if err == nil {
				info, err = entry.Info()
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil // it was removed meanwhile, or nothing has been written yet
			}
			if err != nil {
				return err
			}
			if !yield(item(key, info), nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(Item{}, withoutPath(err))
		}
	}
}

func item(key string, info fs.FileInfo) Item {
	return Item{Key: key, Size: info.Size(), Modified: info.ModTime()}
}

// withoutPath returns err without the paths in it, since keys are not for a log.
func withoutPath(err error) error {
	var at *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &at):
		return fmt.Errorf("%s: %w", at.Op, at.Err)
	case errors.As(err, &link):
		return fmt.Errorf("%s: %w", link.Op, link.Err)
	}
	return err
}
