package codec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// This file checks tables that were written elsewhere: they must be what newTable
// makes of some type, also where a field is skipped and nothing is compared.

// check refuses a table that newTable never makes.
func (t *table) check() error {
	s := signatures{structs: uint64(len(t.structs))}
	if err := s.check(t.root); err != nil {
		return err
	}
	for i, fields := range t.structs {
		if s.met == uint64(i) {
			return malformed("a struct type that nothing refers to")
		}
		var names []string
		for field := range slices.Chunk(fields, 2) {
			names = append(names, field[0])
			if err := s.check(field[1]); err != nil {
				return err
			}
		}
		if !distinct(names) {
			return malformed("a field twice, or one without a name")
		}
	}
	return nil
}

// distinct reports whether each name stands once and none is empty. It sorts them.
func distinct(names []string) bool {
	slices.Sort(names)
	before := ""
	for _, name := range names {
		if name == before {
			return false
		}
		before = name
	}
	return true
}

// signatures checks the signatures of one table, in their order.
type signatures struct {
	structs uint64 // in the table
	met     uint64 // how many of them the signatures have referred to
	// missing is for each level around the next type how many types it still
	// needs. A signature may be nested as deep as it is long, so this is no
	// recursion.
	missing []byte
}

// errSignature is outdated, because a newer release may know more kinds of types.
var errSignature = fmt.Errorf("%w: a signature that this release does not know", ErrOutdated)

func (s *signatures) check(sig string) error {
	s.missing = append(s.missing[:0], 1)
	for len(s.missing) > 0 {
		parts, rest, err := s.next(sig)
		if err != nil {
			return err
		}
		sig = rest
		s.missing[len(s.missing)-1]--
		s.missing = append(s.missing, parts)
		for len(s.missing) > 0 && s.missing[len(s.missing)-1] == 0 {
			s.missing = s.missing[:len(s.missing)-1]
		}
	}
	if sig != "" {
		return errSignature
	}
	return nil
}

// next reads what a type begins with, and returns how many types must follow.
func (s *signatures) next(sig string) (parts byte, rest string, err error) {
	if sig == "" {
		return 0, "", errSignature
	}
	var n uint64
	ok := true
	kind, rest := sig[0], sig[1:]
	switch kind {
	case '*', '[', '@':
		parts = 1
	case 'm':
		parts = 2
	case '(':
		parts = 1
		_, rest, ok = cutNumber(rest, ")")
	case '&':
		parts = 1
		rest, ok = cutName(rest)
	case '<':
		rest, ok = cutName(rest)
	case 'Y':
		_, rest, ok = cutNumber(rest, ";")
	case '{':
		n, rest, ok = cutNumber(rest, "}")
		if ok && (n > s.met || n >= s.structs) {
			return 0, "", malformed("a struct type that is not there, or not in its place")
		}
		s.met = max(s.met, n+1)
	case '^':
		n, rest, ok = cutNumber(rest, ";")
		ok = ok && 0 < n && n < uint64(len(s.missing))
	case 'v':
		n, rest, ok = cutNumber(rest, ";")
		if ok && n > 0 && !strings.HasPrefix(rest, "v") {
			return s.next(rest)
		}
		ok = false
	case 'T':
		ok = rest != "" && strings.Contains("hacjsue", rest[:1])
		rest = rest[min(1, len(rest)):]
	default:
		ok = strings.IndexByte("bichwlICHWLfdFDsytzrgapxn?", kind) >= 0
	}
	if !ok {
		return 0, "", errSignature
	}
	return parts, rest, nil
}

// cutNumber reads a number and what ends it.
func cutNumber(s, end string) (n uint64, rest string, ok bool) {
	digits, rest, ok := strings.Cut(s, end)
	if !ok {
		return 0, "", false
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	return n, rest, err == nil && strconv.FormatUint(n, 10) == digits
}

// cutName reads over a name with its length in front. The name may hold any
// characters.
func cutName(s string) (rest string, ok bool) {
	n, rest, ok := cutNumber(s, ":")
	if !ok || n == 0 || n > uint64(len(rest)) {
		return "", false
	}
	return rest[n:], true
}
