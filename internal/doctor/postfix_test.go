package doctor

import (
	"slices"
	"strings"
	"testing"
)

const queue = "/var/spool/postfix"

var (
	tcp  = Door{"tcp", "127.0.0.1:8891"}
	sock = Door{"unix", "/var/spool/postfix/mailgate/milter.sock"}
	out  = Door{"unix", "/run/mailgate/milter.sock"}
)

// instance is a Postfix whose smtpd runs chrooted, as Debian's does.
func instance(settings ...string) *Postfix {
	main := map[string]string{
		"queue_directory": queue, "milter_default_action": "tempfail", "non_smtpd_milters": "inet:127.0.0.1:8891", "mail_version": "3.7.11",
	}
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		main[name] = value
	}
	return &Postfix{Main: main, Services: parseMaster("smtp inet n - y - - smtpd\ncleanup unix n - y - 0 cleanup\n", true)}
}

func TestMilters(t *testing.T) {
	for _, c := range []struct {
		name  string
		door  Door
		p     *Postfix
		codes string // those that aren't well
		mend  string // of the first, in part
	}{
		{"right", tcp, instance("smtpd_milters=inet:127.0.0.1:8891"), "", ""},
		{"by name", tcp, instance("smtpd_milters=inet:localhost:8891"), "", ""},
		{"braces", tcp, instance("smtpd_milters={ inet:127.0.0.1:8891, connect_timeout=5s }"), "", ""},
		{"last of two", tcp, instance("smtpd_milters=inet:127.0.0.1:11332, inet:127.0.0.1:8891"), "", ""},
		{"none", tcp, instance("smtpd_milters="), "postfix-milter-missing", "'smtpd_milters = inet:127.0.0.1:8891'"},
		{"another port", tcp, instance("smtpd_milters=inet:127.0.0.1:8890"), "postfix-milter-missing", "'smtpd_milters = inet:127.0.0.1:8890, inet:127.0.0.1:8891'"},
		{"another address", tcp, instance("smtpd_milters=inet:127.0.0.2:8891"), "postfix-milter-missing", "inet:127.0.0.1:8891"},
		{"all addresses", Door{"tcp", "0.0.0.0:8891"}, instance("smtpd_milters=inet:192.0.2.7:8891"), "", ""},
		{"not last", tcp, instance("smtpd_milters=inet:127.0.0.1:8891 inet:127.0.0.1:11332"), "postfix-milter-not-last",
			"'smtpd_milters = inet:127.0.0.1:11332, inet:127.0.0.1:8891'"},
		{"not last, with attributes", tcp, instance("smtpd_milters={ inet:127.0.0.1:8891, default_action=tempfail } unix:/x"), "postfix-milter-not-last",
			"'smtpd_milters = unix:/x, { inet:127.0.0.1:8891, default_action = tempfail }'"},
		{"accept", tcp, instance("smtpd_milters=inet:127.0.0.1:8891", "milter_default_action=accept"), "postfix-default-action", "'milter_default_action = tempfail'"},
		{"accept of its own", tcp, instance("smtpd_milters={ inet:127.0.0.1:8891, default_action=accept }"), "postfix-default-action", "Take default_action out"},
		{"reject", tcp, instance("smtpd_milters=inet:127.0.0.1:8891", "milter_default_action=reject"), "postfix-default-action", "tempfail"},
		{"quarantine", tcp, instance("smtpd_milters=inet:127.0.0.1:8891", "milter_default_action=quarantine"), "postfix-default-action", "tempfail"},
		{"OpenDKIM's form", tcp, instance("smtpd_milters=inet:8891@127.0.0.1"), "postfix-address-form", "'smtpd_milters = inet:127.0.0.1:8891'"},
		{"no local mail", tcp, instance("smtpd_milters=inet:127.0.0.1:8891", "non_smtpd_milters="), "postfix-local-mail", "non_smtpd_milters = $smtpd_milters"},
		{"by client", tcp, instance("smtpd_milters=inet:127.0.0.1:8891", "smtpd_milter_maps=cidr:/x"), "postfix-milter-maps", "names mailgate, too"},
		{"OpenDKIM beside it", tcp, instance("smtpd_milters=unix:opendkim/opendkim.sock inet:127.0.0.1:8891"), "postfix-two-signers", "keys import"},
		{"socket in the chroot", sock, instance("smtpd_milters=unix:/mailgate/milter.sock", "non_smtpd_milters=unix:/mailgate/milter.sock"), "", ""},
		{"relative socket", sock, instance("smtpd_milters=unix:mailgate/milter.sock", "non_smtpd_milters=unix:mailgate/milter.sock"), "", ""},
		{"socket named from outside", sock, instance("smtpd_milters=unix:/var/spool/postfix/mailgate/milter.sock", "non_smtpd_milters=unix:mailgate/milter.sock"), "postfix-chroot",
			"'smtpd_milters = unix:mailgate/milter.sock'"},
		{"socket out of the chroot", out, instance("smtpd_milters=unix:/run/mailgate/milter.sock", "non_smtpd_milters=unix:mailgate/milter.sock"), "postfix-chroot postfix-local-mail",
			"[milter] listen = \"unix:/var/spool/postfix/mailgate/milter.sock\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var codes []string
			var mend string
			for _, r := range c.p.Milters(c.door) {
				if r.Status == Pass {
					continue
				}
				if mend == "" {
					mend = strings.Join(r.Mend, "\n")
				}
				codes = append(codes, r.Code)
			}
			if got := strings.Join(codes, " "); got != c.codes || !strings.Contains(mend, c.mend) {
				t.Errorf("%q, mend %q; want %q, mend with %q", got, mend, c.codes, c.mend)
			}
		})
	}
}

