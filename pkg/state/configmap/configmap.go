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
//
// Parts are plain text as long as they fit so. The parts of a larger state are compressed, and its first ConfigMap is of a format
// that an older Sentry refuses: see decision 107.
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
	// maxFurther is how many further ConfigMaps the Role names. Plain they hold 6.6 MiB, some 15,000 repositories.
	maxFurther = 15
)

// noteRoom is what the first ConfigMap may take more where it says that the state is too large: 300 bytes at least.
const noteRoom = 4 << 10

// Store keeps the snapshot in the ConfigMap that the instance names and those after it. The manifests' Role names
// them too. It is not safe for concurrent use.
type Store struct {
	state.Meter
	cluster   *kube.Cluster
	namespace string
	name      string // of the first ConfigMap
	limit     int    // maxBytes

	// The ConfigMaps are without their content, of which the snapshot is all that is kept.
	loaded  *corev1.ConfigMap   // the first, as Load found it; nil when there was none
	names   []string            // of the parts that it names
	further []*corev1.ConfigMap // those that hold a part
	base    map[place]sum       // the entries of the parts
	packed  int                 // bytes of the parts that are compressed, 0 when they are plain

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
	s.loaded, s.names, s.further, s.base, s.packed, s.snapshot = nil, nil, nil, nil, 0, nil
	cm, err := s.cluster.GetConfigMap(ctx, s.namespace, s.name)
	if err != nil || cm == nil {
		return state.Snapshot{}, err
	}
	var f first
	var snapshot state.Snapshot
	base := make(entries)
	further := []*corev1.ConfigMap(nil)
	packed := 0
	if text, ok := cm.Data[key]; ok {
		if f, err = readFirst([]byte(text)); err != nil {
			return state.Snapshot{}, s.unreadable(s.name, err)
		}
		if len(f.Parts) > maxFurther {
			return state.Snapshot{}, s.unreadable(s.name, fmt.Errorf("it names %d further ConfigMaps, and there are at most %d", len(f.Parts), maxFurther))
		}
		for i, name := range f.Parts {
			cmOf, part, size, err := s.part(ctx, i, name, f.epoch())
			if err != nil {
				if again, getErr := s.cluster.GetConfigMap(ctx, s.namespace, s.name); getErr == nil && (again == nil || again.ResourceVersion != cm.ResourceVersion) {
					return state.Snapshot{}, errMoved
				}
				return state.Snapshot{}, err
			}
			further = append(further, cmOf)
			packed += size
			base.add(part)
		}
		text := f.state(base)
		if snapshot, err = state.Decode(text); err != nil {
			return state.Snapshot{}, s.unreadable(s.name, err)
		}
		s.packed = packed
		s.Measure(snapshot, len(text), s.most(len(text)))
	}
	s.loaded, s.names, s.further, s.base, s.snapshot = bare(cm), f.Parts, further, base.sums(), &snapshot
	return snapshot, nil
}

// bare takes the content out of a ConfigMap that was read or written: a state of some megabytes is in memory once.
func bare(cm *corev1.ConfigMap) *corev1.ConfigMap {
	delete(cm.Data, key)
	delete(cm.BinaryData, packedKey)
	return cm
}

// part reads the part that the first ConfigMap names. size is what it takes compressed, 0 where it is plain.
func (s *Store) part(ctx context.Context, i int, name, epoch string) (cm *corev1.ConfigMap, part entries, size int, err error) {
	cm, err = s.cluster.GetConfigMap(ctx, s.namespace, s.nameOf(i))
	if err != nil {
		return nil, nil, 0, err
	}
	if cm == nil {
		return nil, nil, 0, fmt.Errorf("ConfigMap %s/%s does not exist, and %s says that it holds a part of the state: restore it, or delete %s as well to record all heads anew",
			s.namespace, s.nameOf(i), s.name, s.name)
	}
	documents, err := held(cm)
	if err != nil {
		return nil, nil, 0, s.unreadable(s.nameOf(i), err)
	}
	for _, d := range documents {
		text, ok := d.Parts[name]
		if !ok || d.Epoch != epoch {
			continue
		}
		if part, err = takeApart(text); err != nil {
			return nil, nil, 0, s.unreadable(s.nameOf(i), err)
		}
		return bare(cm), part, len(d.packed), nil
	}
	return nil, nil, 0, s.unreadable(s.nameOf(i), fmt.Errorf("it has no part %s of epoch %q, which %s names", name, epoch, s.name))
}

