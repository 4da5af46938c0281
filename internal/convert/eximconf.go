package convert

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// Bounds of an Exim configuration.
const (
	maxEximLine   = 256 << 10 // after macros are put in, in bytes
	maxEximMacros = 2000
	maxEximDepth  = 15 // of .include
)

// eximOption is one option of a transport.
type eximOption struct {
	value string
	at    place
}

type eximTransport struct {
	name    string
	at      place
	options map[string]eximOption
}

// eximConf is what of a configuration is about signing.
type eximConf struct {
	main       map[string]eximOption // of the main section
	lists      map[string]eximOption // domainlist
	transports []*eximTransport
}

// eximReader reads configuration files line by line.
type eximReader struct {
	tree    *tree
	conf    *eximConf
	macros  [][2]string // in the order of their definition
	section string
	skip    []eximBranch // .ifdef around here
}

// eximBranch is one .ifdef.
type eximBranch struct {
	taken bool // a branch of it was taken
	now   bool // this one is
	at    place
}

func newEximReader(t *tree) *eximReader {
	return &eximReader{tree: t, conf: &eximConf{main: map[string]eximOption{}, lists: map[string]eximOption{}}}
}

// file reads one file; the state goes on from one to the next.
func (r *eximReader) file(name string, from place, depth int) error {
	if depth > maxEximDepth {
		return from.fault(".include goes more than %d deep", maxEximDepth)
	}
	data, err := r.tree.read(name)
	if err != nil {
		return unreadable(name, from, err)
	}
	return r.text(name, data, depth)
}

func (r *eximReader) text(name string, data []byte, depth int) error {
	lines := strings.Split(string(data), "\n")
	for i := 0; i < len(lines); i++ {
		at := place{name, i + 1}
		line := strings.TrimSpace(lines[i])
		if line == "" || line[0] == '#' {
			continue
		}
		// The lines of one setting; comments between them don't count.
		var whole strings.Builder
		for strings.HasSuffix(line, `\`) && i+1 < len(lines) {
			whole.WriteString(line[:len(line)-1])
			for i++; i+1 < len(lines) && strings.HasPrefix(strings.TrimSpace(lines[i]), "#"); i++ {
			}
			line = strings.TrimSpace(lines[i])
		}
		whole.WriteString(line)
		if err := r.line(whole.String(), at, depth); err != nil {
			return err
		}
	}
	return nil
}

// finish checks what must be closed at the end.
func (r *eximReader) finish() error {
	if n := len(r.skip); n > 0 {
		return r.skip[n-1].at.fault(".ifdef without .endif")
	}
	return nil
}

func (r *eximReader) line(line string, at place, depth int) error {
	if directive, ok := strings.CutPrefix(line, "."); ok {
		return r.directive(directive, at, depth)
	}
	if slices.ContainsFunc(r.skip, func(b eximBranch) bool { return !b.now }) {
		return nil
	}
	name, rest := cutSpace(strings.Replace(line, "=", " = ", 1))
	if isMacro(name) && strings.HasPrefix(rest, "=") {
		return r.macro(name, rest, at)
	}
	line, _, err := r.expand(line, at)
	if err != nil {
		return err
	}
	return r.setting(line, at)
}

func isMacro(name string) bool {
	return name != "" && 'A' <= name[0] && name[0] <= 'Z' && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// macro defines one; "==" gives one that is there another value.
func (r *eximReader) macro(name, rest string, at place) error {
	value, _, err := r.expand(strings.TrimSpace(strings.TrimLeft(rest, "= ")), at)
	if err != nil {
		return err
	}
	for i := range r.macros {
		if r.macros[i][0] == name {
			r.macros[i][1] = value
			return nil
		}
	}
	if len(r.macros) == maxEximMacros {
		return at.fault("more than %d macros", maxEximMacros)
	}
	r.macros = append(r.macros, [2]string{name, value})
	return nil
}

// expand puts macros in, in the order of their definition, and counts them.
func (r *eximReader) expand(line string, at place) (string, int, error) {
	found := 0
	for _, m := range r.macros {
		n := strings.Count(line, m[0])
		if n == 0 {
			continue
		}
		if found += n; len(line)+n*len(m[1]) > maxEximLine {
			return "", 0, at.fault("macros make the line longer than %d bytes", maxEximLine)
		}
		line = strings.ReplaceAll(line, m[0], m[1])
	}
	return line, found, nil
}

func (r *eximReader) directive(line string, at place, depth int) error {
	word, rest := cutSpace(line)
	off := slices.ContainsFunc(r.skip, func(b eximBranch) bool { return !b.now })
	last := len(r.skip) - 1
	_, found, err := r.expand(rest, at)
	if err != nil {
		return err
	}
	switch word {
	case "ifdef", "ifndef":
		yes := (found > 0) == (word == "ifdef")
		if len(r.skip) >= 100 {
			return at.fault(".ifdef more than 100 deep")
		}
		r.skip = append(r.skip, eximBranch{yes, yes, at})
		return nil
	case "else", "elifdef", "elifndef", "endif":
		if last < 0 {
			return at.fault(".%s without .ifdef", word)
		}
	}
	switch b := r.skip; word {
	case "else":
		b[last].now = !b[last].taken
	case "elifdef", "elifndef":
		b[last].now = !b[last].taken && (found > 0) == (word == "elifdef")
		b[last].taken = b[last].taken || b[last].now
	case "endif":
		r.skip = r.skip[:last]
	case "include", "include_if_exists":
		if !off {
			return r.include(word, rest, at, depth)
		}
	}
	return nil
}

func (r *eximReader) include(word, rest string, at place, depth int) error {
	name, _, err := r.expand(strings.Trim(rest, `"`), at)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(name, "/") {
		name = at.file[:strings.LastIndexByte(at.file, '/')+1] + name
	}
	if word == "include_if_exists" {
		if _, err := r.tree.stat(name); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	return r.file(name, at, depth+1)
}

// setting reads a line of the main section or of a transport.
func (r *eximReader) setting(line string, at place) error {
	if name, ok := strings.CutPrefix(line, "begin "); ok {
		r.section = strings.TrimSpace(name)
		return nil
	}
	if r.section != "" && r.section != "transports" {
		return nil
	}
	if name, ok := strings.CutSuffix(line, ":"); ok && r.section != "" && !strings.ContainsAny(name, " =") {
		r.conf.transports = append(r.conf.transports, &eximTransport{name, at, map[string]eximOption{}})
		return nil
	}
	line = strings.TrimPrefix(line, "hide ")
	name, value, ok := strings.Cut(line, "=")
	if !ok {
		return nil // a switch
	}
	name, value = strings.TrimSpace(name), unquoteExim(strings.TrimSpace(value))
	list, isList := strings.CutPrefix(name, "domainlist ")
	switch {
	case r.section == "" && isList:
		r.conf.lists[strings.TrimSpace(list)] = eximOption{value, at}
	case r.section == "":
		r.conf.main[name] = eximOption{value, at}
	case len(r.conf.transports) == 0:
		return at.fault("%s: an option outside of a transport", name)
	default:
		r.conf.transports[len(r.conf.transports)-1].options[name] = eximOption{value, at}
	}
	return nil
}

// unquoteExim takes the quotes off a value, and what a backslash hides in it.
func unquoteExim(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	for s = s[1 : len(s)-1]; s != ""; s = s[1:] {
		if s[0] == '\\' && len(s) > 1 {
			s = s[1:]
			if i := strings.IndexByte("nrt", s[0]); i >= 0 {
				b.WriteByte("\n\r\t"[i])
				continue
			}
		}
		b.WriteByte(s[0])
	}
	return b.String()
}
