package convert

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"mailgate/internal/mail"
)

// hosts makes milter.trusted of InternalHosts.
func (c *opendkim) hosts() error {
	s, given := c.conf.get("InternalHosts")
	internal, err := c.set("InternalHosts", "which clients' mail is signed isn't known")
	if err != nil {
		return err
	}
	switch {
	case !given:
		c.plan.Trusted = []string{"127.0.0.1/32"}
		c.plan.note(Taken, place{}, "InternalHosts", "its default, 127.0.0.1", "")
	case internal != nil:
		c.plan.Trusted = c.networks("InternalHosts", internal)
		c.plan.note(Taken, s.at, "InternalHosts", "milter.trusted = "+strings.Join(c.plan.Trusted, ", "), "")
	}
	if s, ok := c.conf.get("Nameservers"); ok {
		c.resolvers(s)
	}
	return c.peers()
}

// networks are the entries that are addresses or networks; the others are noted.
func (c *opendkim) networks(name string, set *dataset) []string {
	all := []string{}
	add := func(prefix string) {
		if !slices.Contains(all, prefix) {
			all = append(all, prefix)
		}
	}
	for _, e := range set.entries {
		prefix, err := network(e.key)
		switch {
		case lower(e.key) == "localhost":
			add("127.0.0.1/32")
			add("::1/128")
		case strings.HasPrefix(e.key, "*") && !set.patterns:
			c.plan.note(Moot, e.at, name, e.key+" is no name of a client, and so never was one", "")
		case strings.HasPrefix(e.key, "!"):
			c.plan.note(Left, e.at, name, e.key+": mailgate has no exceptions from a network", "list the networks without it")
		case err != nil && (strings.HasPrefix(e.key, ".") || strings.ContainsAny(e.key, "abcdefghijklmnopqrstuvwxyz") && !strings.Contains(e.key, ":")):
			c.plan.note(Left, e.at, name, e.key+": mailgate knows clients by address, not by name", "add its addresses to trusted")
		case err != nil:
			c.plan.note(Left, e.at, name, e.key+": "+err.Error(), "add the network to trusted as 192.0.2.0/24")
		default:
			add(prefix.String())
		}
	}
	return all
}

// network reads an address or network as OpenDKIM writes them, brackets too.
func network(text string) (netip.Prefix, error) {
	text = strings.NewReplacer("[", "", "]", "").Replace(text)
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("no address or network")
	}
	return p.Masked(), nil
}

// peers are clients whose mail OpenDKIM doesn't touch.
func (c *opendkim) peers() error {
	s, ok := c.conf.get("PeerList")
	if !ok {
		return nil
	}
	set, err := c.set("PeerList", "clients whose mail wasn't touched aren't known")
	if err != nil || set == nil {
		return err
	}
	for _, e := range set.entries {
		peer, err := network(e.key)
		within := err != nil || slices.ContainsFunc(c.plan.Trusted, func(t string) bool {
			own, err := netip.ParsePrefix(t)
			return err == nil && own.Overlaps(peer)
		})
		if err == nil && slices.Contains(c.plan.Trusted, peer.String()) {
			c.plan.Trusted = slices.DeleteFunc(c.plan.Trusted, func(t string) bool { return t == peer.String() })
			c.plan.note(Taken, e.at, "PeerList", e.key+": not in milter.trusted", "")
		} else if within {
			c.plan.note(Left, e.at, "PeerList", e.key+": mail of this client wasn't touched; mailgate has no exceptions from a network", "list the networks without it in trusted")
		}
	}
	c.plan.note(Taken, s.at, "PeerList", "clients that aren't in milter.trusted aren't signed for, unless they log in", "")
	return nil
}

func (c *opendkim) resolvers(s setting) {
	for item := range strings.SplitSeq(s.value, ",") {
		if a, err := netip.ParseAddr(strings.TrimSpace(item)); err == nil {
			c.plan.Resolvers = append(c.plan.Resolvers, a.String())
		} else {
			c.plan.note(Left, s.at, "Nameservers", strings.TrimSpace(item)+" is no IP address", "")
		}
	}
	c.plan.note(Taken, s.at, "Nameservers", "dns.resolvers", "")
}

