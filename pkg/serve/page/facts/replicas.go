package facts

import (
	"slices"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/share"
)

// Replica is one of the processes that share the work of one Sentry.
type Replica struct {
	Name         string    `json:"name"`
	Since        time.Time `json:"since"` // when it began, by its own clock
	Seen         time.Time `json:"seen"`  // when it was seen last, by the clock of the replica that tells
	Alive        bool      `json:"alive"`
	Leads        bool      `json:"leads"` // it also tells how runs end
	This         bool      `json:"this"`  // it is the one that tells
	Repositories int       `json:"repositories"`
	Units        int       `json:"units"` // that are known, of its repositories
}

// shares are how much each of some replicas has. It is worked out when the replicas are others.
type shares struct {
	mu     sync.Mutex
	of     []string
	counts map[string][2]int // repositories, units
}

// Replicas returns the replicas with their shares: those first that are alive, the oldest of them before the others. There are none where one
// process does all of it.
func (f *Facts) Replicas() []Replica {
	if f.Peers == nil {
		return nil
	}
	all := f.Peers()
	var alive []string
	for _, r := range all {
		if r.Alive {
			alive = append(alive, r.Name)
		}
	}
	slices.Sort(alive)
	f.shares.mu.Lock()
	defer f.shares.mu.Unlock()
	if f.shares.counts == nil || !slices.Equal(f.shares.of, alive) {
		f.shares.of, f.shares.counts = alive, f.count(share.Of(alive))
	}
	for i := range all {
		if all[i].Alive {
			n := f.shares.counts[all[i].Name]
			all[i].Repositories, all[i].Units = n[0], n[1]
		}
	}
	return all
}

// count returns how many repositories and units each has.
func (f *Facts) count(s share.Share) map[string][2]int {
	counts := map[string][2]int{}
	owners := make([]string, len(f.Config.Repositories))
	for i := range f.Config.Repositories {
		r := &f.Config.Repositories[i]
		owners[i] = s.Owner(r.Group, r.Name)
		n := counts[owners[i]]
		n[0]++
		counts[owners[i]] = n
	}
	for i := range f.Status.Units {
		u := &f.Status.Units[i]
		if len(u.Heads) == 0 {
			continue
		}
		if at, ok := f.repos[u.Heads[0].Repository]; ok {
			n := counts[owners[at]]
			n[1]++
			counts[owners[at]] = n
		}
	}
	return counts
}
