package tekton

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

const (
	historyKey     = "history.json"
	historyVersion = 1
	// Bounds of the history: the newest runs, in all and of one unit. 2,000 of usual size take some 500 KB.
	maxPast        = 2000
	maxPastUnit    = 200
	maxPastBytes   = 700 << 10 // a ConfigMap holds 1 MiB
	maxPastDetails = 10        // refs, and failed members, of one run
	historyTries   = 3
)

// Past is a finished run that was deleted.
type Past struct {
	Name    string    `json:"name"`
	Unit    string    `json:"unit"`
	Created time.Time `json:"created"`
	Seconds int       `json:"seconds"` // from its creation to its end
	Reason  string    `json:"reason"`  // Tekton's: Succeeded, Completed, Failed, Cancelled, PipelineRunTimeout, …
	Refs    []PastRef `json:"refs,omitempty"`
	Failed  []string  `json:"failed,omitempty"` // tasks whose deployment failed
	More    int       `json:"more,omitempty"`   // refs and failed tasks that are left out, of a large run
}

// PastRef is one ref that triggered a run.
type PastRef struct {
	repo.Ref
	SHA repo.SHA `json:"sha"`
}

// history is the content of the ConfigMap.
type history struct {
	Version int    `json:"version"`
	Runs    []Past `json:"runs"` // oldest first
}

// pastOf says what is to be remembered of a run that is about to be deleted.
func (e *Engine) pastOf(ctx context.Context, r listed) (Past, error) {
	p := Past{Name: r.Metadata.Name, Unit: r.unit(), Created: r.Metadata.CreationTimestamp.UTC(), Reason: r.end().Reason}
	ended, err := e.Ended(ctx, p.Name)
	if err != nil {
		return Past{}, err
	}
	if !ended.IsZero() {
		p.Seconds = max(0, int(ended.Sub(p.Created).Seconds()))
	}
	for _, c := range r.trigger().Refs {
		p.Refs = append(p.Refs, PastRef{c.Ref, c.New})
	}
	if r.failed() {
		if p.Failed, err = e.failedMembers(ctx, p.Name); err != nil {
			return Past{}, err
		}
	}
	if n := len(p.Refs) - maxPastDetails; n > 0 {
		p.Refs, p.More = p.Refs[:maxPastDetails], p.More+n
	}
	if n := len(p.Failed) - maxPastDetails; n > 0 {
		p.Failed, p.More = p.Failed[:maxPastDetails], p.More+n
	}
	return p, nil
}

// History returns what is known of the deleted runs of the unit, or of all units where unit is "", newest
// first.
func (e *Engine) History(ctx context.Context, unit string) ([]Past, error) {
	cm, err := e.cluster.GetConfigMap(ctx, e.cluster.Namespace, e.of.History())
	if err != nil || cm == nil {
		return nil, err
	}
	runs, err := decodeHistory([]byte(cm.Data[historyKey]))
	if err != nil {
		return nil, e.badHistory(err)
	}
	runs = slices.DeleteFunc(runs, func(p Past) bool { return unit != "" && p.Unit != unit })
	slices.Reverse(runs)
	return runs, nil
}

// remember adds runs to the history.
func (e *Engine) remember(ctx context.Context, past []Past) error {
	for range historyTries {
		cm, err := e.cluster.GetConfigMap(ctx, e.cluster.Namespace, e.of.History())
		if err != nil {
			return err
		}
		var old []Past
		if cm != nil {
			if old, err = decodeHistory([]byte(cm.Data[historyKey])); err != nil {
				return e.badHistory(err)
			}
		}
		text, err := encodeHistory(old, past)
		if err != nil {
			return err
		}
		_, err = e.cluster.PutConfigMap(ctx, e.cluster.Namespace, e.of.History(), cm, historyKey, text)
		if !errors.Is(err, kube.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("write ConfigMap %s/%s: %w, %d times in a row", e.cluster.Namespace, e.of.History(), kube.ErrConflict, historyTries)
}

func (e *Engine) badHistory(err error) error {
	return fmt.Errorf("ConfigMap %s/%s, key %s: %w; mend it, or delete the ConfigMap to begin a new history", e.cluster.Namespace, e.of.History(), historyKey, err)
}

func decodeHistory(data []byte) ([]Past, error) {
	var h history
	if len(data) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(data, &h); err != nil {
		return nil, err
	}
	if h.Version != historyVersion {
		return nil, fmt.Errorf("format version %d, want %d: is it of a newer Sentry?", h.Version, historyVersion)
	}
	return h.Runs, nil
}

// encodeHistory returns the history with what is new, and without what is too old. A run is in it once,
// however often its deletion was tried.
func encodeHistory(old, past []Past) ([]byte, error) {
	runs := slices.Clone(old)
	known := map[string]bool{}
	for _, p := range old {
		known[p.Name] = true
	}
	for _, p := range past {
		if !known[p.Name] {
			runs = append(runs, p)
		}
	}
	slices.SortStableFunc(runs, func(a, b Past) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.Name, b.Name))
	})
	size, units := 0, map[string]int{}
	var kept []Past
	for _, p := range runs {
		if units[p.Unit]++; units[p.Unit] > maxPastUnit {
			continue
		}
		text, err := json.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("encode the history: %w", err)
		}
		if size += len(text) + 1; len(kept) == maxPast || size > maxPastBytes-100 {
			break
		}
		kept = append(kept, p)
	}
	slices.Reverse(kept)
	return json.Marshal(history{historyVersion, kept})
}
