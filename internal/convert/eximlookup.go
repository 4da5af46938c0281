package convert

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// lookup expands ${lookup{key}type{file}{yes}{no}}.
func (e *eximString) lookup() (string, error) {
	e.blanks()
	if e.pos >= len(e.text) || e.text[e.pos] != '{' {
		return "", &notStatic{"${lookup " + e.name() + "…}"} // dnsdb, mysql and others
	}
	key, err := e.arg()
	if err != nil {
		return "", err
	}
	e.blanks()
	begin := e.pos
	for e.pos < len(e.text) && strings.IndexByte(" \t\n{", e.text[e.pos]) < 0 {
		e.pos++
	}
	kind := e.text[begin:e.pos]
	file, err := e.arg()
	if err != nil {
		return "", err
	}
	value, found, err := e.find(kind, file, key)
	if err != nil {
		return "", err
	}
	before, had := e.vars["value"]
	e.vars["value"] = value
	s, err := e.branches(found, value)
	if had {
		e.vars["value"] = before
	} else {
		delete(e.vars, "value")
	}
	return s, err
}

// find looks a key up.
func (e *eximString) find(kind, file, key string) (string, bool, error) {
	kind, _, _ = strings.Cut(kind, ",")
	kind, partial := cutPartial(kind)
	file = path.Clean("/" + strings.TrimSpace(file))
	switch kind {
	case "dsearch":
		e.touched.dirs = appendNew(e.touched.dirs, file)
		if key == "" || strings.Contains(key, "/") || key == "." || key == ".." {
			return "", false, nil
		}
		return key, e.tree.exists(file + "/" + key), nil
	case "lsearch", "lsearch*", "lsearch*@", "wildlsearch", "nwildlsearch":
	default:
		return "", false, &notStatic{"a lookup of type " + kind}
	}
	e.touched.files = appendNew(e.touched.files, file)
	data, err := e.tree.read(file)
	if err != nil {
		return "", false, fmt.Errorf("%s can't be read: %w", file, err)
	}
	table := parseLsearch(file, data)
	if strings.Contains(kind, "wild") {
		return wild(table, key)
	}
	if v, ok := table.get(key); ok {
		return v.value, true, nil
	}
	if i := strings.LastIndexByte(key, '@'); kind == "lsearch*@" && i >= 0 {
		if v, ok := table.get("*" + key[i:]); ok {
			return v.value, true, nil
		}
	}
	if v, ok := table.get("*"); ok && strings.HasPrefix(kind, "lsearch*") {
		return v.value, true, nil
	}
	for rest := key; partial >= 0 && rest != ""; {
		if v, ok := table.get("*." + rest); ok {
			return v.value, true, nil
		}
		if _, rest, _ = strings.Cut(rest, "."); strings.Count(rest, ".")+1 < partial {
			break
		}
	}
	return "", false, nil
}

// cutPartial takes "partial-" or "partial3-" off a lookup's type: how many labels of
// the key must be left; -1 without.
func cutPartial(kind string) (string, int) {
	rest, ok := strings.CutPrefix(kind, "partial")
	if !ok {
		return kind, -1
	}
	digits, rest, _ := strings.Cut(rest, "-")
	n, err := strconv.Atoi(digits)
	switch {
	case digits == "":
		return rest, 2
	case err != nil || n > 100:
		return kind, -1 // with an affix of its own: not known
	}
	return rest, n
}

// parseLsearch reads "key: value" or "key value"; a line that begins with white space
// goes on with the one before it.
func parseLsearch(file string, data []byte) *dataset {
	d := &dataset{}
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimRight(line, " \t\r")
		if line == "" || line[0] == '#' {
			continue
		}
		if last := len(d.entries) - 1; last >= 0 && (line[0] == ' ' || line[0] == '\t') {
			d.entries[last].value += " " + strings.TrimSpace(line)
			continue
		}
		key, rest := line, ""
		if quoted, ok := strings.CutPrefix(line, `"`); ok {
			key, rest, _ = strings.Cut(quoted, `"`)
		} else if end := strings.IndexAny(line, ": \t"); end >= 0 {
			key, rest = line[:end], line[end:]
		}
		rest = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(rest), ":"))
		d.entries = append(d.entries, entry{key, rest, place{file, i + 1}})
	}
	return d
}

// wild looks a key up in a table of patterns: *suffix, ^expression or the key itself.
func wild(d *dataset, key string) (string, bool, error) {
	key = lower(key)
	for _, e := range d.entries {
		suffix, star := strings.CutPrefix(e.key, "*")
		switch {
		case strings.HasPrefix(e.key, "^"):
			re, err := regexp.Compile("(?i)" + e.key)
			if err != nil {
				return "", false, errors.Join(&notStatic{"the expression " + e.key}, err)
			}
			if re.MatchString(key) {
				return e.value, true, nil
			}
		case star && strings.HasSuffix(key, lower(suffix)), lower(e.key) == key:
			return e.value, true, nil
		}
	}
	return "", false, nil
}
