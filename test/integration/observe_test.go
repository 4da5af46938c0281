//go:build integration

package integration

import (
	"bytes"
	"testing"
)

// TestObserve: in observe mode nothing is held, and what was predicted comes true:
// the receiver refuses, and the sender gets a bounce.
func TestObserve(t *testing.T) {
	w := newWorld(t, plan{ours: []string{"bad.test"}, publish: unauthenticated, mode: "observe"})
	const from, google, other = "ann@bad.test", "bob@gmail.com", "cid@other.test"
	w.receiver.refuse(google)
	message := compose(from, google, "observed", "Hello.\r\n")
	w.submit(t, from, []string{other}, message)
	wantOriginal(t, w.receiver.only(t, other), message, 2)
	w.submit(t, from, []string{google}, message)
	if bounce := w.receiver.only(t, from); !bytes.Contains(bounce.raw, []byte("5.7.26")) {
		t.Errorf("the sender is told\n%s", bounce.raw)
	}
	w.gate.noneHeld(t)
}
