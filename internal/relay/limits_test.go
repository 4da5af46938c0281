package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// 200 destinations with 12 messages each, after a long stop: all arrive, within the
// limits.
func TestManyDestinations(t *testing.T) {
	w := newWorld(t)
	w.settings.Connections, w.settings.PerDestination = 20, 3
	b := startBox(t, &box{})
	var domains []string
	for i := range 200 {
		d := fmt.Sprintf("d%d.example", i)
		ip := fmt.Sprintf("198.51.100.%d", i)
		domains = append(domains, d)
		w.mx[mail.Domain(d)] = []MX{{mail.Domain("mx." + d), 10}}
		w.hosts[mail.Domain("mx."+d)] = append(w.hosts[mail.Domain("mx."+d)], addr(ip))
		w.boxes[addr(ip)] = b
	}
	const rounds = 1
	for range rounds {
		w.queue(nil, to(domains)...)
	}
	w.advance(30 * 24 * time.Hour)
	w.pass()
	if n := len(b.got()); n != rounds*200 {
		t.Errorf("%d messages arrived", n)
	}
	// A parked connection is idle, and doesn't count: so many workers there were.
	if most := w.e.lanes.peak(); most > 20 || most < 2 {
		t.Errorf("%d workers at once", most)
	}
	counts, err := w.store.Count(t.Context())
	if err != nil || counts.States[spool.Delivered] != rounds*200 || len(w.reports()) != 0 {
		t.Errorf("%+v, %v", counts, err)
	}
}

func to(domains []string) []string {
	var list []string
	for _, d := range domains {
		list = append(list, "bob@"+d)
	}
	return list
}

// One destination gets so many connections and no more.
func TestPerDestination(t *testing.T) {
	for _, limit := range []int{1, 3} {
		w := newWorld(t)
		w.settings.PerDestination = limit
		arrived, hold := make(chan struct{}, 100), make(chan struct{})
		b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
		all, n := make(chan struct{}), 0
		b.answers(func(line string) string {
			if line == "." {
				if n++; n == 5*claimSize {
					close(all)
				}
			}
			return ""
		})
		for range 5 * claimSize {
			w.queue(nil, "bob@dest.example")
		}
		w.e.o.Dial = holding(w, arrived, hold)
		go func() {
			for range limit {
				<-arrived
			}
			close(hold)
		}()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.e.Run(ctx) }()
		<-all
		cancel()
		<-done
		if most := w.e.lanes.peak(); most != limit {
			t.Errorf("%d workers at once, not %d", most, limit)
		}
	}
}

func holding(w *world, arrived chan<- struct{}, hold <-chan struct{}) Dial {
	return func(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
		arrived <- struct{}{}
		<-hold
		return w.dial(ctx, local, remote)
	}
}

