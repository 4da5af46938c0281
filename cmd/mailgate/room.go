package main

import (
	"context"
	"fmt"

	"mailgate/internal/web"
)

// storeFull reports whether what would be held is answered 452.
func (g *gateway) storeFull() bool {
	u, err := g.store.Usage(context.Background())
	return err == nil && u.Full
}

// storeStatus is the room the store takes. It is zero but for Stopped when the store
// tells nothing any more.
func (g *gateway) storeStatus() web.StoreStatus {
	u, err := g.store.Usage(context.Background())
	if err != nil {
		return web.StoreStatus{Stopped: true}
	}
	return web.StoreStatus{Used: u.Used, Max: u.Max, File: u.File, Full: u.Full, Refused: u.Refused}
}

// storeLine tells it in one line.
func storeLine(s web.StoreStatus) string {
	if s.Stopped {
		return "store: stopped: nothing is taken or released; see the log, and start mailgate again"
	}
	line := "store: " + bytesText(s.Used) + " used"
	if s.Max > 0 {
		line += " of " + bytesText(s.Max)
	}
	line += ", " + bytesText(s.File) + " on disk"
	if s.Full {
		line += "; full: mail that would be held is answered 452"
	}
	if s.Refused > 0 {
		line += fmt.Sprintf("; %s answered 452 since the start", count(int(s.Refused), "message", "messages"))
	}
	return line
}
