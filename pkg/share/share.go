// Package share divides the units over the replicas of one Sentry. Who has what is a function of who is alive, and is stored
// nowhere: replicas that see the same members agree, and while they do not, two may look at a unit, which doubles nothing,
// since the name of a run follows from its trigger. The members are found by package lease.
package share

import (
	"hash/fnv"
	"slices"
)

// buckets is into how many parts the units fall. It is the same in all replicas. So many that the largest share is hardly
// larger than the others, and few enough to be ranked in less than a millisecond.
const buckets = 256

// Share is what each of some members has. The zero Share has no members.
type Share struct {
	members []string
	owners  [buckets]int // index in members
}

// Of divides the units over the members, which are names in any order. It is rendezvous hashing with a bound: each bucket
// goes to the member that ranks highest for it and has no more than its part, the buckets divided by the members, rounded up. So no
// member has much more than its part, and one that comes or goes moves little more than its part.
func Of(members []string) Share {
	s := Share{members: slices.Compact(slices.Sorted(slices.Values(members)))}
	if len(s.members) == 0 {
		return s
	}
	most := (buckets + len(s.members) - 1) / len(s.members)
	has := make([]int, len(s.members))
	for bucket := range s.owners {
		best, rank := -1, uint64(0)
		for i, name := range s.members {
			if has[i] >= most {
				continue
			}
			if r := hash(name, bucket); best < 0 || r > rank {
				best, rank = i, r
			}
		}
		has[best]++
		s.owners[bucket] = best
	}
	return s
}

// Owner returns who looks at a unit: at a repository with all its branches, or, with a group, at all its members together. It is ""
// where there is no member.
func (s Share) Owner(group, repository string) string {
	if len(s.members) == 0 {
		return ""
	}
	h := fnv.New64a()
	if group != "" {
		_, _ = h.Write([]byte("group " + group))
	} else {
		_, _ = h.Write([]byte(repository))
	}
	return s.members[s.owners[spread(h.Sum64())%buckets]]
}

// Members returns the members, sorted.
func (s Share) Members() []string { return s.members }

func hash(name string, bucket int) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	_, _ = h.Write([]byte{0, byte(bucket), byte(bucket >> 8)})
	return spread(h.Sum64())
}

// spread has all bits follow from all others: FNV alone ranks names that differ in one character nearly alike. It is the
// finalizer of MurmurHash3 (https://github.com/aappleby/smhasher, public domain).
func spread(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
