package watching

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/config"
	found "github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/config/files"
	"github.com/tekton-sentry/sentry/pkg/discover"
	foundbeside "github.com/tekton-sentry/sentry/pkg/discover/file"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/event/logsink"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea/giteatest"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/state/file"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

const discovered = `discover:
  - host: https://host.example
    repo_type: gitea
    owner: team
    match: 'svc-.*|_.*'
    template:
      deploy: {qa_repo_url: https://host.example/team/qa, repo_type: gitea, commands: [./deploy]}
`

// organisation is `sentry watch --local` of a host in memory that has owners' repositories. It is used in a bubble of time.
type organisation struct {
	*testing.T
	text   string // of the file
	api    *giteatest.API
	owned  map[string][]githost.OwnedRepository // what the host says that an owner has
	down   map[string]bool                      // it does not say it
	dir    string
	log    bytes.Buffer
	runs   []string // "REPOSITORY BRANCH SHA", as they were made
	stop   func()
	ended  chan struct{}
	sentry *watching
}

func newOrganisation(t *testing.T, text string) *organisation {
	o := &organisation{T: t, text: text, api: giteatest.New(), owned: map[string][]githost.OwnedRepository{}, down: map[string]bool{}, dir: t.TempDir()}
	o.push("team/qa", "f")
	return o
}

// start begins to watch, as a Sentry that was not there before but for what it keeps.
func (o *organisation) start() {
	o.Helper()
	w := watchingFile(o.T, o.text, &o.log)
	store := foundbeside.New(filepath.Join(o.dir, "state.json"))
	var known *found.Found
	if len(w.cfg.Discover) > 0 { // else it is not read
		var err error
		if known, err = store.Load(o.Context()); err != nil {
			o.Fatal(err)
		}
	}
	texts, err := files.Read(nil, w.Config.Names)
	if err != nil {
		o.Fatal(err)
	}
	if w.cfg, err = w.Parse(texts, known); err != nil {
		o.Fatal(err)
	}
	w.reader.Base = githosttest.Delayed{Handler: o.api, Latency: 5 * time.Millisecond}
	w.watcher = &watch.Watcher{
		Config: w.cfg, Heads: w.reader, Store: file.New(filepath.Join(o.dir, "state.json"), w.log), Engine: idle{}, Now: time.Now, Word: setup.Word,
		Tell: func(e event.Event) {
			logsink.Write(w.log, e)
			if made, ok := e.(event.RunCreated); ok {
				for _, m := range made.Run.Members {
					o.runs = append(o.runs, m.Repository.Name+" "+m.Branch+" "+string(m.SHA[:1]))
				}
			}
		},
	}
	w.finder = &discover.Finder{
		Ask: func(_ context.Context, _ config.Source, q githost.OwnedBy, _ *githost.Owned) (*githost.Owned, error) {
			if o.down[q.Owner] {
				return nil, errors.New("down for now")
			}
			return &githost.Owned{Repositories: slices.Clone(o.owned[q.Owner])}, nil
		},
		Store: store, Log: w.log, Used: func() { w.watcher.Ask(watch.Request{Repositories: []string{""}, Reason: "what was found"}) },
	}
	w.finder.Begin(known)
	w.watcher.Behind = w.finder.Behind
	w.again = w.reloader()
	ctx, stop := context.WithCancel(o.Context())
	w.watcher.Before = func(cycle bool) { w.before(ctx, cycle) }
	o.sentry, o.stop, o.ended = w, stop, make(chan struct{})
	wait := w.discover(ctx)
	go func() {
		w.watcher.Run(ctx)
		wait()
		w.reader.Close()
		close(o.ended)
	}()
}

// end ends it, as a signal does.
func (o *organisation) end() {
	o.stop()
	<-o.ended
}

// restart ends it, and starts another one.
func (o *organisation) restart() {
	o.end()
	o.start()
}

// found is the path of the document of what was found.
func (o *organisation) found() string { return filepath.Join(o.dir, "state.json.found") }

