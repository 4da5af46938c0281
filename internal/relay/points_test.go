package relay

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestAllCrashPoints compares the list with the names in the code.
func TestAllCrashPoints(t *testing.T) {
	named := regexp.MustCompile(`(?:\.CrashPoint|\bat)\("([^"]*)"\)`)
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
			found = append(found, match[1])
		}
	}
	slices.Sort(found)
	if want := slices.Sorted(slices.Values(CrashPoints())); !slices.Equal(found, want) {
		t.Errorf("the code has %q, the list %q", found, want)
	}
}
