package pages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/cli/deeds"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton/logs"
	"github.com/tekton-sentry/sentry/pkg/event/logsink"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/pinned"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/serve/page/act"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/state/configmap"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

// Hands do things by the rights of one person: it is an act.Person. Their fields may be shared by those of several.
type Hands struct {
	// Config returns the configuration with its credentials, by which hosts are asked.
	Config func() (*config.Config, error)
	Heads  func(cfg *config.Config) *poller.Reader
	Logger *slog.Logger
	By     func(ctx context.Context, command string) audit.By

	// Cluster, Engine and State are by the person's rights. Without a cluster there are no runs to make or to end, and State is on this
	// machine.
	Cluster *kube.Cluster
	Engine  *tekton.Engine
	Store   func() (watch.Store, error)
	Saved   func(state.Snapshot) // is told of what was saved there; nil = nobody has to be
	Object  string               // the ConfigMap of the state
	Token   string               // that they came with, which no message repeats; "" = none
	Hide    func(string) string  // takes credentials out of what is printed; nil = it stays as it is
}

// On has them work on a cluster, with an engine of the same connection.
func (h *Hands) On(cluster *kube.Cluster, runs *tekton.Engine, of instance.Instance) {
	h.Cluster, h.Engine, h.Object = cluster, runs, of.State()
	h.Store = func() (watch.Store, error) { return configmap.New(cluster, of), nil }
}

// Own returns the address of a page on this machine for its own person. Browsers send a cookie to all ports of a host, and anybody of the
// machine may listen at one: of this name only who is told it knows.
func Own(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); err != nil || !ip.Equal(net.IPv4(127, 0, 0, 1)) && !ip.Equal(net.IPv6loopback) {
		return a.String() // the name would not lead there
	}
	return net.JoinHostPort("sentry-"+act.Word(16)+".localhost", port)
}

// Who implements act.Person.
func (h *Hands) Who(ctx context.Context) (string, act.Rights, error) {
	if h.Cluster == nil {
		return h.By(ctx, "page").Person(), act.Rights{Pause: true}, nil
	}
	var may act.Rights
	runs := h.Engine.Namespace()
	for _, a := range []struct {
		right *bool
		kube.Access
	}{
		{&may.Run, kube.Access{Verb: "create", Group: "tekton.dev", Resource: "pipelineruns", Namespace: runs}},
		{&may.Cancel, kube.Access{Verb: "patch", Group: "tekton.dev", Resource: "pipelineruns", Namespace: runs}},
		{&may.Pause, kube.Access{Verb: "update", Resource: "configmaps", Namespace: h.Cluster.Namespace, Name: h.Object}},
		{&may.Logs, kube.Access{Verb: "get", Resource: "pods", Subresource: "log", Namespace: runs}},
	} {
		allowed, err := h.Cluster.May(ctx, a.Access)
		if err != nil {
			err = h.told(err)
			if e, ok := errors.AsType[*kube.Error](err); ok && e.Kind == kube.Denied {
				err = fmt.Errorf("%w: %w", act.ErrNobody, err)
			}
			return "", act.Rights{}, err
		}
		*a.right = allowed
	}
	name := h.By(ctx, "page").Person()
	if name == "" {
		return "", act.Rights{}, errNameless
	}
	return name, may, nil
}

// errNameless says why nobody acts: a record of what was done names who did it.
var errNameless = errors.New("the cluster does not say now who you are (SelfSubjectReview), and nothing is done in nobody's name")

// told is an error as it is shown to the person.
func (h *Hands) told(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if e, ok := errors.AsType[*kube.Error](err); ok && e.Kind == kube.Denied {
		text = "the cluster does not let you do that; somebody who administers it can give you the right: " + text
	}
	if h.Token != "" {
		text = secret.Redact(text, h.Token)
	}
	return &telling{text, err}
}

// telling is an error in other words.
type telling struct {
	text string
	err  error
}

func (t *telling) Error() string { return t.text }
func (t *telling) Unwrap() error { return t.err }

// Plan implements act.Person.
func (h *Hands) Plan(ctx context.Context, f *facts.Facts, ask act.Ask) (act.Plan, error) {
	p, err := h.plan(ctx, f, ask)
	return p, h.told(err)
}

func (h *Hands) plan(ctx context.Context, f *facts.Facts, ask act.Ask) (act.Plan, error) {
	switch ask.Verb {
	case act.Cancel:
		return cancelOf(f, ask.Run)
	case act.Pause, act.Resume:
		return pauseOf(f, ask)
	}
	cfg, err := h.Config()
	if err != nil {
		return act.Plan{}, err
	}
	run, lead, err := h.run(ctx, cfg, f, ask)
	if err != nil {
		return act.Plan{}, err
	}
	if err := elsewhere(run.Group.Cluster); err != nil {
		return act.Plan{}, err
	}
	p := act.Plan{Unit: run.Unit.Label, Members: pinned.Of(run).List}
	if p.Planned, err = shown(cfg, f, run); err != nil {
		return p, err
	}
	p.Lead = lead
	p.Digest, err = digest(cfg, p.Unit, p.Members)
	return p, err
}

