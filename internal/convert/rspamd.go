package convert

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Where rspamd has its data, and what it signs by where nothing is set
// (plugins/lua/dkim_signing.lua and modules.d/dkim_signing.conf).
const (
	rspamdData     = "/var/lib/rspamd"
	rspamdPath     = rspamdData + "/dkim/$domain.$selector.key"
	rspamdSelector = "dkim"
)

var rspamdLocal = []string{"192.168.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "fd00::/8", "169.254.0.0/16", "fe80::/10"}

// Rspamd reads dkim_signing.conf: the directory of rspamd's configuration, with what
// is in modules.d, local.d and override.d, or a file of one of those, or one file
// alone.
func Rspamd(file string, o Options) (*Plan, error) {
	c := &rspamd{plan: &Plan{Source: "rspamd", Listen: defaultListen}, tree: &tree{root: o.Root}}
	if err := c.read(path.Clean(file)); err != nil {
		return nil, err
	}
	if c.conf.names == nil {
		c.plan.note(Differs, place{file: file}, "", "nothing is set: rspamd goes by its defaults", "")
	}
	c.settings()
	c.trusted()
	m, err := c.model()
	if err != nil {
		return nil, err
	}
	if m != nil {
		c.plan.derive(m, m.known(), c.tree, o)
	}
	c.beside()
	c.plan.checkKeys(c.tree)
	return c.plan.finish(c.tree), nil
}

type rspamd struct {
	plan *Plan
	tree *tree
	base string // of the configuration; "": one file alone
	conf *uclValue
}

// read puts the files together as rspamd does: local.d is laid over modules.d field
// by field, and of override.d whole values hold.
func (c *rspamd) read(file string) error {
	info, err := c.tree.stat(file)
	if err != nil {
		return &fs.PathError{Op: "read", Path: file, Err: cause(err)}
	}
	dir := path.Dir(file)
	switch {
	case info.IsDir():
		c.base = file
	case slices.Contains([]string{"modules.d", "local.d", "override.d"}, path.Base(dir)):
		c.base = path.Dir(dir)
	default:
		c.conf, err = c.section(file, true)
		return err
	}
	c.conf = newObject(place{file: file})
	for _, layer := range []struct {
		file string
		lay  func(over *uclValue)
	}{
		{c.base + "/modules.d/dkim_signing.conf", c.conf.merge},
		{c.base + "/local.d/dkim_signing.conf", c.conf.merge},
		{rspamdData + "/dynamic/dkim_signing.conf", c.conf.override},
		{c.base + "/override.d/dkim_signing.conf", c.conf.override},
	} {
		over, err := c.section(layer.file, layer.file == file)
		if err != nil {
			return err
		}
		layer.lay(over)
	}
	return nil
}

// section reads a file, empty where there is none, and what of it is about signing.
func (c *rspamd) section(file string, must bool) (*uclValue, error) {
	data, err := c.tree.read(file)
	if errors.Is(err, fs.ErrNotExist) && !must {
		return newObject(place{file: file}), nil
	}
	if err != nil {
		return nil, unreadable(file, place{file: file}, err)
	}
	v, macros, err := parseUCL(file, data)
	const dump = "rspamadm configdump dkim_signing > FILE, and import that FILE"
	jinja := strings.Contains(string(data), "{%") || strings.Contains(string(data), "{=")
	var fault *Fault
	if errors.As(err, &fault) && jinja {
		fault.Problem += ", perhaps of a Jinja template, which isn't evaluated here: " + dump
	}
	if err != nil {
		return nil, err
	}
	for _, m := range macros {
		if own := strings.HasSuffix(m.value, "/dkim_signing.conf") && c.base != ""; !own {
			c.plan.note(Left, m.at, "."+m.name, m.value+" isn't followed", "if it is about signing: "+dump)
		}
	}
	if jinja {
		c.plan.note(Left, place{file: file}, "", "Jinja templates ({% … %}, {= … =}) aren't evaluated", dump)
	}
	if inner := v.get("dkim_signing"); inner != nil && inner.fields != nil {
		return inner, nil
	}
	return v, nil
}

// rspamdSettings are those that code has nothing to do with.
var rspamdSettings = map[string]Note{
	"allow_envfrom_empty":                  {Kind: Moot, Text: "mailgate signs mail with an empty envelope sender, too"},
	"allow_hdrfrom_multiple":               {Kind: Differs, Text: "mailgate signs mail with exactly one From only"},
	"allow_hdrfrom_mismatch_local":         {Kind: Moot, Text: "mailgate doesn't compare From with the envelope sender"},
	"allow_hdrfrom_mismatch_sign_networks": {Kind: Moot, Text: "mailgate doesn't compare From with the envelope sender"},
	"allow_pubkey_mismatch":                {Kind: Moot, Text: "mailgate looks at what DNS publishes for every key, and says so when it isn't the key's"},
	"check_pubkey":                         {Kind: Moot, Text: "mailgate looks at what DNS publishes for every key, and holds mail that would be refused for it"},
	"symbol":                               {Kind: Moot, Text: "is for rspamd's results"},
	"key_prefix":                           {Kind: Moot, Text: "is for Redis"},
	"enabled":                              {},
	"use_milter_headers":                   {Kind: Moot, Text: "is about how rspamd hands on the signature"},
	"skip_spam_sign":                       {Kind: Differs, Text: "mailgate knows nothing of spam: let rspamd refuse it before"},
	"check_violation":                      {Kind: Moot, Text: "is about signatures that are there already"},
	"servers":                              {Kind: Moot, Text: "is for Redis"},
	"allowed_ids":                          {Kind: Left, Text: "mailgate doesn't know rspamd's settings ids"},
	"forbidden_ids":                        {Kind: Left, Text: "mailgate doesn't know rspamd's settings ids"},
	"sign_condition":                       {Kind: Left, Text: "a Lua function decides here; mailgate runs none", Do: "write what it does as [[domain]] sections"},
	"use_domain_custom":                    {Kind: Left, Text: "a Lua function decides here; mailgate runs none", Do: "write what it does as [[domain]] sections"},
	"use_http_headers":                     {Kind: Left, Text: "keys that come with each request aren't known to mailgate", Do: "put the keys into files"},
	"allow_headers_fallback":               {Kind: Moot, Text: "is for use_http_headers"},
	"sign_inbound":                         {Kind: Differs, Text: "mailgate signs for milter.trusted and for clients that log in only"},
	"use_domain_sign_inbound":              {Kind: Moot, Text: "mailgate doesn't sign incoming mail"},
	"use_domain_sign_local":                {Kind: Left, Text: "mailgate chooses by From, wherever mail comes from", Do: "where From is another domain than the one that signs, add a [[domain]] with sign_as"},
	"use_domain_sign_networks":             {Kind: Left, Text: "mailgate chooses by From, wherever mail comes from", Do: "where From is another domain than the one that signs, add a [[domain]] with sign_as"},
	"selector_prefix":                      {Kind: Moot, Text: "is for Redis"},
	"vault_url":                            {Kind: Moot, Text: "is for Vault"},
	"vault_token":                          {Kind: Moot, Text: "is for Vault"},
	"vault_path":                           {Kind: Moot, Text: "is for Vault"},
	"vault_domains":                        {Kind: Moot, Text: "is for Vault"},
	"http_timeout":                         {Kind: Moot, Text: "is for Vault"},
	"no_ssl_verify":                        {Kind: Moot, Text: "is for Vault"},
	"path":                                 {}, "selector": {}, "domain": {}, "try_fallback": {}, "use_domain": {}, "use_esld": {},
	"use_redis": {}, "use_vault": {}, "path_map": {}, "selector_map": {}, "signing_table": {}, "key_table": {},
	"sign_networks": {}, "sign_local": {}, "sign_authenticated": {}, "allow_username_mismatch": {}, "allow_hdrfrom_mismatch": {},
}

func (c *rspamd) settings() {
	for _, name := range c.conf.names {
		at := c.conf.get(name).at
		known, ok := rspamdSettings[name]
		switch {
		case !ok:
			c.plan.note(Left, at, name, "isn't a setting that mailgate knows", "find out what it does")
		case known.Kind != "" && c.off(name) && known.Kind != Moot:
			c.plan.note(Moot, at, name, "is off", "")
		case known.Kind != "":
			c.plan.note(known.Kind, at, name, known.Text, known.Do)
		}
	}
	if v := c.conf.get("enabled"); v != nil && c.off("enabled") {
		c.plan.note(Differs, v.at, "enabled", "rspamd's signing is off here; what follows is what it would sign if it were on", "")
	}
	if v := c.conf.get("use_redis"); c.is("use_redis", false) {
		c.plan.note(Left, v.at, "use_redis", "keys in Redis can't be read here", "write each to a file (redis-cli HGET "+c.text("key_prefix", "DKIM_KEYS")+" SELECTOR.DOMAIN), and add a [[domain]] for it")
	}
	if v := c.conf.get("use_vault"); c.is("use_vault", false) {
		c.plan.note(Left, v.at, "use_vault", "keys in Vault can't be read here", "write each to a file (rspamadm vault show DOMAIN), and add a [[domain]] for it")
	}
	if !c.is("allow_hdrfrom_mismatch", false) {
		c.plan.note(Differs, c.place("allow_hdrfrom_mismatch"), "allow_hdrfrom_mismatch", "rspamd doesn't sign where From and the envelope sender are of different domains; mailgate does: From is what counts for DMARC", "")
	}
	if !c.is("allow_username_mismatch", false) && c.is("sign_authenticated", true) {
		c.plan.note(Differs, c.place("allow_username_mismatch"), "allow_username_mismatch", "rspamd signs for a user that logged in only where the user name is of From's domain; mailgate's milter signs what any such user writes", "have Postfix check senders: smtpd_sender_login_maps with reject_sender_login_mismatch")
	}
}

func (c *rspamd) off(name string) bool {
	return slices.Contains([]string{"false", "no", "off", "0"}, lower(c.conf.get(name).scalar()))
}

func (c *rspamd) is(name string, otherwise bool) bool {
	if c.conf.get(name) == nil {
		return otherwise
	}
	return slices.Contains([]string{"true", "yes", "on", "1"}, lower(c.conf.get(name).scalar()))
}

func (c *rspamd) text(name, otherwise string) string {
	if s := c.conf.get(name).scalar(); s != "" {
		return s
	}
	return otherwise
}

func (c *rspamd) place(name string) place {
	if v := c.conf.get(name); v != nil {
		return v.at
	}
	return place{}
}
