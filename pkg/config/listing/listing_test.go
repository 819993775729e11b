package listing

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
)

const planted = "hunter2hunter2"

func same(text string) string { return text }

// read returns all that a listing shows, a line for each of the file.
func read(l *Listing) string {
	var b strings.Builder
	for i, f := range l.Files() {
		for part := 1; part <= f.Parts; part++ {
			for _, line := range l.Part(i, part, same) {
				b.WriteString(line.Text)
				if line.Hidden {
					b.WriteString("[hidden]")
				}
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}

func one(text string) config.Files { return config.Files{{Name: "sentry.yaml", Text: []byte(text)}} }

// A token is hidden however it is written into a file, and references to variables are shown.
func TestHidden(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"token: hunter2hunter2", "token: [hidden]"},
		{"token: ${TOKEN}", "token: ${TOKEN}"},
		{`token: "${TOKEN}" # of the team`, `token: "${TOKEN}" # of the team`},
		{"token: '${TOKEN:-}'", "token: '${TOKEN:-}'"},
		{"token: ${TOKEN:-hunter2hunter2}", "token: [hidden]"},
		{"token: hunter2hunter2${TOKEN}", "token: [hidden]"},
		{"token:    hunter2hunter2 # comment", "token:    [hidden]"},
		{"token : hunter2hunter2", "token : [hidden]"},
		{`"token": hunter2hunter2`, `"token": [hidden]`},
		{`'token':  "hunter2hunter2"`, `'token':  [hidden]`},
		{`"tok\u0065n": hunter2hunter2`, `"tok\u0065n": [hidden]`},
		{"- token: hunter2hunter2\n- a: b", "- token: [hidden]\n- a: b"},
		{"token:\n  hunter2hunter2\nname: web", "token:\n  [hidden]\nname: web"},
		{"token: # it follows\n  hunter2hunter2\nname: web", "token: # it follows\n  [hidden]\nname: web"},
		{"token: |\n  hunter2hunter2\n  a: hunter2hunter2\n\n  # hunter2hunter2\nname: web", "token: [hidden]\n  [hidden]\n  [hidden]\n\n  [hidden]\nname: web"},
		{"  token: ${TOKEN}\n    hunter2hunter2\n  name: web", "  token: ${TOKEN}\n    [hidden]\n  name: web"},
		{"token: \"hunter2\nhunter2hunter2: x\nhunter2hunter2\"\nname: web", "token: [hidden]\n[hidden]\n[hidden]\nname: web"},
		{"token: 'it''s\nhunter2hunter2'\nname: web", "token: [hidden]\n[hidden]\nname: web"},
		{"token: !!str hunter2hunter2", "token: [hidden]"},
		{"token: &t hunter2hunter2", "token: [hidden]"},
		{"a: &t hunter2hunter2\ntoken: *t", "a: [hidden]\ntoken: [hidden]"},
		{"a: &t hunter2hunter2\ntoken:\n  *t", "a: [hidden]\ntoken:\n  [hidden]"},
		{"a: &t hunter2hunter2\nauth:\n  ? token\n  : *t", "a: [hidden]\nauth:\n  [hidden]\n  [hidden]"},
		{"env: &h {A: hunter2hunter2}\nheaders:\n  <<: *h", "env: [hidden]\nheaders:\n  [hidden]"},
		{"a: &t hunter2hunter2\nb: &u {c: *t}\nheaders: *u", "a: [hidden]\nb: [hidden]\nheaders: [hidden]"},
		{"a: &t main\nbranches: [*t]\nc: {<<: *t}", "a: &t main\nbranches: [*t]\nc: {<<: *t}"},
		{"auth: {token: hunter2hunter2, username: git}\nname: web", "auth: {token: [hidden]\nname: web"},
		{`auth: {username: "${USER}", token: "${TOKEN}"} # both`, `auth: {username: "${USER}", token: "${TOKEN}"} # both`},
		{`auth: {username: "${USER}", token: hunter2hunter2} # both`, `auth: {username: "${USER}", token: [hidden]`},
		{`auth: {"token":"hunter2hunter2"}`, `auth: {"token":[hidden]`},
		{"auth: {\n  token: hunter2hunter2,\n  username: ${USER}\n}", "auth: {\n  token: [hidden]\n  username: ${USER}\n}"},
		{"auth: {token: ${TOKEN}\nhunter2hunter2}\nname: web", "auth: {token: ${TOKEN}\n[hidden]\nname: web"},
		{"? token\n: hunter2hunter2\nname: web", "[hidden]\n[hidden]\nname: web"},
		{"headers:\n- hunter2hunter2\nname: web", "headers:\n[hidden]\nname: web"},
		{"# token: hunter2hunter2", "# token: [hidden]"},
		{"#token: ${TOKEN} # as before", "#token: ${TOKEN} # as before"},
		{"token: ${TOKEN},hunter2hunter2", "token: [hidden]"},
		{"token: ${TOKEN}]hunter2hunter2", "token: [hidden]"},
		{"auth: {token: ${TOKEN}}hunter2hunter2", "auth: {token: [hidden]"},
		{"auth: {\n  username: ${USER},\n  token: ${TOKEN}}", "auth: {\n  username: ${USER},\n  token: ${TOKEN}}"},
		{"# auth:\n#   token: |\n#     hunter2hunter2\n#   name: web", "# auth:\n#   token: [hidden]\n#     [hidden]\n#   name: web"},
		{"## # token: hunter2hunter2", "## # token: [hidden]"},
		{"# token: |\n#   a: hunter2hunter2\n# name: web", "# token: [hidden]\n#   [hidden]\n# name: web"},
		{"# auth:\n  # token:\n    # a: hunter2hunter2\n  # name: web", "# auth:\n  # token:\n    # [hidden]\n  # name: web"},
		{"name: web # token: hunter2hunter2", "name: web # token: [hidden]"},
		{"- curl -H 'token: hunter2hunter2'", "- curl -H 'token: [hidden]"},
		{"- export API_TOKEN=hunter2hunter2", "- export API_TOKEN=[hidden]"},
		{"env: {DB_PASSWORD: hunter2hunter2}", "env: {DB_PASSWORD: [hidden]"},
		{"- export PGPASSWORD=hunter2hunter2", "- export PGPASSWORD=[hidden]"},
		{"- SSHPASS=hunter2hunter2 sshpass -e ssh x", "- SSHPASS=[hidden]"},
		{"- export SECRET1=hunter2hunter2", "- export SECRET1=[hidden]"},
		{"- export NPM_AUTH=hunter2hunter2", "- export NPM_AUTH=[hidden]"},
		{"- helm --set db.adminPassword=hunter2hunter2", "- helm --set db.adminPassword=[hidden]"},
		{"- helm --set clientSecret=hunter2hunter2", "- helm --set clientSecret=[hidden]"},
		{"- curl -d '{\"apiToken\": \"hunter2hunter2\"}'", "- curl -d '{\"apiToken\": [hidden]"},
		{"- curl -H 'Cookie: a=hunter2hunter2'", "- curl -H 'Cookie: [hidden]"},
		{"- curl 'https://x/y?sig=hunter2hunter2'", "- curl 'https://x/y?sig=[hidden]"},
		{"- tool --password hunter2hunter2", "- tool --password [hidden]"},
		{"- tool --namespace prod # of the team", "- tool --namespace prod # of the team"},
		{"- curl -u bob:hunter2hunter2 https://x", "- curl -u bob:[redacted] https://x"},
		{"- curl https://hooks.slack.com/services/T0/hunter2hunter2 -d x", "- curl https://hooks.slack.com/[redacted] -d x"},
		{"- git clone git+ssh2://u:hunter2hunter2@host", "- git clone git+ssh2://u:[redacted]@host"},
		{"- git clone https://u:it's-hunter2hunter2@host", "- git clone https://[redacted]@host"},
		{"- echo npm_hunter2hunter2 hf_hunter2hunter2 dop_v1_hunter2hunter2 ATATThunter2hunter2 sk-hunter2hunter2", "- echo [redacted] [redacted] [redacted] [redacted] [redacted]"},
		{"env: {TIER: staging}", "env: {TIER: staging}"},
		{"webhook_url: \"\"", "webhook_url: \"\""},
		{"url: https://hooks.example.com/hunter2hunter2", "url: [hidden]"},
		{"repo_url: https://git:hunter2hunter2@example.com/a", "repo_url: https://[redacted]@example.com/a"},
		{"repo_url: https://hunter2@hunter2@example.com/a", "repo_url: https://[redacted]@example.com/a"},
		{"repo_url: ssh://git@example.com/a", "repo_url: ssh://git@example.com/a"},
		{"repo_url: git@example.com:a/b", "repo_url: git@example.com:a/b"},
		{"- echo ghp_hunter2hunter2hunter2", "- echo [redacted]"},
		{"ca: |\n  -----BEGIN RSA PRIVATE KEY-----\n  hunter2hunter2\n  -----END RSA PRIVATE KEY-----\nname: web", "ca: |\n  [hidden]\n  [hidden]\n  [hidden]\nname: web"},
		{"ca: |\n  -----BEGIN CERTIFICATE-----\n  MIIB\n", "ca: |\n  -----BEGIN CERTIFICATE-----\n  MIIB"},
		{"token: a\rhunter2hunter2\rname: web", "token: [hidden]\n[hidden]\nname: web"},
		{"token: a\u2028  hunter2hunter2\u0085name: web", "token: [hidden]\n  [hidden]\nname: web"},
		{"\ufefftoken: hunter2hunter2", "token: [hidden]"},
	} {
		for _, l := range []*Listing{Of(one(c.text), nil), Refused(one(c.text), nil)} {
			got := strings.TrimSuffix(read(l), "\n")
			if strings.Contains(got, "hunter2") {
				t.Errorf("of %q, strict is %t, is shown\n%s", c.text, l.strict, got)
			}
			if !l.strict && got != c.want {
				t.Errorf("of %q is shown\n%s\nwant\n%s", c.text, got, c.want)
			}
		}
	}
}

// Of what cannot be used nothing is shown that may be a token at the wrong place, and all else is.
func TestHiddenWhereItIsWrong(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"monitor:\n  auth:\n    tokne: hunter2hunter2\n  branches: [main]", "monitor:\n  auth:\n    tokne: [hidden]\n  branches: [main]"},
		{"auth: {tkn: hunter2hunter2, branch: main}", "auth: {tkn: [hidden]"},
		{"auth: token hunter2hunter2\nname: web", "auth: [hidden]\nname: web"},
		{"auth:\n  token hunter2hunter2\nname: web", "auth:\n  [hidden]\nname: web"},
		{"auth:\n  token:hunter2hunter2\nname: web", "auth:\n  [hidden]\nname: web"},
		{"auth:\n  token=hunter2hunter2\nname: web", "auth:\n  [hidden]\nname: web"},
		{"auth:\n  hunter2hunter2\nname: web", "auth:\n  [hidden]\nname: web"},
		{"- token hunter2hunter2", "- token[hidden]"},
		{"auth: {\n\ttoken hunter2hunter2", "auth: {\n\t[hidden]"},
		{"pats:\n  - hunter2hunter2\nname: web", "pats:\n  [hidden]\nname: web"},
		{"tоken: hunter2hunter2", "tоken: [hidden]"},
		{"tok en: hunter2hunter2", "[hidden]"},
		{"auth: {token:hunter2hunter2}", "auth: {token[hidden]"},
		{"auth: {tokn:hunter2hunter2}", "auth: {tokn[hidden]"},
		{"auth: {\"tokn:hunter2hunter2\"}", "auth: {\"tokn[hidden]"},
		{"auth: {token, hunter2hunter2}", "auth: {token[hidden]"},
		{"auth: {hunter2hunter2}", "auth: {[hidden]"},
		{"auth: {token hunter2hunter2: }", "auth: {token[hidden]"},
		{"token:hunter2hunter2 : x", "token[hidden]"},
		{"tokn=hunter2hunter2: x", "tokn[hidden]"},
		{"webhook:https://hooks.example.com/hunter2hunter2:", "webhook[hidden]"},
		{"deploy: &common\n  project_name: web\nmonitor:\n  <<: *common\n  branches: [main]", "deploy: &common\n  project_name: web\nmonitor:\n  <<: *common\n  branches: [main]"},
		{"discover:\n- owner: https://github.com/company\n  exclude: [\"*-old\"]\n  template:\n    monitor: {branches: [main]}", "discover:\n- owner: https://github.com/company\n  exclude: [\"*-old\"]\n  template:\n    monitor: {branches: [main]}"},
		{"groups:\n  shop:\n    deploy: all\n", "groups:\n  shop:\n    deploy: all"},
		{"polling_interval: soon", "polling_interval: soon"},
		{"repositories:\n  - name: web\n    monitor: {branches: [main], repo_url: https://example.com/a}\n    deploy:\n      commands:\n      - make", "repositories:\n  - name: web\n    monitor: {branches: [main], repo_url: https://example.com/a}\n    deploy:\n      commands:\n      - make"},
	} {
		if got := strings.TrimSuffix(read(Refused(one(c.text), nil)), "\n"); got != c.want {
			t.Errorf("of %q is shown\n%s\nwant\n%s", c.text, got, c.want)
		}
	}
	for _, text := range []string{"\xff\xfet\x00o\x00k\x00e\x00n\x00:\x00 \x00h\x00", "a\xff", "token\x00: x"} {
		if got := read(Of(one(text), nil)); got != "" {
			t.Errorf("of %q, which is no text, is shown %q", text, got)
		}
	}
}

