package config

import (
	"fmt"
	"strings"
)

// suggest returns a hint at the known word that is nearest to a wrong one, or
// at all of them where none is near.
func suggest(word string, known []string) string {
	best, bestDistance := "", max(2, len(word)/3+1)
	// The distance takes the square of the length in time; nobody misspells
	// a key by so much.
	if len(word) <= maxName {
		for _, k := range known {
			if n := distance(strings.ToLower(word), k); n < bestDistance {
				best, bestDistance = k, n
			}
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "known: " + strings.Join(known, ", ")
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to make one word of the other (optimal string alignment).
func distance(a, b string) int {
	var before []int
	last, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := last[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(replace, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, make([]int, len(b)+1)
	}
	return last[len(b)]
}
