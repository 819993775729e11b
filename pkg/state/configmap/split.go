package configmap

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/state"
)

// split spreads the snapshot over the further ConfigMaps; the package comment says in which order.
func (s *Store) split(ctx context.Context, snapshot state.Snapshot) error {
	parts, names, err := s.fit(snapshot, max(1, len(s.top.Parts)))
	if err != nil {
		return err
	}
	documents, err := s.documents(snapshot, parts, names)
	if err != nil {
		return err
	}
	top := state.Over(snapshot, parts)
	top.Parts = names
	text, err := top.Encode()
	if err != nil {
		return err
	}
	if len(text) > s.room(snapshot) {
		return tooLarge(snapshot)
	}
	// What lies beyond the known ones is from a state that was deleted or shrank. It has to be read before
	// the word is written, so that whoever writes it after that is noticed.
	further := slices.Grow(slices.Clone(s.further), len(parts))[:len(s.further)]
	for i := len(further); i < len(parts); i++ {
		cm, err := s.cluster.GetConfigMap(ctx, s.namespace, s.nameOf(i))
		if err != nil {
			return err
		}
		further = append(further, cm)
	}
	moving := s.top
	moving.Epoch, moving.Moving = snapshot.Epoch, rand.Text()
	if err := s.saveTop(ctx, moving, s.further, s.parts); err != nil {
		return err
	}
	for i, text := range documents {
		if text == nil {
			continue
		}
		if further[i], err = s.put(ctx, s.nameOf(i), further[i], text); err != nil {
			return err
		}
	}
	return s.saveTop(ctx, top, further[:len(parts)], parts)
}

// fit splits the snapshot in at least n parts. What they have no room for is left to the first ConfigMap.
func (s *Store) fit(snapshot state.Snapshot, n int) ([]state.Part, []string, error) {
	half := s.limit/2 - 1024 // for the document around it
	whole, _ := state.Split(snapshot, 1, math.MaxInt)
	_, total, err := whole[0].Name()
	if err != nil {
		return nil, nil, err
	}
	n = min(max(n, total/(s.limit/2)+1), maxFurther)
	parts, left := state.Split(snapshot, n, half)
	for ; left && n < maxFurther; n++ {
		parts, left = state.Split(snapshot, n+1, half)
	}
	names := make([]string, n)
	for i, p := range parts {
		if names[i], _, err = p.Name(); err != nil {
			return nil, nil, err
		}
	}
	return parts, names, nil
}

func tooLarge(snapshot state.Snapshot) error {
	return fmt.Errorf("%w: it does not fit %d ConfigMaps of %d KiB; watch fewer branches, or split sentry.yaml over two namespaces. The largest repositories are %s",
		state.ErrTooLarge, maxFurther+1, maxBytes>>10, state.Largest(snapshot, 3))
}

// documents returns what the further ConfigMaps have to hold; nil for one that holds it already, of which
// the part keeps its name.
func (s *Store) documents(snapshot state.Snapshot, parts []state.Part, names []string) ([][]byte, error) {
	documents := make([][]byte, len(parts))
	for i := range names {
		holds := map[string]state.Part{}
		if i < len(s.top.Parts) {
			old := s.top.Parts[i]
			// A person may have edited the part, so that its name is of what it was.
			content, _, err := s.parts[i].Name()
			if err != nil {
				return nil, err
			}
			if content == names[i] {
				names[i] = old
				continue
			}
			if names[i] == old {
				names[i] += "-edited"
			}
			holds[old] = s.parts[i]
		}
		holds[names[i]] = parts[i]
		text, err := state.Further{Epoch: snapshot.Epoch, Parts: holds}.Encode()
		if err != nil {
			return nil, err
		}
		if len(text) > s.limit {
			return nil, tooLarge(snapshot)
		}
		documents[i] = text
	}
	return documents, nil
}
