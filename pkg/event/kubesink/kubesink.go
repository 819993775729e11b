// Package kubesink is the sink that makes Kubernetes Events of what concerns Sentry as a whole. How a run ends is an Event on the
// run, which engine/tekton makes.
package kubesink

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
)

const (
	// timeout bounds one call.
	timeout = 15 * time.Second
	// maxMessage is what Kubernetes takes at most, in bytes.
	maxMessage = 1024
)

// Sink returns the sink that makes an Event of each change of the configuration, on the ConfigMap of the state: the one object that
// every Sentry has, however it was installed. The log is told of what fails once, since nothing depends on it.
func Sink(c *kube.Cluster, of instance.Instance, log *slog.Logger) event.Sink {
	var failed sync.Once
	return func(ctx context.Context, events []event.Event) {
		for _, e := range events {
			kind, reason, message := words(e)
			if reason == "" {
				continue
			}
			if err := Record(ctx, c, of, kind, reason, message); err != nil {
				failed.Do(func() { log.Warn("changes of the configuration are not Kubernetes Events", "err", err) })
			}
		}
	}
}

// words returns what an Event says; "" for none.
func words(e event.Event) (kind, reason, message string) {
	switch e := e.(type) {
	case event.ConfigurationChanged:
		text := "the configuration says what is used"
		if len(e.Changes) > 0 {
			text = "the configuration changed, and the new one is used: " + strings.Join(e.Changes, "; ")
		}
		return corev1.EventTypeNormal, "ConfigurationUsed", text
	case event.ConfigurationRefused:
		return corev1.EventTypeWarning, "ConfigurationRefused", "the configuration changed and cannot be used; Sentry goes on as before: " + e.Why
	}
	return "", "", ""
}

// Record makes an Event on the ConfigMap of an instance's state.
func Record(ctx context.Context, c *kube.Cluster, of instance.Instance, kind, reason, message string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	on := corev1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: c.Namespace, Name: of.State()}
	if cm, err := c.GetConfigMap(ctx, c.Namespace, on.Name); err == nil && cm != nil {
		on.UID = cm.UID // for `kubectl describe`, which goes by it
	}
	now := metav1.NewTime(time.Now())
	err := c.Core.Post().Namespace(c.Namespace).Resource("events").Body(&corev1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("%s.%x", on.Name, now.UnixNano()), Namespace: c.Namespace,
			Labels: map[string]string{"app.kubernetes.io/managed-by": "sentry"},
		},
		InvolvedObject: on, Type: kind, Reason: reason, Message: strings.ToValidUTF8(message[:min(len(message), maxMessage)], ""),
		Source: corev1.EventSource{Component: "sentry"}, FirstTimestamp: now, LastTimestamp: now, Count: 1,
	}).Do(ctx).Error()
	if err != nil {
		return fmt.Errorf("make an Event on ConfigMap %s/%s: %w", c.Namespace, on.Name, kube.Explain(err))
	}
	return nil
}
