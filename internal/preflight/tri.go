package preflight

import "fmt"

// Tri is a truth value of Kleene's three-valued logic. The zero value is Maybe:
// what nobody has found out is not known.
type Tri int8

const (
	No    Tri = -1
	Maybe Tri = 0
	Yes   Tri = 1
)

func triOf(b bool) Tri {
	if b {
		return Yes
	}
	return No
}

// Not, And and Or are Kleene's connectives.
func (t Tri) Not() Tri          { return -t }
func (t Tri) And(other Tri) Tri { return min(t, other) }
func (t Tri) Or(other Tri) Tri  { return max(t, other) }

// String gives "yes", "no" or "unknown".
func (t Tri) String() string {
	switch t {
	case Yes:
		return "yes"
	case No:
		return "no"
	}
	return "unknown"
}

// MarshalText makes a Tri readable in JSON.
func (t Tri) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (t *Tri) UnmarshalText(text []byte) error {
	switch string(text) {
	case "yes":
		*t = Yes
	case "no":
		*t = No
	case "unknown":
		*t = Maybe
	default:
		return fmt.Errorf("three-valued answer %q is none of yes, no, unknown", text)
	}
	return nil
}
