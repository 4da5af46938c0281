package convert

import (
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"mailgate/internal/mail"
)

// eximModel is one transport that signs.
type eximModel struct {
	conf      *exim
	transport *eximTransport
	more      []*eximModel // the others
	touched   *eximTouched
	why       string // the last message asked about isn't signed, where it isn't
	unknown   bool   // something about that message couldn't be known
	quiet     bool   // tell nothing: asked with a domain that isn't one
}

// vars are what is known of a message From local@domain, which is its sender, too.
func (m *eximModel) vars(local, domain string) map[string]string {
	vars := map[string]string{
		"sender_address": local + "@" + domain, "sender_address_domain": domain, "sender_address_local_part": local,
		"return_path": local + "@" + domain,
	}
	if o, ok := m.conf.conf.main["primary_hostname"]; ok {
		vars["primary_hostname"] = o.value
	}
	return vars
}

func (m *eximModel) sign(local, domain string) []signature {
	m.why, m.unknown = "dkim_domain or dkim_selector gives nothing for it", false
	vars := m.vars(local, domain)
	domains, ok := m.option("dkim_domain", vars)
	if !ok {
		return nil
	}
	var all []signature
	for d := range items(domains) {
		vars["dkim_domain"] = lower(d)
		selectors, ok := m.option("dkim_selector", vars)
		if !ok {
			return nil
		}
		for s := range items(selectors) {
			vars["dkim_selector"] = s
			if sig, ok := m.signature(vars); ok {
				all = append(all, sig)
			}
		}
	}
	return all
}

// items are those of a list: separated by colons, or as "<;" at its beginning says.
func items(list string) func(yield func(string) bool) {
	sep := ":"
	if strings.HasPrefix(list, "<") && len(list) > 1 {
		sep, list = list[1:2], list[2:]
	}
	return func(yield func(string) bool) {
		for item := range strings.SplitSeq(list, sep) {
			if item = strings.TrimSpace(item); item != "" && !yield(item) {
				return
			}
		}
	}
}

func (m *eximModel) signature(vars map[string]string) (signature, bool) {
	s := signature{domain: vars["dkim_domain"], selector: vars["dkim_selector"], at: m.transport.options["dkim_private_key"].at}
	key, ok := m.option("dkim_private_key", vars)
	if !ok || key == "" || key == "0" || key == "false" {
		m.why = "dkim_private_key gives no key for it"
		return s, false
	}
	s.identity, _ = m.option("dkim_identity", vars)
	if !strings.HasPrefix(key, "/") {
		in, err := inlineKey(key)
		if err != nil {
			m.unknown = true
			m.note(s.at, "dkim_private_key", err.Error(), "")
			return s, false
		}
		s.inline = in.inline
		return s, true
	}
	s.file = path.Clean(strings.TrimSpace(key))
	m.touched.path(s.file)
	if !m.conf.tree.exists(s.file) {
		m.why = s.file + " isn't there"
		return s, false
	}
	return s, true
}

// option expands an option of the transport, "" where Exim is told to leave it; false
// where it isn't set, or can't be known, which is noted.
func (m *eximModel) option(name string, vars map[string]string) (string, bool) {
	o, ok := m.transport.options[name]
	if !ok {
		m.unknown = true
		if name == "dkim_selector" || name == "dkim_domain" {
			m.note(m.transport.at, m.transport.name, "signs without "+name, "")
		}
		return "", false
	}
	e := eximString{tree: m.conf.tree, vars: vars, touched: m.touched}
	s, err := e.expand(o.value)
	var not *notStatic
	switch {
	case err == nil:
		return s, true
	case errors.Is(err, errForced):
		return "", true
	case errors.As(err, &not):
		m.note(o.at, m.transport.name+" "+name, not.Error()+" in "+shorten(o.value), "write what it gives for your domains as [[domain]] sections")
	default:
		m.note(o.at, m.transport.name+" "+name, err.Error()+" in "+shorten(o.value), "")
	}
	m.unknown = true
	return "", false
}

