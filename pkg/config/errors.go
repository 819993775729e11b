package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Error is one thing that is wrong in a file.
type Error struct {
	File    string // as given to Load; "" for Parse
	Line    int    // counted from 1
	Key     string // such as repositories[0].deploy.commands; "" for the file as a whole
	Message string // one line: what is wrong; what would be right. It holds no secret
}

// Error returns file:line: key: message.
func (e Error) Error() string {
	place := fmt.Sprintf("%s:%d: ", e.File, e.Line)
	if e.File == "" {
		place = fmt.Sprintf("line %d: ", e.Line)
	}
	if e.Key != "" {
		place += e.Key + ": "
	}
	return place + e.Message
}

// Errors is all that is wrong in a file, sorted by line.
type Errors []Error

// Error returns the errors, one a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Warning is something in a valid file that is hardly meant so.
type Warning Error

// String returns file:line: key: message.
func (w Warning) String() string { return Error(w).Error() }

func compareErrors(a, b Error) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Message, b.Message))
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// joinKey returns the path of key in the section at path. A key that is not a plain word is quoted, so
// that a message stays one short line.
func joinKey(path, key string) string {
	if !plainKey.MatchString(key) {
		key = fmt.Sprintf("%.40q", key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// Nearest returns the one of known that key was probably meant to be, or "" when none is near.
func Nearest(key string, known []string) string {
	plain := strings.NewReplacer("_", "", "-", "")
	fold := func(s string) string { return plain.Replace(strings.ToLower(s)) }
	key = fold(key)
	best, bestDistance := "", 4
	for _, k := range known {
		d := distance(key, fold(k))
		switch {
		case d <= 2 && d*5 <= len(k)*2: // two of five letters: "name" is not a slip of "gate"
		case len(key) >= 3 && strings.Contains(fold(k), key): // "user", "url"
			d = 3
		default:
			continue
		}
		if d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// Nearby returns those of known that are like key in half of their letters: at most three, the nearest first.
func Nearby(key string, known []string) []string {
	key = key[:min(len(key), 80)]
	var near []string
	far := make(map[string]int)
	for _, k := range known {
		if far[k] = distance(key, k); 2*far[k] <= max(len(key), len(k)) {
			near = append(near, k)
		}
	}
	slices.SortStableFunc(near, func(a, b string) int { return cmp.Compare(far[a], far[b]) })
	return near[:min(len(near), 3)]
}

// distance is the number of bytes to insert, delete or replace to make b of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// oneOf joins words for a message: "a, b or c".
func oneOf(words []string) string {
	words = slices.Clone(words)
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
