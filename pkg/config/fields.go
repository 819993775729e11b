package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/instance"
)

const (
	// maxSeconds bounds every time: seven days.
	maxSeconds = 7 * 24 * 60 * 60
	// maxMembers bounds a group. The work of Tekton's scheduler grows with the cube of a run's tasks, and
	// a run of 500 no longer fits into an etcd object (1.5 MiB).
	maxMembers = 150
	// maxName bounds the names that the names of runs and tasks are made of (a label holds 63 characters).
	maxName = 40
	// maxCommands bounds the commands of one deployment in bytes. Tekton passes all scripts of a task as one
	// argument, of which Linux allows 128 KiB; they are quoted and encoded on the way.
	maxCommands = 64 << 10
	maxBranches = 100
	// maxSweep is a day in seconds: a change that the host does not hint at waits so long.
	maxSweep = 24 * 60 * 60
)

// wantDir says what isMountable allows.
var wantDir = "an absolute path of at most 100 of A-Z a-z 0-9 . _ - and /, not / itself and nothing in " + strings.Join(reservedDirs, ", ")

const (
	wantName     = "a DNS label of at most 40 characters: a-z, 0-9 and - inside"
	wantInstance = "a DNS label of at most 30 characters: a-z, 0-9 and - inside"
	wantLabel    = "a DNS label of at most 63 characters: a-z, 0-9 and - inside"
	wantDNS      = "a DNS name: a-z, 0-9, - and . inside, at most 253 characters"
	wantImage    = "an image reference, such as docker.io/alpine/git:2.49.1"
	wantRepo     = "the http(s) URL of a repository, such as https://github.com/company/rag"
	wantAPI      = "the http(s) URL of the host's API"
	wantWebhook  = "an http(s) URL"
	wantBranches = "a list of 1 to 100 exact names or regular expressions"
	wantCommands = "a list of shell commands, together at most 64 KiB"
	wantCommand  = "a shell command; put quotes around one that holds \": \" or starts with a special character"
	wantUsername = "a user name without control characters; in deploy, it may be ${NAME}"
	wantToken    = "a reference ${NAME} to the variable that holds the token"
)

func fileFields(c *Config) []field {
	return []field{
		seconds("polling_interval", &c.PollingInterval, 60).or("60"),
		{key: "groups", kind: "section", want: "a section with the groups by name",
			read: func(d *decoder, path string, n *yaml.Node) { c.Groups = d.groups(path, n) }},
		field{key: "repositories", kind: "list", want: "a list of repositories",
			read: func(d *decoder, path string, n *yaml.Node) { c.Repositories = d.repositories(path, n) }}.must(),
		section("global", globalFields(&c.Global)...),
	}
}

func groupFields(g *Group) []field {
	return []field{
		enum("execution_strategy", &g.Strategy, Parallel, Sequential),
		integer("max_parallel", &g.MaxParallel, 1, maxMembers),
		boolean("continue_on_error", &g.ContinueOnError).or("false"),
		seconds("global_timeout", &g.GlobalTimeout, 0).or("0"),
		enum("on_busy", &g.OnBusy, Queue, CancelOld, StartAtOnce),
		enum("deploy", &g.Deploy, All, Changed),
	}
}

func repositoryFields(r *Repository) []field {
	return []field{
		text("name", &r.Name, wantName, isName).must(),
		text("group", &r.Group, "the name of a group", isName),
		section("monitor", append(sourceFields(&r.Monitor.Source, "repo_url"),
			field{key: "branches", kind: "list", want: wantBranches,
				read: func(d *decoder, path string, n *yaml.Node) { r.Monitor.Branches = d.branches(path, n) }}.must(),
		)...).must(),
		section("deploy", append(sourceFields(&r.Deploy.Source, "qa_repo_url"),
			branch("qa_repo_branch", &r.Deploy.Branch).or("main"),
			text("project_name", &r.Deploy.Project, wantLabel, isLabel),
			field{key: "commands", kind: "list", want: wantCommands,
				read: func(d *decoder, path string, n *yaml.Node) { r.Deploy.Commands = d.commands(path, n) }}.must(),
			text("image", &r.Deploy.Image, wantImage, isImage),
			seconds("timeout", &r.Deploy.Timeout, 1),
			text("service_account", &r.Deploy.ServiceAccount, wantDNS, isDNSName),
		)...).must(),
		{key: "webhook_url", kind: "string", want: wantWebhook,
			read: func(d *decoder, path string, n *yaml.Node) { d.webhook(path, n, &r.WebhookURL) }},
	}
}

func sourceFields(s *Source, urlKey string) []field {
	return []field{
		address(urlKey, &s.URL, wantRepo, repositoryURL).must(),
		enum("repo_type", &s.Type, GitHub, GitLab, Gitea, Git).or(""),
		address("api_url", &s.APIURL, wantAPI, apiURL),
		section("auth",
			secret("username", &s.Auth.Username, wantUsername),
			secret("token", &s.Auth.Token, wantToken)),
	}
}

