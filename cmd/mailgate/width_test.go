package main

import (
	"slices"
	"strings"
	"testing"
)

func TestCells(t *testing.T) {
	for s, want := range map[string]int{"": 0, "ann": 3, "é": 1, "e\u0301": 1, "会社": 4, "ﾊﾛｰ": 3, "Ａ": 2, "✓…": 2, "😀": 2} {
		if got := cells(s); got != want {
			t.Errorf("cells(%q) = %d, want %d", s, got, want)
		}
	}
}

func TestFit(t *testing.T) {
	for _, tt := range []struct {
		s    string
		max  int
		want string
	}{
		{"ann@example.com", 15, "ann@example.com"},
		{"ann@example.com", 8, "ann@exa…"},
		{"会社の案内", 6, "会社…"},
		{"会社の案内", 5, "会社…"},
		{"会社", 1, "…"},
	} {
		if got := fit(tt.s, tt.max); got != tt.want {
			t.Errorf("fit(%q, %d) = %q, want %q", tt.s, tt.max, got, tt.want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		s    string
		n    int
		want []string
	}{
		{"", 5, nil},
		{"a bc def", 4, []string{"a bc", "def"}},
		{"v=DKIM1;p=MIIB x", 6, []string{"v=DKIM", "1;p=MI", "IB x"}},
		{"会社の", 4, []string{"会社", "の"}},
		{"会", 1, []string{"会"}},
	} {
		if got := wrap(tt.s, tt.n); !slices.Equal(got, tt.want) {
			t.Errorf("wrap(%q, %d) = %q, want %q", tt.s, tt.n, got, tt.want)
		}
	}
}

// TestExplanationsKeepToTheirWidth: in cells, whatever the script.
func TestExplanationsKeepToTheirWidth(t *testing.T) {
	text := strings.Repeat("会社の案内 mail ", 20) + strings.Repeat("x", 200)
	got := wrapped("     ", text)
	for line := range strings.Lines(got) {
		if n := cells(strings.TrimSuffix(line, "\n")); n > explainWidth || !strings.HasPrefix(line, "     ") {
			t.Errorf("%d cells: %q", n, line)
		}
	}
	if squeeze := strings.NewReplacer(" ", "", "\n", ""); squeeze.Replace(got) != squeeze.Replace(text) {
		t.Errorf("something was left out:\n%s", got)
	}
}

// TestGridKeepsToTheScreen: whatever the width, no line is longer, and the first
// column is whole.
func TestGridKeepsToTheScreen(t *testing.T) {
	g := grid{cut: []int{1, 2}}
	g.add("ID", "FROM", "TO", "NOW")
	g.add("q7f3a", strings.Repeat("会社", 20)+"@example.com", strings.Repeat("x", 70), "would pass ✓")
	for _, width := range []int{20, 40, 60, 80, 120} {
		var b strings.Builder
		g.write(&b, width)
		for line := range strings.Lines(b.String()) {
			if n := cells(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("%d cells on a screen of %d: %q", n, width, line)
			}
		}
		if !strings.Contains(b.String(), "q7f3a") {
			t.Errorf("width %d: the id was cut:\n%s", width, b.String())
		}
	}
	var b strings.Builder
	g.write(&b, 0)
	if strings.Contains(b.String(), "…") {
		t.Errorf("cut although there is no limit:\n%s", b.String())
	}
}
