package config

import (
	"errors"
	"testing"
)

// What a later version will have is told with its place, in the order of the file.
func TestUnsupported(t *testing.T) {
	for in, want := range map[string]string{
		"mode = \"observe\"\n":                   "",
		"[milter]\nlisten = \"127.0.0.1:1\"\n":   "",
		"release.via = \"192.0.2.1:25\"\n":       "",
		"# x\n[web]\nlisten = \"127.0.0.1:1\"\n": "mailgate.toml:2:2: web: is not in this version; leave out the section [web]",
		"relay.listen = \"127.0.0.1:1\"\n":       "",
		"web = { listen = \"127.0.0.1:1\" }\n":   "mailgate.toml:1:7: web: is not in this version; leave out the section [web]",
		"[release]\nvia = \"relay\"\n[web]\nlisten = \"127.0.0.1:2\"\n[relay]\nlisten = \"127.0.0.1:1\"\n[socketmap]\nlisten = \"127.0.0.1:3\"\n": "mailgate.toml:3:2: web: is not in this version; leave out the section [web]",
	} {
		c, err := Parse([]byte(in), "mailgate.toml")
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		err = c.Unsupported()
		got := ""
		if err != nil {
			got = err.Error()
			if _, ok := errors.AsType[Errors](err); !ok {
				t.Errorf("%s: a %T", in, err)
			}
		}
		if got != want {
			t.Errorf("%s:\n%s\nwant\n%s", in, got, want)
		}
	}
}
