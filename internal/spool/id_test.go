package spool

import (
	"strings"
	"testing"
)

func TestNewID(t *testing.T) {
	seen := map[string]bool{}
	used := map[rune]bool{}
	for range 20000 {
		id := NewID(8)
		if len(id) != 8 || !ValidID(id) {
			t.Fatalf("NewID(8) = %q", id)
		}
		if seen[id] {
			t.Fatalf("%q came twice in 20,000 of 5 × 10¹¹", id)
		}
		seen[id] = true
		for _, c := range id {
			used[c] = true
		}
	}
	if len(used) != len(idSymbols) {
		t.Errorf("%d of %d symbols used", len(used), len(idSymbols))
	}
	if strings.ContainsAny(idSymbols, "01ilouABC") {
		t.Error("symbols that are taken for others")
	}
}

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		"q7f3a": true, "m2bcdefghj": true,
		"": false, "q7f3": false, "7qf3a": false, "Q7f3a": false, "q7f3l": false,
		"../..": false, "q7/3a": false, "q7f3a\n": false, "q7f3é": false,
		strings.Repeat("q", 17): false,
	} {
		if got := ValidID(id); got != want {
			t.Errorf("ValidID(%q) = %v", id, got)
		}
	}
}
