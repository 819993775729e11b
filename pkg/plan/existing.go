package plan

import (
	"strconv"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Existing is a run that an engine has.
type Existing struct {
	Cluster string // whose engine has it; "" for the one that Sentry runs in
	Name    string
	Unit    string  // label of the unit that it says it belongs to
	Trigger Trigger // why it says it exists; without Refs where it does not say so
	// Signature is what it says proves that a Sentry made it; see Run.Signature.
	Signature string
	Created   time.Time // zero where the engine does not know
	Active    bool      // it has not finished
	Pending   bool      // it is held back, and does nothing until somebody lets it go
}

// ActiveOf returns the runs that have not finished, by their unit's label, in the order of
// runs: those of people too, such as reruns, for they deploy as well. Whoever may create runs could keep a
// unit from ever running by one that is held back, so such a run counts only where it is ours.
func ActiveOf(runs []Existing, ours func(Existing) bool) map[string][]Existing {
	active := make(map[string][]Existing)
	for _, r := range runs {
		if r.Busy(ours) {
			active[r.Unit] = append(active[r.Unit], r)
		}
	}
	return active
}

// Busy reports whether the run keeps its unit busy, as ActiveOf has it.
func (r Existing) Busy(ours func(Existing) bool) bool { return r.Active && (!r.Pending || ours(r)) }

// Names returns the names of runs, in their order.
func Names(runs []Existing) []string {
	names := make([]string, len(runs))
	for i, r := range runs {
		names[i] = r.Name
	}
	return names
}

// At tells an engine which run is meant.
func (r Existing) At() string { return naming.At(r.Cluster, r.Name) }

// Existing returns the run as an engine has it that just created it.
func (r Run) Existing() Existing {
	return Existing{Cluster: r.Group.Cluster, Name: r.Name, Unit: r.Unit.Label, Trigger: r.Trigger, Signature: r.Signature(), Active: true}
}

// Signature proves that a Sentry with the key made the run. It is "" where there is no key.
func (r Run) Signature() string {
	return r.key.get().Sign(signedParts(r.epoch, r.Name, r.Unit.Label, r.Trigger)...)
}

// Sign returns the signature of what the parts say of the run, which are about the thing. It is "" where there is no key.
func (r Run) Sign(thing string, parts ...string) string {
	return r.key.get().Sign(append([]string{thing, r.epoch, r.Name}, parts...)...)
}

// signedParts returns what is signed of a run: its name, its unit and its trigger, but for the time at which the
// change was seen, which another attempt at the same run has otherwise.
func signedParts(epoch, name, label string, t Trigger) []string {
	parts := []string{"run", epoch, name, label, t.Manual}
	for _, c := range t.Refs {
		sha := string(c.New)
		if c.Of != "" {
			sha += " of " + c.Of
		}
		parts = append(parts, c.Repository, c.Branch, strconv.Itoa(c.N), string(c.Old), sha)
	}
	return parts
}

// Ours reports whether a Sentry on this state made the run: it is signed, and all that it says of itself fits
// together and into the state. A run from before there was a key is known by its name.
func (r Existing) Ours(k naming.Key, epoch string) bool {
	if !r.sound() {
		return false
	}
	k = k.In(r.Cluster)
	older := r.Created.Before(k.Since) && r.Signature == "" && !naming.Keyed(epoch)
	if k.Secret == "" || older {
		return strings.HasSuffix(r.Name, "-"+naming.Key{}.In(r.Cluster).RunHash(epoch, r.Unit, r.Trigger.Manual, r.number()))
	}
	return k.Signed(r.Signature, signedParts(epoch, r.Name, r.Unit, r.Trigger)...)
}

// sound reports whether the state can hold what the run says triggered it, and whether a unit that is one ref was
// triggered by that ref. Members of groups come and go, so that a group's refs are not held to the
// configuration of today.
func (r Existing) sound() bool {
	for _, c := range r.Trigger.Refs {
		_, err := repo.ParseSHA(string(c.New))
		if c.N != r.number() || len(c.Of) > maxOf || c.N < 0 || c.N > maxNumber || c.Repository == "" || err != nil || repo.CheckBranch(c.Branch) != nil {
			return false
		}
	}
	// A date beyond these cannot be written as JSON in every time zone.
	if year := r.Trigger.Seen.UTC().Year(); year < 1 || year > 9998 || len(r.Trigger.Refs) == 0 {
		return false
	}
	return !naming.IsRefLabel(r.Unit) || len(r.Trigger.Refs) == 1 && naming.RefLabel(r.Trigger.Refs[0].Ref) == r.Unit
}

const (
	// maxNumber bounds what an annotation may raise N to.
	maxNumber = state.MaxNumber
	// maxOf bounds what an annotation may say of whose run it is, in bytes: a config.Repository.ID.
	maxOf = 12
)

func (r Existing) number() int {
	if len(r.Trigger.Refs) == 0 {
		return 0
	}
	return r.Trigger.Refs[0].N
}
