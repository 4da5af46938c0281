package advise

// State tells what DNS holds of a record now.
type State string

const (
	NotLooked State = ""          // it is a mend of what a report found
	AsItIs    State = "published" // nothing is to be done
	ToAdd     State = "add"       // nothing of its kind is published
	ToReplace State = "replace"   // what is published must go: Record.Replaces
	Unsure    State = "unknown"   // DNS gave no answer, or not whole
)
