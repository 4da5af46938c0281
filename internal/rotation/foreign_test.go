package rotation

import (
	"strings"
	"testing"
	"time"
)

const (
	atOld = "mail._domainkey.example.test"
	atNew = "e2026a._domainkey.example.test"
	other = "v=DKIM1; k=ed25519; p=OTHERGATEWAY"
)

// What somebody else has put at a name is never overwritten, neither by the publisher
// nor by people who do as they are told.
func TestForeignRecords(t *testing.T) {
	signing := func(w *world) { w.run(3 * day); w.want(Signing, "e2026a/mail") }
	for name, tt := range map[string]struct {
		do    func(w *world)
		at    string
		state State // after ten days
		then  func(w *world)
		ends  State
	}{
		"the old name has another key": {func(w *world) { signing(w); w.zone.set(atOld, other) }, atOld,
			Revoking, func(w *world) { w.zone.set(atOld, "") }, Done},
		"on one server": {func(w *world) { signing(w); w.zone.set(atOld, other, "ns2.test") }, atOld,
			Revoking, func(w *world) { w.zone.set(atOld, "") }, Done},
		"beside the old key": {func(w *world) {
			signing(w)
			w.zone.records["ns1.test"][atOld] = append(w.zone.records["ns1.test"][atOld], other)
		}, atOld, Revoking, func(w *world) { w.zone.set(atOld, "") }, Done},
		"it stays": {func(w *world) { signing(w); w.zone.set(atOld, other) }, atOld,
			Revoking, func(w *world) {
				if _, err := w.engine.Cancel(w.t.Context(), Order{Domain: domain}); err != nil {
					w.t.Error(err)
				}
			}, Done},
		"the new name has another key": {func(w *world) { w.run(time.Minute); w.want(Holding, "mail"); w.zone.set(atNew, other) }, atNew,
			Publishing, func(w *world) { w.zone.set(atNew, "") }, Done},
		"the new key was revoked": {func(w *world) { w.run(time.Minute); w.zone.set(atNew, RevokedRecord) }, atNew,
			Publishing, func(w *world) { w.zone.set(atNew, "") }, Done},
	} {
		for _, published := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				w.host = &host{zone: w.zone}
				w.rotate()
				tt.do(w)
				before := w.zone.records["ns2.test"][tt.at]
				if !published {
					w.host = nil
				}
				w.run(10 * day)
				r := w.rotation()
				if r.State != tt.state || !strings.Contains(r.Problem, tt.at+" holds something else") || len(r.Foreign) == 0 {
					t.Fatalf("%s (%s, %q)", r.State, r.Problem, r.Foreign)
				}
				if got := w.zone.records["ns2.test"][tt.at]; got[0] != before[0] {
					t.Errorf("%s was overwritten: %q", tt.at, got)
				}
				if n := strings.Count(w.log.String(), "it waits for you"); n < 2 || n > 12 {
					t.Errorf("said %d times in ten days", n)
				}
				w.host = &host{zone: w.zone}
				tt.then(w)
				w.run(20 * day)
				w.want(tt.ends, "e2026a")
			})
		}
	}
}

// Its own record in another spelling, and what a wildcard shows, are no obstacle.
func TestOwnRecordsAreReplaced(t *testing.T) {
	w := newWorld(t)
	w.host = &host{zone: w.zone}
	w.zone.set(atNew, "v=spf1 -all")
	w.zone.set(wildcardProbe+"._domainkey.example.test", "v=spf1 -all")
	w.rotate()
	w.run(time.Minute)
	w.want(Holding, "mail")
	w.zone.set(atNew, strings.Replace(w.rotation().Record, "v=DKIM1;", "v=DKIM1; t=y;", 1))
	w.run(time.Hour)
	w.want(Signing, "e2026a/mail")
	w.zone.set(atOld, strings.Replace(w.zone.records["ns1.test"][atOld][0], "; ", ";t=y ;", 1))
	w.run(8 * day)
	w.want(Done, "e2026a")
}
