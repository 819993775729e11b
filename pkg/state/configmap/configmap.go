// Package configmap keeps the state in ConfigMaps: in one, and beyond 900 KiB in further ones. A write is a
// compare-and-swap by resourceVersion, so that two Sentrys on the same state by mistake do not overwrite
// each other.
//
// The first ConfigMap alone says what counts, so that whatever a Save changes counts at once or not at all.
// It holds what changed lately, over parts that lie in the further ones; a Save writes it alone, until it
// would pass 900 KiB. Then the whole snapshot is split anew, but for entries that fit no further one, in this order:
//
//	write                                      | after a crash there
//	-------------------------------------------+--------------------------------------------------
//	first: as it was, with a word `moving`     | nothing has changed
//	further: the new part, beside the old one  | the first names the old parts: nothing has changed
//	first: names the new parts                 | done
//
// The word makes every other writer's copy of the first out of date before a further one is touched. Who
// was about to name parts that now get replaced is refused.
package configmap

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/state"
)

const (
	key = "state.json"
	// maxBytes leaves room below the API server's limit of 1 MiB for a ConfigMap's data.
	// A further one takes parts of half of it, as it holds an old and a new one while it changes.
	maxBytes = 900 << 10
	// maxFurther is how many further ConfigMaps the Role names: 6.6 MiB, some ten thousand repositories.
	maxFurther = 15
)

// noteRoom is what the first ConfigMap may take more where it says that the state is too large: 300 bytes at least.
const noteRoom = 4 << 10

// Store keeps the snapshot in the ConfigMap that the instance names and those after it. The manifests' Role names
// them too. It is not safe for concurrent use.
type Store struct {
	cluster   *kube.Cluster
	namespace string
	name      string // of the first ConfigMap
	limit     int    // maxBytes

	// All without the content, which is in what follows.
	loaded  *corev1.ConfigMap   // the first, as Load found it; nil when there was none
	top     state.Top           // its content
	further []*corev1.ConfigMap // those that hold a part; nil: not known to exist
	parts   []state.Part        // theirs

	snapshot *state.Snapshot // what all of that is; nil when it is not known to be
}

// New returns the store of an instance, in the namespace of the connection.
func New(c *kube.Cluster, of instance.Instance) *Store {
	return &Store{cluster: c, namespace: c.Namespace, name: of.State(), limit: maxBytes}
}

// nameOf returns the name of a further ConfigMap.
func (s *Store) nameOf(i int) string { return s.name + "-" + strconv.Itoa(i+1) }

// errMoved says that the first ConfigMap was written while the further ones were read.
var errMoved = errors.New("the state changed while it was read")

// Load returns the snapshot, or an empty one where no ConfigMap exists. Content that cannot be read is an
// error, never "no state": that would record heads which were never deployed. While nobody writes, Load asks only for
// the versions of the ConfigMaps, and returns the same snapshot again, which must not be changed: see
// state.Snapshot.Fork.
func (s *Store) Load(ctx context.Context) (state.Snapshot, error) {
	if s.loaded != nil && s.snapshot != nil {
		same, err := s.unchanged(ctx)
		if err != nil {
			return state.Snapshot{}, err
		}
		if same {
			return *s.snapshot, nil
		}
	}
	for range 5 {
		snapshot, err := s.load(ctx)
		if !errors.Is(err, errMoved) {
			return snapshot, err
		}
	}
	return state.Snapshot{}, fmt.Errorf("read ConfigMap %s/%s: %w again and again: %w", s.namespace, s.name, errMoved, state.ErrConflict)
}

// unchanged reports whether all ConfigMaps are as they were loaded or saved. A person may have edited any of them.
func (s *Store) unchanged(ctx context.Context) (bool, error) {
	for i, cm := range append([]*corev1.ConfigMap{s.loaded}, s.further...) {
		name := s.name
		if i > 0 {
			name = s.nameOf(i - 1)
		}
		version, err := s.cluster.ConfigMapVersion(ctx, s.namespace, name)
		if err != nil || cm == nil || version != cm.ResourceVersion {
			return false, err
		}
	}
	return true, nil
}

