package freeze

import (
	"strings"
	"testing"
	"time"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

// TestAt: when a window holds, and when it ends, by the clocks of its time zone.
func TestAt(t *testing.T) {
	for _, c := range []struct{ windows, at, want string }{ // want is "" outside
		{"Fri 16:00 - Mon 06:00", "2026-11-27T15:59:59Z", ""},
		{"Fri 16:00 - Mon 06:00", "2026-11-27T16:00:00Z", "2026-11-30T06:00:00Z"},
		{"fri 16:00–mon 06:00", "2026-11-30T05:59:59Z", "2026-11-30T06:00:00Z"},
		{"Fri 16:00 to Mon 06:00", "2026-11-30T06:00:00Z", ""},
		{"Fri 16:00 - Mon 06:00 Europe/Berlin", "2026-11-27T15:00:00Z", "2026-11-30T05:00:00Z"},
		// Clocks go back on the night of 25 October: the window is an hour longer.
		{"Fri 16:00 - Mon 06:00 Europe/Berlin", "2026-10-23T14:00:00Z", "2026-10-26T05:00:00Z"},
		// There is no 02:30 on 29 March.
		{"02:30 - 03:30 Europe/Berlin", "2026-03-29T01:15:00Z", ""},
		{"Mon 06:00 - Mon 05:00", "2026-11-30T05:30:00Z", ""},
		{"Mon 06:00 - Mon 05:00", "2026-11-30T04:30:00Z", "2026-11-30T05:00:00Z"},
		{"22:00-06:00", "2026-11-27T23:00:00Z", "2026-11-28T06:00:00Z"},
		{"22:00-06:00", "2026-11-28T05:00:00Z", "2026-11-28T06:00:00Z"},
		{"22:00-06:00", "2026-11-28T12:00:00Z", ""},
		{"Fri 22:00 - 06:00", "2026-11-28T05:00:00Z", "2026-11-28T06:00:00Z"},
		{"Fri 22:00 - 06:00", "2026-11-28T23:00:00Z", ""},
		{"Mon-Thu 09:00 - 17:00", "2026-11-26T16:59:00Z", "2026-11-26T17:00:00Z"},
		{"Mon-Thu 09:00 - 17:00", "2026-11-27T16:59:00Z", ""},
		{"Sat-Mon, Wed 00:00 - 24:00", "2026-11-28T01:00:00Z", "2026-12-01T00:00:00Z"},
		{"Sat, Sun", "2026-11-28T00:00:00Z", "2026-11-30T00:00:00Z"},
		{"Sat,Sun America/New_York", "2026-11-28T04:59:00Z", ""},
		{"Sat,Sun America/New_York", "2026-11-28T05:00:00Z", "2026-11-30T05:00:00Z"},
		{"2026-12-24 - 2026-12-26", "2026-12-26T23:59:00Z", "2026-12-27T00:00:00Z"},
		{"2026-12-24 12:00 - 2027-01-02 06:00 Europe/Berlin", "2026-12-24T10:59:00Z", ""},
		{"2026-12-24 12:00 - 2027-01-02 06:00 Europe/Berlin", "2026-12-24T11:00:00Z", "2027-01-02T05:00:00Z"},
		{"0 16 * * fri for 62h Europe/Berlin", "2026-11-27T15:00:00Z", "2026-11-30T05:00:00Z"},
		{"0 16 * * fri for 62h Europe/Berlin", "2026-11-30T05:00:00Z", ""},
		{"0 0 24 12 * for 240h", "2026-12-30T00:00:00Z", "2027-01-03T00:00:00Z"},
		{"*/10 8 * * * for 15m", "2026-11-27T08:01:00Z", "2026-11-27T09:05:00Z"},
		// Windows that follow on each other end with the last of them.
		{"Fri 16:00 - 24:00; Sat, Sun; Mon 00:00 - 06:00", "2026-11-27T17:00:00Z", "2026-11-30T06:00:00Z"},
		{"Fri 16:00 - 24:00; Sun", "2026-11-27T17:00:00Z", "2026-11-28T00:00:00Z"},
	} {
		var ws Windows
		for text := range strings.SplitSeq(c.windows, "; ") {
			w, err := Parse(text)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			ws = append(ws, w)
		}
		got := ""
		if h, in := ws.At(at(t, c.at)); in {
			got = h.Until.UTC().Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%s at %s: until %q, want %q", c.windows, c.at, got, c.want)
		}
	}
}

// TestWhich: of several windows the one that holds is named.
func TestWhich(t *testing.T) {
	var ws Windows
	for _, text := range []string{"Sat, Sun", "Fri  16:00 - Mon 06:00"} {
		w, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		ws = append(ws, w)
	}
	if h, in := ws.At(at(t, "2026-11-27T17:00:00Z")); !in || h.Window.String() != "Fri 16:00 - Mon 06:00" || !h.Since.Equal(at(t, "2026-11-27T16:00:00Z")) {
		t.Errorf("%v %v", in, h)
	}
	if h, in := ws.At(at(t, "2026-11-26T17:00:00Z")); in || h.Window.String() != "" {
		t.Errorf("%v %v", in, h)
	}
}

// TestBad: what is no window is refused with what would be one, and nothing of the text is quoted.
func TestBad(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "want a window of time, such as",
		"always":                               "want a window of time, such as",
		"Fri":                                  "", // a whole day
		"Europe/Berlin":                        "want a window of time, such as",
		"Fri 16:00":                            "want a window of time, such as",
		"Fri 16:00 - Mon 06:00 Mars/Olympus":   "names no time zone",
		"Fri 16:00 - Mon 06:00 Local":          "names no time zone",
		"Fri 16:00 - Mon 06:00 ../etc/passwd":  "want a window of time, such as",
		"Fri 25:00 - Mon 06:00":                "00:00 to 24:00",
		"Fri 16:60 - Mon 06:00":                "00:00 to 24:00",
		"24:01 - 06:00":                        "00:00 to 24:00",
		"2026-02-30 - 2026-03-01":              "no calendar has",
		"2026-03-02 - 2026-03-01":              "the earlier date first",
		"2026-01-01 - 2028-01-01":              "hardly ever ends",
		"Mon-Sun":                              "hardly ever ends",
		"00:00 - 24:00":                        "hardly ever ends",
		"06:00 - 06:00":                        "hardly ever ends",
		"Mon 06:00 - Mon 06:00":                "hardly ever ends",
		"0 * * * * for 2h":                     "hardly ever ends",
		"0 0 30 2 * for 2h":                    "never comes",
		"0 0 * * 9 for 2h":                     "expression of cron",
		"0 0 * * * for ever":                   "a duration of 1m to 744h",
		"0 0 * * * for 10s":                    "a duration of 1m to 744h",
		"0 0 * * * for 9999h":                  "a duration of 1m to 744h",
		"0 0 * * hunter2 for 2h":               "expression of cron",
		strings.Repeat("Mon, ", 50) + "Tue":    "longer than 200 bytes",
		"TZ=UTC 0 0 * * for 2h":                "want a window of time, such as",
		"Fri 16:00 - Mon 06:00 Europe/hunter2": "names no time zone",
	} {
		_, err := Parse(text)
		switch {
		case want == "" && err == nil:
		case err == nil || want == "" || !strings.Contains(err.Error(), want):
			t.Errorf("%q: %v, want %q", text, err, want)
		case strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%q is quoted: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"Fri 16:00 - Mon 06:00 Europe/Berlin", "22:00-06:00", "Mon-Thu, Sat 09:00 - 17:00", "2026-12-24 - 2027-01-02 06:00", "0 16 24 12 * for 240h UTC"} {
		f.Add(text, int64(1_790_000_000))
	}
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		w, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(w.String())
		if err != nil || !again.Equal(w) {
			t.Fatalf("%q is written as %q, which is %v %v", text, w, again, err)
		}
		now := time.Unix(unix%4_000_000_000, 0)
		if h, in := (Windows{w}).At(now); in && (!h.Until.After(now) || h.Since.After(now)) {
			t.Fatalf("%q at %v: %v until %v", text, now, h.Since, h.Until)
		}
	})
}

// TestOneZone: thousands of repositories that name a time zone share it.
func TestOneZone(t *testing.T) {
	var windows []Window
	for range 2 {
		w, err := Parse("22:00 - 06:00 Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		windows = append(windows, w)
	}
	if windows[0].zone != windows[1].zone {
		t.Error("a time zone that is named twice is kept twice")
	}
}
