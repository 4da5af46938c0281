package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"mailgate/internal/doctor"
	"mailgate/internal/quarantine"
	"mailgate/internal/spool"
	"mailgate/internal/web"
)

// fakeAPI answers for a gateway: a list of held or queued messages, and for each order
// what the test says. Bob fits every filter, Odd none.
type fakeAPI struct {
	held []string // ids, oldest first
	page int      // messages or entries on a page
	log  []quarantine.Entry

	group  string       // of commands; empty: quarantine
	reason spool.Reason // Odd is held for

	verified http.HandlerFunc // nil: none
	// review answers one order; n counts the orders for that message.
	review func(id string, n int) (status int, p web.Problem)

	mu     sync.Mutex
	orders []string // ids in order
	to     []string // the recipients of each order
	busy   int
	peak   int // orders in flight at once
}

func (f *fakeAPI) list(w http.ResponseWriter, r *http.Request) {
	page := quarantine.Page{Messages: []quarantine.Message{}}
	past := r.URL.Query().Get("after") == ""
	state := spool.State(r.URL.Query().Get("state"))
	for i, id := range f.held {
		if past && len(page.Messages) < f.page {
			page.Messages = append(page.Messages, quarantine.Message{ID: id, Now: "pass", Recipients: []quarantine.Recipient{
				{Address: "bob@gmail.com", State: state, Now: "pass", Selected: true}, {Address: "odd" + id + "@gmail.com", State: state, Now: "pass", Reason: f.reason},
			}})
			if len(page.Messages) == f.page && i < len(f.held)-1 {
				page.Next = id
			}
		}
		past = past || id == r.URL.Query().Get("after")
	}
	_ = json.NewEncoder(w).Encode(page)
}

// show answers once Bob has left. It has the last page of the log.
func (f *fakeAPI) show(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	d := quarantine.Detail{Message: quarantine.Message{ID: id, Recipients: []quarantine.Recipient{
		{Address: "bob@gmail.com", State: spool.Delivered}, {Address: "odd" + id + "@gmail.com", State: spool.Held, Now: "pass"},
	}}}
	if len(f.log) > f.page {
		d.Log = f.log[len(f.log)-f.page:]
		d.LogNext = d.Log[0].N
	}
	_ = json.NewEncoder(w).Encode(d)
}

// logPage answers a query for the oldest first.
func (f *fakeAPI) logPage(w http.ResponseWriter, r *http.Request) {
	after, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	page := quarantine.LogPage{Entries: f.log[after:min(int(after)+f.page, len(f.log))]}
	if len(page.Entries) == f.page {
		page.Next = after + int64(f.page)
	}
	_ = json.NewEncoder(w).Encode(page)
}

func (f *fakeAPI) order(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	var body web.Review
	_ = json.NewDecoder(r.Body).Decode(&body)
	f.mu.Lock()
	f.orders = append(f.orders, id)
	f.to = append(f.to, strings.Join(body.Recipients, " "))
	n := strings.Count(strings.Join(f.orders, " ")+" ", id+" ")
	f.busy++
	f.peak = max(f.peak, f.busy)
	f.mu.Unlock()
	status, problem := 200, web.Problem{}
	if f.review != nil {
		status, problem = f.review(id, n)
	}
	f.mu.Lock()
	f.busy--
	f.mu.Unlock()
	w.WriteHeader(status)
	if status != 200 {
		_ = json.NewEncoder(w).Encode(problem)
		return
	}
	_ = json.NewEncoder(w).Encode(quarantine.Released{ID: id})
}

// runWith runs a command against the API and returns exit code and output.
func (f *fakeAPI) runWith(t *testing.T, ctx context.Context, args ...string) (int, string, string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/quarantine", f.list)
	mux.HandleFunc("GET /v1/quarantine/{id}", f.show)
	mux.HandleFunc("GET /v1/log", f.logPage)
	if f.verified != nil {
		mux.HandleFunc("GET /v1/log/verify", f.verified)
	}
	mux.HandleFunc("POST /v1/quarantine/{id}/release", f.order)
	mux.HandleFunc("POST /v1/quarantine/{id}/discard", f.order)
	mux.HandleFunc("POST /v1/queue/messages/{id}/hold", f.order)
	mux.HandleFunc("POST /v1/queue/messages/{id}/fail", f.order)
	socket := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	var out, errOut bytes.Buffer
	root := newRoot(&app{})
	root.SetArgs(append(append([]string{cmp.Or(f.group, "quarantine")}, args...), "--socket", socket))
	root.SetOut(&out)
	root.SetErr(&errOut)
	code := 0
	if err := root.ExecuteContext(ctx); err != nil {
		code = exitCode(err)
		errOut.WriteString(err.Error())
	}
	return code, out.String(), errOut.String()
}

func ids(n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("q%04d", i))
	}
	return list
}

