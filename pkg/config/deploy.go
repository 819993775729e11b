package config

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/config/section"
)

// Reference returns the Task or the Pipeline that is run in place of commands; nil for none.
func (p *Deploy) Reference() *Reference {
	if p.Task != nil {
		return p.Task
	}
	return p.Pipeline
}

// onlyCommands are the keys of deploy that a Task or Pipeline of the cluster has no use for.
var onlyCommands = []string{"depth", "submodules", "lfs", "checkout", "git_credential", "shell", "image", "env", "secrets", "config_maps"}

// checkWhatRuns sees that one thing runs, and that it has what it needs; checked is whether canary_check may run where it does.
func checkWhatRuns(d *schema.Decoder, path string, r *Repository, checked bool) {
	p := r.Deploy
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
		d.Fail(path+".commands", "is missing; want %s, or in its place task or pipeline with what the cluster already has", section.WantCommands)
	case len(given) > 1:
		d.Fail(path+"."+given[1], "stands beside %s; want one of commands, task and pipeline", given[0])
	}
	ref := p.Reference()
	if ref == nil {
		if p.URL == "" && !d.Failed(path+".qa_repo_url") {
			d.Fail(path+".qa_repo_url", "is missing; want %s", rule.WantRepo)
		}
		return
	}
	if p.Pipeline != nil && r.Group != "" {
		d.Fail(path+".pipeline", "cannot be a part of a group's run; want task, or this repository without a group")
	}
	switch {
	case p.URL != "" || d.Failed(path+".qa_repo_url"):
	case ref.Names("qa_sha"):
		d.Fail(path+".qa_repo_url", "is missing, and {{qa_sha}} is the commit of that repository; want %s", rule.WantRepo)
	case d.Given(path + ".rollback_commands"):
		d.Fail(path+".qa_repo_url", "is missing, and rollback_commands run in that repository; want %s", rule.WantRepo)
	case checked:
		d.Fail(path+".qa_repo_url", "is missing, and canary_check of its group runs in that repository; want %s", rule.WantRepo)
	}
	if d.Given(path + ".rollback_commands") {
		if p.Pipeline != nil {
			d.Fail(path+".rollback_commands", "stands beside pipeline, which is all of its run; want finally tasks in that Pipeline, or commands")
		}
		return
	}
	for _, key := range onlyCommands {
		if !checked && d.Given(path+"."+key) {
			d.Warn(path+"."+key, "means nothing without commands; want it left out")
		}
	}
}

// checkObjects sees to what the Secrets and ConfigMaps of a deployment mean for each other.
func checkObjects(d *schema.Decoder, at string, p *Deploy, g *Global) {
	mounts := map[string]string{g.TmpDir: "global.tmp_dir"}
	for _, list := range []struct {
		key     string
		objects []Object
	}{{"secrets", p.Secrets}, {"config_maps", p.ConfigMaps}} {
		seen := map[string]bool{}
		for i := range list.objects {
			o, sub := &list.objects[i], fmt.Sprintf("%s.%s[%d]", at, list.key, i)
			if o.Mount != "" {
				o.Mount = path.Clean(o.Mount)
				checkMount(d, sub+".mount", o.Mount, mounts)
			} else {
				for k, key := range o.Keys {
					section.CheckVariable(d, fmt.Sprintf("%s.keys[%d]", sub, k), key)
				}
			}
			if list.key == "secrets" && o.Name == g.CredentialsSecret && o.Name != "" {
				d.Fail(sub, "is the Secret of global.credentials_secret, of which the commands see nothing; want a Secret of its own for them")
			}
			if o.Mount != "" || o.Name == "" || d.Failed(sub+".mount") {
				continue
			}
			if seen[o.Name] {
				d.Fail(sub, "names what an entry before it names; want one entry, with all the keys")
			}
			seen[o.Name] = true
		}
	}
}

// checkMount sees to it that no mount hides another. It adds this one.
func checkMount(d *schema.Decoder, at, mount string, mounts map[string]string) {
	for _, other := range slices.Sorted(maps.Keys(mounts)) {
		where := mounts[other]
		if mount == other || strings.HasPrefix(mount, other+"/") || strings.HasPrefix(other, mount+"/") {
			d.Fail(at, "overlaps the directory of %s; want a directory for each, none within another", where)
			return
		}
	}
	mounts[mount] = at
}
