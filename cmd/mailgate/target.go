package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
)

// guardWord stands for everything the filters select; it is said in full, so that a
// forgotten id or an empty variable never means all mail.
const guardWord = "ALL"

// checkTargets refuses arguments whose meaning could be guessed wrongly. It reports
// whether the guard word was given.
func checkTargets(args []string, f *filters) (all bool, err error) {
	path := f.cmd.CommandPath()
	all = slices.Contains(args, guardWord)
	given := strings.Join(f.given(), " ")
	switch {
	case all && len(args) > 1:
		return false, usageError(fmt.Errorf("%s and ids don't go together: %s stands for everything the filters select", guardWord, guardWord))
	case all:
		return true, nil
	case given != "" && len(args) > 0:
		return false, usageError(fmt.Errorf("filters and ids don't go together: an id names its message, filters go with %s:\n  %s %s %s", guardWord, path, guardWord, given))
	case given != "":
		return false, usageError(fmt.Errorf("filters alone do nothing; say %s to mean everything they select:\n  %s %s %s", guardWord, path, guardWord, given))
	case len(args) == 0:
		return false, usageError(fmt.Errorf("which? Give ids, or %s with or without filters\nusage: %s", guardWord, f.cmd.UseLine()))
	}
	for _, arg := range args {
		if strings.EqualFold(arg, guardWord) {
			return false, usageError(fmt.Errorf("%q is no id; to mean everything the filters select, write %s", arg, guardWord))
		}
	}
	return false, nil
}

// target is one message to act on, with what is known of it.
type target struct {
	id      string
	to      []string            // recipients; empty: all that it can be about
	message *quarantine.Message // nil: not looked at
}

// pageSize is how many messages bulk work reads at a time.
const pageSize = 500

// each calls do for every message in a state that the filters select, oldest first. It
// goes on after the last id of each page, so messages that stay so are met once.
func (c *client) each(ctx context.Context, query url.Values, in spool.State, do func(quarantine.Message)) error {
	query.Set("sort", "oldest")
	query.Set("state", string(in))
	query.Set("limit", strconv.Itoa(pageSize))
	for {
		var page quarantine.Page
		if err := c.get(ctx, "/v1/quarantine", query, &page); err != nil {
			return err
		}
		for _, m := range page.Messages {
			do(m)
		}
		if page.Next == "" {
			return nil
		}
		query.Set("after", page.Next)
	}
}

// targets finds what to act on. Messages none of whose recipients is wanted are
// left out.
func (b *bulk) targets(ctx context.Context, args []string, all bool, f *filters) ([]target, error) {
	if !all {
		return b.named(ctx, args)
	}
	query, err := f.query(time.Now())
	if err != nil {
		return nil, err
	}
	var list []target
	err = b.client.each(ctx, query, b.verb.in, func(m quarantine.Message) {
		to := b.meant(m, f.narrow(), b.order.Recipients)
		spared := b.sparedOf(m)
		b.spared += spared
		if len(to) == 0 {
			return
		}
		t := target{id: m.ID, message: b.ifDry(m)}
		if f.narrow() || len(b.order.Recipients) > 0 || spared > 0 {
			t.to = to
		}
		list = append(list, t)
		b.progress.say(func() string { return "looking for messages: " + thousands(len(list)) })
	})
	return list, err
}

// ifDry keeps what is known of a message where it will be shown: a million of them
// take room.
func (b *bulk) ifDry(m quarantine.Message) *quarantine.Message {
	if !b.dryRun {
		return nil
	}
	return &m
}

// named are the messages with these ids, each once.
func (b *bulk) named(ctx context.Context, ids []string) ([]target, error) {
	var list []target
	for _, id := range ids {
		id = strings.ToLower(id)
		if slices.ContainsFunc(list, func(t target) bool { return t.id == id }) {
			continue
		}
		t := target{id: id, to: b.order.Recipients}
		if b.dryRun {
			var d quarantine.Detail
			err := b.client.get(ctx, "/v1/quarantine/"+url.PathEscape(id), nil, &d)
			var no *refusal
			if err != nil && !errors.As(err, &no) {
				return nil, err
			}
			if err == nil {
				t.message = &d.Message
			}
		}
		list = append(list, t)
	}
	return list, nil
}

// sparedOf counts the recipients of a message that are held by hand and left out.
func (b *bulk) sparedOf(m quarantine.Message) int {
	n := 0
	for _, r := range m.Recipients {
		if b.spare && isByHand(r) {
			n++
		}
	}
	return n
}

// meant picks the recipients of a listed message to act on: with selected those it
// was listed for, and of them the wanted ones; none wanted means all.
func (b *bulk) meant(m quarantine.Message, selected bool, wanted []string) (to []string) {
	for _, r := range m.Recipients {
		is := func(w string) bool { return strings.EqualFold(w, r.Address) }
		if b.verb.takes(r) && !(b.spare && isByHand(r)) && (r.Selected || !selected) && (len(wanted) == 0 || slices.ContainsFunc(wanted, is)) {
			to = append(to, r.Address)
		}
	}
	return to
}
