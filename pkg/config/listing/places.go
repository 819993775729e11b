package listing

import "strings"

// places finds where groups and repositories begin in a file that is written as most are: a line for each key, or each item in braces.
type places struct {
	file                 int
	repositories, groups map[string]Place

	section string // at the top
	column  int    // of its items; 0 = not known yet
	item    Place  // the repository that is read, until its name is known
	keys    int    // the column of its keys
}

// line takes up the next line.
func (p *places) line(text string, part, line int) {
	column := len(text) - len(strings.TrimLeft(text, " "))
	rest := text[column:]
	if rest == "" || rest[0] == '#' {
		return
	}
	isItem := strings.HasPrefix(rest, "- ")
	if column == 0 && !isItem {
		name, _, _ := strings.Cut(rest, ":")
		p.section, p.column, p.item = name, -1, Place{}
		return
	}
	if p.column < 0 {
		p.column = column
	}
	switch {
	case p.section == "groups" && column == p.column:
		if name, _, ok := strings.Cut(rest, ":"); ok {
			note(p.groups, strings.Trim(name, `"' `), Place{p.file, part, line})
		}
	case p.section != "repositories":
	case isItem && column == p.column:
		key := strings.TrimLeft(rest[1:], " {")
		p.item, p.keys = Place{p.file, part, line}, len(text)-len(key)
		p.name(key)
	case column == p.keys:
		p.name(rest)
	}
}

// name takes up the name of the repository where a text begins with it.
func (p *places) name(text string) {
	name, ok := strings.CutPrefix(text, "name:")
	if !ok || p.item.Line == 0 {
		return
	}
	if end := strings.IndexAny(name, ",}#"); end >= 0 {
		name = name[:end]
	}
	note(p.repositories, strings.Trim(name, ` "'`), p.item)
	p.item = Place{}
}

// maxPlaces bounds what is found: more than the largest configuration has.
const maxPlaces = 100_000

func note(all map[string]Place, name string, at Place) {
	if len(all) < maxPlaces {
		all[name] = at
	}
}
