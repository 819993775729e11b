package local_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/tekton-sentry/sentry/pkg/engine"
)

// stubborn prints the pids of itself and of a child, and neither heeds SIGTERM.
const stubborn = `trap '' TERM
sleep 1000 &
echo "pid $$ pid $!."
while :; do sleep 1000; done
`

var pidPattern = regexp.MustCompile(`pid (\d+)`)

// pids returns the process ids that the output tells.
func (tr *trial) pids() []int {
	var pids []int
	for _, m := range pidPattern.FindAllStringSubmatch(tr.out.String(), -1) {
		pid, err := strconv.Atoi(m[1])
		if err != nil {
			tr.t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// gone reports whether no process has the pid, or only a dead one that its parent has not asked for yet.
func gone(pid int) bool {
	state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err != nil || len(strings.TrimSpace(string(state))) == 0 || state[0] == 'Z'
}

func TestProcessesAreGone(t *testing.T) {
	t.Parallel()
	cancel := func(tr *trial) {
		if err := tr.Cancel(context.Background(), "run", ""); err != nil {
			tr.t.Errorf("Cancel() = %v", err)
		}
	}
	tests := []struct {
		name   string
		task   v1.PipelineTask
		pids   int
		end    func(*trial)
		reason string
		tasks  string
	}{
		{"after a task's timeout", within(2*time.Second, shell("a", stubborn)), 2, func(*trial) {}, "Failed", "a=TimedOut last=Succeeded"},
		{"after Cancel", shell("a", stubborn), 2, cancel, "Cancelled", "a=Cancelled last=Succeeded"},
		{"after Close", shell("a", stubborn), 2, func(tr *trial) { tr.Close() }, "Cancelled", "a=Cancelled last=Skipped"},
		{"after the step's end", shell("a", "sleep 1000 & echo pid $!.; (trap '' TERM; sleep 1000) & echo pid $!."), 2,
			func(*trial) {}, "Succeeded", "a=Succeeded last=Succeeded"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tr := newTrial(t)
			tr.create(finally(pipelineRun("run", test.task), shell("last", "true")))
			eventually(t, "the pids should be printed", func() bool { return len(tr.pids()) == test.pids })
			test.end(tr)
			out := tr.end("run")
			if out.Reason != test.reason || results(out) != test.tasks {
				t.Errorf("got %s %s, want %s %s\n%s", out.Reason, results(out), test.reason, test.tasks, tr.out)
			}
			for _, pid := range tr.pids() {
				eventually(t, fmt.Sprintf("process %d should be gone", pid), func() bool { return gone(pid) })
			}
		})
	}
}

// TestTermFirst shows that a command can clean up when it is stopped.
func TestTermFirst(t *testing.T) {
	tr := newTrial(t)
	tr.create(pipelineRun("run", shell("a", "trap 'echo tidied up; exit 0' TERM\necho ready\nwhile :; do sleep 0.01; done"), shell("b", "true", "a")))
	tr.prints("ready")
	if err := tr.Cancel(context.Background(), "run", ""); err != nil {
		t.Fatal(err)
	}
	out := tr.end("run")
	if want := "a=Cancelled b=Skipped"; results(out) != want || out.Message != `PipelineRun "run" was cancelled` {
		t.Errorf("got %s, %s; want %s, the message that it was cancelled", results(out), out.Message, want)
	}
	if !strings.Contains(tr.out.String(), "[a : main] tidied up\n") {
		t.Errorf("the trap did not run:\n%s", tr.out)
	}
}

// TestCancelRunsFinally has a finally task that notices the cancelled task: then Tekton says Failed.
func TestCancelRunsFinally(t *testing.T) {
	tr := newTrial(t)
	tr.create(finally(pipelineRun("run", shell("a", "echo ready; exec sleep 1000")), verdict("Succeeded")))
	tr.prints("ready")
	if err := tr.Cancel(context.Background(), "run", ""); err != nil {
		t.Fatal(err)
	}
	out := tr.end("run")
	if want := "Failed a=Cancelled verdict=Failed"; out.Reason+" "+results(out) != want {
		t.Errorf("got %s %s, want %s", out.Reason, results(out), want)
	}
}

// What is cancelled is not rolled back, also what failed before, and a rollback that has begun goes on to its end: as on a cluster.
func TestCancelAndRollbacks(t *testing.T) {
	failed := func(of, script string) v1.PipelineTask {
		back := shell("sentry-rollback-"+of, script)
		back.When = v1.WhenExpressions{{Input: "$(tasks." + of + ".status)", Operator: "in", Values: []string{"Failed"}}}
		return back
	}
	for name, tt := range map[string]struct {
		a, b, back string // scripts, of which one says that it is ready
		want       string
	}{
		"a deployment runs": {"exit 3", "echo ready; exec sleep 1000", "true", "Cancelled a=Failed b=Cancelled sentry-rollback-a=Skipped sentry-rollback-b=Skipped"},
		"a rollback runs": {"exit 3", "true", "echo ready; while [ ! -e " + filepath.Join(t.TempDir(), "go") + " ]; do sleep 0.01; done",
			"Failed a=Failed b=Succeeded sentry-rollback-a=Succeeded sentry-rollback-b=Skipped"},
	} {
		tr := newTrial(t)
		tr.create(finally(pipelineRun("run", shell("a", tt.a), shell("b", tt.b)), failed("a", tt.back), failed("b", "true")))
		tr.prints("ready")
		tr.prints("[a] Failed")
		if err := tr.Cancel(context.Background(), "run", ""); err != nil {
			t.Fatal(err)
		}
		if _, path, ok := strings.Cut(tt.back, "-e "); ok { // once the wish has been read
			eventually(t, "the run should be cancelled", func() bool {
				runs, err := tr.Runs(t.Context(), nil)
				return err == nil && runs[0].Reason == "CancelledRunningFinally"
			})
			if err := os.WriteFile(strings.Fields(path)[0], nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out := tr.end("run")
		if got := out.Reason + " " + results(out); got != tt.want {
			t.Errorf("%s: got %s, want %s\n%s", name, got, tt.want, tr.out)
		}
	}
}

// A test binary with this variable becomes a process outside of its step's group that holds its output.
const daemonVariable = "SENTRY_TEST_DAEMON"

func becomeDaemon() {
	switch os.Getenv(daemonVariable) { // both until the test kills it
	case "quiet child":
		time.Sleep(time.Hour)
	case "chatty child":
		for {
			fmt.Print(strings.Repeat(strings.Repeat("x", 1000)+"\n", 64))
		}
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), daemonVariable+"="+os.Getenv(daemonVariable)+" child")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Printf("pid %d.\n", cmd.Process.Pid)
	os.Exit(0)
}

func TestADaemonDoesNotHoldTheStep(t *testing.T) {
	for _, kind := range []string{"quiet", "chatty"} {
		t.Run(kind, func(t *testing.T) {
			tr := newTrial(t, daemonVariable+"="+kind)
			t.Cleanup(func() {
				for _, pid := range tr.pids() {
					_ = syscall.Kill(pid, syscall.SIGKILL) // the chatty one has ended when nobody read it any more
				}
			})
			out := tr.run(pipelineRun("run", shell("a", os.Args[0]), shell("b", "echo done", "a")))
			if want := "a=Succeeded b=Succeeded"; results(out) != want || len(tr.pids()) != 1 {
				t.Errorf("got %s and daemons %v; want %s and one", results(out), tr.pids(), want)
			}
		})
	}
}

// volume is an emptyDir that all steps of the task mount.
func volume(t v1.PipelineTask, path string) v1.PipelineTask {
	spec := &t.TaskSpec.TaskSpec
	name := "volume-" + strconv.Itoa(len(spec.Volumes))
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	for i := range spec.Steps {
		spec.Steps[i].VolumeMounts = append(spec.Steps[i].VolumeMounts, corev1.VolumeMount{Name: name, MountPath: path})
	}
	return t
}

func TestDirectories(t *testing.T) {
	task := func(name string) v1.PipelineTask {
		pt := shell(name, `[ ! -e "$SENTRY_DIR/mark" ] && mkdir -p "$HOME/deep/er" "$INNER/x" && echo `+name+` >"$SENTRY_DIR/mark" && chmod -R a-w "$HOME" "$SENTRY_DIR"`)
		pt.TaskSpec.Steps = append(pt.TaskSpec.Steps, step("second", `echo "mark $(cat "$SENTRY_DIR/mark") dir $SENTRY_DIR home $HOME inner $INNER other $OTHER"; exit 1`))
		pt.TaskSpec.StepTemplate = &v1.StepTemplate{Env: []corev1.EnvVar{
			{Name: "SENTRY_DIR", Value: "/no/such/mount"},
			{Name: "HOME", Value: "/no/such/mount/home"},
			{Name: "INNER", Value: "/no/such/mount/inner"},
			{Name: "OTHER", Value: "/no/such/mounted"},
		}}
		return volume(volume(pt, "/no/such/mount"), "/no/such/mount/inner")
	}
	tr := newTrial(t)
	out := tr.run(pipelineRun("run", task("a"), task("b")))
	if want := "a=Failed b=Failed"; results(out) != want {
		t.Fatalf("got %s, want %s\n%s", results(out), want, tr.out)
	}
	line := regexp.MustCompile(`\[(\w) : second\] mark (\w) dir (\S+) home (\S+) inner (\S+) other (\S+)`)
	dirs := map[string]bool{}
	for _, m := range line.FindAllStringSubmatch(tr.out.String(), -1) {
		task, mark, dir, home, inner, other := m[1], m[2], m[3], m[4], m[5], m[6]
		dirs[dir] = true
		if mark != task || !strings.HasPrefix(dir, tr.dir+"/") || home != dir+"/home" || inner == dir+"/inner" || !strings.HasPrefix(inner, tr.dir+"/") || other != "/no/such/mounted" {
			t.Errorf("unexpected: %s", m[0])
		}
	}
	if len(dirs) != 2 {
		t.Errorf("got the directories %v, want one for each of two tasks\n%s", dirs, tr.out)
	}
	if left, err := os.ReadDir(tr.dir); err != nil || len(left) > 0 {
		t.Errorf("after the run there is %v, %v; want nothing", left, err)
	}
}

func TestKubeconfig(t *testing.T) {
	home := t.TempDir()
	config := filepath.Join(home, ".kube", "config")
	if err := os.MkdirAll(filepath.Dir(config), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		env  []string
		want string
	}{
		{"the user's, since HOME is another", []string{"HOME=" + home}, config},
		{"what is set", []string{"HOME=" + home, "KUBECONFIG=/x/y"}, "/x/y"},
		{"none where there is none", []string{"HOME=" + t.TempDir()}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			task := shell("a", `echo "KUBECONFIG=$KUBECONFIG."`)
			task.TaskSpec.Steps[0].Env = []corev1.EnvVar{{Name: "HOME", Value: "/no/such/mount/home"}}
			tr := newTrial(t, test.env...)
			tr.run(pipelineRun("run", volume(task, "/no/such/mount")))
			if want := "KUBECONFIG=" + test.want + ".\n"; !strings.Contains(tr.out.String(), want) {
				t.Errorf("output lacks %q:\n%s", want, tr.out)
			}
		})
	}
}

func secret(name, key string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: "sentry-credentials"}, Key: key,
	}}}
}

