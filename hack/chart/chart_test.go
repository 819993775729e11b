package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const (
	root     = "../.."
	chartDir = root + "/charts/sentry"
)

// TestChartIsMadeFromTheManifests compares the chart with what the manifests make of it.
func TestChartIsMadeFromTheManifests(t *testing.T) {
	want, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(chartDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(chartDir, path)
		text, err := os.ReadFile(path)
		if string(text) != want[name] {
			t.Errorf("charts/sentry/%s is not what the manifests make of it; `make chart` writes it", name)
		}
		delete(want, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		t.Errorf("charts/sentry/%s is not there; `make chart` writes it", name)
	}
}

// values are the chart's for each component.
var values = map[string]map[string]any{
	"deployer-without-secrets": {"deployerReadsSecrets": false},
	"monitoring":               {"monitoring": true},
	"openshift":                {"openshift": true},
	"priority":                 {"priorityClass": true},
	"replicas":                 {"replicas": 3},
	"webhooks":                 {"webhooks": true},
	"one-namespace":            {"runNamespace": ""},
	"namespaced":               {"namespaced": true},
	"registry":                 {"imageRegistry": "registry.example.com/mirror"},
}

// render returns the objects of the chart by kind, namespace and name, as `helm template` has them.
func render(t *testing.T, set map[string]any) (map[string]map[string]any, error) {
	t.Helper()
	return renderBeside(t, set, nil)
}

// renderBeside is as `helm upgrade` has them, with a cluster to look at.
func renderBeside(t *testing.T, set map[string]any, there *cluster) (map[string]map[string]any, error) {
	t.Helper()
	c, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	return renderChart(t, c, set, there)
}

func renderChart(t *testing.T, c *chart.Chart, set map[string]any, there *cluster) (map[string]map[string]any, error) {
	t.Helper()
	all, err := chartutil.ToRenderValues(c, set, chartutil.ReleaseOptions{Name: "sentry", Namespace: home}, nil)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(c, all)
	if there != nil {
		files, err = engine.RenderWithClientProvider(c, all, there)
	}
	if err != nil {
		return nil, err
	}
	objects := map[string]map[string]any{}
	for name, text := range files {
		if filepath.Ext(name) == ".yaml" {
			decode(t, []byte(text), objects)
		}
	}
	return objects, nil
}

// cluster is what the chart can look at.
type cluster struct{ *fake.FakeDynamicClient }

// GetClientFor returns a client of Secrets, as the chart looks at nothing else.
func (c *cluster) GetClientFor(apiVersion, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	if apiVersion != "v1" || kind != "Secret" {
		return nil, false, fmt.Errorf("the chart looks for a %s %s", apiVersion, kind)
	}
	return c.Resource(corev1.SchemeGroupVersion.WithResource("secrets")), true, nil
}

func secret(t *testing.T, object any) corev1.Secret {
	t.Helper()
	var s corev1.Secret
	text, err := yaml.Marshal(object)
	if err == nil {
		err = yaml.UnmarshalStrict(text, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTheKeyStays upgrades by replacing, and rolls back to a release from before there was a key.
func TestTheKeyStays(t *testing.T) {
	const name = "Secret sentry sentry-key"
	key := []byte(`{"secret":"0123\"<&","since":"2026-01-01T00:00:00Z"}`)
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	installed, err := renderBeside(t, nil, &cluster{fake.NewSimpleDynamicClient(scheme)})
	if err != nil {
		t.Fatal(err)
	}
	first := secret(t, installed[name])
	if len(first.Data)+len(first.StringData) != 0 {
		t.Errorf("the chart makes a key: %v", first)
	}

	live := first.DeepCopy()
	live.Data = map[string][]byte{"key.json": key}
	upgraded, err := renderBeside(t, nil, &cluster{fake.NewSimpleDynamicClient(scheme, live)})
	if err != nil {
		t.Fatal(err)
	}
	second := secret(t, upgraded[name])
	if got := second.StringData["key.json"]; got != string(key) || len(second.Data) != 0 || len(second.StringData) != 1 {
		t.Errorf("an upgrade that replaces the Secret leaves %q, want %q", got, key)
	}

	var texts [3][]byte
	for i, s := range []any{&second, &first, live} {
		if texts[i], err = json.Marshal(s); err != nil {
			t.Fatal(err)
		}
	}
	meta, err := strategicpatch.NewPatchMetaFromStruct(corev1.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	patch, err := strategicpatch.CreateThreeWayMergePatch(texts[0], texts[1], texts[2], meta, true) // as Helm makes it
	if err != nil {
		t.Fatal(err)
	}
	back, err := strategicpatch.StrategicMergePatch(texts[2], patch, corev1.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	var after corev1.Secret
	if err := json.Unmarshal(back, &after); err != nil || string(after.Data["key.json"]) != string(key) {
		t.Errorf("a rollback by %s leaves %s, %v", patch, back, err)
	}
}

func decode(t *testing.T, stream []byte, into map[string]map[string]any) {
	t.Helper()
	for _, doc := range bytes.Split(stream, []byte("\n---\n")) {
		var object map[string]any
		if err := yaml.Unmarshal(doc, &object); err != nil {
			t.Fatalf("%v:\n%s", err, doc)
		}
		if object == nil { // behind a condition that does not hold
			continue
		}
		metadata := section(object, "metadata")
		key := fmt.Sprint(object["kind"], " ", metadata["namespace"], " ", metadata["name"])
		if into[key] != nil {
			t.Fatalf("there are two of %s", key)
		}
		into[key] = object
	}
}

// combinations are no component, each, each pair, and all; but for those that the chart refuses.
func combinations() [][]string {
	var most, namespaced []string // with the PriorityClass, and without what belongs to the cluster
	sets := [][]string{nil}
	for i, f := range features {
		if f.component != "namespaced" {
			most = append(most, f.component)
		}
		if f.component != "priority" {
			namespaced = append(namespaced, f.component)
		}
		sets = append(sets, []string{f.component})
		for _, other := range features[i+1:] {
			if pair := []string{f.component, other.component}; !slices.Equal(pair, []string{"priority", "namespaced"}) {
				sets = append(sets, pair)
			}
		}
	}
	return append(sets, most, namespaced)
}

// TestHelmSaysWhatKustomizeSays compares each object of the chart with that of the manifests.
func TestHelmSaysWhatKustomizeSays(t *testing.T) {
	for _, components := range combinations() {
		text, err := build(root, kustomization{Components: components})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]map[string]any{}
		decode(t, text, want)
		delete(want, "Namespace <nil> "+home) // Helm's own to make
		set := map[string]any{}
		for _, c := range components {
			for key, value := range values[c] {
				set[key] = value
			}
		}
		got, err := render(t, set)
		if err != nil {
			t.Fatal(err)
		}
		for key, object := range want {
			helms := got[key]
			delete(got, key)
			metadata := section(helms, "metadata")
			annotations := section(metadata, "annotations")
			if delete(annotations, "helm.sh/resource-policy"); len(annotations) == 0 {
				delete(metadata, "annotations")
			}
			if key == "ConfigMap sentry sentry-config" { // but for the line by which an editor finds the schema
				data := section(object, "data")
				_, rest, _ := strings.Cut(data["sentry.yaml"].(string), "\n")
				data["sentry.yaml"] = rest
			}
			if !reflect.DeepEqual(helms, object) {
				h, _ := yaml.Marshal(helms)
				k, _ := yaml.Marshal(object)
				t.Errorf("with %v Helm has %s\n%s\nkustomize\n%s", components, key, h, k)
			}
		}
		for key := range got {
			t.Errorf("with %v only Helm has %s", components, key)
		}
	}
}

// TestLint runs what `helm lint` does.
func TestLint(t *testing.T) {
	for _, set := range []map[string]any{{}, {"replicas": 3, "webhooks": true, "monitoring": true, "namespaced": true, "config": "repositories: []"}} {
		for _, m := range lint.All(chartDir, set, home, true).Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("with %v: %v", set, m)
			}
		}
	}
}

// TestWrongValues are refused with the name of what is wrong.
func TestWrongValues(t *testing.T) {
	long := "registry.example.com/" + strings.Repeat("a", 200)
	for want, set := range map[string]map[string]any{
		"set one of them":                   {"priorityClass": true, "priorityClassName": "important"},
		"belongs to the cluster as a whole": {"priorityClass": true, "namespaced": true},
		"'/imageRegistry': maxLength":       {"imageRegistry": long},
		"replicas":                          {"replicas": 0},
		"replica":                           {"replica": 3},
		"memory":                            {"resources": map[string]any{"limits": map[string]any{"memory": "256000000"}}},
		"digest":                            {"image": map[string]any{"digest": "latest"}},
		"'/imageRegistry': 'https":          {"imageRegistry": "https://registry.example.com"},
		"'/imageRegistry': 'registry'":      {"imageRegistry": "registry"}, // an image of Docker Hub
		"runNamespace":                      {"runNamespace": "Runs"},
	} {
		if _, err := render(t, set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %v: %v, want an error about %s", set, err, want)
		}
	}
}

// TestValuesOfThePod are those that no component stands for.
func TestValuesOfThePod(t *testing.T) {
	objects, err := render(t, map[string]any{
		"image":             map[string]any{"digest": "sha256:" + strings.Repeat("0", 64), "pullPolicy": "Always"},
		"imageRegistry":     "localhost:5000",
		"imagePullSecrets":  []any{"registry"},
		"config":            "# <mine>\nrepositories: []\n",
		"priorityClassName": "important",
		"resources":         map[string]any{"limits": map[string]any{"memory": "2Gi"}, "requests": map[string]any{"cpu": "1"}},
		"nodeSelector":      map[string]any{"pool": "ci"},
		"tolerations":       []any{map[string]any{"key": "dedicated", "operator": "Exists"}},
		"affinity":          map[string]any{"nodeAffinity": map[string]any{}},
		"podAnnotations":    map[string]any{"team": "qa"},
		"podLabels":         map[string]any{"team": "qa"},
		"extraEnv":          []any{map[string]any{"name": "SENTRY_INTERVAL", "value": "2s"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := section(objects["ConfigMap sentry sentry-config"], "data")["sentry.yaml"]; got != "# <mine>\nrepositories: []\n" {
		t.Errorf("sentry.yaml is %q", got)
	}
	text, err := yaml.Marshal(section(objects["Deployment sentry sentry"], "spec", "template"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"image: localhost:5000/tekton-sentry/sentry@sha256:000", "imagePullPolicy: Always", "imagePullSecrets:\n  - name: registry\n",
		"priorityClassName: important", "memory: 2Gi", "cpu: \"1\"", "value: 1802MiB", "nodeSelector:\n    pool: ci", "key: dedicated",
		"nodeAffinity: {}", "annotations:\n    team: qa", "    team: qa\nspec:", "name: SENTRY_INTERVAL\n      value: 2s",
		"name: IMAGE_REGISTRY\n      value: localhost:5000",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// TestImageOnTheRegistry has Sentry's image where pkg/config/rule has those of runs.
func TestImageOnTheRegistry(t *testing.T) {
	var cases struct {
		Registry string
		Images   map[string]string
	}
	text, err := os.ReadFile(root + "/pkg/config/rule/testdata/on-registry.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &cases); err != nil || len(cases.Images) == 0 {
		t.Fatalf("%d cases, %v", len(cases.Images), err)
	}
	for image, want := range cases.Images {
		for registry, want := range map[string]string{cases.Registry: want, "": image} {
			objects, err := render(t, map[string]any{"imageRegistry": registry, "image": map[string]any{"repository": image, "tag": "tag"}})
			if err != nil {
				t.Fatal(err)
			}
			pod := section(objects["Deployment sentry sentry"], "spec", "template", "spec")
			if got := list(pod, "containers")[0]["image"]; got != want+":tag" {
				t.Errorf("%s on %q is %v, want %s:tag", image, registry, got, want)
			}
		}
	}
}

// TestOverlays compares each overlay with the components that it stands for.
func TestOverlays(t *testing.T) {
	overlays := map[string]string{"ha": "replicas", "namespaced": "namespaced", "air-gapped": "registry"}
	entries, err := os.ReadDir(filepath.Join(root, "overlays"))
	if err != nil || len(entries) != len(overlays) {
		t.Fatalf("%d overlays, %v, want %d", len(entries), err, len(overlays))
	}
	for name, component := range overlays {
		objects, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, "overlays", name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := objects.AsYaml()
		if err != nil {
			t.Fatal(err)
		}
		want, err := build(root, kustomization{Components: []string{component}})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("overlays/%s is not the component %s:\n%s", name, component, got)
		}
	}
}

// TestNamespaced holds nothing that belongs to the cluster, and everything else.
func TestNamespaced(t *testing.T) {
	objects := func(components ...string) map[string]map[string]any {
		text, err := build(root, kustomization{Components: components})
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]map[string]any{}
		decode(t, text, all)
		return all
	}
	got := objects("namespaced")
	for key, object := range got {
		if section(object, "metadata")["namespace"] == nil {
			t.Errorf("%s is in no namespace", key)
		}
		if ref := section(object, "roleRef"); ref["kind"] != nil && ref["kind"] != "Role" {
			t.Errorf("%s refers to a %v", key, ref["kind"])
		}
	}
	cluster := objects()["ClusterRole <nil> sentry-deployer"]
	if role := got["Role sentry-runs sentry-deployer"]; role == nil || !reflect.DeepEqual(role["rules"], cluster["rules"]) {
		t.Errorf("the Role sentry-deployer is %v, want the rules of %v", role, cluster)
	}
}

// TestAutoscaling leaves the number of replicas to the autoscaler.
func TestAutoscaling(t *testing.T) {
	text, err := build(root, kustomization{Components: []string{"replicas", "autoscaling"}})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]any{}
	decode(t, text, all)
	if all["HorizontalPodAutoscaler sentry sentry"] == nil {
		t.Errorf("there is no autoscaler:\n%s", text)
	}
	spec := section(all["Deployment sentry sentry"], "spec")
	if len(spec) == 0 || spec["replicas"] != nil {
		t.Errorf("the Deployment says how many replicas there are: %v", spec["replicas"])
	}
}

// TestDist looks at what a release is made of.
func TestDist(t *testing.T) {
	t.Chdir(copyOf(t, "manifests", "charts"))
	digest := "sha256:" + strings.Repeat("ab", 32)
	args := []string{"dist", "-image", "registry.example.com:5000/sentry:v1.2.3", "-version", "v1.2.3", "-digest", digest}
	if err := run(args); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("dist")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"install-ha.yaml", "install-namespaced.yaml", "install.yaml", "sentry-1.2.3.tgz"}; !slices.Equal(names, want) {
		t.Errorf("dist has %v, want %v", names, want)
	}
	for _, name := range names[:3] {
		text, err := os.ReadFile(filepath.Join("dist", name))
		if err != nil || !strings.Contains(string(text), "image: registry.example.com:5000/sentry:v1.2.3@"+digest+"\n") {
			t.Errorf("%s has another image, %v:\n%s", name, err, text)
		}
	}
	c, err := loader.Load("dist/sentry-1.2.3.tgz")
	if err != nil || c.Metadata.AppVersion != "v1.2.3" {
		t.Fatalf("the chart is of %+v, %v", c.Metadata, err)
	}
	objects, err := renderChart(t, c, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	pod := section(objects["Deployment sentry sentry"], "spec", "template", "spec")
	if got, want := list(pod, "containers")[0]["image"], "registry.example.com:5000/sentry@"+digest; got != want {
		t.Errorf("the chart's image is %v, want %s", got, want)
	}
	f, err := os.Open("dist/sentry-1.2.3.tgz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil || !unpacked.ModTime.IsZero() {
		t.Fatalf("the archive was packed at %v, %v", unpacked.ModTime, err)
	}
	for r := tar.NewReader(unpacked); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || h.ModTime.Unix() != 0 {
			t.Fatalf("%v, %v: two releases would differ", h, err)
		}
	}
	if err := run([]string{"dist", "-image", "registry.example.com:5000/sentry", "-version", "v1"}); err == nil {
		t.Error("an image without a tag is taken")
	}
}

// copyOf returns a folder with these of the repository.
func copyOf(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(root, name))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
