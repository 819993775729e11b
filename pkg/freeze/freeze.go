// Package freeze knows the windows of time in which nothing is to be deployed, such as each weekend. It is pure and reads no clock.
package freeze

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // an image without time zones reads a file as the machine does on which it was written

	"github.com/robfig/cron/v3"
)

// Want is what a text has to look like.
const Want = "a window of time, such as Fri 16:00 - Mon 06:00 Europe/Berlin"

const (
	day     = 24 * time.Hour
	minutes = 24 * 60 // of a day
	// longest bounds a window, and those together that follow on each other: what never ends is a pause, which `sentry pause` keeps.
	longest = 366 * day
	// maxChain bounds the windows that are looked at to find the end of those that follow on each other.
	maxChain = 1000
)

// Window is a time in which nothing is to run. The zero Window is never.
type Window struct {
	text string
	zone *time.Location

	days     [7]bool // on which it begins, by time.Weekday; of one that comes each week
	from, to int     // minutes after midnight
	span     int     // days from its first to its last

	begin, end time.Time // of one that comes once

	starts cron.Schedule // of one by an expression of cron
	length time.Duration
}

const (
	dayName = `(?:mon|tue|wed|thu|fri|sat|sun)`
	clock   = `([0-9]{1,2}):([0-9]{2})`
	to      = ` *(?:-|–|to) *`
	date    = `([0-9]{4}-[0-9]{2}-[0-9]{2})`
)

var (
	weekly = regexp.MustCompile(`^(?i)(` + dayName + `) ` + clock + to + `(` + dayName + `) ` + clock + `$`)
	daily  = regexp.MustCompile(`^(?i)(?:(` + dayName + `(?:[-–]` + dayName + `)?(?: *, *` + dayName + `(?:[-–]` + dayName + `)?)*))?(?:(?:^| )` + clock + to + clock + `)?$`)
	once   = regexp.MustCompile(`^(?i)` + date + `(?: ` + clock + `)?` + to + date + `(?: ` + clock + `)?$`)
	byCron = regexp.MustCompile(`^([-0-9*,/A-Za-z]+(?: +[-0-9*,/A-Za-z]+){4}) +for +(\S+)$`)
	zoned  = regexp.MustCompile(`^(.*\S) +([A-Za-z_]+(?:/[-+A-Za-z0-9_]+)*)$`)
)

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// Parse reads a window. Its errors quote nothing of the text, which may hold what nobody is to see. It is one of these, each with the name of a time zone after it or in UTC:
//
//	Fri 16:00 - Mon 06:00             each week
//	22:00 - 06:00                     each day
//	Mon-Thu 09:00 - 17:00, Sat, Sun   on these days; whole days without times
//	2026-12-24 - 2027-01-02 06:00     once; a last day without a time is in it
//	0 16 24 12 * for 240h             from when an expression of cron says, for so long
func Parse(text string) (Window, error) {
	w := Window{text: strings.Join(strings.Fields(text), " "), zone: time.UTC}
	if len(text) > 200 {
		return Window{}, fmt.Errorf("is longer than 200 bytes; want %s", Want)
	}
	when := w.text
	err := w.parse(when)
	if err == nil || byCron.MatchString(when) {
		return w.checked(err)
	}
	if m := zoned.FindStringSubmatch(when); m != nil && !slices.Contains(weekdays, strings.ToLower(m[2])) {
		zone, err := zoneOf(m[2])
		if err != nil || m[2] == "Local" {
			return Window{}, errors.New("names no time zone; want one such as Europe/Berlin or UTC at its end")
		}
		when, w.zone = m[1], zone
	}
	return w.checked(w.parse(when))
}

var (
	zonesLock sync.Mutex
	zones     = map[string]*time.Location{} // by name, of those that there are: some six hundred
)

// zoneOf returns a time zone, the same one each time: one takes a file to read and kilobytes to keep.
func zoneOf(name string) (*time.Location, error) {
	zonesLock.Lock()
	defer zonesLock.Unlock()
	if zone := zones[name]; zone != nil {
		return zone, nil
	}
	zone, err := time.LoadLocation(name)
	if err == nil {
		zones[name] = zone
	}
	return zone, err
}

func (w *Window) parse(when string) error {
	if m := weekly.FindStringSubmatch(when); m != nil {
		first, last := weekday(m[1]), weekday(m[4])
		w.days[first] = true
		w.span = (last - first + 7) % 7
		if err := w.times(m[2:4], m[5:7]); err != nil {
			return err
		}
		if w.span == 0 && w.to <= w.from {
			w.span = 7
		}
		return nil
	}
	if m := byCron.FindStringSubmatch(when); m != nil {
		return w.cron(m[1], m[2])
	}
	if m := once.FindStringSubmatch(when); m != nil {
		return w.dates(m)
	}
	m := daily.FindStringSubmatch(when)
	if m == nil || when == "" {
		return fmt.Errorf("is no window of time; want %s", Want)
	}
	w.on(m[1])
	if m[2] == "" {
		w.from, w.to = 0, minutes
		return nil
	}
	if err := w.times(m[2:4], m[4:6]); err != nil {
		return err
	}
	if w.to <= w.from {
		w.span = 1
	}
	return nil
}

// on takes the days on which the window begins; none are all.
func (w *Window) on(days string) {
	if days == "" {
		days = "mon-sun"
	}
	for part := range strings.SplitSeq(strings.ReplaceAll(days, "–", "-"), ",") {
		first, last, several := strings.Cut(strings.TrimSpace(part), "-")
		from, until := weekday(first), weekday(first)
		if several {
			until = weekday(last)
		}
		for d := from; ; d = (d + 1) % 7 {
			w.days[d] = true
			if d == until {
				break
			}
		}
	}
}

