package relay

import (
	"testing"

	"mailgate/internal/mail"
)

// BenchmarkDeliver is from a full queue through to a server on this machine: claim,
// transaction and settling, each message by itself.
func BenchmarkDeliver(b *testing.B) {
	for _, domains := range []int{1, 50} {
		b.Run(map[int]string{1: "one destination", 50: "50 destinations"}[domains], func(b *testing.B) {
			w := newWorld(b)
			sink := startBox(b, &box{})
			for i := range domains {
				d := mail.Domain("d" + string(rune('a'+i%26)) + string(rune('a'+i/26)) + ".example")
				w.mx[d] = []MX{{"mx." + d, 10}}
				w.hosts["mx."+d] = append(w.hosts["mx."+d], addr("203.0.113.5"))
				w.boxes[addr("203.0.113.5")] = sink
			}
			for i := range b.N {
				i %= domains
				w.queue(nil, "bob@d"+string(rune('a'+i%26))+string(rune('a'+i/26))+".example")
			}
			b.ResetTimer()
			w.pass()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			if n := len(sink.got()); n != b.N {
				b.Errorf("%d of %d arrived", n, b.N)
			}
		})
	}
}
