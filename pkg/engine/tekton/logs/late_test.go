package logs

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

// printing is a run whose step prints until nobody listens, or late is closed. begun tells that it has begun, left that it has ended.
func printing(t *testing.T) (server *kubetest.Server, r *Reader, begun *atomic.Bool, late chan struct{}, left chan struct{}) {
	server, r, _ = cluster(t)
	r.Follow, r.Tail = true, 500
	server.Put(tekton+"pipelineruns/r", kubetest.Object{"metadata": kubetest.Object{"name": "r", "uid": "uid-of-r"}, "status": ended("Unknown", "")})
	begun, late, left = &atomic.Bool{}, make(chan struct{}), make(chan struct{})
	prints := server.Fault
	server.Fault = func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, "/web-pod/log") {
			return prints(w, req)
		}
		if !begun.CompareAndSwap(false, true) {
			kubetest.Refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden, "once")
			return true
		}
		defer close(left)
		for req.Context().Err() == nil {
			select {
			case <-late:
				return true
			default:
			}
			if _, err := fmt.Fprintln(w, "a line"); err != nil {
				return true
			}
			w.(http.Flusher).Flush()
		}
		return true
	}
	return server, r, begun, late, left
}

// listener notes what is written to it after it was told that nothing will be.
type listener struct {
	mu   sync.Mutex
	over bool
	late func()
	err  error
}

func (l *listener) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		l.late()
	}
	return len(b), l.err
}

// Whatever ends it, such as a token that has expired: nothing is written afterwards, as nobody reads it any more.
func TestNothingIsWrittenAfterTheEnd(t *testing.T) {
	server, r, begun, late, left := printing(t)
	prints := server.Fault
	server.Fault = func(w http.ResponseWriter, req *http.Request) bool {
		if strings.HasSuffix(req.URL.Path, "/pipelineruns/r") && begun.Load() {
			kubetest.Refuse(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "the token has expired")
			return true
		}
		return prints(w, req)
	}
	l := &listener{late: sync.OnceFunc(func() { t.Error("a line was written after the end"); close(late) })}
	r.Out = l
	if err := r.Print(t.Context()); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("it ends with %v", err)
	}
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
	<-left
}

// Who does not read any more ends it, though the run goes on.
func TestNobodyReads(t *testing.T) {
	_, r, _, _, left := printing(t)
	gone := errors.New("nobody reads it")
	r.Out = &listener{err: gone}
	if err := r.Print(t.Context()); !errors.Is(err, gone) {
		t.Errorf("it ends with %v", err)
	}
	<-left
}
