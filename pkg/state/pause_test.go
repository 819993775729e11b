package state

import (
	"strings"
	"testing"
	"time"
)

// A pause is about a unit, or about all units of a repository, and of nobody else.
func TestPause(t *testing.T) {
	before := Snapshot{Epoch: "e"}
	s := before.Fork()
	pause := NewPause("me", strings.Repeat("because\n", 100), noon)
	if len(pause.Reason) > maxMessage+len("…") || strings.Contains(pause.Reason, "\n") {
		t.Errorf("the reason is %q, want one short line", pause.Reason)
	}
	for _, label := range []string{"web.*", "shop", "mail.main"} {
		if !s.SetPause(label, &pause) || s.SetPause(label, &pause) {
			t.Errorf("the pause of %s is news once", label)
		}
	}
	again := NewPause("you", "of something else", noon.Add(time.Hour))
	none := NewPause("you", "", noon)
	old := s
	s = s.Fork()
	if !s.SetPause("shop", &again) || s.SetPause("shop", &again) || s.SetPause("shop", &none) {
		t.Error("another reason is news once, and none is no news")
	}
	if p := s.Units["shop"].Paused; p.Reason != again.Reason || p.By != "you" || !p.Since.Equal(noon) || old.Units["shop"].Paused.By != "me" {
		t.Errorf("after another reason the pause is %+v, want it since noon, and the state before as it was", p)
	}
	data, err := Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = Decode(data); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		unit, repository string
		want             bool
	}{
		{"web.main", "web", true}, {"web.x", "web", true}, {"shop", "", true}, {"mail.main", "mail", true}, {"mail.dev", "mail", false},
		{"we.feature-x..01234567", "web", true}, // as the label of a long name is shortened
		{"web", "", false}, {"web..0123456789", "", false}, {"webs.main", "webs", false},
	} {
		if got := s.PausedAt(tt.unit, tt.repository) != nil; got != tt.want {
			t.Errorf("%s is paused: %v, want %v", tt.unit, got, tt.want)
		}
	}
	s = s.Fork()
	for _, label := range []string{"web.*", "shop", "mail.main"} {
		if !s.SetPause(label, nil) || s.SetPause(label, nil) {
			t.Errorf("the end of the pause of %s is news once", label)
		}
	}
	if !s.Equal(before) {
		t.Errorf("a pause that ended leaves %+v", s.Units)
	}
}
