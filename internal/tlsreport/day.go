package tlsreport

import "time"

// Day is a day in UTC, "2026-11-21".
type Day string

// DayOf returns the day that a time is in.
func DayOf(t time.Time) Day { return Day(t.UTC().Format(time.DateOnly)) }

// start is zero for what is no day.
func (d Day) start() time.Time {
	t, _ := time.Parse(time.DateOnly, string(d))
	return t
}

// end is the last second.
func (d Day) end() time.Time { return d.next().Add(-time.Second) }

func (d Day) next() time.Time { return d.start().AddDate(0, 0, 1) }

const (
	spread = 4 * time.Hour  // reports are sent at any time of it after midnight (RFC 8460, section 4.1)
	trying = 24 * time.Hour // then a report is given up (section 5.5)
)

// givenUp is when the day's reports are tried no more.
func (d Day) givenUp() time.Time { return d.next().Add(spread + trying) }

// forgotten is when what is remembered of the day goes.
func (d Day) forgotten() time.Time { return d.givenUp().Add(time.Hour) }
