package main

import "slices"

const (
	crashRelayLanes  = 2
	crashRelayRounds = 25 // rounds through the steps for one store, at most
)

// atDot is where a receiver kills the gateway: it has read the final dot, and has
// not answered.
const atDot = "dot"

// relaySteps has every step of a message through the relay. These lives see one
// message at a time; see settledPoints.
func relaySteps() []crashStep {
	return []crashStep{
		{point: "take", passes: 3},
		{point: "claim", passes: 6},
		{point: "deliver-claimed", passes: 6},
		{point: "deliver-sending", passes: 5},
		{point: atDot, passes: 4},
		{point: "deliver-answered", passes: 5},
		{point: "deliver-reported", passes: 1},
		{point: "settle", passes: 5},
		{point: "deliver-settled", passes: 5},
		{point: "defer", passes: 2},
		{point: "move", passes: 1},
		{point: "void", atStart: "deliver-sending"},
		{point: "before-commit", passes: 20},
		{point: "after-commit", passes: 20},
	}
}

// settledPoints are those at which no answer of a receiver is in flight, as long as
// there is one message at a time.
var settledPoints = []string{"claim", "deliver-claimed", "deliver-sending", "deliver-settled", "defer", "move", "void"}

// reportPoints are those at which a report may be in custody about a recipient that
// is still queued.
var reportPoints = []string{"deliver-reported", "settle", "before-commit", "after-commit"}

// unsettled reports whether a receiver's answer may be in flight at a point.
func unsettled(point string) bool { return !slices.Contains(settledPoints, point) }

// relayLives deals the lives out to stores: first those with one message at a time,
// then those that end at random moments.
func relayLives() (single, random [][]crashStep) {
	for round := range *crashKills {
		if round%crashRelayRounds == 0 {
			single = append(single, make([][]crashStep, crashRelayLanes)...)
		}
		newest := single[len(single)-crashRelayLanes:]
		for i, step := range relaySteps() {
			newest[i%crashRelayLanes] = append(newest[i%crashRelayLanes], step)
		}
	}
	const most = 250 // for one store
	for i := range *crashRandom {
		if i%most == 0 {
			random = append(random, nil)
		}
		random[i/most] = append(random[i/most], crashStep{large: 0.02})
	}
	return single, random
}
