package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/spelling"
)

// Reference is a Task or a Pipeline that the cluster has, or that a resolver gets, and what it is given. Values are
// texts as they are written, or lists and maps of them, with placeholders such as {{sha}}. pkg/pipelinerun makes Tekton's types of it.
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
var Facts = []string{"repo", "project_name", "group", "repo_url", "branch", "sha", "previous_sha", "qa_sha", "run"}

const (
	wantReference = "the name of an object in the namespace of the runs"
	wantResolver  = "the name of one of Tekton's resolvers, such as cluster, git, hub, bundles or http"
)

func referenceField(key string, p **Reference) schema.Field {
	return schema.Field{Key: key, Kind: "section", Want: "a section, see `task`",
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			r := new(Reference)
			d.Section(path, n, referenceFields(r))
			switch {
			case r.Name == "" && r.Resolver == "" && !d.Failed(path+".name") && !d.Failed(path+".resolver"):
				d.Fail(path, "has no name; want name, %s, or resolver with its resolver_params", wantReference)
			case r.Name != "" && r.Resolver != "":
				d.Fail(path+".name", "stands beside resolver; want one of both: a resolver gets the name from its resolver_params")
			case r.Resolver == "" && r.ResolverParams != nil:
				d.Fail(path+".resolver_params", "stands without resolver; want %s there", wantResolver)
			}
			*p = r
		}}
}

func referenceFields(r *Reference) []schema.Field {
	return []schema.Field{
		schema.Text("name", &r.Name, wantReference, isDNSName),
		schema.Text("resolver", &r.Resolver, wantResolver, isLabel),
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

// names reports whether a placeholder of the reference names the fact.
func (r *Reference) names(fact string) bool {
	found := false
	for _, section := range []map[string]any{r.Params, r.ResolverParams} {
		eachText("", section, func(_, text string) { found = found || slices.Contains(placeholdersIn(text), fact) })
	}
	return found
}

// Reference returns the Task or the Pipeline that is run in place of commands; nil for none.
func (p Deploy) Reference() *Reference {
	if p.Task != nil {
		return p.Task
	}
	return p.Pipeline
}

// onlyCommands are the keys of deploy that a Task or Pipeline of the cluster has no use for.
var onlyCommands = []string{"depth", "submodules", "shell", "image", "env", "secrets", "config_maps"}

// checkWhatRuns sees that one thing runs, and that it has what it needs.
func checkWhatRuns(d *schema.Decoder, path string, r *Repository) {
	p := &r.Deploy
	if !d.Given(path) || d.Failed(path) {
		return
	}
	var given []string
	for _, key := range []string{"commands", "task", "pipeline"} {
		if d.Given(path + "." + key) {
			given = append(given, key)
		}
	}
	switch {
	case len(given) == 0:
		d.Fail(path+".commands", "is missing; want %s, or in its place task or pipeline with what the cluster already has", wantCommands)
	case len(given) > 1:
		d.Fail(path+"."+given[1], "stands beside %s; want one of commands, task and pipeline", given[0])
	}
	ref := p.Reference()
	if ref == nil {
		if p.URL == "" && !d.Failed(path+".qa_repo_url") {
			d.Fail(path+".qa_repo_url", "is missing; want %s", wantRepo)
		}
		return
	}
	if p.Pipeline != nil && r.Group != "" {
		d.Fail(path+".pipeline", "cannot be a part of a group's run; want task, or this repository without a group")
	}
	if p.URL == "" && ref.names("qa_sha") {
		d.Fail(path+".qa_repo_url", "is missing, and {{qa_sha}} is the commit of that repository; want %s", wantRepo)
	}
	for _, key := range onlyCommands {
		if d.Given(path + "." + key) {
			d.Warn(path+"."+key, "means nothing without commands; want it left out")
		}
	}
}
