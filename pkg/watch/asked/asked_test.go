package asked

import (
	"fmt"
	"testing"
)

// Requests that come while a cycle is at work become one; a sender that goes wild gets a look at all.
func TestRequests(t *testing.T) {
	var q Requests
	ask := func(reason string, names ...string) { q.Add(Request{Repositories: names, Reason: reason}) }
	ask("push", "b")
	ask("page", "a", "b")
	if r := q.Take(); r.Reason != "push" || fmt.Sprint(r.Repositories) != "[a b]" {
		t.Errorf("took %+v, want a and b for the first reason", r)
	}
	ask("push", "a")
	ask("timer")
	ask("page", "b")
	if r := q.Take(); r.Reason != "timer" || !r.All || fmt.Sprint(r.Repositories) != "[a b]" {
		t.Errorf("took %+v, want all because of the timer, and beside them a and b, which may be another replica's", r)
	}
	for i := range 2 * maxAsked {
		ask("storm", fmt.Sprint(i))
	}
	if n := len(q.names); n > maxAsked {
		t.Errorf("%d names are kept, want at most %d", n, maxAsked)
	}
	if r := q.Take(); !r.All {
		t.Errorf("took %d names, want all", len(r.Repositories))
	}
}