func TestUnchrooted(t *testing.T) {
	p := instance("smtpd_milters=unix:/run/mailgate/milter.sock", "non_smtpd_milters=unix:/run/mailgate/milter.sock")
	p.Services = parseMaster("smtp inet n - n - - smtpd\ncleanup unix n - n - 0 cleanup\n", true)
	if results := p.Milters(out); Worst(results) != Pass {
		t.Errorf("%+v", results)
	}
}

func TestServices(t *testing.T) {
	p := instance("smtpd_milters=inet:127.0.0.1:8891")
	p.Services = parseMaster(`smtp       inet  n       -       y       -       -       smtpd
pickup     unix  n       -       y       60      1       pickup
submission inet  n       -       y       -       -       smtpd -o smtpd_tls_security_level=encrypt -o { smtpd_milters = inet:127.0.0.1:8891, unix:/x }
smtps      inet  n       -       y       -       -       smtpd -o smtpd_milters=
cleanup    unix  n       -       y       -       0       cleanup
`, false)
	if len(p.Services) != 4 || p.Services[1].Options["smtpd_tls_security_level"] != "encrypt" || !p.Services[1].Chroot {
		t.Fatalf("services %+v", p.Services)
	}
	var without []string
	for _, r := range p.Milters(tcp) {
		if r.Status != Pass {
			without = append(without, r.Code+" "+r.Text)
		}
	}
	want := []string{
		"postfix-milter-not-last service submission: smtpd_milters: mailgate is number 1 of 2: what a later milter changes breaks the signature",
		"postfix-service-without service smtps: smtpd_milters = (nothing): its mail doesn't come to mailgate",
	}
	if !slices.Equal(without, want) {
		t.Errorf("%q\nwant %q", without, want)
	}
}