// Run delivers what is kicked, and at its stop lets a delivery come to its end.
func TestRunStops(t *testing.T) {
	w := newWorld(t)
	w.settings.Drain = time.Hour
	dot, goOn := make(chan struct{}), make(chan struct{})
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
	b.answers(func(line string) string {
		if line == "." {
			close(dot)
			<-goOn
			return "250 2.0.0 late"
		}
		return ""
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.e.Run(ctx) }()
	m := w.queue(nil, "bob@dest.example")
	w.e.Kick()
	<-dot
	cancel()
	close(goOn)
	if err := <-done; err != nil {
		t.Error(err)
	}
	w.want(m, spool.Delivered, "250 2.0.0 late")
}

// What takes too long at the stop is broken off, and tried again at the next start.
func TestRunBreaksOff(t *testing.T) {
	w := newWorld(t)
	w.settings.Drain = time.Millisecond
	dot, never := make(chan struct{}), make(chan struct{})
	var once sync.Once
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
	b.answers(func(line string) string {
		if strings.HasPrefix(line, "MAIL") {
			once.Do(func() { close(dot) })
			<-never
		}
		return ""
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.e.Run(ctx) }()
	m := w.queue(nil, "bob@dest.example")
	w.e.Kick()
	<-dot
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	close(never)
	w.want(m, spool.Queued, "")
	if d := w.recipients(m)[0].Delivery; d.Tries != 0 || d.Answer != "" {
		t.Errorf("a try that was broken off counts: %+v", d)
	}
}

// The process was killed after it claimed: when the lease is over, another delivers.
func TestKilledAfterClaim(t *testing.T) {
	w := newWorld(t)
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
	m := w.queue(nil, "bob@dest.example")
	claims, err := w.store.Claim(t.Context(), "dest.example", w.clock(), w.clock().Add(lease), 1)
	if err != nil || len(claims) != 1 {
		t.Fatal(claims, err)
	}
	w.pass()
	if len(b.got()) != 0 {
		t.Error("delivered under another's lease")
	}
	w.advance(lease + time.Second)
	w.pass()
	w.want(m, spool.Delivered, "250")

	// The late one finds out that it is late.
	f := &fate{to: claims[0].Message.Recipients[0], outcome: delivered, words: "250 late"}
	w.e.settle(t.Context(), claims[0], []*fate{f})
	if !strings.Contains(w.log.String(), "can't record what came of a delivery") {
		t.Errorf("log: %s", w.log)
	}
	w.want(m, spool.Delivered, "250 2.0.0 queued")
}

// A worker stops early enough before its lease is over.
func TestLeaseRunsOut(t *testing.T) {
	w := newWorld(t)
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
	b.answers(func(line string) string {
		if line == "." {
			w.advance(lease * 3 / 4)
		}
		return ""
	})
	w.queue(nil, "bob@dest.example")
	second := w.queue(nil, "carol@dest.example")
	if err := w.e.dispatch(t.Context(), t.Context()); err != nil {
		t.Fatal(err)
	}
	w.e.work.Wait()
	if len(b.got()) != 1 {
		t.Errorf("%d messages", len(b.got()))
	}
	w.want(second, spool.Queued, "")
	b.answers(nil)
	w.pass() // it was given back, so that nobody waits for the lease to end
	w.want(second, spool.Delivered, "250")
}

// A clock that was days ahead and is set right doesn't make mail wait for days: neither
// what was tried then nor what waits for a pause.
func TestClockWasAhead(t *testing.T) {
	w := newWorld(t)
	w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{answer: starting(map[string]string{"MAIL": "451 4.3.0 not now"})})
	w.server("down.example", "mx.down.example", "203.0.113.6", 10, nil)
	w.advance(10 * 24 * time.Hour)
	all := []*spool.Message{w.queue(nil, "bob@dest.example"), w.queue(nil, "bob@down.example"), w.queue(nil, "carol@down.example")}
	w.pass()
	w.advance(-10 * 24 * time.Hour)
	w.engine(nil)
	w.e.round(t.Context(), t.Context())
	w.e.work.Wait()
	for _, m := range all {
		if r := w.recipients(m)[0]; r.Delivery.Next.After(w.clock().Add(5 * time.Hour)) {
			t.Errorf("%s: next try %v from now", r.Address, r.Delivery.Next.Sub(w.clock()))
		}
	}
	if !strings.Contains(w.log.String(), "brought forward") {
		t.Errorf("log: %s", w.log)
	}
}

// Retry ends a pause.
func TestRetry(t *testing.T) {
	w := newWorld(t)
	w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, nil)
	m := w.queue(nil, "bob@dest.example")
	w.pass()
	w.want(m, spool.Queued, "connection refused")
	w.boxes[addr("203.0.113.5")] = startBox(t, &box{})
	if n, err := w.e.Retry(t.Context(), "dest.example"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	w.pass()
	w.want(m, spool.Delivered, "250")
}

// To try one message ends the pauses of its destinations, and of no other.
func TestRetryMessage(t *testing.T) {
	w := newWorld(t)
	w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, nil)
	w.server("down.example", "mx.down.example", "203.0.113.6", 10, nil)
	m := w.queue(nil, "bob@dest.example")
	w.queue(nil, "bob@down.example")
	w.pass()
	w.boxes[addr("203.0.113.5")] = startBox(t, &box{})
	before := len(w.dialed)
	w.queue(nil, "bob@down.example")
	if n, err := w.e.RetryMessage(t.Context(), m.ID); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	w.pass()
	w.want(m, spool.Delivered, "250")
	for _, a := range w.dialed[before:] {
		if a.Addr() == addr("203.0.113.6") {
			t.Error("another destination's pause is over, too")
		}
	}
	if _, err := w.e.RetryMessage(t.Context(), "zzzzz"); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("no such message: %v", err)
	}
}

