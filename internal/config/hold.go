package config

import (
	"errors"
	"fmt"
	"time"

	"mailgate/internal/mail"
)

const (
	maxRate = 100_000
	maxKeep = 10 * 365 * 24 * time.Hour // for what is kept for the record

	rarestRecheck = 15 * time.Minute // what hold.recheck grows to with the age of mail
	smallStore    = 10_000_000       // bytes: about the largest message that MTAs let through
)

func (b *builder) hold() Hold {
	in := b.in.Hold
	h := Hold{
		AutoRelease: in.AutoRelease,
		ReleaseRate: int(in.ReleaseRate),
		Recheck:     one(b, "hold.recheck", in.Recheck, parseInterval),
		NotifyAfter: optional(b, "hold.notify_after", in.NotifyAfter, parseSpan),
		MaxAge:      one(b, "hold.max_age", in.MaxAge, parseSpan),
		Postmaster:  optional(b, "hold.postmaster", in.Postmaster, parseMailbox),
		Digest:      one(b, "hold.digest", in.Digest, parseSpan),
		KeepBodies:  one(b, "hold.keep_bodies", in.KeepBodies, parseKeep),
		KeepLog:     one(b, "hold.keep_log", in.KeepLog, parseKeep),
		MaxBytes:    one(b, "hold.max_bytes", in.MaxBytes, ParseSize),
	}
	if in.ReleaseRate < 0 || in.ReleaseRate > maxRate {
		b.src.fail("hold.release_rate", "is %d: want messages a minute, 1 to %d, or 0 for no bound", in.ReleaseRate, maxRate)
	}
	return h
}

// parseSpan is a duration that "0" switches off.
func parseSpan(s string) (time.Duration, error) { return offOr(s, maxDuration) }

// parseKeep is parseSpan with more years.
func parseKeep(s string) (time.Duration, error) { return offOr(s, maxKeep) }

func offOr(s string, most time.Duration) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	d, ok := parseDuration(s, most)
	if !ok {
		return 0, fmt.Errorf(`%s is no duration: want one up to %dd, as "90s", "12h" or "5d", or "0"`, shown(s), most/(24*time.Hour))
	}
	return d, nil
}

// parseMailbox is an address that mail can be sent to from here.
func parseMailbox(s string) (mail.Address, error) {
	a, err := mail.ParsePath(s)
	if err == nil && a.Domain == "" {
		err = errors.New("it has no domain")
	}
	if err != nil {
		return mail.Address{}, fmt.Errorf(`%s is no address: %w; want one as "postmaster@example.com"`, shown(s), err)
	}
	return a, nil
}

func (c *Config) warnHold(w *warner) {
	h := c.Hold
	w.add(h.MaxAge > 0 && h.NotifyAfter >= h.MaxAge,
		"hold.notify_after: mail is returned at max_age, before its sender would be told that it is late; want less than max_age")
	w.add(h.KeepLog > 0 && (h.KeepBodies == 0 || h.KeepBodies > h.KeepLog),
		"hold.keep_log: is less than keep_bodies; bodies go with the log")
	w.add(h.Recheck > rarestRecheck,
		"hold.recheck: is above 15m, what it grows to by itself; mended mail waits for so long; want the shortest time, as \"30s\"")
	w.add(h.MaxBytes > 0 && h.MaxBytes < smallStore,
		"hold.max_bytes: is below 10MB, so that the store is soon full and a message of that size is never held; it is answered 452")
}
