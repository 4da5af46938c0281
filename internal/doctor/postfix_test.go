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
	return &Postfix{Main: main, Services: parseMaster("smtp inet n - y - - smtpd\ncleanup unix n - y - 0 cleanup\n")}
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
			"'smtpd_milters = unix:/mailgate/milter.sock'"},
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
	p.Services = parseMaster("smtp inet n - n - - smtpd\ncleanup unix n - n - 0 cleanup\n")
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
`)
	if len(p.Services) != 4 || p.Services[1].Options["smtpd_tls_security_level"] != "encrypt" || !p.Services[1].Chroot {
		t.Fatalf("services %+v", p.Services)
	}
	var without []string
	for _, r := range p.overrides(tcp) {
		without = append(without, r.Text)
	}
	if len(without) != 1 || !strings.Contains(without[0], "smtps has smtpd_milters = (nothing)") {
		t.Errorf("without mailgate: %q, want smtps alone", without)
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
		p := &Postfix{Main: parseMain(main), Services: parseMaster(master)}
		results := p.Milters(tcp)
		if !slices.ContainsFunc(results, func(r Result) bool {
			return strings.HasPrefix(r.Code, "postfix-milter") || r.Code == "postfix-address-form"
		}) {
			t.Errorf("nothing said of smtpd_milters: %+v", results)
		}
	})
}
