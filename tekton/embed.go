// Package tekton holds the Tekton Tasks that Sentry's PipelineRuns are made of, as YAML that people read.
package tekton

import (
	_ "embed" // for the files

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"sigs.k8s.io/yaml"
)

// Task returns the spec of a Task of these.
func Task(text []byte) (*v1.TaskSpec, error) {
	var task v1.Task
	if err := yaml.UnmarshalStrict(text, &task); err != nil {
		return nil, err
	}
	return &task.Spec, nil
}

// Deploy is deploy.yaml: the Task that one deployment is.
//
//go:embed deploy.yaml
var Deploy []byte

// Verdict is verdict.yaml: the Task that fails a run when a deployment in it failed.
//
//go:embed verdict.yaml
var Verdict []byte

// CA is ca.sh: what has steps trust more certificate authorities.
//
//go:embed ca.sh
var CA string

// Proxy is proxy.sh: what has steps use proxies.
//
//go:embed proxy.sh
var Proxy string

// SSH is ssh.sh: what has a step clone over SSH.
//
//go:embed ssh.sh
var SSH string

// LFS is lfs.sh: what fetches files in Git LFS.
//
//go:embed lfs.sh
var LFS string

// Submodules is submodules.sh: what fetches the submodules of a clone.
//
//go:embed submodules.sh
var Submodules string

// Credential is credential.sh: what gives the git of commands a credential.
//
//go:embed credential.sh
var Credential string
