package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ErrConflict says that a ConfigMap changed, appeared or went since it was read.
var ErrConflict = errors.New("the ConfigMap was written by somebody else since it was read")

// configMapTimeout bounds one call for a ConfigMap.
const configMapTimeout = 15 * time.Second

// GetConfigMap returns the ConfigMap, or nil when there is none.
func (c *Cluster) GetConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	ctx, cancel := context.WithTimeout(ctx, configMapTimeout)
	defer cancel()
	cm := &corev1.ConfigMap{}
	err := c.Core.Get().Namespace(namespace).Resource("configmaps").Name(name).Do(ctx).Into(cm)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read ConfigMap %s/%s: %w", namespace, name, Explain(err))
	}
	return cm, nil
}

// bare asks for an object's metadata alone, which every API server since Kubernetes 1.15 answers:
// https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches
const bare = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"

// ConfigMapVersion returns the resourceVersion of the ConfigMap, whose content it does not read, or "" when there is
// none.
func (c *Cluster) ConfigMapVersion(ctx context.Context, namespace, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, configMapTimeout)
	defer cancel()
	text, err := c.Core.Get().Namespace(namespace).Resource("configmaps").Name(name).SetHeader("Accept", bare).Do(ctx).Raw()
	var cm metav1.PartialObjectMetadata
	if err == nil {
		err = json.Unmarshal(text, &cm)
	}
	switch {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read ConfigMap %s/%s: %w", namespace, name, Explain(err))
	}
	return cm.ResourceVersion, nil
}

// PutConfigMap sets one key of a ConfigMap that must still be as it was read, or makes it where was is nil.
// It returns the ConfigMap as it is then, or ErrConflict.
func (c *Cluster) PutConfigMap(ctx context.Context, namespace, name string, was *corev1.ConfigMap, key string, text []byte) (*corev1.ConfigMap, error) {
	return c.EditConfigMap(ctx, namespace, name, was, func(cm *corev1.ConfigMap) { cm.Data[key] = string(text) })
}

// EditConfigMap is PutConfigMap with any change of the content, whose maps are there. edit gets a copy of was.
func (c *Cluster) EditConfigMap(ctx context.Context, namespace, name string, was *corev1.ConfigMap, edit func(*corev1.ConfigMap)) (*corev1.ConfigMap, error) {
	ctx, cancel := context.WithTimeout(ctx, configMapTimeout)
	defer cancel()
	next := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: name, Namespace: namespace,
		Labels: map[string]string{"app.kubernetes.io/managed-by": "sentry"},
	}}
	request := c.Core.Post()
	if was != nil {
		next = was.DeepCopy()
		request = c.Core.Put().Name(name)
	}
	if next.Data == nil {
		next.Data = map[string]string{}
	}
	if next.BinaryData == nil {
		next.BinaryData = map[string][]byte{}
	}
	edit(next)
	saved := &corev1.ConfigMap{}
	err := request.Namespace(namespace).Resource("configmaps").Body(next).Do(ctx).Into(saved)
	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), was != nil && apierrors.IsNotFound(err):
		return nil, fmt.Errorf("write ConfigMap %s/%s: %w", namespace, name, ErrConflict)
	case err != nil:
		return nil, fmt.Errorf("write ConfigMap %s/%s: %w", namespace, name, Explain(err))
	}
	return saved, nil
}
