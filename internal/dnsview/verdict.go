package dnsview

import "github.com/miekg/dns"

// verdict is what the servers of one zone say together about one name.
type verdict struct {
	good     bool // at least one server answers for the zone; else the rest is empty
	status   Status
	records  []Record // of all servers
	alias    string   // CNAME target, canonical, where no server has records
	disagree bool
	ttl      uint32
}

// judge compares the replies. Servers that don't answer for the zone decide
// nothing; of the others, one that has records is believed before one that has
// none: a zone is often being changed while it is looked at.
func judge(replies []reply, q question) verdict {
	v := verdict{ttl: noTTL}
	var first digest
	for i := range replies {
		m, seen := replies[i].msg, &replies[i].seen
		if m == nil {
			continue
		}
		d := readName(m, q)
		if fault := lameness(m); fault != "" {
			seen.Error = fault
			continue
		}
		seen.show(d)
		if !v.good {
			first = d
		}
		v.disagree = v.disagree || v.good && !d.agrees(first)
		v.good = true
		v.add(d)
	}
	v.records = collect(v.records)
	if v.status == Found {
		v.alias = ""
	}
	return v
}

func (v *verdict) add(d digest) {
	v.ttl = min(v.ttl, d.ttl)
	v.records = append(v.records, d.records...)
	if len(d.chain) > 0 && (v.alias == "" || d.chain[0] < v.alias) {
		v.alias = d.chain[0]
	}
	if v.status == "" || rank(d.status) > rank(v.status) {
		v.status = d.status
	}
}

func rank(s Status) int {
	switch s {
	case Found:
		return 2
	case NoData:
		return 1
	}
	return 0
}

// agrees compares what two servers publish, not for how long.
func (d digest) agrees(o digest) bool {
	if d.status != o.status || len(d.records) != len(o.records) || len(d.chain) != len(o.chain) {
		return false
	}
	for i := range d.records {
		if !d.records[i].same(o.records[i]) {
			return false
		}
	}
	return len(d.chain) == 0 || d.chain[0] == o.chain[0]
}

// lameness says why a server doesn't answer for the zone, or nothing.
func lameness(m *dns.Msg) string {
	switch {
	case m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError:
		if said := explain(m); said != "" {
			return said
		}
		return "does not answer for the zone"
	case !m.Authoritative:
		return "not authoritative for the name"
	}
	return ""
}
