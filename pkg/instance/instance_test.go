package instance

import (
	"strconv"
	"strings"
	"testing"
)

func TestValid(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "team-a": true, "0": true, strings.Repeat("a", MaxName): true,
		"": false, strings.Repeat("a", MaxName+1): false, "A": false, "a.b": false, "-a": false, "a-": false, "a\n": false, "é": false, "a,b=c": false,
	} {
		if got := Valid(name); got != want {
			t.Errorf("Valid(%q) = %v, want %v", name, got, want)
		}
	}
}

// An installation from before there were names goes on as it was.
func TestObjectsWithoutAName(t *testing.T) {
	var i Instance
	if i.State() != "sentry-state" || i.History() != "sentry-history" || i.Key() != "sentry-key" {
		t.Errorf("the objects are called %s, %s, %s", i.State(), i.History(), i.Key())
	}
}

// No instance has an object of another one, also where a name looks like a part of an object's.
func TestObjectsAreApart(t *testing.T) {
	owner := map[string]string{}
	for _, name := range []string{"", "a", "b", "1", "state", "history", "key", "state-1", "1-state", "a-state", "a-state-1", "credentials", "sentry"} {
		i := Instance{name}
		objects := []string{i.State(), i.History(), i.Key()}
		for n := range 16 {
			objects = append(objects, i.State()+"-"+strconv.Itoa(n))
		}
		for _, object := range objects {
			if other, ok := owner[object]; ok {
				t.Errorf("%q and %q both have %s", other, name, object)
			}
			if owner[object] = name; len(object) > 63 || object == "sentry-credentials" {
				t.Errorf("%q has %s", name, object)
			}
		}
	}
}