// TestSecrets lets each step print its whole environment but for the value itself.
func TestSecrets(t *testing.T) {
	const value = "s3cr3t-of-the-test"
	private := shell("private", `[ "$PASSWORD" = `+value+` ] && echo seen; env | grep -v ^PASSWORD=`)
	private.TaskSpec.Steps[0].Env = []corev1.EnvVar{secret("PASSWORD", "GIT_TOKEN")}
	private.TaskSpec.Steps = append(private.TaskSpec.Steps, step("second", "env"))

	tr := newTrial(t, "GIT_TOKEN="+value, "GIT_DIR=/no/such/dir", "HTTPS_PROXY=http://proxy.invalid")
	if out := tr.run(pipelineRun("run", private, shell("public", "env"))); !out.Succeeded {
		t.Fatalf("got %s, want success\n%s", results(out), tr.out)
	}
	tr.run(pipelineRun("later", shell("public", "env")))
	text := tr.out.String()
	for _, want := range []string{"[private : main] seen\n", "[private : second] HTTPS_PROXY=http://proxy.invalid\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("output lacks %q:\n%s", want, text)
		}
	}
	for _, unwanted := range []string{value, "GIT_TOKEN", "PASSWORD", "GIT_DIR"} {
		if strings.Contains(text, unwanted) {
			t.Errorf("a step has %q in its environment:\n%s", unwanted, text)
		}
	}
}

