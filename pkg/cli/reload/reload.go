// Package reload notices that the configuration changed under a Sentry that runs: its file, the variables that it names, or what was found
// of repositories that nobody wrote down. What can be used is used, and of what cannot it is told why.
package reload

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/change"
	"github.com/tekton-sentry/sentry/pkg/cli/environ"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/config/files"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/oneline"
)

const (
	// settle is how long a text must have stayed the same before it counts: an editor may have written half of it, which can
	// be a valid file with fewer repositories.
	settle = time.Second
	// maxCompared is the largest file, in bytes, of which it is told which keys changed. Comparing takes some thirty times as much.
	maxCompared = 1 << 20
	// maxChanges bounds what is told of one change.
	maxChanges = 20
	// maxWhy bounds what is told of an error, in bytes.
	maxWhy = 2000
)

// Reloader reads the configuration again as it changes. Set its exported fields before the first Look.
type Reloader struct {
	Paths     []string     // files and folders; nil = they cannot be read again
	Texts     config.Files // that stand for them then; may be nil
	Variables *environ.Variables
	Config    *config.Config // that is used
	// Start is what the flags and the file said of the keys that are read at the start alone.
	Start config.Global
	// Parse reads texts as the start did, with the variables as they are.
	Parse func(config.Files, *discover.Found) (*config.Config, error)
	Found func() *discover.Found     // what is known of discover; may be nil
	Use   func(*config.Config) error // makes it the one that is used
	Ask   func()                     // wants a look at every repository
	// Refuse is told why what there is cannot be used; "" once it can.
	Refuse func(why string)
	// Taken is told of texts that are used, and Refused of those that cannot be, which are nil where they cannot be read.
	Taken   func(texts config.Files, cfg *config.Config)
	Refused func(texts config.Files, err error)
	Tell    func(event.Event)
	Log     *slog.Logger
	Now     func() time.Time

	hurry atomic.Bool

	texts   config.Files // of Config; nil where they are too large to be compared, or were not read here
	looked  files.Seen   // the files before they were read last
	seen    string       // the hash of what was read last, or why it cannot be read
	since   time.Time    // when that was read first
	settled bool         // that it has stayed so
	wrong   error        // why it cannot be used
	found   string       // the Hash of what was found as it was looked at last

	stale    bool   // that the variables changed since they were used
	failed   string // why they cannot be used
	failedAt time.Time

	told string // to Refuse
}

// Hurry has the next Look take what is there as complete. It may be called at any time.
func (r *Reloader) Hurry() { r.hurry.Store(true) }

// Look takes up what changed. Nothing of it takes long as long as nothing changes.
func (r *Reloader) Look() {
	now, hurry := r.Now(), r.hurry.Swap(false)
	changed, err := r.Variables.Read()
	r.stale = r.stale || changed
	taken := r.read(now, changed, hurry)
	if err == nil && r.stale {
		err = r.renew()
	}
	switch {
	case r.wrong != nil:
		r.refuse(r.wrong)
	case err == nil:
		r.failed = ""
		r.restored(taken)
	case r.failing(err, now) || hurry:
		r.refuse(err)
	}
}

// read reads the files where they may have changed, and uses them once they have settled. It keeps in wrong why that cannot be.
func (r *Reloader) read(now time.Time, variables, hurry bool) (taken bool) {
	found := r.known()
	anew := found.Hash != r.found
	there, err := files.Look(r.Paths)
	waits := variables && r.wrong != nil // for a variable, perhaps
	again := r.Paths != nil && there.Regular()
	if err == nil && !anew && (!again || r.settled && there.Same(r.looked) && !waits) {
		return false
	}
	texts := r.Texts
	if again || err != nil {
		r.looked = there
		texts, err = files.Read(nil, r.Paths)
	} else if texts == nil {
		return false
	}
	hash := texts.Hash()
	if err != nil {
		hash = err.Error()
	}
	if hash != r.seen {
		r.seen, r.since = hash, now
	}
	r.settled = hurry || now.Sub(r.since) >= settle || err == nil && !again
	if err == nil && r.settled {
		r.found = found.Hash
	}
	switch {
	case err == nil && config.Hash(texts, found) == r.Config.Hash:
		if r.wrong, r.found = nil, found.Hash; r.Taken != nil {
			r.Taken(texts, r.Config)
		}
		r.keep(texts)
	case !r.settled:
	default:
		if r.wrong = err; err == nil {
			r.wrong = r.take(texts, found)
		}
		if r.wrong != nil && r.Refused != nil {
			r.Refused(texts, r.wrong)
		}
		return r.wrong == nil
	}
	return false
}

