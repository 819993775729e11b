package report_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/plan/pinned"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/report"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

var created = time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)

func sha(digit string) repo.SHA { return repo.SHA(strings.Repeat(digit, 40)) }

// repository is one on a host with a token, of which the section says who is told.
func repository(name string, r section.Report) *config.Repository {
	source := config.Source{URL: "https://host.example/o/" + name, Type: config.Gitea, Auth: config.Auth{Token: secret.New("${T}", "hunter2")}}
	return &config.Repository{Name: name, Monitor: config.Monitor{Source: source}, Report: &r}
}

func find(repositories ...*config.Repository) func(string) *config.Repository {
	return func(name string) *config.Repository {
		i := slices.IndexFunc(repositories, func(r *config.Repository) bool { return r.Name == name })
		if i < 0 {
			return nil
		}
		return repositories[i]
	}
}

// of is a run of the members "repository@branch digit".
func of(r *result.Result, members ...string) *report.Facts {
	f := &report.Facts{Run: "shop-0123456789", Namespace: "ci", Unit: "shop", Created: created, Result: r}
	for i, text := range members {
		ref, digit, _ := strings.Cut(text, " ")
		name, branch, _ := strings.Cut(ref, "@")
		f.Members = append(f.Members, pinned.Member{Task: fmt.Sprint("t", i), Ref: repo.Ref{Repository: name, Branch: branch}, SHA: sha(digit)})
	}
	return f
}

// ended is a result whose members, by their order, ended so.
func ended(v result.Verdict, members ...result.Member) *result.Result {
	r := &result.Result{Name: "shop-0123456789", Unit: "shop", Created: created, Seconds: 65, Verdict: v, Reason: "R", Why: "words"}
	for i, m := range members {
		m.Task = fmt.Sprint("t", i)
		r.Members = append(r.Members, m)
	}
	return r
}

var yes, no = true, false

// Each commit is told of its own deployment, and of nothing else that the run does.
func TestStates(t *testing.T) {
	why := strings.Repeat("because ", 50)
	for name, tt := range map[string]struct {
		end         *result.Result
		state, says string
	}{
		"goes on":                          {nil, "pending", "deploying, by run shop-0123456789"},
		"succeeded":                        {ended("succeeded", result.Member{Verdict: "succeeded", Seconds: 75}), "success", "deployed in 1m15s, by run shop-0123456789"},
		"it is not known how long it took": {ended("succeeded", result.Member{Verdict: "succeeded"}), "success", "deployed, by run shop-0123456789"},
		"in a run that fails":              {ended("failed", result.Member{Verdict: "succeeded", Seconds: 5}), "success", "deployed in 5s, by run shop-0123456789"},
		"a command failed": {ended("failed", result.Member{Verdict: "failed", Why: "command 2 of 3 failed with exit code 7: make", Command: "2 of 3: make", Exit: 7}),
			"failure", "failed: command 2 of 3 failed with exit code 7: make, by run shop-0123456789"},
		"took too long":       {ended("timed out", result.Member{Verdict: "timed out"}), "failure", "timed out, by run shop-0123456789"},
		"could not start":     {ended("failed", result.Member{Verdict: "failed", Why: "exceeded quota"}), "error", "not deployed, failed: exceeded quota, by run shop-0123456789"},
		"cancelled":           {ended("cancelled", result.Member{Verdict: "cancelled"}), "error", "not deployed, cancelled, by run shop-0123456789"},
		"skipped":             {ended("failed", result.Member{Verdict: "skipped", Why: "x failed"}), "error", "not deployed, skipped: x failed, by run shop-0123456789"},
		"superseded":          {ended("superseded", result.Member{Verdict: "superseded"}), "error", "not deployed: a newer change replaces it, by run shop-0123456789"},
		"of which no word is": {ended("failed"), "error", "not deployed, by run shop-0123456789"},
		"a failure with a long reason, rolled back": {ended("failed", result.Member{Verdict: "failed", Why: why, Exit: 1, Rollback: "succeeded"}), "failure",
			"failed and rolled back: because because because because because becau…ause because because because because because, by run shop-0123456789"},
		"a rollback that failed": {ended("failed", result.Member{Verdict: "failed", Why: "x", Exit: 1, Rollback: "failed"}), "failure",
			"failed, and the rollback failed: x, by run shop-0123456789"},
		"rolled back with its group":   {ended("failed", result.Member{Verdict: "rolled back", Why: "y", Rollback: "succeeded"}), "error", "not deployed, rolled back: y, by run shop-0123456789"},
		"its rollback failed, as well": {ended("failed", result.Member{Verdict: "rolled back", Why: "y", Rollback: "timed out"}), "error", "deployed, and the rollback timed out: y, by run shop-0123456789"},
		"very long":                    {ended("failed", result.Member{Verdict: "failed", Exit: 1, Why: why}), "failure", ""},
	} {
		owed := report.Owed(find(repository("web", section.Report{CommitStatus: &yes})), of(tt.end, "web@main a"))
		if len(owed) != 1 || owed[0].Kind != report.CommitStatus || owed[0].SHA != sha("a") || owed[0].Status.Context != "sentry/shop" {
			t.Fatalf("%s: owed %+v, want one status", name, owed)
		}
		s := owed[0].Status
		if string(s.State) != tt.state || tt.says != "" && s.Description != tt.says {
			t.Errorf("%s: %s %q, want %s %q", name, s.State, s.Description, tt.state, tt.says)
		}
		if len(s.Description) > 140 || !strings.HasSuffix(s.Description, "by run shop-0123456789") {
			t.Errorf("%s: %d bytes, %q, want at most 140 with the run", name, len(s.Description), s.Description)
		}
	}
}

