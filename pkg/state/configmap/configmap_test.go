package configmap

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/state/statetest"
)

// firstName is the first ConfigMap of a Sentry without a name.
const firstName = "sentry-state"

const configMaps = "/api/v1/namespaces/test/configmaps"

// small is what a ConfigMap of newStore holds, so that the tests are quick.
const small = maxBytes / 43

// newStore returns a store of small ConfigMaps.
func newStore(c *kube.Cluster) *Store {
	s := New(c, instance.Instance{})
	s.limit = small
	return s
}

func load(t *testing.T, c *kube.Cluster) (*Store, state.Snapshot) {
	t.Helper()
	s := newStore(c)
	snapshot, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s, snapshot
}

func save(t *testing.T, c *kube.Cluster, next state.Snapshot) {
	t.Helper()
	s, _ := load(t, c)
	if err := s.Save(t.Context(), next); err != nil {
		t.Fatal(err)
	}
}

// Each instance has a state of its own, in further ConfigMaps too.
func TestInstances(t *testing.T) {
	server, c := kubetest.New(t)
	for i, name := range []string{"", "blue"} {
		s := New(c, instance.Instance{Name: name})
		s.limit = small
		if snapshot, err := s.Load(t.Context()); err != nil || len(snapshot.Repositories) > 0 {
			t.Errorf("instance %q begins with %d repositories, %v, want none", name, len(snapshot.Repositories), err)
		}
		if err := s.Save(t.Context(), statetest.Many(120+i, "a")); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range []string{"", "blue"} {
		if s, err := New(c, instance.Instance{Name: name}).Load(t.Context()); err != nil || len(s.Repositories) != 120+i {
			t.Errorf("instance %q has %d repositories, %v, want %d", name, len(s.Repositories), err, 120+i)
		}
	}
	want := []string{
		"sentry-blue-state", "sentry-blue-state-1", "sentry-blue-state-2", "sentry-blue-state-3",
		"sentry-state", "sentry-state-1", "sentry-state-2", "sentry-state-3",
	}
	if got := server.Names(configMaps); !slices.Equal(got, want) {
		t.Errorf("ConfigMaps %v, want %v", got, want)
	}
}

func TestStateThatGrowsAndShrinks(t *testing.T) {
	server, c := kubetest.New(t)
	for _, step := range []struct {
		n, further int
		writes     int // ConfigMap writes
	}{
		{1, 0, 1},
		{70, 0, 1},
		{120, 3, 5},   // the word, three parts, the names
		{121, 3, 1},   // what changed lately is in the first
		{190, 3, 1},   // as long as it fits there
		{270, 7, 9},   // some hundred new ones more do not
		{10, 0, 1},    // and back into one
		{130, 4, 6},   // over what was left behind
		{130, 4, 1},   // (the store does not compare; its caller does)
		{400, 10, 12}, // from few to many
	} {
		server.Writes()
		want := statetest.Many(step.n, "a")
		save(t, c, want)
		s, got := load(t, c)
		if !got.Equal(want) {
			t.Fatalf("%d repositories: read back %d, not what was written", step.n, len(got.Repositories))
		}
		if writes := server.Writes(); len(s.names) != step.further || len(writes) != step.writes {
			t.Errorf("%d repositories: %d further ConfigMaps by %v, want %d by %d writes", step.n, len(s.names), writes, step.further, step.writes)
		}
		for _, name := range server.Names(configMaps) {
			if text := get(server, name); len(text) > small {
				t.Errorf("%d repositories: %s holds %d bytes", step.n, name, len(text))
			}
		}
	}
	server.Writes()
	s, _ := load(t, c)
	if err := s.Save(t.Context(), varied(4000, "a")); !errors.Is(err, state.ErrTooLarge) || len(server.Writes()) > 0 {
		t.Errorf("more than all ConfigMaps hold: %v, want a refusal before anything is written", err)
	}
}

func TestPromises(t *testing.T) {
	statetest.Test(t, func(t *testing.T) statetest.Place {
		server, c := kubetest.New(t)
		return onCluster(server, c)
	})
}

// onCluster is the ConfigMaps of a cluster, as statetest uses them.
func onCluster(server *kubetest.Server, c *kube.Cluster) statetest.Place {
	return statetest.Place{
		Open:  func() statetest.Store { return newStore(c) },
		Write: func(text string) { set(server, firstName, text) },
		Edit: func(replace, with string) {
			for _, name := range server.Names(configMaps) {
				set(server, name, strings.ReplaceAll(get(server, name), replace, with))
			}
		},
		// Further ones stay, and mean nothing without the first.
		Delete: func() {
			if slices.Contains(server.Names(configMaps), firstName) {
				server.Put(configMaps+"/"+firstName, nil)
			}
		},
		Dying: func(writes int) (alive func()) {
			server.Fault = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodGet {
					return false
				}
				if writes--; writes < 0 {
					kubetest.Refuse(w, http.StatusInternalServerError, metav1.StatusReasonInternalError, "dead")
				}
				return writes < 0
			}
			return func() { server.Fault = nil }
		},
		TooLarge: func() state.Snapshot { return varied(4000, "a") },
	}
}

