package hook

import (
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// watched are the repositories of a configuration, to be found by what a payload says.
type watched struct {
	key  key
	by   map[address][]place
	host map[string]bool // those that have a repository
}

// place is an entry of the configuration.
type place struct {
	name string
	host config.HostType
}

func watchedOf(cfg *config.Config) *watched {
	w := &watched{key: key(cfg.Webhooks.Secret.Reveal()), by: map[address][]place{}, host: map[string]bool{}}
	for _, r := range cfg.Repositories {
		if a, ok := addressOf(r.Monitor.URL); ok {
			w.by[a] = append(w.by[a], place{r.Name, r.Monitor.Type})
			w.host[a.host] = true
		}
	}
	return w
}

// find returns the names of the entries that watch the repository. A server that is called otherwise in its payloads than
// in the configuration, such as one that is polled within the cluster, is known by the paths of its repositories.
func (w *watched) find(t config.HostType, s source) []string {
	var names []string
	add := func(places []place) {
		for _, p := range places {
			if (p.host == t || p.host == config.Git) && !slices.Contains(names, p.name) {
				names = append(names, p.name)
			}
		}
	}
	known := false
	for _, a := range s.addresses() {
		known = known || w.host[a.host]
		add(w.by[a])
	}
	if name := s.name(); !known && name != "" {
		for a, places := range w.by {
			if a.path == name || strings.HasSuffix(a.path, "/"+name) {
				add(places)
			}
		}
	}
	slices.Sort(names)
	return names
}
