// Package configmap keeps the history of runs in a ConfigMap, beside the state.
package configmap

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/result/history"
)

const (
	key   = "history.json"
	tries = 3
)

// Store is the history of one Sentry's runs, in the namespace of the connection, which no run reaches.
type Store struct {
	cluster *kube.Cluster
	name    string
}

// New returns the store of an instance.
func New(c *kube.Cluster, of instance.Instance) Store { return Store{c, of.History()} }

// List returns what is known of the runs of the unit, or of all units where unit is "", newest first.
func (s Store) List(ctx context.Context, unit string) ([]result.Result, error) {
	cm, err := s.cluster.GetConfigMap(ctx, s.cluster.Namespace, s.name)
	if err != nil || cm == nil {
		return nil, err
	}
	runs, err := history.Decode([]byte(cm.Data[key]))
	if err != nil {
		return nil, s.bad(err)
	}
	runs = slices.DeleteFunc(runs, func(r result.Result) bool { return unit != "" && r.Unit != unit })
	slices.Reverse(runs)
	return runs, nil
}

// Add adds runs in one write. One that is known already stays as it is.
func (s Store) Add(ctx context.Context, runs []result.Result) error {
	for range tries {
		cm, err := s.cluster.GetConfigMap(ctx, s.cluster.Namespace, s.name)
		if err != nil {
			return err
		}
		var old []result.Result
		if cm != nil {
			if old, err = history.Decode([]byte(cm.Data[key])); err != nil {
				return s.bad(err)
			}
		}
		text, err := history.Encode(history.Add(old, runs))
		if err != nil {
			return err
		}
		if cm != nil && cm.Data[key] == string(text) {
			return nil
		}
		_, err = s.cluster.PutConfigMap(ctx, s.cluster.Namespace, s.name, cm, key, text)
		if !errors.Is(err, kube.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("write ConfigMap %s/%s: %w, %d times in a row", s.cluster.Namespace, s.name, kube.ErrConflict, tries)
}

func (s Store) bad(err error) error {
	return fmt.Errorf("ConfigMap %s/%s, key %s: %w; mend it, or delete the ConfigMap to begin a new history", s.cluster.Namespace, s.name, key, err)
}
