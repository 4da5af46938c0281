package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func example(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "config.example.toml"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestExampleParses(t *testing.T) {
	c, err := Parse(example(t), "config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); len(w) > 1 { // from 2027-04-01 on, its override has expired
		t.Errorf("warnings: %q", w)
	}
}

// Each key of the file stands in the example, in its own section, commented out or
// not.
func TestExampleIsComplete(t *testing.T) {
	sections := map[string]string{}
	section := ""
	for line := range strings.Lines(string(example(t))) {
		if name, ok := strings.CutPrefix(strings.TrimPrefix(line, "# "), "["); ok {
			name, _, _ = strings.Cut(name, "]")
			section = strings.Trim(name, "[")
			continue
		}
		sections[section] += " " + strings.TrimLeft(line, "# ")
	}
	var check func(section string, typ reflect.Type)
	check = func(section string, typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			key, inner := f.Tag.Get("toml"), f.Type
			if isTables(inner) {
				inner = inner.Elem()
			}
			switch {
			case section == "" && isTable(inner):
				check(key, inner)
				continue
			case sections[section+"."+key] != "":
				check(section+"."+key, inner)
				continue
			case isTable(inner):
				check(section, inner)
			}
			if !keyIn(sections[section], key) {
				t.Errorf("[%s] lacks %s", section, key)
			}
		}
	}
	check("", reflect.TypeFor[file]())
}

func keyIn(text, key string) bool {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\n{,", r) }) {
		if word == key {
			return strings.Contains(text, key+" ")
		}
	}
	return false
}

// What the example says of a default is the default.
func TestExampleShowsDefaults(t *testing.T) {
	shown := defaults()
	if err := decode(example(t), &shown); err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Hostname, want.Egress, want.DNS.Resolvers = shown.Hostname, shown.Egress, shown.DNS.Resolvers
	want.Domain, want.TLS, want.Publisher = shown.Domain, shown.TLS, shown.Publisher
	want.Milter.Listen = shown.Milter.Listen
	if !reflect.DeepEqual(shown, want) {
		t.Errorf("example %+v\ndefaults %+v", shown, want)
	}
}
