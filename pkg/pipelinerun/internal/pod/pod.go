// Package pod makes what a `pod` section of sentry.yaml asks for into Tekton's pod template, by Kubernetes' types
// and rules. It has no way to what keeps runs safe: volumes, the host's namespaces, privileges, tokens.
package pod

import (
	"errors"
	"maps"
	"reflect"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline/pod"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// uid is the user and group that the steps run as where nothing is said: what distroless images call nonroot. Any number but 0
// would do.
const uid int64 = 65532

// Spec is a `pod` section.
type Spec struct {
	NodeSelector              map[string]string                 `json:"node_selector"`
	Tolerations               []corev1.Toleration               `json:"tolerations"`
	Affinity                  *corev1.Affinity                  `json:"affinity"`
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topology_spread_constraints"`
	ImagePullSecrets          []string                          `json:"image_pull_secrets"`
	Resources                 StepResources                     `json:"resources"`
	RunAsUser                 *int64                            `json:"run_as_user"`
	RunAsGroup                *int64                            `json:"run_as_group"`
	FSGroup                   *int64                            `json:"fs_group"`
	OpenShift                 bool                              `json:"openshift"` // IDs that are not said are left out
	Labels                    map[string]string                 `json:"labels"`
	Annotations               map[string]string                 `json:"annotations"`
	RuntimeClassName          *string                           `json:"runtime_class_name"`
	PriorityClassName         *string                           `json:"priority_class_name"`
	HostAliases               []corev1.HostAlias                `json:"host_aliases"`
	DNSPolicy                 *corev1.DNSPolicy                 `json:"dns_policy"`
	DNSConfig                 *corev1.PodDNSConfig              `json:"dns_config"`
}

// StepResources are what each step may and must have.
type StepResources struct {
	Clone  Resources `json:"clone"`
	Deploy Resources `json:"deploy"`
}

// Resources are those of Kubernetes without claims, which a step of Tekton has no use for.
type Resources struct {
	Requests corev1.ResourceList `json:"requests"`
	Limits   corev1.ResourceList `json:"limits"`
}

// Read returns the section, or all that Kubernetes would refuse of it.
func Read(p config.Pod) (Spec, error) {
	var s Spec
	if len(p) == 0 {
		return s, nil
	}
	at := field.NewPath("pod")
	if errs := decode(map[string]any(p), reflect.ValueOf(&s).Elem(), at); len(errs) > 0 {
		return s, errors.Join(errs...)
	}
	if err := s.check(at).ToAggregate(); err != nil {
		return s, err
	}
	return s, nil
}

// Template returns the pod's share of what PodSecurity "restricted" asks for, and what the section adds. The
// containers' share is the stepTemplate of the Tasks.
func (s Spec) Template() *pod.PodTemplate {
	t := &pod.PodTemplate{
		NodeSelector:              s.NodeSelector,
		Tolerations:               s.Tolerations,
		Affinity:                  s.Affinity,
		TopologySpreadConstraints: s.TopologySpreadConstraints,
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot:   new(true),
			RunAsUser:      s.id(s.RunAsUser),
			RunAsGroup:     s.id(s.RunAsGroup),
			FSGroup:        s.id(s.FSGroup),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		RuntimeClassName:  s.RuntimeClassName,
		PriorityClassName: s.PriorityClassName,
		HostAliases:       s.HostAliases,
		DNSPolicy:         s.DNSPolicy,
		DNSConfig:         s.DNSConfig,
	}
	for _, name := range s.ImagePullSecrets {
		t.ImagePullSecrets = append(t.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	return t
}

// Metadata returns the labels and annotations of a TaskRun, which Tekton gives to its pod. Of two labels of one name that of more counts.
func (s Spec) Metadata(more map[string]string) v1.PipelineTaskMetadata {
	all := maps.Clone(s.Labels)
	if all == nil {
		all = more
	} else {
		maps.Copy(all, more)
	}
	return v1.PipelineTaskMetadata{Labels: all, Annotations: s.Annotations}
}

// id is a user or group ID as the pod has it; nil = the cluster chooses.
func (s Spec) id(said *int64) *int64 {
	if said != nil || s.OpenShift {
		return said
	}
	return new(uid)
}

// Apply gives the resources to a step.
func (r Resources) Apply() corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: r.Requests, Limits: r.Limits}
}