func TestWhoIsOwed(t *testing.T) {
	url := secret.New("${URL}", "https://chat.example/s3cret")
	other := secret.New("${OTHER}", "https://other.example/")
	slack := func(on section.Occasions) section.Report {
		return section.Report{Slack: section.Receiver{URL: url, On: on}}
	}
	failed, succeeded := ended("failed", result.Member{Verdict: "failed", Exit: 1}), ended("succeeded", result.Member{Verdict: "succeeded"})
	again := of(succeeded, "web@main a")
	again.Recovered = true
	for name, tt := range map[string]struct {
		repositories []*config.Repository
		facts        *report.Facts
		want         string
	}{
		"nothing is configured":          {[]*config.Repository{repository("web", section.Report{})}, of(failed, "web@main a"), ""},
		"it is switched off":             {[]*config.Repository{repository("web", section.Report{CommitStatus: &no})}, of(failed, "web@main a"), ""},
		"the repository is gone":         {nil, of(failed, "web@main a"), ""},
		"a chat, while it goes on":       {[]*config.Repository{repository("web", slack(section.OnEvery))}, of(nil, "web@main a"), ""},
		"a chat, of a failure":           {[]*config.Repository{repository("web", slack(0))}, of(failed, "web@main a"), "slack"},
		"a chat, of a timeout":           {[]*config.Repository{repository("web", slack(0))}, of(ended("timed out"), "web@main a"), "slack"},
		"a chat, of a success":           {[]*config.Repository{repository("web", slack(0))}, of(succeeded, "web@main a"), ""},
		"a chat, of a recovery":          {[]*config.Repository{repository("web", slack(0))}, again, "slack"},
		"a chat that wants failures":     {[]*config.Repository{repository("web", slack(section.OnFailure))}, again, ""},
		"a chat that wants recoveries":   {[]*config.Repository{repository("web", slack(section.OnRecovery))}, of(failed, "web@main a"), ""},
		"a chat that wants all":          {[]*config.Repository{repository("web", slack(section.OnEvery))}, of(succeeded, "web@main a"), "slack"},
		"a chat, of what was superseded": {[]*config.Repository{repository("web", slack(0))}, of(ended("superseded"), "web@main a"), ""},
		"one chat of two members":        {[]*config.Repository{repository("web", slack(0)), repository("api", slack(0))}, of(failed, "web@main a", "api@main b"), "slack"},
		"two chats": {[]*config.Repository{repository("web", slack(0)), repository("api", section.Report{Slack: section.Receiver{URL: other}})},
			of(failed, "web@main a", "api@main b"), "slack slack"},
		"all kinds": {[]*config.Repository{repository("web", section.Report{CommitStatus: &yes, Slack: section.Receiver{URL: url}, Webhook: section.Receiver{URL: url},
			CloudEvents: section.Receiver{URL: url}})}, of(failed, "web@main a"), "commit_status slack webhook cloudevents"},
		"statuses of two commits":    {[]*config.Repository{repository("web", section.Report{CommitStatus: &yes})}, of(nil, "web@main a", "web@dev b"), "commit_status commit_status"},
		"one commit on two branches": {[]*config.Repository{repository("web", section.Report{CommitStatus: &yes})}, of(nil, "web@main a", "web@dev a"), "commit_status"},
	} {
		var got []string
		keys := map[string]bool{}
		for _, d := range report.Owed(find(tt.repositories...), tt.facts) {
			got = append(got, string(d.Kind))
			keys[d.Key()] = true
		}
		if strings.Join(got, " ") != tt.want || len(keys) != len(got) {
			t.Errorf("%s: owed %q with %d keys, want %q with one each", name, got, len(keys), tt.want)
		}
	}
}

