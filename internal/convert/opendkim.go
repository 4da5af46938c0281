package convert

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"mailgate/internal/sign"
)

// OpenDKIM reads opendkim.conf and what it names.
func OpenDKIM(file string, o Options) (*Plan, error) {
	t := &tree{root: o.Root}
	conf, err := readOpenDKIM(t, file)
	if err != nil {
		return nil, err
	}
	c := &opendkim{plan: &Plan{Source: "OpenDKIM"}, tree: t, conf: conf}
	if err := c.convert(o); err != nil {
		return nil, err
	}
	return c.plan.finish(t), nil
}

// opendkim is one conversion.
type opendkim struct {
	plan *Plan
	tree *tree
	conf *opendkimConf
}

func (c *opendkim) convert(o Options) error {
	c.settings()
	c.socket()
	if err := c.hosts(); err != nil {
		return err
	}
	c.ways()
	m, err := c.model()
	if err != nil {
		return err
	}
	if m != nil {
		c.plan.derive(m, m.known(), c.tree, o)
		c.lifetime()
	}
	c.plan.checkKeys(c.tree)
	return nil
}

// settings tells of those that code has nothing to do with.
func (c *opendkim) settings() {
	for _, s := range c.conf.settings {
		known, ok := opendkimSettings()[s.name]
		switch {
		case !ok:
			c.plan.note(Left, s.at, s.written, "isn't a setting that mailgate knows, nor one of OpenDKIM 2.11", "find out what it did")
		case known.becomes == "":
		case known.kind == boolKind && !c.conf.is(s.name) && known.becomes != Moot:
			c.plan.note(Moot, s.at, known.name, "is off", "")
		default:
			c.plan.note(known.becomes, s.at, known.name, known.text, known.do)
		}
	}
}

// ways compares how signatures are made.
func (c *opendkim) ways() {
	if s, ok := c.conf.get("Mode"); ok && !strings.Contains(s.value, "s") {
		c.plan.note(Left, s.at, "Mode", "OpenDKIM only verifies here, and signs nothing", "")
	} else if !ok || strings.Contains(s.value, "v") {
		c.plan.note(Differs, s.at, "Mode", "mailgate signs, and doesn't verify incoming mail: keep a verifier (OpenDKIM in mode v, rspamd) for that if you use its results", "")
	}
	s, ok := c.conf.get("Canonicalization")
	switch {
	case !ok:
		c.plan.note(Differs, place{}, "Canonicalization", "was simple/simple; mailgate signs relaxed/relaxed, which survives more on the way", "")
	case s.value == "relaxed/relaxed":
		c.plan.note(Taken, s.at, "Canonicalization", "relaxed/relaxed, as mailgate always signs", "")
	default:
		c.plan.note(Differs, s.at, "Canonicalization", "was "+s.value+"; mailgate signs relaxed/relaxed, which survives more on the way", "")
	}
	if s, ok := c.conf.get("SignatureAlgorithm"); ok && s.value == "rsa-sha1" {
		c.plan.note(Differs, s.at, "SignatureAlgorithm", "was rsa-sha1, which receivers don't count (RFC 8301); mailgate signs rsa-sha256", "")
	} else if ok {
		c.plan.note(Taken, s.at, "SignatureAlgorithm", s.value+": mailgate goes by the kind of the key", "")
	}
	if s, ok := c.conf.get("SenderHeaders"); ok && !strings.EqualFold(s.value, "From") {
		c.plan.note(Left, s.at, "SenderHeaders", "the sender was taken from "+s.value+"; mailgate goes by From, which is what DMARC counts", "where From is another domain than the one that signed, add a [[domain]] with sign_as")
	} else if ok {
		c.plan.note(Taken, s.at, "SenderHeaders", "From, as for mailgate", "")
	}
}

// lifetime takes over SignatureTTL.
func (c *opendkim) lifetime() {
	s, ok := c.conf.get("SignatureTTL")
	if !ok {
		return
	}
	d, err := time.ParseDuration(s.value + "s")
	if err != nil || d <= 0 || d > 365*24*time.Hour {
		c.plan.note(Differs, s.at, "SignatureTTL", s.value+" s: mailgate's signatures don't expire", "")
		return
	}
	expire := d.String()
	if days := d / (24 * time.Hour); d%(24*time.Hour) == 0 {
		expire = fmt.Sprintf("%dd", days)
	}
	for i := range c.plan.Domains {
		c.plan.Domains[i].Expire = expire
	}
	c.plan.note(Taken, s.at, "SignatureTTL", "expire = "+expire, "")
}

// opendkimModel is what OpenDKIM signs with.
type opendkimModel interface {
	model
	known() known
}

