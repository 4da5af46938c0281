package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailgate/internal/advise"
	"mailgate/internal/dnstest"
)

// set puts a zone in place of example.com's.
func (p *place) set(t *testing.T, origin, zone string) {
	t.Helper()
	if err := p.dns.SetZone(origin, zone); err != nil {
		t.Fatal(err)
	}
}

func TestRecordsOfNothing(t *testing.T) {
	p := newPlace(t)
	p.set(t, "example.com", "mx1 A 203.0.113.9\n")
	code, out := p.mailgate(t, "records", "example.com", "--as", "cloudflare")
	for _, want := range []string{
		"At Cloudflare, zone example.com:", "+ DKIM mail: to add\n", "Type TXT   Name mail._domainkey   Content " + p.key.Record() + "\n",
		"+ SPF: to add\n      Type TXT   Name @   Content v=spf1 ip4:203.0.113.9 ~all\n",
		"+ DMARC: to add\n      Type TXT   Name _dmarc   Content v=DMARC1; p=none; rua=mailto:postmaster@example.com\n",
		"next: p=quarantine", "then: p=reject",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the screen lacks %q", want)
		}
	}
	if code != exitPass || t.Failed() {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestRecordsStates(t *testing.T) {
	for _, c := range []struct {
		name, zone string
		key        string // what is published at the selector; "ours", "" or a value
		fault      string
		want       []string
		code       int
	}{
		{name: "all well", key: "ours", zone: `@ TXT "v=spf1 ip4:203.0.113.9 -all"` + "\n" + `_dmarc TXT "v=DMARC1; p=quarantine; rua=mailto:d@example.com"`,
			want: []string{"dkim published", "spf published v=spf1 ip4:203.0.113.9 -all", "dmarc published v=DMARC1; p=quarantine; rua=mailto:d@example.com"}},
		{name: "a key, otherwise written", key: "other order", zone: `@ TXT "V=SPF1  IP4:203.0.113.0/24  -all"` + "\n" + `_dmarc TXT "v=DMARC1;p=reject"`,
			want: []string{"dkim published", "spf published V=SPF1  IP4:203.0.113.0/24  -all", "dmarc published v=DMARC1;p=reject"}},
		{name: "to replace", key: "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3", zone: `@ TXT "v=spf1 mx exp=e.example.com ?all"` + "\n" + `_dmarc TXT "v=DMARC1; p=none"`,
			want: []string{"dkim replace", "spf replace v=spf1 ip4:203.0.113.9 mx exp=e.example.com ?all", "dmarc published v=DMARC1; p=none"}},
		{name: "two of each", key: "ours", zone: `@ TXT "v=spf1 include:_spf.example.com ~all"` + "\n" + `@ TXT "v=spf1 mx -all"` + "\n" + `_spf TXT "v=spf1 ip4:198.51.100.0/24 -all"` + "\n" +
			`_dmarc TXT "v=DMARC1; p=none"` + "\n" + `_dmarc TXT "v=DMARC1; p=reject"`,
			want: []string{"dkim published", "spf replace v=spf1 ip4:203.0.113.9 include:_spf.example.com mx ~all", "dmarc replace v=DMARC1; p=reject"}},
		{name: "DMARC counts for nothing", key: "ours", zone: `@ TXT "v=spf1 ip4:203.0.113.9 -all"` + "\n" + `_dmarc TXT "v=DMARC1 p=reject rua=mailto:d@example.com"`,
			want: []string{"dkim published", "spf published v=spf1 ip4:203.0.113.9 -all", "dmarc replace v=DMARC1; p=reject; rua=mailto:d@example.com"}},
		{name: "DMARC, and beside it one that counts for nothing", key: "ours", zone: `@ TXT "v=spf1 ip4:203.0.113.9 -all"` + "\n" + `_dmarc TXT "v=DMARC1; p=none; rua=mailto:d@example.com"` + "\n" + `_dmarc TXT "v=DMARC1 p=reject"`,
			want: []string{"dkim published", "spf published v=spf1 ip4:203.0.113.9 -all", "dmarc replace v=DMARC1; p=none; rua=mailto:d@example.com"}},
		{name: "two DMARC that count, and one that doesn't", key: "ours", zone: `@ TXT "v=spf1 ip4:203.0.113.9 -all"` + "\n" + `_dmarc TXT "v=DMARC1; p=none"` + "\n" + `_dmarc TXT "v=DMARC1;p=none;sp=none"` + "\n" + `_dmarc TXT "v=DMARC1 p=reject"`,
			want: []string{"dkim published", "spf published v=spf1 ip4:203.0.113.9 -all", "dmarc replace v=DMARC1; p=none"}},
		{name: "everybody may send", key: "ours", zone: `@ TXT "v=spf1 ip4:198.51.100.1 all"` + "\n" + `_dmarc TXT "v=DMARC1; p=none"`,
			want: []string{"dkim published", "spf replace v=spf1 ip4:203.0.113.9 ip4:198.51.100.1 ~all", "dmarc published v=DMARC1; p=none"}},
		{name: "a wildcard alias", zone: "* CNAME www\nwww A 192.0.2.1\n" + `@ TXT "v=spf1 ip4:203.0.113.9 -all"`,
			want: []string{"dkim add", "spf published v=spf1 ip4:203.0.113.9 -all", "dmarc add v=DMARC1; p=none; rua=mailto:postmaster@example.com"}},
		{name: "a wildcard alias to a name with TXT records", zone: "* CNAME @\n" + `@ TXT "v=spf1 ip4:203.0.113.9 -all"`,
			want: []string{"dkim add", "spf published v=spf1 ip4:203.0.113.9 -all", "dmarc add v=DMARC1; p=none; rua=mailto:postmaster@example.com"}},
		{name: "an alias of DMARC that leads nowhere", key: "ours", zone: "_dmarc CNAME gone.partner.example.\n" + `@ TXT "v=spf1 ip4:203.0.113.9 -all"`,
			want: []string{"dkim published", "spf published v=spf1 ip4:203.0.113.9 -all", "dmarc replace v=DMARC1; p=none; rua=mailto:postmaster@example.com"}},
		{name: "no mend for an address", key: "ours", zone: `@ TXT "v=spf1 ip4:198.51.100.300 -all"` + "\n" + `_dmarc TXT "v=DMARC1; p=none"`, code: exitFail,
			want: []string{"dkim published", "spf replace v=spf1 ip4:203.0.113.9 ip4:198.51.100.300 -all", "dmarc published v=DMARC1; p=none"}},
		{name: "an include without a record", key: "ours", zone: `@ TXT "v=spf1 include:x.partner.example ip4:203.0.113.9 ~all"` + "\n" + `_dmarc TXT "v=DMARC1; p=none"`, code: exitFail,
			want: []string{"dkim published", "spf faulty v=spf1 include:x.partner.example ip4:203.0.113.9 ~all", "dmarc published v=DMARC1; p=none"}},
		{name: "strict DMARC counts for nothing, and mail fails", zone: `_dmarc TXT "v=DMARC1 p=reject"`,
			want: []string{"dkim add", "spf add v=spf1 ip4:203.0.113.9 ~all", "dmarc replace v=DMARC1; p=none; rua=mailto:postmaster@example.com"}},
		{name: "DNS keeps silent", fault: "example.com", key: "ours", zone: `_dmarc TXT "v=DMARC1; p=none; rua=mailto:d@example.com"`, code: exitUnknown,
			want: []string{"dkim published", "spf unknown v=spf1 ip4:203.0.113.9 ~all", "dmarc published v=DMARC1; p=none; rua=mailto:d@example.com"}},
		{name: "an include keeps silent", fault: "_spf.example.com", key: "ours", zone: `@ TXT "v=spf1 include:_spf.example.com -all"` + "\n" + `_dmarc TXT "v=DMARC1; p=none; rua=mailto:d@example.com"`, code: exitUnknown,
			want: []string{"dkim published", "spf unknown v=spf1 include:_spf.example.com -all", "dmarc published v=DMARC1; p=none; rua=mailto:d@example.com"}},
		{name: "key by an alias", key: "alias", zone: `@ TXT "v=spf1 ip4:203.0.113.9 -all"` + "\n" + `_dmarc TXT "v=DMARC1; p=none"`,
			want: []string{"dkim published", "spf published v=spf1 ip4:203.0.113.9 -all", "dmarc published v=DMARC1; p=none"}},
		{name: "own hosts as addresses", key: "ours", zone: `@ TXT "v=spf1 a:1.example.com a:2.example.com a:3.example.com a:4.example.com a:5.example.com a:6.example.com a:7.example.com a:8.example.com a:9.example.com -a:mx1.example.com mx ip4:203.0.113.9 -all"` +
			"\n@ MX 10 mx1\n1 A 198.51.100.1\n2 A 198.51.100.2\n3 A 198.51.100.3\n4 A 198.51.100.4\n5 A 198.51.100.5\n6 A 198.51.100.6\n7 A 198.51.100.7\n8 A 198.51.100.8\n9 A 198.51.100.9\n" + `_dmarc TXT "v=DMARC1; p=none"`,
			want: []string{"dkim published", "spf replace v=spf1 ip4:203.0.113.9 ip4:198.51.100.1 a:2.example.com a:3.example.com a:4.example.com a:5.example.com a:6.example.com a:7.example.com a:8.example.com a:9.example.com -a:mx1.example.com mx ip4:203.0.113.9 -all", "dmarc published v=DMARC1; p=none"}},
		{name: "others' includes are too many", key: "ours", zone: `@ TXT "v=spf1 include:1.partner.example include:2.partner.example -all"` + "\n" + `_dmarc TXT "v=DMARC1; p=none"`, code: exitFail,
			want: []string{"dkim published", "spf replace v=spf1 ip4:203.0.113.9 include:1.partner.example include:2.partner.example -all", "dmarc published v=DMARC1; p=none"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t)
			p.set(t, "example.com", "mx1 A 203.0.113.9\n"+c.zone+"\n")
			p.set(t, "partner.example", `1 TXT "v=spf1 a:x.partner.example a:x.partner.example a:x.partner.example a:x.partner.example a:x.partner.example ~all"
2 TXT "v=spf1 a:x.partner.example a:x.partner.example a:x.partner.example a:x.partner.example ~all"
x A 198.51.100.1
`)
			switch c.key {
			case "":
			case "ours":
				p.publish(t, p.dns)
			case "other order":
				_, public, _ := strings.Cut(p.key.Record(), "p=")
				if err := p.dns.AddTXT(p.key.Name(), "k=rsa; t=s; p="+public); err != nil {
					t.Fatal(err)
				}
			case "alias":
				if err := p.dns.Add(p.key.Name() + ". 300 CNAME mail.partner.example."); err != nil {
					t.Fatal(err)
				}
				if err := p.dns.AddTXT("mail.partner.example", p.key.Record()); err != nil {
					t.Fatal(err)
				}
			default:
				if err := p.dns.AddTXT(p.key.Name(), c.key); err != nil {
					t.Fatal(err)
				}
			}
			if c.fault != "" {
				p.dns.Fault(c.fault, dnstest.ServFail)
			}
			code, out := p.mailgate(t, "records", "example.com", "--format", "json")
			var s recordsShown
			if err := json.Unmarshal([]byte(out), &s); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			var got []string
			for _, r := range s.Records {
				line := string(r.Check) + " " + string(r.State)
				if r.Check != "dkim" {
					line += " " + r.Value
				}
				got = append(got, line)
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") || code != c.code {
				t.Errorf("exit %d, got\n%s\nwant\n%s\n%s", code, strings.Join(got, "\n"), strings.Join(c.want, "\n"), out)
			}
		})
	}
}

