// Package lease finds the replicas of one Sentry that are alive: each keeps a Lease in Sentry's namespace and sees those of the
// others.
package lease

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
)

const (
	// renewEvery is how often a replica renews its Lease and looks at the others'.
	renewEvery = 3 * time.Second
	// duration is how long a replica counts as alive whose Lease does not change. A takeover takes that and one look.
	duration = 12 * time.Second
	// forgetAfter is the age of a dead replica's Lease at which it is deleted: a pod that was killed leaves one.
	forgetAfter = 10 * time.Minute
	// callTimeout bounds one call. Two in a row leave time for a third.
	callTimeout = 3 * time.Second
)

// label is on each Lease; its value is the Sentry whose replica keeps it.
const label = "tekton-sentry.dev/replica-of"

// Keeper keeps the Lease of one replica. Its fields must be set.
type Keeper struct {
	Cluster *kube.Cluster
	Of      instance.Instance
	Name    string // of the replica, such as that of its pod: a DNS label
	Log     *slog.Logger
	Now     func() time.Time

	mu      sync.Mutex
	renewed time.Time // when the last renewal that was answered began
	members []string
	others  []Member // and this one

	since time.Time
	seen  map[string]sighting // by the name of the Lease
}

// sighting is a Lease as it was seen last.
type sighting struct {
	renewal string
	changed time.Time // by this machine's clock, as the other
	deleted time.Time // when it was last tried to delete it
}

// Members returns the names of the replicas that are alive, the one first that has been for the longest. There are none while
// this one does not know whether the others take it for alive: its Lease was not renewed in time, or it stood still.
func (k *Keeper) Members() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.Now().Sub(k.renewed) >= duration {
		return nil
	}
	return k.members
}

// Member is a replica as this one sees it.
type Member struct {
	Name  string
	Since time.Time // it is a replica, by its own clock
	Seen  time.Time // its Lease was found to be another one, by this one's clock
	Alive bool      // it counts as alive
}

// Seen returns the replicas whose Leases are there: those first that are alive, as Members has them, and then those that are not, the one first
// that was seen last. None is alive while Members has none.
func (k *Keeper) Seen() []Member {
	knows := len(k.Members()) > 0
	k.mu.Lock()
	defer k.mu.Unlock()
	all := slices.Clone(k.others)
	for i := range all {
		all[i].Alive = all[i].Alive && knows
	}
	return all
}

