package preflight

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"mailgate/internal/mail"
)

// SPFTree is the whole of a domain's SPF policy: every record that evaluation may
// read, what each term of it costs, and where each egress address ends.
type SPFTree struct {
	Domain      mail.Domain  `json:"domain"`
	Lookups     int          `json:"lookups"`            // an address that nothing matches takes, of 10 (RFC 7208 section 4.6.4)
	VoidLookups int          `json:"void_lookups"`       // of them without an answer, of 2
	AtLeast     bool         `json:"at_least,omitempty"` // part of the tree is not known or wasn't followed: the counts may be higher
	Root        *SPFNode     `json:"root"`
	Addresses   []SPFPath    `json:"addresses"`   // of the egress addresses, in their order
	NotCovered  []netip.Addr `json:"not_covered"` // those of them that don't pass, though DNS told all
}

// SPFNodeStatus says what was found where a record is looked for.
type SPFNodeStatus string

const (
	SPFNodeFound       SPFNodeStatus = "found"
	SPFNodeMissing     SPFNodeStatus = "missing" // no SPF record there
	SPFNodeSeveral     SPFNodeStatus = "several" // more than one, which receivers take for an error
	SPFNodeUnknown     SPFNodeStatus = "unknown" // DNS gave no answer
	SPFNodeLoop        SPFNodeStatus = "loop"    // a record further up, which this would lead into again
	SPFNodeNotFollowed SPFNodeStatus = "not-followed"
)

// SPFNode is one SPF record.
type SPFNode struct {
	Domain string        `json:"domain"`
	Status SPFNodeStatus `json:"status"`
	Record string        `json:"record,omitempty"`
	Error  string        `json:"error,omitempty"` // why receivers take the record for void
	Terms  []*SPFTerm    `json:"terms,omitempty"`
}

// SPFTerm is one mechanism or modifier of a record.
type SPFTerm struct {
	Text        string       `json:"text"` // as published
	Error       string       `json:"error,omitempty"`
	Lookups     int          `json:"lookups,omitempty"` // it costs, with all it leads to
	VoidLookups int          `json:"void_lookups,omitempty"`
	Found       []string     `json:"found,omitempty"`     // addresses it stands for, where it takes DNS to know
	Unknown     bool         `json:"unknown,omitempty"`   // DNS gave no answer
	Unreached   bool         `json:"unreached,omitempty"` // "all" comes before it
	Matches     []netip.Addr `json:"matches,omitempty"`   // egress addresses whose way ends here or passes here
	Include     *SPFNode     `json:"include,omitempty"`   // of include and redirect

	parsed spfTerm
	nodes  map[string]*SPFNode // by the name asked, which macros can make differ by address
}

// IsModifier reports whether the term is name=value.
func (t *SPFTerm) IsModifier() bool { return t.parsed.modifier }

// Name is the mechanism's or modifier's name in lower case.
func (t *SPFTerm) Name() string { return t.parsed.name }

// SPFPath is where one egress address ends.
type SPFPath struct {
	Address     netip.Addr `json:"address"`
	Result      SPFResult  `json:"result"`
	Via         []string   `json:"via,omitempty"`  // domains whose records lead there, beginning with the domain itself
	Term        string     `json:"term,omitempty"` // that matches, "" for none
	Lookups     int        `json:"lookups"`        // until there
	VoidLookups int        `json:"void_lookups"`
}

const (
	maxLookups     = 10   // RFC 7208 section 4.6.4
	maxVoidLookups = 2    // likewise
	maxTreeTerms   = 1000 // of one record that are looked at
	maxFound       = 20   // addresses of one term that are listed
)

// SPFTree reads the SPF policy of a domain as a whole. Evaluation stops at the
// first term that matches; beyond that only what other terms lead to is asked for,
// at most 40 lookups. It ends with ctx or after Options.Timeout, and what isn't
// known by then is unknown.
func (c *Checker) SPFTree(ctx context.Context, domain, helo mail.Domain, egress []netip.Addr) SPFTree {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	return growTree(ctx, &inquiry{dns: c.dns, id: Identity{MailFrom: domain, Helo: helo, Egress: unmapped(egress)}})
}

