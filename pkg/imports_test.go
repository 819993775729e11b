// Package pkg_test checks who imports whom; docs/architecture.md says why.
package pkg_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
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
	"pkg/repo":                         {module, kubernetes, tekton, "net/http"},
	"pkg/secret":                       {module, kubernetes, tekton, "net/http"},
	"pkg/oneline":                      {module, kubernetes, tekton, "net/http"},
	"pkg/giturl":                       {module, kubernetes, tekton, "net/http", "os/exec"},
	"pkg/githubapp":                    {module, kubernetes, tekton, "net/http", "os/exec"},
	"pkg/sshauth":                      {module, kubernetes, tekton, "net/http", "os/exec"},
	"pkg/githost/sshgit":               append([]string{kubernetes, tekton, "os/exec", githost + "/transport", githost + "/poller"}, hosts...),
	"pkg/audit":                        {module + "pkg/plan", module + "pkg/config", kubernetes, tekton, "net/http"},
	"pkg/spelling":                     {module, kubernetes, tekton, "net/http"},
	"pkg/config/refs":                  {module + "pkg/githost", kubernetes, tekton, "net/http"},
	"pkg/config/rule":                  {module + "pkg/config", kubernetes, tekton, "net/http"},
	"pkg/config/intern":                {module, kubernetes, tekton, "net/http"},
	"pkg/config/commits":               {kubernetes, tekton, "net/http"},
	"pkg/config/kind":                  {module + "pkg/githost", kubernetes, tekton, "net/http"},
	"pkg/config/discover":              {module + "pkg/githost", kubernetes, tekton, "net/http"},
	"pkg/config/schema/plain":          {module + "pkg/repo", kubernetes, tekton, "net/http"},
	"pkg/config/section":               {kubernetes, tekton, "net/http"},
	"pkg/config/order":                 {module + "pkg/strategy/", kubernetes, tekton, "net/http"},
	"pkg/config/place":                 {kubernetes, tekton, "net/http"},
	"pkg/engine/clusters":              {kubernetes, tekton, "net/http", module + "pkg/kube", module + "pkg/engine/", module + "pkg/watch", module + "pkg/githost"},
	"pkg/watch/ended":                  {kubernetes, tekton, "net/http", "os/exec"},
	"pkg/config/timing":                {kubernetes, tekton, "net/http"},
	"pkg/config/renewal":               {kubernetes, tekton, "net/http", module + "pkg/watch", module + "pkg/plan"},
	"pkg/config/schema":                {module + "pkg/repo", kubernetes, tekton, "net/http"},
	"pkg/config/files":                 {module + "pkg/config/section", kubernetes, tekton, "net/http"},
	"pkg/config/listing":               {module + "pkg/strategy/", module + "pkg/serve", module + "pkg/cli", kubernetes, tekton, "net/http"},
	"pkg/config":                       {module + "pkg/strategy/", kubernetes, tekton, "net/http"},
	"pkg/discover":                     {kubernetes, tekton, module + "pkg/watch", module + "pkg/plan", module + "pkg/cli", githost + "/poller"},
	"pkg/discover/configmap":           {module + "pkg/watch", module + "pkg/plan", module + "pkg/cli", githost + "/poller"},
	"pkg/discover/file":                {kubernetes, tekton, module + "pkg/watch", module + "pkg/plan", module + "pkg/cli", githost + "/poller"},
	"pkg/state":                        {kubernetes, tekton, "net/http", module + "pkg/state/configmap", module + "pkg/state/file"},
	"pkg/state/file":                   {kubernetes, tekton, "net/http", module + "pkg/state/configmap"},
	"pkg/glob":                         {module, kubernetes, tekton, "net/http"},
	"pkg/filter":                       {kubernetes, tekton, "net/http", "os/exec", module + "pkg/plan", module + "pkg/watch"},
	"pkg/plan":                         {module + "pkg/strategy/", kubernetes, tekton, "net/http", "os/exec"},
	"pkg/plan/deployed":                {kubernetes, tekton, "net/http", "os/exec", module + "pkg/watch"},
	"pkg/plan/named":                   {kubernetes, tekton, "net/http", "os/exec", module + "pkg/state"},
	"pkg/plan/places":                  {kubernetes, tekton, "net/http", "os/exec", module + "pkg/watch"},
	"pkg/freeze":                       {module, kubernetes, tekton, "net/http", "os/exec"},
	"pkg/plan/naming":                  {kubernetes, tekton, "net/http", "os/exec", module + "pkg/plan", module + "pkg/state"},
	"pkg/githost":                      {kubernetes, tekton, module + "pkg/plan", module + "pkg/watch", githost + "/breaker", githost + "/transport", githost + "/poller", githost + "/git"},
	"pkg/githost/breaker":              {kubernetes, tekton, githost + "/transport", githost + "/poller", githost + "/git"},
	"pkg/githost/transport":            append([]string{kubernetes, tekton, module + "pkg/plan", module + "pkg/watch", githost + "/poller"}, hosts...),
	"pkg/githost/poller":               append([]string{kubernetes, tekton, module + "pkg/plan", module + "pkg/watch"}, hosts...),
	"pkg/githost/github/installation":  append([]string{kubernetes, tekton, githost + "/poller"}, hosts...),
	"pkg/githost/github":               {kubernetes, tekton, githost + "/poller", githost + "/gitlab", githost + "/gitea", githost + "/gitproto", githost + "/githosttest"},
	"pkg/githost/gitlab":               {kubernetes, tekton, githost + "/poller", githost + "/git"},
	"pkg/githost/gitea":                {kubernetes, tekton, githost + "/poller", githost + "/github", githost + "/gitlab"},
	"pkg/githost/gitproto":             {kubernetes, tekton, githost + "/poller", githost + "/github", githost + "/gitlab", githost + "/gitea"},
	"pkg/githost/bitbucket":            {kubernetes, tekton, githost + "/poller", githost + "/github", githost + "/gitlab", githost + "/gitea", githost + "/azure"},
	"pkg/githost/bitbucketdc":          {kubernetes, tekton, githost + "/poller", githost + "/github", githost + "/gitlab", githost + "/gitea", githost + "/azure"},
	"pkg/githost/azure":                {kubernetes, tekton, githost + "/poller", githost + "/github", githost + "/gitlab", githost + "/gitea", githost + "/bitbucket"},
	"pkg/githost/gerrit":               {kubernetes, tekton, githost + "/poller", githost + "/github", githost + "/gitlab", githost + "/gitea", githost + "/azure"},
	"pkg/githost/codecommit":           {kubernetes, tekton, githost + "/poller", githost + "/github", githost + "/gitlab", githost + "/gitea", githost + "/azure"},
	"pkg/githost/hosts":                {kubernetes, tekton, githost + "/poller"},
	"pkg/cli/term":                     {module, kubernetes, tekton, "net/http"},
	"pkg/cli/garbage":                  {module, kubernetes, tekton, "net/http"},
	"pkg/cli/change":                   {kubernetes, tekton, "net/http", "os/exec"},
	"pkg/cli/deeds":                    {kubernetes, tekton, "os/exec", module + "pkg/serve", module + "pkg/cli/setup", module + "pkg/engine/tekton"},
	"pkg/cli/reload":                   {kubernetes, tekton, module + "pkg/watch", module + "pkg/engine/", module + "pkg/cli/setup", githost + "/poller"},
	"pkg/event/kubesink":               {module + "pkg/watch", module + "pkg/cli", module + "pkg/engine/", module + "pkg/githost", module + "pkg/pipelinerun"},
	"pkg/cli/live":                     {kubernetes, tekton, "net/http", "os/exec"},
	"pkg/cli/environ":                  {module, kubernetes, tekton, "net/http"},
	"pkg/cli/glance":                   {kubernetes, tekton, "net/http"},
	"pkg/cli/overview":                 {kubernetes, tekton, "net/http"},
	"pkg/cli/usage":                    {kubernetes, tekton, "net/http"},
	"pkg/strategy":                     {module, kubernetes, tekton, "net/http"},
	"pkg/strategy/wasm":                {module + "pkg/config", kubernetes, tekton, "net/http"},
	"pkg/strategy/cel":                 {module + "pkg/config", kubernetes, tekton, "net/http", "os/exec"},
	"pkg/share":                        {module, kubernetes, tekton, "net/http"},
	"pkg/share/lease":                  {module + "pkg/plan", module + "pkg/githost", module + "pkg/engine", module + "pkg/watch", module + "pkg/cli"},
	"pkg/serve":                        {module, kubernetes, tekton},
	"pkg/serve/hook":                   append([]string{kubernetes, tekton, module + "pkg/watch", module + "pkg/kube", githost + "/transport", githost + "/poller"}, hosts...),
	"pkg/serve/page":                   append([]string{kubernetes, tekton, module + "pkg/watch", module + "pkg/kube", "os/exec", githost + "/transport", githost + "/poller"}, hosts...),
	"pkg/serve/page/facts":             {kubernetes, tekton, "os/exec", module + "pkg/watch", module + "pkg/serve/page/reading"},
	"pkg/serve/page/act":               append([]string{kubernetes, tekton, module + "pkg/watch", module + "pkg/kube", "os/exec", githost + "/transport", githost + "/poller"}, hosts...),
	"pkg/serve/page/api":               append([]string{kubernetes, tekton, module + "pkg/watch", module + "pkg/kube", "os/exec", module + "pkg/shape", githost + "/transport", githost + "/poller"}, hosts...),
	"pkg/serve/page/assets":            {kubernetes, tekton, "os/exec", module + "pkg/watch", module + "pkg/kube"},
	"pkg/serve/page/view":              append([]string{kubernetes, tekton, "os/exec", module + "pkg/watch", module + "pkg/kube"}, hosts...),
	"pkg/serve/page/wire":              {module, kubernetes, tekton, "os/exec"},
	"pkg/shape":                        {module, kubernetes, tekton, "net/http"},
	"pkg/serve/page/drawing":           {kubernetes, tekton, "net/http", module + "pkg/config"},
	"pkg/serve/page/reading":           {kubernetes, tekton, "os/exec", module + "pkg/watch", module + "pkg/engine/"},
	"pkg/plan/order":                   {kubernetes, tekton, "net/http", "os/exec", module + "pkg/state"},
	"pkg/serve/internal/store":         {kubernetes, tekton, "net/http", module + "pkg/watch"},
	"pkg/serve/metrics":                append([]string{kubernetes, tekton, module + "pkg/watch", module + "pkg/kube", module + "pkg/cli"}, hosts...),
	"pkg/serve/health":                 append([]string{kubernetes, tekton, module + "pkg/watch", module + "pkg/kube", githost, module + "pkg/serve/hook"}, hosts...),
	"pkg/traces":                       {module, kubernetes, tekton, "net/http"},
	"pkg/traces/otlp":                  {kubernetes, tekton, module + "pkg/watch", module + "pkg/cli", module + "pkg/kube", githost + "/poller", "google.golang.org/grpc"},
	"pkg/online":                       {kubernetes, tekton, module + "pkg/watch", module + "pkg/cli"},
	"pkg/result":                       {kubernetes, tekton, "net/http", "os/exec"},
	"pkg/result/history":               {kubernetes, tekton, "net/http", "os/exec"},
	"pkg/result/file":                  {kubernetes, tekton, "net/http", "os/exec"},
	"pkg/plan/pinned":                  {kubernetes, tekton, "net/http", "os/exec"},
	"pkg/result/statistics":            {kubernetes, tekton, "net/http", "os/exec"},
	"pkg/report":                       {kubernetes, tekton, "net/http", "os/exec", module + "pkg/watch", module + "pkg/report/"},
	"pkg/report/mark":                  {module + "pkg/report", kubernetes, tekton, "net/http"},
	"pkg/report/deliver":               append([]string{kubernetes, tekton, module + "pkg/watch", module + "pkg/cli", module + "pkg/kube", githost + "/poller"}, hosts...),
	"pkg/explain":                      {kubernetes, tekton, "os/exec", module + "pkg/watch", module + "pkg/cli", module + "pkg/kube", githost + "/transport"},
	"pkg/engine/tekton/why":            {module + "pkg/plan", module + "pkg/githost", module + "pkg/watch", module + "pkg/kube", module + "pkg/engine"},
	"pkg/engine/tekton/keys":           {module + "pkg/githost", module + "pkg/watch", module + "pkg/engine", module + "pkg/pipelinerun", module + "pkg/cli"},
	"pkg/engine/tekton/record":         {module + "pkg/githost", module + "pkg/watch", module + "pkg/pipelinerun", module + "pkg/cli"},
	"pkg/engine/tekton/logs":           {module + "pkg/plan", module + "pkg/githost", module + "pkg/watch", module + "pkg/cli"},
	"pkg/preflight":                    {module + "pkg/githost", module + "pkg/engine", module + "pkg/watch", module + "pkg/cli", module + "pkg/state"},
	"pkg/pipelinerun":                  {module + "pkg/githost", module + "pkg/engine", module + "pkg/kube"},
	"pkg/engine":                       {kubernetes, tekton, "net/http", "os/exec"},
	"pkg/watch/asked":                  {module, kubernetes, tekton, "net/http"},
	"pkg/watch/stopping":               {module, kubernetes, tekton, "net/http"},
	"pkg/watch":                        {kubernetes, tekton, module + "pkg/githost", module + "pkg/engine/", module + "pkg/pipelinerun", module + "pkg/kube", module + "pkg/state/configmap", module + "pkg/state/file"},
	"pkg/engine/generated":             {module + "pkg/kube", module + "pkg/githost", module + "pkg/watch", module + "pkg/engine/local", module + "pkg/engine/tekton"},
	"pkg/engine/local":                 {module + "pkg/kube", module + "pkg/githost", module + "pkg/watch"},
	"cmd/sentry":                       {githost + "/githosttest", githost + "/hosts/hoststest", githost + "/sshgit/sshgittest", githost + "/conformance", module + "pkg/repo/repotest", module + "pkg/state/statetest", module + "pkg/engine/enginetest", module + "pkg/serve/page/pagetest", module + "pkg/strategy/wasm/wasmtest", module + "pkg/shape", "testing", "github.com/vektah/gqlparser", "github.com/cloudevents"},
	"pkg/instance":                     {module, kubernetes, tekton, "net/http"},
	"pkg/engine/local/journal":         {module + "pkg/engine", kubernetes, tekton, "net/http"},
	"pkg/engine/local/sandbox":         {module + "pkg/engine", kubernetes, tekton, "net/http"},
	"pkg/githost/githosttest":          append([]string{kubernetes, tekton, githost + "/poller", "github.com/vektah/gqlparser"}, hosts...),
	"pkg/state/statetest":              {kubernetes, tekton, "net/http", module + "pkg/state/configmap", module + "pkg/state/file"},
	"pkg/pipelinerun/internal/pod":     {module + "pkg/plan", module + "pkg/githost", module + "pkg/engine", module + "pkg/kube"},
	"pkg/pipelinerun/internal/order":   {module + "pkg/plan", module + "pkg/githost", module + "pkg/engine", module + "pkg/kube"},
	"pkg/githost/conformance":          append([]string{kubernetes, tekton, "github.com/vektah/gqlparser"}, hosts...),
	"pkg/githost/conformance/statuses": append([]string{kubernetes, tekton, "github.com/vektah/gqlparser"}, hosts...),
	"pkg/githost/conformance/testhost": append([]string{kubernetes, tekton, githost + "/conformance/hours", githost + "/conformance/truth", "github.com/vektah/gqlparser"}, hosts...),

	// Who lists the repositories of an owner:
	"pkg/githost/internal/owned":        append([]string{kubernetes, tekton, githost + "/transport", githost + "/poller"}, hosts...),
	"pkg/githost/github/internal/owned": {kubernetes, tekton, githost + "/poller", githost + "/gitlab", githost + "/gitea"},
	"pkg/githost/conformance/owners":    append([]string{kubernetes, tekton, "github.com/vektah/gqlparser"}, hosts...),
}

const kubernetes, tekton = "k8s.io/", "github.com/tektoncd/"

const githost = module + "pkg/githost"

// hosts are the packages that speak to one kind of server each.
var hosts = []string{githost + "/github", githost + "/gitlab", githost + "/gitea", githost + "/gitproto",
	githost + "/bitbucket", githost + "/azure", githost + "/gerrit", githost + "/codecommit"}

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

// A folder with more files, or a package with more lines, holds what two would tell apart. Tests and generated code do not count.
func TestFoldersAreSmall(t *testing.T) {
	const maxFiles, maxLines = 10, 1500
	files, lines := map[string]int{}, map[string]int{}
	for _, root := range []string{".", "../cmd", "../tekton", "../test"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "_templ.go") {
				return err
			}
			text, err := os.ReadFile(path)
			files[filepath.Dir(path)]++
			lines[filepath.Dir(path)] += bytes.Count(text, []byte("\n"))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for folder, n := range files {
		if n > maxFiles || lines[folder] > maxLines {
			t.Errorf("pkg/%s has %d files and %d lines, want at most %d and %d", folder, n, lines[folder], maxFiles, maxLines)
		}
	}
	if len(files) < 50 {
		t.Errorf("only %d folders were found", len(files))
	}
}