func say(kind web.Kind) (int, web.Problem) {
	return map[web.Kind]int{
		web.KindPaced: 429, web.KindMoved: 409, web.KindDelivering: 409, web.KindRefused: 412, web.KindForeign: 412,
		web.KindWaiting: 425, web.KindNoAnswer: 502, web.KindNotTaken: 502, web.KindStopped: 503, web.KindNotFound: 404,
	}[kind], web.Problem{Error: "because", Kind: kind, RetryAfter: 0.01}
}

func TestBulkEnds(t *testing.T) {
	third := func(kind web.Kind) func(string, int) (int, web.Problem) {
		return func(id string, _ int) (int, web.Problem) {
			if id == "q0002" {
				return say(kind)
			}
			return 200, web.Problem{}
		}
	}
	tests := []struct {
		name   string
		review func(string, int) (int, web.Problem)
		args   string
		code   int
		want   string // of standard output
	}{
		{"all is well", nil, "release ALL", 0, "5 messages: 5 released\n"},
		{"someone else was first", third(web.KindMoved), "release ALL", 0, "4 released, 1 moved by someone else meanwhile"},
		{"someone else was first, and it was named", third(web.KindMoved), "release q0001 q0002", 1, "1 released, 1 moved"},
		{"one stays", third(web.KindRefused), "release ALL", 1, "q0002  stays held: would be refused: because\n5 messages: 4 released, 1 stays held"},
		{"no key", third(web.KindForeign), "release ALL", 1, "1 stays held (no key here)"},
		{"DNS is silent", third(web.KindWaiting), "release ALL", 2, "1 stays held (waiting for DNS)"},
		{"the next server says no", third(web.KindNotTaken), "release ALL", 1, "4 released, 1 failed and stays held"},
		{"no such message", third(web.KindNotFound), "release q0001 q0002", 1, "1 released, 1 not found"},
		{"ids given twice", nil, "release q0001 q0001 q0002", 0, "2 messages: 2 released"},
		{"the gateway stops", third(web.KindStopped), "release ALL", 69, "2 released, 3 still to go"},
		{"the next server is gone", func(string, int) (int, web.Problem) { return say(web.KindNoAnswer) }, "release ALL", 1,
			"5 messages: 3 failed and stay held, 2 still to go"},
		{"the next server says no to all", func(string, int) (int, web.Problem) { return say(web.KindNotTaken) }, "release ALL", 1,
			"5 messages: 5 failed and stay held"},
		{"no room yet", func(_ string, n int) (int, web.Problem) {
			if n < 3 {
				return say(web.KindPaced)
			}
			return 200, web.Problem{}
		}, "release ALL", 0, "5 messages: 5 released"},
		{"one recipient", nil, "discard ALL --to ODDq0003@gmail.com", 0, "1 message: 1 discarded"},
		{"a dry run", func(string, int) (int, web.Problem) { return say(web.KindStopped) }, "release ALL --dry-run", 0,
			"5 messages: 5 would be released. Nothing was changed."},
		{"as JSON", third(web.KindRefused), "release ALL --format json", 1, `{"id":"q0002","result":"refused","error":"because"}` + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeAPI{held: ids(5), page: 2, review: tt.review}
			code, out, errOut := f.runWith(t, t.Context(), append(strings.Fields(tt.args), "--reason", "x")...)
			if code != tt.code || !strings.Contains(out, tt.want) {
				t.Errorf("exit code %d, want %d with %q:\n%s\n%s", code, tt.code, tt.want, out, errOut)
			}
		})
	}
}

// TestBulkTakesTheRecipientsSelected: a filter about recipients leaves those of a
// message alone that don't fit it.
func TestBulkTakesTheRecipientsSelected(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", ""}, // all that are held
		{"--domain example.com --sender ann@ --since 24h --text bob", ""},
		{"--recipient bob", "bob@gmail.com"},
		{"--provider google", "bob@gmail.com"},
		{"--finding dkim", "bob@gmail.com"},
		{"--held-for refused", "bob@gmail.com"},
		{"--held-for dkim", "bob@gmail.com"},
		{"--domain example.com --recipient bob", "bob@gmail.com"},
		{"--to bob@gmail.com --to oddq0000@gmail.com", "bob@gmail.com oddq0000@gmail.com"},
		{"--to bob@gmail.com --to oddq0000@gmail.com --provider google", "bob@gmail.com"},
		{"--to oddq0000@gmail.com --provider google", "no order"},
	} {
		for _, verb := range []string{"release", "discard"} {
			f := &fakeAPI{held: ids(1), page: 2}
			code, out, errOut := f.runWith(t, t.Context(), append(strings.Fields(verb+" ALL "+tt.args), "--reason", "x")...)
			got := "no order"
			if len(f.to) > 0 {
				got = strings.Join(f.to, ", ")
			}
			if code != 0 || got != tt.want {
				t.Errorf("%s %s: ordered for %q, want %q\n%s%s", verb, tt.args, got, tt.want, out, errOut)
			}
			dry := "-> bob@gmail.com +1\n"
			switch tt.want {
			case "no order":
				dry = "no message is selected"
			case "bob@gmail.com":
				dry = "-> bob@gmail.com (1 of 2 held)\n"
			}
			_, out, _ = f.runWith(t, t.Context(), append(strings.Fields(verb+" ALL "+tt.args), "--dry-run")...)
			if !strings.Contains(out, dry) {
				t.Errorf("%s %s, dry run: %s; want %q", verb, tt.args, out, dry)
			}
		}
	}
}

