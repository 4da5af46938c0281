package relay

import "sync"

// deciding keeps one message from being given up and let go at the same time. The zero
// value is ready for use.
type deciding struct {
	mu     sync.Mutex
	giving map[string]bool // ids of messages that are being given up by hand
	moving map[string]int  // how many others move recipients of a message
}

// give begins to give a message up; done ends it.
func (d *deciding) give(id string) (done func(), err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.giving[id]:
		return nil, conflict("somebody is giving up " + id + " already")
	case d.moving[id] > 0:
		return nil, conflict("somebody is releasing, discarding or returning " + id + " at this moment")
	case d.giving == nil:
		d.giving = map[string]bool{}
	}
	d.giving[id] = true
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.giving, id)
	}, nil
}

// Moving keeps a message from being given up until done is called: somebody moves
// what is held of it. ErrConflict, without done, while it is being given up: its sender
// may have been told already that it failed.
func (e *Engine) Moving(id string) (done func(), err error) {
	d := &e.deciding
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.giving[id]:
		return nil, conflict("somebody is giving up " + id + " at this moment")
	case d.moving == nil:
		d.moving = map[string]int{}
	}
	d.moving[id]++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.moving[id]--; d.moving[id] == 0 {
			delete(d.moving, id)
		}
	}, nil
}
