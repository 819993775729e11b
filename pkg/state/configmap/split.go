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
	parts, packed := s.fit(all)
	f := first{Parts: make([]string, len(parts)), packed: packed}
	contents, size, err := s.contents(ctx, snapshot, parts, f)
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
	for i, c := range contents {
		if c.empty() {
			continue
		}
		if further[i], err = s.put(ctx, s.nameOf(i), further[i], c); err != nil {
			return err
		}
	}
	return s.putFirst(ctx, f, text, further[:len(parts)], sums, size)
}

// move writes a word into the first ConfigMap, which else stays as it is.
func (s *Store) move(ctx context.Context, epoch []byte) error {
	f := first{entries: make(entries)}
	if s.loaded != nil {
		cm, err := s.reread(ctx, s.name, s.loaded)
		if err != nil {
			return err
		}
		if text := cm.Data[key]; text != "" {
			if f, err = readFirst([]byte(text)); err != nil {
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
	return s.putFirst(ctx, f, text, s.further, s.base, s.packed)
}

// fit divides the entries into as many parts as there are, or more, and says whether these have to be compressed. What they have no
// room for is left to the first ConfigMap. A state whose parts are compressed has to shrink by a quarter to be plain again: one that is
// about as large as the plain parts hold would change from one to the other.
func (s *Store) fit(all entries) (parts []entries, packed bool) {
	half := s.half()
	total := len(all.document())
	if s.packed == 0 || total < maxFurther*half*3/4 {
		n := min(max(1, len(s.names), total/(s.limit/2)+1), maxFurther)
		parts, left := all.spread(n, half)
		for ; left && n < maxFurther; n++ {
			parts, left = all.spread(n+1, half)
		}
		if !left {
			return parts, false
		}
	}
	// An eighth more than an equal share each, as a hash of their names divides them.
	parts, _ = all.spread(maxFurther, max(half, min(total/maxFurther*9/8, maxPart)))
	return parts, true
}

func tooLarge(snapshot state.Snapshot) error {
	return fmt.Errorf("%w: it does not fit %d ConfigMaps of %d KiB, compressed; watch fewer branches, or split sentry.yaml over two namespaces. The largest repositories are %s",
		state.ErrTooLarge, maxFurther+1, maxBytes>>10, state.Largest(snapshot, 3))
}

// contents names the parts of f, and returns what the further ConfigMaps have to hold: an empty one where a ConfigMap holds it already,
// of which the part keeps its name. size is what the parts take compressed, 0 where they are plain.
func (s *Store) contents(ctx context.Context, snapshot state.Snapshot, parts []entries, f first) (contents []content, size int, err error) {
	contents = make([]content, len(parts))
	for i, part := range parts {
		text := part.document()
		name := partName(text)
		var old document
		if i < len(s.names) {
			if old, err = s.old(ctx, i); err != nil {
				return nil, 0, err
			}
			// A person may have edited the part, so that its name is of what it was.
			same := partName(old.Parts[s.names[i]]) == name
			if same && f.packed == (old.packed != nil) {
				f.Parts[i] = s.names[i]
				size += len(old.packed)
				continue
			}
			if !same && name == s.names[i] {
				name += "-edited"
			}
		}
		f.Parts[i] = name
		next := document{further: further{Version: several, Epoch: snapshot.Epoch, Parts: map[string]json.RawMessage{name: text}}}
		if f.packed {
			if err = next.pack(); err != nil {
				return nil, 0, err
			}
			if len(next.packed) > s.half() {
				return nil, 0, tooLarge(snapshot)
			}
			size += len(next.packed)
		}
		if contents[i], err = join(old, next); err != nil {
			return nil, 0, err
		}
		if contents[i].size() > s.limit {
			return nil, 0, tooLarge(snapshot)
		}
	}
	return contents, size, nil
}

// old returns the document that has the part which counts, and nothing else.
func (s *Store) old(ctx context.Context, i int) (document, error) {
	cm, err := s.reread(ctx, s.nameOf(i), s.further[i])
	if err != nil {
		return document{}, err
	}
	documents, err := held(cm)
	if err != nil {
		return document{}, s.unreadable(s.nameOf(i), err)
	}
	for _, d := range documents {
		if text, ok := d.Parts[s.names[i]]; ok {
			d.Parts = map[string]json.RawMessage{s.names[i]: text}
			return d, nil
		}
	}
	return document{}, fmt.Errorf("read ConfigMap %s/%s: %w", s.namespace, s.nameOf(i), state.ErrConflict) // unreachable: it is as it was read
}
