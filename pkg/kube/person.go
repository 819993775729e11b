package kube

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/client-go/rest"
)

// As returns a connection to the same API server that has nothing but a person's token: whatever is asked by it, the API server decides, and
// its audit log has that person's name. A token that it does not know shows at the first call.
func (c *Cluster) As(token string) (*Cluster, error) {
	cfg := rest.AnonymousClientConfig(c.config)
	cfg.BearerToken = token
	return connect(cfg, c.Namespace, Options{UserAgent: c.config.UserAgent})
}

// Access is what somebody would do.
type Access struct {
	Verb        string `json:"verb"`
	Group       string `json:"group,omitempty"`
	Resource    string `json:"resource"`
	Subresource string `json:"subresource,omitempty"`
	Namespace   string `json:"namespace"`
	Name        string `json:"name,omitempty"`
}

// May asks the API server whether the connection may do something. Everybody may ask that of themselves.
func (c *Cluster) May(ctx context.Context, a Access) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, whoTimeout)
	defer cancel()
	var review struct {
		Version string `json:"apiVersion"`
		Kind    string `json:"kind"`
		Spec    struct {
			Access Access `json:"resourceAttributes"`
		} `json:"spec"`
		Status struct {
			Allowed bool `json:"allowed"`
		} `json:"status,omitzero"`
	}
	review.Version, review.Kind, review.Spec.Access = "authorization.k8s.io/v1", "SelfSubjectAccessReview", a
	question, err := json.Marshal(review)
	if err != nil {
		return false, err
	}
	text, err := c.Core.Post().AbsPath("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews").
		SetHeader("Content-Type", "application/json").Body(question).Do(ctx).Raw()
	if err == nil {
		err = json.Unmarshal(text, &review)
	}
	if err != nil {
		return false, fmt.Errorf("ask whether one may %s %s: %w", a.Verb, a.Resource, Explain(err))
	}
	return review.Status.Allowed, nil
}
