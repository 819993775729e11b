package pipelinerun

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/sshgit/sshgittest"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/clone"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

func knownHosts(s *sshgittest.OpenSSH) string { return sshgittest.KnownHosts(s.Address, s.Host) }

// overSSH is a member whose QA repository is cloned over SSH.
func overSSH(url string, sha repo.SHA, known string) plan.Member {
	m := testMember("rag")
	m.Repository.Deploy.URL, m.QASHA = url, sha
	m.Repository.Deploy.Auth = config.Auth{SSHKey: secret.New("${KEY}", "of the poller"), KnownHosts: secret.New(known, known)}
	return m
}

// cloneBySSH runs the clone step of the member with a key, as the mounts of its pod would have it.
func cloneBySSH(t *testing.T, sh []string, m plan.Member, env ...string) (result, string) {
	t.Helper()
	step, _ := stepsOf(t, m)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "ssh"), 0o777); err != nil {
		t.Fatal(err)
	}
	return run(t, process(t, sh, step, dir, append(env, "SENTRY_SSH="+filepath.Join(dir, "ssh"))...)), dir
}

func TestCloneOverSSH(t *testing.T) {
	key := sshgittest.NewKey(t)
	server := sshgittest.NewOpenSSH(t, []string{key.Public()})
	root := t.TempDir()
	qa, common := filepath.Join(root, "qa's.git"), filepath.Join(root, "common.git")
	git(t, root, "init", "-q", "-b", "main", qa)
	git(t, root, "init", "-q", "-b", "main", common)
	commit(t, common, "of the submodule")
	git(t, qa, "-c", "protocol.file.allow=always", "submodule", "add", "-q", common, "sub")
	git(t, qa, "config", "-f", ".gitmodules", "submodule.sub.url", "../common.git")
	git(t, qa, "add", ".")
	old := commit(t, qa, "old")
	commit(t, qa, "new")
	m := overSSH(server.URL(qa), old, knownHosts(server))
	m.Repository.Deploy.Submodules = true
	for i, sh := range shells(t) {
		private := key.Private
		if i == 0 {
			private = strings.ReplaceAll(private, "\n", "\r\n") // as from a file of Windows
		}
		got, dir := cloneBySSH(t, sh, m, "SENTRY_GIT_SSH_KEY="+private)
		if got.code != 0 || got.stderr != "" {
			t.Fatalf("%v: %+v, want a clone", sh, got)
		}
		for file, want := range map[string]string{"repo/file": "old", "repo/sub/file": "of the submodule"} {
			if text, err := os.ReadFile(filepath.Join(dir, file)); string(text) != want {
				t.Errorf("%v: %s reads %q, %v, want %q", sh, file, text, err, want)
			}
		}
		holds(t, dir, key.Private)
	}
}

// holds fails the test when a file below dir has a line of the key.
func holds(t *testing.T, dir, private string) {
	t.Helper()
	line := strings.Split(private, "\n")[2]
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), line) {
			t.Errorf("%s has the key after the step", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A host that is another one gets no word of the key, and neither it nor a key that is refused is tried again for a minute.
func TestCloneOverSSHIsRefused(t *testing.T) {
	key := sshgittest.NewKey(t)
	server := sshgittest.NewOpenSSH(t, []string{key.Public()})
	root := t.TempDir()
	git(t, root, "init", "-q", "-b", "main", root)
	sha := commit(t, root, "a")
	sh := shells(t)[0]
	for name, tt := range map[string]struct {
		known, private, want string
	}{
		"the host has another key": {strings.Replace(knownHosts(server), strings.Fields(knownHosts(server))[2], strings.Fields(sshgittest.NewKey(t).Public())[1], 1), key.Private, "Host key verification failed"},
		"the host is unknown":      {"git.example.com " + strings.Join(strings.Fields(knownHosts(server))[1:], " "), key.Private, "Host key verification failed"},
		"the key is another one":   {knownHosts(server), sshgittest.NewKey(t).Private, "Permission denied"},
		"the key is none":          {knownHosts(server), "nonsense", "Permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			got, dir := cloneBySSH(t, sh, overSSH(server.URL(root), sha, tt.known), "SENTRY_GIT_SSH_KEY="+tt.private)
			if got.code == 0 || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("%+v, want an error that says %q", got, tt.want)
			}
			if strings.Contains(got.stdout, "trying again") || time.Since(begun) > time.Minute {
				t.Errorf("%+v after %s, want no second try", got, time.Since(begun))
			}
			if tt.private != "nonsense" {
				holds(t, dir, tt.private)
			}
		})
	}
}

