//go:build integration

package convert

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// realExim is where test/exim.sh unpacks it.
const realExim = "/var/cache/mailgate-test/exim/usr/sbin/exim4"

// TestEximExpands has the real Exim expand the same strings. DIR is the directory with
// the files they name.
func TestEximExpands(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"t":             "example.com: one two\n*.net: star\n*.b.net: two stars\n\"quo ted\": q\nexample.org  val\n  more\n*: other\n",
		"w":             "^.*\\.org: re\n*.com: suffix\nlit: l\n",
		"f":             "some\ncontent\n",
		"d/example.com": "",
		"conf":          "primary_hostname = mx1.example.com\nexim_user = Debian-exim\nkeep_environment =\n",
	} {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range eximStrings {
		text = strings.ReplaceAll(text, "DIR", dir)
		out, err := exec.Command(realExim, "-C", filepath.Join(dir, "conf"), "-be", text).Output()
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		e := eximString{tree: &tree{}, touched: &eximTouched{}, vars: map[string]string{"primary_hostname": "mx1.example.com"}}
		got, err := e.expand(text)
		if errors.Is(err, errForced) {
			got = `Failed: "if" failed and "fail" requested`
		} else if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if want := strings.TrimSuffix(string(out), "\n"); got != want {
			t.Errorf("%s\n Exim %q\n here %q", text, want, got)
		}
	}
}

var eximStrings = []string{
	"${lc:${domain:ann@Example.COM}}", "${uc:abc}", "${local_part:ann@x}", "${domain:nodomain}x",
	`a\$b\\c`, `\N$a{b}\N$primary_hostname`, "$primary_hostname", "${primary_hostname}x",
	"${lookup{example.com}lsearch{DIR/t}}", "${lookup{EXAMPLE.com}lsearch{DIR/t}{<$value>}{no}}",
	"${lookup{nix}lsearch{DIR/t}{y}{no}}", "${lookup{nix}lsearch*{DIR/t}{$value}{no}}",
	"${lookup{quo ted}lsearch{DIR/t}}", "${lookup{example.org}lsearch{DIR/t}}",
	"${lookup{a.net}partial-lsearch{DIR/t}{$value}{no}}", "${lookup{net}partial-lsearch{DIR/t}{$value}{no}}",
	"${lookup{a.b.net}partial-lsearch{DIR/t}{$value}{no}}", "${lookup{b.net}partial-lsearch{DIR/t}{$value}{no}}",
	"${lookup{a.c.net}partial1-lsearch{DIR/t}{$value}{no}}", "${lookup{x.a.c.net}partial3-lsearch{DIR/t}{$value}{no}}",
	"${lookup{x.org}wildlsearch{DIR/w}{$value}{no}}", "${lookup{a.COM}nwildlsearch{DIR/w}{$value}{no}}",
	"${lookup{lit}nwildlsearch{DIR/w}{$value}{no}}", "${lookup{none}wildlsearch{DIR/w}{$value}{no}}",
	"${lookup{example.com}dsearch{DIR/d}}", "${lookup{nope}dsearch{DIR/d}}", "${lookup{nope}dsearch{DIR/d}{y}{n}}",
	"${if exists{DIR/f}{y}{n}}", "${if exists{DIR/g}{y}}z", "${if !exists{DIR/g}{y}}",
	"${if eq{a}{a}}", "${if eq{a}{b}}", "${if eqi{A}{a}{1}{2}}", "${if eq{}{}{a}{b}}", "x${if eq {a}{b} {a}fail}y",
	"${if and{{eq{a}{a}}{eq{b}{c}}}{1}{2}}", "${if or{{eq{a}{b}}{eq{b}{b}}}{1}{2}}", "${if def:primary_hostname{1}{2}}",
	"${if match{abc}{b}{1}{2}}", "${if inlist{b}{a:b:c}{1}{2}}", "${if inlisti{B}{a:b:c}{1}{2}}",
	"${if match_domain{a.example.com}{*.example.com : x}{1}{2}}", "${if match_domain{example.com}{!example.com : *}{1}{2}}",
	"${if match_domain{example.com}{lsearch;DIR/t}{1}{2}}", "${if match_domain{example.com}{dsearch;DIR/d}{1}{2}}",
	"${if bool{yes}{1}{2}}", "${if bool{0}{1}{2}}", "${if bool{}{1}{2}}",
	"${readfile{DIR/f}{}}", "${readfile{DIR/f}{:}}", "${readfile{DIR/f}}",
}
