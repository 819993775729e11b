package pipelinerun

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// shells returns the shells of this machine that the scripts must run under: sh, and where they are
// installed dash, bash and busybox, each program once.
func shells(t *testing.T) [][]string {
	t.Helper()
	var found [][]string
	seen := map[string]bool{}
	for _, sh := range [][]string{{"sh"}, {"dash"}, {"bash"}, {"busybox", "sh"}} {
		file, err := exec.LookPath(sh[0])
		if err != nil {
			continue
		}
		if file, err = filepath.EvalSymlinks(file); err != nil {
			t.Fatal(err)
		}
		if !seen[file] {
			seen[file] = true
			found = append(found, sh)
		}
	}
	if len(found) == 0 || found[0][0] != "sh" {
		t.Fatalf("no sh on this machine, found %v", found)
	}
	return found
}

// result is how a script ended.
type result struct {
	stdout, stderr string
	code           int
}

// process returns the step's script as a process in dir, with what Tekton would give it.
func process(t *testing.T, sh []string, step v1.Step, dir string, env ...string) *exec.Cmd {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script")
	if err := os.MkdirAll(dir+"/home", 0o755); err != nil { // as the mount is
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(step.Script), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(sh[0], append(sh[1:], file)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "SENTRY_DIR=" + dir, "HOME=" + dir + "/home"}, env...)
	cmd.Dir = "/"
	return cmd
}