// Keep keeps the Lease until ctx ends, and deletes it then. It calls changed whenever Members is another one. Trouble is
// logged as it begins.
func (k *Keeper) Keep(ctx context.Context, changed func(members []string)) {
	k.since, k.seen = k.Now(), map[string]sighting{}
	ticker := time.NewTicker(renewEvery)
	defer ticker.Stop()
	var told []string
	failing := false
	for {
		err := k.look(ctx)
		if ctx.Err() != nil {
			k.leave(ctx)
			return
		}
		if err != nil && !failing {
			k.Log.Warn("the replicas cannot be told apart; until they can, this one looks at nothing by itself", "err", err)
		}
		failing = err != nil
		if now := k.Members(); !slices.Equal(now, told) {
			told = now
			changed(now)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// look finds out who is alive and renews the Lease, in this order: whoever cannot see the others works on nothing, and must not hold
// a share.
func (k *Keeper) look(ctx context.Context) error {
	leases, err := k.list(ctx)
	if err != nil {
		return err
	}
	began := k.Now()
	mine := k.lease(began)
	if err := k.renew(ctx, mine); err != nil {
		return err
	}
	now := k.Now()
	maps.DeleteFunc(k.seen, func(name string, _ sighting) bool {
		return !slices.ContainsFunc(leases, func(l coordinationv1.Lease) bool { return l.Name == name })
	})
	var alive []coordinationv1.Lease
	var dead []Member
	for _, l := range leases {
		switch {
		case l.Name == mine.Name:
		case k.alive(ctx, l, now):
			alive = append(alive, l)
		case l.Spec.HolderIdentity != nil && l.Spec.RenewTime != nil: // another one was never seen, and is never deleted
			dead = append(dead, Member{Name: *l.Spec.HolderIdentity, Since: acquired(l), Seen: k.seen[l.Name].changed})
		}
	}
	alive = append(alive, mine)
	slices.SortFunc(alive, func(a, b coordinationv1.Lease) int {
		return cmp.Or(acquired(a).Compare(acquired(b)), cmp.Compare(a.Name, b.Name))
	})
	members := make([]string, len(alive))
	var seen []Member
	for i, l := range alive {
		members[i] = *l.Spec.HolderIdentity
		at := began
		if l.Name != mine.Name {
			at = k.seen[l.Name].changed
		}
		seen = append(seen, Member{Name: members[i], Since: acquired(l), Seen: at, Alive: true})
	}
	slices.SortFunc(dead, func(a, b Member) int { return cmp.Or(b.Seen.Compare(a.Seen), cmp.Compare(a.Name, b.Name)) })
	k.mu.Lock()
	defer k.mu.Unlock()
	k.renewed, k.members, k.others = began, slices.Compact(members), slices.Concat(seen, dead)
	return nil
}

// alive reports whether a Lease is that of a replica which is alive, and deletes one that is long dead. It compares no clocks:
// what counts is how long ago it was seen to change.
func (k *Keeper) alive(ctx context.Context, l coordinationv1.Lease, now time.Time) bool {
	if l.Spec.HolderIdentity == nil || l.Spec.RenewTime == nil {
		return false
	}
	renewal := l.Spec.RenewTime.Format(metav1.RFC3339Micro)
	s, ok := k.seen[l.Name]
	if !ok || s.renewal != renewal {
		s = sighting{renewal: renewal, changed: now}
	}
	dead := now.Sub(s.changed)
	if dead > forgetAfter && now.Sub(s.deleted) > forgetAfter {
		s.deleted = now
		if err := k.delete(ctx, l.Name, l.UID); err != nil {
			k.Log.Debug("the Lease of a replica that is gone stays for now", "err", err)
		}
	}
	k.seen[l.Name] = s
	return dead < duration
}

func acquired(l coordinationv1.Lease) time.Time {
	if l.Spec.AcquireTime == nil {
		return time.Time{}
	}
	return l.Spec.AcquireTime.Time
}

func (k *Keeper) name() string { return k.Of.Replica(k.Name) }

// lease says that this replica is alive at an instant.
func (k *Keeper) lease(now time.Time) coordinationv1.Lease {
	seconds := int32(duration / time.Second)
	return coordinationv1.Lease{
		TypeMeta: metav1.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"},
		ObjectMeta: metav1.ObjectMeta{
			Name: k.name(), Labels: map[string]string{label: k.Of.State(), "app.kubernetes.io/managed-by": "sentry"},
		},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: &k.Name, LeaseDurationSeconds: &seconds,
			AcquireTime: &metav1.MicroTime{Time: k.since}, RenewTime: &metav1.MicroTime{Time: now},
		},
	}
}

// renew makes the Lease be there as it is.
func (k *Keeper) renew(ctx context.Context, lease coordinationv1.Lease) error {
	body, err := json.Marshal(lease)
	if err != nil {
		return fmt.Errorf("encode the Lease %s: %w", k.name(), err)
	}
	calling, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = k.Cluster.Core.Patch(types.MergePatchType).AbsPath(k.path(k.name())).Body(body).Do(calling).Error()
	if apierrors.IsNotFound(err) {
		err = k.Cluster.Core.Post().AbsPath(k.path("")).SetHeader("Content-Type", "application/json").Body(body).Do(calling).Error()
	}
	if err != nil {
		return fmt.Errorf("renew the Lease %s/%s: %w", k.Cluster.Namespace, k.name(), kube.Explain(err))
	}
	return nil
}

func (k *Keeper) list(ctx context.Context) ([]coordinationv1.Lease, error) {
	calling, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer := k.Cluster.Core.Get().AbsPath(k.path("")).Param("labelSelector", label+"="+k.Of.State()).Do(calling)
	if err := answer.Error(); err != nil { // Raw would not say what the API server said
		return nil, fmt.Errorf("list the Leases in %s: %w", k.Cluster.Namespace, kube.Explain(err))
	}
	var list coordinationv1.LeaseList
	raw, err := answer.Raw()
	if err != nil {
		return nil, fmt.Errorf("list the Leases in %s: %w", k.Cluster.Namespace, err)
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("list the Leases in %s: %w", k.Cluster.Namespace, err)
	}
	return list.Items, nil
}

// leave deletes the Lease, so that the others take over at once.
func (k *Keeper) leave(ctx context.Context) {
	k.mu.Lock()
	k.members = nil
	k.mu.Unlock()
	if err := k.delete(context.WithoutCancel(ctx), k.name(), ""); err != nil {
		k.Log.Debug("the Lease stays until the others see that it is not renewed", "err", err)
	}
}

// delete deletes a Lease, with a UID only that one.
func (k *Keeper) delete(ctx context.Context, name string, uid types.UID) error {
	options := metav1.DeleteOptions{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"}}
	if uid != "" {
		options.Preconditions = &metav1.Preconditions{UID: &uid}
	}
	body, err := json.Marshal(options)
	if err != nil {
		return fmt.Errorf("encode what deletes the Lease %s: %w", name, err)
	}
	calling, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = k.Cluster.Core.Delete().AbsPath(k.path(name)).SetHeader("Content-Type", "application/json").Body(body).Do(calling).Error()
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete the Lease %s/%s: %w", k.Cluster.Namespace, name, kube.Explain(err))
	}
	return nil
}

// path is that of the Leases, or of one.
func (k *Keeper) path(name string) string {
	path := "/apis/coordination.k8s.io/v1/namespaces/" + k.Cluster.Namespace + "/leases"
	if name == "" {
		return path
	}
	return path + "/" + name
}
