package preflight

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// restricted is the Pod Security Standard that Tekton's own containers keep to only where a flag tells them to.
const restricted = "restricted"

// tektonVersion tells what is known of a version of Tekton.
func tektonVersion(version string) Finding {
	const check = "Tekton Pipelines"
	switch {
	case version == "":
		return Finding{Warn, check, "does not tell its version; Sentry is tried with 1.14"}
	case strings.HasPrefix(strings.TrimPrefix(version, "v"), "0."):
		return Finding{Warn, check, version + "; Sentry is tried with 1.14: update Tekton where runs are refused"}
	}
	return Finding{OK, check, version}
}

// tektonFlags tells which of the flags in Tekton's namespace keep runs from being taken or from starting. enforced is the
// Pod Security Standard of the runs' namespace, if known.
func tektonFlags(flags map[string]string, namespace, enforced string, known bool, cfg *config.Config) []Finding {
	const check = "Tekton's flags"
	var found []Finding
	for spec := range strings.SplitSeq(flags["disable-inline-spec"], ",") {
		if spec = strings.TrimSpace(spec); inline(cfg) && (spec == "pipelinerun" || spec == "pipeline") {
			found = append(found, Finding{Fail, check, fmt.Sprintf("disable-inline-spec has %s, and Sentry's PipelineRuns hold their tasks, but for those of deploy.pipeline: take it out", spec)})
		}
	}
	secure := flags["set-security-context"] == "true"
	switch {
	case secure:
	case enforced == restricted:
		found = append(found, Finding{Fail, check, "set-security-context is not true, and the namespace of the runs enforces restricted, so that it refuses every pod: kubectl -n " + namespace +
			` patch configmap feature-flags -p '{"data":{"set-security-context":"true"}}'`})
	case !known:
		found = append(found, Finding{Warn, check, "set-security-context is not true: a namespace that enforces restricted refuses every pod"})
	}
	if why := needsBeta(cfg); why != "" && flags["enable-api-fields"] == "stable" {
		found = append(found, Finding{Fail, check, "enable-api-fields is stable, and " + why + " needs beta, which is Tekton's default"})
	}
	if len(found) == 0 {
		found = append(found, Finding{OK, check, "fit"})
	}
	return found
}

// inline reports whether a PipelineRun holds its tasks.
func inline(cfg *config.Config) bool {
	return slices.ContainsFunc(cfg.Repositories, func(r config.Repository) bool { return r.Deploy.Pipeline == nil })
}

// needsBeta returns what Tekton takes only with its fields in beta; "" for nothing.
func needsBeta(cfg *config.Config) string {
	for _, g := range cfg.Groups {
		if g.ContinueOnError {
			return "a group with continue_on_error"
		}
	}
	for _, r := range cfg.Repositories {
		if ref := r.Deploy.Reference(); ref != nil && ref.Resolver != "" {
			return "a resolver, as " + r.Name + " has one,"
		}
	}
	return ""
}

// podSecurity tells of the Pod Security Standard that a namespace enforces.
func podSecurity(check, enforced string) Finding {
	switch enforced {
	case "":
		return Finding{OK, check, "is there, and enforces no Pod Security Standard"}
	case "privileged", "baseline", restricted:
		return Finding{OK, check, "is there, and enforces " + enforced + ", which Sentry's pods keep to"}
	}
	return Finding{Warn, check, fmt.Sprintf("enforces %.40q, which is no Pod Security Standard", enforced)}
}

// ofStep are the values of a credential by which a step clones.
func ofStep(a config.Auth) []secret.Value {
	return []secret.Value{a.Username, a.Token, a.SSHKey, a.SSHCertificate, a.KnownHosts}
}

// deployVariables are the keys that deployments with commands take from the Secret of the runs.
func deployVariables(cfg *config.Config) []string {
	var names []string
	for _, r := range cfg.Repositories {
		if r.Deploy.Reference() != nil {
			continue // nothing is cloned
		}
		taken := append(ofStep(r.Deploy.Auth), cfg.Global.Proxy.HTTP, cfg.Global.Proxy.HTTPS)
		if r.Deploy.Checkout {
			taken = append(taken, ofStep(r.Monitor.Auth)...)
		}
		for _, v := range taken {
			if name := v.Variable(); name != "" {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// keysOf tells which of the wanted keys a Secret lacks, and which hold what is no credential.
func keysOf(check string, data map[string][]byte, wanted []string) Finding {
	var missing, broken []string
	for _, name := range wanted {
		switch value, ok := data[name]; {
		case !ok:
			missing = append(missing, name)
		case len(value) == 0 || bytes.ContainsAny(value, "\r\n"):
			broken = append(broken, name)
		}
	}
	switch {
	case len(missing) > 0:
		return Finding{Fail, check, "lacks " + strings.Join(missing, ", ") + ": the clone cannot start without"}
	case len(broken) > 0:
		return Finding{Fail, check, strings.Join(broken, ", ") + " is empty or has a line break, as a Secret made from the output of echo has: make it with printf or --from-literal"}
	}
	return Finding{OK, check, "has " + strings.Join(wanted, ", ")}
}
