package doctor

// Status of a result, in the words findings have.
type Status string

const (
	Pass    Status = "pass"
	Warn    Status = "warn"    // works, and is likely not what was meant
	Fail    Status = "fail"    // mail suffers by it, or will
	Unknown Status = "unknown" // could not be looked at
)

// Result is what one check saw.
type Result struct {
	Area   string   `json:"area"` // what it is about: "postfix", "clock", …
	Code   string   `json:"code"` // stable, kebab-case
	Status Status   `json:"status"`
	Text   string   `json:"text"`           // one line
	Mend   []string `json:"mend,omitempty"` // commands or sentences, in order
}

// Worst is the gravest status: a failure outweighs what isn't known, and that a
// warning.
func Worst(results []Result) Status {
	rank := map[Status]int{Warn: 1, Unknown: 2, Fail: 3}
	worst := Pass
	for _, r := range results {
		if rank[r.Status] > rank[worst] {
			worst = r.Status
		}
	}
	return worst
}
