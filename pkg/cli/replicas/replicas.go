// Package replicas has several processes be one Sentry: each looks at its share of the repositories, and one of them tells how runs
// end.
package replicas

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/share"
	"github.com/tekton-sentry/sentry/pkg/share/lease"
)

// patience is how long the start waits for the first look at the others. Without one the replica begins with nothing to look at.
const patience = 10 * time.Second

// Check says what is wrong with the name of a replica; "" is none.
func Check(name string) error {
	if name != "" && len(validation.IsDNS1123Label(name)) > 0 {
		return fmt.Errorf("--replica %.80q: want a DNS label of at most %d characters, such as the name of the pod: a-z, 0-9 and - inside",
			name, validation.DNS1123LabelMaxLength)
	}
	return nil
}

// Replica is this process among the replicas.
type Replica struct {
	keeper *lease.Keeper
	log    *slog.Logger

	mu    sync.Mutex
	share share.Share   // of the members that were seen last
	news  chan struct{} // closed when the members change
}

// New returns the replica of that name, of the Sentry whose state is in the cluster's namespace.
func New(cluster *kube.Cluster, of instance.Instance, name string, log *slog.Logger) *Replica {
	return &Replica{
		keeper: &lease.Keeper{Cluster: cluster, Of: of, Name: name, Log: log, Now: time.Now},
		log:    log, news: make(chan struct{}),
	}
}

// Start has the replica be one until ctx ends, and returns what waits for that. It calls changed with the number of members
// whenever they are others, and returns once they are known.
func (r *Replica) Start(ctx context.Context, changed func(members int)) (wait func()) {
	var keeping sync.WaitGroup
	known := make(chan struct{})
	var once sync.Once
	keeping.Go(func() {
		r.keeper.Keep(ctx, func(members []string) {
			r.log.Info("the replicas that share the work are others now", "replicas", len(members), "names", members, "this", r.keeper.Name)
			r.mu.Lock()
			close(r.news)
			r.news = make(chan struct{})
			r.mu.Unlock()
			changed(len(members))
			once.Do(func() { close(known) })
		})
	})
	select {
	case <-known:
	case <-time.After(patience):
	case <-ctx.Done():
	}
	return keeping.Wait
}

// Mine returns what this replica looks at now, and whether that is another part than before. It is nil while this one does not
// know whether the others count on it.
func (r *Replica) Mine() (mine func(config.Repository) bool, moved bool) {
	members := slices.Sorted(slices.Values(r.keeper.Members()))
	if len(members) == 0 {
		return nil, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if moved = !slices.Equal(members, r.share.Members()); moved {
		r.share = share.Of(members)
	}
	now := r.share
	return func(c config.Repository) bool { return now.Owner(c.Group, c.Name) == r.keeper.Name }, moved
}

// Seen returns the replicas that there are, this one among them, as lease.Keeper has them.
func (r *Replica) Seen() []lease.Member { return r.keeper.Seen() }

// Lead calls lead whenever this replica is the one among all that does what one alone does, and has its context end when it is
// no more. It returns once ctx has ended. That one is the replica which is there for the longest, so that others come and go without it.
func (r *Replica) Lead(ctx context.Context, lead func(context.Context)) {
	var leading sync.WaitGroup
	stop := func() {}
	led := false
	for {
		r.mu.Lock()
		news := r.news
		r.mu.Unlock()
		members := r.keeper.Members()
		if leads := len(members) > 0 && members[0] == r.keeper.Name; leads != led {
			stop()
			leading.Wait()
			if led = leads; led {
				var mine context.Context
				mine, stop = context.WithCancel(ctx)
				leading.Go(func() { lead(mine) })
			}
		}
		select {
		case <-news:
		case <-ctx.Done():
			stop()
			leading.Wait()
			return
		}
	}
}
