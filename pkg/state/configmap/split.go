package configmap

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/state"
)

// split spreads the entries of the snapshot over the further ConfigMaps; the package comment says in which order.
func (s *Store) split(ctx context.Context, snapshot state.Snapshot, all entries) error {
	parts := s.fit(all)
	f := first{Parts: make([]string, len(parts))}
	documents, err := s.documents(ctx, snapshot, parts, f.Parts)
	if err != nil {
		return err
	}
	base := make(entries, len(all))
	for _, p := range parts {
		base.add(p)
	}
	sums := base.sums()
	f.entries, f.Gone = all.over(sums)
	text, err := f.text()
	if err != nil {
		return err
	}
	if len(text) > s.room(snapshot) {
		return tooLarge(snapshot)
	}
	// What lies beyond the known ones is from a state that was deleted or shrank. It has to be read before
	// the word is written, so that whoever writes it after that is noticed.
	further := slices.Clone(s.further)
	for i := len(further); i < len(parts); i++ {
		cm, err := s.cluster.GetConfigMap(ctx, s.namespace, s.nameOf(i))
		if err != nil {
			return err
		}
		further = append(further, cm)
	}
	if err := s.move(ctx, all[epochPlace]); err != nil {
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
	return s.putFirst(ctx, f, text, further[:len(parts)], sums)
}

// move writes a word into the first ConfigMap, which else stays as it is.
func (s *Store) move(ctx context.Context, epoch []byte) error {
	f := first{entries: make(entries)}
	if s.loaded != nil {
		text, err := s.reread(ctx, s.name, s.loaded)
		if err != nil {
			return err
		}
		if len(text) > 0 {
			if f, err = readFirst(text); err != nil {
				return s.unreadable(s.name, err)
			}
		}
	}
	if f.Moving = rand.Text(); epoch != nil {
		f.entries[epochPlace] = epoch
	}
	text, err := f.text()
	if err != nil {
		return err
	}
	return s.putFirst(ctx, f, text, s.further, s.base)
}

// fit divides the entries into as many parts as there are, or more. What they have no room for is left to the first
// ConfigMap.
func (s *Store) fit(all entries) []entries {
	half := s.half()
	total := len(all.document())
	n := min(max(1, len(s.names), total/(s.limit/2)+1), maxFurther)
	parts, left := all.spread(n, half)
	for ; left && n < maxFurther; n++ {
		parts, left = all.spread(n+1, half)
	}
	return parts
}

func tooLarge(snapshot state.Snapshot) error {
	return fmt.Errorf("%w: it does not fit %d ConfigMaps of %d KiB; watch fewer branches, or split sentry.yaml over two namespaces. The largest repositories are %s",
		state.ErrTooLarge, maxFurther+1, maxBytes>>10, state.Largest(snapshot, 3))
}

// documents names the parts, and returns what the further ConfigMaps have to hold; nil for one that holds it already, of
// which the part keeps its name.
func (s *Store) documents(ctx context.Context, snapshot state.Snapshot, parts []entries, names []string) ([][]byte, error) {
	documents := make([][]byte, len(parts))
	for i, part := range parts {
		content := part.document()
		names[i] = partName(content)
		holds := map[string]json.RawMessage{}
		if i < len(s.names) {
			old := s.names[i]
			text, err := s.reread(ctx, s.nameOf(i), s.further[i])
			if err != nil {
				return nil, err
			}
			f, err := readFurther(text)
			if err != nil {
				return nil, s.unreadable(s.nameOf(i), err)
			}
			// A person may have edited the part, so that its name is of what it was.
			if partName(f.Parts[old]) == names[i] {
				names[i] = old
				continue
			}
			if names[i] == old {
				names[i] += "-edited"
			}
			holds[old] = f.Parts[old]
		}
		holds[names[i]] = content
		text, err := json.Marshal(further{Version: several, Epoch: snapshot.Epoch, Parts: holds})
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
