package convert

import (
	"strings"
)

// tables is OpenDKIM with KeyTable and SigningTable.
func (c *opendkim) tables(exempt *dataset) (opendkimModel, error) {
	at, _ := c.conf.get("KeyTable")
	keys, err := c.set("KeyTable", "the keys aren't known")
	if err != nil {
		return nil, err
	}
	if _, ok := c.conf.get("SigningTable"); !ok {
		if _, script := c.conf.get("SetupPolicyScript"); script || keys == nil {
			return nil, nil // noted
		}
		return nil, at.at.fault("KeyTable needs a SigningTable")
	}
	signing, err := c.set("SigningTable", "which addresses are signed isn't known")
	if err != nil || keys == nil || signing == nil {
		return nil, err
	}
	for _, name := range []string{"KeyTable", "SigningTable", "MultipleSignatures"} {
		if s, ok := c.conf.get(name); ok {
			c.plan.note(Taken, s.at, name, s.value, "")
		}
	}
	for _, name := range []string{"Domain", "Selector", "KeyFile", "SubDomains"} {
		if s, ok := c.conf.get(name); ok {
			c.plan.note(Moot, s.at, name, "isn't used beside a KeyTable", "")
		}
	}
	m := &twoTables{
		plan: c.plan, keys: keys, signing: signing, exempt: exempt,
		several: c.conf.is("MultipleSignatures"), base: c.conf.text("BaseDirectory"), cache: map[string]signature{},
	}
	return m, m.check()
}

// twoTables signs by what SigningTable says of the sender's address.
type twoTables struct {
	plan                  *Plan
	keys, signing, exempt *dataset
	several               bool
	base                  string
	cache                 map[string]signature // inline keys, by their text
}

// check looks at every entry once: OpenDKIM would stumble over them with the first
// message only.
func (m *twoTables) check() error {
	for _, e := range m.keys.entries {
		if fields := strings.Split(e.value, ":"); len(fields) < 3 || fields[0] == "" || fields[1] == "" || fields[2] == "" {
			return e.at.fault("key %s: want domain:selector:/path/of/key", e.key)
		}
	}
	for _, e := range m.signing.entries {
		name, _, _ := strings.Cut(e.value, ":")
		if name == "" {
			return e.at.fault("%s: want the name of a key after it", e.key)
		}
		if name != "%" && !m.keys.has(name) {
			m.plan.note(Left, e.at, e.key, "there is no key "+name+" in KeyTable: OpenDKIM defers such mail", "add the key, or take the line out")
		}
	}
	return nil
}

func (m *twoTables) sign(local, domain string) []signature {
	if m.exempt.has(domain) {
		return nil
	}
	var all []signature
	m.entries(local, domain, func(e entry) bool {
		s, ok := m.signature(e, domain)
		if !ok {
			all = nil
			return false // the message is deferred
		}
		all = append(all, s)
		return m.several
	})
	return all
}

// entries calls yield for what SigningTable says of an address, in OpenDKIM's order,
// until it returns false.
func (m *twoTables) entries(local, domain string, yield func(entry) bool) {
	if m.signing.patterns {
		m.signing.matching(local+"@"+domain, yield)
		return
	}
	names := []string{local + "@" + domain, domain}
	for rest := domain; ; {
		dot := strings.IndexByte(rest, '.')
		if dot < 0 {
			break
		}
		names = append(names, local+"@"+rest[dot:], rest[dot:])
		rest = rest[dot+1:]
	}
	for _, name := range append(names, local+"@*", "*") {
		if e, ok := m.signing.get(name); ok && !yield(e) {
			return
		}
	}
}

// signature is what an entry of SigningTable makes for mail From domain; false where
// it can't be made.
func (m *twoTables) signature(e entry, domain string) (signature, bool) {
	name, identity, _ := strings.Cut(e.value, ":")
	if name == "%" {
		name = domain
	}
	key, ok := m.keys.get(name)
	if !ok {
		return signature{}, false
	}
	s, ok := m.key(key, domain)
	s.identity = strings.ReplaceAll(identity, "%", domain)
	return s, ok
}

func (m *twoTables) key(e entry, domain string) (signature, bool) {
	fields := strings.SplitN(e.value, ":", 3)
	var s signature
	if file := fields[2]; strings.HasPrefix(file, "/") || strings.HasPrefix(file, "./") || strings.HasPrefix(file, "../") {
		file, _, _ = strings.Cut(file, ":")
		s.file = absolute(m.base, strings.ReplaceAll(file, "%", domain))
	} else {
		var ok bool
		if s, ok = m.inline(e, file); !ok {
			return signature{}, false
		}
	}
	s.domain, s.selector, s.at = fields[0], fields[1], e.at
	if s.domain == "%" {
		s.domain = domain
	}
	return s, true
}

func (m *twoTables) inline(e entry, text string) (signature, bool) {
	if s, ok := m.cache[text]; ok {
		return s, s.inline != nil
	}
	s, err := inlineKey(text)
	if err != nil {
		m.plan.note(Left, e.at, e.key, err.Error(), "")
	}
	m.cache[text] = s
	return s, err == nil
}

func (m *twoTables) known() known {
	var k known
	for _, e := range m.signing.entries {
		m.learn(&k, lower(e.key))
	}
	for _, e := range m.keys.entries {
		if d, _, _ := strings.Cut(e.value, ":"); d != "%" && !strings.Contains(e.key, "*") {
			k.addDomain(d)
		}
		if m.byName() && strings.Contains(e.key, ".") && !strings.Contains(e.key, "*") {
			k.addDomain(e.key)
		}
	}
	return k
}

// byName reports whether a key is chosen by the name of the From domain.
func (m *twoTables) byName() bool {
	for _, e := range m.signing.entries {
		if name, _, _ := strings.Cut(e.value, ":"); name == "%" {
			return true
		}
	}
	return false
}

// learn notes what domains and addresses an entry of SigningTable is about.
func (m *twoTables) learn(k *known, key string) {
	at := strings.LastIndexByte(key, '@')
	local, domain := "", key
	if at >= 0 {
		local, domain = key[:at], key[at+1:]
	}
	domain = strings.TrimLeft(domain, "*.")
	if !strings.Contains(domain, "*") {
		k.addDomain(domain)
	}
	if host := key[at+1:]; m.signing.patterns && len(host) > 1 && host[0] == '*' && host[1] != '.' && host[1] != '*' {
		k.endings = append(k.endings, "not"+domain)
	}
	if at < 0 || m.signing.patterns && local == "*" {
		return
	}
	if domain == "" {
		domain = unlisted
	}
	sample := local
	if m.signing.patterns {
		sample = strings.ReplaceAll(local, "*", "x")
		k.locals = append(k.locals, func(text string) bool { return fits(local, text) })
	}
	if strings.HasPrefix(key[at+1:], ".") || m.signing.patterns && strings.HasPrefix(key[at+1:], "*.") {
		domain = "sub." + domain
	}
	if !strings.Contains(domain, "*") {
		k.addAddress(sample, domain)
	}
}
