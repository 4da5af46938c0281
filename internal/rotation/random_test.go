package rotation

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// everywhere follows since when each look found the new record at both servers.
// Silence is no break: nothing was seen to be gone.
type everywhere struct {
	w      *world
	since  time.Time     // by the true clock
	jumped time.Duration // that the gateway's is ahead of it
}

func (e *everywhere) now() time.Time { return e.w.now.Add(-e.jumped) }

func (e *everywhere) looked(name string) {
	r := e.w.rotation()
	if r.State == "" || name != r.NewName() {
		return
	}
	all := true
	for server, records := range e.w.zone.records {
		has := len(records[name]) == 1 && sameKey(records[name][0], r.Record) == ""
		switch {
		case e.w.zone.silent[server]:
			all = false
		case !has:
			e.since = time.Time{}
			return
		}
	}
	if all && e.since.IsZero() {
		e.since = e.now()
	}
}

// Whatever happens in whatever order, the new key signs only after its record was
// everywhere for longer than the old one's TTL, and with peace it comes to its end.
func TestAnyOrder(t *testing.T) {
	const rounds = 30
	switched := 0
	for seed := range uint64(rounds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 6))
			w := newWorld(t)
			if random.IntN(2) == 0 {
				w.host = &host{zone: w.zone}
			}
			held := &everywhere{w: w}
			w.zone.looked = held.looked
			servers := []string{"ns1.test", "ns2.test"}
			one := func() string { return servers[random.IntN(2)] }
			points := CrashPoints()
			events := []func(){
				func() { w.show() }, func() { w.show() },
				func() { w.show(one()) }, func() { w.hide(one()) },
				func() { s := one(); w.zone.silent[s] = !w.zone.silent[s] },
				func() {
					if w.notes.fail != nil { // what it saw meanwhile would be lost
						w.notes.fail = nil
						w.run(2 * time.Minute)
					}
					w.start()
				},
				func() {
					if w.notes.fail == nil {
						w.crash = points[random.IntN(len(points))]
					}
				},
				func() {
					if w.notes.fail = nil; random.IntN(3) == 0 {
						w.notes.fail, w.crash = errDown, ""
					}
				},
				func() {
					jump := time.Duration(random.IntN(96)-48) * time.Hour
					w.now, held.jumped = w.now.Add(jump), held.jumped+jump
				},
				func() {
					if w.applies = nil; random.IntN(3) == 0 {
						w.applies = errDown
					}
				},
				func() {
					if w.host != nil {
						w.host.lazy = random.IntN(2) == 0
					}
				},
				func() { w.zone.ttl["mail._domainkey.example.test"] = time.Duration(1+random.IntN(60)) * time.Minute },
			}
			w.rotate()
			was := "mail"
			for range 80 {
				if w.rotation().State == "" {
					w.notes.fail = nil
					w.rotate()
				}
				event := events[random.IntN(len(events))]
				if w.rotation().State.Switched() { // the rest is about the old key: let it be
					break
				}
				event()
				for range random.IntN(12) {
					life := w.rotation().OldLife
					w.run(time.Duration(1+random.IntN(240)) * time.Second)
					if w.rotation().State.Switched() && was == "mail" {
						was = "next"
						switched++
						if held.since.IsZero() || w.rotation().Switched.Add(-held.jumped).Sub(held.since) <= min(life, w.rotation().OldLife) {
							t.Fatalf("%v: switched, and the record was everywhere only since %v, with a TTL of %v", w.rotation().Switched, held.since, life)
						}
					}
				}
			}
			w.peace()
			w.run(20 * day)
			if r := w.rotation(); r.State != Done && r.State != Revoking || w.selectors() != r.New.Selector {
				t.Fatalf("at peace it is %s (%s), and %s signs\n%s", r.State, r.Problem, w.selectors(), w.lastLines())
			}
		})
	}
	if switched == 0 {
		t.Error("none switched amid the trouble: the test looks at nothing")
	}
}

func (w *world) peace() {
	w.notes.fail, w.applies, w.crash = nil, nil, ""
	clear(w.zone.silent)
	if w.host != nil {
		w.host.lazy, w.host.fail = false, nil
	}
	if r := w.rotation(); !r.State.Switched() {
		w.show()
	} else {
		w.zone.set(r.NewName(), r.Record)
	}
}
