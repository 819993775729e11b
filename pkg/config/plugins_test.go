package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// mute answers nobody.
type mute struct{ t *testing.T }

func (m mute) Needs(strategy.Module, string, []strategy.About) (map[string][]string, error) {
	m.t.Error("a module is asked as the file is read")
	return nil, errors.New("mute")
}

func (m mute) Known(strategy.Module, string, []strategy.About) (map[string][]string, bool) {
	return nil, false
}

// Without plug-ins nothing of them runs: no expression is read, and the configuration has nobody whom a run could ask.
func TestNoPlugins(t *testing.T) {
	const graph = `
groups: {shop: {execution_strategy: graph%s}}
repositories:
  - {name: rag, group: shop, monitor: {repo_url: https://github.com/company/rag, branches: [main]}, deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run]}}
`
	read := 0
	opts := Options{Hosts: Known, Modules: mute{t}, Expression: func(string, []strategy.About) (map[string][]string, error) {
		read++
		return map[string][]string{}, nil
	}}
	for _, tt := range []struct {
		keys    string
		read    int
		modules bool
	}{
		{"", 0, false},
		{", needs: 'false'", 1, false},
		{", wasm: {file: order.wasm, sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}", 0, true},
	} {
		read = 0
		file := filepath.Join(t.TempDir(), "sentry.yaml")
		if err := os.WriteFile(file, fmt.Appendf(nil, graph, tt.keys), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(opts, file)
		if err != nil || read != tt.read || (cfg.Modules != nil) != tt.modules {
			t.Errorf("with %q: %v, %d expressions read and modules to ask %v; want %d and %v", tt.keys, err, read, cfg.Modules, tt.read, tt.modules)
			continue
		}
		if want := filepath.Join(filepath.Dir(file), "order.wasm"); tt.modules && cfg.Groups["shop"].Module.File != want {
			t.Errorf("the module is %s, want %s, beside the file", cfg.Groups["shop"].Module.File, want)
		}
	}
}
