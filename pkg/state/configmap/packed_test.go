package configmap

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/state/statetest"
)

// varied is statetest.Many with SHAs that nothing compresses.
func varied(n int, word string) state.Snapshot {
	s := statetest.Many(n, "a")
	for name, r := range s.Repositories {
		for branch, b := range r.Branches.All() {
			b.SHA = repo.SHA(fmt.Sprintf("%x", sha256.Sum256([]byte(word+name+branch)))[:40])
			r.Branches.Set(branch, b)
		}
	}
	return s
}

// packedOf returns what a ConfigMap has compressed, nil when it has nothing so.
func packedOf(t *testing.T, s *kubetest.Server, name string) []byte {
	t.Helper()
	text, err := json.Marshal(s.Get(configMaps + "/" + name))
	if err != nil {
		t.Fatal(err)
	}
	var cm struct{ BinaryData map[string][]byte }
	if err := json.Unmarshal(text, &cm); err != nil {
		t.Fatal(err)
	}
	return cm.BinaryData[packedKey]
}

func TestPartsThatAreCompressed(t *testing.T) {
	server, c := kubetest.New(t)
	for _, step := range []struct {
		n       int
		packed  bool
		further int
		writes  int
	}{
		{500, false, 12, 14},
		{1000, true, 15, 17}, // more than fit as they are
		{1001, true, 15, 1},
		{1002, true, 15, 1},
		{1300, true, 15, 17}, // from compressed to compressed
		{580, true, 15, 17},  // they would fit, but just so
		{440, false, 15, 17}, // they fit well
		{10, false, 0, 1},
	} {
		server.Writes()
		want := varied(step.n, fmt.Sprint(step.n))
		if step.writes == 1 && step.n > 10 { // few changed
			want = varied(1000, "1000")
			for name, r := range varied(step.n, "more").Repositories {
				if _, ok := want.Repositories[name]; !ok {
					want.Repositories[name] = r
				}
			}
		}
		save(t, c, want)
		s, got := load(t, c)
		if !got.Equal(want) {
			t.Fatalf("%d repositories: read back %d, not what was written", step.n, len(got.Repositories))
		}
		if writes := server.Writes(); (s.packed > 0) != step.packed || len(s.names) != step.further || len(writes) != step.writes {
			t.Errorf("%d repositories: compressed to %d bytes in %d further ConfigMaps by %d writes, want compressed: %v, %d, %d",
				step.n, s.packed, len(s.names), len(writes), step.packed, step.further, step.writes)
		}
		if size, ok := s.Size(); !ok || size.Most < size.Bytes {
			t.Errorf("%d repositories: %+v, want room for what there is", step.n, size)
		}
		for _, name := range server.Names(configMaps) {
			if size := len(plainOf(server, name)) + len(packedOf(t, server, name)); size > small {
				t.Errorf("%d repositories: %s holds %d bytes", step.n, name, size)
			}
		}
		// An older Sentry knows no such parts, and must not take the state for one without them.
		if first := plainOf(server, firstName); step.packed != strings.HasPrefix(first, `{"version":5,`) {
			t.Errorf("%d repositories: the first begins %.40s", step.n, first)
		}
		server.Writes()
		if _, err := s.Load(t.Context()); err != nil || len(server.Writes()) > 0 {
			t.Errorf("%d repositories: a second load: %v, and wrote something", step.n, err)
		}
	}
}

func plainOf(s *kubetest.Server, name string) string {
	if data, ok := s.Get(configMaps + "/" + name)["data"].(kubetest.Object); ok {
		text, _ := data[key].(string)
		return text
	}
	return ""
}

// A Sentry that dies while parts change from plain to compressed, or back, loses nothing.
func TestDeathsWhileParts(t *testing.T) {
	for name, n := range map[string][2]int{"become compressed": {100, 700}, "are compressed": {650, 700}, "become plain": {650, 300}} {
		t.Run(name, func(t *testing.T) {
			statetest.Deaths(t, varied(n[1], "b"), func() statetest.Place {
				server, c := kubetest.New(t)
				save(t, c, varied(n[0], "a"))
				return onCluster(server, c)
			})
		})
	}
}

// What gunzip prints of a ConfigMap is the documents of its parts.
func TestGunzipReadsParts(t *testing.T) {
	server, c := kubetest.New(t)
	save(t, c, varied(900, "a"))
	save(t, c, varied(1000, "b"))
	r, err := gzip.NewReader(bytes.NewReader(packedOf(t, server, "sentry-state-1")))
	if err != nil {
		t.Fatal(err)
	}
	documents := json.NewDecoder(r)
	for range 2 { // the old and the new part
		var d further
		if err := documents.Decode(&d); err != nil || d.Version != packedParts || len(d.Parts) != 1 {
			t.Errorf("%v: version %d, %d parts, want one of version %d", err, d.Version, len(d.Parts), packedParts)
		}
	}
	if documents.More() {
		t.Error("there is more than two documents")
	}
}

