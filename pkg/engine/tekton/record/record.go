// Package record makes the Kubernetes Events that say how runs ended.
package record

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// callTimeout bounds one call.
const callTimeout = 30 * time.Second

// reasons are the verdicts as reasons of Kubernetes Events.
var reasons = map[result.Verdict]string{
	result.Succeeded: "Succeeded", result.Failed: "Failed", result.Cancelled: "Cancelled",
	result.TimedOut: "TimedOut", result.Superseded: "Superseded",
}

// End makes the Kubernetes Event on a PipelineRun in the namespace that says how it ended. There is one a run, however often this is
// called: its name has the UID, as a run that is deleted may come again under its name.
func End(ctx context.Context, c *kube.Cluster, namespace string, r result.Result, uid types.UID) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	kind := corev1.EventTypeWarning
	if r.Verdict == result.Succeeded || r.Verdict == result.Superseded {
		kind = corev1.EventTypeNormal
	}
	text := string(r.Verdict)
	if failed := r.Tasks(result.Failed); len(failed) > 1 {
		text = fmt.Sprintf("%d deployments failed", len(failed))
	}
	now := metav1.NewTime(time.Now())
	err := c.Core.Post().Namespace(namespace).Resource("events").Body(&corev1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Name: r.Name + ".sentry." + string(uid), Namespace: namespace, Labels: map[string]string{"app.kubernetes.io/managed-by": "sentry"},
		},
		InvolvedObject: corev1.ObjectReference{APIVersion: "tekton.dev/v1", Kind: "PipelineRun", Namespace: namespace, Name: r.Name, UID: uid},
		Type:           kind, Reason: cmp.Or(reasons[r.Verdict], "Ended"),
		Message: strings.Trim(text+": "+r.Why, ": "),
		Source:  corev1.EventSource{Component: "sentry"}, FirstTimestamp: now, LastTimestamp: now, Count: 1,
	}).Do(ctx).Error()
	if err == nil || apierrors.IsAlreadyExists(err) {
		return nil
	}
	return fmt.Errorf("record the end of PipelineRun %s/%s as an Event: %w", namespace, r.Name, kube.Explain(err))
}
