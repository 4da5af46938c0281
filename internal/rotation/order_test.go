package rotation

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailgate/internal/mail"
)

// A new selector is one that nothing has: neither the configuration, nor a rotation,
// nor the directory, nor DNS.
func TestFreeName(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(w *world)
		want string // or a part of the error
	}{
		"nothing is taken": {func(*world) {}, "e2026a"},
		"configured":       {func(w *world) { w.addKey(domain, "e2026a", "ed25519") }, "e2026b"},
		"a file":           {func(w *world) { os.WriteFile(filepath.Join(w.dir, "example.test.e2026a.pem"), nil, 0o600) }, "e2026b"},
		"published":        {func(w *world) { w.zone.set("e2026a._domainkey.example.test", "v=DKIM1; p=AA", "ns2.test") }, "e2026b"},
		"a wildcard answers": {func(w *world) {
			w.zone.set("e2026a._domainkey.example.test", "v=spf1 -all")
			w.zone.set(wildcardProbe+"._domainkey.example.test", "v=spf1 -all")
		}, "e2026a"},
		"DNS is silent": {func(w *world) { w.zone.outward = "shut" }, "DNS gives no answer"},
		"all are taken": {func(w *world) {
			for serial := range serials {
				w.zone.set("e2026"+serial+"._domainkey.example.test", "x")
			}
		}, "every selector from e2026a to zz is taken"},
		"those of one letter are taken": {func(w *world) {
			for c := 'a'; c <= 'z'; c++ {
				w.zone.set(fmt.Sprintf("e2026%c._domainkey.example.test", c), "x")
			}
		}, "e2026aa"},
		"the directory can't be read": {func(w *world) { w.site.Dir = w.site.Keys[0].File }, "a new key file"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.do(w)
			list, err := w.engine.Rotate(t.Context(), Order{Domain: domain, Selector: "mail", DryRun: true})
			if err != nil && strings.Contains(err.Error(), tt.want) {
				return
			}
			if err != nil || list[0].New.Selector != tt.want {
				t.Fatalf("%v, %v; want %s", list, err, tt.want)
			}
			if w.rotation().State != "" || len(w.notes.log) > 0 {
				t.Error("a dry run did something")
			}
		})
	}
}

// What the new key is: of the old one's kind, and of RSA at least 2048 bits.
func TestNewKey(t *testing.T) {
	w := newWorld(t)
	w.addKey(domain, "rsa", "rsa2048")
	list, err := w.engine.Rotate(t.Context(), Order{Domain: domain})
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	if list[0].New.Algorithm != "Ed25519" || list[1].New.Algorithm != "RSA 2048" || list[1].New.Selector != "m2026a" {
		t.Errorf("new keys %+v and %+v", list[0].New, list[1].New)
	}
	for _, r := range list {
		if info, err := os.Stat(r.New.File); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", r.New.File, info, err)
		}
	}
}

