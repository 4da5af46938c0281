package rotation

import (
	"testing"
	"time"
)

// The old key's grace begins anew when it stood in between two looks, too; also when
// the gateway stops right after, and when DNS is silent at that moment.
func TestStoodInBetweenLooks(t *testing.T) {
	for name, after := range map[string]func(w *world){
		"nothing more": func(*world) {},
		"a restart":    func(w *world) { w.turn(); w.start() },
		"silence": func(w *world) {
			w.zone.silent["ns1.test"] = true
			w.turn()
			w.start()
			w.zone.silent["ns1.test"] = false
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.rotate()
			w.show()
			w.run(20 * time.Minute)
			w.want(Signing, "e2026a/mail")
			for w.rotation().Waited < w.site.Grace-30*time.Minute {
				w.now = w.now.Add(w.turn())
			}
			w.now = w.now.Add(5 * time.Minute)
			w.engine.StoodIn(domain, "MAIL")
			after(w)
			w.run(6 * day)
			w.want(Signing, "e2026a/mail")
			w.run(day + time.Hour)
			w.want(Revoking, "e2026a")
			w.engine.StoodIn(domain, "mail") // too late, and nobody's
			w.engine.StoodIn("other.test", "mail")
			w.want(Revoking, "e2026a")
		})
	}
}

// Time counts between two looks at which every name server had the record: silence of
// one stops the clock.
func TestSilenceCountsForNothing(t *testing.T) {
	w := newWorld(t)
	w.zone.ttl[atOld] = 5 * time.Minute
	w.rotate()
	w.show()
	w.run(time.Minute)
	w.want(Holding, "mail")
	for range 40 { // every other look has no answer from one
		w.zone.silent["ns1.test"] = !w.zone.silent["ns1.test"]
		w.now = w.now.Add(w.turn())
	}
	w.want(Holding, "mail")
	w.zone.silent["ns1.test"] = false
	w.run(7 * time.Minute)
	w.want(Signing, "e2026a/mail")
}
