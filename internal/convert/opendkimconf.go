package convert

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// maxNesting is how deep OpenDKIM follows Include.
const maxNesting = 5

// setting is one line of opendkim.conf.
type setting struct {
	name, value string // the name in lower case
	at          place
	written     string // the name as it is written
}

// opendkimConf holds the settings in their order; of a name given twice the last
// holds, as OpenDKIM has it.
type opendkimConf struct {
	settings []setting
}

// readOpenDKIM reads a configuration and what it includes.
func readOpenDKIM(t *tree, file string) (*opendkimConf, error) {
	c := &opendkimConf{}
	return c, c.read(t, file, place{file: file}, 0)
}

func (c *opendkimConf) read(t *tree, file string, from place, depth int) error {
	if depth > maxNesting {
		return from.fault("Include goes more than %d deep", maxNesting)
	}
	data, err := t.read(file)
	if err != nil {
		return unreadable(file, from, err)
	}
	settings, err := parseOpenDKIM(file, data)
	if err != nil {
		return err
	}
	for _, s := range settings {
		if s.name != "include" {
			c.settings = append(c.settings, s)
			continue
		}
		if err := c.read(t, path.Join("/", s.value), s.at, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// unreadable says that a file can't be read: a fault of the line that names it, where
// it isn't there.
func unreadable(file string, from place, err error) error {
	if from.line > 0 && !errors.Is(err, fs.ErrPermission) {
		return from.fault("%s can't be read: %v", file, err)
	}
	return &fs.PathError{Op: "read", Path: file, Err: err}
}

// parseOpenDKIM splits the lines of a configuration and checks values of a known
// type, as OpenDKIM does before it starts.
func parseOpenDKIM(file string, data []byte) ([]setting, error) {
	var all []setting
	for i, line := range strings.Split(string(data), "\n") {
		line, _, _ = strings.Cut(line, "#")
		line, _, _ = strings.Cut(line, "\r")
		line = strings.Trim(line, " \t")
		if line == "" {
			continue
		}
		name, value := line, ""
		if end := strings.IndexAny(line, " \t"); end >= 0 {
			name, value = line[:end], strings.Trim(line[end:], " \t")
		}
		at := place{file, i + 1}
		if value == "" {
			return nil, at.fault("%s has no value", name)
		}
		s := setting{lower(name), value, at, name}
		if err := s.check(); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (s setting) check() error {
	k, ok := opendkimSettings()[s.name]
	if !ok {
		return nil
	}
	if _, err := s.boolean(); k.kind == boolKind && err != nil {
		return s.at.fault("%s %s: want yes or no", s.written, s.value)
	}
	if _, err := strconv.ParseInt(s.value, 0, 64); k.kind == intKind && err != nil {
		return s.at.fault("%s %s: want a whole number", s.written, s.value)
	}
	return nil
}

var errNoBoolean = errors.New("want yes or no")

func (s setting) boolean() (bool, error) {
	switch s.value[0] {
	case 't', 'T', 'y', 'Y', '1':
		return true, nil
	case 'f', 'F', 'n', 'N', '0':
		return false, nil
	}
	return false, errNoBoolean
}

// get returns the setting that holds.
func (c *opendkimConf) get(name string) (setting, bool) {
	name = lower(name)
	for i := len(c.settings) - 1; i >= 0; i-- {
		if c.settings[i].name == name {
			return c.settings[i], true
		}
	}
	return setting{}, false
}

func (c *opendkimConf) text(name string) string {
	s, _ := c.get(name)
	return s.value
}

func (c *opendkimConf) is(name string) bool {
	s, ok := c.get(name)
	if !ok {
		return false
	}
	yes, _ := s.boolean()
	return yes
}
