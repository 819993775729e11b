package refs

import (
	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/kind"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/giturl"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Whose requests are watched, and what those of forks get.
const (
	sameRepository = "same-repository"
	anyone         = "anyone"
	neverToForks   = "never-to-forks"
	exposedToForks = "exposed-to-forks"
)

const wantTarget = "an exact branch name, or a Go regular expression that matches the whole name"

// Requests returns the field that has open pull and merge requests watched. exposed is set where the file says that runs of forks
// get secrets.
func (r *Reader) Requests(p *repo.Patterns, exposed *bool) schema.Field {
	var target repo.Pattern
	var from, secrets string
	fields := []schema.Field{
		schema.Field{Key: "target", Kind: "string", Want: wantTarget, Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			if v, ok := d.Value(path, n, wantTarget); ok {
				if target, ok = r.pattern(d, path, v, ofBranches); ok {
					warn(d, path, v, ofBranches)
				}
			}
		}}.Or(".*"),
		schema.Enum("from", &from, sameRepository, anyone),
		schema.Enum("secrets", &secrets, neverToForks, exposedToForks),
	}
	field := schema.Section("pull_requests", fields...)
	field.Read = func(d *schema.Decoder, path string, n *yaml.Node) {
		d.Section(path, n, fields)
		if d.Failed(path) {
			return
		}
		*p, *exposed = r.one(repo.Patterns{repo.RequestPattern(target, from == anyone)}), secrets == exposedToForks
		switch {
		case *exposed && from == anyone:
			d.Warn(path+".secrets", "is %s: whoever can open a request has code of their own run here with the secrets of the deployment, and can send them anywhere; want %s", exposedToForks, neverToForks)
		case *exposed:
			d.Warn(path+".secrets", "means nothing while requests of forks are not watched; want it left out")
		case from == anyone:
			d.Warn(path+".from", "is %s: on a public repository every stranger can have code of their own run in this cluster, though without secrets; want %s, "+
				"or a cluster and a network where that does no harm", anyone, sameRepository)
		}
	}
	return field
}

// Beside is what a repository has beside its monitor section.
type Beside struct {
	Group   string
	Host    kind.Type
	Runs    *section.Reference // of the cluster; nil = commands run
	URL     string             // of the application
	Clones  bool               // the application
	Exposed bool               // runs of forks get secrets
}

// Check sees that something is watched at path, and that requests stand where they can.
func Check(d *schema.Decoder, path string, watched repo.Patterns, b Beside, hosts kind.Hosts) {
	at := path + ".pull_requests"
	given := func(key string) bool { return d.Given(path + "." + key) }
	if !d.Given(at) {
		if watched == nil && d.Given(path) && !given("branches") && !given("tags") && !d.Failed(path) {
			d.Fail(path+".branches", "is missing, and so is tags; want %s", Want)
		}
		return
	}
	for _, key := range []string{"branches", "tags", "paths"} {
		if given(key) {
			d.Fail(at, "stands beside %s; want an entry of its own for requests, with what they are to run", key)
		}
	}
	pattern, _ := watched.Requests()
	switch {
	case b.Group != "":
		d.Fail(at, "cannot be a part of a group's run; want this repository without a group, in an entry of its own")
	case b.Host != "" && !hosts.Of(b.Host).Requests:
		d.Fail(at, "cannot be watched on a host of the type %s: the Git protocol tells the heads of requests, and not which of them are open; "+
			"want an http(s) address with repo_type github, gitlab or gitea", b.Host)
	case !pattern.Forks() || b.Exposed:
	case b.Runs != nil:
		d.Fail(at+".from", "is %s, and deploy has a Task or Pipeline of the cluster, which may have secrets of its own; want commands, or %s", anyone, sameRepository)
	case b.Clones && giturl.IsSSH(b.URL):
		d.Fail(at+".from", "is %s, and deploy.checkout clones over SSH, with a key that runs of forks never get; want an https address", anyone)
	}
}
