package term

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A log line is one line whatever its values hold, and its times are short and in UTC.
func TestLogLine(t *testing.T) {
	var out strings.Builder
	log, err := NewLog(&out, "text", slog.LevelInfo)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 5, 4, 5, 678, time.FixedZone("", 2*3600))
	log.Info("left alone", "until", at, "branch", "a]\nb", "duration", 7*time.Millisecond)
	const want = ` INFO: left alone [until=2026-01-02T03:04:05Z] [branch="a]\nb"] [duration=7ms]` + "\n"
	if _, got, _ := strings.Cut(out.String(), "]"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A duration has its unit in both formats.
func TestLogOfADuration(t *testing.T) {
	for format, want := range map[string]string{"text": "[duration=812ms]", "json": `"duration":"812ms"`} {
		var out strings.Builder
		log, err := NewLog(&out, format, slog.LevelInfo)
		if err != nil {
			t.Fatal(err)
		}
		log.Info("cycle done", "duration", 812*time.Millisecond)
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: %q lacks %s", format, out.String(), want)
		}
	}
}