// Who may come in: so many in all, so many in a lane, one in a lane in trouble, and
// none for a domain while another is about to claim there.
func TestEnter(t *testing.T) {
	s := Settings{Connections: 5, PerDestination: 2}
	var l lanes
	enter := func(d mail.Domain, key string) *lane {
		in, _ := l.enter(d, key, s)
		return in
	}
	first := enter("a.example", "hop")
	if enter("a.example", "hop") != nil {
		t.Error("two are about to claim the same")
	}
	l.claimed("a.example")
	if enter("b.example", "hop") == nil || enter("c.example", "hop") != nil {
		t.Error("the lane's limit")
	}
	if busy := l.busy(s); len(busy) != 2 {
		t.Errorf("busy: %v", busy)
	}
	troubled := enter("d.example", "d.example")
	l.claimed("d.example")
	l.failed(troubled, later("4.4.1", "down"), time.Now())
	if enter("d.example", "d.example") != nil {
		t.Error("a second connection to a server in trouble")
	}
	l.works(troubled, time.Now().Add(time.Hour))
	if enter("d.example", "d.example") == nil || enter("e.example", "e.example") == nil || enter("f.example", "f.example") != nil {
		t.Error("the limit in all")
	}
	l.leave("a.example", first)
	if enter("f.example", "f.example") == nil {
		t.Error("there is room again")
	}
}

// Mail has the queue looked at, unless its destination has all the workers it may have.
func TestQueued(t *testing.T) {
	e := New(Options{Settings: func() Settings { return Settings{PerDestination: 2} }})
	looks := func(d mail.Domain) bool {
		e.Queued(d)
		return len(e.kick) > 0 && <-e.kick == struct{}{}
	}
	s := e.settings()
	if !looks("a.example") {
		t.Error("nobody serves it")
	}
	first, _ := e.lanes.enter("a.example", "hop", s)
	e.lanes.claimed("a.example")
	if !looks("a.example") {
		t.Error("it may have another worker")
	}
	e.lanes.enter("b.example", "hop", s)
	if looks("a.example") || !looks("c.example") {
		t.Error("its lane is full; what is not served was not looked at yet")
	}
	e.lanes.leave("a.example", first)
	if !looks("a.example") {
		t.Error("there is room again")
	}
}

func TestPauseGrows(t *testing.T) {
	var l lanes
	in, _ := l.enter("dest.example", "dest.example", Settings{}.complete())
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	why := later("4.4.1", "down")
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 60} {
		until := l.failed(in, why, now)
		if wait := until.Sub(now); wait < want*time.Minute*9/10 || wait > want*time.Minute*11/10 {
			t.Errorf("after %d failures: %v", i+1, wait)
		}
	}
	if got, _ := l.paused(in, now); got != why {
		t.Error("not paused")
	}
	if got, _ := l.paused(in, now.Add(2*time.Hour)); got != nil {
		t.Error("paused for ever")
	}
	if got, _ := l.paused(in, now.Add(-48*time.Hour)); got != nil {
		t.Error("a clock put back makes the pause longer")
	}
	if l.works(in, now); in.fails == 0 {
		t.Error("the pause of one worker ended by another's connection")
	}
	l.works(in, now.Add(2*time.Hour))
	if got, _ := l.paused(in, now); got != nil {
		t.Error("paused although it works")
	}
	l.leave("dest.example", in)
	if len(l.lanes)+len(l.serving)+len(l.starting)+len(l.workers)+l.total != 0 {
		t.Errorf("left over: %+v", &l)
	}
}