// A person edited an entry in a further ConfigMap, and the new part is what it was before that.
func TestDeathAfterAnEditByHand(t *testing.T) {
	next := statetest.Many(130, "c")
	statetest.Deaths(t, next, func() statetest.Place {
		server, c := kubetest.New(t)
		save(t, c, statetest.Many(130, "a"))
		text := edit(server)
		for name, r := range statetest.Many(130, "a").Repositories {
			if strings.Contains(text, `"`+name+`"`) {
				next.Repositories[name] = r
			}
		}
		return onCluster(server, c)
	})
}

// edit has a person change the first SHA in the first of the further ConfigMaps, and returns what it held.
func edit(s *kubetest.Server) string {
	text := get(s, "sentry-state-1")
	at := strings.Index(text, strings.Repeat("a", 40))
	set(s, "sentry-state-1", text[:at]+strings.Repeat("b", 40)+text[at+40:])
	return text
}

// Who reads while another Sentry writes reads what that one wrote.
func TestLoadWhileAnotherWrites(t *testing.T) {
	server, c := kubetest.New(t)
	save(t, c, statetest.Many(120, "a"))
	inside := false
	server.Fault = func(_ http.ResponseWriter, r *http.Request) bool {
		if !inside && strings.HasSuffix(r.URL.Path, "/sentry-state-2") {
			inside = true
			save(t, c, statetest.Many(270, "b"))
			save(t, c, statetest.Many(270, "c")) // now the part is gone that the first ConfigMap named
		}
		return false
	}
	if _, got := load(t, c); !got.Equal(statetest.Many(270, "c")) {
		t.Errorf("read %d repositories, want what was written meanwhile", len(got.Repositories))
	}
}

// What nobody wrote is not sent again, whether it was loaded or saved; what a person did by hand counts.
func TestLoadOfWhatIsKnown(t *testing.T) {
	for _, n := range []int{1, 130} {
		server, c := kubetest.New(t)
		s := newStore(c)
		if _, err := s.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect := func(what string, want state.Snapshot) {
			t.Helper()
			if got, err := s.Load(t.Context()); err != nil || !got.Equal(want) {
				t.Errorf("%d repositories, %s: Load = %d repositories, %v, want %d", n, what, len(got.Repositories), err, len(want.Repositories))
			}
		}
		var whole []string
		server.Fault = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet && !strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata") {
				whole = append(whole, r.URL.Path)
			}
			return false
		}
		next := statetest.Many(n, "a")
		for range 2 {
			if err := s.Save(t.Context(), next); err != nil {
				t.Fatal(err)
			}
			whole = nil
			expect("saved", next)
			if len(whole) > 0 {
				t.Errorf("%d repositories: read %v, want versions alone", n, whole)
			}
			next = statetest.Many(n, "b")
		}
		next = statetest.Many(n, "b")
		for _, name := range server.Names(configMaps) {
			text := get(server, name)
			if strings.Contains(text, `"repository-0"`) {
				set(server, name, strings.ReplaceAll(text, strings.Repeat("b", 40), strings.Repeat("c", 40)))
				for repository := range next.Repositories {
					if strings.Contains(text, `"`+repository+`"`) {
						next.Repositories[repository] = statetest.Many(n, "c").Repositories[repository]
					}
				}
			}
		}
		expect("edited by hand", next)
		server.Put(configMaps+"/"+instance.Instance{}.State(), nil)
		expect("deleted by hand", state.Snapshot{})
	}
}

