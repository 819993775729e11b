package preflight

import (
	"context"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// right is what an account may do.
type right struct {
	namespace, verb, group, resource, name string
}

// String says what is done, as RBAC has it.
func (r right) String() string {
	what := r.resource
	if r.group != "" {
		what += "." + r.group
	}
	if r.name != "" {
		what += "/" + r.name
	}
	return fmt.Sprintf("%s %s in %s", r.verb, what, r.namespace)
}

// needs are the rights that Sentry's own account needs, as manifests/rbac-sentry.yaml gives them.
func (c *Check) needs() []right {
	home, runs := c.Cluster.Namespace, c.runsIn()
	if c.Beside {
		return ofRuns(runs)
	}
	needs := []right{{home, "create", "", "configmaps", ""}, {home, "create", "", "events", ""}}
	for _, verb := range []string{"get", "update"} {
		for _, name := range []string{c.of().State(), c.of().State() + "-1", c.of().State() + "-15", c.of().History()} {
			needs = append(needs, right{home, verb, "", "configmaps", name})
		}
		needs = append(needs, right{home, verb, "", "secrets", c.of().Key()})
	}
	return append(needs, ofRuns(runs)...)
}

// ofRuns are those that it needs where the runs are.
func ofRuns(runs string) (needs []right) {
	for _, verb := range []string{"get", "list", "watch", "create", "patch", "delete"} {
		needs = append(needs, right{runs, verb, "tekton.dev", "pipelineruns", ""})
	}
	return append(needs, right{runs, "list", "tekton.dev", "taskruns", ""}, right{runs, "get", "", "pods/log", ""}, right{runs, "create", "", "events", ""})
}

// accounts checks the rights of Sentry, and those of the ServiceAccounts of the runs.
func (c *Check) accounts(ctx context.Context) []Finding {
	me := c.Cluster.WhoAmI(ctx)
	home, runs := c.Cluster.Namespace, c.runsIn()
	found := []Finding{c.own(ctx, me)}
	var deployers []string
	deployers = append(deployers, c.Config.Global.ServiceAccount)
	for _, r := range c.Config.Repositories {
		deployers = append(deployers, r.Deploy.ServiceAccount)
	}
	for _, name := range distinct(deployers...) {
		check := fmt.Sprintf("ServiceAccount %s/%s", runs, name)
		f, ok := c.find(ctx, check, c.path(runs, "serviceaccounts", name), &corev1.ServiceAccount{},
			fmt.Sprintf("is not there, and the pods of the runs act as it: kubectl -n %s create serviceaccount %s, or apply the manifests", runs, name))
		if !ok {
			found = append(found, f)
			continue
		}
		account := user(runs, name)
		uses, err := c.may(ctx, account, me, right{runs, "list", "tekton.dev", "pipelineruns", ""})
		if err != nil {
			found = append(found, Finding{Warn, check, "is there; you may not ask for its rights"})
			continue
		}
		reaches := false
		for _, r := range []right{{home, "get", "", "secrets", "sentry-credentials"}, {home, "create", "", "pods", ""}, {home, "create", "tekton.dev", "taskruns", ""}} {
			may, err := c.may(ctx, account, me, r)
			reaches = reaches || err == nil && may && home != runs
		}
		found = append(found, deployer(check, uses, reaches, home))
	}
	return found
}

// deployer tells of an account of the runs: whether it may use Tekton's objects there, and whether it reaches into Sentry's
// own namespace.
func deployer(check string, uses, reaches bool, home string) Finding {
	switch {
	case reaches:
		return Finding{Warn, check, "may read Secrets or start pods in " + home + ", so that commands of deployments can read Sentry's credentials: take that right away"}
	case !uses:
		return Finding{OK, check, "is there; it may not list PipelineRuns, which only commands that look at Tekton's objects need"}
	}
	return Finding{OK, check, "is there, and may use Tekton's objects"}
}

// own checks the rights of Sentry's account.
func (c *Check) own(ctx context.Context, me string) Finding {
	account := user(c.Cluster.Namespace, c.Account)
	check := fmt.Sprintf("ServiceAccount %s/%s", c.Cluster.Namespace, c.Account)
	if c.Beside {
		account, check = me, "rights"
	}
	if me != account {
		if err := c.get(ctx, c.path(c.Cluster.Namespace, "serviceaccounts", c.Account), &corev1.ServiceAccount{}); apierrors.IsNotFound(err) {
			return Finding{Fail, check, "is not there: kubectl apply -k manifests, or name another with --service-account"}
		}
	}
	needs := c.needs()
	var lacks []string
	for _, r := range needs {
		may, err := c.may(ctx, account, me, r)
		if err != nil {
			return Finding{Warn, check, fmt.Sprintf("you may not ask for its rights; ask in its pod: kubectl -n %s exec deployment/sentry -- /sentry check", c.Cluster.Namespace)}
		}
		if !may {
			lacks = append(lacks, r.String())
		}
	}
	if len(lacks) > 0 {
		return Finding{Fail, check, "may not " + strings.Join(lacks, ", ") + ": apply " + c.roles()}
	}
	return Finding{OK, check, fmt.Sprintf("has the %d rights that Sentry needs", len(needs))}
}

// roles is the file that has the rights.
func (c *Check) roles() string {
	if c.Beside {
		return "examples/cluster/rbac.yaml there"
	}
	return "manifests/rbac-sentry.yaml"
}

// user is the name under which a ServiceAccount asks.
func user(namespace, account string) string {
	return "system:serviceaccount:" + namespace + ":" + account
}

// may asks whether an account has a right. One's own rights everybody may ask for.
func (c *Check) may(ctx context.Context, account, me string, r right) (bool, error) {
	resource, part, _ := strings.Cut(r.resource, "/") // as in pods/log
	attributes := &authorizationv1.ResourceAttributes{Namespace: r.namespace, Verb: r.verb, Group: r.group, Resource: resource, Subresource: part, Name: r.name}
	if account == me {
		review := authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: attributes}}
		review.APIVersion, review.Kind = "authorization.k8s.io/v1", "SelfSubjectAccessReview"
		err := c.post(ctx, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review, &review)
		return review.Status.Allowed, err
	}
	namespace := strings.Split(account, ":")[2]
	review := authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: account, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"}, ResourceAttributes: attributes,
	}}
	review.APIVersion, review.Kind = "authorization.k8s.io/v1", "SubjectAccessReview"
	err := c.post(ctx, "/apis/authorization.k8s.io/v1/subjectaccessreviews", review, &review)
	return review.Status.Allowed, err
}
