package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"text/template"

	"sigs.k8s.io/yaml"
)

// feature is a component of manifests, and the value of the chart that it stands for.
type feature struct{ component, when string }

// features are in the order in which they are applied, which is that of items which several add to one list.
var features = []feature{
	{"deployer-without-secrets", "(not .Values.deployerReadsSecrets)"},
	{"monitoring", ".Values.monitoring"},
	{"openshift", ".Values.openshift"},
	{"priority", ".Values.priorityClass"},
	{"replicas", "(gt (int .Values.replicas) 1)"},
	{"webhooks", ".Values.webhooks"},
	{"namespaced", ".Values.namespaced"},
	{"one-namespace", `(eq (include "sentry.runNamespace" .) .Release.Namespace)`},
	{"registry", ".Values.imageRegistry"},
}

//go:embed all:files
var files embed.FS

// The namespaces of the manifests.
const (
	home = "sentry"
	runs = "sentry-runs"
)

// marks stand in the objects for what the chart takes from its values, or from the release.
var marks = strings.NewReplacer(
	"XhomeX", "{{ .Release.Namespace | quote }}",
	"XrunsX", `{{ include "sentry.runNamespace" . | quote }}`,
	"XimageX", `{{ include "sentry.image" . | quote }}`,
	"XregistryX", "{{ .Values.imageRegistry | quote }}",
	// "helm upgrade --force" replaces objects, and would empty the Secret. As stringData, which no object has once it is stored, the key is
	// taken away by no rollback to a release from before there was one.
	"XkeyX: X", `{{- with (lookup "v1" "Secret" .Release.Namespace "sentry-key").data }}
stringData:
{{- range $field, $value := . }}
  {{ $field }}: {{ $value | b64dec | toJson }}
{{- end }}
{{- end }}`,
	"XmemoryX", `{{ include "sentry.goMemLimit" . | quote }}`,
	"XreplicasX", "{{ .Values.replicas }}",
	"XresourcesX", "{{ toJson .Values.resources }}",
	"XconfigX", `{{ .Values.config | default (.Files.Get "sentry.yaml") | toJson }}`,
	"        - XenvX", "        {{- with .Values.extraEnv }}\n        {{- toYaml . | nindent 8 }}\n        {{- end }}",
	"        imagePullPolicy: XpullX", "        {{- with .Values.image.pullPolicy }}\n        imagePullPolicy: {{ . }}\n        {{- end }}",
	"      XpodX: X", "      {{- with include \"sentry.pod\" . }}\n      {{- . | nindent 6 }}\n      {{- end }}",
	"        XlabelsX: X", "        {{- with .Values.podLabels }}\n        {{- toYaml . | nindent 8 }}\n        {{- end }}",
	"      XannotationsX: X", "      {{- with .Values.podAnnotations }}\n      annotations:\n        {{- toYaml . | nindent 8 }}\n      {{- end }}",
)

// generate returns the files of the chart.
func generate(root string) (map[string]string, error) {
	base, err := objects(root, nil)
	if err != nil {
		return nil, err
	}
	chart := map[string]string{}
	if err := byHand(root, base, chart); err != nil {
		return nil, err
	}
	mark(base)
	variants := make([]map[string]map[string]any, len(features))
	keys := maps.Clone(base)
	for i, f := range features {
		if variants[i], err = objects(root, []string{f.component}); err != nil {
			return nil, err
		}
		mark(variants[i])
		for key, object := range variants[i] {
			variants[i][key] = apart(base[key], object).(map[string]any)
		}
		maps.Copy(keys, variants[i])
	}
	for key := range keys {
		text, err := object(key, base, variants)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		chart["templates/"+key+".yaml"] = "# Made from the folder manifests by `make chart`.\n" + text
	}
	return chart, nil
}

// objects returns what the manifests with these components hold, by kind and name. A ClusterRole and a Role are of one kind: one
// stands in for the other. Sentry's own namespace is made by whoever installs a chart.
func objects(root string, components []string) (map[string]map[string]any, error) {
	text, err := build(root, kustomization{Components: components})
	if err != nil {
		return nil, err
	}
	all := map[string]map[string]any{}
	for _, doc := range bytes.Split(text, []byte("\n---\n")) {
		var object map[string]any
		if err := yaml.Unmarshal(doc, &object); err != nil {
			return nil, err
		}
		name := section(object, "metadata")["name"]
		key := strings.ToLower(fmt.Sprintf("%s-%s", strings.TrimPrefix(fmt.Sprint(object["kind"]), "Cluster"), name))
		if key == "namespace-"+home {
			continue
		}
		if all[key] != nil {
			return nil, fmt.Errorf("there are two of %s", key)
		}
		all[key] = object
	}
	return all, nil
}

// section returns what is below the keys; an empty section that is no part of the object where there is nothing.
func section(object map[string]any, keys ...string) map[string]any {
	for _, key := range keys {
		object, _ = object[key].(map[string]any)
	}
	if object == nil {
		return map[string]any{}
	}
	return object
}

func list(object map[string]any, key string) []map[string]any {
	items, _ := object[key].([]any)
	var sections []map[string]any
	for _, item := range items {
		if s, ok := item.(map[string]any); ok {
			sections = append(sections, s)
		}
	}
	return sections
}

