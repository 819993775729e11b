package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts/hoststest"
)

const liarToken = "a-token-that-is-secret"

// liar is a server all of whose repositories are answered with one lie.
type liar struct {
	kind         config.HostType
	token        bool
	lie          githosttest.LieKind // "" = none
	repositories int
}

// TestMemoryOfLiars runs Sentry with the memory that the Deployment gives it, on servers that want more of it.
func TestMemoryOfLiars(t *testing.T) {
	var many []liar
	ways := []liar{
		{kind: config.Git, token: true}, {kind: config.GitHub}, {kind: config.GitHub, token: true},
		{kind: config.GitLab}, {kind: config.GitLab, token: true}, {kind: config.Gitea, token: true},
	}
	for i := range 15 {
		l := ways[i%len(ways)]
		l.lie, l.repositories = githosttest.Lies[i%len(githosttest.Lies)], 7
		many = append(many, l)
	}
	many = append(many, liar{kind: config.Git, token: true, repositories: 7}, liar{kind: config.GitHub, token: true, repositories: 7})
	everywhere := func(lie githosttest.LieKind) (all []liar) {
		for i := range 17 {
			l := ways[i%len(ways)]
			l.lie, l.repositories = lie, 7
			all = append(all, l)
		}
		return all
	}
	for name, liars := range map[string][]liar{
		"a name of 40 MiB":             {{kind: config.GitHub, lie: githosttest.LongName, repositories: 20}, {kind: config.GitLab, lie: githosttest.LongName, repositories: 20}},
		"119 repositories, 17 servers": many,
		"many branches everywhere":     everywhere(githosttest.ManyBranches),
		"crowds everywhere":            everywhere(githosttest.Crowd),
	} {
		t.Run(name, func(t *testing.T) {
			peak, log, state := watchOnce(t, liars)
			t.Logf("at most %d MiB, of %d", peak>>20, deployed(t).limit>>20)
			checkLiars(t, liars, log, state)
		})
	}
}

// checkLiars reads the log and the state: each liar is told of, each repository of another server has its heads.
func checkLiars(t *testing.T, liars []liar, log, state string) {
	t.Helper()
	for i, l := range liars {
		for k := range l.repositories {
			name := fmt.Sprintf("s%d-r%d", i, k)
			if l.lie == "" && strings.Count(state, `"`+name+`"`) == 0 {
				t.Errorf("%s (%s), which is honest, is not in the state", name, l.kind)
			}
		}
		told := regexp.MustCompile(fmt.Sprintf(`cannot read the repositor.*\bs%d-r0\b`, i)).MatchString(log)
		if l.lie != githosttest.Crowd && told != (l.lie != "") { // some of a crowd is believed
			t.Errorf("server %d (%s, %q): the log tells of trouble: %t", i, l.kind, l.lie, told)
		}
	}
	if strings.Contains(log, "panic") || strings.Contains(log, liarToken) {
		t.Error("the log has a panic, or the token")
	}
	if t.Failed() {
		t.Logf("the log:\n%s\nthe state:\n%.5000s", log, state)
	}
}

