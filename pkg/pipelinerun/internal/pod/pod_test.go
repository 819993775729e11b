package pod

import (
	"reflect"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
)

// section returns the `pod` section of a file with that text.
func section(t *testing.T, text string) config.Pod {
	t.Helper()
	c, err := config.Parse([]byte(`
global: {pod: {`+text+`}}
repositories:
  - name: rag
    monitor: {repo_url: https://github.com/company/rag, branches: [main]}
    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run]}
`), hosts.Options(func(string) (string, bool) { return "s3cret", true }))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return c.Repositories[0].Deploy.Pod
}

func TestReadRefuses(t *testing.T) {
	const required = "pod.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
	node := func(s string) string {
		return "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [" + s + "]}}}"
	}
	near := func(s string) string {
		return "affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [" + s + "]}}"
	}
	spread := func(s string) string { return "topology_spread_constraints: [" + s + "]" }
	for text, want := range map[string]string{
		// What is no such key or value.
		`affinity: {nodeAfinity: {}}`:                        `pod.affinity."nodeAfinity": is not a known key; did you mean nodeAffinity?`,
		`tolerations: [{host_path: /}]`:                      `pod.tolerations[0]."host_path": is not a known key; want effect, key, operator, tolerationSeconds, value`,
		`resources: {verdict: {}}`:                           `pod.resources."verdict": is not a known key; want clone, deploy`,
		`resources: {clone: {claims: []}}`:                   `pod.resources.clone."claims": is not a known key`,
		`resources: {clone: {limits: {cpu: much}}}`:          `pod.resources.clone.limits[cpu]: is another text; want a value such as 500m`,
		`resources: {clone: {limits: {cpu: []}}}`:            `pod.resources.clone.limits[cpu]: is a list; want a value such as 500m`,
		`tolerations: ["${X}"]`:                              `pod.tolerations[0]: is another text; want a section`,
		`tolerations: [{key: a, tolerationSeconds: "${X}"}]`: `pod.tolerations[0].tolerationSeconds: is another text; want a whole number`,
		`tolerations: [{key: [a]}]`:                          `pod.tolerations[0].key: is a list; want a single value`,
		`dns_config: {nameservers: 10.0.0.1}`:                `pod.dns_config.nameservers: is another text; want a list`,
		`node_selector: {a: {b: c}}`:                         `pod.node_selector[a]: is a section; want a single value`,
		spread(`{maxSkew: 99999999999, topologyKey: a}`):     `pod.topology_spread_constraints[0].maxSkew: is another text; want a whole number`,
		// What Kubernetes would refuse.
		`node_selector: {"a b": c}`:                           `pod.node_selector: Invalid value: "a b"`,
		`node_selector: {a: "b c"}`:                           `pod.node_selector: Invalid value: "b c"`,
		`labels: {a: "b c"}`:                                  `pod.labels: Invalid value: "b c"`,
		`annotations: {"a b": c}`:                             `pod.annotations: Invalid value: "a b"`,
		`tolerations: [{key: a, operator: Equals}]`:           `pod.tolerations[0].operator: Unsupported value: "Equals": supported values: "Equal", "Exists"`,
		`tolerations: [{key: a, effect: No}]`:                 `pod.tolerations[0].effect: Unsupported value: "No"`,
		`tolerations: [{value: a}]`:                           `pod.tolerations[0].operator: Invalid value: "": must be Exists without a key`,
		`tolerations: [{key: a, operator: Exists, value: b}]`: `pod.tolerations[0].value: Invalid value: "b": must be empty with Exists`,
		`tolerations: [{key: a, value: b c}]`:                 `pod.tolerations[0].value: Invalid value: "b c"`,
		`tolerations: [{key: a b}]`:                           `pod.tolerations[0].key: Invalid value: "a b"`,
		`tolerations: [{key: a, tolerationSeconds: 3}]`:       `pod.tolerations[0].effect: Invalid value: "": must be NoExecute`,
		node(``): required + `: Required value`,
		node(`{matchExpressions: [{key: a, operator: In}]}`):                                                                                 required + `[0].matchExpressions[0].values: Invalid value`,
		node(`{matchExpressions: [{key: a, operator: Gt, values: [b]}]}`):                                                                    required + `[0].matchExpressions[0].values: Invalid value`,
		node(`{matchExpressions: [{key: a, operator: Exists, values: [b]}]}`):                                                                required + `[0].matchExpressions[0].values: Invalid value`,
		node(`{matchExpressions: [{key: a, operator: Is}]}`):                                                                                 required + `[0].matchExpressions[0].operator: Unsupported value: "Is"`,
		node(`{matchFields: [{key: a, operator: In, values: [b]}]}`):                                                                         required + `[0].matchFields[0].key: Unsupported value: "a"`,
		`affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 0, preference: {}}]}}`:                         `[0].weight: Invalid value: 0: must be 1 to 100`,
		`affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 101, podAffinityTerm: {topologyKey: a}}]}}`: `[0].weight: Invalid value: 101: must be 1 to 100`,
		near(`{}`): `[0].topologyKey: Required value`,
		near(`{topologyKey: a, namespaces: [A]}`):                                                `[0].namespaces[0]: Invalid value: "A"`,
		near(`{topologyKey: a, labelSelector: {matchLabels: {a: "b c"}}}`):                       `[0].labelSelector.matchLabels: Invalid value: "b c"`,
		near(`{topologyKey: a, labelSelector: {matchExpressions: [{key: a, operator: In}]}}`):    `[0].labelSelector.matchExpressions[0].values: Required value`,
		near(`{topologyKey: a, matchLabelKeys: [b]}`):                                            `[0].matchLabelKeys: Forbidden: want a labelSelector`,
		spread(`{maxSkew: 0, topologyKey: a, whenUnsatisfiable: DoNotSchedule}`):                 `[0].maxSkew: Invalid value: 0: must be greater than 0`,
		spread(`{maxSkew: 1, topologyKey: a}`):                                                   `[0].whenUnsatisfiable: Unsupported value: ""`,
		spread(`{maxSkew: 1, whenUnsatisfiable: DoNotSchedule}`):                                 `[0].topologyKey: Required value`,
		spread(`{maxSkew: 1, topologyKey: a, whenUnsatisfiable: ScheduleAnyway, minDomains: 2}`): `[0].minDomains: Invalid value: 2`,
		`image_pull_secrets: [A]`:                                                                `pod.image_pull_secrets[0]: Invalid value: "A"`,
		`resources: {deploy: {requests: {cpu: 2}, limits: {cpu: 1}}}`:                            `pod.resources.deploy.requests[cpu]: Invalid value: "2": must not be more than the limit of 1`,
		`resources: {deploy: {requests: {cpu: -1}}}`:                                             `pod.resources.deploy.requests[cpu]: Invalid value: "-1": must not be negative`,
		`resources: {deploy: {requests: {ram: 1Gi}}}`:                                            `pod.resources.deploy.requests[ram]: Unsupported value: "ram"`,
		`resources: {deploy: {requests: {example.com/gpu: 1}}}`:                                  `pod.resources.deploy.requests[example.com/gpu]: Invalid value: "1"`,
		`host_aliases: [{ip: here}]`:                                                             `pod.host_aliases[0].ip: Invalid value: "here": must be an IP address`,
		`host_aliases: [{ip: 10.0.0.1, hostnames: [a_b]}]`:                                       `pod.host_aliases[0].hostnames[0]: Invalid value: "a_b"`,
		`dns_policy: None`:                  `pod.dns_config.nameservers: Required value`,
		`dns_config: {nameservers: [here]}`: `pod.dns_config.nameservers[0]: Invalid value: "here"`,
		`dns_config: {nameservers: [10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4]}`: `pod.dns_config.nameservers: Too many: 4`,
		`dns_config: {searches: [a_b]}`:                                       `pod.dns_config.searches[0]: Invalid value: "a_b"`,
		`dns_config: {options: [{value: 1}]}`:                                 `pod.dns_config.options[0].name: Required value`,
		// What Sentry and Tekton go by, and what holds a run.
		`labels: {tekton-sentry.dev/unit: a}`:                                                   `pod.labels[tekton-sentry.dev/unit]: Forbidden: Sentry and Tekton go by it`,
		`labels: {app.kubernetes.io/managed-by: a}`:                                             `pod.labels[app.kubernetes.io/managed-by]: Forbidden`,
		`labels: {tekton.dev/pipelineRun: a}`:                                                   `pod.labels[tekton.dev/pipelineRun]: Forbidden`,
		`annotations: {chains.tekton.dev/signed: true}`:                                         `pod.annotations[chains.tekton.dev/signed]: Forbidden`,
		`annotations: {container.apparmor.security.beta.kubernetes.io/step-deploy: unconfined}`: `Forbidden: it would weaken`,
	} {
		_, err := Read(section(t, text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: a variable's value is in %v", text, err)
		}
	}
}

func TestReadSaysAllAtOnce(t *testing.T) {
	_, err := Read(section(t, `tolerations: [{key: a b}], image_pull_secrets: [A], dns_policy: None`))
	for _, want := range []string{"pod.tolerations[0].key", "pod.image_pull_secrets[0]", "pod.dns_config.nameservers"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s in it", err, want)
		}
	}
}

