package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mailgate/internal/spool"
)

const (
	pointEnv = "MAILGATE_STORE_TEST_POINT" // crash point and how often it is passed before
	lineEnv  = "MAILGATE_STORE_TEST_LINES" // lines written before the child is killed

	crashers  = 2      // databases, each with a child of its own at a time
	killsEach = 8      // times each is killed at a random moment
	lives     = 10_000 // of messages, by which a child should long have been killed
)

// points are the named crash points of the store.
var points = [...]string{
	"take", "chunk", "move", "token", "redeem", "purge", "drop", "shrink", "index",
	"before-commit", "after-commit", "before-checkpoint", "after-checkpoint",
}

// crashLimits have the index of words written often, and asked for everything.
var crashLimits = limits{tried: 1, indexed: 5}

// TestCrash kills a process that takes, moves, redeems and purges, at random
// moments and at every named point, again and again on the same database. What
// it had acknowledged must be there each time, complete, and the log whole.
func TestCrash(t *testing.T) {
	if path, isChild := childDB(); isChild {
		crashChild(t, path)
		return
	}
	for n := range crashers {
		t.Run(fmt.Sprintf("database%d", n), func(t *testing.T) {
			t.Parallel()
			l := newLedger(filepath.Join(t.TempDir(), "mailgate.db"))
			for i, point := range points {
				if i%crashers == n {
					l.run(t, pointEnv+"="+point+" "+strconv.Itoa(rand.IntN(4)))
					l.check(t)
				}
			}
			for range killsEach {
				l.run(t, lineEnv+"="+strconv.Itoa(rand.IntN(50)))
				l.check(t)
			}
		})
	}
}

// ledger is what the children have acknowledged, over all their lives.
type ledger struct {
	path     string
	test     string                 // that is the child
	taken    map[string]string      // id: hash of the content
	state    map[string]spool.State // id: state acknowledged
	checked  string                 // id of the last message looked at in full
	issued   map[string]string      // token: id
	redeemed map[string]bool        // token: acknowledged, or only begun
}

func newLedger(path string) *ledger {
	return &ledger{path: path, test: "TestCrash", taken: map[string]string{}, state: map[string]spool.State{}, issued: map[string]string{}, redeemed: map[string]bool{}}
}

// run has a child work until it is killed, and keeps its books.
func (l *ledger) run(t *testing.T, env string) {
	t.Helper()
	cmd := child(t, l.test, l.path, env)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := -1
	if n, ok := strings.CutPrefix(env, lineEnv+"="); ok {
		lines, _ = strconv.Atoi(n)
	}
	var all bytes.Buffer
	r := bufio.NewReader(io.TeeReader(out, &all))
	for n := 0; ; n++ {
		if n == lines {
			cmd.Process.Kill()
		}
		line, err := r.ReadString('\n')
		if err != nil {
			break
		}
		l.note(strings.Fields(line))
	}
	err = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("%s: the child was not killed: %v\n%s%s", env, err, all.String(), errs.String())
	}
}

// note takes down one line of a child.
func (l *ledger) note(f []string) {
	switch {
	case len(f) == 3 && f[0] == "taken":
		l.taken[f[1]] = f[2]
	case len(f) == 2 && f[0] == "closing":
		delete(l.taken, f[1])
	case len(f) == 3 && f[0] == "moved":
		l.state[f[1]] = spool.State(f[2])
	case len(f) == 3 && f[0] == "issued":
		l.issued[f[1]] = f[2]
	case len(f) == 2 && f[0] == "redeeming":
		l.redeemed[f[1]] = false
	case len(f) == 2 && f[0] == "redeemed":
		l.redeemed[f[1]] = true
	}
}

// check opens the database and compares it with the books and with itself.
func (l *ledger) check(t *testing.T) {
	t.Helper()
	s := open(t, l.path, Options{limits: crashLimits})
	defer s.Close()
	ids, err := column[string](s.read.Query("SELECT id FROM messages"))
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, id := range ids {
		there[id] = true
	}
	for id := range l.taken {
		if !there[id] {
			t.Errorf("%s had been acknowledged and is gone", id)
		}
	}
	for _, id := range pages(t, s, spool.Filter{Order: spool.Oldest, After: l.checked, Limit: 1000}) {
		l.checkMessage(t, s, id)
		l.checked = id
	}
	l.checkTokens(t, s)
	if _, err := s.VerifyLog(t.Context()); err != nil {
		t.Error(err)
	}
	if n := count(t, s, `SELECT count(*) FROM loose`); n != 0 {
		t.Errorf("%d loose bodies", n)
	}
	if n := count(t, s, `SELECT count(*) FROM chunks WHERE at >> 20 NOT IN (SELECT body FROM messages WHERE body IS NOT NULL)`); n != 0 {
		t.Errorf("%d pieces of no message", n)
	}
	if n := count(t, s, `SELECT count(*) FROM (SELECT identity, state, cause, n FROM tallies
		EXCEPT SELECT identity, state, cause, count(*) FROM recipients GROUP BY identity, state, cause)`); n != 0 {
		t.Errorf("%d wrong tallies", n)
	}
	if n := count(t, s, `SELECT count(*) FROM (SELECT identity, state, cause FROM recipients
		EXCEPT SELECT identity, state, cause FROM tallies)`); n != 0 {
		t.Errorf("%d tallies missing", n)
	}
}

