package convert

import (
	"errors"
	"path"
	"regexp"
	"strings"
)

// conditional expands ${if condition {yes}{no}}.
func (e *eximString) conditional() (string, error) {
	yes, err := e.condition()
	if err != nil {
		return "", err
	}
	return e.branches(yes, "true")
}

func (e *eximString) condition() (bool, error) {
	e.blanks()
	if e.depth++; e.depth > maxEximNesting {
		return false, errors.New("nested too deep")
	}
	defer func() { e.depth-- }()
	if e.pos < len(e.text) && e.text[e.pos] == '!' {
		e.pos++
		yes, err := e.condition()
		return !yes, err
	}
	name := e.name()
	if name == "def" {
		return e.defined()
	}
	switch name {
	case "and", "or":
		return e.several(name == "and")
	case "exists":
		file, err := e.arg()
		if err != nil || file == "" {
			return false, err
		}
		e.touched.path(file)
		return e.tree.exists(path.Clean("/" + file)), nil
	case "bool":
		s, err := e.arg()
		return s != "" && s != "0" && !strings.EqualFold(s, "false") && !strings.EqualFold(s, "no"), err
	case "eq", "eqi", "match", "match_domain", "inlist", "inlisti":
		return e.compare(name)
	}
	return false, &notStatic{"the condition " + name}
}

// defined is def:name.
func (e *eximString) defined() (bool, error) {
	if e.pos >= len(e.text) || e.text[e.pos] != ':' {
		return false, errors.New("def wants a colon")
	}
	e.pos++
	value, err := e.variable(e.name())
	return value != "", err
}

// several is and{{…}{…}} or or{{…}{…}}.
func (e *eximString) several(all bool) (bool, error) {
	e.blanks()
	if e.pos >= len(e.text) || e.text[e.pos] != '{' {
		return false, errors.New("an opening brace is missing")
	}
	e.pos++
	result := all
	for {
		e.blanks()
		if e.pos < len(e.text) && e.text[e.pos] == '}' {
			e.pos++
			return result, nil
		}
		if result != all { // decided: what follows isn't looked at
			if err := e.skipped(); err != nil {
				return false, err
			}
			continue
		}
		if e.pos >= len(e.text) || e.text[e.pos] != '{' {
			return false, errors.New("an opening brace is missing")
		}
		e.pos++
		yes, err := e.condition()
		if err != nil {
			return false, err
		}
		if err := e.closing(); err != nil {
			return false, err
		}
		result = yes
	}
}

func (e *eximString) compare(name string) (bool, error) {
	a, err := e.arg()
	if err != nil {
		return false, err
	}
	b, err := e.arg()
	if err != nil {
		return false, err
	}
	e.touched.words = appendNew(appendNew(e.touched.words, a), b)
	switch name {
	case "eq":
		return a == b, nil
	case "eqi":
		return strings.EqualFold(a, b), nil
	case "match":
		re, err := regexp.Compile(b)
		if err != nil {
			return false, &notStatic{"the expression " + b}
		}
		return re.MatchString(a), nil
	case "match_domain":
		return e.inDomains(a, b)
	}
	for item := range strings.SplitSeq(b, ":") {
		if item = strings.TrimSpace(item); item == a || name == "inlisti" && strings.EqualFold(item, a) {
			return true, nil
		}
	}
	return false, nil
}

// inDomains matches a domain list (spec section 10.8).
func (e *eximString) inDomains(domain, list string) (bool, error) {
	for item := range strings.SplitSeq(list, ":") {
		item = strings.TrimSpace(item)
		item, not := strings.CutPrefix(item, "!")
		yes, err := e.inDomain(lower(domain), strings.TrimSpace(item))
		if err != nil || yes {
			return yes && !not, err
		}
	}
	return false, nil
}

func (e *eximString) inDomain(domain, item string) (bool, error) {
	suffix, star := strings.CutPrefix(item, "*")
	kind, file, isLookup := strings.Cut(item, ";")
	switch {
	case item == "":
		return false, nil
	case star:
		return strings.HasSuffix(domain, lower(suffix)), nil
	case isLookup:
		_, found, err := e.find(kind, strings.TrimSpace(file), domain)
		return found, err
	case strings.ContainsAny(item[:1], "+@^"):
		return false, &notStatic{"the list " + item}
	}
	return domain == lower(item), nil
}
