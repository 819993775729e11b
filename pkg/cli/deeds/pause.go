package deeds

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

// saveTries bounds how often the state is read again since `sentry watch` wrote it meanwhile.
const saveTries = 20

// ErrNothingYet says that there is no state to write to.
var ErrNothingYet = errors.New("nothing is remembered here yet")

// Change does to a fork of the state what was asked for of the names, of which none means everything, and returns what it did,
// a line each, which begins with the label of a unit.
type Change func(cfg *config.Config, s *state.Snapshot, names []string, by audit.By) (done []string, err error)

// Apply does a change to the state of a store, which others may write meanwhile. It returns the state as it is then, and what was done: nothing
// where all was so already.
func Apply(ctx context.Context, store watch.Store, cfg *config.Config, do Change, names []string, by audit.By) (state.Snapshot, []string, error) {
	for range saveTries {
		s, err := store.Load(ctx)
		if err != nil {
			return s, nil, err
		}
		if s.Epoch == "" {
			return s, nil, ErrNothingYet
		}
		s = s.Fork()
		done, err := do(cfg, &s, names, by)
		if err != nil || len(done) == 0 {
			return s, nil, err
		}
		if err = store.Save(ctx, s); !errors.Is(err, state.ErrConflict) {
			return s, done, err
		}
	}
	return state.Snapshot{}, nil, fmt.Errorf("%w, %d times in a row: try again", state.ErrConflict, saveTries)
}

// Tell writes to the log what Apply did, as an audit record each.
func Tell(log *slog.Logger, verb audit.Verb, done []string, by audit.By) {
	for _, line := range done {
		label, _, _ := strings.Cut(line, " ")
		log.Info(string(verb)+" the unit", append([]any{"unit", label}, by.Attrs(verb)...)...)
	}
}

// ErrOtherPause says that what is paused is not paused as somebody saw it.
var ErrOtherPause = errors.New("nothing was done: somebody paused or resumed it since you looked. Look again")

// IfPaused does a change to a unit if it is paused as somebody saw it still: as PausesOf had it then.
func IfPaused(as string, do Change) Change {
	return func(cfg *config.Config, s *state.Snapshot, labels []string, by audit.By) ([]string, error) {
		if PausesOf(*s, labels...) != as {
			return nil, ErrOtherPause
		}
		return do(cfg, s, labels, by)
	}
}

// PausesOf tells apart the pauses that ResumeUnit would end: since when, by whom and why; "" = there is none.
func PausesOf(s state.Snapshot, labels ...string) string {
	var all []any
	for _, l := range slices.Sorted(maps.Keys(s.Units)) {
		if p := s.Units[l].Paused; p != nil && ends(labels, l) {
			all = append(all, l, p.Since.UTC().Format(time.RFC3339Nano), p.By, p.Reason)
		}
	}
	if len(all) == 0 {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", all))
	return hex.EncodeToString(sum[:])
}

// PausedBeside returns the units that are paused by themselves, beside all of their repository by that label.
func PausedBeside(s state.Snapshot, all string) (units []string) {
	for _, l := range slices.Sorted(maps.Keys(s.Units)) {
		if s.Units[l].Paused != nil && isOf(l, all) {
			units = append(units, l)
		}
	}
	return units
}

// ends reports whether resuming the labels ends the pause of a unit.
func ends(labels []string, unit string) bool {
	return slices.ContainsFunc(labels, func(all string) bool { return unit == all || isOf(unit, all) })
}

// Pause pauses what is meant by the names, for a reason.
func Pause(reason string) Change {
	return func(cfg *config.Config, s *state.Snapshot, names []string, by audit.By) (done []string, err error) {
		meant, err := unitsOf(cfg, *s, names)
		return pause(s, meant, reason, by), err
	}
}

// PauseUnit pauses units by their labels, for a reason.
func PauseUnit(reason string) Change {
	return func(_ *config.Config, s *state.Snapshot, labels []string, by audit.By) ([]string, error) {
		units := make([]meant, len(labels))
		for i, l := range labels {
			units[i].label = l
		}
		return pause(s, units, reason, by), nil
	}
}

// ResumeUnit ends the pauses of units by their labels, and of all of a repository by state.AllOf.
func ResumeUnit(_ *config.Config, s *state.Snapshot, labels []string, _ audit.By) (done []string, err error) {
	for _, l := range slices.Sorted(maps.Keys(s.Units)) {
		if ends(labels, l) && s.SetPause(l, nil) {
			done = append(done, l+" resumed")
		}
	}
	return done, nil
}

func pause(s *state.Snapshot, all []meant, reason string, by audit.By) (done []string) {
	for _, u := range all {
		pause, was := state.NewPause(by.Person(), reason, time.Now()), s.Units[u.label].Paused
		switch {
		case !s.SetPause(u.label, &pause):
		case was != nil:
			done = append(done, u.label+" stays paused, for this reason in place of the one before")
		case u.unseen:
			done = append(done, u.label+" paused; no branch is known yet that is this unit")
		default:
			done = append(done, u.label+" paused")
		}
	}
	return done
}

// Resume ends the pauses that are meant by the names. What left the configuration, or stands in it as something else now, is found
// by the name that it had.
func Resume(cfg *config.Config, s *state.Snapshot, names []string, _ audit.By) (done []string, err error) {
	var paused []string
	for _, label := range slices.Sorted(maps.Keys(s.Units)) {
		if s.Units[label].Paused != nil {
			paused = append(paused, label)
		}
	}
	end := slices.Clone(paused)
	if len(names) > 0 {
		end = nil
	}
	for _, name := range names {
		// All of a repository is all of its branches, too.
		of := func(all string) []string {
			return slices.DeleteFunc(slices.Clone(paused), func(label string) bool { return label != all && !isOf(label, all) })
		}
		found := of(name)
		u, err := unitsOf(cfg, *s, []string{name})
		if err == nil {
			found = append(found, of(u[0].label)...)
		}
		if before, branch, at := strings.Cut(name, "@"); len(found) == 0 && at {
			found = of(naming.RefLabel(repo.Ref{Repository: before, Branch: branch}))
		} else if len(found) == 0 {
			found = append(of(state.AllOf(name)), of(naming.GroupLabel(name))...)
		}
		if len(found) == 0 && err != nil {
			if len(paused) > 0 {
				err = fmt.Errorf("%w; what is paused: %s", err, strings.Join(paused, ", "))
			}
			return nil, err
		}
		end = append(end, found...)
	}
	slices.Sort(end)
	for _, label := range slices.Compact(end) {
		s.SetPause(label, nil)
		done = append(done, label+" resumed")
	}
	return done, nil
}

// Held returns which of what was resumed waits still: branches whose repository is paused as a whole, by their labels.
func Held(s state.Snapshot, cfg *config.Config, done []string) map[string]string {
	held := map[string]string{}
	for _, line := range done {
		label := strings.TrimSuffix(line, " resumed")
		for _, r := range cfg.Repositories {
			if all := state.AllOf(r.Name); r.Group == "" && isOf(label, all) && s.Units[all].Paused != nil {
				held[label] = r.Name
			}
		}
	}
	return held
}

// isOf reports whether a label is that of a branch of the repository of which all is the label. Two repositories with long names
// that begin alike cannot be told apart by a label that is shortened: then the branches of both are meant.
func isOf(label, all string) bool {
	repository, whole := strings.CutSuffix(all, ".*")
	return whole && naming.IsRefLabel(label) && (strings.HasPrefix(label, repository+".") || strings.HasPrefix(label, naming.LabelStart(repository)))
}