// reread returns a ConfigMap, which must be as it was read or written.
func (s *Store) reread(ctx context.Context, name string, was *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	cm, err := s.cluster.GetConfigMap(ctx, s.namespace, name)
	if err != nil {
		return nil, err
	}
	if cm == nil || cm.ResourceVersion != was.ResourceVersion {
		return nil, fmt.Errorf("read ConfigMap %s/%s: %w", s.namespace, name, state.ErrConflict)
	}
	return cm, nil
}

func (s *Store) unreadable(name string, err error) error {
	return fmt.Errorf("ConfigMap %s/%s, key %s: %w; mend it, or delete ConfigMap %s to record all heads anew", s.namespace, name, key, err, s.name)
}

// Save replaces what the last Load returned, or state.ErrConflict when the state changed, appeared or
// went since. It is state.ErrTooLarge, before anything is written, when all ConfigMaps together have no room for it.
func (s *Store) Save(ctx context.Context, snapshot state.Snapshot) error {
	snapshot = snapshot.Sound()
	s.snapshot = nil // until all of it is written
	text, err := state.Encode(snapshot)
	if err != nil {
		return err
	}
	size := len(text)
	if err = s.save(ctx, snapshot, text); err == nil {
		s.snapshot = &snapshot
		s.Measure(snapshot, size, s.most(size))
	}
	return err
}

// most is for how many bytes there is room, the state having that many: the first ConfigMap may be full of what changed lately. What a
// plain state takes compressed is not known. Half is less than it is with SHAs at random and nothing that stands twice.
func (s *Store) most(size int) int {
	room := maxFurther * s.half()
	if s.packed == 0 {
		return min(2*room, state.MaxSize)
	}
	return min(int(int64(size)*int64(room)/int64(s.packed)), state.MaxSize)
}

// half is what a further ConfigMap takes of the entries, in bytes. It holds an old and a new part while it changes.
func (s *Store) half() int { return s.limit/2 - 1024 } // for the document around it

func (s *Store) save(ctx context.Context, snapshot state.Snapshot, text []byte) error {
	all, err := takeApart(text)
	if err != nil {
		return err
	}
	// A state that shrank to a half goes back into one ConfigMap.
	if len(s.names) > 0 && len(text) <= s.limit/2 {
		return s.putFirst(ctx, first{entries: all}, text, nil, nil, 0)
	}
	f := first{Parts: s.names, packed: s.packed > 0}
	f.entries, f.Gone = all.over(s.base)
	if text, err = f.text(); err != nil {
		return err
	}
	if len(text) <= s.room(snapshot) {
		return s.putFirst(ctx, f, text, s.further, s.base, s.packed)
	}
	return s.split(ctx, snapshot, all)
}

// room is what the first ConfigMap may take, in bytes.
func (s *Store) room(snapshot state.Snapshot) int {
	if _, ok := snapshot.Units[state.Whole]; ok {
		return s.limit + noteRoom
	}
	return s.limit
}

// putFirst writes the first ConfigMap, after which the further ones with those entries are what counts beside it.
func (s *Store) putFirst(ctx context.Context, f first, text []byte, further []*corev1.ConfigMap, base map[place]sum, packed int) error {
	saved, err := s.put(ctx, s.name, s.loaded, content{plain: text})
	if err != nil {
		return err
	}
	s.loaded, s.names, s.further, s.base, s.packed = saved, f.Parts, further, base, packed
	return nil
}

// put writes a ConfigMap that must still be as it was read; nil: that must not exist.
func (s *Store) put(ctx context.Context, name string, was *corev1.ConfigMap, c content) (*corev1.ConfigMap, error) {
	saved, err := s.cluster.EditConfigMap(ctx, s.namespace, name, was, c.into)
	if errors.Is(err, kube.ErrConflict) {
		return nil, fmt.Errorf("%w: %w", err, state.ErrConflict)
	}
	if err != nil {
		return nil, err
	}
	return bare(saved), nil
}
