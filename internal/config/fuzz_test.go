package config

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	f.Add(example(f))
	for _, s := range []string{
		"", minimal, everything, sound, key, "[domain]", "[[relay]]", "a.b.c = 1", "milter = {listen = \"x\"}", "[[domain]]\nkeys = [[]]",
		"[[domain.keys]]\nfile = \"x\"", "[[domain]]\n[domain.keys]\n", "domain = [{name = \"x\"}]\n[[domain]]\n", "\"\" = 1", "mode = \"\"\"\n\"\"\"",
		"[\"a.b\"]\nc = 1", "tls = [ { destination = \"a\" }, 1 ]", "mode.mode.mode = []", "[dns.panel]",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data, "dir/c.toml")
		if err != nil {
			var all Errors
			if c != nil || !errors.As(err, &all) || len(all) == 0 {
				t.Fatalf("got %v, %#v", c, err)
			}
			for _, e := range all {
				if e.Line < 1 || e.Column < 1 || e.Line > strings.Count(string(data), "\n")+1 || e.Problem == "" {
					t.Fatalf("fault without a place: %+v", e)
				}
			}
			return
		}
		if c.Hostname == "" || c.Mode == "" || c.Store.Driver == "" || !filepath.IsAbs(c.Store.Path) || !filepath.IsAbs(c.Control.Socket) {
			t.Fatalf("values missing: %+v", c)
		}
		for _, d := range c.Domains {
			if d.Name == "" || len(d.Keys) == 0 || !filepath.IsAbs(d.Keys[0].File) || d.Keys[0].Selector == "" {
				t.Fatalf("domain %+v", d)
			}
		}
		c.Warnings()
	})
}
