// Package pipelinerun turns a planned run into one Tekton PipelineRun: one task a deployment, ordered
// as the group wants it. It is pure: no client, no clock, no files but the Tasks of folder tekton/ that
// the binary embeds.
//
// Nothing that comes from outside (a branch's name, a URL, a command) stands in a place that Tekton or
// the kubelet expand. It stands in the steps' scripts, quoted; Quote says how.
package pipelinerun
