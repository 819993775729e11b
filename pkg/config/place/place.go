// Package place reads the keys of a configuration that say in which cluster something runs.
package place

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/spelling"
)

// Home is the name of the cluster that Sentry runs in. No other one has it.
const Home = "local"

const (
	// maxKubeconfig bounds a kubeconfig, in bytes.
	maxKubeconfig = 64 << 10
	maxClusters   = 20
	maxContext    = 253
)

// What messages ask for.
const (
	wantKubeconfig = "one ${NAME} whose variable holds a kubeconfig, of at most 64 KiB"
	wantContext    = "the name of a context of a kubeconfig"
	wantClusters   = "a list with the name of one cluster"
	wantNamespace  = "a DNS label of at most 63 characters: a-z, 0-9 and - inside, which is a namespace of that cluster"
	wantName       = "a DNS label of at most 40 characters: a-z, 0-9 and - inside, and not " + Home
)

// Cluster is one beside the cluster that Sentry runs in.
type Cluster struct {
	Name              string
	Kubeconfig        secret.Value // one ${NAME}
	Context           string       // of the kubeconfig of whoever runs a command, where Kubeconfig is not known
	Namespace         string       // of the PipelineRuns
	ServiceAccount    string       // "" = Global.ServiceAccount
	CredentialsSecret string       // "" = Global.CredentialsSecret
}

// Fields is the table of one.
func Fields(c *Cluster) []schema.Field {
	return []schema.Field{
		{Key: "kubeconfig", Kind: "text", Want: wantKubeconfig, Hidden: true,
			Read: func(d *schema.Decoder, path string, n *yaml.Node) {
				v, ok := d.Lines(path, n)
				if !ok {
					return
				}
				if err := c.check(v, d.AllowsUnset()); err != nil {
					d.Fail(path, "%v", err)
					return
				}
				c.Kubeconfig = v
			}},
		schema.Text("context", &c.Context, wantContext, isContext),
		schema.Text("namespace", &c.Namespace, wantNamespace, rule.IsLabel).Must(),
		schema.Text("service_account", &c.ServiceAccount, rule.WantDNS, rule.IsDNSName),
		schema.Text("credentials_secret", &c.CredentialsSecret, rule.WantDNS, rule.IsDNSName),
	}
}

func isContext(s string) bool {
	return s != "" && len(s) <= maxContext && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func (c *Cluster) check(v secret.Value, unset bool) error {
	switch {
	case v.Variable() == "":
		return fmt.Errorf("is not one ${NAME}; want %s, as no credential stands in a configuration", wantKubeconfig)
	case v.Reveal() == "" && !unset:
		return fmt.Errorf("is empty; want %s", wantKubeconfig)
	case len(v.Reveal()) > maxKubeconfig:
		return fmt.Errorf("holds %d bytes; want %s", len(v.Reveal()), wantKubeconfig)
	}
	return nil
}

// Field is the clusters by their names.
func Field(key string, p *map[string]Cluster) schema.Field {
	return schema.Field{Key: key, Kind: "section", Want: "a section with the clusters by name",
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			entries, _ := d.Entries(path, n, "the clusters by name")
			if len(entries) > maxClusters {
				d.Fail(path, "has %d clusters; want at most %d", len(entries), maxClusters)
				return
			}
			*p = make(map[string]Cluster, len(entries))
			for _, e := range entries {
				sub := schema.JoinKey(path, e.Key)
				if !rule.IsName(e.Key) || e.Key == Home {
					d.Fail(sub, "is no name for a cluster; want %s", wantName)
				}
				c := Cluster{Name: e.Key}
				d.Section(sub, e.Value, Fields(&c))
				if !d.Given(sub+".kubeconfig") && !d.Given(sub+".context") && !d.Failed(sub+".kubeconfig") && !d.Failed(sub) {
					d.Fail(sub+".kubeconfig", "is missing, and so is context; want %s", wantKubeconfig)
				}
				(*p)[e.Key] = c
			}
		}}
}

// ListField says in which clusters something runs: in one.
func ListField(key string, p *string) schema.Field {
	return schema.Field{Key: key, Kind: "list", Want: wantClusters,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			if n.Kind == yaml.SequenceNode && len(n.Content) > 1 {
				d.Fail(path, "names %d clusters, and a unit runs in one; want %s", len(n.Content), wantClusters)
				return
			}
			d.Items(path, n, wantClusters, func(path string, n *yaml.Node) {
				v, ok := d.Value(path, n, "the name of a cluster")
				switch {
				case !ok:
				case !rule.IsName(v.Reveal()):
					d.Mismatch(path, v.Reveal(), "the name of a cluster")
				case v.Reveal() != Home:
					*p = v.Reveal()
				}
			})
		}}
}

// Check sees that the cluster at path is one that there is, or "" for the one that Sentry runs in.
func Check(d *schema.Decoder, path, name string, clusters map[string]Cluster) {
	if _, ok := clusters[name]; ok || name == "" {
		return
	}
	want := "want one that stands below clusters, or " + Home
	if near := spelling.Nearest(name, append(slices.Sorted(maps.Keys(clusters)), Home)); near != "" {
		want = "did you mean " + near + "?"
	}
	d.Fail(path, "names no cluster that there is; %s", want)
}

// CheckTogether sees that no member of a group is to run elsewhere than the group does. path is that of the member.
func CheckTogether(d *schema.Decoder, path, group string) {
	if at := path + ".deploy.clusters"; d.Given(at) {
		d.Fail(at, "stands beside group, whose members run together; want it in %s", d.Shown(path+".group", schema.JoinKey("groups", group)))
	}
}

// Renew returns the clusters with what their variables hold now. again expands one.
func Renew(clusters map[string]Cluster, again func(v *secret.Value, check func(secret.Value) error)) map[string]Cluster {
	renewed := maps.Clone(clusters)
	for name, c := range renewed {
		if c.Kubeconfig.IsSet() {
			again(&c.Kubeconfig, func(v secret.Value) error { return c.check(v, false) })
		}
		renewed[name] = c
	}
	return renewed
}

// errUnknown says that nothing tells here how a cluster is reached.
var errUnknown = errors.New("how it is reached is not known here")

// Unknown returns that error with what would mend it.
func (c Cluster) Unknown() error {
	if name := c.Kubeconfig.Variable(); name != "" {
		return fmt.Errorf("%w: the variable %s is not set, and clusters.%s has no context", errUnknown, name, c.Name)
	}
	return errUnknown
}

// Shapes are what JSON Schema can say of these keys.
var Shapes = map[string]schema.Shape{
	wantKubeconfig: {"type": "string", "pattern": section.OneReference},
	wantContext:    schema.OrVariable(schema.Item(schema.Shape{"minLength": 1, "maxLength": maxContext})),
	wantNamespace:  schema.OrVariable(schema.Pattern(rule.DNSLabel, 63)),
	wantClusters:   {"type": "array", "minItems": 1, "maxItems": 1, "items": schema.OrVariable(schema.Pattern(rule.DNSLabel, rule.MaxName))},
}

// Shape is the shape of what Field reads, of the shape of one cluster.
func Shape(one schema.Shape) schema.Shape {
	one["anyOf"] = []schema.Shape{schema.Given("kubeconfig"), schema.Given("context")}
	name := schema.Pattern(rule.DNSLabel, rule.MaxName)
	name["not"] = schema.Shape{"const": Home}
	return schema.Shape{"type": "object", "maxProperties": maxClusters, "propertyNames": name, "additionalProperties": one}
}
