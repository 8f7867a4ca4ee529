package upload

import (
	"errors"
	"testing"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
)

// What is saved while files are counted may be missed by the count, and is not
// forgotten. What is being written goes on counting.
func TestPendingWhileFilesAreCounted(t *testing.T) {
	p := pending{most: 100}
	testkit.Want(t, "charge", errors.Join(p.charge(10), p.charge(20), p.charge(30)), nil)
	p.settle(10, true)
	p.beginCount()
	p.settle(20, true)
	p.endCount(10)
	testkit.Want(t, "saved", p.saved, 30)
	testkit.Want(t, "saving", p.saving, 30)
	testkit.Want(t, "no more than the rest", errors.Is(p.charge(41), pagestate.ErrUnavailable), true)
	testkit.Want(t, "the rest", p.charge(40), nil)
	p.beginCount()
	p.endCount(30)
	testkit.Want(t, "once more", p.saved, 30)
	p.settle(70, false)
	testkit.Want(t, "given back", p.charge(70), nil)
}
