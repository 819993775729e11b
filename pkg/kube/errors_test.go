package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestExplain(t *testing.T) {
	runs := schema.GroupResource{Group: "tekton.dev", Resource: "pipelineruns"}
	for _, tt := range []struct {
		err        error
		kind, hint string // hint "": the error's own words are enough
	}{
		{errors.New("connection refused"), Temporary, ""},
		{apierrors.NewTooManyRequests("busy", 1), Temporary, ""},
		{apierrors.NewInternalError(errors.New("x")), Temporary, ""},
		{apierrors.NewServiceUnavailable("x"), Temporary, ""},
		{apierrors.NewConflict(runs, "x", errors.New("modified")), Temporary, ""},
		{fmt.Errorf("get: %w", context.DeadlineExceeded), Temporary, "did not answer in time"},
		{apierrors.NewUnauthorized("x"), Denied, "has expired"},
		{apierrors.NewForbidden(runs, "x", errors.New("User u cannot create resource")), Denied, "rbac-sentry.yaml"},
		{apierrors.NewForbidden(runs, "x", errors.New("exceeded quota: runs")), Denied, ""},
		{apierrors.NewGenericServerResponse(404, "get", runs, "x", "", 0, true), Refused, "is Tekton Pipelines installed"},
		{apierrors.NewNotFound(runs, "x"), Refused, ""},
		{apierrors.NewBadRequest("admission webhook denied the request"), Refused, ""},
		{apierrors.NewInvalid(schema.GroupKind{}, "x", nil), Refused, ""},
		{apierrors.NewRequestEntityTooLargeError("x"), Refused, ""},
	} {
		err := Explain(tt.err)
		k, ok := errors.AsType[*Error](err)
		switch {
		case !ok || k.ProblemKind() != tt.kind || !errors.Is(err, tt.err) || IsTemporary(fmt.Errorf("run: %w", err)) != (tt.kind == Temporary):
			t.Errorf("Explain(%v) = %#v, want a %s error", tt.err, err, tt.kind)
		case tt.hint == "" && err.Error() != tt.err.Error(), !strings.Contains(err.Error(), tt.hint):
			t.Errorf("Explain(%v) says %q, want the hint %q", tt.err, err, tt.hint)
		}
	}
	if err := Explain(nil); err != nil {
		t.Errorf("Explain(nil) = %v", err)
	}
}

func TestBusyErrorSaysUntilWhen(t *testing.T) {
	err := &BusyError{Until: time.Date(2026, 1, 2, 4, 5, 6, 0, time.FixedZone("", 3600)), Why: "no answer"}
	if got, want := err.Error(), "not sent: the API server is in trouble (no answer); it is left alone until 03:05:06Z"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
