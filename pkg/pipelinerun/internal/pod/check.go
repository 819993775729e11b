package pod

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The API server checks a pod when Tekton creates it, which is too late. Its rules for pods are in no library, so
// those that concern a `pod` section are here; what they are made of is apimachinery's.

// check says all that the API server would refuse, and what would change what Sentry and Tekton go by.
func (s Spec) check(at *field.Path) field.ErrorList {
	errs := metavalidation.ValidateLabels(s.NodeSelector, at.Child("node_selector"))
	errs = append(errs, metavalidation.ValidateLabels(s.Labels, at.Child("labels"))...)
	errs = append(errs, apivalidation.ValidateAnnotations(s.Annotations, at.Child("annotations"))...)
	errs = append(errs, reserved(s.Labels, at.Child("labels"))...)
	errs = append(errs, reserved(s.Annotations, at.Child("annotations"))...)
	for i, t := range s.Tolerations {
		errs = append(errs, checkToleration(t, at.Child("tolerations").Index(i))...)
	}
	if s.Affinity != nil {
		errs = append(errs, checkAffinity(*s.Affinity, at.Child("affinity"))...)
	}
	for i, c := range s.TopologySpreadConstraints {
		errs = append(errs, checkSpread(c, at.Child("topology_spread_constraints").Index(i))...)
	}
	for i, name := range s.ImagePullSecrets {
		errs = append(errs, name1123(name, at.Child("image_pull_secrets").Index(i))...)
	}
	errs = append(errs, checkResources(s.Resources.Clone, at.Child("resources", "clone"))...)
	errs = append(errs, checkResources(s.Resources.Deploy, at.Child("resources", "deploy"))...)
	for i, alias := range s.HostAliases {
		errs = append(errs, checkHostAlias(alias, at.Child("host_aliases").Index(i))...)
	}
	return append(errs, s.checkDNS(at)...)
}

// reserved refuses keys by which runs are found, signed, pruned and shown, and those that take a pod out of its
// sandbox.
func reserved(keys map[string]string, at *field.Path) (errs field.ErrorList) {
	for key := range keys {
		prefix, _, _ := strings.Cut(strings.ToLower(key), "/")
		switch {
		case prefix == "tekton-sentry.dev", prefix == "tekton.dev", strings.HasSuffix(prefix, ".tekton.dev"),
			key == "app.kubernetes.io/managed-by":
			errs = append(errs, field.Forbidden(at.Key(key), "Sentry and Tekton go by it"))
		case prefix == "container.apparmor.security.beta.kubernetes.io", strings.HasSuffix(prefix, "seccomp.security.alpha.kubernetes.io"):
			errs = append(errs, field.Forbidden(at.Key(key), "it would weaken what holds a run"))
		}
	}
	return errs
}

func checkToleration(t corev1.Toleration, at *field.Path) (errs field.ErrorList) {
	errs = append(errs, oneOf(at.Child("operator"), string(t.Operator), "", "Equal", "Exists")...)
	errs = append(errs, oneOf(at.Child("effect"), string(t.Effect), "", "NoSchedule", "PreferNoSchedule", "NoExecute")...)
	if t.Key != "" {
		errs = append(errs, metavalidation.ValidateLabelName(t.Key, at.Child("key"))...)
	} else if t.Operator != corev1.TolerationOpExists {
		errs = append(errs, field.Invalid(at.Child("operator"), t.Operator, "must be Exists without a key"))
	}
	if t.Operator == corev1.TolerationOpExists && t.Value != "" {
		errs = append(errs, field.Invalid(at.Child("value"), t.Value, "must be empty with Exists"))
	}
	for _, why := range validation.IsValidLabelValue(t.Value) {
		errs = append(errs, field.Invalid(at.Child("value"), t.Value, why))
	}
	if t.TolerationSeconds != nil && t.Effect != corev1.TaintEffectNoExecute {
		errs = append(errs, field.Invalid(at.Child("effect"), t.Effect, "must be NoExecute with tolerationSeconds"))
	}
	return errs
}