// known returns what was found.
func (r *Reloader) known() *discover.Found {
	if r.Found != nil {
		if found := r.Found(); found != nil {
			return found
		}
	}
	return &discover.Found{}
}

func (r *Reloader) keep(texts config.Files) {
	if r.texts = texts; texts.Size() > maxCompared {
		r.texts = nil
	}
}

// take uses texts, and tells what that changes.
func (r *Reloader) take(texts config.Files, found *discover.Found) error {
	next, err := r.Parse(texts, found)
	if err != nil {
		return err
	}
	kept := r.keepStart(next)
	changes, known := r.changes(next, texts)
	changes = slices.DeleteFunc(changes, func(c string) bool {
		return slices.ContainsFunc(kept, func(key string) bool { return strings.HasPrefix(c, key+": ") })
	})
	if err := r.Use(next); err != nil {
		return fmt.Errorf("%s: %w", files.Name(r.Paths), err)
	}
	onlyNow := next.Decides(0) && !r.Config.Decides(0) // it may take up what was found, which is looked at in vain before
	alike := next.Files == r.Config.Files && known && len(changes) == 0
	r.Config, r.stale = next, false
	r.keep(texts)
	if r.Taken != nil {
		r.Taken(texts, next)
	}
	if len(changes) > 0 || !known || onlyNow {
		r.Ask()
	}
	if alike && r.told == "" {
		return nil // nobody sees anything of it
	}
	if more := len(changes) - maxChanges; more > 0 {
		changes = append(changes[:maxChanges:maxChanges], fmt.Sprintf("%d more, which 'sentry diff' shows", more))
	}
	r.Tell(event.ConfigurationChanged{File: files.Name(r.Paths), Changes: changes, Kept: kept})
	return nil
}

// keepStart has a configuration say what was read at the start alone as it was then, and returns the keys at which it said something else.
func (r *Reloader) keepStart(next *config.Config) []string {
	g, used := &next.Global, r.Config.Global
	var kept []string
	for _, setting := range []struct {
		key         string
		now         *string
		start, used string
	}{
		{"global.namespace", &g.Namespace, r.Start.Namespace, used.Namespace},
		{"global.run_namespace", &g.RunNamespace, r.Start.RunNamespace, used.RunNamespace},
		{"global.instance", &g.Instance, r.Start.Instance, used.Instance},
	} {
		if *setting.now != setting.start {
			kept = append(kept, setting.key)
		}
		*setting.now = setting.used
	}
	return kept
}

// changes tells what texts change, and whether that is all.
func (r *Reloader) changes(next *config.Config, texts config.Files) (changes []string, all bool) {
	if r.texts != nil && r.texts.Hash() == texts.Hash() {
		all = true // and only what was found is something else
	} else if r.texts != nil && texts.Size() <= maxCompared {
		before, err := config.Settings(r.texts, hosts.All.Config())
		if err == nil {
			var after map[string]config.Setting
			if after, err = config.Settings(texts, hosts.All.Config()); err == nil {
				changes = change.KeysInBrief(before, after)
			}
		}
		all = err == nil
	}
	return append(changes, change.Meaning(r.Config, next)...), all
}

// renew uses the variables as they are.
func (r *Reloader) renew() error {
	renewed, err := r.Config.Renew(r.Variables.Lookup)
	if err == nil {
		err = r.Use(renewed)
	}
	if err != nil {
		return fmt.Errorf("the variables cannot be used: %w", err)
	}
	r.Config, r.stale = renewed, false
	r.Log.Info("variables changed; using the new ones", "dir", r.Variables.Dir)
	return nil
}

// failing reports whether the variables are wrong for longer than it takes to write them.
func (r *Reloader) failing(err error, now time.Time) bool {
	if why := err.Error(); why != r.failed {
		r.failed, r.failedAt = why, now
	}
	return now.Sub(r.failedAt) >= settle
}

// refuse tells why what there is cannot be used, once.
func (r *Reloader) refuse(err error) {
	why := oneline.Of(err.Error(), maxWhy)
	if es, ok := errors.AsType[config.Errors](err); ok && len(es) > 1 {
		why = fmt.Sprintf("%s (and %d more; 'sentry validate' has them all)", oneline.Of(es[0].Error(), maxWhy), len(es)-1)
	}
	if why == r.told {
		return
	}
	r.told = why
	r.Tell(event.ConfigurationRefused{Why: why})
	r.Refuse("not used, and Sentry goes on as before: " + why)
}

// restored tells that what there is can be used again.
func (r *Reloader) restored(taken bool) {
	if r.told == "" {
		return
	}
	r.told = ""
	r.Refuse("")
	if !taken {
		r.Tell(event.ConfigurationChanged{File: files.Name(r.Paths)})
	}
}