// At a write of one Sentry another one, which read the state before that write, before an earlier one or before
// all of them, writes too. Exactly the one that was told so has lost.
func TestTwoWriters(t *testing.T) {
	for _, at := range []int{1, 2, 3, 8, 9} { // the word, parts, the names
		for read := range at + 1 {
			server, c := kubetest.New(t)
			save(t, c, statetest.Many(120, "a"))
			mine, _ := load(t, c)
			other, _ := load(t, c)
			writes, inside := 0, false
			var otherErr error
			server.Fault = func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodGet || inside {
					return false
				}
				inside = true
				if writes++; writes == read {
					other, _ = load(t, c)
				}
				if writes == at {
					otherErr = other.Save(t.Context(), statetest.Many(280, "c"))
				}
				inside = false
				return false
			}
			myErr := mine.Save(t.Context(), statetest.Many(270, "b"))
			server.Fault = nil
			_, got := load(t, c)
			want := statetest.Many(120, "a")
			switch {
			case myErr == nil:
				want = statetest.Many(270, "b")
			case otherErr == nil:
				want = statetest.Many(280, "c")
			}
			if myErr == nil && otherErr == nil || !got.Equal(want) {
				t.Errorf("read before write %d, at write %d: %v and %v, and %d repositories are remembered", read, at, myErr, otherErr, len(got.Repositories))
			}
			for _, err := range []error{myErr, otherErr} {
				if err != nil && !errors.Is(err, state.ErrConflict) {
					t.Errorf("read before write %d, at write %d: %v, want a conflict", read, at, err)
				}
			}
		}
	}
}

// Another Sentry that reads the state between two writes of one gets on to a write of its own, the first one's next
// write comes in between, and then the other goes on. Who is told to have lost has, and the state is somebody's whole.
func TestWritersInTurn(t *testing.T) {
	for one := 2; one <= 4; one++ {
		for two := 2; two <= 4; two++ {
			testWritersInTurn(t, one, two)
		}
	}
}

// testWritersInTurn holds write number one of a Sentry until another one has come to its write number two, and that
// one until the first has ended.
func testWritersInTurn(t *testing.T, one, two int) {
	server, c := kubetest.New(t)
	save(t, c, statetest.Many(120, "a"))
	mine, _ := load(t, c)
	held, ended, otherErr := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	release := sync.OnceFunc(func() { close(held) })
	var writes, others atomic.Int32
	server.Fault = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			return false
		}
		switch n := writes.Add(1); {
		case n == int32(one):
			other, _ := load(t, c)
			go func() {
				defer release()
				otherErr <- other.Save(context.WithoutCancel(t.Context()), statetest.Many(280, "c"))
			}()
			<-held
		case n > int32(one) && others.Add(1) == int32(two):
			release()
			<-ended
		}
		return false
	}
	myErr := mine.Save(t.Context(), statetest.Many(270, "b"))
	close(ended)
	theirErr := <-otherErr
	server.Fault = nil

	if !errors.Is(myErr, state.ErrConflict) || theirErr != nil && !errors.Is(theirErr, state.ErrConflict) {
		t.Errorf("write %d held until the other's write %d: %v and %v, want a conflict for the first at least", one, two, myErr, theirErr)
	}
	want := statetest.Many(120, "a")
	if theirErr == nil {
		want = statetest.Many(280, "c")
	}
	if got, err := newStore(c).Load(t.Context()); err != nil || !got.Equal(want) {
		t.Errorf("write %d held until the other's write %d: %v and %v, and then %d repositories, %v, want %d",
			one, two, myErr, theirErr, len(got.Repositories), err, len(want.Repositories))
	}
}

