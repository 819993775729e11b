package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// probe is the exec probe of people's manifests, to the letter.
var probe = []string{"./sentry", "-action=validate"}

// pod is a root directory as the image and the Deployment make it, with a configuration of so many repositories at the
// server, and returns the command that the kubelet has run there for the probe: in the image's working directory, which is
// the root, with the container's environment and no other.
func pod(t testing.TB, program, server string, repositories int) *exec.Cmd {
	t.Helper()
	text, err := os.ReadFile("../../manifests/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var deployment struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Env          []struct{ Name, Value string }
						VolumeMounts []struct{ Name, MountPath string }
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal(text, &deployment); err != nil {
		t.Fatal(err)
	}
	container, root := deployment.Spec.Template.Spec.Containers[0], t.TempDir()
	if err := os.Symlink(program, filepath.Join(root, "sentry")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), probe[0], probe[1:]...)
	cmd.Dir = root
	cmd.Env = []string{"SENTRY_TEST_MAIN=1"}
	for _, v := range container.Env {
		if strings.HasPrefix(v.Value, "/") { // a test has no root of its own
			v.Value = root + v.Value
		}
		cmd.Env = append(cmd.Env, v.Name+"="+v.Value)
	}
	var config strings.Builder
	config.WriteString("repositories:\n")
	for i := range repositories {
		fmt.Fprintf(&config, `- name: app%[2]d
  monitor:
    repo_url: %[1]s/company/app%[2]d
    repo_type: github
    api_url: %[1]s
    branches: [main, "dev.*", "release/.*"]
    auth: {username: "${GITHUB_USERNAME}", token: "${GITHUB_TOKEN}"}
  deploy:
    qa_repo_url: %[1]s/company/qa
    qa_repo_branch: main
    repo_type: github
    api_url: %[1]s
    auth: {username: "${GITHUB_USERNAME}", token: "${GITHUB_TOKEN}"}
    project_name: app%[2]d
    commands: [cd ci, ./deploy.sh, ./verify.sh]
`, server, i)
	}
	files := map[string]map[string]string{
		"config":      {"sentry.yaml": config.String()},
		"credentials": {"GITHUB_USERNAME": "me", "GITHUB_TOKEN": "hush"},
	}
	for _, m := range container.VolumeMounts {
		dir := filepath.Join(root, m.MountPath)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range files[m.Name] {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return cmd
}

// The probe that people's manifests have works in the pod as the manifests make it, and speaks to nobody: the file and the
// environment have one server each that would notice.
func TestExecProbe(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	server := "http://" + listener.Addr().String()
	asked := make(chan net.Addr, 100)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			asked <- c.RemoteAddr()
			c.Close()
		}
	}()
	program, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	cmd := pod(t, program, server, 2)
	host, port, _ := net.SplitHostPort(listener.Addr().String())
	cmd.Env = append(cmd.Env, "KUBERNETES_SERVICE_HOST="+host, "KUBERNETES_SERVICE_PORT="+port, "HTTP_PROXY="+server, "HTTPS_PROXY="+server)
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("valid: repositories: 2")) {
		t.Errorf("the probe: %v\n%s", err, out)
	}
	select {
	case <-asked:
		t.Error("the probe asks a server")
	default:
	}

	cmd = pod(t, program, server, 2)
	file := filepath.Join(cmd.Dir, "etc/sentry/sentry.yaml")
	if err := os.WriteFile(file, []byte("repositories: nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("sentry.yaml:1: repositories")) {
		t.Errorf("with a file that is wrong, the probe: %v, want a failure that says why\n%s", err, out)
	}
}

// BenchmarkExecProbe says what the probe costs with a hundred repositories, as a process: what Go's own benchmarks count is the
// time of this one.
func BenchmarkExecProbe(b *testing.B) {
	program := filepath.Join(b.TempDir(), "sentry")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	once := pod(b, program, "https://git.example", 100)
	var cpu time.Duration
	for b.Loop() {
		cmd := exec.CommandContext(b.Context(), once.Args[0], once.Args[1:]...)
		cmd.Dir, cmd.Env = once.Dir, once.Env
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	b.ReportMetric(float64(cpu.Microseconds())/1e3/float64(b.N), "cpu-ms/op")
	b.ReportMetric(0, "ns/op")
}
