package pages

import (
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/share/lease"
)

// Replicas returns how the replicas stand that one of that name sees.
func Replicas(seen func() []lease.Member, this string) func() []facts.Replica {
	return func() []facts.Replica {
		members := seen()
		all := make([]facts.Replica, len(members))
		for i, m := range members {
			all[i] = facts.Replica{Name: m.Name, Since: m.Since.UTC(), Seen: m.Seen.UTC(), Alive: m.Alive, Leads: i == 0 && m.Alive, This: m.Name == this}
		}
		return all
	}
}