// watchOnce runs one cycle of Sentry in a control group of its own, and returns the most memory that was used, the
// log and the state.
func watchOnce(t *testing.T, liars []liar) (peak int, log, state string) {
	t.Helper()
	dir := t.TempDir()
	var file strings.Builder
	file.WriteString("repositories:\n")
	for i, l := range liars {
		url, auth := serveLiar(t, l), ""
		if l.token {
			auth = `, auth: {token: "${T}"}`
		}
		for k := range l.repositories {
			fmt.Fprintf(&file, `
  - name: s%[1]d-r%[2]d
    monitor: {repo_url: %[3]s/o/r%[2]d, branches: [%[4]q], repo_type: %[5]s%[6]s}
    deploy: {qa_repo_url: %[3]s/o/r0, repo_type: %[5]s%[6]s, commands: ["true"]}
`, i, k, url, ".*", l.kind, auth)
		}
	}
	path, statePath := filepath.Join(dir, "sentry.yaml"), filepath.Join(dir, "state.json")
	write(t, path, file.String())

	d := deployed(t)
	group := newControlGroup(t, d.limit)
	// The shell moves itself, so that Sentry is in the group from its first page on.
	sentry := exec.CommandContext(t.Context(), "sh", "-c", `echo $$ > "$0"/cgroup.procs && exec "$@"`, group.dir,
		env.sentry, "watch", "--local", "--once", "-c", path, "--state", statePath)
	sentry.Env = append(os.Environ(), "GOMEMLIMIT="+d.goal, "T="+liarToken)
	var stderr bytes.Buffer
	sentry.Stderr = &stderr
	err := sentry.Run()
	if status, ok := sentry.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		t.Fatalf("ended by %s, after at most %d MiB: %s", status.Signal(), group.peak(t)>>20, &stderr)
	}
	if sentry.ProcessState.ExitCode() > 1 { // 1: repositories could not be read
		t.Fatalf("%v: %s", err, &stderr)
	}
	text, err := os.ReadFile(statePath)
	if err != nil {
		t.Fatal(err)
	}
	usage, _ := sentry.ProcessState.SysUsage().(*syscall.Rusage)
	t.Logf("resident: at most %d MiB; CPU: %s", usage.Maxrss>>10, sentry.ProcessState.UserTime()+sentry.ProcessState.SystemTime())
	return group.peak(t), stderr.String(), string(text)
}

func serveLiar(t *testing.T, l liar) string {
	t.Helper()
	api := hoststest.New(l.kind)
	api.SetToken(liarToken)
	for k := range l.repositories {
		api.Push(fmt.Sprintf("o/r%d", k), "main", strings.Repeat("a", 40))
	}
	var handler http.Handler = api
	if l.lie != "" {
		handler = githosttest.Lie(l.lie, api)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// deployment is what manifests/deployment.yaml says of memory.
type deployment struct {
	limit int
	goal  string // GOMEMLIMIT
}

func deployed(t *testing.T) (d deployment) {
	t.Helper()
	text, err := os.ReadFile("../../manifests/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var manifest appsv1.Deployment
	if err := yaml.UnmarshalStrict(text, &manifest); err != nil {
		t.Fatal(err)
	}
	container := manifest.Spec.Template.Spec.Containers[0]
	for _, v := range container.Env {
		if v.Name == "GOMEMLIMIT" {
			d.goal = v.Value
		}
	}
	d.limit = int(container.Resources.Limits.Memory().Value())
	return d
}

// controlGroup bounds the memory of processes, as a kubelet does.
type controlGroup struct{ dir, peakFile string }

func newControlGroup(t *testing.T, limit int) controlGroup {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: a control group needs root")
	}
	root, files := "/sys/fs/cgroup", map[string]string{"memory.max": fmt.Sprint(limit), "memory.swap.max": "0"}
	g := controlGroup{peakFile: "memory.peak"}
	if _, err := os.Stat("/sys/fs/cgroup/memory/memory.limit_in_bytes"); err == nil { // version 1
		root, files = "/sys/fs/cgroup/memory", map[string]string{"memory.limit_in_bytes": fmt.Sprint(limit)}
		g.peakFile = "memory.max_usage_in_bytes"
	}
	g.dir = filepath.Join(root, fmt.Sprintf("sentry-e2e-%d", time.Now().UnixNano()))
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		t.Skipf("NOT TESTED: no control group can be made here: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(g.dir); err != nil {
			t.Error(err)
		}
	})
	for name, value := range files {
		err := os.WriteFile(filepath.Join(g.dir, name), []byte(value), 0o600)
		if err != nil && name != "memory.swap.max" { // where swap is not accounted for
			t.Skipf("NOT TESTED: the memory of a control group cannot be bounded here: %v", err)
		}
	}
	return g
}

// peak returns the most memory that was used, in bytes.
func (g controlGroup) peak(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, g.peakFile))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
