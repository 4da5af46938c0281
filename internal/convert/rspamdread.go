package convert

import (
	"strings"
)

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