// A commit that one run deploys twice is told of the worse end, whatever their order.
func TestOneCommitTwice(t *testing.T) {
	good, bad := result.Member{Verdict: "succeeded"}, result.Member{Verdict: "failed", Exit: 1}
	for _, ends := range [][]result.Member{{good, bad}, {bad, good}} {
		owed := report.Owed(find(repository("web", section.Report{CommitStatus: &yes})), of(ended("failed", ends...), "web@main a", "web@dev a"))
		if len(owed) != 1 || owed[0].Status.State != report.Failure {
			t.Errorf("owed %+v, want one failure", owed)
		}
	}
}

// Whoever names a branch adds nothing to the address that people follow, and calls nobody in a chat.
func TestHostileBranch(t *testing.T) {
	const branch = "a/b&<!channel>?x=1"
	r := section.Report{CommitStatus: &yes, TargetURL: "https://dash.example/{{unit}}?b={{branch}}&s={{ sha }}#/{{namespace}}/{{run}}",
		Slack: section.Receiver{URL: secret.New("${U}", "https://chat.example/")}}
	f := of(ended("failed", result.Member{Verdict: "failed", Exit: 1, Why: "<@U1> & co"}), "web@"+strings.ReplaceAll(branch, " ", "")+" a")
	owed := report.Owed(find(repository("web", r)), f)
	want := "https://dash.example/shop?b=a%2Fb%26%3C%21channel%3E%3Fx%3D1&s=" + string(sha("a")) + "#/ci/shop-0123456789"
	if got := owed[0].Status.TargetURL; got != want {
		t.Errorf("leads to %s, want %s", got, want)
	}
	_, body, err := owed[1].Body()
	var m struct{ Text string }
	if err != nil || json.Unmarshal([]byte(body), &m) != nil || strings.ContainsAny(m.Text, "<>") || !strings.Contains(m.Text, "&lt;!channel&gt;") {
		t.Errorf("the chat is told %s, %v, want the branch without markup", body, err)
	}
}

