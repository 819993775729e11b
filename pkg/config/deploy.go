package config

import (
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
