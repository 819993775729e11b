package poller

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
			strings.Count(text.String(), "host=a.example credential=none requests=180 failures=0 cached=0 late=0") != 2 {
			t.Errorf("in 130 minutes the log told\n%s\nwant each host twice, of which a.example was asked 180 times", strings.Join(hours, "\n"))
		}
	})
}

// An hour's log of a host that is down, limits us, or refuses the credential: why it is not asked, for which credential,
// a line for each time that it was tried, and none of them once a minute.
func TestLogOfAHostThatIsNotAsked(t *testing.T) {
	for name, test := range map[string]struct {
		serve       func(*http.Request) (*http.Response, error)
		least, most int // lines
		says        string
	}{
		"down":    {status(502), 6, 12, `level=WARN msg="the host is not asked for a while" host=a.example credential=$TOKEN err="a.example: temporary: HTTP 502: the server has a problem" until=`},
		"login":   {loginPage, 6, 12, `level=WARN msg="the host is not asked for a while" host=a.example credential=$TOKEN err="a.example: invalid: HTTP 418: is this`},
		"limited": {status(429, "Retry-After", "1200"), 3, 3, `level=WARN msg="the host is not asked for a while" host=a.example credential=$TOKEN err="a.example: rate limited: HTTP 429: asked too often" until=`},
		"revoked": {status(401), 1, 1, `level=ERROR msg="the credential is not sent again until it is another one" host=a.example credential=$TOKEN err="a.example: denied: HTTP 401: the credential was refused 3 times in a row`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := newInternet(map[string]func(*http.Request) (*http.Response, error){"a.example": test.serve})
				r, want := plain(t, net, "hush", 20, "a.example")
				var text bytes.Buffer
				r.Log = slog.New(slog.NewTextHandler(&text, nil))
				minutes(t, 60, r, want, func(int, []repo.Observation) {})
				n := strings.Count(text.String(), "\n")
				if same := strings.Count(text.String(), test.says); n < test.least || n > test.most || same != n || strings.Contains(text.String(), "hush") {
					t.Errorf("%d lines, %d of them with\n%s\nwant all, from %d to %d, without the token, and they are\n%s", n, same, test.says, test.least, test.most, text.String())
				}
				if s := r.Stats()[0]; s.Why == nil || s.Revoked != s.Until.Before(time.Now()) {
					t.Errorf("Stats() = %+v, want it to say why and until when", s)
				}
			})
		})
	}
}

func loginPage(req *http.Request) (*http.Response, error) { return status(http.StatusTeapot)(req) }