// fullQueue has no space for the first records.
type fullQueue struct {
	spool.Queue
	left atomic.Int32
}

func (q *fullQueue) Settle(ctx context.Context, c *spool.Claim, actor string, results []spool.Result) error {
	if q.left.Add(-1) >= 0 {
		return spool.ErrFull
	}
	return q.Queue.Settle(ctx, c, actor, results)
}

// A full disk doesn't make a message be delivered again.
func TestRecordIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	q := &fullQueue{Queue: w.store}
	q.left.Store(2)
	w.e.o.Queue = q
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
	m := w.queue(nil, "bob@dest.example")
	w.pass()
	w.want(m, spool.Delivered, "250")
	if len(b.got()) != 1 {
		t.Errorf("%d copies", len(b.got()))
	}
}

// unclaimable can't be written, as on a full disk.
type unclaimable struct {
	spool.Queue
	claims atomic.Int32
	broken atomic.Bool
}

func (q *unclaimable) Claim(ctx context.Context, d mail.Domain, now, until time.Time, limit int) ([]*spool.Claim, error) {
	if q.claims.Add(1); q.broken.Load() {
		return nil, spool.ErrFull
	}
	return q.Queue.Claim(ctx, d, now, until, limit)
}

// A queue that can't be written is looked at again after a while, not at once, and one
// line says so; then mail goes out.
func TestUnclaimable(t *testing.T) {
	w := newWorld(t)
	b := w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, &box{})
	w.queue(nil, "bob@dest.example", "carol@other.example")
	q := &unclaimable{Queue: w.store}
	q.broken.Store(true)
	w.e.o.Queue = q
	began := time.Now()
	w.e.fault.now = func() time.Time { return began } // however slow the machine is
	for range 100 {                                   // as when workers end, or mail comes in
		if wait := w.e.round(t.Context(), t.Context()); wait <= 0 {
			t.Fatalf("looks again after %v", wait)
		}
		w.e.work.Wait()
	}
	if n := q.claims.Load(); n > 2 || strings.Count(w.log.String(), "can't claim mail") != 1 {
		t.Errorf("%d claims; log: %s", n, w.log)
	}
	q.broken.Store(false)
	w.e.fault.until = time.Time{}
	w.e.round(t.Context(), t.Context())
	w.e.work.Wait()
	if len(b.got()) != 1 {
		t.Error("nothing goes out afterwards")
	}
}

// What waits for a next hop that is slow keeps no other mail, however many domains it
// is for.
func TestSlowHopStarvesNobody(t *testing.T) {
	w := newWorld(t)
	w.settings.Connections, w.settings.PerDestination = 3, 2
	w.settings.Routes = []Route{{Destination: "direct.example"}}
	w.hop(&box{})
	b := w.server("direct.example", "mx.direct.example", "203.0.113.5", 10, &box{})
	stuck, arrived := make(chan struct{}), make(chan struct{}, 100)
	w.e.o.Dial = func(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
		if remote.Addr() == addr("203.0.113.7") {
			arrived <- struct{}{}
			<-stuck
		}
		return w.dial(ctx, local, remote)
	}
	var domains []string
	for i := range 100 {
		domains = append(domains, fmt.Sprintf("d%d.example", i))
	}
	w.queue(nil, to(domains)...)
	w.advance(time.Second)
	m := w.queue(nil, "ann@direct.example")
	if err := w.e.dispatch(t.Context(), t.Context()); err != nil {
		t.Fatal(err)
	}
	<-arrived
	<-arrived
	done := make(chan struct{})
	go func() { w.e.work.Wait(); close(done) }()
	for len(b.got()) == 0 && w.e.lanes.running() > 2 {
		runtime.Gosched()
	}
	if len(b.got()) != 1 {
		t.Errorf("%s is %s", m.ID, w.states(m))
	}
	close(stuck)
	<-done
}
