// Package docs tests what is built beside the program: man pages and the completions of
// shells.
package docs

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// built is the program with the command that writes them, and what it wrote.
type built struct{ bin, docs string }

var build = sync.OnceValues(func() (built, error) {
	dir, err := os.MkdirTemp("", "mailgate-docs")
	if err != nil {
		return built{}, err
	}
	b := built{filepath.Join(dir, "mailgate"), filepath.Join(dir, "docs")}
	if out, err := exec.Command("go", "build", "-tags", "docs", "-o", b.bin, "mailgate/cmd/mailgate").CombinedOutput(); err != nil {
		return b, &fs.PathError{Op: "build", Path: string(out), Err: err}
	}
	return b, write(b.bin, b.docs, "1795316823")
})

func TestMain(m *testing.M) {
	code := m.Run()
	if b, _ := build(); b.bin != "" {
		os.RemoveAll(filepath.Dir(b.bin))
	}
	os.Exit(code)
}

func write(bin, dir, epoch string) error {
	cmd := exec.Command(bin, "docs", dir)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+epoch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return &fs.PathError{Op: "write docs", Path: string(out), Err: err}
	}
	return nil
}

func mustBuild(t *testing.T) built {
	t.Helper()
	b, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tree is the files below dir, by name.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// The same source gives the same files, on whichever day.
func TestReproducible(t *testing.T) {
	b := mustBuild(t)
	again, undated := filepath.Join(t.TempDir(), "again"), filepath.Join(t.TempDir(), "undated")
	for dir, epoch := range map[string]string{again: "1795316823", undated: ""} {
		if err := write(b.bin, dir, epoch); err != nil {
			t.Fatal(err)
		}
	}
	first := tree(t, b.docs)
	for name, text := range tree(t, again) {
		if text != first[name] {
			t.Errorf("%s differs", name)
		}
	}
	page := "/man/man1/mailgate.1"
	if !strings.Contains(first[page], "Nov 2026") || !strings.Contains(tree(t, undated)[page], "Jan 1970") {
		t.Error("the pages have another date than the source's")
	}
}

var subCommand = regexp.MustCompile(`(?m)^  ([a-z-]+) `)

// commands finds every command as a person does, through --help.
func commands(t *testing.T, bin string, path ...string) [][]string {
	t.Helper()
	out, err := exec.Command(bin, append(slices.Clone(path), "--help")...).Output()
	if err != nil {
		t.Fatalf("%v --help: %v", path, err)
	}
	all := [][]string{path}
	_, list, _ := strings.Cut(string(out), "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for _, found := range subCommand.FindAllStringSubmatch(list, -1) {
		all = append(all, commands(t, bin, append(slices.Clone(path), found[1])...)...)
	}
	return all
}

func TestManPages(t *testing.T) {
	b := mustBuild(t)
	all := commands(t, b.bin)
	pages := tree(t, filepath.Join(b.docs, "man", "man1"))
	if len(all) < 40 || len(pages) != len(all) {
		t.Errorf("%d pages for %d commands", len(pages), len(all))
	}
	for _, path := range all {
		name := strings.Join(append([]string{"mailgate"}, path...), "-")
		text := pages["/"+name+".1"]
		for _, want := range []string{".TH ", ".SH NAME\n", ".SH SYNOPSIS\n", ".SH DESCRIPTION\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s.1 lacks %s", name, want)
			}
		}
		for _, wrong := range []string{"```", "spf13"} {
			if strings.Contains(text, wrong) {
				t.Errorf("%s.1 has %s", name, wrong)
			}
		}
	}
}

// groff finds nothing to warn of, where it is at hand.
func TestManPagesFormat(t *testing.T) {
	b := mustBuild(t)
	if _, err := exec.LookPath("groff"); err != nil {
		t.Log("no groff here: the pages are not formatted")
		return
	}
	dir := filepath.Join(b.docs, "man", "man1")
	for name := range tree(t, dir) {
		out, err := exec.Command("groff", "-man", "-Tutf8", "-k", "-ww", "-Wbreak", filepath.Join(dir, name)).CombinedOutput()
		if err != nil || bytes.Contains(out, []byte("warning:")) || bytes.Contains(out, []byte("error:")) {
			t.Errorf("%s: %v\n%.400s", name, err, out)
		}
	}
}

// What bash-completion gives a completion to work with, and a key press of TAB.
const pressTab = `
_get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]}; prev=${COMP_WORDS[COMP_CWORD-1]}; words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; }
compopt() { :; }
source "$1" || exit 1
shift
COMP_WORDS=(mailgate "$@"); COMP_CWORD=$#
COMP_LINE="mailgate $*"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9; COMP_KEY=9
$(complete -p mailgate | sed -n 's/.*-F \([^ ]*\).*/\1/p')
printf '%s\n' "${COMPREPLY[@]}"
`

// Real bash completes commands, and what they ask the program for.
func TestBashCompletes(t *testing.T) {
	b := mustBuild(t)
	config := filepath.Join(t.TempDir(), "mailgate.toml")
	if err := os.WriteFile(config, []byte("hostname = \"mx1.example.com\"\n[[domain]]\nname = \"example.com\"\nkeys = [{ selector = \"mail\", file = \"a.pem\" }]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		words []string
		want  string
	}{
		{[]string{"che"}, "check"},
		{[]string{"keys", "gen"}, "generate"},
		{[]string{"keys", "generate", "--config", config, "exa"}, "example.com"},
		{[]string{"--config", config, "check", ""}, "example.com"},
		{[]string{"records", "x", "--as", "clo"}, "cloudflare"},
		{[]string{"status", "--format", "j"}, "json"},
		{[]string{"explain", "dkim-only-on"}, "dkim-only-on-local-dns"},
	} {
		args := append([]string{"--norc", "--noprofile", "-c", pressTab, "bash", filepath.Join(b.docs, "completion", "mailgate.bash")}, tt.words...)
		cmd := exec.Command("bash", args...)
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(b.bin)+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if got := strings.Fields(string(out)); err != nil || len(got) == 0 || got[0] != tt.want {
			t.Errorf("%v<TAB>: %q %v, want %s", tt.words, out, err, tt.want)
		}
	}
}

// The other shells can read theirs, where they are at hand.
func TestShellsReadTheirs(t *testing.T) {
	dir := filepath.Join(mustBuild(t).docs, "completion")
	for shell, file := range map[string]string{"bash": "mailgate.bash", "zsh": "_mailgate", "fish": "mailgate.fish"} {
		if data, err := os.ReadFile(filepath.Join(dir, file)); err != nil || len(data) < 1000 {
			t.Errorf("%s: %d bytes, %v", file, len(data), err)
		}
		if _, err := exec.LookPath(shell); err != nil {
			t.Logf("no %s here", shell)
			continue
		}
		if out, err := exec.Command(shell, "-n", filepath.Join(dir, file)).CombinedOutput(); err != nil {
			t.Errorf("%s -n %s: %v\n%s", shell, file, err, out)
		}
	}
}
