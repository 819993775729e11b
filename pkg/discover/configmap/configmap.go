// Package configmap keeps what was found in a ConfigMap, beside the state.
package configmap

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/tekton-sentry/sentry/pkg/config/discover"
	found "github.com/tekton-sentry/sentry/pkg/discover"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
)

const key = "found.json.gz"

// Store is the ConfigMap of one Sentry, in the namespace of the connection, which no run reaches.
type Store struct {
	cluster *kube.Cluster
	name    string

	mu   sync.Mutex
	was  *corev1.ConfigMap // without its content; nil = there is none
	seen string            // its version
}

// New returns the store of an instance.
func New(c *kube.Cluster, of instance.Instance) *Store { return &Store{cluster: c, name: of.Found()} }

// Load returns what was found; nothing where there is no ConfigMap.
func (s *Store) Load(ctx context.Context) (*discover.Found, error) {
	cm, err := s.cluster.GetConfigMap(ctx, s.cluster.Namespace, s.name)
	if err != nil {
		return nil, err
	}
	known := &discover.Found{}
	if cm != nil && len(cm.BinaryData[key]) > 0 {
		if known, err = found.Decode(cm.BinaryData[key]); err != nil {
			return nil, fmt.Errorf("ConfigMap %s/%s, key %s: %w; mend it, or delete the ConfigMap to find all anew", s.cluster.Namespace, s.name, key, err)
		}
	}
	s.keep(cm)
	return known, nil
}

func (s *Store) keep(cm *corev1.ConfigMap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.was, s.seen = cm, ""
	if cm != nil {
		delete(cm.BinaryData, key)
		s.seen = cm.ResourceVersion
	}
}

// Save replaces what Load returned last; discover.ErrConflict when somebody else did meanwhile.
func (s *Store) Save(ctx context.Context, known *discover.Found) error {
	data, err := found.Encode(known)
	if err != nil {
		return err
	}
	s.mu.Lock()
	was := s.was
	s.mu.Unlock()
	cm, err := s.cluster.EditConfigMap(ctx, s.cluster.Namespace, s.name, was, func(cm *corev1.ConfigMap) { cm.BinaryData[key] = data })
	if errors.Is(err, kube.ErrConflict) {
		return fmt.Errorf("%w: %w", err, found.ErrConflict)
	}
	if err == nil {
		s.keep(cm)
	}
	return err
}

// Changed reports whether somebody else wrote it, or took it away, since it was loaded or saved.
func (s *Store) Changed(ctx context.Context) (bool, error) {
	version, err := s.cluster.ConfigMapVersion(ctx, s.cluster.Namespace, s.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	return err == nil && version != s.seen, err
}
