package e2e

import (
	"strings"
	"testing"
)

// TestSecretsOfCommands has commands use Secrets, as files and as variables, that the clone step does not see.
func TestSecretsOfCommands(t *testing.T) {
	t.Parallel()
	p := newPodTrial(t, "sentry-needs")
	kubectl(t, "-n", p.ns, "create", "secret", "generic", "kubeconfig", "--from-literal=config=a-kubeconfig")
	kubectl(t, "-n", p.ns, "create", "secret", "generic", "login", "--from-literal=PASSWORD=s3cr3t-of-the-login")
	kubectl(t, "-n", p.ns, "create", "configmap", "settings", "--from-literal=TIER=staging")
	const needs = `env: {KUBECONFIG: /secrets/kc/config, ODD: "$(HOME) it's $(params.x)"}
      secrets: [login, {name: kubeconfig, mount: /secrets/kc}, {name: none, keys: [NONE], optional: true}]
      config_maps: [settings]
      `
	said, ok := p.deploy("{}", needs+`commands:
        - test "$(cat "$KUBECONFIG")" = a-kubeconfig
        - test "$PASSWORD" = s3cr3t-of-the-login
        - test "$TIER ${NONE-unset}" = "staging unset"
        - test "$ODD" = "\$(HOME) it's \$(params.x)"
        - "! touch /secrets/kc/x"`)
	if !ok {
		t.Errorf("the commands do not see what they need:\n%s\n%s", said, p.logs())
	}
	pod := p.pod()
	for _, c := range pod.Spec.Containers {
		sees := len(c.EnvFrom) > 0
		for _, m := range c.VolumeMounts {
			sees = sees || m.MountPath == "/secrets/kc"
		}
		if want := c.Name == "step-deploy"; sees != want {
			t.Errorf("%s sees the Secrets: %v, want %v", c.Name, sees, want)
		}
	}
	said, ok = p.deploy("{}", "secrets: [missing]\n      "+commandsTrue)
	if ok || !strings.Contains(said, `secret "missing" not found`) {
		t.Errorf("with a Secret that is not there: succeeded %v, want a failure that says so:\n%s", ok, said)
	}
}