// run plans the run that somebody asks for. Its name is not that which it gets.
func (h *Hands) run(ctx context.Context, cfg *config.Config, f *facts.Facts, ask act.Ask) (plan.Run, string, error) {
	if ask.Verb == act.Trigger {
		names := []string{ask.Unit}
		if _, members := f.Members(ask.Unit); len(members) > 0 { // a repository may have the group's name
			names = nil
			for _, m := range members {
				names = append(names, m.Name)
			}
		} else if _, known := f.Unit(ask.Unit); !known {
			return plan.Run{}, "", fmt.Errorf("nothing is known of a unit %.80q", ask.Unit)
		}
		hosts := h.Heads(cfg)
		defer hosts.Close()
		runs, err := deeds.Runs(ctx, cfg, hosts, have{f.Snapshot}, h.Logger, deeds.Wanted{Names: names}, "")
		if err == nil && (len(runs) != 1 || runs[0].Unit.Label != ask.Unit) {
			err = fmt.Errorf("the configuration has no unit %.80q any more", ask.Unit)
		}
		if err != nil {
			return plan.Run{}, "", err
		}
		return runs[0], "Its newest commits are deployed, changed or not, with the configuration of today. A change that Sentry has not seen yet is deployed by it all the same.", nil
	}
	past, called := f.Past, ask.Run
	if ask.Verb == act.Rollback {
		past, called = slices.DeleteFunc(slices.Clone(past), func(r result.Result) bool { return r.Unit != ask.Unit }), ask.Unit
	} else if ask.Run == "" {
		return plan.Run{}, "", errors.New("no run is named")
	}
	was, err := deeds.Choice{Run: ask.Run, Failed: ask.Verb == act.Failed, Back: ask.Verb == act.Rollback}.Of(past, called)
	if err != nil {
		return plan.Run{}, "", err
	}
	run, err := deeds.Again(plan.Input{Config: cfg, Snapshot: f.Snapshot, Now: time.Now()}, was, "")
	lead := "The very commits of " + was.Name + " are deployed, with the configuration of today. The next push is deployed as usual."
	return run, lead, err
}

// have is a store that has been read already.
type have struct{ snapshot state.Snapshot }

func (s have) Load(context.Context) (state.Snapshot, error) { return s.snapshot, nil }
func (have) Save(context.Context, state.Snapshot) error     { return errors.ErrUnsupported }

// Do implements act.Person.
func (h *Hands) Do(ctx context.Context, f *facts.Facts, o act.Order) (string, error) {
	run, err := h.do(ctx, f, o)
	return run, h.told(err)
}

func (h *Hands) do(ctx context.Context, f *facts.Facts, o act.Order) (string, error) {
	command := o.Verb
	if command == act.Failed {
		command = act.Rerun
	}
	by := h.By(ctx, string(command))
	if h.Cluster != nil && by.Person() == "" {
		return "", errNameless
	}
	switch o.Verb {
	case act.Cancel:
		_, run := f.Run(o.Run)
		if run == nil {
			return "", fmt.Errorf("there is no run %.80q any more", o.Run)
		}
		if !run.Active {
			return "", fmt.Errorf("%s: %w", run.Name, deeds.ErrEnded)
		}
		if err := elsewhere(run.Cluster); err != nil {
			return "", err
		}
		return run.Name, deeds.Cancel(ctx, h.Engine, run.Existing, by, h.Logger)
	case act.Pause, act.Resume:
		return "", h.pause(ctx, f, o, by)
	}
	cfg, err := h.Config()
	if err != nil {
		return "", err
	}
	run, err := deeds.Again(plan.Input{Config: cfg, Snapshot: f.Snapshot, Now: time.Now()}, confirmed(cfg, o.Unit, o.Members), o.Word)
	if err != nil {
		return "", err
	}
	if err := elsewhere(run.Group.Cluster); err != nil {
		return "", err
	}
	run.By = by
	if h.made(ctx, run) {
		return run.Name, nil
	}
	if now, err := digest(cfg, o.Unit, o.Members); err != nil || now != o.Digest {
		return "", errors.Join(errors.New("nothing was done: the configuration changed since you were asked, and what would run is something else. Look again"), err)
	}
	err = deeds.Start(ctx, h.Engine, cfg, h.Logger, run)
	switch {
	case errors.Is(err, engine.ErrNameTaken): // it was made a moment ago, of the same form
		return run.Name, nil
	case errors.Is(err, context.DeadlineExceeded) && run.Group.OnBusy == config.CancelOld:
		return "", fmt.Errorf("the run before it was cancelled and has not ended yet; go back and confirm again in a moment: %w", err)
	case err != nil:
		return "", fmt.Errorf("%s: %w", run.Unit.Label, err)
	}
	logsink.Created(h.Logger, run, run.By)
	return run.Name, nil
}