// Each service is judged by its own settings and its own view of the files.
func TestServicesOfTheirOwn(t *testing.T) {
	const cleanup = "\ncleanup unix n - n - 0 cleanup\n"
	for _, c := range []struct {
		name, master, main string
		door               Door
		codes              string
		mend               string
	}{
		{"own default action", "submission inet n - y - - smtpd -o milter_default_action=accept", "smtpd_milters=inet:127.0.0.1:8891", tcp,
			"postfix-default-action", "In master.cf, for submission: -o { milter_default_action = tempfail }"},
		{"own default action, of the milter", "submission inet n - y - - smtpd -o { smtpd_milters = { inet:127.0.0.1:8891, default_action=accept } }", "smtpd_milters=inet:127.0.0.1:8891", tcp,
			"postfix-default-action", "Take default_action out"},
		{"no milters", "amavis inet n - y - - smtpd -o receive_override_options=no_address_mappings,no_milters", "smtpd_milters=inet:127.0.0.1:8891", tcp,
			"postfix-no-milters", "take no_milters out"},
		{"no milters at all", "", "receive_override_options=no_address_mappings, no_milters", tcp, "postfix-no-milters", "'receive_override_options = no_address_mappings'"},
		{"chroots that differ", "submission inet n - n - - smtpd", "smtpd_milters=unix:/mailgate/milter.sock", sock, "postfix-chroot", "'smtpd_milters = unix:mailgate/milter.sock'"},
		{"chroots that differ, and it's right", "submission inet n - n - - smtpd", "smtpd_milters=unix:mailgate/milter.sock", sock, "", ""},
		{"OpenDKIM's form beside it", "", "smtpd_milters=inet:127.0.0.1:8891, inet:8893@localhost", tcp, "postfix-address-form", "'smtpd_milters = inet:localhost:8893, inet:127.0.0.1:8891'"},
	} {
		name, value, _ := strings.Cut(c.main, "=")
		p := instance("smtpd_milters=inet:127.0.0.1:8891", name+"="+value, "non_smtpd_milters="+c.door.Endpoint(queue, false))
		p.Services = parseMaster("smtp inet n - y - - smtpd\n"+c.master+cleanup, false)
		var codes, mends []string
		for _, r := range p.Milters(c.door) {
			if r.Status != Pass {
				codes, mends = append(codes, r.Code), append(mends, r.Mend...)
			}
		}
		if strings.Join(codes, " ") != c.codes || !strings.Contains(strings.Join(mends, "\n"), c.mend) {
			t.Errorf("%s: %q, mend %q; want %q, mend with %q", c.name, codes, mends, c.codes, c.mend)
		}
	}
}

// cleanup connects for mail of the machine itself, with its own view of the files.
func TestLocalMailBeyondTheChroot(t *testing.T) {
	p := instance("smtpd_milters=unix:/mailgate/milter.sock", "non_smtpd_milters=unix:/mailgate/milter.sock")
	p.Services = parseMaster("smtp inet n - y - - smtpd\ncleanup unix n - n - 0 cleanup\n", false)
	results := p.local(sock)
	if len(results) != 1 || results[0].Code != "postfix-chroot" || !strings.Contains(results[0].Mend[0], "'non_smtpd_milters = unix:mailgate/milter.sock'") {
		t.Errorf("%+v", results)
	}
}

// Before Postfix 3.0 "-" in the column chroot was yes.
func TestChrootByDefault(t *testing.T) {
	for level, want := range map[string]bool{"": true, "0": true, "2": false, "3.6": false} {
		if got := parseMaster("smtp inet n - - - - smtpd", chrootByDefault(level))[0].Chroot; got != want {
			t.Errorf("compatibility level %q: chroot %v, want %v", level, got, want)
		}
	}
}

func TestQuote(t *testing.T) {
	for s, want := range map[string]string{"/etc/postfix": "/etc/postfix", "a b": "'a b'", "it's": `'it'\''s'`, "": "''", "$x": "'$x'"} {
		if got := Quote(s); got != want {
			t.Errorf("Quote(%q) = %s, want %s", s, got, want)
		}
	}
}

