package watch

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/engine/tekton"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton/keys"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/state/configmap"
)

const (
	core     = "/api/v1/namespaces/test/"
	runsPath = "/apis/tekton.dev/v1/namespaces/test/pipelineruns"
)

// named returns a world whose Sentry has this name, and state, key and runs on the API server.
func named(t *testing.T, c *kube.Cluster, name string) *world {
	w := newWorld(t, "repositories:"+entry("a", ""))
	w.on(c, name)
	w.set("a", "main", "1")
	return w
}

func (w *world) on(c *kube.Cluster, name string) {
	of := instance.Instance{Name: name}
	w.watcher.Config.Global.Instance = name
	w.watcher.Engine, w.watcher.Store, w.watcher.Key = tekton.New(c, "", of), configmap.New(c, of), keys.Of(c, of)
}

// secret makes the empty Secret of an instance's key, as the manifests do.
func secret(s *kubetest.Server, name string) {
	key := instance.Instance{Name: name}.Key()
	s.Put(core+"secrets/"+key, kubetest.Object{"kind": "Secret", "apiVersion": "v1", "metadata": kubetest.Object{"name": key}})
}

// runsIn returns the first digit of what each run deploys, behind its instance, sorted.
func runsIn(t *testing.T, s *kubetest.Server) []string {
	t.Helper()
	var all []string
	for _, name := range s.Names(runsPath) {
		meta := s.Get(runsPath + "/" + name)["metadata"].(kubetest.Object)
		var trigger plan.Trigger
		if err := json.Unmarshal([]byte(meta["annotations"].(kubetest.Object)[pipelinerun.AnnotationTrigger].(string)), &trigger); err != nil {
			t.Fatal(err)
		}
		of, _ := meta["labels"].(kubetest.Object)[pipelinerun.LabelInstance].(string)
		all = append(all, of+" "+string(trigger.Refs[0].New[:1]))
	}
	slices.Sort(all)
	return all
}

// finishRuns ends the runs of an instance.
func finishRuns(s *kubetest.Server, of string) {
	for _, name := range s.Names(runsPath) {
		run := s.Get(runsPath + "/" + name)
		if label, _ := run["metadata"].(kubetest.Object)["labels"].(kubetest.Object)[pipelinerun.LabelInstance].(string); label == of {
			run["status"] = kubetest.Object{"conditions": []kubetest.Object{{"type": "Succeeded", "status": "True", "reason": "Succeeded"}}}
			s.Put(runsPath+"/"+name, run)
		}
	}
}

// Two Sentrys that share a namespace on purpose both deploy each change, and neither waits for the other's runs,
// finds them, or remembers them.
func TestTwoInstances(t *testing.T) {
	s, c := kubetest.New(t)
	var worlds []*world
	for _, name := range []string{"", "blue"} {
		secret(s, name)
		worlds = append(worlds, named(t, c, name))
	}
	check := func(what string, want ...string) {
		t.Helper()
		if got := runsIn(t, s); !slices.Equal(got, want) {
			t.Errorf("%s: runs %q, want %q\n%s\n%s", what, got, want, &worlds[0].log, &worlds[1].log)
		}
	}
	cycle := func(digit string) {
		for _, w := range worlds {
			w.set("a", "main", digit)
			w.cycle()
		}
	}
	cycle("1")
	check("first sight")
	cycle("2")
	check("a push", " 2", "blue 2")
	finishRuns(s, "")
	cycle("3")
	check("a push while blue's run is active", " 2", " 3", "blue 2")
	finishRuns(s, "blue")
	for i, name := range []string{"", "blue"} { // restarts: all runs are looked at
		worlds[i].start("repositories:" + entry("a", ""))
		worlds[i].on(c, name)
	}
	cycle("3")
	check("once it is not", " 2", " 3", "blue 2", "blue 3")
	if strings.Contains(worlds[0].log.String()+worlds[1].log.String(), "another Sentry") {
		t.Errorf("one noticed the other:\n%s\n%s", &worlds[0].log, &worlds[1].log)
	}
}

// A Sentry that gets a name keeps what it remembers and its runs, by the commands of docs/configuration.md: also the
// run that it made and could not remember.
func TestSentryThatGetsAName(t *testing.T) {
	t.Run("while its run is active", func(t *testing.T) { getsAName(t, func(*kubetest.Server) {}) })
	t.Run("after its run", func(t *testing.T) { getsAName(t, func(s *kubetest.Server) { finishRuns(s, "") }) })
}

func getsAName(t *testing.T, meanwhile func(*kubetest.Server)) {
	s, c := kubetest.New(t)
	secret(s, "")
	before := named(t, c, "")
	before.cycle()
	before.set("a", "main", "2")
	s.Fault = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			http.Error(w, "etcd is full", http.StatusInsufficientStorage)
		}
		return r.Method == http.MethodPut
	}
	if _, err := before.watcher.RunOnce(t.Context(), Request{}); err == nil {
		t.Fatal("a state that cannot be written is no error")
	}
	s.Fault = nil
	meanwhile(s)

	none, blue := instance.Instance{}, instance.Instance{Name: "blue"}
	rename := func(from, to string) {
		o := s.Get(core + from)
		s.Put(core+to, kubetest.Object{"kind": o["kind"], "apiVersion": o["apiVersion"], "metadata": kubetest.Object{"name": to[strings.Index(to, "/")+1:]}, "data": o["data"]})
	}
	rename("configmaps/"+none.State(), "configmaps/"+blue.State())
	rename("secrets/"+none.Key(), "secrets/"+blue.Key())
	for _, name := range s.Names(runsPath) {
		run := s.Get(runsPath + "/" + name)
		run["metadata"].(kubetest.Object)["labels"].(kubetest.Object)[pipelinerun.LabelInstance] = blue.Name
		s.Put(runsPath+"/"+name, run)
	}

	after := named(t, c, "blue")
	after.set("a", "main", "2")
	after.cycle()
	if got := runsIn(t, s); !slices.Equal(got, []string{"blue 2"}) {
		t.Errorf("after the start there are the runs %q, want the one of before\n%s", got, &after.log)
	}
	after.set("a", "main", "3")
	after.cycle()
	finishRuns(s, "blue")
	after.cycle()
	if got := runsIn(t, s); !slices.Equal(got, []string{"blue 2", "blue 3"}) {
		t.Errorf("then there are the runs %q, want one for each change\n%s", got, &after.log)
	}
}
