package model

import (
	"fmt"
	"math/rand/v2"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// checks is the repository whose requests are watched. The first is of a branch of its own, the others are of forks.
const checks = "checks"

var requests = []string{"refs/pull/1/head", "refs/pull/2/head", "refs/pull/3/head"}

// newRequests returns who opens requests; nil where nobody does.
func newRequests(seed uint64) *rand.Rand {
	if r := rand.New(rand.NewPCG(seed, 12)); r.IntN(3) == 0 {
		return r
	}
	return nil
}

// request has somebody open, push to or close a request.
func (w *world) request() {
	if w.requests == nil || w.requests.IntN(3) > 0 {
		return
	}
	name, r := requests[w.requests.IntN(len(requests))], w.remote(url(checks))
	if w.requests.IntN(3) == 0 && r.heads[name] != "" {
		r.keep()
		delete(r.heads, name)
		w.tell("somebody closes %s@%s", checks, name)
		return
	}
	r.push(name, fmt.Sprintf("%07x", 0xb000000+len(r.pushed)))
	w.tell("somebody pushes %s to %s@%s", r.heads[name].Short(), checks, name)
}

// watchedEntries are the entries of the file, with that of requests.
func (w *world) watchedEntries() []entry {
	if w.requests == nil {
		return w.file.entries
	}
	return append(w.file.entries[:len(w.file.entries):len(w.file.entries)], entry{checks, ""})
}

// requestsEntry is how the file has it.
func requestsEntry() config.Repository {
	target, err := repo.ParsePattern("main")
	if err != nil {
		panic(err)
	}
	r := config.Repository{Name: checks, Project: checks}
	r.Monitor = config.Monitor{Source: config.Source{URL: url(checks), Type: config.Gitea}, Branches: repo.Patterns{repo.RequestPattern(target, true)}}
	r.Deploy = &config.Deploy{
		Source: config.Source{URL: qaURL, Type: config.Git}, Branch: "main", Secrets: []config.Object{{Name: "login"}},
		Commands: []string{"true"}, Image: "deploy:1", Timeout: time.Minute, ServiceAccount: "deployer",
	}
	return r
}

// requestOf is what the host says of a request.
func requestOf(name string) repo.Request {
	return repo.Request{Target: "main", Own: name == requests[0]}
}

// requestFacts are the facts of a request as its commands see them.
func requestFacts(c plan.Change, number string) string {
	return fmt.Sprintf("export SENTRY_BRANCH=''\nexport SENTRY_REF='%s'\nexport SENTRY_REQUEST='%s'\nexport SENTRY_TARGET_BRANCH='main'\n"+
		"export SENTRY_TARGET_SHA=''\nexport SENTRY_FORK='%t'\nexport SENTRY_SHA='%s'\n", c.Branch, number, !requestOf(c.Branch).Own, c.New)
}

// checkSecrets checks that the request of a fork has no secrets, and all others have.
func (w *world) checkSecrets(pr *v1.PipelineRun, c plan.Change) {
	if c.Repository != checks {
		return
	}
	steps := pr.Spec.PipelineSpec.Tasks[0].TaskSpec.Steps
	given := len(steps[len(steps)-1].EnvFrom) > 0
	account := pr.Spec.TaskRunTemplate.ServiceAccountName
	if own := requestOf(c.Branch).Own; given != own || (account == "deployer") != own {
		w.wrong("%s deploys %s with secrets: %v, as %s", pr.Name, c.Ref, given, account)
	}
}