// An authority may vouch for users.
func TestCloneOverSSHByCertificate(t *testing.T) {
	key, authority := sshgittest.NewKey(t), sshgittest.NewKey(t)
	file := filepath.Join(t.TempDir(), "authority.pub")
	if err := os.WriteFile(file, []byte(authority.Public()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := sshgittest.NewOpenSSH(t, nil, "TrustedUserCAKeys "+file)
	root := t.TempDir()
	git(t, root, "init", "-q", "-b", "main", root)
	m := overSSH(server.URL(root), commit(t, root, "a"), "${HOSTS}")
	m.Repository.Deploy.Auth.KnownHosts = secret.New("${HOSTS}", knownHosts(server))
	m.Repository.Deploy.Auth.SSHCertificate = secret.New("${CERT}", "of the poller")
	certificate := &ssh.Certificate{Key: key.Signer.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{server.User}, ValidBefore: ssh.CertTimeInfinity}
	if err := certificate.SignCert(rand.Reader, authority.Signer); err != nil {
		t.Fatal(err)
	}
	cert := string(ssh.MarshalAuthorizedKey(certificate))
	got, _ := cloneBySSH(t, shells(t)[0], m, "SENTRY_GIT_SSH_KEY="+key.Private, "SENTRY_GIT_SSH_CERTIFICATE="+cert, "SENTRY_GIT_KNOWN_HOSTS="+knownHosts(server))
	if got.code != 0 {
		t.Errorf("%+v, want a clone", got)
	}
}

// The key is a variable of the steps that clone, and a file in memory that they alone see.
func TestSSHKeyIsForTheCloneAlone(t *testing.T) {
	m := overSSH("git@git.example.com:qa/pipelines.git", "3333333333333333333333333333333333333333", "git.example.com ssh-ed25519 AAAA")
	m.Repository.Monitor.URL, m.Repository.Monitor.Auth = "ssh://git@git.example.com/app.git", m.Repository.Deploy.Auth
	m.Repository.Deploy.Checkout = true
	pr, err := Generate(testConfig(), testRun(config.Alone(), m))
	if err != nil {
		t.Fatal(err)
	}
	if err := Validate(t.Context(), pr); err != nil {
		t.Fatal(err)
	}
	task := pr.Spec.PipelineSpec.Tasks[0].TaskSpec
	for i, step := range task.Steps {
		var mounts, keys []string
		for _, v := range step.VolumeMounts[2:] {
			mounts = append(mounts, v.MountPath)
		}
		for _, e := range step.Env {
			if e.ValueFrom != nil {
				keys = append(keys, e.Name+"="+e.ValueFrom.SecretKeyRef.Key)
			}
		}
		wantMounts, wantKeys := "/tmp/sentry/ssh /etc/passwd", "SENTRY_GIT_SSH_KEY=KEY"
		if i == len(task.Steps)-1 {
			wantMounts, wantKeys = "", ""
		}
		if got := strings.Join(mounts, " "); got != wantMounts {
			t.Errorf("step %s mounts %q, want %q", step.Name, got, wantMounts)
		}
		if got := strings.Join(keys, " "); got != wantKeys {
			t.Errorf("step %s has %q of the Secret, want %q", step.Name, got, wantKeys)
		}
	}
	if v := volume(task, "ssh"); v.EmptyDir == nil || v.EmptyDir.Medium != corev1.StorageMediumMemory {
		t.Errorf("the key lies in %+v, want memory", v)
	}
	if got, want := task.Metadata.Annotations[clone.AnnotationUser], "sentry:x:65532:65532::/tmp/sentry/home:/bin/sh"; got != want {
		t.Errorf("the pod's user is %q, want %q", got, want)
	}
	if text, err := Marshal(pr); err != nil || strings.Contains(string(text), "of the poller") {
		t.Errorf("the run has the key (%v)", err)
	}
	m.Repository.Deploy.Pod = config.Pod{"openshift": "true"}
	if pr, err = Generate(testConfig(), testRun(config.Alone(), m)); err != nil {
		t.Fatal(err)
	}
	if task = pr.Spec.PipelineSpec.Tasks[0].TaskSpec; volume(task, "user").Name != "" {
		t.Error("a pod whose user the cluster chooses has our entry of another one")
	}
}

func volume(task *v1.EmbeddedTask, name string) (found corev1.Volume) {
	for _, v := range task.Volumes {
		if v.Name == name {
			found = v
		}
	}
	return found
}
