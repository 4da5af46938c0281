package main

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
)

// TestCrashRelay kills the whole gateway again and again while the relay takes mail,
// delivers it itself, tries it again, returns it, and holds what a receiver refuses;
// and balances what clients were promised against what receivers took. First one
// message is under way at a time, so that of each point it is known whether an answer
// may be in flight there. Then, at random moments, there are many, beside those of
// the milter.
func TestCrashRelay(t *testing.T) {
	var mu sync.Mutex
	var total relaySums
	run := func(t *testing.T, name string, single bool, lives []crashStep) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rand.Shuffle(len(lives), func(i, j int) { lives[i], lives[j] = lives[j], lives[i] })
			s := crashRelayStore(t, single, lives)
			mu.Lock()
			defer mu.Unlock()
			total.add(s)
		})
	}
	single, random := relayLives()
	t.Run("stores", func(t *testing.T) {
		for i, lives := range single {
			run(t, "point"+strconv.Itoa(i), true, lives)
		}
		for i, lives := range random {
			run(t, "random"+strconv.Itoa(i), false, lives)
		}
	})
	t.Log(total)
}

// crashRelayStore kills the gateways of one store, lets the last one work in peace,
// and balances the books.
func crashRelayStore(t *testing.T, single bool, lives []crashStep) relaySums {
	w := newCrashWorld(t)
	w.single, w.digests = single, ""
	load := w.startRelayLoad()
	defer load.abort()
	for _, step := range lives {
		w.kill(step)
	}
	w.lastLife(load)
	w.audit()
	return w.auditRelay()
}