// TestBulkGoesOnWithTheRest: who of a message's recipients was moved meanwhile
// doesn't keep back the others.
func TestBulkGoesOnWithTheRest(t *testing.T) {
	f := &fakeAPI{held: ids(1), page: 2, review: func(_ string, n int) (int, web.Problem) {
		if n == 1 {
			return say(web.KindMoved)
		}
		return 200, web.Problem{}
	}}
	both := []string{"--to", "bob@gmail.com,oddq0000@gmail.com", "--reason", "x"}
	code, out, _ := f.runWith(t, t.Context(), append([]string{"discard", "ALL"}, both...)...)
	if got := strings.Join(f.to, ", "); code != 0 || got != "bob@gmail.com oddq0000@gmail.com, oddq0000@gmail.com" || !strings.Contains(out, "1 discarded") {
		t.Errorf("exit code %d, ordered for %s: %s", code, got, out)
	}
	f.orders, f.to = nil, nil
	if code, _, _ := f.runWith(t, t.Context(), append([]string{"discard", "q0000"}, both...)...); code != 1 || len(f.to) != 1 {
		t.Errorf("named by its id: exit code %d, %d orders", code, len(f.to))
	}
}

// TestBulkIsOldestFirst: one after the other, each once, whatever stays held.
func TestBulkIsOldestFirst(t *testing.T) {
	f := &fakeAPI{held: ids(9), page: 4, review: func(string, int) (int, web.Problem) { return say(web.KindRefused) }}
	f.runWith(t, t.Context(), "release", "ALL", "--reason", "x")
	if got, want := strings.Join(f.orders, " "), strings.Join(ids(9), " "); got != want || f.peak != 1 {
		t.Errorf("released %s, %d at once", got, f.peak)
	}
}

// TestDiscardsAreEightAtOnce: not fewer, so that it is quick, and not more.
func TestDiscardsAreEightAtOnce(t *testing.T) {
	eight := make(chan struct{})
	var arrived sync.WaitGroup
	arrived.Add(8)
	go func() { arrived.Wait(); close(eight) }()
	var mu sync.Mutex
	n := 0
	f := &fakeAPI{held: ids(30), page: 100}
	f.review = func(string, int) (int, web.Problem) {
		mu.Lock()
		n++
		early := n <= 8
		mu.Unlock()
		if early {
			arrived.Done()
			<-eight
		}
		return 200, web.Problem{}
	}
	code, out, _ := f.runWith(t, t.Context(), "discard", "ALL", "--reason", "x")
	if code != 0 || f.peak != 8 || !strings.Contains(out, "30 discarded") {
		t.Errorf("exit code %d, %d at once:\n%s", code, f.peak, out)
	}
}

// TestInterruptFinishesTheMessageInHand: and says how far it got.
func TestInterruptFinishesTheMessageInHand(t *testing.T) {
	for _, tt := range []struct {
		name string
		kind web.Kind // the answer to the second message
		want string
	}{
		{"in hand", "", "interrupted: 2 released, 3 still to go"},
		{"while it waits for room", web.KindPaced, "interrupted: 1 released, 4 still to go"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			f := &fakeAPI{held: ids(5), page: 100}
			f.review = func(id string, _ int) (int, web.Problem) {
				if id != "q0001" {
					return 200, web.Problem{}
				}
				interrupt()
				if tt.kind == "" {
					return 200, web.Problem{}
				}
				status, problem := say(tt.kind)
				problem.RetryAfter = 3600
				return status, problem
			}
			code, _, errOut := f.runWith(t, ctx, "release", "ALL", "--reason", "x")
			if code != exitInterrupted || !strings.Contains(errOut, tt.want) || len(f.orders) != 2 {
				t.Errorf("exit code %d, %d orders: %s; want %q", code, len(f.orders), errOut, tt.want)
			}
		})
	}
}

func TestInert(t *testing.T) {
	for cell, want := range map[string]string{
		"": "", "bob@gmail.com": "bob@gmail.com", "=cmd()": "'=cmd()", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx", "a=b": "a=b",
	} {
		if got := inert(cell); got != want {
			t.Errorf("inert(%q) = %q, want %q", cell, got, want)
		}
	}
}

func TestQuoteArg(t *testing.T) {
	for s, want := range map[string]string{"": "''", "a.example": "a.example", "a b": "'a b'", "it's": `'it'\''s'`, "a;b": "'a;b'", "$(x)": "'$(x)'"} {
		if got := doctor.Quote(s); got != want {
			t.Errorf("Quote(%q) = %s, want %s", s, got, want)
		}
	}
}
