package gitlab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	gogitlab "gitlab.com/gitlab-org/api/client-go"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/graphql"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/owned"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
)

// files reads the wanted file of projects, by batches.
func (o *owner) files(ctx context.Context, of []*owned.Entry) error {
	items := make([]int, len(of))
	for i := range items {
		items[i] = i
	}
	var batches graphql.Batches
	var failed *githost.Error
	err := batches.Run(items, graphql.Work{
		Take: func(queue []int, size int) int { return min(size, len(queue)) },
		Ask: func(batch []int) error {
			some := make([]*owned.Entry, len(batch))
			for i, at := range batch {
				some[i] = of[at]
			}
			return o.ask(ctx, some)
		},
		Fail: func(_ []int, err *githost.Error) {
			if failed == nil {
				failed = err
			}
		},
	})
	switch {
	case failed != nil:
		return githost.WrapError(o.api.Host(), failed)
	case err != nil:
		return githost.WrapError(o.api.Host(), err)
	}
	// GitLab answers without an error that there is nothing where its server of repositories is out of reach.
	for _, e := range of {
		if e.Had && e.File == nil {
			if err := o.confirm(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// ask reads the files of a batch: p0, p1, … with as many projects as one projects() takes.
func (o *owner) ask(ctx context.Context, of []*owned.Entry) error {
	var declared, fields strings.Builder
	variables := map[string]any{"path": []string{o.File}}
	byID := make(map[string]*owned.Entry, len(of))
	for some := range slices.Chunk(of, maxPaths) {
		ids := make([]string, len(some))
		for i, e := range some {
			ids[i] = "gid://gitlab/Project/" + e.ID
			byID[ids[i]] = e
		}
		name := fmt.Sprintf("p%d", len(variables)-1)
		variables[name] = ids
		fmt.Fprintf(&declared, "$%s:[ID!] ", name)
		fmt.Fprintf(&fields, "%s:projects(ids:$%s,first:%d){nodes{id repository{blobs(paths:$path,first:1){nodes{rawTextBlob}}}}}", name, name, len(ids))
	}
	files := make(map[string][]byte, len(of))
	var wrong error
	answer, err := o.graphQL.Ask(ctx, "query($path:[String!]! "+declared.String()+"){"+fields.String()+"}", variables, func(_ string, v *jsonstream.Reader) {
		for field := range v.Fields() {
			if field != "nodes" {
				continue
			}
			for range v.Items() {
				if len(files) > len(of) {
					continue // more than was asked for
				}
				id, file := readBlob(v)
				files[id] = file
			}
		}
		if err := v.Shape(); err != nil {
			wrong = err
		}
	})
	if err != nil {
		return err
	}
	if len(answer.Problems) > 0 {
		if p := answer.Problems[0]; !transport.LimitText(p.Message) {
			return o.problem(p)
		}
		return o.graphQL.Limited(answer, answer.Problems[0])
	}
	if wrong != nil {
		return o.unreadable(wrong)
	}
	for id, e := range byID {
		file, told := files[id]
		if !told {
			return githost.NewError(githost.Temporary, o.api.Host(), "the answer leaves %.100q out", e.Path)
		}
		e.File = file
	}
	return nil
}

// readBlob reads a project, and its file: nil where there is none. One that is no text is empty.
func readBlob(v *jsonstream.Reader) (id string, file []byte) {
	for field := range v.Fields() {
		switch field {
		case "id":
			id = strings.Clone(v.Text())
		case "repository":
			for field := range v.Fields() {
				if field != "blobs" {
					continue
				}
				for field := range v.Fields() {
					if field != "nodes" {
						continue
					}
					for range v.Items() {
						file = []byte{}
						for field := range v.Fields() {
							if field == "rawTextBlob" {
								file = []byte(v.Long(githost.MaxOwnedFile))
							}
						}
					}
				}
			}
		}
	}
	return id, file
}

// confirm reads by REST a file that GraphQL does not find, and that was there. REST tells one that is not there from a server that is
// out of reach.
func (o *owner) confirm(ctx context.Context, e *owned.Entry) error {
	var text beginning
	path := "projects/" + e.ID + "/repository/files/" + gogitlab.PathEscape(o.File) + "/raw"
	_, err := o.get(ctx, path, struct {
		Ref string `url:"ref"`
	}{"HEAD"}, &text)
	switch said, ok := errors.AsType[*githost.Error](err); {
	case ok && said.Kind == githost.NotFound:
		return nil
	case err != nil:
		return err
	}
	if e.File = text; slices.Contains(e.File, 0) || e.File == nil {
		e.File = []byte{}
	}
	return nil
}

// beginning is as much of a file as is kept.
type beginning []byte

// Write implements io.Writer.
func (b *beginning) Write(p []byte) (int, error) {
	*b = append(*b, p[:min(len(p), githost.MaxOwnedFile-len(*b))]...)
	return len(p), nil
}
