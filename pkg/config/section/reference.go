package section

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/spelling"
)

// Reference is a Task or a Pipeline that the cluster has, or that a resolver gets, and what it is given. Values are
// texts as they are written, or lists and maps of them, with placeholders such as {{sha}}. pkg/pipelinerun makes
// Tekton's types of it.
type Reference struct {
	Name           string // "" with a Resolver
	Resolver       string
	ResolverParams map[string]any
	Params         map[string]any
	Workspaces     map[string]any // as in a PipelineRun, by the name that the Task or Pipeline has for it
}

// Placeholder finds {{NAME}} in a text of a Reference, for the names in Facts. Other braces are text.
var Placeholder = regexp.MustCompile(`\{\{ *([a-z_]+) *\}\}`)

// Facts are what placeholders may name: what commands see in SENTRY_REPO and so on.
var Facts = []string{"repo", "project_name", "group", "repo_url", "branch", "tag", "ref", "request", "target_branch", "target_sha", "fork", "sha", "previous_sha", "succeeded_sha", "qa_sha", "run"}

// What messages ask for.
const (
	WantReference = "the name of an object in the namespace of the runs"
	wantResolver  = "the name of one of Tekton's resolvers, such as cluster, git, hub, bundles or http"
)

// ReferenceField is the section at the key.
func ReferenceField(key string, p **Reference) schema.Field {
	return schema.Field{Key: key, Kind: "section", Want: "a section, see `task`",
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			r := new(Reference)
			d.Section(path, n, ReferenceFields(r))
			switch {
			case r.Name == "" && r.Resolver == "" && !d.Failed(path+".name") && !d.Failed(path+".resolver"):
				d.Fail(path, "has no name; want name, %s, or resolver with its resolver_params", WantReference)
			case r.Name != "" && r.Resolver != "":
				d.Fail(path+".name", "stands beside resolver; want one of both: a resolver gets the name from its resolver_params")
			case r.Resolver == "" && r.ResolverParams != nil:
				d.Fail(path+".resolver_params", "stands without resolver; want %s there", wantResolver)
			}
			*p = r
		}}
}

// ReferenceFields is the table of such a section.
func ReferenceFields(r *Reference) []schema.Field {
	return []schema.Field{
		schema.Text("name", &r.Name, WantReference, rule.IsDNSName),
		schema.Text("resolver", &r.Resolver, wantResolver, rule.IsLabel),
		values("resolver_params", &r.ResolverParams, true),
		values("params", &r.Params, true),
		values("workspaces", &r.Workspaces, false),
	}
}

// values is a section with values by name.
func values(key string, p *map[string]any, placeholders bool) schema.Field {
	return schema.Field{Key: key, Kind: "section", Want: "a section",
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			tree, ok := d.Texts(path, n)
			section, isSection := tree.(map[string]any)
			switch {
			case !ok:
			case !isSection:
				d.Fail(path, "is no section; want values by name")
			default:
				*p = section
				eachText(path, section, func(path, text string) {
					switch {
					case strings.ContainsRune(text, 0):
						d.Fail(path, "holds a NUL character, which no variable can; want a text")
					case placeholders:
						checkPlaceholders(d, path, text)
					case len(placeholdersIn(text)) > 0:
						d.Fail(path, "has a placeholder; want none in workspaces")
					}
					if secret.HasReference(text) {
						d.Warn(path, "holds ${…}, which is passed on as it is written, since everybody may read a PipelineRun; want the text itself, or a Secret in workspaces")
					}
				})
			}
		}}
}

// eachText calls f with the texts of a tree, in a fixed order.
func eachText(path string, tree any, f func(path, text string)) {
	switch tree := tree.(type) {
	case string:
		f(path, tree)
	case []any:
		for i, item := range tree {
			eachText(fmt.Sprintf("%s[%d]", path, i), item, f)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(tree)) {
			eachText(schema.JoinKey(path, key), tree[key], f)
		}
	}
}

// placeholdersIn returns the names of the placeholders in a text.
func placeholdersIn(text string) (names []string) {
	for _, m := range Placeholder.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}

// checkPlaceholders says which placeholders are none, and which would become a part of a variable of Tekton's: whoever
// names a branch would say what it stands for.
func checkPlaceholders(d *schema.Decoder, path, text string) {
	for _, m := range Placeholder.FindAllStringSubmatchIndex(text, -1) {
		name, before := text[m[2]:m[3]], text[:m[0]]
		open := strings.LastIndex(before, "$(")
		switch {
		case !slices.Contains(Facts, name):
			want := "want " + schema.OneOf(Facts)
			if near := spelling.Nearest(name, Facts); near != "" {
				want = "did you mean " + near + "?"
			}
			d.Fail(path, "names {{%.40s}}, which is nothing that is known of a deployment; %s", name, want)
		case strings.HasSuffix(before, "$"), open >= 0 && !strings.Contains(before[open:], ")"):
			d.Fail(path, "has {{%s}} behind a $ or within $(…); want it outside of what Tekton substitutes", name)
		}
	}
}

// Names reports whether a placeholder of the reference names the fact.
func (r *Reference) Names(fact string) bool {
	found := false
	for _, section := range []map[string]any{r.Params, r.ResolverParams} {
		eachText("", section, func(_, text string) { found = found || slices.Contains(placeholdersIn(text), fact) })
	}
	return found
}
