package sign

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailgate/internal/mail"
)

// maxRepeats is for how many occurrences of a name h= is meant: with it, all names
// together stay far below the 998 bytes of a line. The library never folds h=, and
// a line over 998 bytes would be wrapped, and so broken, on its way.
const maxRepeats = 3

// oversigned are the fields a reader sees or a client acts on. Each is named in h=
// once more than it occurs, so that adding one breaks the signature (RFC 6376,
// section 8.15). Of a name that occurs more than maxRepeats times, the last
// maxRepeats+1 are signed.
var oversigned = [...]string{
	"From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To",
	"MIME-Version", "Content-Type", "Content-Transfer-Encoding",
	"List-Unsubscribe", "List-Unsubscribe-Post",
}

// ifPresent are further fields of RFC 6376, section 5.4.1, and some that receivers
// give weight to. The last one of each name is signed; relays may add others.
var ifPresent = [...]string{
	"Sender", "In-Reply-To", "References", "Auto-Submitted", "Feedback-ID",
	"List-Id", "List-Help", "List-Subscribe", "List-Post", "List-Owner", "List-Archive",
	"Resent-Date", "Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Message-ID",
	"TLS-Report-Domain", "TLS-Report-Submitter", // RFC 8460, section 5.3
}

const signedNames = len(oversigned) + len(ifPresent)

// ErrFrom says that a header has no From field or several (RFC 5322, section 3.6).
var ErrFrom = errors.New("exactly one From field is needed for a signature")

// signable is what of a header goes into a signature.
type signable struct {
	names  []string // h=
	fields []byte   // the fields h= names, in their order, and the empty line
}

// choose picks the fields to sign. The library looks each name of h= up in the
// whole header it is given, so it is given only what it will pick: 1,000 fields
// then cost no more than 20.
func choose(h mail.Header) (signable, error) {
	var count [signedNames]int
	var picked []mail.Field
	for _, field := range slices.Backward(h) {
		i := nameIndex(field.Name)
		if i < 0 {
			continue
		}
		count[i]++
		if count[i] <= mostPicked(i) {
			picked = append(picked, field)
		}
	}
	if from := count[nameIndex("From")]; from != 1 {
		return signable{}, fmt.Errorf("%d From fields: %w", from, ErrFrom)
	}
	fields, err := unfold(picked)
	if err != nil {
		return signable{}, err
	}
	return signable{headerKeys(&count), fields}, nil
}

// mostPicked is how many fields of name i can be signed.
func mostPicked(i int) int {
	if i < len(oversigned) {
		return maxRepeats + 1
	}
	return 1
}

// headerKeys makes h= from how often each name occurs.
func headerKeys(count *[signedNames]int) []string {
	keys := make([]string, 0, 2*signedNames)
	for i, name := range oversigned {
		for range min(count[i], maxRepeats) + 1 {
			keys = append(keys, name)
		}
	}
	for i, name := range ifPresent {
		if count[len(oversigned)+i] > 0 {
			keys = append(keys, name)
		}
	}
	return keys
}

// nameIndex finds name among oversigned and then ifPresent, -1 if it is in neither.
func nameIndex(name string) int {
	for i, n := range oversigned {
		if sameName(n, name) {
			return i
		}
	}
	for i, n := range ifPresent {
		if sameName(n, name) {
			return len(oversigned) + i
		}
	}
	return -1
}

// sameName compares field names without regard to case. Unlike strings.EqualFold
// alone, it has no characters outside ASCII equal to letters.
func sameName(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

// unfold writes fields, given last first, in their order with the folds taken out
// and the empty line after them. Unfolding is the first step of relaxed
// canonicalization anyway (RFC 6376, section 3.4.2); doing it here spares the
// library's header reader, whose cost grows with the square of a field's lines.
func unfold(fields []mail.Field) ([]byte, error) {
	size := 2
	for _, f := range fields {
		size += len(f.Raw)
	}
	out := make([]byte, 0, size)
	for _, f := range slices.Backward(fields) {
		var err error
		if out, err = appendUnfolded(out, f); err != nil {
			return nil, fmt.Errorf("header field %s: %w", f.Name, err)
		}
	}
	return append(out, "\r\n"...), nil
}

// appendUnfolded refuses what a verifier could read as another field or line than
// we do.
func appendUnfolded(out []byte, f mail.Field) ([]byte, error) {
	lines, found := bytes.CutSuffix(f.Raw, []byte("\r\n"))
	if !found {
		return nil, errors.New("not ended by CRLF")
	}
	if !begins(lines, f.Name) {
		return nil, errors.New("the bytes are another field's")
	}
	for first := true; ; first = false {
		line, rest, more := bytes.Cut(lines, []byte("\r\n"))
		if bytes.ContainsAny(line, "\r\n\x00") {
			return nil, errors.New("bare CR, bare LF or NUL")
		}
		if !first && (len(line) == 0 || line[0] != ' ' && line[0] != '\t') {
			return nil, errors.New("continuation line without leading space")
		}
		out = append(out, line...)
		if !more {
			return append(out, "\r\n"...), nil
		}
		lines = rest
	}
}

// begins reports whether raw is name, perhaps white space, and a colon.
func begins(raw []byte, name string) bool {
	if len(raw) < len(name) || !sameName(string(raw[:len(name)]), name) {
		return false
	}
	return bytes.HasPrefix(bytes.TrimLeft(raw[len(name):], " \t"), []byte(":"))
}
