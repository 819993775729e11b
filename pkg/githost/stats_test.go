package githost

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// The log says once an hour what each host was asked.
func TestLogHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newInternet(map[string]func(*http.Request) (*http.Response, error){"a.example": status(200), "b.example": status(502)})
		r, want := plain(t, net, "", 3, "a.example", "b.example")
		var text bytes.Buffer
		r.Log = slog.New(slog.NewTextHandler(&text, nil))
		minutes(t, 130, r, want, func(int, []repo.Observation) {})
		var hours []string
		for line := range strings.Lines(text.String()) {
			if _, counts, ok := strings.Cut(strings.TrimSpace(line), `msg="asked in the last hour" `); ok {
				hours = append(hours, counts)
			}
		}
		if len(hours) != 4 || !strings.HasPrefix(hours[1]+hours[0], "host=") ||
			strings.Count(text.String(), "host=a.example requests=180 failures=0 cached=0 late=0") != 2 {
			t.Errorf("in 130 minutes the log told\n%s\nwant each host twice, of which a.example was asked 180 times", strings.Join(hours, "\n"))
		}
	})
}
