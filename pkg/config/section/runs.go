package section

import (
	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
)

// onlyCommands are the keys of deploy that a Task or Pipeline of the cluster has no use for.
var onlyCommands = []string{"depth", "submodules", "lfs", "checkout", "git_credential", "shell", "image", "env", "secrets", "config_maps"}

// WhatRuns is what a deployment is, beside its keys.
type WhatRuns struct {
	URL            string // of the QA repository
	Task, Pipeline *Reference
	Grouped        bool // it is a part of a group's run
	Checked        bool // canary_check may run where it does
}

// CheckWhatRuns sees that one thing runs, and that it has what it needs.
func CheckWhatRuns(d *schema.Decoder, path string, p WhatRuns) {
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
		d.Fail(path+".commands", "is missing; want %s, or in its place task or pipeline with what the cluster already has", WantCommands)
	case len(given) > 1:
		d.Fail(path+"."+given[1], "stands beside %s; want one of commands, task and pipeline", given[0])
	}
	ref := p.Task
	if ref == nil {
		ref = p.Pipeline
	}
	if ref == nil {
		if p.URL == "" && !d.Failed(path+".qa_repo_url") {
			d.Fail(path+".qa_repo_url", "is missing; want %s", rule.WantRepo)
		}
		return
	}
	if p.Pipeline != nil && p.Grouped {
		d.Fail(path+".pipeline", "cannot be a part of a group's run; want task, or this repository without a group")
	}
	switch {
	case p.URL != "" || d.Failed(path+".qa_repo_url"):
	case ref.Names("qa_sha"):
		d.Fail(path+".qa_repo_url", "is missing, and {{qa_sha}} is the commit of that repository; want %s", rule.WantRepo)
	case d.Given(path + ".rollback_commands"):
		d.Fail(path+".qa_repo_url", "is missing, and rollback_commands run in that repository; want %s", rule.WantRepo)
	case p.Checked:
		d.Fail(path+".qa_repo_url", "is missing, and canary_check of its group runs in that repository; want %s", rule.WantRepo)
	}
	if d.Given(path + ".rollback_commands") {
		if p.Pipeline != nil {
			d.Fail(path+".rollback_commands", "stands beside pipeline, which is all of its run; want finally tasks in that Pipeline, or commands")
		}
		return
	}
	for _, key := range onlyCommands {
		if !p.Checked && d.Given(path+"."+key) {
			d.Warn(path+"."+key, "means nothing without commands; want it left out")
		}
	}
}
