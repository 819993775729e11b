// Package instance tells apart the Sentrys that share one namespace on purpose. It is a leaf.
package instance

import "regexp"

// MaxName bounds a name, so that the names of all objects that carry it are DNS labels.
const MaxName = 30

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// Instance is one Sentry: what it remembers, its key and its runs are its own. The zero Instance has no name, and
// its objects are called as they were before there were names.
type Instance struct {
	Name string // "", or one that Valid takes
}

// Valid reports whether a Sentry may have the name: a DNS label of at most MaxName characters.
func Valid(name string) bool { return len(name) <= MaxName && dnsLabel.MatchString(name) }

// State is the name of the first ConfigMap of the state; the further ones add -1, -2, …
func (i Instance) State() string { return i.object("state") }

// History is the name of the ConfigMap that holds what is known of deleted runs.
func (i Instance) History() string { return i.object("history") }

// Found is the name of the ConfigMap that holds what was found of repositories that nobody wrote down.
func (i Instance) Found() string { return i.object("found") }

// Key is the name of the Secret that holds the key behind the names and signatures of runs.
func (i Instance) Key() string { return i.object("key") }

// Replica is the name of the Lease of one of its replicas.
func (i Instance) Replica(name string) string { return i.object("replica") + "-" + name }

// object has the kind last, since those of a state end with a number: so no name gives an object of another one.
func (i Instance) object(kind string) string {
	if i.Name == "" {
		return "sentry-" + kind
	}
	return "sentry-" + i.Name + "-" + kind
}