func run(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// stepsOf returns the two steps of a run of one member.
func stepsOf(t *testing.T, m plan.Member) (clone, deploy v1.Step) {
	t.Helper()
	pr, err := Generate(testConfig(), testRun(config.Alone(), m))
	if err != nil {
		t.Fatal(err)
	}
	if err := Validate(t.Context(), pr); err != nil {
		t.Fatal(err)
	}
	s := pr.Spec.PipelineSpec.Tasks[0].TaskSpec.Steps
	return s[0], s[1]
}

// deploy runs the commands, in a directory that holds only an empty clone.
func deploy(t *testing.T, sh []string, commands ...string) result {
	t.Helper()
	m := testMember("rag")
	m.Repository.Deploy.Commands = commands
	_, step := stepsOf(t, m)
	return run(t, process(t, sh, step, emptyClone(t)))
}

func emptyClone(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"repo/sub", "home"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCommandsRunInOneShellAndStopAtTheFirstThatFails(t *testing.T) {
	long := "true " + strings.Repeat("x", 200)
	tests := []struct {
		name     string
		commands []string
		want     result
	}{
		{"cd, variables and functions last", []string{"cd sub", "x=1; f() { echo \"f $x\"; }", "f", "basename \"$PWD\""},
			result{"$ cd sub\n$ x=1; f() { echo \"f $x\"; }\n$ f\nf 1\n$ basename \"$PWD\"\nsub\n", "", 0}},
		{"positional parameters and options last", []string{"set -- a b", "set -u", "echo $# $2", "echo ${nope-unset}"},
			result{"$ set -- a b\n$ set -u\n$ echo $# $2\n2 b\n$ echo ${nope-unset}\nunset\n", "", 0}},
		{"failure", []string{"echo a", "(exit 7)", "echo never"},
			result{"$ echo a\na\n$ (exit 7)\n", "command 2 of 3 failed with exit code 7: (exit 7)\n", 7}},
		{"failure of the last", []string{"(exit 7)"}, result{"$ (exit 7)\n", "command 1 of 1 failed with exit code 7: (exit 7)\n", 7}},
		{"failure that set -e lets pass", []string{"false && true", "echo never"},
			result{"$ false && true\n", "command 1 of 2 failed with exit code 1: false && true\n", 1}},
		{"failure in a middle line", []string{"echo a\n(exit 3)\necho never", "echo never"},
			result{"$ echo a …\na\n", "command 1 of 2 failed with exit code 3: echo a …\n", 3}},
		{"failure in a function", []string{"f() { (exit 5); echo never; }", "f", "echo never"},
			result{"$ f() { (exit 5); echo never; }\n$ f\n", "command 2 of 3 failed with exit code 5: f\n", 5}},
		{"failure that the command handles", []string{"false || echo handled", "if false; then :; fi", "! true || true", "echo end"},
			result{"$ false || echo handled\nhandled\n$ if false; then :; fi\n$ ! true || true\n$ echo end\nend\n", "", 0}},
		{"set +e goes on inside of a command, not past it", []string{"set +e", "false\necho on", "false", "echo never"},
			result{"$ set +e\n$ false …\non\n$ false\n", "command 3 of 4 failed with exit code 1: false\n", 1}},
		{"exit with a code", []string{"exit 9", "echo never"},
			result{"$ exit 9\n", "command 1 of 2 failed with exit code 9: exit 9\n", 9}},
		{"exit with 0 is a success, and told", []string{"exit 0", "echo never"},
			result{"$ exit 0\n", "command 1 of 2 exited with code 0, so the commands after it did not run: exit 0\n", 0}},
		{"exit with 0 at the end is nothing special", []string{"true", "exit 0"}, result{"$ true\n$ exit 0\n", "", 0}},
		{"their trap is theirs", []string{"trap 'echo bye' EXIT", "(exit 4)"},
			result{"$ trap 'echo bye' EXIT\n$ (exit 4)\nbye\n", "command 2 of 2 failed with exit code 4: (exit 4)\n", 4}},
		{"heredoc", []string{"cat <<'E'\n$(date) 'x' $HOME\nE", "cat"},
			result{"$ cat <<'E' …\n$(date) 'x' $HOME\n$ cat\n", "", 0}},
		{"substitution is the shell's", []string{"echo \"$(echo in)$((1+2))\" '$(params.x)'"},
			result{"$ echo \"$(echo in)$((1+2))\" '$(params.x)'\nin3 $(params.x)\n", "", 0}},
		{"comment and blanks", []string{"# only a comment", " \ttrue  "}, result{"$ # only a comment\n$ true\n", "", 0}},
		{"a long command is announced shortly", []string{long}, result{"$ " + long[:120] + " …\n", "", 0}},
		{"noclobber, nounset, IFS and an empty PATH do not disturb us", []string{"set -Cu", "IFS=o; PATH=", "printf '%s\\n' ok", "echo x >f", "false"},
			result{"$ set -Cu\n$ IFS=o; PATH=\n$ printf '%s\\n' ok\nok\n$ echo x >f\n$ false\n", "command 5 of 5 failed with exit code 1: false\n", 1}},
		{"the workspace may be emptied", []string{"rm -rf \"$SENTRY_DIR\"", "true"}, result{"$ rm -rf \"$SENTRY_DIR\"\n$ true\n", "", 0}},
		{"and may fail after that", []string{"rm -rf \"$SENTRY_DIR\"", "false"},
			result{"$ rm -rf \"$SENTRY_DIR\"\n$ false\n", "command ? of ? failed with exit code 1: the last one above\n", 1}},
		{"an interpreter of its own", []string{"x=1; export x; cd sub", "#!/usr/bin/awk -f\nBEGIN { print ENVIRON[\"x\"], \"it's $(x)\"; exit }", "basename \"$PWD\""},
			result{"$ x=1; export x; cd sub\n$ #!/usr/bin/awk -f …\n1 it's $(x)\n$ basename \"$PWD\"\nsub\n", "", 0}},
		{"its failure", []string{"#!/bin/sh\nexit 8", "echo never"},
			result{"$ #!/bin/sh …\n", "command 1 of 2 failed with exit code 8: #!/bin/sh …\n", 8}},
		{"it does not change the shell", []string{"set -C", "#!/bin/sh\ncd sub; y=2", "#!/bin/sh\necho \"${y-unset}\"", "basename \"$PWD\""},
			result{"$ set -C\n$ #!/bin/sh …\n$ #!/bin/sh …\nunset\n$ basename \"$PWD\"\nrepo\n", "", 0}},
		{"exec is the last thing", []string{"exec sh -c 'exit 6'", "echo never"},
			result{"$ exec sh -c 'exit 6'\n", "command 1 of 2 failed with exit code 6: exec sh -c 'exit 6'\n", 6}},
	}
	for _, sh := range shells(t) {
		for _, tt := range tests {
			t.Run(strings.Join(sh, " ")+"/"+tt.name, func(t *testing.T) {
				got := deploy(t, sh, tt.commands...)
				if got != tt.want {
					t.Errorf("commands %q\n got %#v\nwant %#v", tt.commands, got, tt.want)
				}
			})
		}
	}
}

// What the shell says of these differs between shells.
func TestWhatTheShellCannotRunFailsItsCommand(t *testing.T) {
	for _, sh := range shells(t) {
		for _, command := range []string{"if then", "-e", "no-such-program", "cd no-such-directory", "'"} {
			got := deploy(t, sh, "echo a", command, "echo never")
			if got.code == 0 || got.stdout != "$ echo a\na\n$ "+command+"\n" || !strings.Contains(got.stderr, "command 2 of 3 failed") {
				t.Errorf("%v, %q: got %+v, want a failure of command 2", sh, command, got)
			}
		}
	}
}

func TestCommandsAreToldWhatChanged(t *testing.T) {
	names := []string{"REPO", "PROJECT_NAME", "GROUP", "REPO_URL", "BRANCH", "SHA", "PREVIOUS_SHA", "SUCCEEDED_SHA", "QA_SHA", "RUN"}
	for _, sh := range shells(t) {
		for _, branch := range []string{"main", "feat/$(HOME)", "a'b\"c`id`", "$(params.x)", "日本語-$$"} {
			m := testMember("rag")
			m.Branch = branch
			m.Repository.Deploy.Commands = []string{`for n in ` + strings.Join(names, " ") + `; do eval "printf '%s=%s\n' $n \"\$SENTRY_$n\""; done`}
			_, step := stepsOf(t, m)
			got := run(t, process(t, sh, step, emptyClone(t)))
			_, values, _ := strings.Cut(got.stdout, "\n")
			want := "REPO=rag\nPROJECT_NAME=rag-project\nGROUP=\nREPO_URL=https://github.com/company/rag\nBRANCH=" + branch +
				"\nSHA=" + string(sha1) + "\nPREVIOUS_SHA=" + string(sha0) + "\nSUCCEEDED_SHA=" + string(sha2) + "\nQA_SHA=" + string(qaSHA) + "\nRUN=rag-main-0123456789\n"
			if values != want || got.code != 0 {
				t.Errorf("%v, branch %q\n got %q %q\nwant %q", sh, branch, values, got.stderr, want)
			}
		}
	}
}

// Commands of random bytes reach eval as they stand in the configuration, also after a trip through YAML.
func TestHostileCommandsSurviveToTheByte(t *testing.T) {
	m := testMember("rag")
	texts := append(random(300), hostile[1:]...) // a command is never empty
	m.Repository.Deploy.Commands = texts
	pr, err := Generate(testConfig(), testRun(config.Alone(), m))
	if err != nil {
		t.Fatal(err)
	}
	script := throughYAML(t, pr).Spec.PipelineSpec.Tasks[0].TaskSpec.Steps[1].Script
	if strings.Contains(script, "$(") {
		t.Error("the script holds $(")
	}
	for _, sh := range shells(t) {
		// eval is a function here that prints what it would run.
		printing := strings.ReplaceAll(script, `eval " $sentry_command"`, `printf '%s\0' " $sentry_command" >&3`)
		file, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		cmd := process(t, sh, v1.Step{Script: printing}, emptyClone(t))
		cmd.ExtraFiles = []*os.File{file}
		if got := run(t, cmd); got.code != 0 {
			t.Fatalf("%v: %+v", sh, got)
		}
		out, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		if len(got) != len(texts) {
			t.Fatalf("%v: %d commands, want %d", sh, len(got), len(texts))
		}
		for i := range texts {
			if got[i] != " "+texts[i] {
				t.Errorf("%v: got %q, want a blank and %q", sh, got[i], texts[i])
			}
		}
	}
}

// A pod that is stopped sends SIGTERM to all of the step, and is gone when the script has ended: the
// commands' own trap must run to its end before.
func TestCommandsMayHandleASignal(t *testing.T) {
	for _, sh := range shells(t) {
		m := testMember("rag")
		m.Repository.Deploy.Commands = []string{"trap 'sleep 0.2; echo yes >cleaned; exit 3' TERM", "echo ready\nwhile :; do sleep 0.05; done"}
		_, step := stepsOf(t, m)
		dir := emptyClone(t)
		cmd := process(t, sh, step, dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() && lines.Text() != "ready" {
		}
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		cleaned, err := os.ReadFile(dir + "/repo/cleaned")
		if code := cmd.ProcessState.ExitCode(); string(cleaned) != "yes\n" || code != 143 {
			t.Errorf("%v: after SIGTERM the trap left %q, %v, and the exit code is %d; want \"yes\\n\" and 143", sh, cleaned, err, code)
		}
	}
}

func TestVerdictNamesWhatFailed(t *testing.T) {
	group := config.Group{Name: "g", Strategy: strategy.Sequential, ContinueOnError: true}
	pr, err := Generate(testConfig(), testRun(group, testMember("a"), testMember("b"), testMember("c")))
	if err != nil {
		t.Fatal(err)
	}
	verdict := pr.Spec.PipelineSpec.Finally[0]
	if got, want := verdict.Params[0].Value.StringVal, "a=$(tasks.a.status) b=$(tasks.b.status) c=$(tasks.c.status)"; got != want {
		t.Fatalf("the verdict's param is %q, want %q", got, want)
	}
	tests := []struct {
		ended string
		want  result
	}{
		{"a=Succeeded b=Succeeded c=Succeeded", result{"a: Succeeded\nb: Succeeded\nc: Succeeded\n", "", 0}},
		{"a=Succeeded b=Failed c=Succeeded", result{"a: Succeeded\nb: Failed\nc: Succeeded\n", "not every deployment succeeded\n", 1}},
		{"a=Succeeded b=None c=Succeeded", result{"a: Succeeded\nb: None\nc: Succeeded\n", "not every deployment succeeded\n", 1}},
		{"a=Failed b=None c=None", result{"a: Failed\nb: None\nc: None\n", "not every deployment succeeded\n", 1}},
	}
	for _, sh := range shells(t) {
		for _, tt := range tests {
			step := verdict.TaskSpec.Steps[0]
			step.Script = strings.ReplaceAll(step.Script, "$(params.ended)", tt.ended)
			if got := run(t, process(t, sh, step, t.TempDir())); got != tt.want {
				t.Errorf("%v: %s\n got %+v\nwant %+v", sh, tt.ended, got, tt.want)
			}
		}
	}
}

// Tekton copies the credentials of the ServiceAccount to HOME before it starts a step.
func TestHomeIsThereBeforeTheScripts(t *testing.T) {
	m := testMember("rag")
	cfg := testConfig()
	cfg.Global.TmpDir = "/elsewhere"
	pr, err := Generate(cfg, testRun(config.Alone(), m))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range pr.Spec.PipelineSpec.Tasks[0].TaskSpec.Steps {
		mounted := map[string]bool{}
		for _, mount := range step.VolumeMounts {
			mounted[mount.MountPath] = true
		}
		for _, e := range step.Env {
			if e.Name == "HOME" && (e.Value != "/elsewhere/home" || !mounted[e.Value]) {
				t.Errorf("step %s: HOME is %s, and the mounts are %v", step.Name, e.Value, mounted)
			}
		}
	}
}

func TestShellOfTheCommands(t *testing.T) {
	m := testMember("rag")
	_, plain := stepsOf(t, m)
	m.Repository.Deploy.Shell = "/bin/bash"
	_, step := stepsOf(t, m)
	if want := "#!/bin/bash\n" + strings.TrimPrefix(plain.Script, "#!/bin/sh\n"); step.Script != want || step.Script == plain.Script {
		t.Errorf("the script is\n%s\nwant\n%s", step.Script, want)
	}
}