// made reports whether the run is there already, as its form was sent before.
func (h *Hands) made(ctx context.Context, run plan.Run) bool {
	runs, err := h.Engine.Runs(ctx, []string{run.Unit.Label})
	return err == nil && slices.ContainsFunc(runs, func(r engine.Run) bool { return r.Name == run.Name })
}

func (h *Hands) pause(ctx context.Context, f *facts.Facts, o act.Order, by audit.By) error {
	verb, change := audit.Resumed, deeds.ResumeUnit
	if o.Verb == act.Pause {
		verb, change = audit.Paused, deeds.PauseUnit(o.Reason)
	}
	store, err := h.Store()
	if err != nil {
		return err
	}
	s, done, err := deeds.Apply(ctx, store, f.Config, deeds.IfPaused(o.Digest, change), []string{o.Unit}, by)
	if err != nil {
		return err
	}
	if h.Saved != nil {
		h.Saved(s)
	}
	if h.Cluster != nil {
		deeds.Tell(h.Logger, verb, done, by)
	}
	return nil
}

// Log implements act.Person.
func (h *Hands) Log(ctx context.Context, f *facts.Facts, run string, follow bool, out io.Writer) error {
	if h.Cluster == nil {
		return errors.New("on this machine 'sentry watch --local' prints what the commands do, and keeps the last lines of what failed")
	}
	ended, known := f.Run(run)
	switch {
	case known != nil && known.Cluster != "":
		return elsewhere(known.Cluster)
	case known == nil && ended != nil && ended.Cluster != "":
		return elsewhere(ended.Cluster)
	}
	const lines = 500 // of each step
	r := &logs.Reader{Cluster: h.Cluster, Namespace: h.Engine.Namespace(), Run: run, Follow: follow, Tail: lines, Hide: h.Hide, Out: out}
	return h.told(r.Print(ctx))
}

// elsewhere says why nothing is done in another cluster: the person's rights are of this one, and Sentry's own are lent to nobody.
func elsewhere(cluster string) error {
	if cluster == "" {
		return nil
	}
	return fmt.Errorf("its runs are in the cluster %s, in which the page does nothing for anybody: the commands on your machine do, such as 'sentry trigger'", cluster)
}

// cancelOf is what cancelling a run does.
func cancelOf(f *facts.Facts, name string) (p act.Plan, err error) {
	_, run := f.Run(name)
	if run == nil || !run.Active {
		return p, fmt.Errorf("no run %.80q is active", name)
	}
	if err := elsewhere(run.Cluster); err != nil {
		return p, err
	}
	p.Unit, p.Run = run.Unit, run.Name
	p.Lead = "Its tasks are stopped, and its finally tasks run. What was deployed stays, nothing is rolled back, and the commits count as acted upon."
	return p, nil
}

// pauseOf is what pausing or resuming a unit does.
func pauseOf(f *facts.Facts, ask act.Ask) (p act.Plan, err error) {
	p.Unit = ask.Unit
	u, known := f.Unit(ask.Unit)
	if !known {
		return p, fmt.Errorf("nothing is known of a unit %.80q", ask.Unit)
	}
	if ask.Verb == act.Pause {
		if paused := f.Snapshot.Units[u.Unit].Paused; paused != nil {
			p.Notes = append(p.Notes, words(paused)+" What you give as a reason takes the place of that; without one it stays.")
		}
		p.Digest = deeds.PausesOf(f.Snapshot, u.Unit)
		p.Lead = "Nothing runs in it until it is resumed. A run that is active goes on. What is pushed meanwhile waits, and the newest commit runs then."
		return p, nil
	}
	p.Lead = "What was pushed meanwhile runs with the next cycle: one run for the newest commit."
	repository := ""
	if group, _ := f.Members(u.Unit); group.Name == "" && len(u.Heads) > 0 {
		repository = u.Heads[0].Repository
	}
	pause := f.Snapshot.PausedAt(u.Unit, repository)
	if pause == nil {
		return p, fmt.Errorf("%.80s is not paused", u.Unit)
	}
	if f.Snapshot.Units[u.Unit].Paused == nil {
		p.Unit = state.AllOf(repository)
		p.Notes = append(p.Notes, "All of "+repository+" is paused: all of its branches are resumed.")
	}
	p.Notes = append(p.Notes, words(pause))
	if more := deeds.PausedBeside(f.Snapshot, p.Unit); len(more) > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%d of them are paused by themselves, and are resumed, too: %s.", len(more), strings.Join(more[:min(len(more), maxNamed)], ", ")))
	}
	p.Digest = deeds.PausesOf(f.Snapshot, p.Unit)
	return p, nil
}

// maxNamed bounds what a note names.
const maxNamed = 10

// words say of a pause since when it is, whose, and why.
func words(p *state.Pause) string {
	because := "It is paused since " + p.Since.UTC().Format(time.RFC3339)
	if p.By != "" {
		because += ", by " + p.By
	}
	if p.Reason != "" {
		because += ": " + p.Reason
	}
	return strings.TrimSuffix(because, ".") + "."
}
