package relay

import (
	"testing"
	"time"
)

// Tries by hand don't put off the next one.
func TestTriesByHandPutNothingOff(t *testing.T) {
	w := newWorld(t)
	w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, nil)
	m := w.queue(nil, "bob@dest.example")
	w.pass()
	for range 8 {
		w.advance(10 * time.Second)
		if n, err := w.e.Retry(t.Context(), ""); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		w.pass()
	}
	r := w.recipients(m)[0]
	age := r.Delivery.Next.Sub(m.Received)
	if r.Delivery.Tries != 9 || age < 4*time.Minute || age > 6*time.Minute {
		t.Errorf("after %d tries the next is %v after the message came", r.Delivery.Tries, age)
	}
	w.until(24 * time.Hour)
	if n := w.recipients(m)[0].Delivery.Tries - 9; n < 9 || n > 12 {
		t.Errorf("%d tries on the day after", n)
	}
}

func TestToNextStep(t *testing.T) {
	s := Settings{}.complete()
	const hour, minute = time.Hour, time.Minute
	for age, want := range map[time.Duration]time.Duration{
		0: 5 * minute, 3 * minute: 5 * minute, 4*minute + 30*time.Second: 15 * minute, 5 * minute: 15 * minute,
		13 * minute: 35 * minute, 16 * minute: 35 * minute, 315 * minute: 555 * minute, 330 * minute: 555 * minute,
		9*hour + 15*minute: 13*hour + 15*minute, 10 * hour: 13*hour + 15*minute, 13 * hour: 17*hour + 15*minute, -hour: 5 * minute,
	} {
		if got := age + s.toNextStep(age); got != want {
			t.Errorf("at %v: the next at %v, want %v", age, got, want)
		}
	}
	short := Settings{FirstRetry: time.Minute, LastRetry: time.Minute}.complete()
	if got := short.toNextStep(90 * time.Second); got != 30*time.Second {
		t.Errorf("%v", got)
	}
}

// A pause that somebody ended goes on where the destination still fails, and is over
// where it works.
func TestPauseByHand(t *testing.T) {
	w := newWorld(t)
	w.server("dest.example", "mx.dest.example", "203.0.113.5", 10, nil)
	w.queue(nil, "bob@dest.example")
	w.pass()
	lane := w.e.lanes.lanes["dest.example"]
	until := lane.until
	for range 5 {
		w.advance(time.Second)
		if _, err := w.e.Retry(t.Context(), "dest.example"); err != nil {
			t.Fatal(err)
		}
		w.pass()
		if !lane.until.Equal(until) || lane.fails != 1 {
			t.Fatalf("paused until %v after %d failures, want %v after 1", lane.until, lane.fails, until)
		}
	}
	w.boxes[addr("203.0.113.5")] = startBox(t, &box{})
	if _, err := w.e.Retry(t.Context(), "dest.example"); err != nil {
		t.Fatal(err)
	}
	w.pass()
	if lane.fails != 0 || !lane.until.IsZero() || !lane.lifted.IsZero() {
		t.Errorf("%+v", lane)
	}
}
