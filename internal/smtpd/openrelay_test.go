package smtpd

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"

	"mailgate/internal/mail"
)

// Nobody gets a route through us: not a user, nor a client that may write as one
// domain, nor one whom a balancer doesn't name; and with no word for it that another
// server could read as one.
func TestNoRoutes(t *testing.T) {
	routes := []string{
		"<eve%example.net@example.com>", "<eve%example.net>", `<"eve%example.net"@example.com>`, "<eve%evil.example%example.net@example.com>",
		"<example.net!eve@example.com>", "<evil.example!example.net!eve>", `<"example.net!eve"@example.com>`, "<eve!example.net@example.com>",
		"<@example.com:eve@example.net>", "<@example.com,@mx1.example.com:eve@example.net>", "<@example.com:eve%example.net@mx1.example.com>",
		`<"eve@example.net"@example.com>`, `<"eve\@example.net"@example.com>`, `<"@example.net:eve"@example.com>`, `<"<eve@example.net>"@example.com>`,
		`<"eve@example.net"@>`, "<eve@example.net@example.com>", "<eve@[203.0.113.5]>", "<eve@[IPv6:2001:db8::5]>", "<eve@#3405803781>",
		"<postmaster%example.net>", "<postmaster!eve>", `<"postmaster">`, "<@example.com:postmaster>", "<postmaster@>", "<postmaster,eve@example.net>",
		"<eve@example.net>,<ann@example.net>", "<eve@example.net\x00@example.com>", "eve%example.net@example.com",
	}
	hash, err := HashPassword("secret")
	if err != nil {
		t.Fatal(err)
	}
	users, err := NewAccounts([]Account{{"ann", hash, Rights{}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		trusted  func(netip.Addr) (Rights, bool)
		balancer bool // at 127.0.0.1, and it names nobody
		login    bool
		plain    string // the answer to a plain address
	}{
		"user":           {trusted: nobody, login: true, plain: "250"},
		"one domain":     {trusted: only("example.com"), plain: "250"},
		"stranger":       {trusted: nobody, plain: "550 5.7.1"},
		"nobody's":       {trusted: loopback(), balancer: true, plain: "550 5.7.1"},
		"user over it":   {trusted: loopback(), balancer: true, login: true, plain: "250"},
		"trusted, whole": {trusted: loopback(), plain: "250"},
	} {
		t.Run(name, func(t *testing.T) {
			r := secured(t, TLSOffered, func(config *Config, l *Listener) {
				config.Limits.Errors, l.Trusted, l.Users = 1000, c.trusted, users
				if c.balancer {
					l.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
				}
			})
			connect := func() *talk {
				k := r.dial(t)
				if c.balancer {
					k.send(header(2, proxyproto.LOCAL, ""))
				}
				k.want("220")
				k.say("EHLO x", "250")
				if c.login {
					k.startTLS()
					k.say("AUTH PLAIN "+b64("\x00ann\x00secret"), "235")
				}
				return k
			}
			k := connect()
			for _, to := range routes {
				k.say("MAIL FROM:<ann@example.com>", "250")
				k.send("RCPT TO:" + to + "\r\n")
				got := k.reply()
				if !strings.HasPrefix(got, "5") {
					t.Errorf("%q: %q", to, got)
				}
				if strings.Contains(to, "\x00") { // it ends the session
					k = connect()
					continue
				}
				k.say("DATA", "503")
				k.say("RSET", "250")
			}
			k.say("MAIL FROM:<ann@example.com>", "250")
			k.say("RCPT TO:<bob@example.net>", c.plain)
			if n := r.spool.count(); n != 0 {
				t.Errorf("%d messages", n)
			}
		})
	}
	if a, err := mail.ParsePath("<a%b@example.com>"); err != nil || plainRecipient(a) == nil {
		t.Errorf("%v, %v", a, err) // what is refused isn't a matter of syntax
	}
}
