package doctor

import "time"

// Clock checks the machine's clock: DKIM signatures carry the time (t=, x=), and
// verifiers refuse those from the future. Built is a time that is surely over.
func Clock(now, built time.Time) Result {
	r := Result{Area: "clock", Code: "clock", Status: Pass, Text: now.UTC().Format("2006-01-02 15:04:05 UTC")}
	mend := []string{"timedatectl set-ntp true    (or install and start chrony)"}
	if now.Before(built) {
		r.Code, r.Status, r.Mend = "clock-behind", Fail, mend
		r.Text += ": this is over for long, as files of mailgate are newer"
		return r
	}
	synchronised, known, off := kernelClock()
	switch {
	case !known:
		r.Text += "; whether it is kept right by NTP isn't known here"
	case !synchronised:
		r.Code, r.Status, r.Mend = "clock-not-synchronised", Warn, mend
		r.Text += ": nothing keeps it right (the kernel says: not synchronised)"
	default:
		r.Text += ", kept right by NTP (at most " + off.Round(time.Millisecond).String() + " off)"
	}
	return r
}
