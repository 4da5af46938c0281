package store

import "strings"

// query is the WHERE part of a SELECT under construction. Its text is made of
// constants only; everything from outside is an argument.
type query struct {
	terms []string
	args  []any
}

func (q *query) where(term string, args ...any) {
	q.terms = append(q.terms, term)
	q.args = append(q.args, args...)
}

// equal asks for a value, unless it is empty.
func (q *query) equal(column, value string) {
	if value != "" {
		q.where(column+" = ?", value)
	}
}

// code asks for a finding code. A word stands for all codes of its kind as well:
// dkim for dkim-missing.
func (q *query) code(code string) {
	const exactly, begins = "instr(' ' || codes || ' ', ?)", "instr(' ' || codes, ?)"
	switch {
	case code == "":
	case strings.Contains(code, "-"):
		q.where(exactly, " "+code+" ")
	default:
		q.where("("+exactly+" OR "+begins+")", " "+code+" ", " "+code+"-")
	}
}

// in asks for one of several values, unless there are none.
func in[T any](q *query, column string, values []T) {
	if len(values) == 0 {
		return
	}
	q.where(column + " IN (?" + strings.Repeat(", ?", len(values)-1) + ")")
	for _, v := range values {
		q.args = append(q.args, v)
	}
}

// contains asks that part is in one of the columns, unless it is empty.
func (q *query) contains(part string, columns ...string) {
	if part == "" {
		return
	}
	pattern := "%" + likeEscapes.Replace(part) + "%"
	terms := make([]string, len(columns))
	args := make([]any, len(columns))
	for i, c := range columns {
		terms[i], args[i] = c+` LIKE ? ESCAPE '\'`, pattern
	}
	q.where("("+strings.Join(terms, " OR ")+")", args...)
}

var likeEscapes = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// text is the WHERE clause, empty if nothing is asked for.
func (q *query) text() string {
	if len(q.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(q.terms, " AND ")
}

// address is the expression for an address kept in two columns.
func address(local, domain string) string { return "(" + local + " || '@' || " + domain + ")" }

// direction and beyond are the words for an order and for what comes after a key
// in it.
func direction(ascending bool) string {
	if ascending {
		return "ASC"
	}
	return "DESC"
}

func beyond(ascending bool) string {
	if ascending {
		return ">"
	}
	return "<"
}

// limit returns n, or the default if n isn't set.
func limit(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}
