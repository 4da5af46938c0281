package main

import (
	"slices"
	"testing"

	"mailgate/internal/quarantine"
	"mailgate/internal/relay"
	"mailgate/internal/store"
)

const (
	crashLanes  = 6  // stores that are worked on side by side, each with its crash points
	crashRounds = 25 // rounds through them for one store, at most
	crashStarts = 20 // until a point comes while a gateway starts
)

// crashStep is one life of a gateway, and how it ends.
type crashStep struct {
	point   string  // where it is killed; empty: at a random moment
	passes  int     // at most so many passes of the point before
	atStart string  // another point, where it is killed first; then point comes while it starts, or not at all
	large   float64 // share of letters of several pieces
	hold    string  // further lines of [hold]
	sick    bool    // no sender's domain is mended
}

const (
	shortLife = "max_age = \"400ms\"\n"
	soonTold  = "notify_after = \"100ms\"\n"
	noMemory  = "keep_bodies = \"1ms\"\nkeep_log = \"1ms\"\n"
)

// crashSteps has every crash point that a gateway passes, but for those of the relay;
// see TestCrashPoints.
func crashSteps() []crashStep {
	return []crashStep{
		{point: "take", passes: 10},
		{point: "chunk", passes: 4, large: 0.3},
		{point: "move", passes: 10},
		{point: "token", passes: 5},
		{point: "redeem", passes: 5},
		{point: "mark", passes: 1},
		{point: "purge", passes: 1, hold: "keep_bodies = \"1ms\"\n"},
		{point: "drop", passes: 4, large: 0.3, atStart: "chunk"},
		{point: "shrink", passes: 2, hold: noMemory},
		{point: "trim", hold: noMemory},
		{point: "trim-log", passes: 1, hold: noMemory},
		{point: "trim-messages", passes: 1, hold: noMemory},
		{point: "sweep", passes: 1, hold: noMemory},
		{point: "index", passes: 3},
		{point: "before-commit", passes: 20},
		{point: "after-commit", passes: 20},
		{point: "before-checkpoint", passes: 3},
		{point: "after-checkpoint", passes: 3},
		{point: "release-claimed", passes: 5},
		{point: "release-sent", passes: 5},
		{point: "release-settled", passes: 5},
		{point: "expire-claimed", passes: 3, hold: shortLife, sick: true},
		{point: "expire-sent", passes: 3, hold: shortLife, sick: true},
		{point: "expire-settled", passes: 3, hold: shortLife, sick: true},
		{point: "notice-sent", passes: 3, hold: soonTold, sick: true},
		{point: "digest-sent", passes: 1},
	}
}

// TestCrashPoints compares the steps with the points that the packages have.
func TestCrashPoints(t *testing.T) {
	var points []string
	for _, step := range slices.Concat(crashSteps(), relaySteps()) {
		if step.point != atDot {
			points = append(points, step.point)
		}
	}
	slices.Sort(points)
	points = slices.Compact(points)
	want := slices.Concat(store.CrashPoints(), quarantine.CrashPoints(), relay.CrashPoints())
	slices.Sort(want)
	if !slices.Equal(points, want) {
		t.Errorf("the steps have %q, the packages %q", points, want)
	}
}

// atRandom is a life with a bit of everything.
func atRandom() crashStep {
	return crashStep{large: 0.02, hold: "max_age = \"400ms\"\nnotify_after = \"200ms\"\nkeep_bodies = \"500ms\"\nkeep_log = \"700ms\"\n"}
}

// crashLives deals the lives out to stores.
func crashLives() [][]crashStep {
	var stores [][]crashStep
	for round := range *crashKills {
		if round%crashRounds == 0 {
			stores = append(stores, make([][]crashStep, crashLanes)...)
		}
		newest := stores[len(stores)-crashLanes:]
		for i, step := range crashSteps() {
			newest[i%crashLanes] = append(newest[i%crashLanes], step)
		}
	}
	for i := range *crashRandom {
		stores[i%len(stores)] = append(stores[i%len(stores)], atRandom())
	}
	return stores
}
