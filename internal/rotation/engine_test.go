package rotation

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"mailgate/internal/spool"
)

const day = 24 * time.Hour

// From the order to the end, with a publisher.
func TestWholeWay(t *testing.T) {
	w := newWorld(t)
	w.host = &host{zone: w.zone}
	w.zone.ttl["mail._domainkey.example.test"] = time.Hour

	w.rotate()
	w.want(Publishing, "mail")
	w.run(time.Minute)
	w.want(Holding, "mail")
	w.run(58 * time.Minute)
	w.want(Holding, "mail")
	w.run(5 * time.Minute)
	w.want(Signing, "e2026a/mail")
	if w.signs[0].Identity != "@example.test" {
		t.Errorf("the new key signs as %q, want the old one's identity", w.signs[0].Identity)
	}
	w.run(6*day + 23*time.Hour)
	w.want(Signing, "e2026a/mail")
	w.run(2 * time.Hour)
	w.want(Done, "e2026a")
	if !slices.Equal(w.host.calls, []string{"e2026a._domainkey.example.test", "mail._domainkey.example.test"}) {
		t.Errorf("published %v", w.host.calls)
	}
	if got := w.zone.records["ns2.test"]["mail._domainkey.example.test"]; !slices.Equal(got, []string{RevokedRecord}) {
		t.Errorf("the old record is %v", got)
	}
	var states []string
	for _, e := range w.notes.log {
		states = append(states, e.After)
		if e.Action != spool.ActionRotate || e.Where != "mail._domainkey.example.test" || e.Reason == "" {
			t.Errorf("review log: %+v", e)
		}
	}
	if got := strings.Join(states, " "); got != "publishing publishing holding signing revoking revoking done" {
		t.Errorf("review log: %s", got)
	}
	if w.notes.log[0].Actor != "ann" {
		t.Errorf("begun by %s", w.notes.log[0].Actor)
	}
	// The old key file may go now.
	if err := os.Remove(w.site.Keys[0].File); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.want(Done, "e2026a")
}

// Without one it says what to publish, once a day, and waits for as long as it takes.
func TestWithoutPublisher(t *testing.T) {
	w := newWorld(t)
	w.rotate()
	w.run(3*day - time.Hour)
	w.want(Publishing, "mail")
	if n := strings.Count(w.log.String(), "you have to publish"); n != 3 {
		t.Errorf("said %d times in three days what to publish\n%s", n, w.log.String())
	}
	w.show("ns1.test")
	w.run(day)
	w.want(Publishing, "mail")
	if have, of := w.rotation().HaveIt(); have != 1 || of != 2 {
		t.Errorf("seen on %d of %d", have, of)
	}
	w.show()
	w.run(30 * time.Minute)
	w.want(Signing, "e2026a/mail")
	w.run(8 * day)
	w.want(Revoking, "e2026a")
	w.zone.set("mail._domainkey.example.test", "") // taken away is as good
	w.run(30 * time.Minute)
	w.want(Done, "e2026a")
}

