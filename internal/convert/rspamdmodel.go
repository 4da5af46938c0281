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

// model is nil where rspamd signs nothing that can be read here.
func (c *rspamd) model() (*rspamdModel, error) {
	if c.is("use_redis", false) || c.is("use_vault", false) || c.conf.get("sign_condition") != nil {
		return nil, nil
	}
	if c.is("use_http_headers", false) && !c.is("allow_headers_fallback", false) {
		return nil, nil
	}
	m := &rspamdModel{
		conf: c, esld: c.is("use_esld", true), fallback: c.is("try_fallback", true),
		path: c.expand(c.text("path", rspamdPath)), selector: c.text("selector", rspamdSelector),
		domains: map[string][]signature{}, exists: map[string]bool{},
	}
	for _, name := range []string{"path", "selector", "domain", "try_fallback", "use_esld", "path_map", "selector_map", "signing_table", "key_table"} {
		if v := c.conf.get(name); v != nil {
			c.plan.note(Taken, v.at, name, shortly(v), "")
		}
	}
	for _, v := range c.conf.get("domain").all() {
		if err := m.addDomains(v); err != nil {
			return nil, err
		}
	}
	m.paths, m.names = c.hash("path_map"), c.hash("selector_map")
	if c.conf.get("signing_table") != nil && c.conf.get("key_table") != nil {
		m.signing, m.keys = c.glob("signing_table"), c.glob("key_table")
		c.plan.note(Differs, c.place("signing_table"), "signing_table", "rspamd wants the address in the case of the table; mailgate signs ANN@EXAMPLE.COM as ann@example.com", "")
	} else {
		c.useDomain(m)
	}
	return m, nil
}

func shortly(v *uclValue) string {
	if s := v.scalar(); s != "" {
		return s
	}
	return "as it is"
}

func (c *rspamd) useDomain(m *rspamdModel) {
	at := c.place("use_domain")
	switch use := lower(c.text("use_domain", "header")); use {
	case "header":
	case "envelope", "auth":
		c.plan.note(Left, at, "use_domain", "d= was that of the "+map[string]string{"envelope": "envelope sender", "auth": "user that logged in"}[use]+"; mailgate goes by From, which is what DMARC counts", "where From is another domain than the one that signs, add a [[domain]] with sign_as")
	case "recipient":
		c.plan.note(Left, at, "use_domain", "d= was the recipient's domain, which is for ARC; mailgate goes by From", "")
	default:
		m.fixed = use
		c.plan.note(Taken, at, "use_domain", use+" for the domains that are named", "")
	}
}

// addDomains reads domain { example.com { … } }.
func (m *rspamdModel) addDomains(v *uclValue) error {
	for _, name := range v.names {
		if _, told := m.domains[name]; !told {
			m.order = append(m.order, name)
		}
		for _, d := range v.get(name).all() {
			if d.fields == nil {
				return d.at.fault("domain %s: want { … } after it", name)
			}
			m.domains[name] = append(m.domains[name], m.selectors(d)...)
		}
	}
	return nil
}

func (m *rspamdModel) selectors(d *uclValue) []signature {
	var all []signature
	one := func(v *uclValue) signature {
		return signature{selector: v.get("selector").scalar(), file: m.conf.expand(v.get("path").scalar()), at: v.at}
	}
	if d.get("selector") != nil || d.get("path") != nil {
		all = append(all, one(d))
	}
	for _, s := range d.get("selectors").all() {
		if s.fields != nil {
			all = append(all, one(s))
		}
	}
	return all
}

// hash reads a map of names and values.
func (c *rspamd) hash(name string) map[string]entry {
	v := c.conf.get(name)
	if v == nil {
		return nil
	}
	all := map[string]entry{}
	for _, item := range v.all() {
		if item.fields == nil && !strings.Contains(item.text, "/") || strings.Contains(item.text, " ") || item.fields != nil && item.get("url") == nil && item.get("data") == nil {
			c.plan.note(Moot, item.at, name, "rspamd takes names and values from a file only, and so uses none of these", "")
			return nil
		}
	}
	for _, line := range c.list(name, v) {
		key, value := cutSpace(line)
		all[key] = entry{key, value, v.at}
	}
	return all
}

// glob reads a map of patterns, in their order.
func (c *rspamd) glob(name string) *dataset {
	d := &dataset{patterns: true}
	v := c.conf.get(name)
	for _, line := range c.list(name, v) {
		key, value := cutSpace(line)
		d.entries = append(d.entries, entry{key, value, v.at})
	}
	d.index()
	return d
}

func cutSpace(line string) (key, rest string) {
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		return line[:i], strings.Trim(strings.TrimSpace(line[i:]), `"`)
	}
	return line, ""
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