func checkAffinity(a corev1.Affinity, at *field.Path) (errs field.ErrorList) {
	const required, preferred = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"
	if n, at := a.NodeAffinity, at.Child("nodeAffinity"); n != nil {
		if r, at := n.RequiredDuringSchedulingIgnoredDuringExecution, at.Child(required, "nodeSelectorTerms"); r != nil {
			if len(r.NodeSelectorTerms) == 0 {
				errs = append(errs, field.Required(at, "must have at least one"))
			}
			for i, term := range r.NodeSelectorTerms {
				errs = append(errs, checkNodeTerm(term, at.Index(i))...)
			}
		}
		for i, p := range n.PreferredDuringSchedulingIgnoredDuringExecution {
			at := at.Child(preferred).Index(i)
			errs = append(errs, checkWeight(p.Weight, at)...)
			errs = append(errs, checkNodeTerm(p.Preference, at.Child("preference"))...)
		}
	}
	terms := func(must []corev1.PodAffinityTerm, may []corev1.WeightedPodAffinityTerm, at *field.Path) {
		for i, term := range must {
			errs = append(errs, checkPodTerm(term, at.Child(required).Index(i))...)
		}
		for i, p := range may {
			at := at.Child(preferred).Index(i)
			errs = append(errs, checkWeight(p.Weight, at)...)
			errs = append(errs, checkPodTerm(p.PodAffinityTerm, at.Child("podAffinityTerm"))...)
		}
	}
	if p := a.PodAffinity; p != nil {
		terms(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution, at.Child("podAffinity"))
	}
	if p := a.PodAntiAffinity; p != nil {
		terms(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution, at.Child("podAntiAffinity"))
	}
	return errs
}

func checkNodeTerm(term corev1.NodeSelectorTerm, at *field.Path) (errs field.ErrorList) {
	for i, r := range term.MatchExpressions {
		at := at.Child("matchExpressions").Index(i)
		errs = append(errs, metavalidation.ValidateLabelName(r.Key, at.Child("key"))...)
		errs = append(errs, oneOf(at.Child("operator"), string(r.Operator), "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")...)
		wrong := false
		switch r.Operator {
		case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
			wrong = len(r.Values) == 0
		case corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist:
			wrong = len(r.Values) > 0
		case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
			wrong = len(r.Values) != 1
			if !wrong {
				_, err := strconv.ParseInt(r.Values[0], 10, 64)
				wrong = err != nil
			}
		}
		if wrong {
			errs = append(errs, field.Invalid(at.Child("values"), r.Values, "want some for In and NotIn, none for Exists and DoesNotExist, one number for Gt and Lt"))
		}
	}
	for i, r := range term.MatchFields {
		at := at.Child("matchFields").Index(i)
		errs = append(errs, oneOf(at.Child("key"), r.Key, "metadata.name")...)
		errs = append(errs, oneOf(at.Child("operator"), string(r.Operator), "In", "NotIn")...)
		if len(r.Values) != 1 {
			errs = append(errs, field.Invalid(at.Child("values"), r.Values, "want one name"))
		}
	}
	return errs
}

func checkPodTerm(term corev1.PodAffinityTerm, at *field.Path) field.ErrorList {
	errs := checkTopologyKey(term.TopologyKey, at)
	errs = append(errs, checkSelector(term.LabelSelector, at.Child("labelSelector"))...)
	errs = append(errs, checkSelector(term.NamespaceSelector, at.Child("namespaceSelector"))...)
	for i, name := range term.Namespaces {
		for _, why := range validation.IsDNS1123Label(name) {
			errs = append(errs, field.Invalid(at.Child("namespaces").Index(i), name, why))
		}
	}
	return append(errs, checkLabelKeys(term.MatchLabelKeys, term.MismatchLabelKeys, term.LabelSelector, at)...)
}

// checkLabelKeys holds the keys that take their values from the pod itself, which need a selector beside them.
func checkLabelKeys(match, mismatch []string, selector *metav1.LabelSelector, at *field.Path) (errs field.ErrorList) {
	for _, key := range slices.Concat(match, mismatch) {
		errs = append(errs, metavalidation.ValidateLabelName(key, at.Child("matchLabelKeys"))...)
		if selector == nil {
			errs = append(errs, field.Forbidden(at.Child("matchLabelKeys"), "want a labelSelector beside it"))
		}
		if slices.Contains(match, key) && slices.Contains(mismatch, key) {
			errs = append(errs, field.Invalid(at.Child("matchLabelKeys"), key, "is in mismatchLabelKeys too"))
		}
	}
	return errs
}

func checkSpread(c corev1.TopologySpreadConstraint, at *field.Path) field.ErrorList {
	errs := checkTopologyKey(c.TopologyKey, at)
	if c.MaxSkew < 1 {
		errs = append(errs, field.Invalid(at.Child("maxSkew"), c.MaxSkew, "must be greater than 0"))
	}
	errs = append(errs, oneOf(at.Child("whenUnsatisfiable"), string(c.WhenUnsatisfiable), "DoNotSchedule", "ScheduleAnyway")...)
	if c.MinDomains != nil && (*c.MinDomains < 1 || c.WhenUnsatisfiable != corev1.DoNotSchedule) {
		errs = append(errs, field.Invalid(at.Child("minDomains"), *c.MinDomains, "must be greater than 0, and goes with DoNotSchedule only"))
	}
	for key, policy := range map[string]*corev1.NodeInclusionPolicy{"nodeAffinityPolicy": c.NodeAffinityPolicy, "nodeTaintsPolicy": c.NodeTaintsPolicy} {
		if policy != nil {
			errs = append(errs, oneOf(at.Child(key), string(*policy), "Honor", "Ignore")...)
		}
	}
	errs = append(errs, checkSelector(c.LabelSelector, at.Child("labelSelector"))...)
	return append(errs, checkLabelKeys(c.MatchLabelKeys, nil, c.LabelSelector, at)...)
}

