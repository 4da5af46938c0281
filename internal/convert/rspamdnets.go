package convert

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// trusted makes milter.trusted of the clients that rspamd signs for.
func (c *rspamd) trusted() {
	c.plan.Trusted = []string{}
	if c.is("sign_local", true) {
		local := append([]string{"127.0.0.0/8", "::1/128"}, c.local()...)
		c.networks("sign_local", c.place("sign_local"), local)
		c.plan.note(Taken, c.place("sign_local"), "sign_local", "milter.trusted: this machine and local_addrs", "")
	}
	if v := c.conf.get("sign_networks"); v != nil {
		c.networks("sign_networks", v.at, c.list("sign_networks", v))
		c.plan.note(Taken, v.at, "sign_networks", "milter.trusted", "")
	}
	if v := c.conf.get("sign_authenticated"); v != nil && !c.is("sign_authenticated", true) {
		c.plan.note(Left, v.at, "sign_authenticated", "is off; mailgate signs for clients that log in", "leave smtpd_milters empty in master.cf for the daemon they use")
	}
}

// local is local_addrs of options.inc.
func (c *rspamd) local() []string {
	if c.base == "" {
		return rspamdLocal
	}
	local := rspamdLocal
	for _, dir := range []string{"", "local.d", "override.d"} {
		data, err := c.tree.read(path.Join(c.base, dir, "options.inc"))
		if err != nil {
			continue
		}
		v, _, err := parseUCL(path.Join(dir, "options.inc"), data)
		if err != nil {
			continue
		}
		if set := v.get("local_addrs"); set != nil {
			local = c.list("local_addrs", set)
		}
	}
	return local
}

func (c *rspamd) networks(name string, at place, list []string) {
	for _, text := range list {
		for item := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ';' }) {
			c.network(name, at, strings.Fields(item))
		}
	}
}

// network takes the first of some words: what follows in an entry is what the client
// is called, so a network among it is told, not trusted.
func (c *rspamd) network(name string, at place, words []string) {
	for i, text := range words {
		p, err := network(text)
		switch {
		case i > 0 && err == nil:
			c.plan.note(Left, at, name, text+": stands after another and a space, so it isn't taken for a network of its own", "add it to trusted, if its mail is to be signed")
		case i > 0:
		case err != nil:
			c.plan.note(Left, at, name, text+": "+err.Error(), "add the network to trusted as 192.0.2.0/24")
		case !slices.Contains(c.plan.Trusted, p.String()):
			c.plan.Trusted = append(c.plan.Trusted, p.String())
		}
	}
}

// list is what a map of rspamd holds, a line each: what is given in place, or in a
// file.
func (c *rspamd) list(name string, v *uclValue) []string {
	var all []string
	for _, item := range v.all() {
		all = append(all, c.lines(name, item)...)
	}
	return all
}

func (c *rspamd) lines(name string, v *uclValue) []string {
	if v.fields != nil {
		if url := v.get("url").scalar(); url != "" && v.get("external") == nil {
			return c.lines(name, &uclValue{text: url, at: v.at})
		}
		if data := v.get("data"); data != nil {
			return c.list(name, data)
		}
		if v.get("external") != nil {
			c.plan.note(Left, v.at, name, "an external map isn't asked", "write its entries to a file, and name that")
			return nil
		}
		var all []string
		for _, key := range v.names {
			all = append(all, key+" "+v.get(key).scalar())
		}
		return all
	}
	kind, rest := "", v.text
	for _, prefix := range []string{"glob;", "hash;", "plain;", "set;", "radix;", "ipnet;", "regexp;", "re;", "glob_multi;", "regexp_multi;", "re_multi;", "cdb;"} {
		if s, ok := strings.CutPrefix(rest, prefix); ok {
			kind, rest = prefix, s
		}
	}
	rest = strings.TrimPrefix(rest, "fallback+")
	if strings.HasPrefix(kind, "re") || kind == "cdb;" || strings.Contains(rest, "://") && !strings.HasPrefix(rest, "file://") || strings.HasPrefix(rest, "cdb:") {
		c.plan.note(Left, v.at, name, v.text+" can't be read here", "write its entries to a file, and name that")
		return nil
	}
	rest = strings.TrimPrefix(rest, "file://")
	if !strings.HasPrefix(rest, "/") && !strings.HasPrefix(rest, "$") {
		return []string{v.text}
	}
	return c.mapFile(name, c.expand(rest), v.at)
}

func (c *rspamd) mapFile(name, file string, at place) []string {
	data, err := c.tree.read(file)
	if err != nil {
		c.plan.note(Left, at, name, fmt.Sprintf("%s can't be read: %v", file, err), "")
		return nil
	}
	var all []string
	for line := range strings.SplitSeq(string(data), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// expand puts in the variables of rspamd's configuration; $domain and $selector stay.
func (c *rspamd) expand(s string) string {
	base := c.base
	if base == "" {
		base = "/etc/rspamd"
	}
	for _, v := range [][2]string{{"LOCAL_CONFDIR", base}, {"CONFDIR", base}, {"DBDIR", rspamdData}, {"RUNDIR", "/run/rspamd"}, {"SHAREDIR", "/usr/share/rspamd"}} {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "${"+v[0]+"}", v[1]), "$"+v[0], v[1])
	}
	return s
}

// beside tells of rspamd's other files that are about signatures.
func (c *rspamd) beside() {
	if c.base == "" {
		return
	}
	for _, dir := range []string{"/local.d/", "/override.d/"} {
		if file := c.base + dir + "arc.conf"; c.tree.exists(file) {
			c.plan.note(Differs, place{file: file}, "arc", "mailgate doesn't seal forwarded mail with ARC: leave that to rspamd", "")
		}
		if file := c.base + dir + "dkim.conf"; c.tree.exists(file) {
			c.plan.note(Differs, place{file: file}, "sign_headers", headers, "")
		}
	}
	c.plan.note(Differs, place{}, "milter", "rspamd goes on as a milter for spam; mailgate is another one, after it", "smtpd_milters = inet:127.0.0.1:11332, "+c.plan.Listen+"   and in local.d/dkim_signing.conf: enabled = false;")
}