// What is wrong is told without what looks like a token at the wrong place.
func TestNotesWithoutTokens(t *testing.T) {
	l := Refused(one("a: b"), config.Errors{{File: "sentry.yaml", Line: 1, Key: "ghp_hunter2hunter2hunter2", Message: "is no address: https://git:hunter2@example.com"}})
	if got := l.Notes[0].Text; strings.Contains(got, "hunter2") {
		t.Errorf("a note is %q", got)
	}
}

// Credentials are taken out of all that a view shows at once, however many notes there are, and each note keeps its place.
func TestHiddenAtOnce(t *testing.T) {
	var wrong config.Errors
	for i := range 90 {
		wrong = append(wrong, config.Error{File: "b.yaml", Line: 1 + i/9, Message: fmt.Sprintf("holds s3cr3t of %d", i)})
	}
	l := Refused(config.Files{{Name: "a.yaml", Text: []byte("a: b")}, {Name: "b.yaml", Text: []byte(strings.Repeat("- name: web\n", 10))}}, wrong)
	times := 0
	hide := func(text string) string {
		times++
		return strings.ReplaceAll(text, "s3cr3t", "[gone]")
	}
	n := 0
	for _, line := range l.Part(1, 1, hide) {
		for _, note := range line.Notes {
			if want := fmt.Sprintf("holds [gone] of %d", n); note.Text != want || note.Line != line.N {
				t.Errorf("line %d: %q, want %q", line.N, note.Text, want)
			}
			n++
		}
	}
	if first := l.First(50, hide); n != 90 || times != 2 || len(first) != 50 || first[49].Text != "holds [gone] of 49" {
		t.Errorf("%d notes at the lines, hidden in %d calls; the first are %v", n, times, first)
	}
	if !strings.Contains(l.Notes[0].Text, "s3cr3t") {
		t.Error("what is shown to one changes what there is")
	}
}

