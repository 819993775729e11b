package watch

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/enginetest"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/event/logsink"
	"github.com/tekton-sentry/sentry/pkg/filter"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

var update = flag.Bool("update", false, "write what the scripts of testdata/script print")

// TestScripts plays testdata/script: what happens around Sentry, and what it does then. A script is blocks: commands, a
// line ----, and all that they print, until an empty line. The commands are in commands_test.go. A cycle prints the
// hosts that are asked, the calls of the engine, the writes of the state and the log, in their order; a run is its
// unit and its number, and a commit one digit, seven times. Time is fake, and hosts answer in the order of the file.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d scripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var played string
			synctest.Test(t, func(t *testing.T) { played = newStory(t).play(string(text)) })
			if *update {
				if err := os.WriteFile(file, []byte(played), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if diff := cmp.Diff(strings.Split(string(text), "\n"), strings.Split(played, "\n")); diff != "" {
				t.Errorf("%s (-want +got; -update writes it):\n%s", file, diff)
			}
		})
	}
}

// story is a script that is played.
type story struct {
	*world
	file      file
	sentrys   map[string]*process            // by name
	key       naming.Key                     // that Sentry has at its next start
	printed   strings.Builder                // since the last ----
	names     map[string]string              // of runs: what is printed in their place
	meanwhile map[string][][]string          // commands before the next call of this kind
	down      map[string]map[string]repo.SHA // the heads of the hosts that are down
	refused   map[string]error               // by the units whose runs the engine refuses
	lost      bool                           // the next creation is done and has no answer
	taken     bool                           // the next name belongs to something else
	blind     bool                           // the engine lists nothing
	differ    map[string][]string            // paths, by the digits of two commits; reading others fails
	said      map[repo.SHA]string            // messages of commits; without one reading it fails
	acting    string                         // the prefix of the Sentry that has a cycle
}

func newStory(t *testing.T) *story {
	s := &story{
		world:   newWorld(t, "repositories:"+entry("none", "")),
		sentrys: map[string]*process{}, names: map[string]string{}, down: map[string]map[string]repo.SHA{}, meanwhile: map[string][][]string{}, refused: map[string]error{},
		said: map[repo.SHA]string{}, differ: map[string][]string{},
	}
	s.engine.Around, s.engine.Now = s.around, time.Now
	return s
}

// play does what the script says, and returns it with what it prints.
func (s *story) play(text string) string {
	var out strings.Builder
	expected := false // the line is one of the output that the script expects
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case line == "----\n":
			expected = true
			out.WriteString(line + s.told())
			continue
		case len(words) > 0 && expected:
			continue
		case len(words) > 0 && words[0][0] != '#':
			s.do(words)
		case len(words) == 0 && s.printed.Len() > 0:
			out.WriteString("----\n" + s.told())
		}
		expected = false
		out.WriteString(line)
	}
	if s.printed.Len() > 0 {
		out.WriteString("----\n" + s.told())
	}
	return out.String()
}

func (s *story) print(line string) { s.printed.WriteString(line + "\n") }

// told returns what was printed since it was called last.
func (s *story) told() string {
	text := s.printed.String()
	for name, shown := range s.names {
		text = strings.ReplaceAll(text, name, shown)
	}
	s.printed.Reset()
	return text
}

// before does what the script says is to happen before the next call of this kind.
func (s *story) before(kind string) {
	commands := s.meanwhile[kind]
	delete(s.meanwhile, kind)
	for _, words := range commands {
		s.do(words)
	}
}

// around stands between Sentry and the engine.
func (s *story) around(_ context.Context, call string, do func() error) error {
	s.print(s.acting + "engine: " + call)
	method, name, _ := strings.Cut(call, " ")
	if s.blind && method == "runs" {
		return nil
	}
	if method != "create" {
		return do()
	}
	s.before("create")
	if err := s.refused[strings.SplitN(s.names[name], "#", 2)[0]]; err != nil {
		return err
	}
	if s.taken {
		s.taken = false
		s.engine.Add(somethingElse(name))
	}
	if err := do(); err != nil || !s.lost {
		return err
	}
	s.lost = false
	return fmt.Errorf("the answer was lost")
}

// process is one Sentry of a story. It stands between the loop and the world.
type process struct {
	*story
	*enginetest.Fake
	prefix  string // of what it prints
	loaded  string // the state that it loaded
	watcher *Watcher
}

// parsed is what the file says.
func (s *story) parsed() *config.Config {
	cfg, err := config.Parse([]byte(s.file.yaml()), hosts.Options(nil))
	if err != nil {
		s.t.Fatal(err)
	}
	return cfg
}

