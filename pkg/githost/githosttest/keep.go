package githosttest

import (
	"context"
	"sync"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Keep returns a host that is asked as a Reader asks it: with the validator of the last answer to the same question,
// which nobody else sees.
func Keep(h githost.Host) githost.Host {
	k := &keeper{Host: h, validators: make(map[string]repo.Validator)}
	if p, ok := h.(githost.Prefilter); ok {
		return &hinting{k, p}
	}
	return k
}

type keeper struct {
	githost.Host
	mu         sync.Mutex
	validators map[string]repo.Validator
}

type hinting struct {
	*keeper
	prefilter githost.Prefilter
}

func questionOf(w githost.Wanted) string { return w.URL + w.Patterns.Key() }

func (k *keeper) again(want []githost.Wanted) []githost.Wanted {
	k.mu.Lock()
	defer k.mu.Unlock()
	asked := make([]githost.Wanted, len(want))
	for i, w := range want {
		w.Validator = k.validators[questionOf(w)]
		asked[i] = w
	}
	return asked
}

// Heads implements githost.Host.
func (k *keeper) Heads(ctx context.Context, want []githost.Wanted) []repo.Observation {
	answers := k.Host.Heads(ctx, k.again(want))
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range answers {
		if answers[i].Err == nil || answers[i].Validator != nil {
			k.validators[questionOf(want[i])] = answers[i].Validator
		}
		answers[i].Validator = nil
	}
	return answers
}

// Changed implements githost.Prefilter.
func (h *hinting) Changed(ctx context.Context, want []githost.Wanted) ([]bool, error) {
	return h.prefilter.Changed(ctx, h.again(want))
}