// A credential that stands where a long line is cut off is not shown in part.
func TestCutOff(t *testing.T) {
	const known = "T0ken-of-the-team-0123456789"
	for _, credential := range []string{known, "ghp_hunter2hunter2hunter2", "https://git:hunter2hunter2@example.com"} {
		for _, limit := range []int{maxLine, 2 * maxLine} {
			for _, blank := range []string{" ", "/"} {
				before := "# " + strings.Repeat("x", limit-14) + blank
				got := Of(one(before+credential+strings.Repeat(" x", maxLine)), nil).Part(0, 1, func(s string) string { return strings.ReplaceAll(s, known, "") })
				if text := got[0].Text; strings.Contains(text, "T0k") || strings.Contains(text, "ghp") || strings.Contains(text, "hunt") || !got[0].Cut || len(text) > maxLine {
					t.Errorf("of %q at byte %d is shown %q", credential, limit, text[max(0, len(text)-40):])
				}
			}
		}
	}
}

// A long line is read once, whatever it is made of: were it read again for each of its bytes, each of these would take minutes.
func TestLongLines(t *testing.T) {
	for _, c := range []struct{ begin, repeated string }{
		{"# ", "&"}, {"# ", ":*"}, {"# ", "token:*"}, {"# ", "*a &a "}, {"a: &a b\ntoken: *a\n# ", "&b"}, {"", "name : "}, {"", "{a: b, "}, {"", "{"},
		{"", "{token: ''"}, {"", "\"':"}, {"", "[\"\":"}, {"# ", "\""}, {"# ", "https://"}, {"# ", "${"}, {"", "token: ${A},"},
	} {
		const size = 512 << 10
		long := c.begin + strings.Repeat(c.repeated, size/len(c.repeated)) + strings.Repeat(": x@ ", size/20)
		read(Of(one(long), nil))
		read(Refused(one(long), nil))
	}
}

