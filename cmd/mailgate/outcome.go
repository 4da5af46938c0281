package main

import (
	"errors"
	"fmt"
	"strings"

	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
	"mailgate/internal/web"
)

// result is what became of one message, or would in a dry run.
type result string

const (
	resultReleased  result = "released"
	resultDiscarded result = "discarded"
	resultHeld      result = "held"
	resultGivenUp   result = "given_up"
	resultBusy      result = "delivering" // it is being delivered right now
	resultRefused   result = "refused"    // stays held: would be refused
	resultForeign   result = "foreign"    // stays held: no key here
	resultWaiting   result = "waiting"    // stays held: DNS gives no answer
	resultMoved     result = "moved"      // somebody else was first
	resultNotFound  result = "not_found"  // no such message or recipient
	resultFailed    result = "failed"     // the next server didn't take it, or a fault; it stays as it was
)

// outcome is one line of a bulk run.
type outcome struct {
	ID         string                `json:"id"`
	Result     result                `json:"result"`
	DryRun     bool                  `json:"dry_run,omitempty"`
	To         []string              `json:"to,omitempty"` // the recipients meant; none: all that it was about
	Recipients []quarantine.Handover `json:"recipients,omitempty"`
	ReportTo   string                `json:"report_to,omitempty"` // who is told that it is given up; empty: nobody
	Error      string                `json:"error,omitempty"`

	noAnswer bool        // by the next server
	stays    spool.State // what is not done stays so
	summary  string
}

// outcomeOf reads a request's error. One that ends the whole run is returned.
func outcomeOf(o outcome, err error) (outcome, error) {
	if err == nil {
		return o, nil
	}
	var no *refusal
	if !errors.As(err, &no) {
		return o, err
	}
	o.Error = no.problem.Error
	switch no.problem.Kind {
	case web.KindRefused:
		o.Result = resultRefused
	case web.KindForeign:
		o.Result = resultForeign
	case web.KindWaiting:
		o.Result = resultWaiting
	case web.KindMoved:
		o.Result = resultMoved
	case web.KindDelivering:
		o.Result = resultBusy
	case web.KindNotFound:
		o.Result = resultNotFound
	case web.KindNoAnswer:
		o.Result, o.noAnswer = resultFailed, true
	case web.KindRequest, web.KindStopped:
		return o, err
	default:
		o.Result = resultFailed
	}
	return o, nil
}

// line is the outcome in words.
func (o outcome) line() string {
	would := ""
	if o.DryRun {
		would = "would be "
	}
	switch o.Result {
	case resultReleased, resultDiscarded, resultHeld, resultGivenUp:
		if len(o.Recipients) == 0 {
			return strings.TrimRight(fmt.Sprintf("%s  %s%s  %s", o.ID, would, o.doneWord(), o.summary), " ")
		}
		var lines []string
		for _, r := range o.Recipients {
			lines = append(lines, fmt.Sprintf("%s released to <%s>: %s", o.ID, plain(r.Address, 0), plain(r.Answer, 0)))
		}
		return strings.Join(lines, "\n")
	}
	if o.DryRun {
		return strings.TrimRight(fmt.Sprintf("%s  %s  %s", o.ID, o.word(), o.summary), " ")
	}
	return fmt.Sprintf("%s  %s: %s", o.ID, o.word(), plain(o.why(), 0))
}

// doneWord is what a message is now, and who hears of it.
func (o outcome) doneWord() string {
	switch {
	case o.Result != resultGivenUp:
		return string(o.Result)
	case o.DryRun:
		return "given up"
	case o.ReportTo == "":
		return "given up; nobody is told"
	}
	return "given up; the report goes to <" + plain(o.ReportTo, 0) + ">"
}

// word is why a message is not done.
func (o outcome) word() string {
	return strings.Replace(resultWords[o.Result], "stays held", "stays "+string(o.stays), 1)
}

// why is the error without what the line says anyway.
func (o outcome) why() string {
	why := strings.TrimPrefix(o.Error, o.ID+": ")
	for _, said := range []error{quarantine.ErrWouldBeRefused, quarantine.ErrForeign, quarantine.ErrWaiting} {
		why = strings.TrimSuffix(why, ": "+said.Error())
	}
	return why
}

var resultWords = map[result]string{
	resultRefused:  "stays held: would be refused",
	resultForeign:  "stays held: no key here",
	resultWaiting:  "stays held: waiting for DNS",
	resultBusy:     "stays held",
	resultMoved:    "moved by someone else meanwhile",
	resultNotFound: "not found",
	resultFailed:   "stays held: failed",
}

// tally sums up a bulk run.
type tally struct {
	Messages  int  `json:"messages"`
	Released  int  `json:"released"`
	Discarded int  `json:"discarded"`
	Held      int  `json:"held"`
	GivenUp   int  `json:"given_up"`
	Busy      int  `json:"delivering"`
	Refused   int  `json:"refused"`
	Foreign   int  `json:"foreign"`
	Waiting   int  `json:"waiting"`
	Moved     int  `json:"moved"`
	NotFound  int  `json:"not_found"`
	Failed    int  `json:"failed"`
	Left      int  `json:"left"` // not come to
	DryRun    bool `json:"dry_run"`
	Stopped   bool `json:"interrupted"`

	stays spool.State // what is not done stays so
}

func (t *tally) add(r result) {
	t.Left--
	*map[result]*int{
		resultReleased: &t.Released, resultDiscarded: &t.Discarded, resultHeld: &t.Held, resultGivenUp: &t.GivenUp, resultBusy: &t.Busy, resultRefused: &t.Refused, resultForeign: &t.Foreign,
		resultWaiting: &t.Waiting, resultMoved: &t.Moved, resultNotFound: &t.NotFound, resultFailed: &t.Failed,
	}[r]++
}

// words has the numbers that aren't nought.
func (t *tally) words() string {
	would := ""
	if t.DryRun {
		would = "would be "
	}
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{
		{t.Released, would + "released"}, {t.Discarded, would + "discarded"}, {t.Held, would + "held"}, {t.GivenUp, would + "given up"},
		{t.Refused, stay(t.Refused) + " held (would be refused)"}, {t.Foreign, stay(t.Foreign) + " held (no key here)"},
		{t.Waiting, stay(t.Waiting) + " held (waiting for DNS)"}, {t.Busy, stay(t.Busy) + " queued (being delivered right now)"}, {t.Failed, "failed and " + stay(t.Failed) + " " + string(t.stays)},
		{t.Moved, "moved by someone else meanwhile"}, {t.NotFound, "not found"}, {t.Left, "still to go"},
	} {
		if p.n > 0 {
			parts = append(parts, thousands(p.n)+" "+p.what)
		}
	}
	return strings.Join(parts, ", ")
}

func stay(n int) string {
	if n == 1 {
		return "stays"
	}
	return "stay"
}

// code is the exit code: 2 when DNS's silence is all that kept messages back.
// Messages moved meanwhile count against it only where they were asked for by id.
func (t *tally) code(byID bool) int {
	bad := t.Refused + t.Foreign + t.Failed + t.NotFound + t.Busy
	if byID {
		bad += t.Moved
	}
	switch {
	case t.Stopped:
		return exitInterrupted
	case bad > 0 || t.Left > 0:
		return exitFail
	case t.Waiting > 0:
		return exitUnknown
	}
	return exitPass
}
