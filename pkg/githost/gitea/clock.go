package gitea

import "time"

const (
	// overlap is how far the times of two changes may be apart and still be taken for the same: the list shows
	// whole seconds and follows the ref by up to two, several servers behind one address differ by a few, and a
	// change is written a moment after its time was taken.
	overlap = 10 * time.Second
	// step is from how much on a clock that fell behind ours was set back. A smaller step leaves the other half
	// of the overlap to what that is for.
	step = overlap / 2
)

// clock follows the server's clock by the lists that it makes.
type clock struct {
	date   time.Time // of the last list, which may be a proxy's
	came   time.Time // when it had come, by our clock
	newest time.Time // the last change that was listed and was not in the future, by Gitea's own clock
	seen   time.Time // when it was listed first, by our clock
}

// hear learns from a list. It returns a time by Gitea's clock that was over when the list was made, and whether
// the clock was set back since the list before.
//
// What time it is says the list itself, as a proxy may answer with a Date of its own: the last change is over, and
// since it was listed as much time went by as by our clock. How time goes by says the Date. It falls behind ours
// when the clock is set back, and also when a cache answers with an old list.
func (c *clock) hear(l list) (over time.Time, back bool) {
	back = !c.date.IsZero() && l.date.Sub(c.date) < l.came.Sub(c.came)-step
	if back {
		*c = clock{}
	}
	start := l.came.Add(-l.delay)
	c.date, c.came = l.date, l.came
	for _, r := range l.repositories {
		if r.Mirror || r.Updated.After(l.date) {
			continue // a commit's time, or that of a clock that was ahead and is right again
		}
		if r.Updated.After(c.newest) {
			c.newest, c.seen = r.Updated, l.came
		}
		break
	}
	over = l.date.Add(-l.delay)
	if listed := c.newest.Add(max(0, start.Sub(c.seen))); !c.newest.IsZero() && listed.Before(over) {
		over = listed
	}
	return over, back
}
