package main

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// descriptor is in-toto's ResourceDescriptor, as far as it is needed: https://github.com/in-toto/attestation.
type descriptor struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest,omitempty"`
}

// statement is in-toto's, version 1, with SLSA's provenance: https://slsa.dev/spec/v1.0/provenance.
type statement struct {
	Type          string       `json:"_type"`
	Subject       []descriptor `json:"subject"`
	PredicateType string       `json:"predicateType"`
	Predicate     struct {
		BuildDefinition struct {
			BuildType            string            `json:"buildType"`
			ExternalParameters   map[string]string `json:"externalParameters"`
			InternalParameters   map[string]string `json:"internalParameters"`
			ResolvedDependencies []descriptor      `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		RunDetails struct {
			Builder struct {
				ID string `json:"id"`
			} `json:"builder"`
		} `json:"runDetails"`
	} `json:"predicate"`
}

// provenance writes from what the files so far and the image were made, by whom and how. It says no time, which each run would have
// another one of.
func (r *release) provenance(ctx context.Context) error {
	sums, err := r.sums()
	if err != nil {
		return err
	}
	compiler, err := output(ctx, nil, "go", "env", "GOVERSION")
	if err != nil {
		return err
	}
	platforms := make([]string, len(r.targets))
	for i, p := range r.targets {
		platforms[i] = p.String()
	}
	s := statement{Type: "https://in-toto.io/Statement/v1", PredicateType: "https://slsa.dev/provenance/v1"}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		s.Subject = append(s.Subject, descriptor{Name: name, Digest: map[string]string{"sha256": sums[name]}})
	}
	s.Subject = append(s.Subject, descriptor{Name: r.image, Digest: map[string]string{"sha256": strings.TrimPrefix(r.imageDigest, "sha256:")}})
	build := &s.Predicate.BuildDefinition
	build.BuildType = r.source + "/blob/main/docs/releasing.md"
	build.ExternalParameters = map[string]string{"version": r.version, "image": r.image, "platforms": strings.Join(platforms, ",")}
	build.InternalParameters = map[string]string{"go": compiler}
	build.ResolvedDependencies = []descriptor{{URI: "git+" + r.source, Digest: map[string]string{"gitCommit": r.commit}}}
	s.Predicate.RunDetails.Builder.ID = r.builder
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return r.write("sentry_"+r.version+".intoto.json", append(text, '\n'))
}