// checkMessage compares a message with the books.
func (l *ledger) checkMessage(t *testing.T, s *Store, id string) {
	m, err := s.Get(t.Context(), id)
	if err != nil {
		t.Error(err)
		return
	}
	order := map[spool.State]int{spool.Held: 0, spool.Queued: 1, spool.Delivered: 2}
	state := m.Recipients[0].State
	if order[state] < order[l.state[id]] {
		t.Errorf("%s is %s and had been acknowledged as %s", id, state, l.state[id])
	}
	l.checkBody(t, s, m, state)
	if found, err := s.List(t.Context(), spool.Filter{Text: m.Subject}); err != nil || len(found) != 1 || found[0].ID != id {
		t.Errorf("searching the subject of %s finds %d, %v", id, len(found), err)
	}
	l.checkLog(t, s, m)
}

// checkBody: every message is complete, acknowledged or not; only delivered ones
// may have been purged.
func (l *ledger) checkBody(t *testing.T, s *Store, m *spool.Message, state spool.State) {
	r, err := s.Open(t.Context(), m.ID)
	if errors.Is(err, spool.ErrNotFound) && state == spool.Delivered {
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Error(err)
	}
	sum := hex.EncodeToString(h.Sum(nil))
	if m.Subject != sum || l.taken[m.ID] != "" && l.taken[m.ID] != sum {
		t.Errorf("%s is not what was taken", m.ID)
	}
}

// checkLog: the log of a message leads to the states it is in.
func (l *ledger) checkLog(t *testing.T, s *Store, m *spool.Message) {
	entries, err := s.Log(t.Context(), spool.LogFilter{ID: m.ID, OldestFirst: true})
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]spool.State{}
	for _, e := range entries {
		if a := e.Recipient.String(); e.From != states[a] {
			t.Errorf("%s: entry %d begins at %q, the one before led to %q", m.ID, e.N, e.From, states[a])
		} else {
			states[a] = e.Into
		}
	}
	for _, r := range m.Recipients {
		if states[r.Address.String()] != r.State {
			t.Errorf("%s: %s is %s, the log says %s", m.ID, r.Address, r.State, states[r.Address.String()])
		}
	}
}

// checkTokens: a token used up is not good again, one not used still is.
func (l *ledger) checkTokens(t *testing.T, s *Store) {
	for token, id := range l.issued {
		var hash [32]byte
		hex.Decode(hash[:], []byte(token))
		used, begun := l.redeemed[token]
		got, err := s.RedeemToken(t.Context(), hash)
		if used && err == nil {
			t.Errorf("a token of %s was good twice", id)
		}
		if !begun && (err != nil || got != id) {
			t.Errorf("a token of %s is lost: %q, %v", id, got, err)
		}
	}
	clear(l.issued)
	clear(l.redeemed)
}

// crashChild works until it is killed: by its parent, or by itself at a point.
func crashChild(t *testing.T, path string) {
	s := open(t, path, Options{CrashPoint: crashPoint(), limits: crashLimits})
	if err := s.update(t.Context(), "test", 0, func(b *batch) error { b.w.every = 1 << 20; return nil }); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range lives / 8 {
				if err := crashWork(t, s); err != nil {
					t.Error(err)
				}
				if t.Failed() {
					return
				}
			}
		})
	}
	wg.Wait()
}

// crashPoint returns a hook that kills the process at the point named in the
// environment.
func crashPoint() func(string) {
	point, times, _ := strings.Cut(os.Getenv(pointEnv), " ")
	n, _ := strconv.Atoi(times)
	var passed atomic.Int32
	return func(name string) {
		if name == point && int(passed.Add(1)) > n {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
}

var say sync.Mutex

// tell writes a line to the parent.
func tell(format string, args ...any) {
	say.Lock()
	defer say.Unlock()
	fmt.Fprintf(os.Stdout, format+"\n", args...)
}

// crashWork is the life of one message; some lives end early.
func crashWork(t *testing.T, s *Store) error {
	ctx := t.Context()
	if rand.IntN(20) == 0 {
		s.Take(ctx, message(t, "a@gmail.com"), io.MultiReader(bytes.NewReader(bytesOf(2*pieceBytes)), errReader{errors.New("broken")}))
	}
	body := crashBody()
	sum := sha256.Sum256(body)
	m := message(t, "a@gmail.com", "b@gmail.com")
	m.Subject = hex.EncodeToString(sum[:])
	if err := s.Take(ctx, m, bytes.NewReader(body)); err != nil {
		return err
	}
	tell("taken %s %s", m.ID, m.Subject)
	if rand.IntN(2) == 0 {
		return nil
	}
	if err := s.Move(ctx, spool.Move{ID: m.ID, From: spool.Held, Into: spool.Queued}); err != nil {
		return err
	}
	tell("moved %s queued", m.ID)
	if err := s.IssueToken(ctx, m.ID, sum, time.Now().Add(time.Hour)); err != nil {
		return err
	}
	tell("issued %x %s", sum, m.ID)
	if rand.IntN(2) == 0 {
		return nil
	}
	return crashDeliver(t, s, m.ID, sum)
}

// crashDeliver is the second half of such a life.
func crashDeliver(t *testing.T, s *Store, id string, token [32]byte) error {
	ctx := t.Context()
	tell("redeeming %x", token)
	if _, err := s.RedeemToken(ctx, token); err != nil {
		return err
	}
	tell("redeemed %x", token)
	if err := s.Move(ctx, spool.Move{ID: id, From: spool.Queued, Into: spool.Delivered}); err != nil {
		return err
	}
	tell("moved %s delivered", id)
	if rand.IntN(2) == 0 {
		return nil
	}
	_, err := s.Purge(ctx, time.Now())
	return err
}

// crashBody is a body like no other, now and then of several pieces.
func crashBody() []byte {
	body := bytesOf(32 + rand.IntN(10<<10))
	if rand.IntN(20) == 0 {
		body = bytesOf(3*pieceBytes + rand.IntN(pieceBytes))
	}
	for i := range 32 {
		body[i] = byte(rand.Uint32())
	}
	return body
}
