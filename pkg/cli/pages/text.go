package pages

import (
	"errors"
	"fmt"
	"sync"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/listing"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
)

// Text has what people have written of the configuration for the page. It is a setup.Texts. Any goroutine may use it.
type Text struct {
	mu      sync.Mutex
	text    facts.Text
	used    string // the hash of what is used
	refused string // the hash of what is refused
	wrong   string // with it
}

// Use makes texts those that are used.
func (t *Text) Use(texts config.Files, cfg *config.Config) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.used != cfg.Hash {
		t.used, t.text.Used = cfg.Hash, listing.Of(texts, cfg.Warnings)
	}
	t.refused, t.wrong, t.text.Refused, t.text.Why = "", "", nil, ""
}

// Refuse notes that others are there, and why they cannot be used.
func (t *Text) Refuse(texts config.Files, err error) {
	hash := texts.Hash()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.wrong == err.Error() && t.refused == hash {
		return
	}
	t.refused, t.wrong = hash, err.Error()
	t.text.Refused, t.text.Why = nil, t.wrong
	wrong, inLines := errors.AsType[config.Errors](err)
	if inLines {
		t.text.Why = fmt.Sprintf("%d of its lines are wrong", len(wrong))
		if len(wrong) == 1 {
			t.text.Why = "one of its lines is wrong"
		}
	}
	if len(texts) > 0 {
		t.text.Refused = listing.Refused(texts, wrong)
	}
}

// Text returns it.
func (t *Text) Text() facts.Text {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text
}
