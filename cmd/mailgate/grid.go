package main

import (
	"io"
	"strings"
)

const (
	gridGap  = "  "
	minCells = 10 // a column that may be cut keeps at least so many
)

// grid is rows in aligned columns; the first row is the heading. The columns in cut
// give way, the widest first, where the screen is too narrow. Where that isn't
// enough, each row becomes a few lines.
type grid struct {
	rows [][]string
	cut  []int
}

func (g *grid) add(row ...string) { g.rows = append(g.rows, row) }

// write prints the rows in at most width cells; 0: as wide as they are.
func (g *grid) write(out io.Writer, width int) {
	widths := g.widths()
	if width > 0 {
		g.shrink(widths, width)
		if total(widths) > width {
			g.stack(out, width)
			return
		}
	}
	for _, row := range g.rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(pad(fit(cell, widths[i]), widths[i]))
			b.WriteString(gridGap)
		}
		_, _ = io.WriteString(out, strings.TrimRight(b.String(), " ")+"\n")
	}
}

func (g *grid) widths() []int {
	var widths []int
	for _, row := range g.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], cells(cell))
		}
	}
	return widths
}

func total(widths []int) int {
	sum := len(gridGap) * (len(widths) - 1)
	for _, w := range widths {
		sum += w
	}
	return sum
}

func (g *grid) shrink(widths []int, width int) {
	for total(widths) > width {
		widest := -1
		for _, i := range g.cut {
			if widths[i] > minCells && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

// stack prints each row on as many lines as it needs, without the heading.
func (g *grid) stack(out io.Writer, width int) {
	for _, row := range g.rows[1:] {
		indent := ""
		for _, line := range wrap(strings.Join(row, gridGap), max(width-2, 1)) {
			_, _ = io.WriteString(out, indent+line+"\n")
			indent = "  "
		}
	}
}
