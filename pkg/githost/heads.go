package githost

import (
	"iter"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// maxHeads bounds the branches of one repository that are watched. It is far above what anybody means;
// a server that invents branches must not fill the memory.
const maxHeads = 100_000

// CollectHeads makes an observation of the (branch, object name) pairs that a server answered for one
// repository. The server is not trusted:
//
//   - A branch that does not match is passed over, whatever was asked for.
//   - A branch whose name Git would not allow, or that is over 255 bytes or not UTF-8, is passed over: it
//     cannot be cloned by that name or written into a PipelineRun, and must not blind the repository's
//     other branches.
//   - A matching branch whose object name is malformed, or that is answered twice with different object
//     names, fails the whole repository as Invalid: an answer that lies in one place is not trusted in another.
//   - No branch left is an error of kind NoBranch that names the patterns.
//
// Reading stops early at an error, and when all patterns are exact names that were found.
func CollectHeads(host string, patterns repo.Patterns, answered iter.Seq2[string, string]) repo.Observation {
	enough := exactNames(patterns)
	heads := make(map[string]repo.SHA)
	skipped := 0
	for branch, name := range answered {
		if !patterns.Match(branch) {
			continue
		}
		if repo.CheckBranch(branch) != nil {
			skipped++
			continue
		}
		sha, err := repo.ParseSHA(name)
		if err != nil {
			return failed(NewError(Invalid, host, "it answers for branch %.80q: %w", branch, err))
		}
		if old, twice := heads[branch]; twice && old != sha {
			return failed(NewError(Invalid, host, "it answers branch %.80q twice, at %s and at %s", branch, old, sha))
		}
		heads[branch] = sha
		if len(heads) > maxHeads {
			return failed(NewError(Invalid, host, "more than %d branches match: narrow monitor.branches", maxHeads))
		}
		if len(heads) == enough {
			break
		}
	}
	switch {
	case len(heads) > 0:
		return repo.Observation{Heads: heads}
	case skipped > 0:
		return failed(NewError(NoBranch, host, "%d branches match %.150s, and none has a name that Git allows", skipped, patterns))
	}
	return failed(NewError(NoBranch, host, "no branch matches %.200s", patterns))
}

// exactNames returns how many different names match the patterns, 0 when that is not known.
func exactNames(patterns repo.Patterns) int {
	names := make(map[string]bool)
	for _, p := range patterns {
		name, exact := p.Exact()
		if !exact {
			return 0
		}
		names[name] = true
	}
	return len(names)
}

func failed(err *Error) repo.Observation { return repo.Observation{Err: err} }
