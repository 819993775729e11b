package configmap

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config/discover"
	found "github.com/tekton-sentry/sentry/pkg/discover"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

const path = "/api/v1/namespaces/test/configmaps/sentry-found"

// known is what was found by a list of that number.
func known(number int64) *discover.Found {
	return found.Of([]discover.List{{Question: discover.Question{Host: "https://git.example", Owner: "team"}, Repositories: []discover.Repository{
		{ID: "1", Name: "web", Path: "team/web", Branch: "main", Since: 5},
	}}}, nil, number, "abc")
}

// begin returns the store of a process, and what it loads.
func begin(t *testing.T, c *kube.Cluster) (*Store, *discover.Found) {
	t.Helper()
	s := New(c, instance.Instance{})
	got, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s, got
}

func changed(t *testing.T, s *Store, want bool) {
	t.Helper()
	if got, err := s.Changed(t.Context()); got != want || err != nil {
		t.Errorf("changed: %t, %v; want %t", got, err, want)
	}
}

// What one process saves another one loads, and nobody writes over what he does not know.
func TestStore(t *testing.T) {
	server, c := kubetest.New(t)
	one, got := begin(t, c)
	if !reflect.DeepEqual(got, &discover.Found{}) {
		t.Errorf("at first there is %+v", got)
	}
	changed(t, one, false)
	other, _ := begin(t, c)
	if err := one.Save(t.Context(), known(1)); err != nil {
		t.Fatal(err)
	}
	changed(t, one, false)
	changed(t, other, true)
	if err := other.Save(t.Context(), known(9)); !errors.Is(err, found.ErrConflict) {
		t.Errorf("what another one made is written over: %v", err)
	}
	other, got = begin(t, c)
	if !reflect.DeepEqual(got, known(1)) {
		t.Errorf("loaded is %+v", got)
	}
	changed(t, other, false)
	if err := other.Save(t.Context(), known(2)); err != nil {
		t.Fatal(err)
	}
	changed(t, one, true)
	if err := one.Save(t.Context(), known(9)); !errors.Is(err, found.ErrConflict) {
		t.Errorf("what another one changed is written over: %v", err)
	}
	if got, err := one.Load(t.Context()); err != nil || got.Number != 2 {
		t.Errorf("loaded is %+v, %v", got, err)
	}

	server.Put(path, nil)
	changed(t, one, true)
	if err := one.Save(t.Context(), known(9)); !errors.Is(err, found.ErrConflict) {
		t.Errorf("what was deleted is written over: %v", err)
	}
	if got, err := one.Load(t.Context()); err != nil || len(got.Lists) > 0 {
		t.Errorf("loaded is %+v, %v", got, err)
	}
	if err := one.Save(t.Context(), known(3)); err != nil || server.Get(path) == nil {
		t.Errorf("it is not made again: %v", err)
	}
	if of := New(c, instance.Instance{Name: "blue"}); of.name != "sentry-blue-found" {
		t.Errorf("another Sentry's is %s", of.name)
	}
}

// What cannot be read is an error that says where it is, and stays as it is.
func TestDamaged(t *testing.T) {
	server, c := kubetest.New(t)
	s, _ := begin(t, c)
	server.Put(path, kubetest.Object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": kubetest.Object{"name": "sentry-found"},
		"binaryData": kubetest.Object{key: "ZGFtYWdlZA=="}})
	changed(t, s, true)
	if got, err := s.Load(t.Context()); got != nil || err == nil || !strings.Contains(err.Error(), "ConfigMap test/sentry-found, key found.json.gz: what was found before cannot be read") {
		t.Errorf("loaded is %+v, %v", got, err)
	}
	changed(t, s, true)
	if err := s.Save(t.Context(), known(1)); !errors.Is(err, found.ErrConflict) {
		t.Errorf("it is written over: %v", err)
	}
	server.Put(path, kubetest.Object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": kubetest.Object{"name": "sentry-found"}})
	if s, got := begin(t, c); len(got.Lists) > 0 || s.Save(t.Context(), known(1)) != nil {
		t.Errorf("an empty one is %+v", got)
	}
}