func globalFields(g *Global) []field {
	return []field{
		text("tmp_dir", &g.TmpDir, wantDir, isMountable).or("/tmp/sentry"),
		boolean("cleanup", &g.Cleanup).or("true"),
		enum("log_level", &g.LogLevel, "debug", "info", "warn", "error").or("info"),
		seconds("timeout", &g.Timeout, 1).or("300"),
		text("namespace", &g.Namespace, wantLabel, isLabel),
		text("run_namespace", &g.RunNamespace, wantLabel, isLabel),
		text("instance", &g.Instance, wantInstance, instance.Valid),
		text("service_account", &g.ServiceAccount, wantDNS, isDNSName).or("sentry-deployer"),
		// This image has kubectl, helm, git and a shell.
		text("image", &g.Image, wantImage, isImage).or("docker.io/alpine/k8s:1.34.1"),
		text("git_image", &g.GitImage, wantImage, isImage).or("docker.io/alpine/git:2.49.1"),
		text("credentials_secret", &g.CredentialsSecret, wantDNS, isDNSName).or("sentry-credentials"),
		integer("keep_runs", &g.KeepRuns, 1, 10000).or("20"),
		enum("on_first_seen", &g.OnFirstSeen, Record, DeployFirst),
		secondsOrZero("sweep", &g.Sweep, 60, maxSweep).or("900"),
	}
}

func section(key string, fields ...field) field {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.key
	}
	return field{key: key, kind: "section", want: fmt.Sprintf("a section with the keys %s", strings.Join(names, ", ")), fields: fields,
		read: func(d *decoder, path string, n *yaml.Node) { d.section(path, n, fields) }}
}

func text[T ~string](key string, p *T, want string, ok func(string) bool) field {
	return field{key: key, kind: "string", want: want,
		read: func(d *decoder, path string, n *yaml.Node) {
			v, fine := d.value(path, n, want, false)
			switch {
			case !fine:
			case !ok(v.value):
				d.mismatch(path, v.value, want)
			default:
				*p = T(v.value)
			}
		}}
}

func branch(key string, p *string) field {
	f := text(key, p, "a branch name", isBranch)
	read := f.read
	f.read = func(d *decoder, path string, n *yaml.Node) {
		read(d, path, n)
		if *p != "" {
			d.checkMeant(path, Value{n.Value, *p})
		}
	}
	return f
}

// address reads a URL, which is never repeated in an error: it may hold a password.
func address(key string, p *string, want string, parse func(string) (string, error)) field {
	return field{key: key, kind: "string", want: want,
		read: func(d *decoder, path string, n *yaml.Node) {
			v, ok := d.value(path, n, want, false)
			if !ok {
				return
			}
			var err error
			if *p, err = parse(v.value); err != nil {
				d.fail(path, "%v", err)
			}
		}}
}

// secret reads a value that no error repeats.
func secret(key string, p *Value, want string) field {
	return field{key: key, kind: "string", want: want,
		read: func(d *decoder, path string, n *yaml.Node) {
			v, ok := d.value(path, n, want, true)
			switch {
			case !ok:
			case v.value == "" && !d.opts.AllowUnsetAuth:
				what := "is empty"
				if name := v.Variable(); name != "" {
					what = fmt.Sprintf("is empty, since the variable %s is unset or empty", name)
				}
				d.fail(path, "%s; want a value, or no auth at all for a public repository", what)
			default:
				*p = v
			}
		}}
}

// enum reads one of the options, the first of which is the default unless another is given.
func enum[T ~string](key string, p *T, options ...T) field {
	words := make([]string, len(options))
	for i, o := range options {
		words[i] = string(o)
	}
	ok := func(s string) bool { return slices.Contains(words, s) }
	return text(key, p, oneOf(words), ok).or(words[0])
}

func integer(key string, p *int, low, high int) field {
	want := fmt.Sprintf("%d to %d", low, high)
	return field{key: key, kind: "integer", want: want,
		read: func(d *decoder, path string, n *yaml.Node) {
			if i, ok := d.number(path, n, "a whole number, "+want, low, high); ok {
				*p = i
			}
		}}
}

func seconds(key string, p *time.Duration, low int) field {
	want := fmt.Sprintf("%d to %d", low, maxSeconds)
	return field{key: key, kind: "seconds", want: want,
		read: func(d *decoder, path string, n *yaml.Node) {
			if i, ok := d.number(path, n, "seconds as a whole number, "+want, low, maxSeconds); ok {
				*p = time.Duration(i) * time.Second
			}
		}}
}

// secondsOrZero reads a time of which 0 means something else than a short one.
func secondsOrZero(key string, p *time.Duration, low, high int) field {
	want := fmt.Sprintf("0, or %d to %d", low, high)
	return field{key: key, kind: "seconds", want: want,
		read: func(d *decoder, path string, n *yaml.Node) {
			want := "seconds as a whole number, " + want
			i, ok := d.number(path, n, want, 0, high)
			switch {
			case !ok:
			case 0 < i && i < low:
				d.mismatch(path, strconv.Itoa(i), want)
			default:
				*p = time.Duration(i) * time.Second
			}
		}}
}

func boolean(key string, p *bool) field {
	return field{key: key, kind: "boolean", want: "true or false",
		read: func(d *decoder, path string, n *yaml.Node) {
			v, ok := d.value(path, n, "true or false", false)
			switch {
			case !ok:
			case v.value != "true" && v.value != "false":
				d.mismatch(path, v.value, "true or false")
			default:
				*p = v.value == "true"
			}
		}}
}