func (m *eximModel) note(at place, setting, text, do string) {
	if !m.quiet {
		m.conf.plan.note(Left, at, setting, text, do)
	}
}

func shorten(s string) string {
	if len(s) > 120 {
		return s[:117] + "..."
	}
	return s
}

// probe stands for a domain while it is found out where domains are named.
const probe = "mailgate-probe.invalid"

// known are the domains in the directories, files and names of keys that signing
// looks at, and those of the domain lists.
func (m *eximModel) known() known {
	var k known
	m.quiet = true
	for _, s := range m.sign("anyone", probe) {
		if s.domain != probe {
			k.addDomain(s.domain)
		}
	}
	m.quiet = false
	m.lists(&k)
	for _, dir := range m.touched.dirs {
		names, _ := m.conf.tree.list(dir)
		for _, name := range names {
			k.addDomain(name)
		}
	}
	for _, file := range m.touched.files {
		if data, err := m.conf.tree.read(file); err == nil {
			for _, e := range parseLsearch(file, data).entries {
				m.learn(&k, e.key)
			}
		}
	}
	for _, word := range m.touched.words {
		for item := range items(word) {
			if strings.Contains(item, ".") && item != probe && !strings.ContainsAny(item, "*/@") {
				k.addDomain(item)
			}
		}
	}
	for _, name := range m.touched.paths {
		for _, d := range m.conf.tree.fill(name, probe) {
			k.addDomain(d)
		}
	}
	m.touched = &eximTouched{sender: m.touched.sender}
	return k
}

func (m *eximModel) learn(k *known, key string) {
	local, domain, isAddress := strings.Cut(lower(key), "@")
	if !isAddress {
		domain = local
	}
	domain = strings.TrimLeft(domain, "*.")
	if _, err := mail.ParseDomain(domain); err != nil {
		return
	}
	k.addDomain(domain)
	if isAddress && local != "*" && local != "" {
		k.addAddress(local, domain)
	}
}

// lists are the domains of Exim's domain lists.
func (m *eximModel) lists(k *known) {
	for _, name := range slices.Sorted(maps.Keys(m.conf.conf.lists)) {
		for item := range items(m.conf.conf.lists[name].value) {
			kind, file, isLookup := strings.Cut(item, ";")
			file = path.Clean("/" + strings.TrimSpace(file))
			switch {
			case isLookup && strings.HasSuffix(kind, "dsearch"):
				m.touched.dirs = appendNew(m.touched.dirs, file)
			case isLookup && strings.HasSuffix(kind, "lsearch"):
				m.touched.files = appendNew(m.touched.files, file)
			case !isLookup && strings.HasPrefix(item, "/"):
				m.touched.files = appendNew(m.touched.files, item)
			case !isLookup && !strings.ContainsAny(item, "+@!^$"):
				k.addDomain(strings.TrimLeft(item, "*."))
			}
		}
	}
}

// unfound tells when no domain was found at all.
func (m *eximModel) unfound() {
	if len(m.conf.plan.Domains) == 0 {
		m.note(m.transport.at, m.transport.name, "no domain was found that it signs for", "add a [[domain]] for each of yours")
	}
}

// missing tells of domains that aren't signed since their key isn't there.
func (m *eximModel) missing(k known) {
	for _, d := range k.domains {
		if len(m.sign(k.anyone(), d)) == 0 && !m.unknown {
			m.conf.plan.note(Differs, m.transport.options["dkim_private_key"].at, m.transport.name, m.why+": Exim sends mail From "+d+" unsigned, and so it isn't in the new configuration", "")
		}
	}
}

// bySender tells where Exim goes by the envelope sender.
func (m *eximModel) bySender() {
	if m.touched.sender {
		m.conf.plan.note(Differs, m.transport.options["dkim_domain"].at, m.transport.name, "goes by the envelope sender; mailgate goes by From, which is what DMARC counts", "where From is another domain than the envelope sender, add a [[domain]] for it")
	}
}
