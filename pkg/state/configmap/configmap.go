// Package configmap keeps the state in a ConfigMap. A write is a compare-and-swap by resourceVersion,
// so that two Sentrys on the same state by mistake do not overwrite each other.
package configmap

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Name is the ConfigMap's name; the manifests' Role names it too.
const Name = "sentry-state"

const (
	key     = "state.json"
	timeout = 15 * time.Second // of one call to the API server
	// maxBytes leaves room for the object's metadata below the API server's limit of 1 MiB for a ConfigMap's data.
	maxBytes = 1_000_000
)

// Store keeps the snapshot in the ConfigMap sentry-state. It is not safe for concurrent use.
type Store struct {
	cluster   *kube.Cluster
	namespace string
	loaded    *corev1.ConfigMap // what Load found; nil when there was none
}

// New returns the store in the namespace; "" is the cluster connection's.
func New(c *kube.Cluster, namespace string) *Store {
	if namespace == "" {
		namespace = c.Namespace
	}
	return &Store{cluster: c, namespace: namespace}
}

// Load returns the snapshot, or an empty one where no ConfigMap exists. Content that cannot be read is an
// error, never "no state": that would record heads which were never deployed.
func (s *Store) Load(ctx context.Context) (state.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cm := &corev1.ConfigMap{}
	err := s.cluster.Core.Get().Namespace(s.namespace).Resource("configmaps").Name(Name).Do(ctx).Into(cm)
	if apierrors.IsNotFound(err) {
		s.loaded = nil
		return state.Snapshot{}, nil
	}
	if err != nil {
		return state.Snapshot{}, fmt.Errorf("read ConfigMap %s/%s: %w", s.namespace, Name, err)
	}
	s.loaded = cm
	text, ok := cm.Data[key]
	if !ok {
		return state.Snapshot{}, nil
	}
	snapshot, err := state.Decode([]byte(text))
	if err != nil {
		return state.Snapshot{}, fmt.Errorf("ConfigMap %s/%s, key %s: %w; mend it, or delete the ConfigMap to record all heads anew", s.namespace, Name, key, err)
	}
	return snapshot, nil
}

// Save replaces what the last Load returned, or state.ErrConflict when the ConfigMap changed, appeared or
// went since.
func (s *Store) Save(ctx context.Context, snapshot state.Snapshot) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	text, err := state.Encode(snapshot)
	if err != nil {
		return err
	}
	if len(text) > maxBytes {
		return fmt.Errorf("the state of %d bytes does not fit a ConfigMap (%d bytes): watch fewer branches, or split sentry.yaml over two namespaces", len(text), maxBytes)
	}
	next := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: Name, Namespace: s.namespace,
		Labels: map[string]string{"app.kubernetes.io/managed-by": "sentry"},
	}}
	request := s.cluster.Core.Post()
	if s.loaded != nil {
		next = s.loaded.DeepCopy()
		request = s.cluster.Core.Put().Name(Name)
	}
	if next.Data == nil {
		next.Data = map[string]string{}
	}
	next.Data[key] = string(text)
	saved := &corev1.ConfigMap{}
	err = request.Namespace(s.namespace).Resource("configmaps").Body(next).Do(ctx).Into(saved)
	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), s.loaded != nil && apierrors.IsNotFound(err):
		return fmt.Errorf("write ConfigMap %s/%s: %w", s.namespace, Name, state.ErrConflict)
	case err != nil:
		return fmt.Errorf("write ConfigMap %s/%s: %w", s.namespace, Name, err)
	}
	s.loaded = saved
	return nil
}
