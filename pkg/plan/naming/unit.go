// Package naming says what runs together and what it is called: the labels of units, the names of runs and of
// their tasks, and the key by which a run's name and signature cannot be guessed. Names follow from what they
// name, and have to stay as they are from one version of Sentry to the next. It is pure.
package naming

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

const (
	// maxLabel bounds a unit's label: a label value has at most 63 characters. It leaves room for "sentry-",
	// which stood before it once: labels, and the names made of them, have to stay as they are.
	maxLabel = 63 - len("sentry-")
	// maxPrefix bounds the readable start of a run's name, so that <run>-<task>-pod seldom passes the 63
	// characters beyond which Tekton replaces the end by a hash.
	maxPrefix = 30
	maxTask   = 40
	// hashed labels end with ".." and eight digits.
	hashedEnd = len("..") + 8
)

const (
	alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	plainGroup   = alphanumeric + "-_"
	plainBranch  = plainGroup + "."
)

// Unit is what runs together: a group, or one branch of a repository without a group.
type Unit struct {
	Group  string   // "" for a unit that is one ref
	Ref    repo.Ref // for a unit that is one ref
	Label  string   // unique among units; a valid label value
	Prefix string   // start of its runs' names; a DNS label of at most 30 characters
}

// Has reports whether a repository runs in the unit.
func (u Unit) Has(r *config.Repository) bool {
	if u.Group != "" {
		return r.Group == u.Group
	}
	return r.Name == u.Ref.Repository
}

// UnitOf returns the unit that a branch of r runs in. Labels of different units differ:
//
//	unit                        | label                          | told apart by
//	----------------------------+--------------------------------+-------------------------------------
//	group                       | <group>                        | has no dot
//	group, name not fit         | <slug>..<hash>                 | first dot is the first of a pair
//	one ref                     | <repository>.<branch>          | no pair of dots: Git forbids them
//	one ref, branch not fit     | <repository>.<slug>..<hash>    | a single dot, later a pair
//	one ref, a tag, a request   | as a branch not fit            | the hash, which is of refs/tags/ too
//
// A name that is not fit has characters that a label value may not have, ends with one it may not end
// with, or is too long. The hash is the start of the SHA-256 of the whole name.
func UnitOf(r *config.Repository, branch string) Unit {
	if r.Group != "" {
		return Unit{Group: r.Group, Label: GroupLabel(r.Group), Prefix: cut(slug(r.Group), maxPrefix)}
	}
	ref := repo.Ref{Repository: r.Name, Branch: branch}
	return Unit{Ref: ref, Label: RefLabel(ref), Prefix: cut(r.Name+"-"+slug(shown(branch)), maxPrefix)}
}

// GroupLabel returns the label of the unit that a group is.
func GroupLabel(group string) string {
	if len(group) <= maxLabel && strings.Trim(group, plainGroup) == "" && fitEnd(group) && fitEnd(group[:1]) {
		return group
	}
	return cut(slug(group), maxLabel-hashedEnd) + ".." + digits(group, 8)
}

// RefLabel returns the label of the unit that a branch of a repository without a group is.
func RefLabel(ref repo.Ref) string {
	plain := ref.Repository + "." + ref.Branch
	if len(plain) <= maxLabel && strings.Trim(ref.Branch, plainBranch) == "" && fitEnd(plain) && !strings.Contains(ref.Branch, "..") {
		return plain
	}
	start := LabelStart(ref.Repository)
	return start + cut(slug(shown(ref.Branch)), maxLabel-hashedEnd-len(start)) + ".." + digits(ref.String(), 8)
}

// IsRefLabel reports whether a label is that of a unit that is one ref: its first dot is not one of a pair.
func IsRefLabel(label string) bool {
	_, rest, dotted := strings.Cut(label, ".")
	return dotted && !strings.HasPrefix(rest, ".")
}

// LabelStart returns what the label of every unit that is a ref of this repository starts with. A long name
// is shortened to leave ten characters to the branch.
func LabelStart(repository string) string {
	return cut(repository, maxLabel-hashedEnd-len(".")-10) + "."
}

// Share returns what shares the room that is for the runs of one unit, by the label of a unit and a ref of its run: the unit, or all requests
// of a repository, as whoever opens one makes a unit. A label has no slash.
func Share(label string, of repo.Ref) string {
	if _, request := repo.RequestNumber(of.Branch); request {
		return of.Repository + "/requests"
	}
	return label
}

func fitEnd(s string) bool { return strings.Contains(alphanumeric, s[len(s)-1:]) }

// shown returns what is to be seen of a branch, a tag or a request in names that a hash tells apart.
func shown(branch string) string {
	if number, ok := repo.RequestNumber(branch); ok {
		return "request-" + number
	}
	if tag, ok := repo.Tag(branch); ok {
		return "tag-" + tag
	}
	return branch
}

// slug returns text as a DNS label of any length: what is neither letter nor digit becomes one dash.
func slug(text string) string {
	var b strings.Builder
	for _, c := range []byte(strings.ToLower(text)) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteByte(c)
		} else if s := b.String(); s != "" && s[len(s)-1] != '-' {
			b.WriteByte('-')
		}
	}
	if b.Len() == 0 {
		return "x" // nothing of the name can be shown
	}
	return strings.TrimRight(b.String(), "-")
}

// cut returns the start of a DNS label, of at most size characters, as a DNS label.
func cut(label string, size int) string {
	return strings.TrimRight(label[:min(len(label), size)], "-")
}

// digits returns the first n hexadecimal digits of text's SHA-256.
func digits(text string, n int) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:n]
}

// reserved begins the names of the tasks that are no deployments, such as the check of a canary.
const reserved = "sentry-"

// Reserved reports whether a task of that name is no deployment. Package order has the names.
func Reserved(task string) bool {
	rest, ok := strings.CutPrefix(task, reserved)
	switch rest {
	case "gate", "verdict", "check":
		return ok
	}
	return ok && (strings.HasPrefix(rest, "join-") || strings.HasPrefix(rest, "rollback-"))
}

// Tasks returns the name of each ref's task in one run: a DNS label of at most 40 characters, the repository's
// name when that has one task, otherwise with the branch. What is too long or taken ends with a hash instead; so does
// what is Reserved, without what makes it so.
func Tasks(refs []repo.Ref) []string {
	count := make(map[string]int, len(refs))
	for _, ref := range refs {
		count[ref.Repository]++
	}
	tasks := make([]string, len(refs))
	taken := make(map[string]bool, len(refs))
	name := func(at int, want string) {
		got := cut(want, maxTask)
		if Reserved(got) {
			want = strings.TrimPrefix(want, reserved)
		}
		for i := 0; taken[got] || i == 0 && got != want; i++ {
			got = cut(want, maxTask-len("-12345678")) + "-" + digits(strconv.Itoa(i)+" "+refs[at].String(), 8)
		}
		taken[got] = true
		tasks[at] = got
	}
	// A repository's own name goes to it before another's branch can take it.
	for i, ref := range refs {
		if count[ref.Repository] == 1 {
			name(i, ref.Repository)
		}
	}
	for i, ref := range refs {
		if count[ref.Repository] > 1 {
			name(i, ref.Repository+"-"+slug(shown(ref.Branch)))
		}
	}
	return tasks
}
