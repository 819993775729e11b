package configmap

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"hash/maphash"
	"maps"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/state/internal/object"
)

// place is where an entry stands in a state document: in the member of that name, under its own name. A member that has
// no entries, such as the epoch, is one as a whole. What they mean is package state's: so a member that a newer
// Sentry added is spread over ConfigMaps like those of today.
type place struct {
	member, name string
	whole        bool
}

// entries are a state document taken apart. Their texts share its memory.
type entries map[place][]byte

// takeApart returns the entries of a document, which must be valid JSON.
func takeApart(document []byte) (entries, error) {
	all := make(entries)
	put := func(p place, text []byte) error {
		if _, ok := all[p]; ok {
			return fmt.Errorf("%.80q is there twice", cmp.Or(p.name, p.member))
		}
		all[p] = text
		return nil
	}
	if len(document) == 0 || document[0] != '{' {
		return nil, errors.New("it is no JSON object")
	}
	for member, text := range object.Members(document) {
		if member == "version" {
			continue
		}
		var err error
		count := 0
		if text[0] == '{' {
			for name, entry := range object.Members(text) {
				count++
				err = cmp.Or(err, put(place{member, name, false}, entry))
			}
		}
		if count == 0 {
			err = put(place{member, "", true}, text)
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// document puts the entries together, sorted.
func (e entries) document() []byte {
	text := fmt.Appendf(nil, `{"version":%d`, state.Version)
	places := slices.SortedFunc(maps.Keys(e), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.member, b.member), cmp.Compare(a.name, b.name))
	})
	for i, p := range places {
		text = append(text, ',')
		if i == 0 || places[i-1].member != p.member {
			if text = append(append(text, quoted(p.member)...), ':'); !p.whole {
				text = append(text, '{')
			}
		}
		if !p.whole {
			text = append(append(text, quoted(p.name)...), ':')
		}
		text = append(text, e[p]...)
		if !p.whole && (i == len(places)-1 || places[i+1].member != p.member) {
			text = append(text, '}')
		}
	}
	return append(text, '}')
}

func quoted(name string) []byte {
	text, _ := json.Marshal(name) // a string has no error
	return text
}

// sum stands for an entry's text, which is not kept in memory a second time.
type sum uint64

var seed = maphash.MakeSeed()

func sumOf(text []byte) sum { return sum(maphash.Bytes(seed, text)) }

// sums returns what stands for the entries.
func (e entries) sums() map[place]sum {
	sums := make(map[place]sum, len(e))
	for p, text := range e {
		sums[p] = sumOf(text)
	}
	return sums
}

// add adds the entries of a part. What is there already stays, and what stands as a whole is the first ConfigMap's.
func (e entries) add(part entries) {
	for p, text := range part {
		if _, ok := e[p]; !ok && !p.whole {
			e[p] = text
		}
	}
}

// over returns what differs in e from the entries that base stands for, and which of those are not in e.
func (e entries) over(base map[place]sum) (differing entries, gone map[string][]string) {
	differing = make(entries)
	for p, text := range e {
		if s, ok := base[p]; !ok || s != sumOf(text) {
			differing[p] = text
		}
	}
	for p := range base {
		if _, ok := e[p]; !ok {
			if gone == nil {
				gone = make(map[string][]string)
			}
			gone[p.member] = append(gone[p.member], p.name)
		}
	}
	for _, names := range gone {
		slices.Sort(names)
	}
	return differing, gone
}

// spread divides the entries into n parts of at most room bytes. An entry lies in the part that a hash of its name
// chooses, or in the emptiest where that one is full: reading does not look for it in a certain place. An entry for
// which no part has room is in none; left says that one of them fits an empty part. What stands as a whole is in
// none either: it is the first ConfigMap's.
func (e entries) spread(n, room int) (parts []entries, left bool) {
	type sized struct {
		place
		size int
	}
	var all []sized
	room -= len(`{"version":3}`)
	members := make(map[string]bool)
	for p, text := range e {
		if p.whole {
			continue
		}
		if !members[p.member] {
			members[p.member] = true
			room -= len(quoted(p.member)) + len(`:{},`)
		}
		all = append(all, sized{p, len(quoted(p.name)) + len(`:,`) + len(text)})
	}
	slices.SortFunc(all, func(a, b sized) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.name, b.name), cmp.Compare(a.member, b.member))
	})
	parts = make([]entries, n)
	for i := range parts {
		parts[i] = make(entries)
	}
	used := make([]int, n)
	for _, x := range all {
		i := chosen(x.name, n)
		if used[i]+x.size > room {
			i = slices.Index(used, slices.Min(used))
		}
		if used[i]+x.size > room {
			left = left || x.size <= room
			continue
		}
		used[i] += x.size
		parts[i][x.place] = e[x.place]
	}
	return parts, left
}

func chosen(name string, n int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails: see hash.Hash
	return int(h.Sum32() % uint32(n))
}