func TestIDs(t *testing.T) {
	for text, want := range map[string][3]int64{ // -1: the cluster chooses
		``:                                   {uid, uid, uid},
		`openshift: true`:                    {-1, -1, -1},
		`openshift: false`:                   {uid, uid, uid},
		`openshift: true, run_as_user: 1000`: {1000, -1, -1},
		`run_as_user: 1000, run_as_group: 0, fs_group: 2000`: {1000, 0, 2000},
	} {
		s, err := Read(section(t, text))
		if err != nil {
			t.Fatal(err)
		}
		c := s.Template().SecurityContext
		id := func(p *int64) int64 {
			if p == nil {
				return -1
			}
			return *p
		}
		if got := [3]int64{id(c.RunAsUser), id(c.RunAsGroup), id(c.FSGroup)}; got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
		if c.RunAsNonRoot == nil || !*c.RunAsNonRoot || c.SeccompProfile == nil {
			t.Errorf("%s: %+v is not restricted", text, c)
		}
	}
}

// The keys of the section are those that config reads.
func TestEveryKeyIsRead(t *testing.T) {
	s, err := Read(section(t, `node_selector: {a: b}, tolerations: [{operator: Exists}], affinity: {podAffinity: {}},
  topology_spread_constraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: DoNotSchedule, minDomains: 2, nodeTaintsPolicy: Honor}],
  image_pull_secrets: [a], resources: {clone: {limits: {example.com/gpu: 1}, requests: {example.com/gpu: 1}}, deploy: {limits: {cpu: 1.5}}},
  run_as_user: 1, run_as_group: 1, fs_group: 1, openshift: true, labels: {a: true}, annotations: {a: "any text $(params.x)"},
  runtime_class_name: a, priority_class_name: a, host_aliases: [{ip: "::1"}], dns_policy: Default, dns_config: {searches: [., a.b.]}`))
	if err != nil {
		t.Fatal(err)
	}
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s is not read", v.Type().Field(i).Name)
		}
	}
}