func (s *Store) load(ctx context.Context) (state.Snapshot, error) {
	s.loaded, s.top, s.further, s.parts, s.snapshot = nil, state.Top{}, nil, nil, nil
	cm, err := s.cluster.GetConfigMap(ctx, s.namespace, s.name)
	if err != nil || cm == nil {
		return state.Snapshot{}, err
	}
	var top state.Top
	if text, ok := cm.Data[key]; ok {
		if top, err = state.DecodeTop([]byte(text)); err != nil {
			return state.Snapshot{}, s.unreadable(s.name, err)
		}
	}
	if len(top.Parts) > maxFurther {
		return state.Snapshot{}, s.unreadable(s.name, fmt.Errorf("it names %d further ConfigMaps, and there are at most %d", len(top.Parts), maxFurther))
	}
	further, parts := make([]*corev1.ConfigMap, len(top.Parts)), make([]state.Part, len(top.Parts))
	for i, name := range top.Parts {
		if further[i], parts[i], err = s.part(ctx, i, name, top.Epoch); err != nil {
			if again, getErr := s.cluster.GetConfigMap(ctx, s.namespace, s.name); getErr == nil && (again == nil || again.ResourceVersion != cm.ResourceVersion) {
				return state.Snapshot{}, errMoved
			}
			return state.Snapshot{}, err
		}
	}
	snapshot := top.With(parts)
	s.loaded, s.top, s.further, s.parts, s.snapshot = bare(cm), top, further, parts, &snapshot
	return snapshot, nil
}

// bare takes the content out of a ConfigMap that was read or written: a state of some megabytes is in memory once.
func bare(cm *corev1.ConfigMap) *corev1.ConfigMap {
	delete(cm.Data, key)
	return cm
}

// part reads the part that the first ConfigMap names.
func (s *Store) part(ctx context.Context, i int, name, epoch string) (*corev1.ConfigMap, state.Part, error) {
	cm, err := s.cluster.GetConfigMap(ctx, s.namespace, s.nameOf(i))
	if err != nil {
		return nil, state.Part{}, err
	}
	if cm == nil {
		return nil, state.Part{}, fmt.Errorf("ConfigMap %s/%s does not exist, and %s says that it holds a part of the state: restore it, or delete %s as well to record all heads anew",
			s.namespace, s.nameOf(i), s.name, s.name)
	}
	f, err := state.DecodeFurther([]byte(cm.Data[key]))
	if err != nil {
		return nil, state.Part{}, s.unreadable(s.nameOf(i), err)
	}
	part, ok := f.Parts[name]
	if !ok || f.Epoch != epoch {
		return nil, state.Part{}, s.unreadable(s.nameOf(i), fmt.Errorf("it has no part %s of epoch %q, which %s names", name, epoch, s.name))
	}
	return bare(cm), part, nil
}

func (s *Store) unreadable(name string, err error) error {
	return fmt.Errorf("ConfigMap %s/%s, key %s: %w; mend it, or delete ConfigMap %s to record all heads anew", s.namespace, name, key, err, s.name)
}

// Save replaces what the last Load returned, or state.ErrConflict when the state changed, appeared or
// went since. It is state.ErrTooLarge, before anything is written, when all ConfigMaps together have no room for it.
func (s *Store) Save(ctx context.Context, snapshot state.Snapshot) error {
	snapshot = snapshot.Sound()
	s.snapshot = nil // until all of it is written
	err := s.save(ctx, snapshot)
	if err == nil {
		s.snapshot = &snapshot
	}
	return err
}

func (s *Store) save(ctx context.Context, snapshot state.Snapshot) error {
	top := state.Over(snapshot, s.parts)
	top.Parts = s.top.Parts
	// A state that shrank to a half goes back into one ConfigMap.
	if alone := state.Over(snapshot, nil); len(top.Parts) > 0 {
		text, err := alone.Encode()
		if err != nil {
			return err
		}
		if len(text) <= s.limit/2 {
			return s.saveTop(ctx, alone, nil, nil)
		}
	}
	text, err := top.Encode()
	if err != nil {
		return err
	}
	if len(text) <= s.room(snapshot) {
		return s.saveTop(ctx, top, s.further, s.parts)
	}
	return s.split(ctx, snapshot)
}

// room is what the first ConfigMap may take, in bytes.
func (s *Store) room(snapshot state.Snapshot) int {
	if _, ok := snapshot.Problems[state.Whole]; ok {
		return s.limit + noteRoom
	}
	return s.limit
}

// saveTop writes the first ConfigMap, after which the parts are what counts beside it.
func (s *Store) saveTop(ctx context.Context, top state.Top, further []*corev1.ConfigMap, parts []state.Part) error {
	text, err := top.Encode()
	if err != nil {
		return err
	}
	saved, err := s.put(ctx, s.name, s.loaded, text)
	if err != nil {
		return err
	}
	s.loaded, s.top, s.further, s.parts = saved, top, further, parts
	return nil
}

// put writes a ConfigMap that must still be as it was read; nil: that must not exist.
func (s *Store) put(ctx context.Context, name string, was *corev1.ConfigMap, text []byte) (*corev1.ConfigMap, error) {
	saved, err := s.cluster.PutConfigMap(ctx, s.namespace, name, was, key, text)
	if errors.Is(err, kube.ErrConflict) {
		return nil, fmt.Errorf("%w: %w", err, state.ErrConflict)
	}
	if err != nil {
		return nil, err
	}
	return bare(saved), nil
}
