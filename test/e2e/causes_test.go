package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// cause is a way for a run to fail that is no command's exit code.
type cause struct {
	name    string
	prepare func(p *podTrial) // the namespace
	pod     string            // the section `pod`; "" is none
	deploy  string            // lines of the section `deploy`; "" runs true
	while   func(p *podTrial) // is done to the pod once it runs
	want    []string          // what people have to be told
}

var causes = []cause{
	{
		name:    "quota",
		prepare: func(p *podTrial) { p.quota("compute", "limits.memory=1Gi") },
		want:    []string{"failed quota: compute", "must specify limits.memory"},
	},
	{
		name: "limit-range",
		prepare: func(p *podTrial) {
			apply(p.t, fmt.Sprintf(`
apiVersion: v1
kind: LimitRange
metadata: {name: small, namespace: %s}
spec: {limits: [{type: Container, max: {memory: 300Mi}, default: {memory: 200Mi}, defaultRequest: {memory: 32Mi}}]}
`, p.ns))
		},
		pod:  "{resources: {deploy: {requests: {memory: 400Mi}, limits: {memory: 400Mi}}}}",
		want: []string{"maximum memory usage per Container is 300Mi"},
	},
	{
		name:   "image",
		deploy: "image: 127.0.0.1:1/no/such:1\n      " + commandsTrue,
		want:   []string{"127.0.0.1:1/no/such:1"},
	},
	{
		name:   "pull-secret",
		pod:    "{image_pull_secrets: [nobody-made-it]}",
		deploy: "image: 127.0.0.1:1/private:1\n      " + commandsTrue,
		want:   []string{"127.0.0.1:1/private:1", "nobody-made-it"},
	},
	{
		name:   "unschedulable",
		pod:    "{node_selector: {pool: none}}",
		deploy: "timeout: 15\n      " + commandsTrue,
		want:   []string{"didn't match Pod's node affinity/selector"},
	},
	{
		name:   "memory",
		pod:    "{resources: {deploy: {limits: {memory: 64Mi}}}}",
		deploy: "commands: ['x=a; while :; do x=$x$x; done']",
		want:   []string{"OOMKilled", "raise limits.memory"},
	},
	{
		name:   "eviction",
		deploy: "commands: [echo first, 'echo second; sleep 300']",
		while: func(p *podTrial) {
			pod := p.pod().Name
			await(p.t, time.Minute, "the second command to begin", func() (bool, string) { // before that, Tekton's entrypoint is what ends
				out, _ := command(p.t.Context(), "", "kubectl", "-n", p.ns, "logs", pod, "-c", "step-deploy")
				return strings.Contains(out, "second\n"), out
			})
			run(p.t, fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`, pod, p.ns),
				"kubectl", "create", "--raw", "/api/v1/namespaces/"+p.ns+"/pods/"+pod+"/eviction", "-f", "-")
		},
		want: []string{"code 143", "evicted"}, // which command it was says the log, which goes with the pod
	},
	{
		name:   "secret",
		deploy: "secrets: [absent]\n      " + commandsTrue,
		want:   []string{`secret "absent" not found`},
	},
	{
		name: "key",
		prepare: func(p *podTrial) {
			kubectl(p.t, "-n", p.ns, "create", "secret", "generic", "login", "--from-literal=other=x")
		},
		deploy: "secrets: [{name: login, keys: [TOKEN]}]\n      " + commandsTrue,
		want:   []string{"couldn't find key TOKEN"},
	},
	{
		name:   "service-account",
		deploy: "service_account: nobody\n      " + commandsTrue,
		want:   []string{`"nobody" not found`},
	},
	{
		name: "pod-security",
		prepare: func(p *podTrial) {
			kubectl(p.t, "label", "--overwrite", "namespace", p.ns, "pod-security.kubernetes.io/enforce=restricted")
			apply(p.t, fmt.Sprintf(`
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: privileged, namespace: %s}
spec: {steps: [{name: a, image: %q, script: "exit 0", securityContext: {allowPrivilegeEscalation: true}}]}
`, p.ns, env.deployImage))
		},
		deploy: "task: {name: privileged}",
		want:   []string{"violates PodSecurity"},
	},
	{
		name:   "timeout",
		deploy: "timeout: 10\n      commands: [sleep 300]",
		want:   []string{"TimedOut", "10s"},
	},
}

// TestCauses has a run fail in each way, and people told why by `trigger --follow`.
func TestCauses(t *testing.T) {
	t.Parallel()
	for _, c := range causes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPodTrial(t, "sentry-cause-"+c.name)
			if c.prepare != nil {
				c.prepare(p)
			}
			said := p.fails(c)
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("people are not told %q:\n%s", want, said)
				}
			}
		})
	}
}

// fails deploys and returns what that says.
func (p *podTrial) fails(c cause) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 3*time.Minute)
	defer cancel()
	pod, deploy := c.pod, c.deploy
	if pod == "" {
		pod = "{}"
	}
	if deploy == "" {
		deploy = commandsTrue
	}
	cmd := exec.CommandContext(ctx, env.sentry, "trigger", "web", "--follow", "-c", p.file(pod, deploy), "-n", p.ns)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	if c.while != nil {
		await(p.t, time.Minute, "the command runs", func() (bool, string) {
			phases := kubectl(p.t, "-n", p.ns, "get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[*].state.running.startedAt}")
			return strings.TrimSpace(phases) != "", phases
		})
		c.while(p)
	}
	if err := cmd.Wait(); err == nil {
		p.t.Errorf("the run succeeded:\n%s", &said)
	}
	return said.String()
}