func TestLoadRefuses(t *testing.T) {
	tests := map[string]struct {
		edit func(*kubetest.Server)
		want string
	}{
		"a part is gone":    {func(s *kubetest.Server) { s.Put(configMaps+"/sentry-state-2", nil) }, "sentry-state-2 does not exist"},
		"a part is no JSON": {func(s *kubetest.Server) { set(s, "sentry-state-2", "{") }, "sentry-state-2, key state.json: the stored state cannot be used"},
		"a part of another": {func(s *kubetest.Server) { set(s, "sentry-state-2", `{"version":4,"epoch":"e1","parts":{"x":{}}}`) }, "it has no part"},
		"a part of an earlier state": {func(s *kubetest.Server) {
			text := get(s, "sentry-state-2")
			set(s, "sentry-state-2", strings.Replace(text, `"epoch":"e1"`, `"epoch":"e0"`, 1))
		}, "it has no part"},
		"the first is no JSON": {func(s *kubetest.Server) { set(s, "sentry-state", "x") }, "sentry-state, key state.json: the stored state cannot be used"},
		"no state":             {func(s *kubetest.Server) { set(s, "sentry-state", `{"version":4}`) }, "it is no JSON object"},
		"more than is known":   {func(s *kubetest.Server) { set(s, "sentry-state", `{"version":4,"state":{},"x":1}`) }, `unknown field "x"`},
		"a part without state": {func(s *kubetest.Server) {
			set(s, "sentry-state-2", strings.Replace(get(s, "sentry-state-2"), `{"version":3,`, `[],"x":{`, 1))
		}, "it is no JSON object"},
		"too many parts": {func(s *kubetest.Server) {
			text, _ := json.Marshal(kubetest.Object{"version": 4, "parts": make([]string, 16), "state": kubetest.Object{}})
			set(s, "sentry-state", string(text))
		}, "16 further ConfigMaps"},
	}
	for name, tt := range tests {
		server, c := kubetest.New(t)
		save(t, c, statetest.Many(120, "a"))
		tt.edit(server)
		got, err := newStore(c).Load(t.Context())
		if err == nil || !strings.Contains(err.Error(), tt.want) || !got.Equal(state.Snapshot{}) {
			t.Errorf("%s: %d repositories, %v, want an error with %q", name, len(got.Repositories), err, tt.want)
		}
	}
}

func get(s *kubetest.Server, name string) string {
	return s.Get(configMaps + "/" + name)["data"].(kubetest.Object)[key].(string)
}

func set(s *kubetest.Server, name, text string) {
	s.Put(configMaps+"/"+name, kubetest.Object{"metadata": kubetest.Object{"name": name}, "data": kubetest.Object{key: text}})
}

// A person who mends an entry in a further ConfigMap is heeded, and may mend it to what it was.
func TestEditByHand(t *testing.T) {
	server, c := kubetest.New(t)
	save(t, c, statetest.Many(120, "a"))
	edit(server)
	if _, got := load(t, c); got.Equal(statetest.Many(120, "a")) {
		t.Fatal("the edit was not read")
	}
	want := statetest.Many(120, "a")
	for name, r := range statetest.Many(270, "c").Repositories {
		if _, ok := want.Repositories[name]; !ok {
			want.Repositories[name] = r
		}
	}
	save(t, c, want)
	if _, got := load(t, c); !got.Equal(want) {
		t.Error("what was saved over the edit is not there")
	}
	if names := server.Names(configMaps); !slices.Contains(names, "sentry-state-7") {
		t.Errorf("ConfigMaps %v, want the state to have been split anew", names)
	}
}
