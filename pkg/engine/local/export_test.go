package local

// Start starts a PipelineRun that no plan made.
var Start = (*Engine).create