// mark puts marks into the objects.
func mark(all map[string]map[string]any) {
	namespaces := map[any]any{home: "XhomeX", runs: "XrunsX"}
	for key, object := range all {
		metadata := section(object, "metadata")
		for _, s := range append(list(object, "subjects"), metadata) {
			if ns, ok := s["namespace"]; ok {
				s["namespace"] = namespaces[ns]
			}
		}
		switch key {
		case "namespace-" + runs:
			metadata["name"] = "XrunsX"
			keep(metadata) // the runs, and Secrets of people
		case "secret-sentry-key":
			keep(metadata) // the state that stays is of no use without it
			object["XkeyX"] = "X"
		case "configmap-sentry-config":
			section(object, "data")["sentry.yaml"] = "XconfigX"
		case "deployment-sentry":
			markDeployment(section(object, "spec"))
		}
	}
}

// keep has Helm leave the object where the release is uninstalled.
func keep(metadata map[string]any) {
	metadata["annotations"] = map[string]any{"helm.sh/resource-policy": "keep"}
}

func markDeployment(spec map[string]any) {
	spec["replicas"] = "XreplicasX"
	template := section(spec, "template")
	section(template, "metadata")["XannotationsX"] = "X"
	section(template, "metadata", "labels")["XlabelsX"] = "X"
	section(template, "spec")["XpodX"] = "X"
	for _, c := range list(section(template, "spec"), "containers") {
		c["image"], c["resources"], c["imagePullPolicy"] = "XimageX", "XresourcesX", "XpullX"
		for _, v := range list(c, "env") {
			switch v["name"] {
			case "GOMEMLIMIT":
				v["value"] = "XmemoryX"
			case "SENTRY_RUN_NAMESPACE":
				v["value"] = "XrunsX"
			case "IMAGE_REGISTRY":
				v["value"] = "XregistryX"
			}
		}
		c["env"] = append(c["env"].([]any), "XenvX")
	}
}

// apart tells the two namespaces apart where a component makes them one: the chart's values do that as well.
func apart(base, variant any) any {
	switch v := variant.(type) {
	case map[string]any:
		b, _ := base.(map[string]any)
		for key := range v {
			v[key] = apart(b[key], v[key])
		}
	case []any:
		b, _ := base.([]any)
		for i := range v {
			if i < len(b) {
				v[i] = apart(b[i], v[i])
			}
		}
	case string:
		if v == "XhomeX" && base == "XrunsX" {
			return base
		}
	}
	return variant
}

// object returns the template of an object.
func object(key string, base map[string]map[string]any, variants []map[string]map[string]any) (string, error) {
	var m merged
	var gone []string
	var changes []change
	for i, f := range features {
		switch v := variants[i][key]; {
		case base[key] != nil && v == nil:
			gone = append(gone, f.when)
		case v != nil && !reflect.DeepEqual(v, base[key]):
			changes = append(changes, change{f.when, v, false})
		}
	}
	switch {
	case base[key] == nil && len(changes) != 1:
		return "", fmt.Errorf("several components add it")
	case base[key] == nil:
		m.line(0, "{{- if "+changes[0].when+" }}")
		m.mapping(0, changes[0].value.(map[string]any), nil)
		m.line(0, "{{- end }}")
	case len(gone) > 0:
		m.line(0, "{{- if "+none(gone)+" }}")
		m.mapping(0, base[key], changes)
		m.line(0, "{{- end }}")
	default:
		m.mapping(0, base[key], changes)
	}
	if m.err != nil {
		return "", m.err
	}
	return marks.Replace(strings.Join(m.lines, "\n")) + "\n", nil
}

// byHand adds what no component says: what the chart is, its values with the defaults that the manifests have, and its helpers.
func byHand(root string, base map[string]map[string]any, chart map[string]string) error {
	config, err := os.ReadFile(filepath.Join(root, "manifests", "sentry.yaml"))
	if err != nil {
		return err
	}
	// An editor finds the schema beside the original only.
	_, text, _ := strings.Cut(string(config), "\n")
	chart["sentry.yaml"] = text
	container := list(section(base["deployment-sentry"], "spec", "template", "spec"), "containers")[0]
	resources, err := yaml.Marshal(container["resources"])
	if err != nil {
		return err
	}
	registry, err := registryPattern(root)
	if err != nil {
		return err
	}
	image, tag, _ := strings.Cut(fmt.Sprint(container["image"]), ":")
	return fs.WalkDir(files, "files", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		t, err := template.New(path).Delims("[[", "]]").Option("missingkey=error").Parse(string(data))
		if err != nil {
			return err
		}
		var out strings.Builder
		err = t.Execute(&out, map[string]any{
			"Resources": "  " + strings.ReplaceAll(strings.TrimSpace(string(resources)), "\n", "\n  "), "Image": image, "Tag": tag, "Runs": runs,
			"Registry": registry,
		})
		chart[strings.TrimPrefix(path, "files/")] = out.String()
		return err
	})
}

// registryPattern returns what a registry of sentry.yaml matches, as JSON: the same goes for the chart's, which becomes one.
func registryPattern(root string) (string, error) {
	schema, err := os.ReadFile(filepath.Join(root, "docs", "sentry.schema.json"))
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(`"image_registry":[^}]*?"pattern": ("\^(?:[^"\\]|\\.)*\$")`).FindSubmatch(schema)
	if found == nil {
		return "", errors.New("docs/sentry.schema.json says nothing of image_registry")
	}
	return string(found[1]), nil
}