func (s *story) start(name string) {
	p := &process{story: s, Fake: s.engine}
	if name != "sentry" {
		p.prefix = name + ": "
	}
	log, err := term.NewLog(p, "text", slog.LevelDebug)
	if err != nil {
		s.t.Fatal(err)
	}
	p.watcher = &Watcher{
		Config: s.parsed(), Heads: p, Store: p, Engine: p, Now: time.Now, Word: func() string { return "0123abcd" },
		Filter: &filter.Filter{Commits: p},
		Tell: func(e event.Event) {
			if due, ok := e.(event.RunDue); ok {
				p.note(due.Run)
			}
			logsink.Write(log, e)
		},
	}
	if key := s.key; key.Secret != "" {
		p.watcher.Key = func(context.Context) (naming.Key, error) { return key, nil }
	}
	s.sentrys[name] = p
}

// unseen is what the lines of the log have and scripts do not: the time, and how long a cycle took.
var unseen = regexp.MustCompile(`^\[\S+\] | \[duration=\S+\]`)

// Write gets the log. Of what is for debugging a script sees only the end of each cycle.
func (p *process) Write(line []byte) (int, error) {
	text := unseen.ReplaceAllString(strings.TrimSuffix(string(line), "\n"), "")
	if !strings.HasPrefix(text, "DEBUG: ") || strings.HasPrefix(text, "DEBUG: cycle done") {
		p.print(p.prefix + text)
	}
	return len(line), nil
}

// note has the run printed as its unit and its number.
func (p *process) note(run plan.Run) {
	p.names[run.Name] = fmt.Sprintf("%s#%d", run.Unit.Label, run.Trigger.Refs[0].N)
}

// Create implements Engine.
func (p *process) Create(ctx context.Context, cfg *config.Config, run plan.Run) (engine.Made, error) {
	p.note(run)
	return p.Fake.Create(ctx, cfg, run)
}

// Each implements Heads. Every URL is a server of its own, which answers at an instant of its own.
func (p *process) Each(ctx context.Context, want []config.Monitor, answered func(map[int]repo.Observation)) {
	pace := 100 * time.Millisecond
	if strings.HasPrefix(want[0].URL, "https://qa") {
		pace = time.Millisecond
	}
	time.Sleep(pace)
	var asked []string
	var now, held []int
	for i, m := range want {
		asked = append(asked, hostOf(m.Source))
		if p.hold[m.URL] == nil {
			now = append(now, i)
		} else {
			held = append(held, i)
		}
	}
	p.print(p.prefix + "heads: " + strings.Join(asked, " "))
	for _, i := range slices.Concat(now, held) {
		if wait := p.hold[want[i].URL]; wait != nil {
			<-wait
		}
		time.Sleep(pace)
		answered(map[int]repo.Observation{i: p.look(want[i])})
	}
}

// Messages implements filter.Commits.
func (p *process) Messages(_ context.Context, source config.Source, commits []repo.SHA) ([]string, error) {
	texts := make([]string, len(commits))
	for i, c := range commits {
		texts[i] = p.said[c]
	}
	p.print(fmt.Sprintf("%smessages: %s %s", p.prefix, hostOf(source), strings.Join(short(commits), " ")))
	if slices.Contains(texts, "") {
		return nil, errors.New("the commit is gone")
	}
	return texts, nil
}

// Diff implements filter.Commits.
func (p *process) Diff(_ context.Context, source config.Source, before, after repo.SHA, differs func(string) bool) error {
	p.print(fmt.Sprintf("%sdiff: %s %s..%s", p.prefix, hostOf(source), before.Short(), after.Short()))
	paths, known := p.differ[string(before[:1]+after[:1])]
	if !known {
		return errors.New("the commit is gone")
	}
	for _, path := range paths {
		if !differs(path) {
			break
		}
	}
	return nil
}

// hostOf is the name of the host that a repository is on.
func hostOf(s config.Source) string {
	return strings.TrimSuffix(strings.TrimPrefix(s.URL, "https://"), ".example/x")
}

func short(commits []repo.SHA) []string {
	var texts []string
	for _, c := range commits {
		texts = append(texts, c.Short())
	}
	return texts
}

// Load implements Store.
func (p *process) Load(ctx context.Context) (state.Snapshot, error) {
	s, err := p.store.Load(ctx)
	p.loaded = p.store.loaded
	return s, err
}

// Save implements Store.
func (p *process) Save(ctx context.Context, s state.Snapshot) error {
	p.before("save")
	p.store.loaded = p.loaded
	err := p.store.Save(ctx, s)
	p.loaded = p.store.loaded
	if err != nil {
		p.print(p.prefix + "state: not written: " + err.Error())
		return err
	}
	p.print(p.prefix + "state: written")
	return nil
}