func TestMissingSecret(t *testing.T) {
	needs := shell("needs", "echo must not run")
	needs.OnError = v1.PipelineTaskContinue
	needs.TaskSpec.Steps = append(needs.TaskSpec.Steps, step("second", "true"))
	needs.TaskSpec.Steps[1].Env = []corev1.EnvVar{secret("PASSWORD", "GIT_TOKEN")}
	optional := shell("optional", `echo "got ${PASSWORD-nothing}"`)
	optional.TaskSpec.Steps[0].Env = []corev1.EnvVar{secret("PASSWORD", "GIT_TOKEN")}
	optional.TaskSpec.Steps[0].Env[0].ValueFrom.SecretKeyRef.Optional = new(true)

	tr := newTrial(t)
	out := tr.run(pipelineRun("run", needs, optional))
	if want := "needs=Failed optional=Succeeded"; results(out) != want {
		t.Errorf("got %s, want %s", results(out), want)
	}
	want := "CreateContainerConfigError: step second needs the variable GIT_TOKEN (a key of Secret sentry-credentials), which is not set in the environment"
	if out.Tasks[0].Result != engine.Failed || out.Tasks[0].Message != want {
		t.Errorf("got  %s\nwant %s", out.Tasks[0].Message, want)
	}
	if text := tr.out.String(); strings.Contains(text, "must not run") || !strings.Contains(text, "got nothing") {
		t.Errorf("want the output of optional only:\n%s", text)
	}
}
