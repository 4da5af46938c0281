package tlsreport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"mailgate/internal/mail"
)

// Notes are named "2026-11-21 count 7" for a page, and "2026-11-21 sent example.net"
// for where a report went.
const (
	noteCount = "count"
	noteSent  = "sent"
)

func noteName(day Day, what, of string) string { return string(day) + " " + what + " " + of }

// mark says where a domain's report of a day went.
type mark struct {
	To []string `json:"to"` // URIs, also one that was being tried when the process ended
}

// Flush keeps what was counted since the last time.
func (r *Reports) Flush(ctx context.Context) error {
	r.keeping.Lock()
	defer r.keeping.Unlock()
	var failures []error
	for _, n := range r.changed() {
		if err := r.o.Memory.Keep(ctx, n.Note); err != nil {
			failures = append(failures, err)
			r.touch(n.day, n.page)
		}
	}
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("keep what TLS reports will say: %w", err)
	}
	return nil
}

type pageNote struct {
	Note
	day  Day
	page int
}

// changed are the pages to be kept, which count as kept from now on.
func (r *Reports) changed() []pageNote {
	r.mu.Lock()
	defer r.mu.Unlock()
	var notes []pageNote
	for day, b := range r.books {
		for i := range b.pages {
			p := &b.pages[i]
			if !p.dirty {
				continue
			}
			p.dirty = false
			data, err := json.Marshal(p.results)
			if err != nil { // strings and numbers
				r.log.Error("what was counted for TLS reports can't be written", "day", day, "error", err)
				continue
			}
			notes = append(notes, pageNote{Note{noteName(day, noteCount, strconv.Itoa(i)), data, day.forgotten()}, day, i})
		}
	}
	return notes
}

func (r *Reports) touch(day Day, page int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.books[day]; b != nil {
		b.pages[page].dirty = true
	}
}

func (r *Reports) recall(ctx context.Context) error {
	notes, err := r.o.Memory.Recall(ctx)
	if err != nil {
		return fmt.Errorf("recall what TLS reports will say: %w", err)
	}
	for _, n := range notes {
		if err := r.read(n); err != nil {
			r.log.WarnContext(ctx, "a remembered part of TLS reports can't be read", "note", n.Name, "error", err)
		}
	}
	return nil
}

var errNote = errors.New("its name says nothing")

func (r *Reports) read(n Note) error {
	name := strings.Fields(n.Name)
	if len(name) != 3 || Day(name[0]).start().IsZero() {
		return errNote
	}
	day := Day(name[0])
	switch name[1] {
	case noteSent:
		m := &mark{}
		if err := json.Unmarshal(n.Data, m); err != nil {
			return err
		}
		r.marksOf(day)[mail.Domain(name[2])] = m
		return nil
	case noteCount:
		return r.readPage(day, name[2], n.Data)
	}
	return errNote
}

func (r *Reports) readPage(day Day, number string, data []byte) error {
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= pages {
		return errNote
	}
	results := map[mail.Domain][]*result{}
	if err := json.Unmarshal(data, &results); err != nil {
		return err
	}
	maps.DeleteFunc(results, func(d mail.Domain, _ []*result) bool { return pageOf(d) != i })
	b := r.books[day]
	if b == nil {
		b = &book{}
		r.books[day] = b
	}
	b.pages[i].results = results
	b.domains += len(results)
	return nil
}

// marksOf returns where reports of a day went. r.mu is held, or nobody else is here yet.
func (r *Reports) marksOf(day Day) map[mail.Domain]*mark {
	if r.sent[day] == nil {
		r.sent[day] = map[mail.Domain]*mark{}
	}
	return r.sent[day]
}

// drop forgets what was counted on a day.
func (r *Reports) drop(ctx context.Context, day Day) {
	r.keeping.Lock()
	defer r.keeping.Unlock()
	r.mu.Lock()
	b := r.books[day]
	delete(r.books, day)
	delete(r.turns, day)
	r.mu.Unlock()
	if b == nil {
		return
	}
	for i := range b.pages {
		if b.pages[i].results == nil {
			continue
		}
		if err := r.o.Memory.Forget(ctx, noteName(day, noteCount, strconv.Itoa(i))); err != nil {
			r.log.WarnContext(ctx, "what was counted for TLS reports isn't forgotten yet", "day", day, "error", err)
		}
	}
}
