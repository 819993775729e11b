package result

import "strings"

// OfReason returns the verdict that an engine's reason for the end of a run stands for. Its deployments may know better:
// a run that reads Completed may hold a failure that it was told to go on after.
func OfReason(reason string) Verdict {
	switch {
	case reason == "Succeeded", reason == "Completed":
		return Succeeded
	case strings.HasPrefix(reason, "Cancelled"), strings.HasPrefix(reason, "StoppedRunFinally"):
		return Cancelled
	case strings.Contains(reason, "Timeout"):
		return TimedOut
	}
	return Failed
}
