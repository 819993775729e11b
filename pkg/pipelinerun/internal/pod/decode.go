package pod

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/tekton-sentry/sentry/pkg/spelling"
)

// Decode reads a tree of texts into what into points to, a value of Kubernetes' types; at is what errors call it.
func Decode(tree, into any, at string) error {
	return errors.Join(decode(tree, reflect.ValueOf(into).Elem(), field.NewPath(at))...)
}

// decode reads a tree of texts into a value of Kubernetes' types. It goes on after an error.
func decode(tree any, v reflect.Value, at *field.Path) []error {
	if own, ok := v.Addr().Interface().(json.Unmarshaler); ok {
		text, isText := tree.(string)
		quoted, err := json.Marshal(text)
		if err == nil {
			err = own.UnmarshalJSON(quoted)
		}
		if !isText || err != nil {
			return wrong(at, tree, "a value such as 500m, 1 or 2Gi")
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return decode(tree, v.Elem(), at)
	case reflect.Struct:
		return decodeStruct(tree, v, at)
	case reflect.Map:
		section, ok := tree.(map[string]any)
		if !ok {
			return wrong(at, tree, "a section")
		}
		var errs []error
		v.Set(reflect.MakeMapWithSize(v.Type(), len(section)))
		for _, key := range slices.Sorted(maps.Keys(section)) {
			value := reflect.New(v.Type().Elem()).Elem()
			errs = append(errs, decode(section[key], value, at.Key(key))...)
			v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), value)
		}
		return errs
	case reflect.Slice:
		list, ok := tree.([]any)
		if !ok {
			return wrong(at, tree, "a list")
		}
		var errs []error
		v.Set(reflect.MakeSlice(v.Type(), len(list), len(list)))
		for i, item := range list {
			errs = append(errs, decode(item, v.Index(i), at.Index(i))...)
		}
		return errs
	default:
		return decodeScalar(tree, v, at)
	}
}

func decodeStruct(tree any, v reflect.Value, at *field.Path) []error {
	section, ok := tree.(map[string]any)
	if !ok {
		return wrong(at, tree, "a section")
	}
	fields := fieldsOf(v)
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(section)) {
		if f, known := fields[key]; known {
			errs = append(errs, decode(section[key], f, at.Child(key))...)
			continue
		}
		known := slices.Sorted(maps.Keys(fields))
		want := "want " + strings.Join(known, ", ")
		if near := spelling.Nearest(key, known); near != "" {
			want = "did you mean " + near + "?"
		}
		errs = append(errs, fmt.Errorf("%s: is not a known key; %s", at.Child(fmt.Sprintf("%.60q", key)), want))
	}
	return errs
}

// fieldsOf returns the fields of a struct by their names in JSON, with those of the structs that are inlined.
func fieldsOf(v reflect.Value) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" && f.Anonymous {
			maps.Copy(fields, fieldsOf(v.Field(i)))
		} else {
			fields[name] = v.Field(i)
		}
	}
	return fields
}

func decodeScalar(tree any, v reflect.Value, at *field.Path) []error {
	text, ok := tree.(string)
	if !ok {
		return wrong(at, tree, "a single value")
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return wrong(at, tree, "true or false")
		}
		v.SetBool(text == "true")
	default: // the only other kinds in these types are those of integers
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return wrong(at, tree, "a whole number")
		}
		v.SetInt(i)
	}
	return nil
}

// wrong says what a value is not. It never repeats it, since it may come from a variable.
func wrong(at *field.Path, tree any, want string) []error {
	is := "another text"
	switch tree.(type) {
	case []any:
		is = "a list"
	case map[string]any:
		is = "a section"
	}
	return []error{fmt.Errorf("%s: is %s; want %s", at, is, want)}
}
