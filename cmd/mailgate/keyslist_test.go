package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailgate/internal/dnstest"
	"mailgate/internal/mail"
	"mailgate/internal/preflight"
	"mailgate/internal/rotation"
	"mailgate/internal/sign"
	"mailgate/internal/web"
)

// keyRow is a listed key as its row shows it.
func keyRow(k web.Key) string {
	return fmt.Sprintf("%s/%s %s %s %s %s", k.Domain, k.Selector, k.State, keyKind(k), serversWord(k), matchWord(k))
}

func keyRows(list web.KeyList) []string {
	var rows []string
	for _, k := range list.Keys {
		rows = append(rows, keyRow(k))
	}
	return rows
}

// keys lists them by the configuration and returns the exit code, too.
func (p *place) keys(t *testing.T, args ...string) (int, web.KeyList) {
	t.Helper()
	code, out := p.mailgate(t, append([]string{"keys", "list", "--format", "json"}, args...)...)
	var list web.KeyList
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return code, list
}

// addKeys puts more keys into the configuration.
func (p *place) addKeys(t *testing.T, more string) {
	t.Helper()
	text, err := os.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	const first = `file = "mail.pem" }`
	changed := strings.Replace(string(text), first, first+", "+more, 1)
	if err := os.WriteFile(p.config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestListByConfiguration(t *testing.T) {
	p := newPlace(t)
	p.generate(t, "--selector", "next", "--no-dns")
	p.addKeys(t, `{ selector = "next", file = "example.com.next.pem" }`)

	code, list := p.keys(t)
	want := []string{"example.com/mail active RSA 2048 0/1 ✗", "example.com/next active RSA 2048 0/1 ✗"}
	if got := keyRows(list); code != exitFail || !slices.Equal(got, want) {
		t.Errorf("exit %d: %q, want %q", code, got, want)
	}
	if list.Source != "configuration" || len(list.Notes) != 1 || !strings.Contains(list.Notes[0], "no gateway can be asked") {
		t.Errorf("from %s: %q", list.Source, list.Notes)
	}

	p.publish(t, p.dns)
	code, list = p.keys(t, "example.com")
	want = []string{"example.com/mail active RSA 2048 1/1 ✓", "example.com/next unused RSA 2048 0/1 ✗"}
	if got := keyRows(list); code != exitFail || !slices.Equal(got, want) || list.Keys[1].Why != "dkim-missing: mail signs" {
		t.Errorf("exit %d: %q, want %q; %s", code, got, want, list.Keys[1].Why)
	}
	next := list.Keys[1]
	if err := p.dns.AddTXT(next.Name, next.Record); err != nil {
		t.Fatal(err)
	}
	if code, list = p.keys(t, "example.com"); code != exitPass || list.Keys[1].State != web.KeyActive || list.Keys[1].Match != preflight.Yes {
		t.Errorf("exit %d: %q", code, keyRows(list))
	}
	if made := list.Keys[0].Made; made.IsZero() || !slices.Equal(list.Keys[0].For, []string{"example.com"}) || len(list.Keys[0].Findings[0].Evidence) == 0 {
		t.Errorf("%+v", list.Keys[0])
	}

	code, list = p.keys(t, "--no-dns")
	if got, want := keyRows(list), []string{"example.com/mail active RSA 2048 - ?", "example.com/next active RSA 2048 - ?"}; code != exitPass || !slices.Equal(got, want) {
		t.Errorf("without DNS, exit %d: %q", code, got)
	}
	p.dns.Fault("mail._domainkey.example.com", dnstest.ServFail)
	if code, list = p.keys(t); code != exitUnknown || list.Keys[0].Match != preflight.Maybe {
		t.Errorf("DNS fails, exit %d: %q", code, keyRows(list))
	}
	if code, list = p.keys(t, "elsewhere.example"); code != exitFail || len(list.Keys) != 0 {
		t.Errorf("another domain, exit %d: %q", code, keyRows(list))
	}
	if code, _ := p.mailgate(t, "keys", "list", "not a domain"); code != exitUsage {
		t.Errorf("no domain, exit %d", code)
	}
}

// What a person sees; nothing of a private key, in no format.
func TestListScreen(t *testing.T) {
	p := newPlace(t)
	p.publish(t, p.dns)
	dir := filepath.Dir(p.config)
	p.generate(t, "--selector", "open", "--no-dns")
	p.addKeys(t, `{ selector = "open", file = "example.com.open.pem" }, { selector = "none", file = "none.pem" }`)
	if err := os.Chmod(filepath.Join(dir, "example.com.open.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out := p.mailgate(t, "keys", "list")
	for _, want := range []string{
		"DOMAIN       SELECTOR  STATE   KEY       AGE  NAME SERVERS  MATCH\n",
		"example.com  mail      active  RSA 2048",
		"1/1           ✓\n",
		"example.com  none      unused  ?         ?    -             ?\n",
		"✗ open of example.com: " + dir, "chmod 600",
		"note: told from " + p.config,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the screen lacks %q", want)
		}
	}
	if code != exitFail || t.Failed() {
		t.Errorf("exit %d\n%s", code, out)
	}
	_, inJSON := p.mailgate(t, "keys", "list", "--format", "json")
	for _, file := range []string{"mail.pem", "example.com.open.pem"} {
		pem, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if secret := strings.Split(string(pem), "\n")[3]; strings.Contains(out+inJSON, secret) || strings.Contains(inJSON, "PRIVATE") {
			t.Errorf("%s is shown", file)
		}
	}
}

func TestListWarns(t *testing.T) {
	p := newPlace(t)
	dir := filepath.Dir(p.config)
	long := time.Now().Add(-200 * 24 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "mail.pem"), long, long); err != nil {
		t.Fatal(err)
	}
	p.generate(t, "--selector", "ed", "--type", "ed25519", "--no-dns")
	text, err := os.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	more := "[keys]\nrotate_every = \"180d\"\n[[domain]]\nname = \"example.net\"\nkeys = [{ selector = \"ed\", file = \"example.com.ed.pem\" }]\n"
	if err := os.WriteFile(p.config, append(text, more...), 0o600); err != nil {
		t.Fatal(err)
	}
	_, list := p.keys(t, "--no-dns")
	for i, want := range []string{"it is 200d old, and rotate_every is 180d", "no RSA key signs beside it"} {
		if got := list.Keys[i].Warnings; len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%s: %q, want %q", list.Keys[i].Name, got, want)
		}
	}
}

// The gateway tells it, with what rotations are doing.
func TestListByGateway(t *testing.T) {
	s := startRelaySite(t, "")
	s.publish()
	var list web.KeyList
	query := map[string][]string{"domain": {"one.example"}}
	if err := s.get(t.Context(), "/v1/keys", query, &list); err != nil {
		t.Fatal(err)
	}
	if got, want := keyRows(list), []string{"one.example/mail active RSA 2048 1/1 ✓"}; list.Source != "gateway" || !slices.Equal(got, want) {
		t.Errorf("from %s: %q, want %q", list.Source, got, want)
	}
	if err := s.get(t.Context(), "/v1/keys", map[string][]string{"domain": {"a b"}}, &list); exitCode(err) != exitUsage {
		t.Errorf("no domain: %v", err)
	}
	if err := s.get(t.Context(), "/v1/keys", map[string][]string{"dns": {"perhaps"}}, &list); exitCode(err) != exitUsage {
		t.Errorf("dns=perhaps: %v", err)
	}
	file := filepath.Join(s.dir, "keys", "one.pem")
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	var out, errOut strings.Builder
	code := run(&app{}, []string{"keys", "list", "--config", filepath.Join(s.dir, siteFile)}, strings.NewReader(""), &out, &errOut)
	if code != exitPass || !strings.Contains(out.String(), "! mail of one.example: "+file+" can be read") {
		t.Errorf("exit %d\n%s%s", code, out.String(), errOut.String())
	}
}

func TestListOfRotations(t *testing.T) {
	base := []web.Key{
		{Domain: "a.example", Selector: "now", Name: "now._domainkey.a.example", State: web.KeyActive, For: []string{"*.a.example"}},
		{Domain: "a.example", Selector: "old", Name: "old._domainkey.a.example", State: web.KeyStandby},
	}
	here := func(d mail.Domain) bool { return d == "a.example" }
	servers := []rotation.Server{{State: rotation.Has}, {State: rotation.Lacks}}
	turn := func(state rotation.State, old, new string) rotation.Rotation {
		return rotation.Rotation{Domain: "a.example", State: state, Servers: servers, Record: "v=DKIM1; p=new",
			Old: rotation.Pair{Selector: old}, New: rotation.Pair{Selector: new, Algorithm: "RSA 2048"}}
	}
	elsewhere := turn(rotation.Publishing, "now", "next")
	elsewhere.Domain = "b.example"
	tests := map[string]struct {
		rotation rotation.Rotation
		selector string
		want     string // its row; empty: it isn't there
		record   string
	}{
		"publishing": {turn(rotation.Publishing, "now", "next"), "next", "a.example/next publishing RSA 2048 1/2 ✗", "v=DKIM1; p=new"},
		"holding":    {turn(rotation.Holding, "now", "next"), "next", "a.example/next publishing RSA 2048 1/2 ✗", "v=DKIM1; p=new"},
		"signing":    {turn(rotation.Signing, "old", "now"), "old", "a.example/old retired ? - ?", ""},
		"revoking":   {turn(rotation.Revoking, "older", "old"), "older", "a.example/older revoking ? 1/2 ?", rotation.RevokedRecord},
		"done":       {turn(rotation.Done, "older", "old"), "older", "a.example/older revoked ? - ?", rotation.RevokedRecord},
		"cancelled":  {turn(rotation.Cancelled, "now", "next"), "next", "", ""},
		"elsewhere":  {elsewhere, "next", "", ""},
	}
	for name, tt := range tests {
		list := withRotations(slices.Clone(base), []rotation.Rotation{tt.rotation}, here)
		i := slices.IndexFunc(list, func(k web.Key) bool { return k.Selector == tt.selector })
		switch {
		case i < 0 && tt.want == "":
		case i < 0:
			t.Errorf("%s: it isn't listed", name)
		case keyRow(list[i]) != tt.want || list[i].Record != tt.record || list[i].Why == "":
			t.Errorf("%s: %q %+v, want %q", name, keyRow(list[i]), list[i], tt.want)
		}
		if code := exitOf(keysExit(web.KeyList{Keys: list[:1]}, web.KeyQuery{NoDNS: true})); code != exitPass {
			t.Errorf("%s: exit %d", name, code)
		}
	}
}

func exitOf(err error) int {
	if err == nil {
		return exitPass
	}
	return exitCode(err)
}

// Keys of many domains are asked about side by side, and a key of several domains is
// listed once.
func TestKeyDomains(t *testing.T) {
	p := newPlace(t)
	text, err := os.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	more := "[[domain]]\nname = \"*.example.net\"\nsign_as = \"example.com\"\nkeys = [{ selector = \"mail\", file = \"mail.pem\" }]\n"
	if err := os.WriteFile(p.config, append(text, more...), 0o600); err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[string]string{
		"": "example.com *.example.net", "example.com": "example.com *.example.net", "a.example.net": "*.example.net",
		"example.net": "*.example.net", "a.example.com": "", "badexample.net": "",
	} {
		args := []string{"--no-dns"}
		if domain != "" {
			args = append(args, domain)
		}
		_, list := p.keys(t, args...)
		got := ""
		if len(list.Keys) > 0 {
			got = strings.Join(list.Keys[0].For, " ")
		}
		if got != want || len(list.Keys) > 1 {
			t.Errorf("%q: keys for %q, want %q; %d keys", domain, got, want, len(list.Keys))
		}
	}
}

// root sees the keys of another user's gateway.
func TestLoadOthersKey(t *testing.T) {
	p := newPlace(t)
	file := filepath.Join(filepath.Dir(p.config), "mail.pem")
	if os.Geteuid() == 0 {
		if err := os.Chown(file, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	key, _, err := loadOthersKey(file)
	if err != nil || (sign.Key{Domain: "example.com", Selector: "mail", Signer: key}).Record() != p.key.Record() {
		t.Errorf("%v", err)
	}
}
