// Package environ is what ${NAME} in the configuration may stand for. It is a leaf.
package environ

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// maxVariable is the largest file of --env-dir that is read, in bytes: more than any credential has.
const maxVariable = 64 << 10

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Variables are what ${NAME} may stand for: the files of a directory, as a mounted Secret is one, and the
// environment where there is no such file. Unlike the environment, the files may change while Sentry runs.
type Variables struct {
	Dir    string // "" = there is only the environment
	values map[string]string
}

// Read reads the directory and reports whether a variable changed. After an error all is as before.
func (v *Variables) Read() (changed bool, err error) {
	if v.Dir == "" {
		return false, nil
	}
	entries, err := os.ReadDir(v.Dir)
	if err != nil {
		return false, fmt.Errorf("read the variables of --env-dir: %w", err)
	}
	values := map[string]string{}
	for _, e := range entries {
		if !variableName.MatchString(e.Name()) { // in a mounted Secret also ..data and the like
			continue
		}
		path := filepath.Join(v.Dir, e.Name())
		switch value, err := readVariable(path); {
		case errors.Is(err, fs.ErrNotExist): // replaced just now
		case err != nil:
			return false, fmt.Errorf("read the variables of --env-dir: %w", err)
		default:
			values[e.Name()] = value
		}
	}
	changed = !maps.Equal(values, v.values)
	v.values = values
	return changed, nil
}

func readVariable(path string) (string, error) {
	// Not every file comes to an end, or to a start: a pipe would hold Sentry up.
	if info, err := os.Stat(path); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxVariable+1))
	if err == nil && len(text) > maxVariable {
		err = fmt.Errorf("%s is larger than 64 KiB", path)
	}
	return string(text), err
}

// Lookup returns a variable, and whether it is set.
func (v *Variables) Lookup(name string) (string, bool) {
	if value, ok := v.values[name]; ok {
		return value, true
	}
	return os.LookupEnv(name)
}

// Environ returns the environment with the variables of the directory, as os.Environ does.
func (v *Variables) Environ() []string {
	env := os.Environ()
	for _, name := range v.Names() {
		env = append(env, name+"="+v.values[name])
	}
	return env
}

// Names returns the names of the variables that the directory has.
func (v *Variables) Names() []string { return slices.Sorted(maps.Keys(v.values)) }
