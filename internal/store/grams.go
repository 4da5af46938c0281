package store

import (
	"slices"
	"strings"
)

// The index of words has no words: a part of an address or of a subject begins and
// ends anywhere. It has grams, every three letters in a row. What contains a part
// has all grams of the part. The reverse isn't so, and different letters may have
// one name, so what the index finds is looked at once more. A gram is spelled in
// letters and digits only, whatever it stands for, which is what the index's
// tokenizer takes as one word and what needs no quoting in a query.

// field is where in a message a gram was found.
type field byte

const (
	inSubject  field = 's'
	inFrom     field = 'f'
	inMailFrom field = 'm' // if it isn't From
	inTo       field = 't'
	inCause    field = 'c' // one gram for the whole number
)

// gramSet collects the grams of a message.
type gramSet struct {
	text []byte
	seen map[[1 + 2*gramLetters]byte]bool
}

const (
	gramLetters = 3

	// mostGrams is how many grams of a part are asked for. More would cost more
	// than they rule out.
	mostGrams = 16
)

// add adds the grams of a folded text, and those of two and of one letter that end
// it, so that every letter begins one.
func (g *gramSet) add(in field, text string) {
	letters := append([]rune(text), 0, 0)
	for i := range len(letters) - 2 {
		g.put(in, letters[i:i+gramLetters])
	}
}

// addNumber adds a number that is only asked for as a whole.
func (g *gramSet) addNumber(in field, n int64) { g.put(in, digits(n)) }

func (g *gramSet) put(in field, letters []rune) {
	var gram [1 + 2*gramLetters]byte
	spell(gram[:0], in, letters)
	if g.seen[gram] {
		return
	}
	if g.seen == nil {
		g.seen = map[[1 + 2*gramLetters]byte]bool{}
	}
	g.seen[gram] = true
	g.text = append(append(g.text, gram[:]...), ' ')
}

// digits makes three letters of a number.
func digits(n int64) []rune { return []rune{rune(n >> 14 & 127), rune(n >> 7 & 127), rune(n & 127)} }

// spell appends the gram's name: two symbols for every letter.
func spell(name []byte, in field, letters []rune) []byte {
	const symbols = "abcdefghijklmnopqrstuvwxyz234567"
	name = append(name, byte(in))
	for _, r := range letters {
		n := uint32(r)
		if n >= 128 {
			n = 128 + n*2654435761>>8%896
		}
		name = append(name, symbols[n>>5], symbols[n&31])
	}
	return name
}

// having is the query for what contains a folded, non-empty part in one of the
// fields.
func having(part string, in ...field) string {
	var any []string
	for _, in := range in {
		any = append(any, allOf(part, in))
	}
	return "(" + strings.Join(any, " OR ") + ")"
}

// numbered is the query for one of several numbers.
func numbered(in field, numbers []int64) string {
	var any []string
	for _, n := range numbers {
		any = append(any, string(spell(nil, in, digits(n))))
	}
	return "(" + strings.Join(any, " OR ") + ")"
}

func allOf(part string, in field) string {
	letters := []rune(part)
	if len(letters) < gramLetters {
		return string(spell(nil, in, letters)) + "*"
	}
	var grams []string
	last := len(letters) - gramLetters
	for k := range min(last+1, mostGrams) {
		i := k
		if last >= mostGrams {
			i = k * last / (mostGrams - 1)
		}
		grams = append(grams, string(spell(nil, in, letters[i:i+gramLetters])))
	}
	slices.Sort(grams)
	return "(" + strings.Join(slices.Compact(grams), " AND ") + ")"
}
