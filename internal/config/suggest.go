package config

import (
	"reflect"
	"strconv"
	"strings"
)

// keysOf lists the keys of a table in the order of file.
func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		keys = append(keys, t.Field(i).Tag.Get("toml"))
	}
	return keys
}

// suggest says what could have been meant by a key that is not known.
func suggest(name string, known []string) string {
	best, least := "", 3 // more than two slips is another word
	for _, k := range known {
		if d := distance(strings.ToLower(name), k); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "known here: " + strings.Join(known, ", ")
}

// distance is the number of letters to change, add or leave out between a and b
// (Levenshtein).
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0]++
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// printable shows a key on one line, quoted where TOML wants it quoted.
func printable(key string) string {
	bare := key != "" && len(key) <= maxShown
	for _, r := range key {
		bare = bare && ('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-')
	}
	if bare {
		return key
	}
	return shown(key)
}

// maxShown bounds what is shown of outside text, in bytes.
const maxShown = 60

// shown quotes a value for one line of an error.
func shown(s string) string {
	if len(s) > maxShown {
		return strconv.Quote(s[:maxShown]) + "…"
	}
	return strconv.Quote(s)
}
