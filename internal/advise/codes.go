package advise

import (
	"cmp"
	"slices"
	"strings"

	"mailgate/internal/preflight"
)

// NamesIn returns the finding codes and the rules of predictions a text names, each
// once, in their order. A log line's way to write codes, as in dkim=missing, counts.
func NamesIn(text string) []string {
	var found []string
	for _, word := range words(text) {
		if isName(word) && !slices.Contains(found, word) {
			found = append(found, word)
		}
	}
	return found
}

func isName(word string) bool {
	_, isCode := preflight.Explain(word)
	_, isRule := preflight.ExplainRule(word)
	return isCode || isRule
}

// words are a text's words as codes and rules are spelled.
func words(text string) []string {
	text = strings.ReplaceAll(strings.ToLower(text), "rule=", " ")
	return strings.FieldsFunc(strings.ReplaceAll(text, "=", "-"), func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	})
}

// maxWord is the length of the longest word that is compared with codes, in bytes.
const maxWord = 64

// Similar returns the codes and rules a misspelt one may stand for, at most three,
// the likeliest first.
func Similar(word string) []string {
	const alike = 0.6 // up to this nobody sees a likeness
	if word = strings.Join(words(word), "-"); len(word) > maxWord {
		return nil
	}
	likeness := map[string]float64{}
	var found []string
	for _, name := range names() {
		if l := dice(word, name); l > alike {
			likeness[name] = l
			found = append(found, name)
		}
	}
	slices.SortStableFunc(found, func(a, b string) int { return cmp.Compare(likeness[b], likeness[a]) })
	return found[:min(len(found), 3)]
}

// names are all codes and rules.
func names() []string {
	var all []string
	for _, c := range preflight.Codes() {
		all = append(all, c.Code)
	}
	for _, r := range preflight.Refusals() {
		all = append(all, r.Rule)
	}
	return all
}

// dice is how alike two words are, from 0 to 1, by the pairs of letters they
// share: it forgives swapped and missing parts, which codes are made of.
func dice(a, b string) float64 {
	pairs := map[string]int{}
	for i := range len(a) - 1 {
		pairs[a[i:i+2]]++
	}
	shared := 0
	for i := range len(b) - 1 {
		if pair := b[i : i+2]; pairs[pair] > 0 {
			pairs[pair]--
			shared++
		}
	}
	return float64(2*shared) / float64(max(len(a)+len(b)-2, 1))
}