// What keeps the new key from signing, and what only delays it.
func TestNotBeforeItIsEverywhere(t *testing.T) {
	const soon = 12 * time.Minute // the TTL, and the looks around it
	other := func(w *world) string { return strings.Replace(w.rotation().Record, "p=", "p=AA", 1) }
	for name, tt := range map[string]struct {
		do   func(w *world) // begins when the record is everywhere and held for a minute
		want State
	}{
		"nothing":                  {func(*world) {}, Signing},
		"a server lost it":         {func(w *world) { w.hide("ns2.test") }, Publishing},
		"both lost it":             {func(w *world) { w.hide() }, Publishing},
		"a server has another key": {func(w *world) { w.zone.set(w.rotation().NewName(), other(w), "ns1.test") }, Publishing},
		"a server has it revoked":  {func(w *world) { w.zone.set(w.rotation().NewName(), RevokedRecord, "ns1.test") }, Publishing},
		"a server has two records": {func(w *world) {
			w.zone.records["ns1.test"][w.rotation().NewName()] = []string{w.rotation().Record, "x"}
		}, Publishing},
		"a server is silent":          {func(w *world) { w.zone.silent["ns1.test"] = true }, Holding},
		"all are silent":              {func(w *world) { w.zone.silent["ns1.test"], w.zone.silent["ns2.test"] = true, true }, Holding},
		"port 53 is shut":             {func(w *world) { w.zone.outward = "shut" }, Holding},
		"the old record's TTL grows":  {func(w *world) { w.zone.ttl["mail._domainkey.example.test"] = day }, Holding},
		"the key file is gone":        {func(w *world) { os.Remove(w.rotation().New.File) }, Holding},
		"the store takes nothing":     {func(w *world) { w.notes.fail = errDown }, Holding},
		"the configuration drops it":  {func(w *world) { w.site.Keys = nil }, Holding},
		"the old record is gone":      {func(w *world) { w.zone.set("mail._domainkey.example.test", "") }, Signing},
		"a restart loses no progress": {func(w *world) { w.run(2 * time.Minute); w.start() }, Signing},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.rotate()
			w.show()
			w.run(75 * time.Second)
			w.want(Holding, "mail")
			tt.do(w)
			w.run(soon)
			if r := w.rotation(); r.State != tt.want {
				t.Fatalf("%s (%s), want %s\n%s", r.State, r.Problem, tt.want, w.lastLines())
			}
			if tt.want == Holding && w.rotation().Problem == "" && name != "the old record's TTL grows" && name != "the store takes nothing" {
				t.Error("it doesn't say why it waits")
			}
		})
	}
}

// A break in the record's visibility begins the wait anew, silence only stretches it.
func TestHoldBeginsAnew(t *testing.T) {
	w := newWorld(t)
	w.zone.ttl["mail._domainkey.example.test"] = time.Hour
	w.rotate()
	w.show()
	w.run(50 * time.Minute)
	w.hide("ns2.test")
	w.run(6 * time.Minute)
	w.want(Publishing, "mail")
	w.show()
	w.run(55 * time.Minute)
	w.want(Holding, "mail")
	w.zone.silent["ns1.test"] = true
	w.run(2 * time.Hour)
	w.want(Holding, "mail")
	w.zone.silent["ns1.test"] = false
	w.run(20 * time.Minute)
	w.want(Signing, "e2026a/mail")
}

// A clock that jumps shortens neither wait by more than a look's worth, whichever way.
func TestClockJumps(t *testing.T) {
	w := newWorld(t)
	w.zone.ttl["mail._domainkey.example.test"] = 2 * day
	w.rotate()
	w.show()
	w.run(time.Hour)
	for _, jump := range []time.Duration{10 * day, -20 * day, 400 * day} {
		w.now = w.now.Add(jump)
		w.run(time.Hour)
		w.want(Holding, "mail")
	}
	w.run(2 * day)
	w.want(Signing, "e2026a/mail")
	w.now = w.now.Add(400 * day)
	w.run(time.Hour)
	w.start()
	w.now = w.now.Add(400 * day)
	w.run(6 * day)
	w.want(Signing, "e2026a/mail")
	w.run(day + time.Hour)
	w.want(Revoking, "e2026a")
}

// While the new record is gone the old key signs: its grace begins anew, and it isn't
// revoked.
func TestGraceBeginsAnew(t *testing.T) {
	w := newWorld(t)
	w.rotate()
	w.show()
	w.run(20 * time.Minute)
	w.want(Signing, "e2026a/mail")
	w.run(6 * day)
	w.hide("ns1.test")
	w.run(3 * day)
	w.want(Signing, "e2026a/mail")
	if r := w.rotation(); !strings.Contains(r.Problem, "gone from ns1.test") {
		t.Errorf("it says %q", r.Problem)
	}
	w.zone.set("e2026a._domainkey.example.test", w.rotation().Record)
	w.run(6 * day)
	w.want(Signing, "e2026a/mail")
	w.run(2 * day)
	w.want(Revoking, "e2026a")
}

