package convert

import (
	"crypto"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"mailgate/internal/mail"
	"mailgate/internal/sign"
)

var update = flag.Bool("update", false, "write what comes out into the cases")

var testKey = sync.OnceValue(func() crypto.Signer {
	key, err := sign.Generate("ed25519")
	if err != nil {
		panic(err)
	}
	return key
})

// plant writes the files of a case below a new root. A file that holds only KEY
// becomes a key, UNSAFE one that others can read; one of LINK is a symbolic link.
func plant(t *testing.T, files []txtar.File) string {
	t.Helper()
	root := t.TempDir()
	for _, f := range files {
		at := filepath.Join(root, f.Name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		text := strings.TrimSpace(string(f.Data))
		target, isLink := strings.CutPrefix(text, "LINK ")
		var err error
		switch {
		case text == "KEY" || text == "UNSAFE":
			if err = sign.WriteKey(at, testKey()); err == nil && text == "UNSAFE" {
				err = os.Chmod(at, 0o644)
			}
		case isLink:
			err = os.Symlink(target, at)
		default:
			err = os.WriteFile(at, f.Data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// cases runs each testdata/NAME/*.txtar: the first line of its comment is what to
// read, and the directory that keys are copied to, if they are. What comes out is compared with the files want.toml and want.notes.
func cases(t *testing.T, name string, read func(file string, o Options) (*Plan, error)) {
	files, err := filepath.Glob(filepath.Join("testdata", name, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in := slices.DeleteFunc(slices.Clone(a.Files), func(f txtar.File) bool { return strings.HasPrefix(f.Name, "want.") })
			first, _, _ := strings.Cut(string(a.Comment), "\n")
			first, keys, _ := strings.Cut(first, " ")
			if first == "-" {
				first = ""
			}
			root := plant(t, in)
			plan, err := read(first, Options{Root: root, Keys: keys})
			got := []txtar.File{{Name: "want.error", Data: fmt.Appendf(nil, "%v\n", err)}}
			if err == nil {
				got = []txtar.File{{Name: "want.toml", Data: plan.TOML()}, {Name: "want.notes", Data: notes(plan)}}
				agrees(t, plan)
			}
			if *update {
				a.Files = append(in, got...)
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, g := range got {
				i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == g.Name })
				if i < 0 {
					t.Errorf("no %s: got\n%s", g.Name, g.Data)
				} else if string(a.Files[i].Data) != string(g.Data) {
					t.Errorf("%s\n got:\n%s\nwant:\n%s", g.Name, g.Data, a.Files[i].Data)
				}
			}
		})
	}
}

// notes are those that aren't in the TOML.
func notes(p *Plan) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "complete: %v\n", p.Complete())
	for _, n := range p.Notes {
		if n.Kind == Taken || n.Kind == Moot {
			fmt.Fprintf(&b, "%s %s\n", n.Kind, n)
		}
	}
	return []byte(b.String())
}

// agrees checks that mailgate's keyring chooses as the plan says, that no key is copied
// for nothing, and that the plan can be shown as JSON.
func agrees(t *testing.T, p *Plan) {
	t.Helper()
	if _, err := json.Marshal(p); err != nil {
		t.Error(err)
	}
	ring, err := keyring(p)
	if err != nil {
		t.Fatalf("mailgate refuses the domains: %v", err)
	}
	files := map[string]bool{}
	for _, d := range p.Partly {
		for _, k := range d.Keys {
			files[k.File] = true
		}
	}
	for _, d := range p.Domains {
		for _, k := range d.Keys {
			files[k.File] = true
		}
	}
	for _, in := range p.Inline {
		if !files[in.File] {
			t.Errorf("%s is written, and no [[domain]] names it", in.File)
		}
	}
	names := []string{"unlisted.example"}
	for _, d := range p.Domains {
		name := strings.TrimPrefix(d.Pattern, "*.")
		names = append(names, name, "sub."+name, "a.sub."+name)
	}
	for _, name := range names {
		domain, err := mail.ParseDomain(name)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, k := range ring.For(domain) {
			got = append(got, "d="+string(k.Domain)+" s="+k.Selector)
		}
		slices.Sort(got)
		if want := shown(p.signs(name)); !slices.Equal(got, want) {
			t.Errorf("mail From %s: the keyring has %v, the plan %v", name, got, want)
		}
	}
}

// keyring is mailgate's with the domains of a plan; all keys are one.
func keyring(p *Plan) (*sign.Keyring, error) {
	var all []sign.DomainKeys
	for _, d := range p.Domains {
		one := sign.DomainKeys{Pattern: d.Pattern, SignAs: mail.Domain(d.SignAs), SubDomains: d.SubDomains}
		for _, k := range d.Keys {
			one.Keys = append(one.Keys, sign.Key{Selector: k.Selector, Identity: k.Identity, Signer: testKey()})
		}
		all = append(all, one)
	}
	return sign.NewKeyring(all)
}

func TestOpenDKIM(t *testing.T) { cases(t, "opendkim", OpenDKIM) }
func TestRspamd(t *testing.T)   { cases(t, "rspamd", Rspamd) }
func TestExim(t *testing.T)     { cases(t, "exim", Exim) }
