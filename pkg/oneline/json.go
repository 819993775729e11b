package oneline

import (
	"bytes"
	"encoding/json"
)

// JSON returns v as JSON on one line. Unlike json.Marshal it writes <, > and & as they are, of which a branch's name may be
// full: six bytes would stand for each.
func JSON(v any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return "", err
	}
	return string(bytes.TrimSuffix(text.Bytes(), []byte("\n"))), nil
}
