package discover

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// files is a configuration that asks for owners by other files.
func files(name string, owners ...string) *config.Config {
	cfg := asksOf("", owners...)
	cfg.Files = name
	return cfg
}

// chosen waits and says by which files is chosen.
func (a *asking) chosen(when, files string) {
	a.Helper()
	synctest.Wait()
	if got := a.Found().For; got != files {
		a.Errorf("%s: chosen is by the files %q, want %q", when, got, files)
	}
}

// Files of replicas differ while they change. Of two that ask one after the other the one with the older files does not choose by them again.
func TestFilesOfReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stored{}
		a, b := newAsking(t, s), newAsking(t, s)
		for _, one := range []*asking{a, b} {
			one.Shared = true
			one.has(teamA, "1 team/a")
			one.Apply(files("old", teamA), ask)
		}
		a.run()
		a.chosen("at the start", "old")
		a.Apply(files("new", teamA), ask)
		a.chosen("who asks has new ones", "new")
		a.end()
		b.has(teamA, "1 team/a", "2 team/b")
		b.run()
		time.Sleep(2 * time.Minute)
		b.chosen("the next one has the old ones", "new")
		b.expect("and lists are taken meanwhile", "team/a team/b")
		b.Apply(files("new", teamA), ask)
		b.chosen("they reach it", "new")
		b.Apply(files("newest", teamA), ask)
		b.chosen("it has others then", "newest")
		b.end()
		c := newAsking(t, s)
		c.Shared = true
		c.has(teamA, "1 team/a", "2 team/b")
		c.Apply(files("old", teamA), ask)
		c.run()
		time.Sleep(patience - settled)
		c.chosen("one with the old ones waits", "newest")
		time.Sleep(2 * settled)
		c.chosen("it has them for long", "old")
		c.end()
		d := newAsking(t, s)
		d.Apply(files("another", teamA), ask)
		d.run()
		d.chosen("who is alone", "another")
		s.counts()
		time.Sleep(ask)
		if loads, saves := s.counts(); loads+saves > 0 {
			t.Errorf("it was read %d times, written %d times", loads, saves)
		}
	})
}

// The number rises above one by which the state goes, where the list of that is lost, and not where it is in the store.
func TestBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stored{}
		first := newAsking(t, s)
		first.has(teamA, "1 team/a")
		first.Apply(files("f", teamA), ask)
		first.run()
		synctest.Wait()
		backup, before := s.data, first.Found().Number
		if before < time.Now().Unix() {
			t.Errorf("the number is %d", before)
		}
		second := newAsking(t, s)
		second.has(teamA, "1 team/a", "2 team/b")
		second.Apply(files("f", teamA), ask)
		first.has(teamA, "1 team/a", "2 team/b")
		time.Sleep(ask + settled)
		number := first.Found().Number
		if number <= before {
			t.Errorf("after another list the number is %d, and was %d", number, before)
		}
		second.Behind(number)
		if !second.Late() {
			t.Error("it does not know that it is behind")
		}
		second.Follow(t.Context())
		first.end()
		second.run()
		synctest.Wait()
		if got := second.Found().Number; got != number || second.Late() {
			t.Errorf("the number is %d, and %d is in the store", got, number)
		}
		second.end()

		s.put(backup) // by somebody who means it well
		third := newAsking(t, s)
		third.Apply(files("f", teamA), ask) // whose host answers no more
		third.run()
		synctest.Wait()
		third.Behind(number)
		third.expect("put back", "team/a")
		if got := third.Found().Number; got <= number || third.Late() {
			t.Errorf("the number is %d, and that of the state is %d", got, number)
		}
		if got := newAsking(t, s).Found().Number; got != third.Found().Number {
			t.Errorf("the number that is stored is %d", got)
		}
	})
}

// Where `discover` was taken out of the file, that is chosen as well: nothing. The store of who never had it is not asked.
func TestNothingIsAskedAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stored{}
		a := newAsking(t, s)
		a.has(teamA, "1 team/a")
		a.Apply(files("with", teamA), ask)
		a.run()
		a.expect("at the start", "team/a")
		number, before := a.Found().Number, s.data
		a.Apply(files("without"), ask)
		a.expect("it is taken out", "")
		a.chosen("it is taken out", "without")
		a.end()

		s.put(before)
		b := newAsking(t, s)
		b.Begin(nil) // as such a file has nothing read
		b.Apply(files("without"), ask)
		s.counts()
		b.run()
		time.Sleep(time.Hour)
		if loads, saves := s.counts(); loads+saves > 0 {
			t.Errorf("the store is read %d times and written %d times", loads, saves)
		}
		b.Behind(number)
		b.chosen("after a start without", "without")
		if got := b.Found(); got.Number <= number || len(got.Lists) > 0 {
			t.Errorf("the number is %d, with %d lists", got.Number, len(got.Lists))
		}
	})
}