func growTree(ctx context.Context, q *inquiry) SPFTree {
	domain := string(q.id.spfDomain())
	b := &spfReader{ctx: ctx, q: q, own: domain, hosts: map[string]spfHost{}}
	t := SPFTree{Domain: mail.Domain(domain), Root: b.node(domain), Addresses: []SPFPath{}, NotCovered: []netip.Addr{}}
	if _, err := spfTerms(t.Root.Record); t.Root.Status == SPFNodeFound && err != nil {
		t.Root.Error = err.Error()
	}
	everywhere := q.id.Egress
	if len(everywhere) == 0 {
		everywhere = []netip.Addr{{}} // nobody's: terms that hang on the address are left out
	}
	for _, address := range everywhere {
		w := spfWalk{spfReader: b, address: address, most: maxCounted, through: true}
		w.check(t.Root, nil)
		t.Lookups, t.VoidLookups = max(t.Lookups, w.lookups), max(t.VoidLookups, w.voids)
	}
	for _, address := range q.id.Egress {
		path := b.path(t.Root, address)
		t.Addresses = append(t.Addresses, path)
		if path.Result != SPFPass && path.Result != SPFUnknown && path.Result != SPFTempError {
			t.NotCovered = append(t.NotCovered, address)
		}
	}
	t.AtLeast = b.atLeast
	return t
}

// path evaluates the tree for one address.
func (b *spfReader) path(root *SPFNode, address netip.Addr) SPFPath {
	p := SPFPath{Address: address}
	if root.Error != "" {
		p.Result = SPFPermError
		return p
	}
	w := spfWalk{spfReader: b, address: address, most: maxLookups, mostVoid: maxVoidLookups}
	p.Result = w.check(root, nil)
	for i, step := range w.taken {
		p.Via = append(p.Via, step.node.Domain)
		step.term.Matches = append(step.term.Matches, address)
		if i == len(w.taken)-1 {
			p.Term = step.term.Text
		}
	}
	if root.Status == SPFNodeUnknown {
		p.Result = SPFUnknown
	}
	if w.over { // count how many it would take, as evaluation does
		all := spfWalk{spfReader: b, address: address, most: maxCounted, mostVoid: maxCounted}
		all.check(root, nil)
		w.lookups, w.voids = all.lookups, all.voids
	}
	p.Lookups, p.VoidLookups = w.lookups, w.voids
	return p
}

// spfReader asks DNS for the records and hosts of a tree, each once.
type spfReader struct {
	ctx     context.Context
	q       *inquiry
	own     string
	hosts   map[string]spfHost
	atLeast bool
}

// node reads the record of one domain; its own from its name servers, all else
// from the resolvers, as spfResolver does.
func (b *spfReader) node(domain string) *SPFNode {
	n := &SPFNode{Domain: canonicalName(domain), Status: SPFNodeMissing}
	if !isAskable(n.Domain) {
		return n
	}
	ask := b.q.recursive
	if n.Domain == b.own {
		ask = b.q.published
	}
	a := ask(b.ctx, n.Domain, "TXT")
	if isUnknown(a) {
		n.Status, b.atLeast = SPFNodeUnknown, true
		return n
	}
	for _, text := range a.Texts() {
		if !isSPF(text) {
			continue
		}
		if n.Status == SPFNodeFound {
			n.Status, n.Terms = SPFNodeSeveral, nil
			return n
		}
		n.Status, n.Record = SPFNodeFound, text
	}
	if n.Status == SPFNodeFound {
		b.takeApart(n)
	}
	return n
}

// takeApart reads the terms of a record, and marks those that "all" hides.
func (b *spfReader) takeApart(n *SPFNode) {
	hidden := false
	for _, word := range strings.Split(n.Record, " ")[1:] {
		if word == "" {
			continue
		}
		if len(n.Terms) == maxTreeTerms {
			b.atLeast = true
			break
		}
		parsed, err := parseSPFTerm(word)
		t := &SPFTerm{Text: word, parsed: parsed, nodes: map[string]*SPFNode{}}
		if err != nil {
			t.Error = err.Error()
		}
		t.Unreached = hidden
		hidden = hidden || parsed.name == "all" && err == nil
		n.Terms = append(n.Terms, t)
	}
	for _, t := range n.Terms {
		if t.parsed.modifier && t.parsed.name == "redirect" {
			t.Unreached = hidden
		}
	}
}

// inOrder returns the terms as they are evaluated: redirect comes last wherever it
// stands (RFC 7208 section 6.1).
func (n *SPFNode) inOrder() []*SPFTerm {
	isRedirect := func(t *SPFTerm) bool { return t.parsed.modifier && t.parsed.name == "redirect" }
	var terms, last []*SPFTerm
	for _, t := range n.Terms {
		if isRedirect(t) {
			last = append(last, t)
		} else {
			terms = append(terms, t)
		}
	}
	return slices.Concat(terms, last)
}