func TestRecovered(t *testing.T) {
	run := func(minutes int, v result.Verdict) result.Result {
		return result.Result{Name: fmt.Sprint("r", minutes), Unit: "shop", Created: created.Add(time.Duration(minutes) * time.Minute), Verdict: v}
	}
	foreign := run(-1, "failed")
	foreign.Unit = "other"
	for name, tt := range map[string]struct {
		past []result.Result
		want bool
	}{
		"the first run":                {nil, false},
		"after a failure":              {[]result.Result{run(-1, "failed"), run(-2, "succeeded")}, true},
		"after a timeout":              {[]result.Result{run(-1, "timed out")}, true},
		"after a success":              {[]result.Result{run(-2, "failed"), run(-1, "succeeded")}, false},
		"after one that was cancelled": {[]result.Result{run(-1, "cancelled"), run(-2, "superseded"), run(-3, "failed")}, true},
		"a failure of another unit":    {[]result.Result{foreign}, false},
		"a failure of a later run":     {[]result.Result{run(1, "failed")}, false},
		"of a Sentry without verdicts": {[]result.Result{run(-1, "")}, false},
	} {
		if got := report.Recovered(tt.past, of(ended("succeeded"), "web@main a")); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// What programs are told has the verdict of each deployment, and nothing that commands printed. Their official decoder takes the
// CloudEvent.
func TestBodies(t *testing.T) {
	to := section.Receiver{URL: secret.New("${U}", "https://hook.example/s3cret")}
	r := section.Report{Webhook: to, CloudEvents: to}
	f := of(ended("failed", result.Member{Verdict: "failed", Exit: 7, Why: "command 1 of 1 failed", Output: []string{"printed"}}), "web@main a")
	owed := report.Owed(find(repository("web", r)), f)
	_, body, err := owed[0].Body()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"shop-0123456789.ended","text":"shop: failed: words (run shop-0123456789)\nweb@main aaaaaaaaaaaa: failed: command 1 of 1 failed",` +
		`"run":"shop-0123456789","namespace":"ci","unit":"shop","verdict":"failed","recovered":false,"why":"words","created":"2026-11-27T10:00:00Z","seconds":65,` +
		`"members":[{"task":"t0","repository":"web","branch":"main","sha":"` + string(sha("a")) + `","verdict":"failed","why":"command 1 of 1 failed"}]}`
	if body != want {
		t.Errorf("told\n%s, want\n%s", body, want)
	}
	contentType, body, err := owed[1].Body()
	if err != nil {
		t.Fatal(err)
	}
	var e cloudevents.Event
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if err := e.Validate(); err != nil {
		t.Errorf("the event is none: %v", err)
	}
	if e.ID() != "shop-0123456789.ended" || e.Source() != "/sentry/ci" || e.Type() != "dev.tekton-sentry.run.failed" || e.Subject() != "shop" ||
		!e.Time().Equal(created.Add(65*time.Second)) || !strings.HasPrefix(contentType, cloudevents.ApplicationCloudEventsJSON) {
		t.Errorf("the event is %s as %s", e, contentType)
	}
	var m report.Message
	if err := e.DataAs(&m); err != nil || m.Verdict != "failed" || len(m.Members) != 1 {
		t.Errorf("its data is %+v, %v", m, err)
	}
}

// A branch's name, or why a run failed, calls nobody in a chat and leads nowhere. What the operator has it led to does.
func TestNobodyIsCalled(t *testing.T) {
	const text = "@@all @channel <!here> <https://evil.example|ok> [ok](https://evil.example/a) mailto://x -@here"
	to := section.Receiver{URL: secret.New("${U}", "https://chat.example/")}
	owed := report.Owed(find(repository("web", section.Report{Slack: to, TargetURL: "https://dash.example/{{run}}"})),
		of(ended("failed", result.Member{Verdict: "failed", Why: text}), "web@feat/@all a"))
	_, body, err := owed[0].Body()
	var sent struct{ Text string }
	if err == nil {
		err = json.Unmarshal([]byte(body), &sent)
	}
	if err != nil {
		t.Fatal(err)
	}
	words, link, _ := strings.Cut(sent.Text, "\nhttps://dash.example/")
	if link == "" || strings.ContainsAny(words, "<>") || strings.Contains(words, "://") || strings.Contains(words, "](") || !strings.Contains(words, "web@feat/") {
		t.Errorf("got %q", sent.Text)
	}
	if called := regexp.MustCompile(`(^|[^\pL\pN_])@[\pL\pN]`).FindString(words); called != "" {
		t.Errorf("%q calls somebody in %q", called, words)
	}
	if got := strings.ReplaceAll(words, "\u200b", ""); !strings.Contains(got, "@@all @channel &lt;!here&gt;") || !strings.Contains(got, "web@feat/@all") {
		t.Errorf("people see %q", got)
	}
}

// A run of as many deployments as there may be, with as many words as there may be, makes no message without an end.
func TestLargeRun(t *testing.T) {
	var members []string
	var ends []result.Member
	for range 150 {
		members = append(members, "web@main a")
		ends = append(ends, result.Member{Verdict: "failed", Why: strings.Repeat("ä", 200)})
	}
	to := section.Receiver{URL: secret.New("${U}", "https://hook.example/")}
	owed := report.Owed(find(repository("web", section.Report{Slack: to})), of(ended("failed", ends...), members...))
	_, body, err := owed[0].Body()
	if err != nil || len(body) > 8<<10 || !json.Valid([]byte(body)) {
		t.Errorf("%d bytes, %v, want at most 8 KiB", len(body), err)
	}
}
