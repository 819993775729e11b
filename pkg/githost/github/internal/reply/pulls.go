package reply

import (
	"cmp"
	"fmt"

	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/requests"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// PullFragment says what an open request is. Nothing that people wrote is asked for.
const PullFragment = "fragment pull on PullRequest{number headRefOid baseRefName baseRefOid isCrossRepository headRepository{nameWithOwner} baseRepository{nameWithOwner}}"

// pull is an open request.
type pull struct {
	name, head string
	repo.Request
}

// ReadPulls reads a page of open requests, and whether it was there. Where all are on the first, it holds as many as the answer says
// that there are.
func ReadPulls(v *jsonstream.Reader, first bool, add func(name, head string, r repo.Request) bool) (next Page, listed bool, err error) {
	total, count := int64(0), int64(0)
	for field := range v.Fields() {
		switch field {
		case "totalCount":
			total = requests.Number(v)
		case "nodes":
			if v.IsNull() {
				continue
			}
			listed = true
			for range v.Items() {
				p, wrong := readPull(v)
				if err = cmp.Or(err, wrong); err == nil {
					count++
					add(p.name, p.head, p.Request)
				}
			}
		case "pageInfo":
			next = ReadPage(v)
		}
	}
	if err == nil && first && !next.Next && count != total {
		err = fmt.Errorf("the answer has %d open requests and says that there are %d", count, total)
	}
	return next, listed, err
}

// readPull reads a request. It is of the repository itself where both repositories are told, and are the same: that of a fork which
// was deleted is null.
func readPull(v *jsonstream.Reader) (p pull, err error) {
	var head, base, cross string
	for field := range v.Fields() {
		switch field {
		case "number":
			p.name, _ = repo.RequestName(repo.Pulls, requests.Number(v))
		case "headRefOid":
			p.head = requests.Short(v)
		case "baseRefName":
			p.Target = requests.Short(v)
		case "baseRefOid":
			p.TargetSHA = repo.SHA(requests.Short(v))
		case "isCrossRepository":
			cross = v.Scalar()
		case "headRepository":
			head = readName(v)
		case "baseRepository":
			base = readName(v)
		}
	}
	p.Own = cross == "false" && head != "" && head == base
	if p.name == "" || p.Target == "" {
		return p, fmt.Errorf("the answer holds a request without its number or its target")
	}
	return p, nil
}

// readName reads what a repository is called, "" for null.
func readName(v *jsonstream.Reader) (name string) {
	for field := range v.Fields() {
		if field == "nameWithOwner" {
			name = requests.Short(v)
		}
	}
	return name
}
