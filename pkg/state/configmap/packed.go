package configmap

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"

	corev1 "k8s.io/api/core/v1"

	"github.com/tekton-sentry/sentry/pkg/state"
)

// packedKey is where a further ConfigMap has documents that are compressed: one after the other, as gunzip takes them. Each holds
// one part, so that one which is there already is kept without being compressed again.
const packedKey = "state.json.gz"

// maxPart bounds a part that is to be compressed, in bytes of its text: a share of the largest state and an eighth.
const maxPart = state.MaxSize / maxFurther * 9 / 8

// maxUnpacked bounds what is read from the compressed documents of one ConfigMap, in bytes of their text: an old and a new part. A
// megabyte may stand for a gigabyte.
const maxUnpacked = 2*maxPart + 8<<10

// document is a further document.
type document struct {
	further
	packed []byte // as it lies in the ConfigMap; nil for one that is plain
}

// pack compresses the document.
func (d *document) pack() error {
	d.Version = packedParts
	text, err := json.Marshal(d.further)
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err = w.Write(text)
	err = errors.Join(err, w.Close())
	d.packed = packed.Bytes()
	return err
}

// held returns the documents of a further ConfigMap. It has some of both kinds while its parts change from one to the other.
func held(cm *corev1.ConfigMap) ([]document, error) {
	var all []document
	if packed, ok := cm.BinaryData[packedKey]; ok {
		documents, err := unpack(packed)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be used: %w", packedKey, err)
		}
		all = documents
	}
	text, ok := cm.Data[key]
	if !ok && len(all) > 0 {
		return all, nil
	}
	f, err := readFurther([]byte(text))
	if err != nil {
		return nil, err
	}
	return append(all, document{further: f}), nil
}

// unpack reads compressed documents.
func unpack(packed []byte) ([]document, error) {
	var all []document
	in := bytes.NewReader(packed) // of which no more is read than belongs to a document
	left := maxUnpacked
	var r gzip.Reader
	for in.Len() > 0 {
		start := len(packed) - in.Len()
		if err := r.Reset(in); err != nil {
			return nil, err
		}
		r.Multistream(false)
		text, err := io.ReadAll(io.LimitReader(&r, int64(left)+1))
		if err != nil {
			return nil, err
		}
		if left -= len(text); left < 0 {
			return nil, fmt.Errorf("it has more than %d bytes of text", maxUnpacked)
		}
		f, err := readFurther(text)
		if err != nil {
			return nil, err
		}
		all = append(all, document{f, packed[start : len(packed)-in.Len()]})
	}
	return all, nil
}

// content is what a ConfigMap is to hold; nil for what it is not to have.
type content struct{ plain, packed []byte }

func (c content) empty() bool { return c.plain == nil && c.packed == nil }
func (c content) size() int   { return len(c.plain) + len(c.packed) }

// into is an edit of kube.Cluster.EditConfigMap.
func (c content) into(cm *corev1.ConfigMap) {
	if cm.Data[key] = string(c.plain); c.plain == nil {
		delete(cm.Data, key)
	}
	if cm.BinaryData[packedKey] = c.packed; c.packed == nil {
		delete(cm.BinaryData, packedKey)
	}
}

// join returns the content that has both parts. The plain ones are one document.
func join(old, next document) (c content, err error) {
	var plain *further
	for _, d := range []document{old, next} {
		switch {
		case d.packed != nil:
			c.packed = append(c.packed, d.packed...)
		case d.Parts == nil: // there is no old part
		case plain == nil:
			plain = &d.further
		default:
			maps.Copy(d.Parts, plain.Parts)
			plain = &d.further
		}
	}
	if plain != nil {
		c.plain, err = json.Marshal(plain)
	}
	return c, err
}