// What is told to be published is as it should be once it is, or is said not to be.
func TestRecordsTwice(t *testing.T) {
	const dmarc = `_dmarc TXT "v=DMARC1; p=none"`
	for _, line := range []string{
		`@ TXT "v=spf1 +all"`,
		`@ TXT "v=spf1 mx ~all +all"`,
		`@ TXT "v=spf1 +all"` + "\n" + `@ TXT "v=spf1 mx -all"`,
		`@ TXT "v=spf1 ip4:198.51.100.1,ip4:198.51.100.2 ~all"`,
		`@ TXT "v=spf1 include:x.partner.example, -all"`,
		`@ TXT "v=spf1 ip4:198.51.100.300 -all"`,
		`@ TXT "v=spf1 redirect=x.partner.example redirect=y.partner.example"`,
		`@ TXT "v=spf1 include:http://x.partner.example -all"`,
		`@ TXT "v=spf1 include:gone.partner.example -all"`,
		`@ TXT "v=spf1 redirect=x.partner.example"` + "\n" + `@ TXT "v=spf1 mx -all"`,
		`@ TXT "v=spf1-all"`,
		`_dmarc TXT "v=DMARC1, p=reject, rua=mailto:a@example.com"`,
		`_dmarc TXT "v=DMARC1 p=none; rua=mailto:a@example.com, mailto:b@example.com"`,
		`_dmarc TXT "v=DMARC1 p=reject; sp=non; adkim=strict; rua=a@example.com"`,
		`_dmarc TXT "v=DMARC1; p=rejct"`,
		`_dmarc TXT "v=DMARC1; p=none"` + "\n" + `_dmarc TXT "v=DMARC1 p=reject"`,
	} {
		p := newPlace(t)
		p.set(t, "partner.example", `x TXT "v=spf1 ip4:198.51.100.7 ~all"`+"\n"+`y TXT "v=spf1 ip4:198.51.100.8 ?all"`+"\n")
		var steps []advise.Step
		look := func(zone string) (recordShown, int) {
			p.set(t, "example.com", "mx1 A 203.0.113.9\n@ MX 10 mx1\n"+zone+"\n")
			p.publish(t, p.dns)
			code, out := p.mailgate(t, "records", "example.com", "--format", "json")
			var s recordsShown
			if err := json.Unmarshal([]byte(out), &s); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			steps = s.Steps
			return s.Records[map[bool]int{true: 1, false: 2}[line[0] == '@']], code
		}
		other := dmarc
		if line[0] != '@' {
			other = `@ TXT "v=spf1 ip4:203.0.113.9 -all"`
		}
		told, first := look(other + "\n" + line)
		toDo := steps
		again, second := look(other + "\n" + told.ZoneFile)
		if told.Fault == "" && slices.ContainsFunc(toDo, func(s advise.Step) bool { return s.Code == "spf-syntax" }) {
			t.Errorf("%s: a step for what the record mends: %+v", line, toDo)
		}
		if well := again.State == advise.AsItIs && second == exitPass; well != (told.Fault == "") || well != (first == exitPass) {
			t.Errorf("%s\ntold %s, exit %d: %s\n%q %q\nthen %s, exit %d: %q", line, told.State, first, told.Value, told.Fault, told.Notes, again.State, second, again.Fault)
		}
	}
}

