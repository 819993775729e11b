package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// secretTimeout bounds one call for a Secret.
	secretTimeout = 15 * time.Second
	// secretTries bounds how often another one may write the Secret first.
	secretTries = 5
)

// EnsureSecret returns what a key of a Secret in the connection's namespace holds. Where there is no such Secret,
// or nothing under the key, it stores what create returns, unless somebody else is faster.
func (c *Cluster) EnsureSecret(ctx context.Context, name, key string, create func() []byte) ([]byte, error) {
	for range secretTries {
		text, err := c.ensureSecret(ctx, name, key, create)
		switch {
		case errors.Is(err, ErrConflict):
			continue
		case err != nil:
			return nil, fmt.Errorf("read or fill Secret %s/%s: %w", c.Namespace, name, Explain(err))
		}
		return text, nil
	}
	return nil, fmt.Errorf("fill Secret %s/%s: it was written by somebody else, %d times in a row", c.Namespace, name, secretTries)
}

func (c *Cluster) ensureSecret(ctx context.Context, name, key string, create func() []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, secretTimeout)
	defer cancel()
	secret := &corev1.Secret{}
	request := c.Core.Put().Name(name)
	switch err := c.Core.Get().Namespace(c.Namespace).Resource("secrets").Name(name).Do(ctx).Into(secret); {
	case apierrors.IsNotFound(err):
		secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: c.Namespace, Labels: map[string]string{"app.kubernetes.io/managed-by": "sentry"},
		}}
		request = c.Core.Post()
	case err != nil:
		return nil, err
	case len(secret.Data[key]) > 0:
		return secret.Data[key], nil
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	secret.Data[key] = create()
	err := request.Namespace(c.Namespace).Resource("secrets").Body(secret).Do(ctx).Error()
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return nil, ErrConflict
	}
	return secret.Data[key], err
}
