package plan

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

// UnitOf returns the unit that a branch of r runs in. Labels of different units differ:
//
//	unit                        | label                          | told apart by
//	----------------------------+--------------------------------+-------------------------------------
//	group                       | <group>                        | has no dot
//	group, name not fit         | <slug>..<hash>                 | first dot is the first of a pair
//	one ref                     | <repository>.<branch>          | no pair of dots: Git forbids them
//	one ref, branch not fit     | <repository>.<slug>..<hash>    | a single dot, later a pair
//
// A name that is not fit has characters that a label value may not have, ends with one it may not end
// with, or is too long. The hash is the start of the SHA-256 of the whole name.
func UnitOf(r *config.Repository, branch string) Unit {
	if r.Group != "" {
		return Unit{Group: r.Group, Label: groupLabel(r.Group), Prefix: cut(slug(r.Group), maxPrefix)}
	}
	ref := repo.Ref{Repository: r.Name, Branch: branch}
	return Unit{Ref: ref, Label: refLabel(ref), Prefix: cut(r.Name+"-"+slug(branch), maxPrefix)}
}

func groupLabel(group string) string {
	if len(group) <= maxLabel && strings.Trim(group, plainGroup) == "" && fitEnd(group) && fitEnd(group[:1]) {
		return group
	}
	return cut(slug(group), maxLabel-hashedEnd) + ".." + digits(group, 8)
}

func refLabel(ref repo.Ref) string {
	plain := ref.Repository + "." + ref.Branch
	if len(plain) <= maxLabel && strings.Trim(ref.Branch, plainBranch) == "" && fitEnd(plain) && !strings.Contains(ref.Branch, "..") {
		return plain
	}
	start := labelStart(ref.Repository)
	return start + cut(slug(ref.Branch), maxLabel-hashedEnd-len(start)) + ".." + digits(ref.String(), 8)
}

// isRefLabel reports whether a label is that of a unit that is one ref: its first dot is not one of a pair.
func isRefLabel(label string) bool {
	_, rest, dotted := strings.Cut(label, ".")
	return dotted && !strings.HasPrefix(rest, ".")
}

// labelStart returns what the label of every unit that is a ref of this repository starts with. A long name
// is shortened to leave ten characters to the branch.
func labelStart(repository string) string {
	return cut(repository, maxLabel-hashedEnd-len(".")-10) + "."
}

func fitEnd(s string) bool { return strings.Contains(alphanumeric, s[len(s)-1:]) }

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

// nameTasks gives each member's task its name: a DNS label of at most 40 characters, the repository's name
// when that has one task, otherwise with the branch. What is too long or taken ends with a hash instead.
func nameTasks(members []Member) {
	count := make(map[string]int, len(members))
	for _, m := range members {
		count[m.Repository.Name]++
	}
	taken := make(map[string]bool, len(members))
	name := func(m *Member, want string) {
		got := cut(want, maxTask)
		ref := repo.Ref{Repository: m.Repository.Name, Branch: m.Branch}.String()
		for i := 0; taken[got] || i == 0 && got != want; i++ {
			got = cut(want, maxTask-len("-12345678")) + "-" + digits(strconv.Itoa(i)+" "+ref, 8)
		}
		taken[got] = true
		m.Task = got
	}
	// A repository's own name goes to it before another's branch can take it.
	for i := range members {
		if m := &members[i]; count[m.Repository.Name] == 1 {
			name(m, m.Repository.Name)
		}
	}
	for i := range members {
		if m := &members[i]; count[m.Repository.Name] > 1 {
			name(m, m.Repository.Name+"-"+slug(m.Branch))
		}
	}
}
