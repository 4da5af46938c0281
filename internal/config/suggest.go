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

// printable bounds text of the file and shows it on one line, quoted where it is
// more than a word.
func printable(s string) string {
	const most = 60
	if len(s) > most {
		s = s[:most]
	}
	if q := strconv.Quote(s); q != `"`+s+`"` || s == "" || strings.ContainsAny(s, " .[]") {
		return q
	}
	return s
}
