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

// Refuse notes that others are there, and why they cannot be used. It keeps nobody waiting while it reads them.
func (t *Text) Refuse(texts config.Files, err error) {
	hash, wrong := texts.Hash(), err.Error()
	t.mu.Lock()
	known := t.wrong == wrong && t.refused == hash
	t.mu.Unlock()
	if known {
		return
	}
	why := wrong
	errs, inLines := errors.AsType[config.Errors](err)
	if inLines {
		why = fmt.Sprintf("%d of its lines are wrong", len(errs))
		if len(errs) == 1 {
			why = "one of its lines is wrong"
		}
	}
	var refused *listing.Listing
	if len(texts) > 0 {
		refused = listing.Refused(texts, errs)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused, t.wrong, t.text.Refused, t.text.Why = hash, wrong, refused, why
}

// Text returns it.
func (t *Text) Text() facts.Text {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text
}