func (o *organisation) has(id, path string) {
	owner, _, _ := strings.Cut(path, "/")
	o.owned[owner] = append(o.owned[owner], githost.OwnedRepository{ID: id, Path: path, URL: "https://evil.example/" + path, DefaultBranch: "main"})
}

func (o *organisation) push(path, digit string) { o.api.Push(path, "main", strings.Repeat(digit, 40)) }

// expect waits for an hour and says what was made since it was called last, and what is watched.
func (o *organisation) expect(watched, runs string) {
	o.Helper()
	time.Sleep(time.Hour)
	synctest.Wait()
	var names []string
	for _, r := range o.sentry.watcher.Config.Repositories {
		names = append(names, r.Name)
	}
	if got := strings.Join(names, " "); got != watched {
		o.Errorf("watched is %q, want %q", got, watched)
	}
	if got := strings.Join(o.runs, ", "); got != runs {
		o.Errorf("the runs were %q, want %q", got, runs)
	}
	o.runs = nil
	if o.Failed() {
		o.Fatalf("the log:\n%s", &o.log)
	}
}

// Repositories of an owner come, are watched, are renamed and go without an edit and without a restart. Nothing that the host does makes one
// be forgotten that is there.
func TestOrganisationIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrganisation(t, discovered)
		o.push("team/svc-a", "1")
		o.has("1", "team/svc-a")
		o.has("9", "team/other")
		o.start()
		o.expect("svc-a", "")
		o.push("team/svc-a", "2")
		o.push("team/svc-b", "3")
		o.has("2", "team/svc-b")
		o.expect("svc-a svc-b", "svc-a main 2")
		o.push("team/svc-b", "4")
		o.expect("svc-a svc-b", "svc-b main 4")

		// The host that lists is down while Sentry restarts.
		o.down["team"] = true
		o.restart()
		o.push("team/svc-b", "5")
		o.expect("svc-a svc-b", "svc-b main 5")
		o.down["team"] = false
		kept := o.owned["team"]
		o.owned["team"] = nil
		o.expect("svc-a svc-b", "")

		// A name that another server's address is in, one that a shell would expand, and one that is taken.
		o.owned["team"] = append(slices.Clone(kept), githost.OwnedRepository{ID: "3", Path: "team/svc-x", DefaultBranch: "$(id)\n"},
			githost.OwnedRepository{ID: "4", Path: "team/_${HOME}", DefaultBranch: "main"}, githost.OwnedRepository{ID: "6", Path: "team/svc_A", DefaultBranch: "main"}, githost.OwnedRepository{ID: "7", Path: "team/_svc-a", DefaultBranch: "main"})
		o.expect("svc-a svc-b", "")

		o.owned["team"] = kept
		o.api.Rename("team/svc-a", "team/svc-z")
		for i := range kept {
			if kept[i].ID == "1" {
				kept[i].Path = "team/svc-z"
			}
		}
		o.expect("svc-a svc-b", "")
		o.push("team/svc-z", "6")
		o.expect("svc-a svc-b", "svc-a main 6")
		if url := o.sentry.watcher.Config.Repositories[0].Monitor.URL; url != "https://host.example/team/svc-z" {
			t.Errorf("it is read at %s", url)
		}

		time.Sleep(24 * time.Hour) // and those that were more than half are forgotten
		o.owned["team"] = slices.DeleteFunc(kept, func(r githost.OwnedRepository) bool { return r.ID == "2" })
		o.expect("svc-a", "")
		o.end()
		for _, want := range []string{"the owner has other repositories", "svc-b: is seen for the first time", "svc-b: is forgotten", "the host's list of repositories is not taken: it is empty", "going on with those that are known"} {
			if n := strings.Count(o.log.String(), want); n == 0 || n > 6 {
				t.Errorf("the log says %q %d times", want, n)
			}
		}
		if t.Failed() {
			t.Log(o.log.String())
		}
	})
}