// Deleting an alias takes more than TXT records away.
func TestRecordsAtAlias(t *testing.T) {
	p := newPlace(t)
	p.set(t, "example.com", "news CNAME u.partner.example.\n")
	p.set(t, "partner.example", "u TXT \"v=spf1 ip4:198.51.100.7 -all\"\nu MX 10 mx.partner.example.\n")
	_, out := p.mailgate(t, "records", "news.example.com", "--as", "bind", "--ip", "203.0.113.9")
	for _, want := range []string{"delete CNAME: u.partner.example", "have the record published there", "AAAA, MX"} {
		if !strings.Contains(out, want) {
			t.Errorf("the screen lacks %q", want)
		}
	}
	if strings.Contains(out, "today: ") || t.Failed() {
		t.Errorf("what stands elsewhere isn't replaced here:\n%s", out)
	}
}

func TestRecordsSayWhatStays(t *testing.T) {
	for zone, want := range map[string]string{
		`@ TXT "v=spf1 ip4:198.51.100.300 -all"`: "~ SPF: to replace today's, and not right like this: see below\n",
		`@ TXT "v=spf1 ip4:198.51.100.300 ~all"`: `It will not do like this: The SPF record has an error: "ip4:198.51.100.300"`,
		`*.x TXT "v=spf1 -all"`:                  "+ SPF: to add\n",
	} {
		p := newPlace(t)
		p.set(t, "example.com", "mx1 A 203.0.113.9\n"+zone+"\n")
		if _, out := p.mailgate(t, "records", "example.com", "--as", "web"); !strings.Contains(out, want) {
			t.Errorf("%s: the screen lacks %q\n%s", zone, want, out)
		}
	}
	p := newPlace(t)
	p.set(t, "example.com", "* TXT \"v=spf1 include:x.partner.example -all\"\n")
	if _, out := p.mailgate(t, "records", "news.example.com", "--ip", "203.0.113.9"); !strings.Contains(out, "A wildcard (*) has today's") {
		t.Errorf("the screen lacks the wildcard\n%s", out)
	}
}

