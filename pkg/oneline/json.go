package oneline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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

// WrongJSON returns what encoding/json says of a text in words that name no type of a program.
func WrongJSON(err error) error {
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok {
		return err
	}
	kind, _, _ := strings.Cut(wrong.Value, " ") // a number stands behind its kind
	where := "it"
	if wrong.Field != "" {
		where = wrong.Field
	}
	return fmt.Errorf("%s is a JSON %s, which does not belong there", where, kind)
}
