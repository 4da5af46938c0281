//go:build integration

package main

import (
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailgate/internal/sign"
	"mailgate/internal/web"
)

// A rotation by dynamic updates, from the order to the end, at two real name servers.
func TestKnotKeysRotate(t *testing.T) {
	s := newPublishSite(t, true, "ns1", "ns2")
	config, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	more := "[milter]\nlisten = \"unix:milter.sock\"\n[control]\nsocket = \"control.sock\"\n[store]\nurl = \"sqlite:mailgate.db\"\n[keys]\ngrace = \"2h\"\n"
	if err := os.WriteFile(s.config, append(config, more...), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out := s.mailgate("records", "publish", "example.com", "--yes", "--wait", "10m")
	s.wants("publish", code, exitPass, out, "Every name server has it")

	var ahead atomic.Int64
	var port int
	if err := json.Unmarshal([]byte(s.port), &port); err != nil {
		t.Fatal(err)
	}
	demo, err := startForDemo(t.Context(), s.config, wiring{
		log: slog.New(slog.NewTextHandler(t.Output(), nil)), authorityPort: port, dnsTime: patientDNS,
		rotationClock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	gateway := demo.(*demoGateway)
	t.Cleanup(func() {
		if err := gateway.Stop(); err != nil {
			t.Error(err)
		}
	})
	rotation := func() web.Rotation {
		t.Helper()
		code, out := s.mailgate("keys", "rotate", "--list", "--format", "json")
		var list web.RotationList
		if err := json.Unmarshal([]byte(out), &list); code != 0 || err != nil || len(list.Rotations) != 1 {
			t.Fatalf("keys rotate --list: %d, %v\n%s", code, err, out)
		}
		return list.Rotations[0]
	}
	// until puts the clock forward a minute at a time. The servers have a clock of
	// their own, by which they copy the zone.
	until := func(state string) {
		t.Helper()
		for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if rotation().State == state {
				return
			}
			ahead.Add(int64(time.Minute))
			gateway.gateway.rotations.Turn(t.Context())
		}
		t.Fatalf("%+v, want %s", rotation(), state)
	}
	signers := func() string {
		var selectors []string
		for _, k := range gateway.gateway.live.Load().gate.Keys().For("example.com") {
			word := k.Selector
			if k.Standby {
				word += " on standby"
			}
			selectors = append(selectors, word)
		}
		return strings.Join(selectors, ", ")
	}

	code, out = s.mailgate("keys", "rotate", "example.com")
	s.wants("rotate", code, exitPass, out, "mail -> m", "2 ⏸ record on every name server", `publisher "my-dns" has written it`)
	next := rotation().New
	until("holding")
	if signers() != "mail" {
		t.Errorf("while it is held, %s sign", signers())
	}
	until("signing") // the old record's TTL is an hour
	if r := rotation(); r.Hold != time.Hour || r.Waited >= time.Minute || signers() != next.Selector+", mail on standby" {
		t.Errorf("%s sign; %+v", signers(), r)
	}
	until("done")
	if signers() != next.Selector {
		t.Errorf("at the end %s sign", signers())
	}
	signer, _, err := sign.LoadKey(next.File)
	if err != nil {
		t.Fatal(err)
	}
	record := sign.Key{Domain: "example.com", Selector: next.Selector, Signer: signer}.Record()
	for _, server := range []string{publishPrimary, publishFollower} {
		for name, want := range map[string]string{"mail": "v=DKIM1; p=", next.Selector: record} {
			out, err := exec.Command("dig", "+short", "-p", s.port, "@"+server, name+"._domainkey.example.com", "TXT").Output()
			got := strings.ReplaceAll(strings.TrimSpace(string(out)), `" "`, "")
			if got = strings.Trim(strings.ReplaceAll(got, `\;`, ";"), `"`); err != nil || got != want {
				t.Errorf("%s has %q at %s, want %q (%v)", server, got, name, want, err)
			}
		}
	}
	if err := os.Remove(filepath.Join(filepath.Dir(s.config), "mail.pem")); err != nil {
		t.Fatal(err)
	}
	if err := gateway.gateway.applyRotations(t.Context()); err != nil {
		t.Errorf("without the old file: %v", err)
	}
}
