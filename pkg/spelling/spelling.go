// Package spelling finds the word that was probably meant. It is a leaf.
package spelling

import (
	"cmp"
	"slices"
	"strings"
)

// Nearest returns the one of known that key was probably meant to be, or "" when none is near.
func Nearest(key string, known []string) string {
	plain := strings.NewReplacer("_", "", "-", "")
	fold := func(s string) string { return plain.Replace(strings.ToLower(s)) }
	key = fold(key)
	best, bestDistance := "", 4
	for _, k := range known {
		folded, d := fold(k), 3
		if max(len(key), len(folded)) <= min(len(key), len(folded))+2 { // else it is farther
			d = distance(key, folded)
		}
		switch {
		case d <= 2 && d*5 <= len(k)*2: // two of five letters: "name" is not a slip of "gate"
		case len(key) >= 3 && strings.Contains(folded, key): // "user", "url"
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
