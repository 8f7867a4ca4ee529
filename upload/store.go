package upload

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Store keeps files under keys. [Dir] and [Memory] are stores, and package
// adapter/blobstate has one for S3, Google Cloud Storage and Azure.
//
// A key is a path with slashes, valid for [fs.ValidPath]. Pending files are below
// pending/, under names that this package makes, and what was kept is below kept/.
// Nothing else may write below pending/.
//
// A store is safe for concurrent use. Its methods return when ctx ends, if they can.
// Errors should not name keys, since they are logged.
type Store interface {
	// Write puts what content holds under key, in place of what was there. Nobody sees
	// a part of it, not even if the process dies. After an error of content, which it
	// returns alone or wrapped, nothing of it is left.
	Write(ctx context.Context, key string, content io.Reader) error

	// Open returns what is under key, and fs.ErrNotExist if nothing is.
	Open(ctx context.Context, key string) (io.ReadCloser, Item, error)

	// Copy puts what is under from under to as well. It returns fs.ErrExist if
	// something is there.
	Copy(ctx context.Context, from, to string) error

	// Remove removes what is under key, if anything is.
	Remove(ctx context.Context, key string) error

	// List yields what is under the keys that begin with prefix, which ends with a
	// slash, in the order of the keys. It may yield what a process that died left of a
	// Write, under the key and a tilde. An error is the last that it yields.
	List(ctx context.Context, prefix string) iter.Seq2[Item, error]
}

// An Item is what a [Store] knows of one key.
type Item struct {
	Key      string
	Size     int64
	Modified time.Time // when it was last written
}

// Memory returns a store in this process, for tests. It holds all files in memory.
func Memory() Store { return &memory{items: make(map[string]memoryItem)} }

type memory struct {
	mu    sync.Mutex
	items map[string]memoryItem
}

type memoryItem struct {
	Item
	content []byte
}

func (m *memory) Write(_ context.Context, key string, content io.Reader) error {
	all, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	m.put(key, all)
	return nil
}

func (m *memory) put(key string, content []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.items[key] = memoryItem{Item{key, int64(len(content)), time.Now()}, content}
}

func (m *memory) Open(_ context.Context, key string) (io.ReadCloser, Item, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, ok := m.items[key]
	if !ok {
		return nil, Item{}, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(found.content)), found.Item, nil
}

func (m *memory) Copy(_ context.Context, from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, ok := m.items[from]
	if !ok {
		return fs.ErrNotExist
	}
	if _, ok := m.items[to]; ok {
		return fs.ErrExist
	}
	found.Key = to
	m.items[to] = found
	return nil
}

func (m *memory) Remove(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.items, key)
	return nil
}

func (m *memory) List(_ context.Context, prefix string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for _, key := range m.keys() {
			if !strings.HasPrefix(key, prefix) {
				continue
			}
			_, item, err := m.Open(context.Background(), key)
			if err == nil && !yield(item, nil) {
				return
			}
		}
	}
}

func (m *memory) keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.items))
}

// Where a store has what.
const (
	pendingPrefix = "pending/"
	keptPrefix    = "kept/"
)

// parts are what a store has of one file. They lie side by side.
type parts struct{ content, record string }

// partsOf returns the keys of a file. Its first byte is a folder, so that none holds
// all of them.
func partsOf(id [16]byte) parts {
	name := formatID(id)
	stem := pendingPrefix + name[:2] + "/" + name
	return parts{stem + contentSuffix, stem + recordSuffix}
}

const (
	contentSuffix = ".content"
	recordSuffix  = ".record"
)

// idOfKey returns the file that a pending key is a part of.
func idOfKey(key string) (id [16]byte, ok bool) {
	name, _, _ := strings.Cut(path.Base(key), ".")
	id, ok = parseID(name)
	return id, ok && strings.HasPrefix(key, pendingPrefix+name[:2]+"/"+name+".")
}
