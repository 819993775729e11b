package act

import (
	"context"
	"testing"
)

// One person takes two turns at most, and the others are for others.
func TestTurns(t *testing.T) {
	over, end := context.WithCancel(t.Context())
	end()
	all := newTurns(3)
	take := func(who string) func() {
		t.Helper()
		give, ok := all.take(t.Context(), who)
		if !ok {
			t.Fatalf("%s got no turn", who)
		}
		return give
	}
	first, second := take("eve"), take("eve")
	for range 100 { // where there is a turn, who has no time may get it or not
		if _, ok := all.take(over, "eve"); ok {
			t.Fatal("eve got a third")
		}
	}
	ada := take("ada")
	if _, ok := all.take(over, "bob"); ok {
		t.Error("there was a fourth")
	}
	first()
	take("bob")()
	second()
	ada()
	if len(all.own) != 0 || len(all.all) != 0 {
		t.Errorf("it remembers %v", all.own)
	}
}
