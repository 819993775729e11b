package report

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/plan/pinned"
	"github.com/tekton-sentry/sentry/pkg/result"
)

const (
	// contextPrefix begins the context of every status. GitHub and Gitea show what follows the / beside it.
	contextPrefix = "sentry/"
	// maxDescription is what GitHub takes, in characters. GitLab and Gitea take 255 and more.
	maxDescription = 140
	// maxText bounds the text of a chat's message in bytes. Slack cuts one after 40,000 characters.
	maxText = 2000
	// maxNamed is how many deployments that failed are named in a text.
	maxNamed = 10
)

// key joins texts so that no two lists of them give the same.
func key(parts ...string) string {
	quoted := make([]string, len(parts))
	for i, p := range parts {
		quoted[i] = strconv.Quote(p)
	}
	return strings.Join(quoted, " ")
}

// server returns scheme and host of a URL.
func server(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}

func statusOf(f *Facts, end result.Member, m pinned.Member, r *section.Report) Status {
	s := Status{Context: contextPrefix + f.Unit, State: Pending, TargetURL: target(f, m, r)}
	words := "deploying"
	if f.Result != nil {
		s.State, words = stateOf(end), wordsOf(end)
	}
	// Who reads the status back must find all of it: what tells one run's from another's comes last, and is never cut.
	by := ", by run " + f.Run
	s.Description = oneline.Of(strings.Map(narrow, words), maxDescription-len(by)) + by
	return s
}

// narrow keeps what every host's database takes, so that a description is read back as it was written.
func narrow(r rune) rune {
	if r > 0xffff {
		return '?'
	}
	return r
}

// wordsOf says how a deployment ended.
func wordsOf(m result.Member) string {
	switch stateOf(m) {
	case Success:
		return deployed("deployed", m.Seconds)
	case Failure:
		return joined(string(m.Verdict)+rolled(m), m.Why)
	}
	switch m.Verdict {
	case result.Superseded:
		return "not deployed: a newer change replaces it"
	case "": // the run says nothing of it
		return "not deployed"
	}
	if m.Verdict != result.RolledBack {
		return joined("not deployed, "+string(m.Verdict)+rolled(m), m.Why)
	}
	if m.Rollback != result.Succeeded {
		return joined("deployed, and the rollback "+string(m.Rollback), m.Why)
	}
	return joined("not deployed, rolled back", m.Why)
}

// rolled says what became of the rollback of a deployment that failed, where one began. It comes first, as the reason may be cut.
func rolled(m result.Member) string {
	switch m.Rollback {
	case "":
		return ""
	case result.Succeeded:
		return " and rolled back"
	}
	return ", and the rollback " + string(m.Rollback)
}

func joined(what, why string) string { return strings.TrimSuffix(what+": "+why, ": ") }

// deployed adds how long it took, where that is known.
func deployed(words string, seconds int) string {
	if seconds == 0 {
		return strings.TrimSuffix(words, ",")
	}
	return words + " in " + (time.Duration(seconds) * time.Second).String()
}

// target returns where a status or a notification leads to.
func target(f *Facts, m pinned.Member, r *section.Report) string {
	facts := map[string]string{
		"run": f.Run, "namespace": f.Namespace, "unit": f.Unit, "repository": m.Repository, "branch": m.Branch, "sha": string(m.SHA),
	}
	return r.Target(func(name string) string {
		// In a path and in a query alike: whoever names a branch adds nothing to either.
		return strings.ReplaceAll(url.QueryEscape(facts[name]), "+", "%20")
	})
}

// textOf says how the run ended, on a line, and what failed in it, a line each.
func textOf(f *Facts) string {
	r := f.Result
	var b strings.Builder
	fmt.Fprintf(&b, "%s: ", f.Unit)
	switch {
	case f.Recovered:
		b.WriteString(deployed("deployed again after a failure,", r.Seconds))
	case r.Verdict == result.Succeeded:
		b.WriteString(deployed("deployed", r.Seconds))
	default:
		b.WriteString(joined(string(r.Verdict), cmp.Or(r.Why, r.Reason)))
	}
	fmt.Fprintf(&b, " (run %s)", f.Run)
	named := 0
	ends := endings(f)
	for _, m := range f.Members {
		end := ends[m.Task]
		if r.Verdict == result.Superseded || end.Verdict == r.Verdict && r.Verdict == result.Succeeded || end.Verdict == "" {
			continue
		}
		if named++; named > maxNamed {
			b.WriteString("\n…")
			break
		}
		fmt.Fprintf(&b, "\n%s@%s %.12s: %s", m.Repository, m.Branch, m.SHA, joined(string(end.Verdict), end.Why))
	}
	text := b.String()
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}