// The reference example is shown as it is, but for what only looks like a credential.
func TestExample(t *testing.T) {
	text, err := os.ReadFile("../../../examples/sentry.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var hidden []string
	was := strings.Split(string(text), "\n")
	for i, line := range strings.Split(read(Of(one(string(text)), nil)), "\n") {
		if line != was[i] {
			hidden = append(hidden, strings.TrimLeft(line, " #"))
		}
	}
	if want := []string{"resolver_params: {url: [hidden]", "workspaces: {kubeconfig: [hidden]", "headers: [hidden]"}; !slices.Equal(hidden, want) {
		t.Errorf("hidden is %q, want %q", hidden, want)
	}
}

// Of all files of the configuration's tests nothing is shown that stands at a key for credentials, unless it is a reference.
func TestFilesOfTests(t *testing.T) {
	archives, err := filepath.Glob("../testdata/*/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal(archives, err)
	}
	for _, archive := range archives {
		a, err := txtar.ParseFile(archive)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range a.Files {
			texts := one(string(f.Data))
			l := Of(texts, nil)
			if _, err := config.ParseFiles(texts, config.Options{LookupEnv: func(string) (string, bool) { return "value", true }, Hosts: hosts.All.Config()}); err != nil {
				errs, _ := errors.AsType[config.Errors](err)
				l = Refused(texts, errs)
			}
			if got := read(l); strings.Contains(got, "s3cr3t") || strings.Contains(got, "hush") {
				t.Errorf("%s: %s shows\n%s", archive, f.Name, got)
			}
		}
	}
}

// FuzzHidden has credentials of valid files hidden, whatever the files look like.
func FuzzHidden(f *testing.F) {
	for _, text := range []string{
		"repositories:\n- name: web\n  monitor:\n    repo_url: https://github.com/a/b\n    branches: [main]\n    auth:\n      token: |-\n        hunter2hunter2\n  deploy: {qa_repo_url: https://github.com/a/q, commands: [make]}\n",
		"repositories:\n- {name: web, monitor: {repo_url: https://github.com/a/b, branches: [main], auth: {\"token\":\"hunter2hunter2\"}}, deploy: {qa_repo_url: https://github.com/a/q, commands: [make]}}\n",
		"repositories:\n- name: web\n  webhook_url: https://example.com/hunter2hunter2\n  monitor: {repo_url: https://github.com/a/b, branches: [&t hunter2hunter2], auth: {? token : *t}}\n  deploy: {qa_repo_url: https://github.com/a/q, commands: [make]}\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l := Of(one(text), nil)
		got := read(l)
		read(Refused(one(text), nil))
		cfg, err := config.ParseFiles(one(text), config.Options{LookupEnv: func(string) (string, bool) { return "", true }, AllowUnsetAuth: true, Hosts: hosts.All.Config()})
		if err != nil {
			return
		}
		for _, r := range cfg.Repositories {
			for _, v := range []string{r.Monitor.Auth.Token.Text(), r.WebhookURL.Text()} {
				if len(v) >= len(planted) && strings.Contains(v, planted) && strings.Contains(got, v) {
					t.Errorf("of\n%s\nis shown\n%s", text, got)
				}
			}
		}
	})
}

