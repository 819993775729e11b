package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/garbage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/share"
	"github.com/tekton-sentry/sentry/pkg/state/file"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

// sentry is a whole Sentry but for the cluster: what it reads, plans and generates is real, what it
// creates is thrown away, and what it remembers goes into a file.
type sentry struct {
	watcher *watch.Watcher
	reader  *poller.Reader
	began   time.Time // when the first cycle did
}

// sweep is how many cycles it takes to read all repositories where the host tells what changed: one a minute
// and 15 minutes, as sentry.yaml has it unless it says otherwise.
const sweep = 15

func newSentry(s settings, transport http.RoundTripper) (*sentry, error) {
	garbage.Tolerate(garbage.Large + 1) // as the program does
	c, err := configuration(s)
	if err != nil {
		return nil, err
	}
	garbage.Tolerate(s.n)
	reader := &poller.Reader{
		Hosts:   hosts.All,
		Base:    transport,
		Timeout: 5 * time.Minute, // simulated latency is not what is measured
	}
	w := &watch.Watcher{
		Config: c,
		Heads:  reader,
		Store:  file.New(s.state, slog.New(slog.DiscardHandler)),
		Engine: ends{},
		Tell:   func(event.Event) {},
		Now:    time.Now,
		Word:   func() string { return "0123abcd" },
	}
	if s.replicas > 1 {
		owned := s.owned()
		reader.SetReplicas(s.replicas)
		w.Share = func() func(config.Repository) bool {
			return func(r config.Repository) bool { return owned(r.Name) }
		}
	}
	return &sentry{reader: reader, watcher: w}, nil
}

// cycle implements way: every repository is a unit of its own, so a run is a repository that changed.
func (s *sentry) cycle(ctx context.Context) (int, error) {
	// Cycles are less than a minute apart. For each to have the part of the sweep that a cycle a minute has,
	// the sweep is as much shorter.
	switch {
	case s.began.IsZero():
		s.began, s.reader.Sweep = time.Now(), sweep*time.Minute
	case s.reader.Sweep == sweep*time.Minute:
		s.reader.Sweep = sweep * time.Since(s.began)
	}
	report, err := s.watcher.RunOnce(ctx, watch.Request{})
	if err == nil && report.Failing+report.Problems+report.Waiting > 0 {
		err = fmt.Errorf("%d repositories could not be read, %d runs not made, %d wait", report.Failing, report.Problems, report.Waiting)
	}
	return len(report.Created), err
}

// name is that of the i-th repository.
func name(i int) string { return fmt.Sprintf("app-%05d", i) }

// owned returns whether this replica looks at the repository of a name.
func (s settings) owned() func(name string) bool {
	members := make([]string, max(1, s.replicas))
	for i := range members {
		members[i] = fmt.Sprintf("sentry-%d", i)
	}
	all := share.Of(members)
	return func(name string) bool { return all.Owner("", name) == members[s.replica] }
}

// configuration is that of s.n repositories on one server with one credential, read from a file as Sentry does.
func configuration(s settings) (*config.Config, error) {
	path, err := writeConfiguration(s)
	if err != nil {
		return nil, err
	}
	defer os.Remove(path)
	c, err := config.Load(config.Options{Hosts: hosts.All.Config(), LookupEnv: func(string) (string, bool) { return token, true }}, path)
	if err != nil {
		return nil, err
	}
	c.Warnings = nil // of each repository, that it is reached by plain http
	return c, nil
}

func writeConfiguration(s settings) (string, error) {
	f, err := os.CreateTemp("", "sentry-bench-*.yaml")
	if err != nil {
		return "", err
	}
	return f.Name(), errors.Join(printConfiguration(s, f), f.Close())
}

func printConfiguration(s settings, out io.Writer) error {
	w := bufio.NewWriter(out)
	fmt.Fprintln(w, "polling_interval: 60\nrepositories:")
	for i := range s.n {
		fmt.Fprintf(w, `  - name: %s
    monitor:
      repo_url: %[2]s/%[3]s
      branches: [%[4]s]
      repo_type: %[5]s
      auth: {token: "${TOKEN}"}
    deploy:
      qa_repo_url: %[2]s/%[6]s
      qa_repo_branch: %[7]s
      repo_type: %[5]s
      auth: {token: "${TOKEN}"}
      project_name: %[1]s
      commands:
        - cd ci
        - ./deploy.sh
`, name(i), s.url, path(i), strings.Join(branches, ", "), s.host, qa, qaBranch)
	}
	return w.Flush()
}

// ends is a watch.Engine whose runs end at once.
type ends struct{}

// Create implements watch.Engine.
func (ends) Create(_ context.Context, cfg *config.Config, run plan.Run) (engine.Made, error) {
	_, part, err := pipelinerun.Fit(cfg, run, pipelinerun.MaxMembers)
	return engine.Made{Run: part}, err
}

// Check implements watch.Engine.
func (ends) Check(*config.Config, plan.Run) error { return nil }

// Runs implements watch.Engine.
func (ends) Runs(context.Context, []string) ([]engine.Run, error) { return nil, nil }

// Cancel implements watch.Engine.
func (ends) Cancel(context.Context, string, string) error { return nil }

// Prune implements watch.Engine.
func (ends) Prune(context.Context, string, int) ([]plan.Existing, error) { return nil, nil }
