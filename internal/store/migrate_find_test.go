package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mailgate/internal/spool"
)

// version1 makes a database as the first mailgate left it, with a message in every
// state, and returns the log's entries and what Get must say of each message.
func version1(t *testing.T, path string, more ...string) (entries int64, want []spool.Message) {
	t.Helper()
	c, err := connect(path, pragmas+newPragmas)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	defer db.Close()
	migrateTo(t, db, 1)
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	exec("INSERT INTO identities VALUES (1, 'example.com', 'example.com'), (2, 'other.example', '')")
	exec("INSERT INTO evidence VALUES (1, x'01', ?)", []byte(`{"a":1}`))
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	states := []spool.State{spool.Held, spool.Queued, spool.Delivered, spool.Bounced, spool.Discarded, spool.Held}
	var hash [32]byte
	sum := sha256.Sum256([]byte("body"))
	for i, state := range states {
		m := spool.Message{
			ID: fmt.Sprintf("q7f3%c", 'a'+i), Source: "milter", Received: at, Subject: fmt.Sprintf("Message %d", i),
			MessageID: "<1@x>", Size: 4, Evidence: []byte(`{"a":1}`), From: addr(t, "ann@example.com"),
			Recipients: []spool.Recipient{
				{Address: addr(t, "a@gmail.com"), State: state, Reason: spool.Refused, Provider: "google", Codes: []string{"dkim-missing", "spf-none"}, Rule: "r1", Reply: "550 no", Changed: at},
				{Address: addr(t, "b@yahoo.com"), State: state, Reason: spool.Waiting, Provider: "yahoo", Codes: []string{}, Changed: at},
			},
		}
		m.Envelope.From, m.Envelope.Helo = addr(t, "b@example.com"), "h.example"
		identity, finished := 1, any(nil)
		if i == len(states)-1 {
			identity, m.From, m.Envelope.From = 2, addr(t, "bob@other.example"), addr(t, "@")
		}
		if state.Final() {
			finished = at.UnixNano()
		}
		seq := i + 1
		exec(`INSERT INTO messages (seq, id, source, taken, received, identity, mail_local, mail_domain, helo, client, host, user,
			queue_id, smtputf8, from_local, from_domain, subject, message_id, size, digest, body, finished, evidence)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', '', '', 0, ?, ?, ?, ?, ?, ?, ?, ?, 1)`,
			seq, m.ID, m.Source, at.UnixNano(), at.UnixNano(), identity, m.Envelope.From.Local, string(m.Envelope.From.Domain), m.Envelope.Helo,
			m.From.Local, string(m.From.Domain), m.Subject, m.MessageID, m.Size, sum[:], seq, finished)
		exec("INSERT INTO chunks VALUES (?, CAST('body' AS BLOB))", seq<<20)
		for n, r := range m.Recipients {
			exec(`INSERT INTO recipients (message, n, identity, local, domain, state, reason, provider, codes, rule, reply, changed)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, seq, n, identity, r.Address.Local, string(r.Address.Domain), string(r.State),
				string(r.Reason), r.Provider, strings.Join(r.Codes, " "), r.Rule, r.Reply, at.UnixNano())
			entries++
			e := spool.LogEntry{N: entries, Time: at, ID: m.ID, Recipient: r.Address, Action: spool.ActionHold, Into: spool.Held, Codes: r.Codes}
			hash = e.Digest(hash)
			exec(`INSERT INTO review_log (n, time, id, local, domain, action, from_state, into_state, before, after, actor, reason, codes, place, hash)
				VALUES (?, ?, ?, ?, ?, ?, '', ?, '', '', '', '', ?, '', ?)`, e.N, at.UnixNano(), e.ID, e.Recipient.Local, string(e.Recipient.Domain),
				string(e.Action), string(e.Into), strings.Join(e.Codes, " "), hash[:])
			m.Envelope.To = append(m.Envelope.To, r.Address)
		}
		want = append(want, m)
	}
	for _, query := range more {
		exec(query)
	}
	return entries, want
}

// migrateTo makes the schema of an older mailgate.
func migrateTo(t *testing.T, db *sql.DB, version int64) {
	t.Helper()
	steps, err := ownSteps()
	if err != nil {
		t.Fatal(err)
	}
	p, err := provider(db, steps)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
}

// TestMigrateVersion1: what the first mailgate kept is all there, and can be found,
// counted, moved and proved.
func TestMigrateVersion1(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailgate.db")
	entries, want := version1(t, path)
	s := open(t, path, Options{limits: limits{tried: 1, indexed: 1}})
	settle(t, s)
	verify(t, s, entries)
	var ids []string
	for _, m := range want {
		ids = append(ids, m.ID)
		if got, err := s.Get(t.Context(), m.ID); err != nil || !reflect.DeepEqual(*got, m) {
			t.Errorf("Get = %+v, %v;\nwant %+v", got, err, m)
		}
		if got := string(content(t, s, m.ID)); got != "body" {
			t.Errorf("content of %s = %q", m.ID, got)
		}
		if got := pages(t, s, spool.Filter{Text: m.Subject}); !slices.Equal(got, []string{m.ID}) {
			t.Errorf("searching %q gives %v", m.Subject, got)
		}
	}
	if got := pages(t, s, spool.Filter{Order: spool.Oldest}); !slices.Equal(got, ids) {
		t.Errorf("all: %v", got)
	}
	counts := spool.Counts{
		States: map[spool.State]int{spool.Held: 4, spool.Queued: 2, spool.Delivered: 2, spool.Bounced: 2, spool.Discarded: 2},
		Held:   map[spool.Reason]int{spool.Refused: 2, spool.Waiting: 2},
	}
	if got, err := s.Count(t.Context()); err != nil || !reflect.DeepEqual(got, counts) {
		t.Errorf("Count = %+v, %v", got, err)
	}
	if got, err := s.HeldGroups(t.Context()); err != nil || len(got) != 4 || got[0].Rule != "r1" || got[0].Codes != "dkim-missing spf-none" {
		t.Errorf("HeldGroups = %+v, %v", got, err)
	}
	if got, err := s.Unnoticed(t.Context(), time.Now(), "", 9); err != nil || !slices.Equal(got, ids[:1]) {
		t.Errorf("Unnoticed = %v, %v", got, err)
	}
	if err := s.Move(t.Context(), spool.Move{ID: ids[0], From: spool.Held, Into: spool.Discarded}); err != nil {
		t.Error(err)
	}
	if c, err := s.Count(t.Context()); err != nil || c.States[spool.Discarded] != 4 || c.States[spool.Held] != 2 {
		t.Errorf("Count after a move = %+v, %v", c, err)
	}
}

// TestMigration2Fails: a migration that can't be done leaves the old schema with all
// that is in it.
func TestMigration2Fails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailgate.db")
	version1(t, path, "CREATE TRIGGER messages_removed AFTER DELETE ON messages BEGIN SELECT 1; END") // the last thing it makes
	for range 2 {
		if s, err := Open(t.Context(), "sqlite:"+path, Options{}); err == nil || !strings.Contains(err.Error(), "version 1") {
			t.Errorf("Open = %v, %v", s, err)
		}
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	one := func(query string) (n int) {
		t.Helper()
		if err := db.QueryRowContext(context.Background(), query).Scan(&n); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		return n
	}
	for query, want := range map[string]int{
		"SELECT max(version_id) FROM goose_db_version":                                            1,
		"SELECT count(*) FROM recipients WHERE reason <> ''":                                      12,
		"SELECT sum(n) FROM tallies WHERE reason <> ''":                                           12,
		"SELECT count(*) FROM sqlite_schema WHERE name IN ('causes', 'replies', 'search')":        0,
		"SELECT count(*) FROM sqlite_schema WHERE name = 'recipients_moved' AND type = 'trigger'": 1,
	} {
		if n := one(query); n != want {
			t.Errorf("%s = %d, want %d", query, n, want)
		}
	}
}
