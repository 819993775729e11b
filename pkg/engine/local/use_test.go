package local

import (
	"slices"
	"testing"
)

// What Use is given is what later steps get, and what was hidden once stays so.
func TestUse(t *testing.T) {
	e := New(Options{Env: []string{"TOOL=1", "OLD=hush"}, Hidden: []string{"OLD"}})
	e.Use([]string{"TOOL=2", "OLD=hush", "NEW=hush"}, []string{"NEW"})
	if got := e.inherited(); !slices.Equal(got, []string{"TOOL=2"}) {
		t.Errorf("steps inherit %q, want TOOL=2 alone", got)
	}
	if value, _ := e.lookup("NEW"); value != "hush" {
		t.Errorf("a secretKeyRef to NEW gives %q, want what Use was given", value)
	}
}
