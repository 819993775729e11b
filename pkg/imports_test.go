// Package pkg_test checks who imports whom; docs/architecture.md says why.
package pkg_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tekton-sentry/sentry/"

type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// graph lists our packages with what they import, directly and in all.
func graph(t *testing.T) map[string]listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "../cmd/...", "./...", "../tekton/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	packages := map[string]listed{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[strings.TrimPrefix(p.ImportPath, module)] = p
	}
}

// May not link these prefixes, directly or through anything else.
var mustNotLink = map[string][]string{
	"pkg/repo":                     {module, kubernetes, tekton, "net/http"},
	"pkg/secret":                   {module, kubernetes, tekton, "net/http"},
	"pkg/spelling":                 {module, kubernetes, tekton, "net/http"},
	"pkg/config/schema":            {module + "pkg/repo", kubernetes, tekton, "net/http"},
	"pkg/config":                   {kubernetes, tekton, "net/http"},
	"pkg/state":                    {kubernetes, tekton, "net/http"},
	"pkg/state/file":               {kubernetes, tekton, "net/http"},
	"pkg/plan":                     {kubernetes, tekton, "net/http", "os/exec"},
	"pkg/githost":                  {kubernetes, tekton, module + "pkg/plan", module + "pkg/watch"},
	"pkg/githost/github":           {kubernetes, tekton},
	"pkg/githost/gitlab":           {kubernetes, tekton},
	"pkg/githost/gitea":            {kubernetes, tekton},
	"pkg/githost/gitproto":         {kubernetes, tekton},
	"pkg/pipelinerun":              {module + "pkg/githost", module + "pkg/engine", module + "pkg/kube"},
	"pkg/pipelinerun/internal/pod": {module + "pkg/plan", module + "pkg/githost", module + "pkg/engine", module + "pkg/kube"},
	"pkg/watch":                    {module + "pkg/githost", module + "pkg/engine", module + "pkg/kube", module + "pkg/state/"},
	"pkg/engine/local":             {module + "pkg/kube", module + "pkg/githost", module + "pkg/watch"},
	"cmd/sentry":                   {module + "pkg/githost/githosttest", "testing"},
}

const kubernetes, tekton = "k8s.io/", "github.com/tektoncd/"

func TestWhoMayLinkWhat(t *testing.T) {
	packages := graph(t)
	for name, prefixes := range mustNotLink {
		p, ok := packages[name]
		if !ok {
			t.Errorf("%s: no such package", name)
		}
		for _, dep := range p.Deps {
			for _, prefix := range prefixes {
				if strings.HasPrefix(dep, prefix) && dep != module+name {
					t.Errorf("%s links %s, and must not link %s…", name, dep, prefix)
				}
			}
		}
	}
}

// Tekton's types link client-go by themselves, so for who uses them only our own imports tell who talks to
// a cluster.
func TestOnlyTheEdgesUseClientGo(t *testing.T) {
	allowed := []string{"pkg/kube", "pkg/engine/tekton", "pkg/state/configmap"}
	for name, p := range graph(t) {
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, "k8s.io/client-go/") && !slices.Contains(allowed, name) {
				t.Errorf("%s imports %s; only %v may", name, imported, allowed)
			}
		}
	}
}
