package reload

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/environ"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
)

const base = `polling_interval: 60
repositories:
  - name: web
    monitor: {repo_url: https://github.com/company/web, branches: [main], auth: {token: "${TOKEN}"}}
    deploy: {qa_repo_url: https://github.com/company/qa, commands: [./deploy]}
`

const more = `  - name: api
    monitor: {repo_url: https://github.com/company/api, branches: [main]}
    deploy: {qa_repo_url: https://github.com/company/qa, commands: [./deploy]}
`

// sentry is a Sentry that runs by a file, and what it is told.
type sentry struct {
	*testing.T
	*Reloader
	file  string
	clock time.Time
	told  []string // since the last step
	asked int
	uses  []string // hashes of what was used
	fails error    // of Use
}

func newSentry(t *testing.T, text string) *sentry {
	s := &sentry{T: t, clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s.file = filepath.Join(t.TempDir(), "sentry.yaml")
	s.Reloader = &Reloader{
		Paths: []string{s.file}, Variables: &environ.Variables{Dir: t.TempDir()},
		Use: func(c *config.Config) error {
			if s.fails == nil {
				s.uses = append(s.uses, c.Hash)
			}
			return s.fails
		},
		Ask:    func() { s.asked++ },
		Refuse: func(why string) { s.told = append(s.told, fmt.Sprintf("state: %s", why)) },
		Tell: func(e event.Event) {
			switch e := e.(type) {
			case event.ConfigurationChanged:
				s.told = append(s.told, "changed: "+strings.Join(e.Changes, "; "))
				if len(e.Kept) > 0 {
					s.told = append(s.told, "kept: "+strings.Join(e.Kept, "; "))
				}
			case event.ConfigurationRefused:
				s.told = append(s.told, "refused: "+e.Why)
			}
		},
		Log: slog.New(slog.NewTextHandler(noted{s}, nil)), Now: func() time.Time { return s.clock },
	}
	s.Parse = func(texts config.Files, known *discover.Found) (*config.Config, error) {
		for i := range texts {
			if texts[i].Name = filepath.Base(texts[i].Name); len(texts) == 1 {
				texts[i].Name = ""
			}
		}
		return config.ParseFiles(texts, config.Options{LookupEnv: s.Variables.Lookup, Hosts: hosts.All.Config(), Found: known})
	}
	s.variable("TOKEN", "hush-1")
	s.write(text)
	if _, err := s.Variables.Read(); err != nil {
		t.Fatal(err)
	}
	cfg, err := s.Parse(config.Files{{Text: []byte(text)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Config, s.Start = cfg, cfg.Global
	s.look()
	return s
}

// noted takes the log.
type noted struct{ s *sentry }

func (n noted) Write(line []byte) (int, error) {
	_, text, _ := strings.Cut(strings.TrimSpace(string(line)), "msg=")
	n.s.told = append(n.s.told, "log: "+text)
	return len(line), nil
}

func (s *sentry) write(text string) {
	s.Helper()
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
}

func (s *sentry) variable(name, value string) {
	s.Helper()
	if err := os.WriteFile(filepath.Join(s.Variables.Dir, name), []byte(value), 0o600); err != nil {
		s.Fatal(err)
	}
}

// look looks, ten seconds after the last time.
func (s *sentry) look() {
	s.clock = s.clock.Add(10 * time.Second)
	s.Look()
}

// expect compares what was told since it was called last.
func (s *sentry) expect(what string, asked int, want ...string) {
	s.Helper()
	for i := range s.told {
		s.told[i] = strings.ReplaceAll(s.told[i], s.file, "FILE")
		if strings.Contains(s.told[i], "hush") {
			s.Errorf("%s: a secret is told: %s", what, s.told[i])
		}
	}
	if !slices.Equal(s.told, want) || s.asked != asked {
		s.Errorf("%s: %d looks were asked for, and it was told\n%q\nwant %d and\n%q", what, s.asked, s.told, asked, want)
	}
	s.told, s.asked = nil, 0
}

// What of a file can be used is used, once it has settled; of what cannot be it is told why, once.
func TestFile(t *testing.T) {
	const (
		seen    = "api: is seen for the first time: its heads are recorded, and nothing runs (on_first_seen)."
		notUsed = "state: not used, and Sentry goes on as before: "
		wrong   = "line 1: polling_interval: is \"soon\"; want seconds as a whole number, 60 to 604800"
		other   = "line 1: polling_interval: is \"late\"; want seconds as a whole number, 60 to 604800"
	)
	s := newSentry(t, base)
	s.expect("at the start", 0)
	for _, step := range []struct {
		what, text string
		asked      int
		want       []string
	}{
		{"the same text", base, 0, nil},
		{"other words", "# more\n" + base, 0, []string{"changed: "}},
		{"a number", strings.Replace(base, "60", "90", 1), 1, []string{"changed: polling_interval: 60 -> 90"}},
		{"a repository", base + more, 1, []string{"changed: polling_interval: 90 -> 60; + repositories.api; " + seen}},
		{"a command", strings.Replace(base, "./deploy", "./deploy hush", 1) + more, 1, []string{"changed: repositories.web.deploy.commands: changed"}},
		{"as at the start", base, 1, []string{"changed: - repositories.api; repositories.web.deploy.commands: changed; api: is forgotten; its PipelineRuns stay, and nobody prunes them."}},
		{"a mistake", strings.Replace(base, "60", "soon", 1), 0, []string{"refused: " + wrong, notUsed + wrong}},
		{"the same mistake", strings.Replace(base, "60", "soon", 1) + "# more", 0, nil},
		{"another mistake", strings.Replace(base, "60", "late", 1), 0, []string{"refused: " + other, notUsed + other}},
		{"as it was", base, 0, []string{"state: ", "changed: "}},
		{"a mistake again", strings.Replace(base, "60", "soon", 1), 0, []string{"refused: " + wrong, notUsed + wrong}},
		{"and mended", strings.Replace(base, "60", "90", 1), 1, []string{"changed: polling_interval: 60 -> 90", "state: "}},
		{"two mistakes", strings.NewReplacer("60", "soon", "[main]", "[]").Replace(base), 0, []string{
			"refused: " + wrong + " (and 1 more; 'sentry validate' has them all)", notUsed + wrong + " (and 1 more; 'sentry validate' has them all)"}},
		{"back", base, 1, []string{"changed: polling_interval: 90 -> 60", "state: "}},
	} {
		s.write(step.text)
		s.look()
		if step.text != base {
			s.expect(step.what+", which may be half of a file", 0)
		}
		s.look()
		s.look()
		s.expect(step.what, step.asked, step.want...)
	}
}

// An editor empties the file and writes it in parts, each of which may be valid. Nothing is told but of the whole.
func TestHalfWrittenFile(t *testing.T) {
	s := newSentry(t, base+more)
	whole := base + more + strings.ReplaceAll(more, "api", "lib")
	for _, part := range []string{"", "repositories:", base, base + more + "  - name", whole} {
		s.write(part)
		s.look()
	}
	s.expect("while it is written", 0)
	s.look()
	s.expect("once it is whole", 1, "changed: + repositories.lib; lib: is seen for the first time: its heads are recorded, and nothing runs (on_first_seen).")
	if len(s.uses) != 1 {
		t.Errorf("%d configurations were used, want the whole one", len(s.uses))
	}
	// Two looks within a moment are one.
	s.write(base)
	s.look()
	s.Look()
	s.expect("within a moment", 0)
	// Who says that it is complete need not wait.
	s.write("")
	s.Hurry()
	s.Look()
	const why = "line 1: the file is empty; want at least repositories"
	s.expect("in a hurry", 0, "refused: "+why, "state: not used, and Sentry goes on as before: "+why)
	s.write(base + more)
	s.Hurry()
	s.Look()
	s.expect("in a hurry", 1, "changed: - repositories.lib; lib: is forgotten; its PipelineRuns stay, and nobody prunes them.", "state: ")
}

// The kubelet replaces the folder of a mounted ConfigMap by moving a link.
func TestMountedFile(t *testing.T) {
	s := newSentry(t, base)
	dir := t.TempDir()
	mount := func(name, text string) {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "sentry.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(dir, "..data_tmp")
		if err := os.Symlink(name, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	mount("1", base)
	s.file = filepath.Join(dir, "sentry.yaml")
	s.Paths = []string{s.file}
	if err := os.Symlink(filepath.Join("..data", "sentry.yaml"), s.file); err != nil {
		t.Fatal(err)
	}
	s.look()
	s.look()
	s.expect("as it is", 0)
	mount("2", strings.Replace(base, "60", "90", 1))
	s.look()
	s.look()
	s.expect("replaced", 1, "changed: polling_interval: 60 -> 90")
	if err := os.Remove(filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	s.look()
	s.look()
	s.look()
	const why = "read the configuration: open FILE: no such file or directory"
	s.expect("gone", 0, "refused: "+why, "state: not used, and Sentry goes on as before: "+why)
	mount("3", strings.Replace(base, "60", "90", 1))
	s.look()
	s.expect("there again", 0, "state: ", "changed: ")
}

// All files and folders are looked at. What a file of a folder brings, changes and takes away is used as what one file says is.
func TestSeveralFiles(t *testing.T) {
	s := newSentry(t, base)
	dir := t.TempDir()
	team := filepath.Join(dir, "api.yaml")
	write := func(text string) {
		if err := os.WriteFile(team, []byte("repositories:\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(more)
	s.Paths = []string{s.file, dir}
	s.look()
	s.look()
	const seen = "api: is seen for the first time: its heads are recorded, and nothing runs (on_first_seen)."
	s.expect("a folder", 1, "changed: + repositories.api; "+seen)
	write(strings.Replace(more, "./deploy", "./other", 1))
	s.look()
	s.look()
	s.expect("a command in the folder", 1, "changed: repositories.api.deploy.commands: changed")
	s.write(strings.Replace(base, "60", "90", 1))
	s.look()
	s.look()
	s.expect("a number in the file", 1, "changed: polling_interval: 60 -> 90")
	write(strings.ReplaceAll(more, "api", "web"))
	s.look()
	s.look()
	const twice = "api.yaml:2: repositories[0].name: is the name of repositories[0] of sentry.yaml too; want another for each"
	s.expect("a name of the file", 0, "refused: "+twice, "state: not used, and Sentry goes on as before: "+twice)
	if err := os.Rename(team, filepath.Join(dir, "api.bak")); err != nil {
		t.Fatal(err)
	}
	s.look()
	s.look()
	why := "read the configuration: the folder " + dir + " has no file that ends in .yaml or .yml"
	s.expect("a folder that is empty", 0, "refused: "+why, "state: not used, and Sentry goes on as before: "+why)
	if len(s.Config.Repositories) != 2 {
		t.Errorf("%d repositories are left", len(s.Config.Repositories))
	}
}

// Where Sentry and its runs are is read at the start: the client, the state and the key are made by it.
func TestWhatIsReadAtTheStart(t *testing.T) {
	s := newSentry(t, "global: {run_namespace: runs}\n"+base)
	s.Config.Global.Namespace = "current" // as the connection to the cluster found out
	s.write("global: {namespace: other, run_namespace: others, instance: b, keep_runs: 5}\n" + base)
	s.look()
	s.look()
	s.expect("another place", 1, "changed: global.keep_runs: 20 -> 5", "kept: global.namespace; global.run_namespace; global.instance")
	if g := s.Config.Global; g.Namespace != "current" || g.RunNamespace != "runs" || g.Instance != "" || g.KeepRuns != 5 {
		t.Errorf("used are namespace %q, run_namespace %q, instance %q and keep_runs %d", g.Namespace, g.RunNamespace, g.Instance, g.KeepRuns)
	}
	s.write("global: {run_namespace: runs, keep_runs: 6}\n" + base)
	s.look()
	s.look()
	s.expect("the place of the start", 1, "changed: global.instance: b -> (none); global.keep_runs: 5 -> 6; global.namespace: other -> (none); global.run_namespace: others -> runs")
}

// Variables that change are used; those that are gone are told of once they are not just being written. A file may wait for them.
func TestVariables(t *testing.T) {
	const used = `log: "variables changed; using the new ones" dir=`
	s := newSentry(t, base)
	token := func() string { return s.Config.Repositories[0].Monitor.Auth.Token.Reveal() }
	s.variable("TOKEN", "hush-2")
	s.look()
	s.expect("another token", 0, used+s.Variables.Dir)
	s.variable("TOKEN", "")
	s.look()
	s.variable("TOKEN", "hush-3")
	s.look()
	s.expect("a token that is written", 0, used+s.Variables.Dir)
	s.variable("TOKEN", "")
	s.look()
	s.look()
	s.look()
	const empty = "the variables cannot be used: TOKEN is empty"
	s.expect("no token", 0, "refused: "+empty, "state: not used, and Sentry goes on as before: "+empty)
	if token() != "hush-3" {
		t.Error("the token of before is not used any more")
	}
	s.variable("TOKEN", "hush-4")
	s.look()
	s.expect("a token again", 0, used+s.Variables.Dir, "state: ", "changed: ")

	s.write(strings.Replace(base, "${TOKEN}", "${NEXT}", 1))
	s.look()
	s.look()
	if len(s.told) != 2 || !strings.Contains(s.told[0], "NEXT") {
		t.Errorf("of a file that names a variable which is not there it is told %q", s.told)
	}
	s.told = nil
	s.variable("TOKEN", "hush-5")
	s.look()
	s.expect("a token of before meanwhile", 0, used+s.Variables.Dir)
	if err := os.Remove(filepath.Join(s.Variables.Dir, "TOKEN")); err != nil {
		t.Fatal(err)
	}
	s.variable("NEXT", "hush-6")
	s.look()
	s.expect("its variable comes", 1, "changed: repositories.web.monitor.auth.token: ${TOKEN} -> ${NEXT}", "state: ")
	if token() != "hush-6" {
		t.Error("the token of the new file is not used")
	}
}

// Whoever shows the text of the configuration is told of each that is used, and of each that is refused.
func TestTexts(t *testing.T) {
	s := newSentry(t, base)
	var told []string
	s.Taken = func(texts config.Files, cfg *config.Config) {
		told = append(told, fmt.Sprintf("taken: %d bytes, as %t", texts.Size(), texts.Hash() == cfg.Hash))
	}
	s.Refused = func(texts config.Files, err error) {
		told = append(told, fmt.Sprintf("refused: %d bytes: %.40s", texts.Size(), strings.ReplaceAll(err.Error(), s.file, "FILE")))
	}
	wrong := strings.Replace(base, "60", "soon", 1)
	taken := fmt.Sprintf("taken: %d bytes, as true", len(base))
	for _, step := range []struct {
		what string
		do   func()
		want []string
	}{
		{"nothing", func() {}, []string{taken}},
		{"a mistake", func() { s.write(wrong) }, []string{fmt.Sprintf("refused: %d bytes: line 1: polling_interval: is \"soon\"; wan", len(wrong))}},
		{"what it was", func() { s.write(base) }, []string{taken, taken}},
		{"another text", func() { s.write(base + "\n#") }, []string{fmt.Sprintf("taken: %d bytes, as true", len(base)+2)}},
		{"no file", func() {
			if err := os.Remove(s.file); err != nil {
				t.Fatal(err)
			}
		}, []string{"refused: 0 bytes: read the configuration: open FILE: no su"}},
	} {
		told = nil
		step.do()
		s.look()
		s.look()
		if !slices.Equal(told, step.want) {
			t.Errorf("%s: told %q, want %q", step.what, told, step.want)
		}
	}
}

// What was started may not work by every valid configuration.
func TestUseFails(t *testing.T) {
	s := newSentry(t, base)
	s.fails = errors.New("no webhook can be taken")
	s.write(base + more)
	s.look()
	s.look()
	const why = "FILE: no webhook can be taken"
	s.expect("refused", 0, "refused: "+why, "state: not used, and Sentry goes on as before: "+why)
	if len(s.Config.Repositories) != 1 {
		t.Errorf("%d repositories are in use, want 1", len(s.Config.Repositories))
	}
}

// Of a large file it is told what the change means for what is watched, without every key; and of a large change not all.
func TestLargeFile(t *testing.T) {
	s := newSentry(t, base)
	var many strings.Builder
	many.WriteString(base)
	for i := range 3000 {
		many.WriteString(strings.ReplaceAll(more+strings.Repeat("#", 200)+"\n", "api", fmt.Sprint("r", i)))
	}
	s.write(many.String())
	s.look()
	s.look()
	if s.asked != 1 || len(s.told) != 1 || strings.Count(s.told[0], "; ") != maxChanges || !strings.HasSuffix(s.told[0], "2980 more, which 'sentry diff' shows") {
		t.Errorf("%d looks, told %q", s.asked, s.told)
	}
}

// What has not changed is not read, and Sentry reads no standard input and no pipe again.
func TestNothingChanges(t *testing.T) {
	s := newSentry(t, base)
	s.look()
	s.look()
	s.Parse = func(config.Files, *discover.Found) (*config.Config, error) { t.Error("it is parsed"); return nil, nil }
	for _, s.Paths = range [][]string{{s.file}, nil, {os.DevNull}} {
		for range 3 {
			s.look()
		}
	}
	s.expect("nothing", 0)
}
