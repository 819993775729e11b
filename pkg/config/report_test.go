package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config/section"
)

// withReports returns a file whose repositories are on GitHub, in a group and alone, and on another server.
func withReports(top, group, repository string) string {
	const one = `
  - name: %s
    group: %s
    monitor: {repo_url: %s, branches: [main], repo_type: %s, auth: {token: "${GITHUB_TOKEN}"}}
    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run]}`
	return fmt.Sprintf("report: %s\ngroups: {g: {report: %s}, other: }\nrepositories:", top, group) +
		fmt.Sprintf(one, "member", "g", "https://github.com/o/member", "github") + "\n    report: " + repository +
		fmt.Sprintf(one, "plain", "other", "https://git.example.com/o/plain", "git")
}

func TestReportIsMerged(t *testing.T) {
	c, err := Parse([]byte(withReports(`{commit_status: true, target_url: "https://a.example/{{ run }}", slack: {url: "https://chat.example/", on: [every]}, webhook: {url: "https://hook.example/"}}`,
		`{target_url: "https://b.example/", slack: {on: [failure]}}`, `{commit_status: false, webhook: {url: ""}, cloudevents: {url: "https://broker.example/", on: [recovery, every]}}`)), options())
	if err != nil {
		t.Fatal(err)
	}
	member, _ := c.Lookup("member")
	r := member.Report
	if r.WritesStatus() || r.TargetURL != "https://b.example/" || r.Slack.URL.Reveal() != "https://chat.example/" || r.Slack.On != section.OnFailure ||
		r.Webhook.URL.Reveal() != "" || r.CloudEvents.On != section.OnRecovery|section.OnEvery || !r.Any() {
		t.Errorf("the member has %+v", r)
	}
	plain, _ := c.Lookup("plain")
	if r = plain.Report; r.WritesStatus() || r.TargetURL != "https://a.example/{{ run }}" || r.Slack.On != section.OnEvery || r.Webhook.URL.Reveal() == "" {
		t.Errorf("the other one has %+v", r)
	}
	if c, err = Parse([]byte(withReports("", "", "")), options()); err != nil || c.Repositories[0].Report.Any() || len(c.Warnings) > 0 {
		t.Errorf("without a word %+v, %v", c, err)
	}
}

func TestReportWarnings(t *testing.T) {
	for name, tt := range map[string]struct{ top, group, repository, want string }{
		"where some host takes it": {`{commit_status: true}`, "", "", ""},
		"in a group":               {"", `{commit_status: true}`, "", ""},
		"in a repository":          {"", "", `{commit_status: true}`, ""},
		"a chat in the file":       {`{slack: {url: "https://chat.example/s3cret"}}`, "", "", "report.slack.url: the URL"},
		"a chat of a variable":     {`{slack: {url: "${CHAT:-https://chat.example/}"}}`, "", "", ""},
	} {
		c, err := Parse([]byte(withReports(tt.top, tt.group, tt.repository)), options())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := fmt.Sprint(c.Warnings); tt.want == "" && len(c.Warnings) > 0 || !strings.Contains(got, tt.want) || strings.Contains(got, "s3cret") {
			t.Errorf("%s: warnings %s, want %q", name, got, tt.want)
		}
	}
	plain := strings.NewReplacer("github.com/o/member", "git.example.com/o/member", "repo_type: github", "repo_type: git")
	for name, tt := range map[string]struct{ top, group, repository, want string }{
		"of no host":             {`{commit_status: true}`, "", "", "line 1: report.commit_status: means nothing here"},
		"of no host of a group":  {"", `{commit_status: true}`, "", "line 2: groups.g.report.commit_status: means nothing here"},
		"of a repository's host": {"", "", `{commit_status: true}`, "line 8: repositories[0].report.commit_status: means nothing on a host of the type git"},
	} {
		c, err := Parse([]byte(plain.Replace(withReports(tt.top, tt.group, tt.repository))), options())
		if err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].String(), tt.want) {
			t.Errorf("%s: warnings %v, %v, want %q", name, c.Warnings, err, tt.want)
		}
	}
	anybody := strings.ReplaceAll(withReports(`{commit_status: true}`, "", ""), `, auth: {token: "${GITHUB_TOKEN}"}`, "")
	c, err := Parse([]byte(anybody), options())
	if err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].String(), "repositories[0].report.commit_status: means nothing without a token") ||
		c.Repositories[0].Report.WritesStatus() {
		t.Errorf("without a token: warnings %v, %v", c.Warnings, err)
	}
}

// A receiver whose address is replaced is told at the new one.
func TestReportIsRenewed(t *testing.T) {
	values := map[string]string{"CHAT": "https://one.example/", "GITHUB_TOKEN": "t"}
	o := options()
	o.LookupEnv = func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	c, err := Parse([]byte(withReports(`{slack: {url: "${CHAT}"}}`, "", "")), o)
	if err != nil {
		t.Fatal(err)
	}
	values["CHAT"] = "https://two.example/"
	renewed, err := c.Renew(o.LookupEnv)
	if err != nil || renewed.Repositories[0].Report.Slack.URL.Reveal() != "https://two.example/" || c.Repositories[0].Report.Slack.URL.Reveal() != "https://one.example/" {
		t.Errorf("renewed %q, %v", renewed.Repositories[0].Report.Slack.URL.Reveal(), err)
	}
}