func weekday(name string) int { return slices.Index(weekdays, strings.ToLower(name)) }

// times takes the hours and minutes at which the window begins and ends.
func (w *Window) times(from, to []string) (err error) {
	if w.from, err = minute(from); err != nil {
		return err
	}
	w.to, err = minute(to)
	return err
}

func minute(clock []string) (int, error) {
	h, _ := strconv.Atoi(clock[0]) // the expression has digits alone
	m, _ := strconv.Atoi(clock[1])
	if m > 59 || h > 24 || h == 24 && m > 0 {
		return 0, errors.New("has a time that no clock shows; want 00:00 to 24:00")
	}
	return h*60 + m, nil
}

// dates takes what stands in a window that comes once.
func (w *Window) dates(m []string) error {
	ends := [2]time.Time{}
	for i, at := range [][]string{m[1:4], m[4:7]} {
		d, err := time.ParseInLocation(time.DateOnly, at[0], w.zone)
		if err != nil {
			return errors.New("has a date that no calendar has; want one such as 2026-12-24")
		}
		of := i * minutes // without a time, the last day is in the window
		if at[1] != "" {
			if of, err = minute(at[1:]); err != nil {
				return err
			}
		}
		ends[i] = atMinute(d, of)
	}
	w.begin, w.end = ends[0], ends[1]
	if !w.begin.Before(w.end) {
		return errors.New("ends before it begins; want the earlier date first")
	}
	return nil
}

// atMinute returns so many minutes after the midnight of a day by its clocks, which may be an hour less or more where they change.
func atMinute(d time.Time, minute int) time.Time {
	return time.Date(d.Year(), d.Month(), d.Day(), 0, minute, 0, 0, d.Location())
}

// cron takes an expression of cron and how long the window is.
func (w *Window) cron(expression, length string) error {
	spec, err := cron.ParseStandard(expression)
	if err != nil {
		return errors.New(`has no expression of cron before "for"; want minute, hour, day of the month, month and day of the week, such as 0 16 * * fri`)
	}
	s, ok := spec.(*cron.SpecSchedule)
	if !ok {
		return fmt.Errorf("is no window of time; want %s", Want)
	}
	s.Location = w.zone
	w.starts = s
	if w.length, err = time.ParseDuration(length); err != nil || w.length < time.Minute || w.length > 31*day {
		return errors.New("has no length after \"for\"; want a duration of 1m to 744h, such as 62h or 90m")
	}
	return nil
}

// checked returns the window, unless it could not be read, never ends or never comes.
func (w Window) checked(err error) (Window, error) {
	if err != nil {
		return Window{}, err
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, w.zone)
	switch {
	case !w.begin.IsZero():
		at = w.begin
	case w.starts != nil:
		if at = w.starts.Next(at); at.IsZero() {
			return Window{}, errors.New("never comes; want a day that the calendar has")
		}
	}
	if h, in := (Windows{w}).At(at); in && h.Until.Sub(at) >= longest {
		return Window{}, errors.New("hardly ever ends; want one of less than a year, or 'sentry pause', which holds until 'sentry resume'")
	}
	return w, nil
}

// String returns the window as it was written.
func (w Window) String() string { return w.text }

// Equal reports whether the windows are the same.
func (w Window) Equal(o Window) bool { return w.text == o.text }

// Hold is a window that holds at a time.
type Hold struct {
	Window       Window
	Since, Until time.Time // Until is the end of it, or of others that follow on it
}

// at returns when the window began and ends that t is in.
func (w Window) at(t time.Time) (h Hold, in bool) {
	covers := func(begin, end time.Time) {
		if !t.Before(begin) && t.Before(end) && end.After(h.Until) {
			h, in = Hold{w, begin, end}, true
		}
	}
	switch {
	case w.zone == nil:
	case w.starts != nil:
		for s, n := w.starts.Next(t.Add(-w.length)), 0; !s.IsZero() && !s.After(t) && n < maxChain; s, n = w.starts.Next(s), n+1 {
			covers(s, s.Add(w.length))
		}
	case !w.begin.IsZero():
		covers(w.begin, w.end)
	default:
		now := t.In(w.zone)
		for back := range 9 { // a window of a week that began on the day before this one of the week before
			d := time.Date(now.Year(), now.Month(), now.Day()-back, 0, 0, 0, 0, w.zone)
			if first := now.AddDate(0, 0, -back).Weekday(); w.days[first] {
				covers(atMinute(d, w.from), time.Date(now.Year(), now.Month(), now.Day()-back+w.span, 0, w.to, 0, 0, w.zone))
			}
		}
	}
	return h, in
}

// Windows are several, in none of which anything is to run.
type Windows []Window

// And returns these windows and others.
func (ws Windows) And(others Windows) Windows {
	if len(ws) == 0 {
		return others
	}
	return slices.Concat(ws, others)
}

// At returns the window that t is in; of several the one that ends last. What goes on for a year and more is cut there.
func (ws Windows) At(t time.Time) (held Hold, frozen bool) {
	end := t
	for range maxChain {
		next := Hold{Until: end}
		for _, w := range ws {
			if h, in := w.at(end); in && h.Until.After(next.Until) {
				next = h
			}
		}
		if next.Until.Equal(end) || end.Sub(t) >= longest {
			return held, frozen
		}
		if !frozen {
			held, frozen = next, true
		}
		end = next.Until
		held.Until = end
	}
	held.Until = t.Add(longest)
	return held, frozen
}
