package preflight

// Code explains one finding code.
type Code struct {
	Code    string `json:"code"`
	Check   Check  `json:"check"`
	Meaning string `json:"meaning"` // one sentence
	Mend    string `json:"mend"`    // what to do about it; empty where nothing is to be done
}

// Codes returns every finding code there is, with meaning and mend.
func Codes() []Code { return nil }

// Explain returns what is known of a code.
func Explain(code string) (Code, bool) { return Code{}, false }
