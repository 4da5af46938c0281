package store

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCrashPoints compares the list with the names in the code.
func TestCrashPoints(t *testing.T) {
	named := regexp.MustCompile(`(?:CrashPoint\(|\.(?:update|bring)\([\w.]+, )("[^"]*"|[\w.]+)`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range named.FindAllStringSubmatch(string(code), -1) {
			switch name := match[1]; {
			case strings.HasPrefix(name, `"`):
				found = append(found, strings.Trim(name, `"`))
			case name != "o.name": // the operation's, which update or bring was told
				t.Errorf("%s: %s: the name of a crash point is not in the code", file, match[0])
			}
		}
	}
	slices.Sort(found)
	found = slices.Compact(found)
	if want := slices.Sorted(slices.Values(CrashPoints())); !slices.Equal(found, want) {
		t.Errorf("the code has %q, the list %q", found, want)
	}
}
