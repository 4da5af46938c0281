package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
	"golang.org/x/text/width"
)

// cells is how many columns of a terminal s takes: East Asian characters take two,
// marks that sit on the letter before them none.
func cells(s string) int {
	n := 0
	for _, c := range s {
		n += runeCells(c)
	}
	return n
}

func runeCells(c rune) int {
	switch {
	case c < 0x300:
		return 1
	case unicode.Is(unicode.Mn, c), unicode.Is(unicode.Me, c):
		return 0
	}
	switch width.LookupRune(c).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// fit cuts s to max cells, with "…" for what is left out.
func fit(s string, max int) string {
	if cells(s) <= max {
		return s
	}
	n, end := 0, 0
	for i, c := range s {
		w := runeCells(c)
		if n+w > max-1 {
			break
		}
		n, end = n+w, i+len(string(c))
	}
	return s[:end] + "…"
}

// pad fills s with spaces up to n cells.
func pad(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-cells(s)))
}

// wrap breaks s between words into lines of at most n cells. A word that is longer
// is broken, too: nothing is left out.
func wrap(s string, n int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && cells(line)+1+cells(word) <= n {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for cells(word) > n {
			head := cutCells(word, n)
			lines = append(lines, head)
			word = word[len(head):]
		}
		line = word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// cutCells is the start of s that takes at most n cells, and at least one
// character.
func cutCells(s string, n int) string {
	used := 0
	for i, c := range s {
		used += runeCells(c)
		if used > n && i > 0 {
			return s[:i]
		}
	}
	return s
}

// screenWidth is how many cells a line may have: COLUMNS, or the terminal's width,
// or 0 where there is no limit.
func screenWidth(out io.Writer) int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	f, ok := out.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

// printWrapped prints text below an indent, in lines that fit on the screen.
func printWrapped(out io.Writer, indent, text string, screen int) {
	lines := []string{text}
	if screen > 0 {
		lines = wrap(text, max(screen-len(indent), 20))
	}
	for _, l := range lines {
		fmt.Fprintln(out, indent+l)
	}
}