func TestPolicyMap(t *testing.T) {
	door := Door{"tcp", "127.0.0.1:8461"}
	for _, c := range []struct{ maps, configured, codes string }{
		{"socketmap:inet:127.0.0.1:8461:mailgate", "3.6", ""},
		{"hash:/etc/postfix/tls, socketmap:inet:localhost:8461:QUERYwithTLSRPT", "3.7", ""},
		{"", "3.6", "postfix-policy-map-missing"},
		{"socketmap:inet:127.0.0.1:9999:mailgate", "3.6", "postfix-policy-map-missing"},
		{"socketmap:inet:127.0.0.1:8461:mailgate", "3.10", "postfix-version"},
		{"socketmap:unix:/mailgate/s.sock:mailgate", "3.6", "postfix-policy-map-missing"}, // the door is TCP
	} {
		var codes []string
		for _, r := range instance("smtp_tls_policy_maps="+c.maps).PolicyMap(door, c.configured) {
			if r.Status != Pass {
				codes = append(codes, r.Code)
			}
		}
		if got := strings.Join(codes, " "); got != c.codes {
			t.Errorf("%s for %s: %q, want %q", c.maps, c.configured, got, c.codes)
		}
	}
}

// What the administrator has is kept, and a socket is named as each smtp service sees it.
func TestPolicyMapMends(t *testing.T) {
	door := Door{"unix", queue + "/mailgate/s.sock"}
	for _, c := range []struct{ master, maps, code, mend string }{
		{"smtp unix - - y - - smtp", "hash:/etc/postfix/tls", "postfix-policy-map-missing", "'smtp_tls_policy_maps = hash:/etc/postfix/tls, socketmap:unix:/mailgate/s.sock:mailgate'"},
		{"smtp unix - - n - - smtp", "", "postfix-policy-map-missing", "socketmap:unix:" + queue + "/mailgate/s.sock:mailgate'"},
		{"smtp unix - - y - - smtp", "socketmap:unix:" + queue + "/mailgate/s.sock:mailgate", "postfix-policy-map-chroot", "'smtp_tls_policy_maps = socketmap:unix:/mailgate/s.sock:mailgate'"},
		{"smtp unix - - y - - smtp\nrelay unix - - n - - smtp", "socketmap:unix:/mailgate/s.sock:mailgate", "postfix-policy-map-chroot", "'smtp_tls_policy_maps = socketmap:unix:mailgate/s.sock:mailgate'"},
		{"smtp unix - - y - - smtp", "socketmap:unix:/mailgate/s.sock:mailgate", "postfix-policy-map", ""},
	} {
		p := instance("smtp_tls_policy_maps=" + c.maps)
		p.Services = parseMaster(c.master, false)
		r := p.PolicyMap(door, "3.6")[0]
		if r.Code != c.code || !strings.Contains(strings.Join(r.Mend, "\n"), c.mend) {
			t.Errorf("%q, %s: %+v; want %s, mend with %q", c.master, c.maps, r, c.code, c.mend)
		}
	}
}

func TestNewer(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"3.10", "3.7.11", true}, {"3.6", "3.7.11", false}, {"3.7", "3.7.11", false}, {"4.0", "3.10", true}, {"x", "3.7", false}} {
		if got := newer(c.a, c.b); got != c.want {
			t.Errorf("newer(%s, %s) = %v", c.a, c.b, got)
		}
	}
}

func FuzzPostconf(f *testing.F) {
	f.Add("smtpd_milters = { inet:127.0.0.1:8891, a = b }, unix:/x\n", "smtp inet n - y - - smtpd -o { a = b }\n")
	f.Add("smtpd_milters = }{", "smtp inet n - y - - smtpd -o {")
	f.Fuzz(func(t *testing.T, main, master string) {
		p := &Postfix{Main: parseMain(main), Services: parseMaster(master, true)}
		results := p.Milters(tcp)
		if !slices.ContainsFunc(results, func(r Result) bool {
			return strings.HasPrefix(r.Code, "postfix-milter") || r.Code == "postfix-address-form"
		}) {
			t.Errorf("nothing said of smtpd_milters: %+v", results)
		}
	})
}