// socket makes milter.listen of Socket.
func (c *opendkim) socket() {
	s, ok := c.conf.get("Socket")
	if !ok {
		c.plan.Listen = defaultListen
		c.plan.note(Differs, place{}, "Socket", "isn't set in the configuration, so it was on OpenDKIM's command line (-p); mailgate listens on "+defaultListen, "see smtpd_milters in Postfix's main.cf")
		return
	}
	listen, err := listenOf(s.value)
	if err != nil {
		c.plan.Listen = defaultListen
		c.plan.note(Left, s.at, "Socket", err.Error(), "set milter.listen, and smtpd_milters in Postfix's main.cf to the same")
		return
	}
	c.plan.Listen = listen
	unix := strings.HasPrefix(listen, "unix:")
	switch {
	case unix:
		c.plan.Listen = ownSocket
		c.plan.note(Mend, s.at, "Socket", "was "+listen+", in a directory of OpenDKIM's, where mailgate may be unable to make one; mailgate listens on "+ownSocket,
			"install -d -o root -g postfix -m 2750 "+path.Dir(strings.TrimPrefix(ownSocket, "unix:"))+"   (-o: the user that mailgate runs as); then in main.cf: smtpd_milters = "+c.plan.Milter()+", which Postfix finds in its chroot and without one")
	case strings.HasPrefix(listen, "inet:0.0.0.0:"), strings.HasPrefix(listen, "inet6:[::]:"):
		c.plan.note(Taken, s.at, "Socket", listen+": on every address of this machine; whoever reaches it can have mail signed", "write 127.0.0.1 in its place, unless Postfix is on another machine")
	default:
		c.plan.note(Taken, s.at, "Socket", listen+", so main.cf may stay as it is (smtpd_milters = "+c.plan.Milter()+")", "")
	}
	if u, ok := c.conf.get("UMask"); ok && unix {
		c.plan.note(Differs, u.at, "UMask", "was "+u.value+"; mailgate's socket has mode 0660 and the group of its directory", "set milter.socket_mode for another")
	} else if ok {
		c.plan.note(Moot, u.at, "UMask", "is for a Unix socket", "")
	}
}

// ownSocket is where mailgate listens if the old signer did on a Unix socket.
const ownSocket = "unix:" + postfixQueue + "mailgate/milter.sock"

const defaultListen = "inet:127.0.0.1:8891"

// listenOf turns a socket of libmilter into Postfix's form.
func listenOf(text string) (string, error) {
	kind, rest, ok := strings.Cut(text, ":")
	if strings.HasPrefix(text, "/") {
		kind, rest, ok = "local", text, true
	}
	switch {
	case !ok:
		return "", fmt.Errorf("%s is no socket such as inet:8891@localhost", text)
	case (kind == "local" || kind == "unix") && strings.HasPrefix(rest, "/"):
		if len(rest) > 107 {
			return "", fmt.Errorf("the path of %s is too long for a socket", text)
		}
		return "unix:" + rest, nil
	case kind != "inet" && kind != "inet6":
		return "", fmt.Errorf("%s is no socket such as inet:8891@localhost", text)
	}
	port, host, _ := strings.Cut(rest, "@")
	host = strings.Trim(host, "[]")
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%s: %s is no port number", text, port)
	}
	any, loopback := "0.0.0.0", "127.0.0.1"
	if kind == "inet6" {
		any, loopback = "[::]", "[::1]"
	}
	switch {
	case host == "":
		host = any
	case strings.EqualFold(host, "localhost"):
		host = loopback
	default:
		if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
			kind, host = "inet6", "["+a.String()+"]"
		} else if err == nil {
			kind = "inet"
		} else if _, err := mail.ParseDomain(host); err != nil {
			return "", fmt.Errorf("%s: %w", text, err)
		}
	}
	return kind + ":" + host + ":" + port, nil
}