func TestReportsElsewhere(t *testing.T) {
	const note, name = "Receivers send no reports to partner.example before", "example.com._report._dmarc"
	for zone, want := range map[string]bool{"x A 192.0.2.1\n": true, name + " TXT \"v=DMARC1\"\n": false, "*._report._dmarc TXT \"v=DMARC1;\"\n": false} {
		p := newPlace(t)
		p.set(t, "example.com", "mx1 A 203.0.113.9\n")
		p.set(t, "partner.example", zone)
		_, out := p.mailgate(t, "records", "example.com", "--rua", "d@partner.example")
		if strings.Contains(out, note) != want || strings.Contains(out, name+".partner.example TXT") != want {
			t.Errorf("%s:\n%s", zone, out)
		}
	}
}

// Without a configuration the flags say it all.
func TestRecordsByFlags(t *testing.T) {
	p := newPlace(t)
	key := filepath.Join(filepath.Dir(p.config), "mail.pem")
	code, out := p.mailgate(t, "records", "other.example", "--selector", "s1", "--key", key, "--ip", "192.0.2.1", "--ip", "2001:db8::1", "--rua", "mailto:dmarc@example.net", "--as", "bind")
	for _, want := range []string{
		"\ns1._domainkey.other.example. 3600 IN TXT \"v=DKIM1; k=rsa; p=", "\nother.example. 3600 IN TXT \"v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 ~all\"\n",
		"\n_dmarc.other.example. 3600 IN TXT \"v=DMARC1; p=none; rua=mailto:dmarc@example.net\"\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the screen lacks %q", want)
		}
	}
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, ";") && line != "\n" && !strings.Contains(line, " IN TXT ") {
			t.Errorf("a zone file can't have the line %q", line)
		}
	}
	if code != exitPass || t.Failed() {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestRecordsUsage(t *testing.T) {
	p := newPlace(t)
	dir := filepath.Dir(p.config)
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"records", exitUsage, "DOMAIN"},
		{"records exa..mple", exitUsage, "domain"},
		{"records example.com --as cloudflair", exitUsage, "bind, cloudflare"},
		{"records example.com --key " + dir + "/mail.pem", exitUsage, "every key file needs its selector"},
		{"records example.com --selector s --key " + dir + "/none.pem", exitConfig, "none.pem"},
		{"records example.com --selector s --key " + dir + "/mailgate.toml", exitConfig, "mailgate.toml"},
		{"records example.com --rua nobody", exitUsage, "no mail address"},
		{"records example.com --rua a;b@example.com", exitUsage, "no mail address"},
		{"records example.com --ip 1.2.3", exitUsage, "no IP address"},
		{"records partner.example", exitPass, "mailgate keys generate partner.example"},
		{"records example.com --selector other", exitPass, "the key of selector other is not known"},
	} {
		if code, out := p.mailgate(t, strings.Fields(c.args)...); code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%s: exit %d, want %d with %q\n%s", c.args, code, c.code, c.want, out)
		}
	}
}
