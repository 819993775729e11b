package usage

import (
	"errors"
	"os"
	"slices"
	"strings"
)

// Paths is a flag that may be given several times, a path each. What is there before the first is the default.
type Paths struct {
	Names []string
	given bool
}

// Set adds a path that is not there yet.
func (p *Paths) Set(path string) error {
	if path == "" {
		return errors.New("is empty")
	}
	if !p.given {
		p.Names, p.given = nil, true
	}
	if !slices.Contains(p.Names, path) { // for completions the command line is parsed twice
		p.Names = append(p.Names, path)
	}
	return nil
}

// SetList sets all paths of a variable, which are joined as those of PATH are.
func (p *Paths) SetList(list string) error {
	p.Names, p.given = slices.DeleteFunc(strings.Split(list, string(os.PathListSeparator)), func(path string) bool { return path == "" }), true
	if len(p.Names) == 0 {
		return errors.New("is empty")
	}
	return nil
}

// String returns the paths as SetList reads them.
func (p *Paths) String() string { return strings.Join(p.Names, string(os.PathListSeparator)) }

// Type says what the values are.
func (p *Paths) Type() string { return "string" }

// Want says what is right.
func (p *Paths) Want() string { return "the path of a file or a folder" }
