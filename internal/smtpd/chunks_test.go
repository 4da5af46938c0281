package smtpd

import (
	"fmt"
	"strings"
	"testing"
)

// A message may have more chunks than there may be commands, as long as they carry
// something; those that don't are counted.
func TestManyChunks(t *testing.T) {
	r := start(t, func(c *Config, _ *Listener) { c.Limits.Commands = 50 })
	k := r.talk(t)
	message := sized(200 * fullChunk)
	for range 2 {
		k.envelope()
		if got := k.chunks(message, fullChunk, true); !strings.HasPrefix(got, "250 2.0.0 taken") {
			t.Fatal(got)
		}
		if _, content := r.spool.last(t); content != message {
			t.Error("content differs")
		}
	}
	for size, times := range map[int]int{0: 46, fullChunk - 1: 46} {
		k := r.talk(t)
		k.envelope()
		for range times {
			k.send(fmt.Sprintf("BDAT %d\r\n%s", size, strings.Repeat("x", size)))
			k.want("250 2.0.0")
		}
		k.send("BDAT 0\r\n")
		k.want("250 2.0.0")
		k.send("BDAT 0 LAST\r\n")
		k.want("421 4.7.0 too many commands")
		k.closed()
	}
}
