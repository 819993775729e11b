package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// The kinds of an Error, as a problem in the state shows them.
const (
	Temporary = "temporary" // may go away by itself: no answer, 409, 429, 5xx
	Denied    = "denied"    // 401 and 403: a person has to give a right, a token or a quota
	Refused   = "refused"   // this object will not be taken as it is: admission, validation, too large, no such kind
)

// Error is what went wrong with a request to the API server.
type Error struct {
	Kind   string // one of the kinds
	advice string
	err    error
}

func (e *Error) Error() string { return e.err.Error() + e.advice }

func (e *Error) Unwrap() error { return e.err }

// ProblemKind returns the Kind.
func (e *Error) ProblemKind() string { return e.Kind }

// Explain returns err as an *Error, with a way out for the answers that have a common one. nil stays nil.
func Explain(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsUnauthorized(err):
		return &Error{Denied, "; the token or certificate is wrong or has expired: in a pod the kubelet renews it; elsewhere log in anew or give another --kubeconfig", err}
	case apierrors.IsForbidden(err):
		// RBAC says `… cannot create resource …`; a quota and an admission webhook say other things.
		if strings.Contains(err.Error(), " cannot ") {
			return &Error{Denied, "; the ServiceAccount or user lacks a right: compare with manifests/rbac-sentry.yaml", err}
		}
		return &Error{Denied, "", err}
	case apierrors.IsNotFound(err) && strings.Contains(err.Error(), "could not find the requested resource"):
		return &Error{Refused, "; is Tekton Pipelines installed in this cluster?", err}
	case apierrors.IsBadRequest(err), apierrors.IsInvalid(err), apierrors.IsRequestEntityTooLargeError(err), apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err):
		return &Error{Refused, "", err}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Temporary, "; the API server did not answer in time", err}
	}
	return &Error{Temporary, "", err}
}

// IsTemporary reports whether err may go away by itself.
func IsTemporary(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == Temporary
}

// BusyError says that a request was not sent, because the API server has shown that it cannot take any.
type BusyError struct {
	Until time.Time
	Why   string
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("not sent: the API server is in trouble (%s); it is left alone until %s", e.Why, e.Until.UTC().Format(time.TimeOnly+"Z"))
}

// NotSent tells it from what a server said.
func (e *BusyError) NotSent() {}