// Parts are as long as they may be, hold all lines once, and everything leads to the part where it stands.
func TestParts(t *testing.T) {
	var b strings.Builder
	b.WriteString("groups:\n  shop:\n    deploy: all\n  'other': {}\nrepositories:\n")
	for i := range 500 {
		fmt.Fprintf(&b, "  - name: web-%d\n    group: shop\n    monitor: {repo_url: https://example.com/%d}\n", i, i)
	}
	b.WriteString("  - {name: \"last\", group: shop}\n# " + strings.Repeat("x", 200<<10) + "\nglobal: {}\n")
	l := Of(one(b.String()), []config.Warning{{File: "sentry.yaml", Line: 1507, Key: "b", Message: "no"}, {File: "sentry.yaml", Line: 3, Key: "a", Message: "hardly"}})
	f := l.Files()[0]
	if f.Lines != 1508 || f.Parts != 6 {
		t.Errorf("%d lines in %d parts, want 1508 in 6", f.Lines, f.Parts)
	}
	n := 0
	for part := 1; part <= f.Parts; part++ {
		for _, line := range l.Part(0, part, same) {
			if n++; line.N != n {
				t.Fatalf("line %d is the %dth", line.N, n)
			}
			if line.Cut != (n == 1507) || (len(line.Notes) > 0) != (n == 3 || n == 1507) {
				t.Errorf("line %d: %v", n, line)
			}
		}
	}
	for name, want := range map[string]Place{"web-0": {0, 1, 6}, "web-120": {0, 2, 366}, "last": {0, 6, 1506}} {
		if got, ok := l.Repository(name); !ok || got != want {
			t.Errorf("%s is at %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]Place{"shop": {0, 1, 2}, "other": {0, 1, 4}} {
		if got, ok := l.Group(name); !ok || got != want {
			t.Errorf("%s is at %v, want %v", name, got, want)
		}
	}
	if got, want := l.PlaceOf(l.Notes[1]), (Place{0, 6, 1507}); got != want {
		t.Errorf("the note is at %v, want %v", got, want)
	}
	if lines := l.Part(0, 7, same); lines != nil {
		t.Errorf("behind the last part: %v", lines)
	}
}

// BenchmarkRead reads the text of 10,000 repositories.
func BenchmarkRead(b *testing.B) {
	var text strings.Builder
	text.WriteString("repositories:\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "  - name: service-%05d\n    group: group-%d\n    monitor:\n      repo_url: https://github.com/company/service-%d\n      branches: [main, 'release-.*']   # as everywhere\n"+
			"      auth: {username: \"${GITHUB_USERNAME}\", token: \"${GITHUB_TOKEN}\"}\n    deploy:\n      qa_repo_url: https://github.com/company/qa\n      commands: ['./deploy --to production']\n", i, i/10, i)
	}
	files := one(text.String())
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		Of(files, nil).Files()
	}
}
