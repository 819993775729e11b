package pages

import (
	"errors"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// What was told of is there, the same as long as nothing else is told of.
func TestText(t *testing.T) {
	var text Text
	files := func(s string) config.Files { return config.Files{{Name: "sentry.yaml", Text: []byte(s)}} }
	used := files("a: b")
	text.Use(used, &config.Config{Hash: used.Hash()})
	first := text.Text()
	if first.Used == nil || first.Refused != nil || first.Why != "" {
		t.Errorf("what is used: %v", first)
	}
	text.Use(used, &config.Config{Hash: used.Hash()})
	if text.Text() != first {
		t.Error("the same text is another one")
	}
	wrong := config.Errors{{File: "sentry.yaml", Line: 1, Message: "no"}}
	text.Refuse(files("a"), wrong)
	refused := text.Text()
	if refused.Used != first.Used || refused.Refused == nil || refused.Why != "one of its lines is wrong" || len(refused.Refused.Notes) != 1 {
		t.Errorf("what is refused: %v", refused)
	}
	text.Refuse(files("a"), wrong)
	if text.Text() != refused {
		t.Error("the same refusal is another one")
	}
	text.Refuse(files("a "), append(wrong, wrong...))
	if now := text.Text(); now.Refused == refused.Refused || now.Why != "2 of its lines are wrong" {
		t.Errorf("another refusal: %v", now)
	}
	text.Refuse(nil, errors.New("no such file"))
	if now := text.Text(); now.Refused != nil || now.Why != "no such file" || now.Used != first.Used {
		t.Errorf("of no file: %v", now)
	}
	text.Use(used, &config.Config{Hash: used.Hash()})
	if text.Text() != first {
		t.Error("what is mended is another one")
	}
}

// asking is an error that looks at the page while it is told.
type asking struct{ text *Text }

func (a asking) Error() string { a.text.Text(); return "no" }

// Whoever looks at the page does not wait until a refusal is read.
func TestNobodyWaits(t *testing.T) {
	var text Text
	text.Refuse(nil, asking{&text})
	if why := text.Text().Why; why != "no" {
		t.Errorf("the refusal is %q", why)
	}
}