func checkTopologyKey(key string, at *field.Path) field.ErrorList {
	if key == "" {
		return field.ErrorList{field.Required(at.Child("topologyKey"), "such as kubernetes.io/hostname")}
	}
	return metavalidation.ValidateLabelName(key, at.Child("topologyKey"))
}

func checkSelector(s *metav1.LabelSelector, at *field.Path) field.ErrorList {
	return metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{}, at)
}

func checkWeight(weight int32, at *field.Path) field.ErrorList {
	if weight < 1 || weight > 100 {
		return field.ErrorList{field.Invalid(at.Child("weight"), weight, "must be 1 to 100")}
	}
	return nil
}

func checkResources(r Resources, at *field.Path) (errs field.ErrorList) {
	for kind, list := range map[string]corev1.ResourceList{"requests": r.Requests, "limits": r.Limits} {
		for name, quantity := range list {
			at := at.Child(kind).Key(string(name))
			if quantity.Sign() < 0 {
				errs = append(errs, field.Invalid(at, quantity.String(), "must not be negative"))
			}
			switch {
			case name == corev1.ResourceCPU, name == corev1.ResourceMemory, name == corev1.ResourceEphemeralStorage,
				strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix):
			case strings.Contains(string(name), "/") && validation.IsQualifiedName(string(name)) == nil:
				if limit, ok := r.Limits[name]; !ok || limit.Cmp(quantity) != 0 || quantity.MilliValue()%1000 != 0 {
					errs = append(errs, field.Invalid(at, quantity.String(), "want a whole number, the same in requests and limits"))
				}
			default:
				errs = append(errs, field.NotSupported(at, name, []string{"cpu", "memory", "ephemeral-storage", "hugepages-SIZE", "DOMAIN/NAME"}))
			}
		}
	}
	for name, request := range r.Requests {
		if limit, ok := r.Limits[name]; ok && request.Cmp(limit) > 0 {
			errs = append(errs, field.Invalid(at.Child("requests").Key(string(name)), request.String(), "must not be more than the limit of "+limit.String()))
		}
	}
	return errs
}

func checkHostAlias(alias corev1.HostAlias, at *field.Path) (errs field.ErrorList) {
	if _, err := netip.ParseAddr(alias.IP); err != nil {
		errs = append(errs, field.Invalid(at.Child("ip"), alias.IP, "must be an IP address"))
	}
	for i, name := range alias.Hostnames {
		errs = append(errs, name1123(name, at.Child("hostnames").Index(i))...)
	}
	return errs
}

func (s Spec) checkDNS(at *field.Path) (errs field.ErrorList) {
	c := corev1.PodDNSConfig{}
	if s.DNSConfig != nil {
		c = *s.DNSConfig
	}
	if s.DNSPolicy != nil && *s.DNSPolicy == corev1.DNSNone && len(c.Nameservers) == 0 {
		errs = append(errs, field.Required(at.Child("dns_config", "nameservers"), "dns_policy None has no others"))
	}
	at = at.Child("dns_config")
	if len(c.Nameservers) > 3 {
		errs = append(errs, field.TooMany(at.Child("nameservers"), len(c.Nameservers), 3))
	}
	for i, ip := range c.Nameservers {
		if _, err := netip.ParseAddr(ip); err != nil {
			errs = append(errs, field.Invalid(at.Child("nameservers").Index(i), ip, "must be an IP address"))
		}
	}
	if len(c.Searches) > 32 || len(strings.Join(c.Searches, " ")) > 2048 {
		errs = append(errs, field.TooMany(at.Child("searches"), len(c.Searches), 32))
	}
	for i, name := range c.Searches {
		if name != "." {
			errs = append(errs, name1123(strings.TrimSuffix(name, "."), at.Child("searches").Index(i))...)
		}
	}
	for i, o := range c.Options {
		if o.Name == "" {
			errs = append(errs, field.Required(at.Child("options").Index(i).Child("name"), "such as ndots"))
		}
	}
	return errs
}

func name1123(name string, at *field.Path) (errs field.ErrorList) {
	for _, why := range validation.IsDNS1123Subdomain(name) {
		errs = append(errs, field.Invalid(at, name, why))
	}
	return errs
}

func oneOf(at *field.Path, value string, known ...string) field.ErrorList {
	if slices.Contains(known, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(at, value, slices.DeleteFunc(known, func(s string) bool { return s == "" }))}
}
