package rotation

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
	"mailgate/internal/sign"
	"mailgate/internal/spool"
)

// zone is what two name servers say, and how they can be reached.
type zone struct {
	records map[string]map[string][]string // by server and name
	ttl     map[string]time.Duration       // by name
	silent  map[string]bool                // by server
	outward string                         // why name servers can't be asked
	looked  func(name string)
}

func newZone() *zone {
	return &zone{
		records: map[string]map[string][]string{"ns1.test": {}, "ns2.test": {}},
		ttl:     map[string]time.Duration{}, silent: map[string]bool{},
	}
}

// set publishes at the servers named; none: at all.
func (z *zone) set(name, text string, servers ...string) {
	for server, records := range z.records {
		if len(servers) > 0 && !slices.Contains(servers, server) {
			continue
		}
		delete(records, name)
		if text != "" {
			records[name] = []string{text}
		}
	}
}

// Published implements View.
func (z *zone) Published(_ context.Context, name, _ string) dnsview.Answer {
	if z.looked != nil {
		z.looked(name)
	}
	a := dnsview.Answer{Name: name, Status: dnsview.Unknown, NameServers: []string{"ns1.test", "ns2.test"}, Fallback: z.outward}
	if z.outward != "" {
		return a
	}
	var ttl = 5 * time.Minute
	if own, ok := z.ttl[name]; ok {
		ttl = own
	}
	for _, server := range a.NameServers {
		o := dnsview.Observation{View: dnsview.Authoritative, Server: server, Name: name, AA: true, Rcode: "NXDOMAIN", TTL: uint32(ttl.Seconds())}
		switch texts := z.records[server][name]; {
		case z.silent[server]:
			o.Error, o.Rcode, o.AA = "timeout", "", false
		case len(texts) > 0:
			o.Rcode, o.Records, a.Status = "NOERROR", texts, dnsview.Found
			for _, text := range texts {
				if !slices.Contains(a.Texts(), text) {
					a.Records = append(a.Records, dnsview.Record{Text: text})
				}
			}
		case a.Status == dnsview.Unknown:
			a.Status = dnsview.NXDomain
		}
		a.Observations = append(a.Observations, o)
	}
	return a
}

// notes is a store of notes that may refuse.
type notes struct {
	kept map[string]spool.Note
	log  []spool.LogEntry
	fail error
}

func (n *notes) Notes(context.Context, string) (list []spool.Note, err error) {
	for _, note := range n.kept {
		list = append(list, note)
	}
	return list, n.fail
}

func (n *notes) KeepNote(_ context.Context, note spool.Note, entry *spool.LogEntry) error {
	if n.fail != nil {
		return n.fail
	}
	n.kept[note.Name] = note
	if entry != nil {
		n.log = append(n.log, *entry)
	}
	return nil
}

func (n *notes) DropNote(_ context.Context, _, name string, entry *spool.LogEntry) error {
	if n.fail != nil {
		return n.fail
	}
	if _, ok := n.kept[name]; ok && entry != nil {
		n.log = append(n.log, *entry)
	}
	delete(n.kept, name)
	return nil
}

// host is a DNS host that writes at once, once it works.
type host struct {
	zone  *zone
	fail  error
	lazy  bool // takes it, and serves it never
	calls []string
}

func (h *host) Publish(_ context.Context, name, value string, replaces []string, _ time.Duration) error {
	h.calls = append(h.calls, name)
	if h.fail != nil {
		return h.fail
	}
	if !h.lazy {
		h.zone.set(name, value)
	}
	return nil
}

// world is a gateway as far as rotation knows one.
type world struct {
	t       *testing.T
	dir     string
	now     time.Time
	zone    *zone
	notes   *notes
	host    *host // nil: no publisher
	site    Site
	engine  *Engine
	signs   []Use // by domain test, as applied last
	applied int
	applies error // of Apply
	crash   string
	passed  map[string]bool
	log     bytes.Buffer
	made    map[string]time.Time
}

const domain = mail.Domain("example.test")

// newWorld has one Ed25519 key: such are made fast.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, dir: t.TempDir(), now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		zone: newZone(), notes: &notes{kept: map[string]spool.Note{}}, passed: map[string]bool{}, made: map[string]time.Time{},
	}
	if err := os.Chmod(w.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w.site.Grace = 7 * 24 * time.Hour
	w.addKey(domain, "mail", "ed25519")
	w.start()
	return w
}

