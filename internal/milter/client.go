package milter

import (
	"net"
	"net/netip"
	"strings"
)

// client is the SMTP client as the MTA describes it.
type client struct {
	host    string
	addr    netip.Addr // invalid if the MTA doesn't know or there is none
	helo    string
	local   bool   // no SMTP client from outside: sendmail(1), a pipe, a Unix socket
	mtaName string // the MTA's own host name
}

// newClient reads the connect command. Postfix shows mail from pickup(8) as
// localhost [127.0.0.1] port 0, which no TCP client can have. A family "unknown"
// is a client that has hung up or whose address a proxy keeps back: not local.
func newClient(host, family string, port uint16, ip net.IP, macros map[string]string) client {
	c := client{host: host, mtaName: macro(macros, "j")}
	switch family {
	case "unix":
		c.local = true
	case "tcp4", "tcp6":
		if c.addr, _ = netip.AddrFromSlice(ip); !c.addr.IsValid() {
			c.addr = parseIP(macro(macros, "client_addr"))
		}
		c.addr = c.addr.Unmap()
		c.local = port == 0 && host == "localhost" && c.addr.IsLoopback()
	}
	return c
}

// parseIP parses an address with or without Sendmail's prefix.
func parseIP(s string) netip.Addr {
	if len(s) > 5 && strings.EqualFold(s[:5], "IPv6:") {
		s = s[5:]
	}
	a, _ := netip.ParseAddr(s)
	return a
}

// trust says whether the client may have mail signed, and why.
func (c client) trust(user string, trusted func(netip.Addr) bool) (bool, string) {
	switch {
	case user != "":
		return true, "authenticated as " + user
	case c.local:
		return true, "local submission"
	case c.addr.IsValid() && trusted(c.addr):
		return true, "client " + c.addr.String() + " is trusted"
	case c.addr.IsValid():
		return false, "client " + c.addr.String() + " is not trusted"
	}
	return false, "client of unknown address"
}

// macro looks a macro up by its name, which MTAs write with or without braces.
func macro(macros map[string]string, name string) string {
	if v, ok := macros["{"+name+"}"]; ok {
		return v
	}
	return macros[name]
}
