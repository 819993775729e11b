// Package pinned says which commits a run deploys, each of its members: the trigger names those alone that changed. It is
// what the annotation tekton-sentry.dev/members holds, so that a run can be judged, and be made again, from itself.
package pinned

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Member is what one task deploys.
type Member struct {
	Task string `json:"task"`
	repo.Ref
	SHA repo.SHA `json:"sha"`
	QA  repo.SHA `json:"qa,omitempty"` // revision of the QA repository; "" where there is none
	// Request is what the host said of a request. Where nothing is said it is a fork's.
	Request repo.Request `json:"request,omitzero"`
}

// Members are those of one run, in the order of its tasks.
type Members struct {
	List []Member `json:"members"`
	// Signature proves that a Sentry wrote them. It is apart from the run's: another attempt at the same run may see
	// another head of a QA repository, and is the same run all the same.
	Signature string `json:"signature,omitempty"`
}

// maxText and maxMembers bound what Read takes: an API server holds 256 KiB of annotations, and a run 150 deployments.
const (
	maxText    = 256 << 10
	maxMembers = 1000
	maxName    = 253 // of a task, and of a repository
)

// Of returns the members of a pinned run. They are not signed where there is no key.
func Of(run plan.Run) Members {
	m := Members{List: make([]Member, len(run.Members))}
	for i, member := range run.Members {
		m.List[i] = Member{member.Task, member.Ref(), member.SHA, member.QASHA, member.Request}
	}
	m.Signature = run.Sign("members", m.parts()...)
	return m
}

func (m Members) parts() []string {
	parts := make([]string, 0, 5*len(m.List))
	for _, member := range m.List {
		parts = append(parts, member.Task, member.Repository, member.Branch, string(member.SHA), string(member.QA))
		if q := member.Request; q != (repo.Request{}) {
			parts = append(parts, "request", q.Target, string(q.TargetSHA), strconv.FormatBool(q.Own))
		}
	}
	return parts
}

// Signed reports whether a Sentry with the key wrote them of the run of that name.
func (m Members) Signed(key naming.Key, epoch, run string) bool {
	return key.Signed(m.Signature, append([]string{"members", epoch, run}, m.parts()...)...)
}

// Text returns them as JSON on one line.
func (m Members) Text() (string, error) { return oneline.JSON(m) }

// Read reads what Text wrote, or somebody else: all that it returns is checked.
func Read(text string) (Members, error) {
	if len(text) > maxText {
		return Members{}, fmt.Errorf("%d bytes, want at most %d", len(text), maxText)
	}
	var m Members
	decoder := json.NewDecoder(strings.NewReader(text))
	if err := decoder.Decode(&m); err != nil {
		return Members{}, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Members{}, errors.New("something stands after the members")
	}
	if len(m.List) > maxMembers {
		return Members{}, fmt.Errorf("%d members, want at most %d", len(m.List), maxMembers)
	}
	tasks := map[string]bool{}
	for _, member := range m.List {
		if err := member.check(); err != nil {
			return Members{}, fmt.Errorf("task %.80q: %w", member.Task, err)
		}
		if tasks[member.Task] {
			return Members{}, fmt.Errorf("task %.80q is there twice", member.Task)
		}
		tasks[member.Task] = true
	}
	return m, nil
}

func (m Member) check() error {
	for _, name := range []string{m.Task, m.Repository} {
		if name == "" || len(name) > maxName {
			return fmt.Errorf("a name of %d bytes, want 1 to %d", len(name), maxName)
		}
	}
	if err := repo.CheckBranch(m.Branch); err != nil {
		return err
	}
	if _, err := repo.ParseSHA(string(m.SHA)); err != nil {
		return err
	}
	if m.Request.Target != "" {
		if err := repo.CheckBranch(m.Request.Target); err != nil {
			return err
		}
	}
	if m.Request.TargetSHA != "" {
		if _, err := repo.ParseSHA(string(m.Request.TargetSHA)); err != nil {
			return err
		}
	}
	if m.QA == "" {
		return nil
	}
	_, err := repo.ParseSHA(string(m.QA))
	return err
}