// model is nil where OpenDKIM signs nothing that can be read here.
func (c *opendkim) model() (opendkimModel, error) {
	if s, ok := c.conf.get("Mode"); ok && !strings.Contains(s.value, "s") {
		return nil, nil
	}
	exempt, err := c.set("ExemptDomains", "mail From these domains would be signed, where they are signed for at all")
	if err != nil {
		return nil, err
	}
	if s, ok := c.conf.get("ExemptDomains"); ok && exempt != nil {
		c.plan.note(Taken, s.at, "ExemptDomains", "these domains are left out", "")
	}
	if _, ok := c.conf.get("KeyTable"); ok {
		return c.tables(exempt)
	}
	return c.single(exempt)
}

// set reads a dataset; nil where there is none, or none that can be read, which is
// noted with what that means.
func (c *opendkim) set(name, means string) (*dataset, error) {
	s, ok := c.conf.get(name)
	if !ok {
		return nil, nil
	}
	d, err := c.tree.dataset(s, c.conf.text("BaseDirectory"))
	var not *unsupported
	if errors.As(err, &not) {
		c.plan.note(Left, s.at, name, not.Error()+": "+means, not.do)
		return nil, nil
	}
	return d, err
}

// single is OpenDKIM with one key: Domain, Selector, KeyFile.
func (c *opendkim) single(exempt *dataset) (opendkimModel, error) {
	domain, ok := c.conf.get("Domain")
	if !ok {
		if s, ok := c.conf.get("SigningTable"); ok {
			return nil, s.at.fault("SigningTable needs a KeyTable")
		}
		c.plan.note(Left, place{file: c.tree.files[0]}, "Domain", "no domain is signed for: neither Domain nor KeyTable is set", "")
		return nil, nil
	}
	for _, name := range []string{"Selector", "KeyFile"} {
		if _, ok := c.conf.get(name); !ok {
			return nil, domain.at.fault("Domain needs %s beside it", name)
		}
	}
	list, err := c.set("Domain", "which domains are signed isn't known")
	if err != nil || list == nil {
		return nil, err
	}
	m := &oneKey{list: list, exempt: exempt, subDomains: c.conf.is("SubDomains")}
	file, _ := c.conf.get("KeyFile")
	m.key = signature{selector: c.conf.text("Selector"), file: absolute(c.conf.text("BaseDirectory"), file.value), at: file.at}
	for _, name := range []string{"Domain", "Selector", "KeyFile", "SubDomains"} {
		if s, ok := c.conf.get(name); ok {
			c.plan.note(Taken, s.at, name, s.value, "")
		}
	}
	if s, ok := c.conf.get("SigningTable"); ok {
		c.plan.note(Moot, s.at, "SigningTable", "isn't used without a KeyTable", "")
	}
	return m, nil
}

// oneKey signs for a list of domains with one key.
type oneKey struct {
	list, exempt *dataset
	subDomains   bool
	key          signature
}

func (m *oneKey) sign(_, domain string) []signature {
	if m.exempt.has(domain) {
		return nil
	}
	s := m.key
	if m.list.has(domain) || m.list.has("*") {
		s.domain = domain
		return []signature{s}
	}
	for d := domain; m.subDomains; {
		_, parent, ok := strings.Cut(d, ".")
		if !ok {
			break
		}
		if m.list.has(parent) {
			s.domain = parent
			return []signature{s}
		}
		d = parent
	}
	return nil
}

func (m *oneKey) known() known {
	var k known
	for _, e := range m.list.entries {
		k.addDomain(strings.TrimPrefix(strings.TrimLeft(e.key, "*"), "."))
	}
	return k
}

// absolute is a path as a daemon in that directory means it.
func absolute(base, file string) string {
	if strings.HasPrefix(file, "/") {
		return file
	}
	return strings.TrimRight("/"+strings.Trim(base, "/"), "/") + "/" + strings.TrimPrefix(file, "./")
}

// inlineKey reads a private key that stands in a table: PEM, or DER in base64.
func inlineKey(text string) (signature, error) {
	if !strings.Contains(text, "-----BEGIN") {
		text = "-----BEGIN RSA PRIVATE KEY-----\n" + text + "\n-----END RSA PRIVATE KEY-----\n"
	}
	signer, _, err := sign.ParseKey([]byte(text))
	if err != nil {
		signer, _, err = sign.ParseKey([]byte(strings.ReplaceAll(text, "RSA PRIVATE", "PRIVATE")))
	}
	if err != nil {
		return signature{}, fmt.Errorf("a key in the table itself: %w", err)
	}
	return signature{inline: signer}, nil
}