// What a person puts into the first ConfigMap goes before what is compressed in the others.
func TestEditOverCompressedParts(t *testing.T) {
	server, c := kubetest.New(t)
	save(t, c, varied(1000, "a"))
	text := plainOf(server, firstName)
	set(server, firstName, strings.Replace(text, `"state":{"version":3,"epoch":"e1"`, `"state":{"version":3,"epoch":"e1","repositories":{"repository-7":{"floor":9}}`, 1))
	_, got := load(t, c)
	if r := got.Repositories["repository-7"]; r.Floor != 9 || r.Branches.Len() != 0 || len(got.Repositories) != 1000 {
		t.Errorf("%d repositories, the edited one is %+v, want 1000 and the edit; the first was %.200s", len(got.Repositories), r, text)
	}
}

func TestLoadRefusesWhatIsCompressedBadly(t *testing.T) {
	zip := func(text string) []byte {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		_, _ = w.Write([]byte(text))
		_ = w.Close()
		return out.Bytes()
	}
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	for zeros := make([]byte, 1<<20); bomb.Len() < 64<<10; { // a thousandth of what it stands for
		_, _ = w.Write(zeros)
	}
	_ = w.Close()
	good := zip(`{"version":5,"epoch":"e","parts":{"a":{"repositories":{}}}}`)
	for name, tt := range map[string]struct {
		packed []byte
		want   string
	}{
		"a bomb":             {bomb.Bytes(), "it has more than 10"},
		"a bomb behind":      {slices.Concat(good, bomb.Bytes()), "it has more than 10"},
		"no gzip":            {[]byte("{}"), "state.json.gz cannot be used"},
		"cut off":            {good[:len(good)-6], "unexpected EOF"},
		"garbage behind":     {slices.Concat(good, []byte("x")), "state.json.gz cannot be used"},
		"no JSON":            {zip("{"), "the stored state cannot be used"},
		"empty":              {zip(""), "it is empty"},
		"of a newer version": {zip(`{"version":6}`), "format version 6 and this Sentry reads 5: run the newer Sentry"},
		"of something else":  {zip(`{"version":3}`), "does not belong here"},
		"without the part":   {zip(`{"version":5,"epoch":"e","parts":{"b":{}}}`), "it has no part a"},
		"of another epoch":   {zip(`{"version":5,"epoch":"f","parts":{"a":{}}}`), "it has no part a"},
		"a part of nothing":  {zip(`{"version":5,"epoch":"e","parts":{"a":7}}`), "it is no JSON object"},
	} {
		server, c := kubetest.New(t)
		set(server, firstName, `{"version":5,"parts":["a"],"state":{"version":3,"epoch":"e"}}`)
		server.Put(configMaps+"/"+firstName+"-1", kubetest.Object{"metadata": kubetest.Object{"name": firstName + "-1"},
			"binaryData": kubetest.Object{packedKey: base64.StdEncoding.EncodeToString(tt.packed)}})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := newStore(c).Load(t.Context())
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "sentry-state-1") {
			t.Errorf("%s: %v, want an error of the ConfigMap with %q", name, err, tt.want)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 100<<20 {
			t.Errorf("%s: reading it took %d MB", name, took>>20)
		}
	}
	if _, err := unpack(good); err != nil {
		t.Errorf("one that is good: %v", err)
	}
}

// 50,000 repositories with three branches each, which ran, fit the ConfigMaps, and each of these fits the API server.
func TestFiftyThousandRepositories(t *testing.T) {
	const n = 50_000
	server, c := kubetest.New(t)
	s := New(c, instance.Instance{})
	if _, err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := ran(n)
	if err := s.Save(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, err := New(c, instance.Instance{}).Load(t.Context())
	if err != nil || !got.Equal(want) {
		t.Fatalf("read back %d repositories, %v, not what was written", len(got.Repositories), err)
	}
	largest := 0
	for _, name := range server.Names(configMaps) {
		largest = max(largest, len(plainOf(server, name))+len(packedOf(t, server, name)))
	}
	if largest > maxBytes/2 { // so that a new part has room beside
		t.Errorf("a ConfigMap has %d bytes, want at most %d", largest, maxBytes/2)
	}
	size, _ := s.Size()
	t.Logf("%d bytes, %.1f for each that is stored; there is room for %d repositories", size.Bytes, float64(size.Bytes)/float64(s.packed), n*size.Most/size.Bytes)
	if size.Most < size.Bytes {
		t.Errorf("the state has %d bytes, and there is room for %d", size.Bytes, size.Most)
	}
}

// ran is a state of n repositories each of whose three branches ran with success, at times of its own.
func ran(n int) state.Snapshot {
	s := state.Snapshot{Epoch: "e1", Repositories: make(state.Entries[state.Repository], n)}
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range n {
		r := state.Repository{Branches: state.NewBranches(nil)}
		for b, branch := range []string{"main", "develop", "release"} {
			sum := sha256.Sum256(fmt.Append(nil, i, b))
			sha := repo.SHA(fmt.Sprintf("%x", sum[:20]))
			at := start.Add(time.Duration(sum[20])*time.Hour + time.Duration(sum[21])*time.Minute + time.Duration(sum[22])*1234567*time.Nanosecond)
			r.Branches.Set(branch, state.Branch{SHA: sha, N: 1 + int(sum[23]), Time: at, Succeeded: sha})
		}
		s.Repositories[fmt.Sprintf("app-%05d", i)] = r
	}
	return s
}
