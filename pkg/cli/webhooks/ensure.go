package webhooks

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// Action is what was done about the webhooks of a repository, or would be.
type Action string

// The actions.
const (
	Created   Action = "created"
	Repaired  Action = "repaired"
	Unchanged Action = "unchanged"
	Removed   Action = "removed"
	Absent    Action = "absent" // there was none to remove
	Skipped   Action = "skipped"
	Failed    Action = "failed"
)

// Row is one repository on its host, for people and machines.
type Row struct {
	Names  []string `json:"names"` // in the configuration
	URL    string   `json:"url"`
	Action Action   `json:"action"`
	Detail string   `json:"detail,omitempty"`
}

const (
	// timeout bounds one request, with what is sent again.
	timeout = 30 * time.Second
	// patience is how long the first answer of a host keeps the other requests waiting.
	patience = 3 * time.Second
	// maxDetail bounds what is said of a repository, in bytes.
	maxDetail = 400
)

// task is what is to be done.
type task struct {
	base     *url.URL
	secret   secret.Value
	remove   bool
	dry      bool
	version  string
	network  *transport.Network
	accounts map[githost.Account]opened
}

// opened is the host of an account. hooks is nil where the host manages none, or where it could not be opened.
type opened struct {
	hooks  githost.Hooks
	err    error
	minted *atomic.Pointer[string] // the newest token that was made by a GitHub App; nil = none yet
}

// run does it for the repositories, those of different hosts at the same time, and returns a row each, in their order.
func (k *task) run(ctx context.Context, repositories []config.Repository) []Row {
	var rows []*Row
	work := map[githost.Account][]func(){}
	known := map[string]*Row{}
	for _, r := range repositories {
		driver := hosts.All.Of(r.Monitor.Type)
		account := driver.AccountOf(r.Monitor.Source)
		key := account.Origin + "/" + strings.ToLower(strings.TrimSuffix(driver.Key(r.Monitor.URL), ".git"))
		if row := known[key]; row != nil {
			row.Names = append(row.Names, r.Name)
			continue
		}
		row := &Row{Names: []string{r.Name}, URL: r.Monitor.URL}
		known[key] = row
		rows = append(rows, row)
		work[account] = append(work[account], func() {
			row.Action, row.Detail = k.one(ctx, driver, r.Monitor.Source)
		})
	}
	for account := range work { // before any of them is worked on: all read what this writes
		k.open(account, repositories)
	}
	var wait sync.WaitGroup
	for _, todo := range work {
		wait.Go(func() {
			for _, do := range todo {
				do()
			}
		})
	}
	wait.Wait()
	done := make([]Row, len(rows))
	for i, row := range rows {
		done[i] = *row
	}
	return done
}

// open opens the host of an account that manages webhooks.
func (k *task) open(account githost.Account, repositories []config.Repository) {
	i := slices.IndexFunc(repositories, func(r config.Repository) bool {
		return hosts.All.Of(r.Monitor.Type).AccountOf(r.Monitor.Source) == account
	})
	driver, auth := hosts.All.Of(account.Type), repositories[i].Monitor.Auth
	minted := new(atomic.Pointer[string])
	e := githost.Endpoint{Account: account, Auth: auth, Minted: func(token string) { minted.Store(&token) }}
	gate := transport.NewGate(http.RoundTripper(k.network.Transport()), e, patience)
	gate.Begin(time.Now(), transport.MaxProbes)
	host, err := driver.Open(e, transport.NewClient(gate, k.version, timeout))
	hooks, _ := host.(githost.Hooks)
	k.accounts[account] = opened{hooks, err, minted}
}

// one does it for one repository.
func (k *task) one(ctx context.Context, driver *githost.Driver, s config.Source) (Action, string) {
	account := driver.AccountOf(s)
	at := k.accounts[account]
	if at.err == nil && at.hooks == nil {
		return Skipped, fmt.Sprintf("a host of the type %s has no API for webhooks that Sentry knows; polling finds its pushes", s.Type)
	}
	do := k.ensure
	if k.remove {
		do = k.delete
	}
	action, detail, err := Failed, "", at.err
	if err == nil {
		action, detail, err = do(ctx, at.hooks, s.URL, addressOf(k.base, driver.Type, k.secret.Reveal()))
	}
	if err != nil {
		secrets := append(githost.Endpoint{Account: account, Auth: s.Auth}.Secrets(), k.secret.Reveal())
		if token := at.minted.Load(); token != nil {
			secrets = append(secrets, *token)
		}
		return Failed, oneline.Of(secret.Redact(err.Error(), secrets...), maxDetail)
	}
	return action, detail
}

func (k *task) ensure(ctx context.Context, hooks githost.Hooks, repoURL, address string) (Action, string, error) {
	there, err := hooks.Hooks(ctx, repoURL)
	if err != nil {
		return "", "", err
	}
	keep, wrong, more := decide(there, address)
	action, id := Created, int64(0)
	switch {
	case keep == nil:
	case len(wrong)+len(more) == 0:
		return Unchanged, "", nil
	default:
		action, id = Repaired, keep.ID
	}
	broken := keep == nil || len(wrong) > 0
	if len(more) > 0 {
		wrong = append(wrong, fmt.Sprintf("%d too many", len(more)))
	}
	detail := strings.Join(wrong, ", ")
	if k.dry {
		return action, detail, nil
	}
	if broken {
		if err := hooks.SaveHook(ctx, repoURL, id, address, k.secret.Reveal()); err != nil {
			return "", "", err
		}
	}
	for _, h := range more { // only now, so that there is one at any time
		if err := hooks.DeleteHook(ctx, repoURL, h.ID); err != nil {
			return "", "", err
		}
	}
	return action, detail, nil
}

func (k *task) delete(ctx context.Context, hooks githost.Hooks, repoURL, address string) (Action, string, error) {
	there, err := hooks.Hooks(ctx, repoURL)
	if err != nil {
		return "", "", err
	}
	same := ours(there, address)
	if len(same) == 0 {
		return Absent, "", nil
	}
	for _, h := range same {
		if !k.dry {
			if err := hooks.DeleteHook(ctx, repoURL, h.ID); err != nil {
				return "", "", err
			}
		}
	}
	if len(same) > 1 {
		return Removed, fmt.Sprintf("%d of them", len(same)), nil
	}
	return Removed, "", nil
}

// failures counts the rows that failed.
func failures(rows []Row) int {
	n := 0
	for _, r := range rows {
		if r.Action == Failed {
			n++
		}
	}
	return n
}

// byTrouble sorts what failed to the end, where a person looks.
func byTrouble(a, b Row) int {
	rank := func(r Row) int { return map[Action]int{Failed: 2, Skipped: 1}[r.Action] }
	return cmp.Compare(rank(a), rank(b))
}