// addKey makes a published key.
func (w *world) addKey(d mail.Domain, selector, kind string) {
	w.t.Helper()
	signer, err := sign.Generate(kind)
	file := filepath.Join(w.dir, string(d)+"."+selector+".pem")
	if err == nil {
		err = sign.WriteKey(file, signer)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	key := sign.Key{Domain: d, Selector: selector, Signer: signer}
	w.zone.set(key.Name(), key.Record())
	w.site.Keys = append(w.site.Keys, Key{Domain: d, Use: Use{Selector: selector, File: file, Identity: "@" + string(d)}})
	w.made[file] = w.now
}

// start is what a gateway's start does.
func (w *world) start() {
	w.t.Helper()
	book, err := Load(w.t.Context(), w.notes)
	if err != nil {
		w.t.Fatal(err)
	}
	w.engine = New(book, Options{
		Notes: w.notes,
		DNS:   func() View { return w.zone },
		Site:  func() Site { return w.site },
		Publisher: func(mail.Domain) Publisher {
			if w.host == nil {
				return nil
			}
			return w.host
		},
		Apply: func(context.Context) error { return w.apply() },
		Made: func(file string) (time.Time, error) {
			if at, ok := w.made[file]; ok {
				return at, nil
			}
			return time.Time{}, os.ErrNotExist
		},
		Log: slog.New(slog.NewTextHandler(&w.log, nil)), Now: func() time.Time { return w.now },
		CrashPoint: func(name string) {
			w.passed[name] = true
			if name == w.crash {
				w.crash = ""
				panic(crashed{})
			}
		},
	})
	w.sign()
}

type crashed struct{}

func (w *world) apply() error {
	if w.applies == nil {
		w.sign()
	}
	return w.applies
}

// sign takes the keys that the book says, and fails if one of them has just come into
// use and isn't everywhere.
func (w *world) sign() {
	w.t.Helper()
	var configured []Use
	for _, k := range w.site.Keys {
		if k.Domain == domain {
			configured = append(configured, k.Use)
		}
	}
	before := w.signs
	w.signs, w.applied = w.engine.Book().For(w.site).Uses(domain, configured), w.applied+1
	for _, k := range w.signs {
		same := func(b Use) bool { return b.Selector == k.Selector && !b.Standby }
		if k.Standby || slices.ContainsFunc(before, same) || before == nil {
			continue
		}
		if !w.visible(k) {
			w.t.Errorf("%v: %s signs and isn't at every name server", w.now, k.Selector)
		}
	}
}

func (w *world) visible(k Use) bool {
	record, err := recordOf(k.File)
	if err != nil {
		w.t.Error(err)
	}
	for _, records := range w.zone.records {
		if texts := records[recordName(domain, k.Selector)]; len(texts) != 1 || sameKey(texts[0], record) != "" {
			return false
		}
	}
	return true
}

// selectors are those that sign, then those on standby after a slash.
func (w *world) selectors() string {
	var active, standby []string
	for _, k := range w.signs {
		if k.Standby {
			standby = append(standby, k.Selector)
		} else {
			active = append(active, k.Selector)
		}
	}
	return strings.Trim(strings.Join(active, " ")+"/"+strings.Join(standby, " "), "/")
}

// run lets time pass, with turns as Run makes them. A crash is followed by a start.
func (w *world) run(d time.Duration) {
	w.t.Helper()
	for end := w.now.Add(d); ; {
		wait := w.turn()
		if w.now.Add(wait).After(end) {
			w.now = end
			return
		}
		w.now = w.now.Add(max(wait, time.Millisecond))
	}
}

func (w *world) turn() (wait time.Duration) {
	w.t.Helper()
	defer w.restart()
	return w.engine.Turn(w.t.Context())
}

func (w *world) restart() {
	if p := recover(); p != nil {
		if _, ok := p.(crashed); !ok {
			panic(p)
		}
		w.start()
	}
}

// rotate orders it, and returns what is under way afterwards.
func (w *world) rotate() Rotation {
	w.t.Helper()
	func() {
		defer w.restart()
		if _, err := w.engine.Rotate(w.t.Context(), Order{Domain: domain, By: "ann"}); err != nil {
			w.t.Fatal(err)
		}
	}()
	return w.rotation()
}

func (w *world) rotation() Rotation {
	if list := w.engine.Rotations(domain); len(list) > 0 {
		return list[0]
	}
	return Rotation{}
}

func (w *world) want(state State, selectors string) {
	w.t.Helper()
	if r := w.rotation(); r.State != state || w.selectors() != selectors {
		w.t.Fatalf("%v: it is %s (%s) and %s signs; want %s and %s\n%s", w.now, r.State, r.Problem, w.selectors(), state, selectors, w.lastLines())
	}
}

func (w *world) lastLines() string {
	lines := strings.Split(w.log.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}

// show has the new record at the servers named; none: at all.
func (w *world) show(servers ...string) {
	name, value := w.rotation().ToPublish()
	w.zone.set(name, value, servers...)
}

func (w *world) hide(servers ...string) {
	w.zone.set(w.rotation().NewName(), "", servers...)
}

var errDown = errors.New("down")
