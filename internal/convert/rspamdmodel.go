package convert

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// rspamdModel is what rspamd's module dkim_signing signs, as lua_dkim_tools.lua
// prepares it.
type rspamdModel struct {
	conf *rspamd

	signing, keys *dataset // signing_table and key_table, nil without

	fixed    string // d= for all, "" for From's domain
	esld     bool
	fallback bool
	path     string
	selector string
	domains  map[string][]signature // by domain: selector and file, either may be ""
	order    []string               // its keys
	paths    map[string]entry       // path_map
	names    map[string]entry       // selector_map
	exists   map[string]bool        // key files that were looked for
}

func (m *rspamdModel) sign(local, domain string) []signature {
	if m.signing != nil {
		return m.byTables(local, domain)
	}
	d := domain
	if m.fixed != "" {
		d = m.fixed
	}
	if m.esld {
		d = registrable(d)
	}
	list := slices.Clone(m.domains[d])
	named := len(list) > 0
	if e, ok := m.names[d]; ok {
		list = fill(list, func(s *signature) { s.selector, s.at = cmp.Or(s.selector, e.value), e.at })
	}
	if e, ok := m.paths[d]; ok {
		list = fill(list, func(s *signature) { s.file, s.at = cmp.Or(s.file, m.conf.expand(e.value)), e.at })
	}
	named = named || len(list) > 0
	if len(list) == 0 && !m.fallback {
		return nil
	}
	list = fill(list, func(s *signature) {
		s.file, s.selector, s.domain = cmp.Or(s.file, m.path), cmp.Or(s.selector, m.selector), d
	})
	var all []signature
	for _, s := range list {
		s.file = strings.NewReplacer("${domain}", d, "$domain", d, "${selector}", s.selector, "$selector", s.selector).Replace(s.file)
		if named || m.there(s.file) {
			all = append(all, s)
		}
	}
	return all
}

// there reports whether a key is there for a domain that is named nowhere: only then
// it is signed for.
func (m *rspamdModel) there(file string) bool {
	yes, known := m.exists[file]
	if !known {
		yes = m.conf.tree.exists(file)
		m.exists[file] = yes
	}
	return yes
}

// fill sets what is missing in each, or in a first one.
func fill(list []signature, set func(*signature)) []signature {
	if len(list) == 0 {
		list = []signature{{}}
	}
	for i := range list {
		set(&list[i])
	}
	return list
}

// byTables is signing as OpenDKIM's tables say.
func (m *rspamdModel) byTables(local, domain string) []signature {
	e, ok := m.signing.get(local + "@" + domain)
	if !ok {
		return nil
	}
	name := e.value
	if name == "%" {
		name = domain
	}
	key, ok := m.keys.get(name)
	if !ok {
		return nil
	}
	parts := strings.Split(key.value, ":")
	if len(parts) == 2 {
		parts = []string{parts[0], m.selector, parts[1]}
	}
	if len(parts) != 3 {
		return nil
	}
	s := signature{domain: strings.ReplaceAll(parts[0], "%", domain), selector: parts[1], at: key.at}
	if file := parts[2]; strings.HasPrefix(file, "/") || strings.HasPrefix(file, "./") || strings.HasPrefix(file, "..") {
		s.file = path.Join("/", strings.ReplaceAll(file, "%", domain))
		return []signature{s}
	}
	in, err := inlineKey(parts[2])
	if err != nil {
		m.conf.plan.note(Left, key.at, "key_table", key.key+": "+err.Error(), "")
		return nil
	}
	s.inline = in.inline
	return []signature{s}
}

// registrable is the domain under a public suffix, as rspamd's get_tld: a name
// without a known one is left as it is.
func registrable(domain string) string {
	suffix, icann := publicsuffix.PublicSuffix(domain)
	if !icann && !strings.Contains(suffix, ".") {
		return domain
	}
	if d, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return d
	}
	return domain
}

func (m *rspamdModel) known() known {
	var k known
	if m.signing != nil {
		t := twoTables{plan: m.conf.plan, signing: m.signing, keys: m.keys}
		return t.known()
	}
	if m.fixed != "" {
		k.addDomain(m.fixed)
	}
	for _, name := range m.order {
		k.addDomain(name)
	}
	for _, table := range []map[string]entry{m.paths, m.names} {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			k.addDomain(name)
		}
	}
	if m.fallback {
		file := strings.NewReplacer("${selector}", m.selector, "$selector", m.selector, "${domain}", hole, "$domain", hole).Replace(m.path)
		for _, d := range m.conf.tree.fill(file, hole) {
			k.addDomain(d)
		}
	}
	return k
}

// hole stands for a domain in a path.
const hole = "\x00"
