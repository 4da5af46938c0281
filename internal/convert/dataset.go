package convert

import (
	"path"
	"strings"
)

// dataset is what opendkim(8) calls so: a list, or keys with values.
type dataset struct {
	patterns bool // keys are patterns (refile)
	entries  []entry

	literal map[string][]int // of patterns: those whose domain has no star, by it
	open    []int            // the others
}

type entry struct {
	key, value string
	at         place
}

// unsupported is a dataset that isn't in a file.
type unsupported struct{ kind, do string }

func (u *unsupported) Error() string {
	return "a dataset of kind " + u.kind + " can't be read here"
}

// foreignSets are the kinds of dataset that need a program or a server.
var foreignSets = []unsupported{
	{"db:", "write its entries to a file: db_dump -p shows them; then name that with file:"},
	{"dsn:", "write the table to a file (one line each: name, space, values joined by colons), and name that with file:"},
	{"ldap:", "write the entries to a file with ldapsearch, and name that with file:"},
	{"ldaps:", "write the entries to a file with ldapsearch, and name that with file:"},
	{"ldapi:", "write the entries to a file with ldapsearch, and name that with file:"},
	{"lua:", "read the script, and write what it answers to a file"},
	{"memcache:", "write the entries to a file, and name that with file:"},
	{"mdb:", "write the entries to a file with mdb_dump, and name that with file:"},
	{"erlang:", "write what the function answers to a file"},
	{"socket:", "write what the server answers to a file"},
	{"odbx:", "write the table to a file, and name that with file:"},
}

// dataset reads what a setting names. Relative names are relative to base.
func (t *tree) dataset(s setting, base string) (*dataset, error) {
	value := s.value
	for _, f := range foreignSets {
		if strings.HasPrefix(lower(value), f.kind) {
			return nil, &f
		}
	}
	switch {
	case strings.HasPrefix(value, "refile:"):
		return t.flat(s, base, value[len("refile:"):], true)
	case strings.HasPrefix(value, "file:"):
		return t.flat(s, base, value[len("file:"):], false)
	case strings.HasPrefix(value, "csl:"):
		return commaList(value[len("csl:"):], s.at), nil
	case strings.HasSuffix(value, ".db"):
		return nil, &foreignSets[0]
	case strings.HasPrefix(value, "/"):
		return t.flat(s, base, value, false)
	}
	return commaList(value, s.at), nil
}

func commaList(text string, at place) *dataset {
	d := &dataset{}
	for item := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(item, "=")
		if key = strings.TrimSpace(key); key != "" {
			d.entries = append(d.entries, entry{key, strings.TrimSpace(value), at})
		}
	}
	return d
}

func (t *tree) flat(s setting, base, file string, patterns bool) (*dataset, error) {
	if !path.IsAbs(file) {
		file = path.Join("/", base, file)
	}
	data, err := t.read(file)
	if err != nil {
		return nil, unreadable(file, s.at, err)
	}
	return parseFlat(file, data, patterns), nil
}

// parseFlat reads one entry a line: a key, and after white space its value.
func parseFlat(file string, data []byte, patterns bool) *dataset {
	d := &dataset{patterns: patterns}
	for i, line := range strings.Split(string(data), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key, value := line, ""
		if end := strings.IndexAny(line, " \t"); end >= 0 {
			key, value = line[:end], strings.TrimSpace(line[end:])
		}
		d.entries = append(d.entries, entry{key, value, place{file, i + 1}})
	}
	if patterns {
		d.index()
	}
	return d
}

// index keeps a large set of patterns from being tried one by one.
func (d *dataset) index() {
	d.literal = map[string][]int{}
	for i, e := range d.entries {
		at := strings.LastIndexByte(e.key, '@')
		if domain := lower(e.key[at+1:]); at >= 0 && !strings.Contains(domain, "*") {
			d.literal[domain] = append(d.literal[domain], i)
		} else {
			d.open = append(d.open, i)
		}
	}
}

// matching calls yield for each entry whose pattern fits text, in their order, until
// it returns false.
func (d *dataset) matching(text string, yield func(entry) bool) {
	text = lower(text)
	literal, open := d.literal[text[strings.LastIndexByte(text, '@')+1:]], d.open
	for len(literal)+len(open) > 0 {
		var i int
		if len(open) == 0 || len(literal) > 0 && literal[0] < open[0] {
			i, literal = literal[0], literal[1:]
		} else {
			i, open = open[0], open[1:]
		}
		if e := d.entries[i]; fits(lower(e.key), text) && !yield(e) {
			return
		}
	}
}

// get finds the first entry of that key.
func (d *dataset) get(key string) (entry, bool) {
	if d == nil {
		return entry{}, false
	}
	if d.patterns {
		var found entry
		ok := false
		d.matching(key, func(e entry) bool { found, ok = e, true; return false })
		return found, ok
	}
	if d.literal == nil {
		d.literal = map[string][]int{}
		for i, e := range d.entries {
			d.literal[lower(e.key)] = append(d.literal[lower(e.key)], i)
		}
	}
	if found := d.literal[lower(key)]; len(found) > 0 {
		return d.entries[found[0]], true
	}
	return entry{}, false
}

func (d *dataset) has(key string) bool {
	_, ok := d.get(key)
	return ok
}

// fits matches a pattern in which a star stands for any text.
func fits(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return true
}
