package health

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// check is one thing that was looked at. text says more of it, or why it failed.
type check struct {
	name, text string
	failed     bool
}

// Handlers returns what answers, by the patterns of http.ServeMux.
func (h *Health) Handlers() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /livez":  answer("livez", h.alive),
		"GET /readyz": answer("readyz", h.ready),
	}
}

// answer answers as the API server does with ?verbose: a line for each check, and a status for who reads only that.
func answer(name string, look func() []check) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var text strings.Builder
		status, verdict := http.StatusOK, "passed"
		for _, c := range look() {
			sign, word := '+', "ok"
			if c.failed {
				sign, word = '-', "failed"
				status, verdict = http.StatusServiceUnavailable, "failed"
			}
			fmt.Fprintf(&text, "[%c]%s %s: %s\n", sign, c.name, word, c.text)
		}
		fmt.Fprintf(&text, "%s check %s\n", name, verdict)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text.String()))
	})
}

// alive is what only a restart mends.
func (h *Health) alive() []check {
	h.mu.Lock()
	defer h.mu.Unlock()
	return []check{h.loop()}
}

// ready is what Sentry needs to work.
func (h *Health) ready() []check {
	h.mu.Lock()
	defer h.mu.Unlock()
	checks := []check{
		h.loop(),
		{name: "configuration", text: fmt.Sprintf("%d repositories, polled every %s", h.repositories, h.interval)},
	}
	if !h.server.at.IsZero() { // there is none on one machine
		checks = append(checks, h.server.check("api-server", "answered"))
	}
	if h.state.at.IsZero() {
		return append(checks, check{"state", "it was not read yet", true})
	}
	checks = append(checks, h.state.check("state", "read or written"))
	if h.replicas != nil {
		checks = append(checks, share(*h.replicas))
	}
	if h.cycle.at.IsZero() {
		return append(checks, check{"cycle", "none has ended yet", false})
	}
	return append(checks, h.cycle.check("cycle", "ended"))
}

func (o outcome) check(name, done string) check {
	if o.why != "" {
		return check{name, o.why, true}
	}
	return check{name, done + " " + ago(o.at), false}
}

// loop looks at whether the loop comes round.
func (h *Health) loop() check {
	stuck := time.Since(h.progress) > Patience
	switch {
	case !h.began.IsZero():
		return check{"loop", fmt.Sprintf("a cycle began %s, and its last progress was %s", ago(h.began), ago(h.progress)), stuck}
	case stuck:
		return check{"loop", "between two cycles, and its last progress was " + ago(h.progress), true}
	}
	return check{"loop", fmt.Sprintf("the last cycle ended %s, and one begins every %s", ago(h.ended), h.interval), false}
}

// share looks at whether this replica knows what is its own.
func share(replicas int) check {
	if replicas == 0 {
		return check{"share", "it is not known which replicas are alive, so that this one looks at nothing by itself; the log says why", true}
	}
	return check{"share", fmt.Sprintf("one of %d replicas", replicas), false}
}

func ago(t time.Time) string { return time.Since(t).Round(time.Second).String() + " ago" }