// Failures of the DNS host are told and tried again, ever more slowly.
func TestPublisherFails(t *testing.T) {
	w := newWorld(t)
	w.host = &host{zone: w.zone, fail: errors.New("no login")}
	w.rotate()
	if r := w.rotation(); r.Publisher.Error != "no login" || r.Publisher.Failures != 1 {
		t.Errorf("%+v", r.Publisher)
	}
	w.run(day)
	w.want(Publishing, "mail")
	if n := len(w.host.calls); n < 20 || n > 40 {
		t.Errorf("tried %d times in a day", n)
	}
	w.host.fail = nil
	w.host.lazy = true // takes it, and the servers don't have it for long
	w.run(2 * time.Hour)
	w.want(Publishing, "mail")
	if r := w.rotation(); r.Publisher.Error != "" || !r.Publisher.Written {
		t.Errorf("%+v", r.Publisher)
	}
	written := 0
	for _, e := range w.notes.log {
		if strings.HasPrefix(e.Reason, "published ") {
			written++
		}
	}
	if written != 1 {
		t.Errorf("the review log has it written %d times", written)
	}
	w.show()
	w.run(time.Hour)
	w.want(Signing, "e2026a/mail")
}

// The old key isn't revoked while the gateway may still sign with it.
func TestNoRevocationBehind(t *testing.T) {
	w := newWorld(t)
	w.host = &host{zone: w.zone}
	w.site.Grace = 6 * time.Hour
	w.rotate()
	w.run(5 * time.Minute)
	w.applies = errDown
	w.run(day)
	w.want(Signing, "mail")
	w.applies = nil
	w.run(time.Hour)
	w.want(Signing, "e2026a/mail")
	w.run(4 * time.Hour)
	w.applies = errDown
	w.run(day)
	w.want(Revoking, "e2026a/mail")
	if got := w.zone.records["ns1.test"]["mail._domainkey.example.test"][0]; got == RevokedRecord {
		t.Error("the old key is revoked, and still in use")
	}
	w.applies = nil
	w.run(time.Hour)
	w.want(Done, "e2026a")
}

// A process killed at any point goes on where it was.
func TestKilledAnywhere(t *testing.T) {
	for _, point := range CrashPoints() {
		t.Run(point, func(t *testing.T) {
			w := newWorld(t)
			w.host = &host{zone: w.zone}
			w.crash = point
			w.rotate()
			if w.rotation().State == "" { // killed before it was kept: ordered again
				w.rotate()
			}
			w.run(20 * day)
			if w.crash != "" {
				t.Fatal("the point was never passed")
			}
			selector := "e2026a"
			if point == "rotate-key-written" {
				selector = "e2026b" // the file of the first is there, and nobody's
			}
			w.want(Done, selector)
		})
	}
	w := newWorld(t)
	w.host = &host{zone: w.zone}
	w.rotate()
	w.run(20 * day)
	for name := range w.passed {
		if !slices.Contains(CrashPoints(), name) {
			t.Errorf("crash point %s isn't named", name)
		}
	}
}

// A store that takes nothing changes nothing, at each step.
func TestStoreFails(t *testing.T) {
	w := newWorld(t)
	w.host = &host{zone: w.zone}
	w.site.Grace = 6 * time.Hour
	w.notes.fail = errDown
	if _, err := w.engine.Rotate(t.Context(), Order{Domain: domain}); !errors.Is(err, errDown) {
		t.Fatalf("began with %v", err)
	}
	if files, _ := os.ReadDir(w.dir); len(files) != 1 {
		t.Errorf("it left %v", files)
	}
	w.notes.fail = nil
	w.rotate()
	for _, state := range []State{Holding, Signing, Revoking, Done} {
		before := w.rotation().State
		w.notes.fail = errDown
		w.run(12 * time.Hour)
		if r := w.rotation(); r.State != before {
			t.Fatalf("%s became %s, and nothing was kept", before, r.State)
		}
		w.notes.fail = nil
		for range 10_000 {
			if w.rotation().State == state {
				break
			}
			w.now = w.now.Add(max(w.turn(), time.Second))
		}
	}
	w.want(Done, "e2026a")
}
