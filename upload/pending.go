package upload

import (
	"fmt"
	"sync"

	"github.com/pagestate/pagestate"
)

// smallest is what a file counts at least: a visitor who sends a million of one byte
// fills a disk too.
const smallest = 4 << 10

// pending counts bytes, so that visitors cannot fill the disk. It is safe for
// concurrent use.
type pending struct {
	most int64

	mu      sync.Mutex
	saved   int64 // of files that are there
	saving  int64 // of those being written
	counted int64 // saved since the last count began
}

// charge counts n more bytes of a file that is being written.
func (p *pending) charge(n int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.saved+p.saving+n > p.most {
		return fmt.Errorf("%w: the files that are pending take all of MaxPending (%d bytes); see Files.Sweep", pagestate.ErrUnavailable, p.most)
	}
	p.saving += n
	return nil
}

// settle ends the writing of a file of so many bytes.
func (p *pending) settle(bytes int64, saved bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.saving -= bytes
	if saved {
		p.saved += bytes
		p.counted += bytes
	}
}

// beginCount is called before the store is looked through.
func (p *pending) beginCount() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counted = 0
}

// endCount is given what was found. What was saved meanwhile may have been found or
// not, and counts in any case: the next count knows.
func (p *pending) endCount(found int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.saved = found + p.counted
}