func TestKeyDirectory(t *testing.T) {
	w := newWorld(t)
	w.site.Dir = filepath.Join(w.dir, "new")
	if r := w.rotate(); filepath.Dir(r.New.File) != w.site.Dir {
		t.Errorf("written to %s", r.New.File)
	}
	// A directory that others may write to would only be noticed at the switch.
	w = newWorld(t)
	w.site.Dir = filepath.Join(w.dir, "open")
	if err := errors.Join(os.Mkdir(w.site.Dir, 0o700), os.Chmod(w.site.Dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.engine.Rotate(t.Context(), Order{Domain: domain}); err == nil {
		t.Error("a key was written where others may replace it")
	}
	if files, _ := os.ReadDir(w.site.Dir); len(files) != 0 {
		t.Errorf("it left %v", files)
	}
}

// The selector of the old key names its rotation to its end: who looks at it doesn't
// begin that of another key.
func TestOrderByOldSelector(t *testing.T) {
	w := newWorld(t)
	w.addKey(domain, "rsa", "rsa2048")
	w.host = &host{zone: w.zone}
	for _, state := range []State{Publishing, Signing, Done} {
		list, err := w.engine.Rotate(t.Context(), Order{Domain: domain, Selector: "mail"})
		if err != nil || len(list) != 1 || list[0].Old.Selector != "mail" || list[0].State != state {
			t.Errorf("%v, %v; want mail, %s", list, err, state)
		}
		w.run(4 * day)
	}
	if all := w.engine.Book().All(); len(all) != 1 {
		t.Errorf("rotations: %v", all)
	}
}

func TestOrders(t *testing.T) {
	w := newWorld(t)
	for _, o := range []Order{{Domain: "other.test"}, {Domain: domain, Selector: "nix"}} {
		if _, err := w.engine.Rotate(t.Context(), o); !errors.Is(err, ErrNoKey) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := w.engine.Cancel(t.Context(), Order{Domain: domain}); !errors.Is(err, ErrNone) {
		t.Errorf("cancelled nothing: %v", err)
	}
	w.host = &host{zone: w.zone}
	first := w.rotate()
	w.run(time.Minute)
	if r := w.rotate(); r.New != first.New {
		t.Errorf("ordered twice it began another: %+v", r)
	}
	w.run(8 * day)
	w.want(Done, "e2026a")
	// Who looks how it went doesn't begin the next.
	for _, selector := range []string{"", "mail", "e2026a"} {
		if list, err := w.engine.Rotate(t.Context(), Order{Domain: domain, Selector: selector}); err != nil || list[0].State != Done {
			t.Errorf("%q: %v, %v", selector, list, err)
		}
	}
	list, err := w.engine.Rotate(t.Context(), Order{Domain: domain, Again: true})
	if err != nil || list[0].Old.Selector != "e2026a" || list[0].New.Selector != "e2026b" {
		t.Errorf("again: %v, %v", list, err)
	}
	w.run(9 * day)
	if w.selectors() != "e2026b" {
		t.Errorf("%s signs", w.selectors())
	}
	if r := w.rotate(); r.Old.Selector != "e2026b" {
		t.Errorf("a day later: %+v", r)
	}
}

func TestCancel(t *testing.T) {
	cancel := func(w *world) error {
		_, err := w.engine.Cancel(w.t.Context(), Order{Domain: domain, By: "ann"})
		return err
	}
	signing := func(w *world) {
		w.show()
		w.run(20 * time.Minute)
		w.want(Signing, "e2026a/mail")
	}
	for name, tt := range map[string]struct {
		do    func(w *world)
		want  error
		state State
		signs string
	}{
		"before it is published": {func(*world) {}, nil, Cancelled, "mail"},
		"while it is held":       {func(w *world) { w.show(); w.run(time.Minute) }, nil, Cancelled, "mail"},
		"after the switch":       {signing, nil, Cancelled, "mail"},
		"the old record is gone": {func(w *world) { signing(w); w.zone.set("mail._domainkey.example.test", "", "ns1.test") }, ErrInvisible, Signing, "e2026a/mail"},
		"DNS is silent":          {func(w *world) { signing(w); w.zone.silent["ns1.test"] = true }, ErrUnsure, Signing, "e2026a/mail"},
		"the old file is gone":   {func(w *world) { signing(w); os.Remove(w.site.Keys[0].File) }, os.ErrNotExist, Signing, "e2026a/mail"},
		"it isn't configured": {func(w *world) {
			signing(w)
			w.site.Keys[0].Selector, w.site.Keys[0].File = "e2026a", w.rotation().New.File
		}, ErrNoKey, Signing, "e2026a/mail"},
		"it is being revoked": {func(w *world) { signing(w); w.run(8 * day) }, ErrTooLate, Revoking, "e2026a"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.rotate()
			tt.do(w)
			if err := cancel(w); !errors.Is(err, tt.want) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			w.want(tt.state, tt.signs)
			if tt.want == nil {
				w.run(30 * day)
				w.want(Cancelled, "mail")
				if last := w.notes.log[len(w.notes.log)-1]; last.Actor != "ann" {
					t.Errorf("cancelled by %s", last.Actor)
				}
				if r := w.rotate(); r.State == Cancelled || r.New.Selector != "e2026b" {
					t.Errorf("the next: %+v", r)
				}
			}
		})
	}
}

// Keys that are too old are replaced, spread over time and few at once.
func TestRotateEvery(t *testing.T) {
	w := newWorld(t)
	w.site.Keys[0].Every = 20 * day
	w.run(18 * day)
	if w.rotation().State != "" {
		t.Fatal("it began early")
	}
	const others = 12
	for i := range others {
		w.addKey(mail.Domain(fmt.Sprintf("d%02d.test", i)), "mail", "ed25519")
		last := &w.site.Keys[len(w.site.Keys)-1]
		last.Every, w.made[last.File] = 20*day, w.now.Add(-18*day)
	}
	w.host = &host{zone: w.zone, fail: errDown}
	w.run(5 * day)
	began := w.engine.Rotations("")
	if len(began) != autoAtOnce {
		t.Fatalf("%d began, want %d while none is published", len(began), autoAtOnce)
	}
	if began[0].By != "rotate_every" {
		t.Errorf("begun by %s", began[0].By)
	}
	w.host.fail = nil
	w.run(8 * day)
	var at []time.Time
	for _, r := range w.engine.Rotations("") {
		at = append(at, r.Begun)
		if r.State != Done {
			t.Errorf("%s: %s", r.Domain, r.State)
		}
	}
	if len(at) != others+1 {
		t.Fatalf("%d were replaced, want %d", len(at), others+1)
	}
	slices.SortFunc(at, time.Time.Compare)
	for i := range at[1:] {
		if gap := at[i+1].Sub(at[i]); gap < autoEvery {
			t.Errorf("two began %s apart", gap)
		}
	}
	// The age of the new keys counts from their switch.
	w.run(10 * day)
	if n := len(w.engine.Rotations("")); n != others+1 {
		t.Errorf("%d rotations later", n)
	}
	w.run(14 * day)
	if n := len(w.engine.Rotations("")); n != 2*(others+1) {
		t.Errorf("%d rotations after the second time", n)
	}
}

// What waits for people, or can't be done, keeps nothing else from its turn.
func TestRotateEveryWithoutPublisher(t *testing.T) {
	w := newWorld(t)
	for i := range 8 {
		w.addKey(mail.Domain(fmt.Sprintf("d%d.test", i)), "mail", "ed25519")
	}
	for i := range w.site.Keys {
		w.site.Keys[i].Every = day * 10
	}
	os.Remove(w.site.Keys[3].File)
	w.run(30 * day)
	if n := len(w.engine.Rotations("")); n != 8 {
		t.Errorf("%d began, want 8", n)
	}
	if n := strings.Count(w.log.String(), "can't be replaced now"); n < 5 || n > 100 {
		t.Errorf("said %d times that one can't", n)
	}
	// One that was cancelled rests.
	if _, err := w.engine.Cancel(t.Context(), Order{Domain: domain}); err != nil {
		t.Fatal(err)
	}
	w.run(9 * day)
	w.want(Cancelled, "mail")
	w.run(2 * day)
	w.want(Publishing, "mail")
}
