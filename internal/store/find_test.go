package store

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"mailgate/internal/mail"
	"mailgate/internal/spool"
)

// everyWay are limits under which each way to the messages is taken.
var everyWay = map[string]limits{
	"walk":   {tried: 1 << 40, indexed: 1 << 40},
	"lanes":  {lanes: 1 << 20, matched: 1 << 40, tried: 1 << 40, indexed: 1 << 40},
	"gather": {sorted: 1 << 40, sized: 1 << 40, matched: 1 << 40, tried: 1 << 40, indexed: 1 << 40},
	"search": {tried: 1, indexed: 1},
	"few":    {tried: 1, indexed: 1, matched: 20},
	"tried":  {tried: 13, indexed: 5},
	"tail":   {tried: 2, indexed: 17},
}

// settle ends the indexer's goroutine and does what it would have done.
func settle(t testing.TB, s *Store) {
	t.Helper()
	s.x.close()
	s.x.ctx = t.Context()
	for more := true; more; {
		var err error
		if more, err = s.x.step(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFind: every way to the messages that answer to a filter finds the same, in
// every order, as a plain search does.
func TestFind(t *testing.T) {
	for name, most := range everyWay {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			s := fresh(t, Options{Now: c.Now, limits: most})
			all := populate(t, s, c, 40)
			if settle(t, s); most.indexed < 20 && count(t, s, "SELECT count(*) FROM search_docsize") < 20 {
				t.Error("the index of words is not used")
			}
			rnd := rand.New(rand.NewPCG(3, 4))
			for range 150 {
				compareFind(t, s, randomFilter(rnd, c), all)
			}
			if most.indexed == 1 {
				if n := count(t, s, "SELECT count(*) FROM stale"); n != 0 {
					t.Errorf("%d messages stale", n)
				}
			}
		})
	}
}

func compareFind(t *testing.T, s *Store, f spool.Filter, all []*spool.Message) {
	t.Helper()
	var want []string
	for _, m := range inOrder(all, f.Order) {
		if matches(f, m) {
			want = append(want, m.ID)
		}
	}
	if got := pages(t, s, f); !slices.Equal(got, want) {
		t.Errorf("%+v:\n%v, want\n%v", f, got, want)
	}
}

// inOrder sorts messages, which are the oldest first.
func inOrder(all []*spool.Message, o spool.Order) []*spool.Message {
	all = slices.Clone(all)
	if o != spool.Oldest {
		slices.Reverse(all)
	}
	if o == spool.Largest {
		slices.SortStableFunc(all, func(a, b *spool.Message) int { return int(b.Size - a.Size) })
	}
	return all
}

// randomFilter asks for one to three things that populate makes, or for near misses.
func randomFilter(rnd *rand.Rand, c *clock) spool.Filter {
	pick := func(of ...string) string { return of[rnd.IntN(len(of))] }
	f := spool.Filter{Order: spool.Order(pick("", "oldest", "largest")), Limit: rnd.IntN(12)}
	for range 1 + rnd.IntN(3) {
		switch rnd.IntN(9) {
		case 0:
			f.States = [][]spool.State{{spool.Held}, {spool.Queued}, {spool.Held, spool.Delivered}}[rnd.IntN(3)]
		case 1:
			f.Reason = spool.Reason(pick("refused", "waiting", "foreign", "none"))
		case 2:
			f.Domain = mail.Domain(pick("example.com", "other.example", "none.example"))
		case 3:
			f.Sender = pick("BULK", "bob@", "bounces@example.com", "@", "x@bulk.example", "zz")
		case 4:
			f.Recipient = pick("r2@", "example.ORG", "_", "r", "gmail.com", "@yahoo.com", "r1@gmail.com")
		case 5:
			f.Code = pick("spf-none", "dkim", "spf", "none")
		case 6:
			f.Provider = pick("google", "yahoo", "absent")
		case 7:
			f.Since = c.Now().Add(-time.Duration(rnd.IntN(45)) * time.Minute)
		case 8:
			f.Text = pick("100%", "re_port", "invoice", "yahoo.com", "ann@", "发票", "über", "ÜBER", "票", "e", "lo", "o\x00", " ", "none of this")
		}
	}
	return f
}

// TestFindAfterAssess: a message held for another cause is found by it, before the
// index of words knows and after.
func TestFindAfterAssess(t *testing.T) {
	s := fresh(t, Options{limits: limits{tried: 1, indexed: 2}})
	var ids []string
	for range 6 {
		ids = append(ids, take(t, s, message(t, "a@gmail.com"), "x"))
	}
	settle(t, s)
	find := func(code string) (ids []string) {
		page, err := s.List(t.Context(), spool.Filter{Code: code, Text: "hello", Order: spool.Oldest})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page {
			ids = append(ids, m.ID)
		}
		return ids
	}
	for i, id := range ids[:3] {
		now := spool.Hold{Reason: spool.Refused, Codes: []string{"ptr-missing"}}
		if err := s.Move(t.Context(), spool.Move{ID: id, From: spool.Held, Into: spool.Held, Now: &now}); err != nil {
			t.Fatal(err)
		}
		if got := find("ptr-missing"); !slices.Equal(got, ids[:i+1]) {
			t.Errorf("found %v, want %v", got, ids[:i+1])
		}
	}
	settle(t, s)
	if n := count(t, s, "SELECT count(*) FROM stale"); n != 1 {
		t.Errorf("%d stale, want one, which is not worth a batch", n)
	}
	if got := find("ptr-missing"); !slices.Equal(got, ids[:3]) {
		t.Errorf("found %v, want %v", got, ids[:3])
	}
	if got := find("dkim-missing"); !slices.Equal(got, ids[3:]) {
		t.Errorf("found %v, want %v", got, ids[3:])
	}
}

// TestIndexMeetsChange: what has changed between the reading of a message and its
// place in the index stays stale, and what has gone is not added.
func TestIndexMeetsChange(t *testing.T) {
	s := fresh(t, Options{limits: limits{tried: 1, indexed: 1}})
	id := take(t, s, message(t, "a@gmail.com"), "x")
	settle(t, s)
	index := func(do func(*batch, []indexed) error, all ...indexed) {
		t.Helper()
		if err := s.update(t.Context(), "test", 0, func(b *batch) error { return do(b, all) }); err != nil {
			t.Fatal(err)
		}
	}
	now := spool.Hold{Reason: spool.Waiting}
	if err := s.Move(t.Context(), spool.Move{ID: id, From: spool.Held, Into: spool.Held, Now: &now}); err != nil {
		t.Fatal(err)
	}
	index((*batch).indexAnew, indexed{seq: 1, causes: "1", grams: "old"})
	if n := count(t, s, "SELECT count(*) FROM stale"); n != 1 {
		t.Errorf("%d stale, want 1", n)
	}
	index((*batch).index, indexed{seq: 2, causes: "1", grams: "gone"})
	if n := count(t, s, "SELECT count(*) FROM search_docsize"); n != 1 {
		t.Errorf("%d indexed, want 1", n)
	}
}

// TestIndexForgets: a message deleted is deleted from the index of words.
func TestIndexForgets(t *testing.T) {
	s := fresh(t, Options{limits: limits{tried: 1, indexed: 1}})
	for range 3 {
		take(t, s, message(t, "a@gmail.com"), "x")
	}
	settle(t, s)
	raw(t, s, "INSERT INTO stale VALUES (2)", "DELETE FROM recipients WHERE message = 2", "DELETE FROM messages WHERE seq = 2")
	for query, want := range map[string]int{
		"SELECT count(*) FROM search_docsize":                                                 2,
		"SELECT count(*) FROM search WHERE search MATCH '" + having("hello", inSubject) + "'": 2,
		"SELECT count(*) FROM stale":                                                          0,
		"SELECT sum(n) FROM tallies":                                                          2,
		"SELECT count(*) FROM tallies":                                                        1,
	} {
		if n := count(t, s, query); n != want {
			t.Errorf("%s = %d, want %d", query, n, want)
		}
	}
}

// FuzzFind: the index of words finds a part wherever a plain search does.
func FuzzFind(f *testing.F) {
	for _, seed := range [][2]string{
		{"Hello", "ell"}, {`say "hi" AND NOT OR NEAR(x)*`, `"hi" AND`}, {"a\x00b", "\x00b"}, {"a\xffb\xfe", "\xff"},
		{"e\u0301te\u0301", "e\u0301"}, {"İSTANBUL ısı", "istan"}, {"Straße ſ K", "s k"}, {"发票 2026", "票 "},
		{"", ""}, {"x", "x"}, {"🎉🎉", "🎉"}, {"abcdefghijklmnopqrstuvwxyz0123456789", "cdefghijklmnopqrstuvwxyz012345678"},
		{"50% off_now", "%"}, {"a\nb", "a\nb"}, {strings.Repeat("ab", 500), strings.Repeat("ab", 400)},
	} {
		f.Add(seed[0], seed[1])
	}
	s := fresh(f, Options{limits: limits{tried: 1, indexed: 1}})
	s.x.close()
	s.x.ctx = f.Context()
	take(f, s, message(f, "a@gmail.com"), "x")
	f.Fuzz(func(t *testing.T, text, part string) {
		m := message(t, "a@gmail.com")
		m.Subject = text
		id := take(t, s, m, "x")
		take(t, s, message(t, "a@gmail.com"), "x") // what is tried first
		settle(t, s)
		page, err := s.List(t.Context(), spool.Filter{Text: part})
		if err != nil {
			t.Fatal(err)
		}
		found := slices.ContainsFunc(page, func(m *spool.Message) bool { return m.ID == id })
		plain := strings.Contains(fold(text), fold(part)) ||
			strings.Contains("ann@example.com", fold(part)) || strings.Contains("a@gmail.com", fold(part))
		if found != plain {
			t.Errorf("%q in %q: found %v, want %v", part, text, found, plain)
		}
		raw(t, s, "DELETE FROM recipients WHERE message > 1", "DELETE FROM messages WHERE seq > 1")
	})
}

func TestFold(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"Hello", "hELLO", true}, {"GRÜSSE", "grüsse", true}, {"ПОЧТА", "почта", true}, {"K", "\u212a", true},
		{"s", "ſ", true}, {"İ", "i", true}, {"ı", "i", false}, {"ß", "ss", false}, {"é", "e\u0301", false},
		{"\xff", "\xfe", true}, {"Σ", "ς", true},
	} {
		if same := fold(test.a) == fold(test.b); same != test.same {
			t.Errorf("%q and %q: the same %v", test.a, test.b, same)
		}
	}
}

func TestGramsQuery(t *testing.T) {
	for _, part := range []string{"abc", "ab", `a"b*`, "AND", "\x00", "票"} {
		q := having(part, inTo)
		if strings.Trim(q, "abcdefghijklmnopqrstuvwxyz234567()*AND ") != "" {
			t.Errorf("%q gives %s", part, q)
		}
	}
	long := having(strings.Repeat("0123456789", 100), inTo)
	if n := strings.Count(long, " AND ") + 1; n > mostGrams {
		t.Errorf("%d grams are asked for, at most %d are meant", n, mostGrams)
	}
	if a, b := numbered(inCause, []int64{1}), numbered(inCause, []int64{129}); a == b {
		t.Errorf("causes 1 and 129 are both %s", a)
	}
}
