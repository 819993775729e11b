package transport

import (
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// A receiver may take as long as it is given. A Git host that says nothing is given up early.
func TestPatient(t *testing.T) {
	n := NewNetwork(config.Global{})
	if wait := n.Patient().(*connections).transport().ResponseHeaderTimeout; wait != 0 {
		t.Errorf("who is patient waits for %s", wait)
	}
	if wait := n.Connections().(*connections).transport().ResponseHeaderTimeout; wait == 0 {
		t.Error("who reads a host waits for ever")
	}
}
