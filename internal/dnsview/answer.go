// Package dnsview asks DNS and remembers who said what. It has three views of a
// name: authoritative (the domain's own name servers, what it publishes now),
// recursive (what receivers' resolvers see, caches and all) and panel (the
// hosting panel's own server, which the world may never ask).
//
// It never returns an error: a fault is an Answer with Status Unknown, and the
// Observations say which server failed how. Sources: RFC 1034, 1035, 2308, 8020,
// 6891.
package dnsview

import "time"

// Status is what is known about a name and type.
type Status string

const (
	Found    Status = "found"    // at least one record of the type
	NoData   Status = "nodata"   // the name exists, the type does not
	NXDomain Status = "nxdomain" // the name does not exist
	Unknown  Status = "unknown"  // time-out, SERVFAIL, REFUSED, bogus: nothing learned
)

// View says whom an Observation was asked of.
type View string

const (
	Authoritative View = "authoritative"
	Recursive     View = "recursive"
	Panel         View = "panel"
)

// Observation is one server's reply to one question: the evidence.
type Observation struct {
	View    View          `json:"view"`
	Server  string        `json:"server"`            // name, or address and port where it has none
	Address string        `json:"address,omitempty"` // address and port asked
	Name    string        `json:"name"`
	Type    string        `json:"type"`
	Rcode   string        `json:"rcode,omitempty"` // NOERROR, NXDOMAIN, …; empty when there was no reply
	AA      bool          `json:"aa"`
	AD      bool          `json:"ad,omitempty"`
	TTL     uint32        `json:"ttl"` // smallest TTL of the records, or the negative TTL, in seconds
	RTT     time.Duration `json:"rtt_ns"`
	When    time.Time     `json:"when"`
	Records []string      `json:"records,omitempty"` // as Record.Text, MX with its preference before it; "CNAME target" for an alias
	Error   string        `json:"error,omitempty"`   // "timeout", "connection refused", …
}

// Record is one resource record of the type asked.
type Record struct {
	Text       string   // TXT: strings joined and unescaped; A, AAAA: address; MX, NS, PTR, CNAME: host without final dot, "." for the root; SOA: MNAME; TLSA: its four fields
	Strings    []string // TXT: the character-strings, unescaped
	Preference uint16   // MX
	TTL        uint32   // seconds
}

// Answer is what one view says about one name and type.
type Answer struct {
	Name         string // as asked: lower case, no final dot
	Type         string
	Status       Status
	Records      []Record  // from the servers that have them
	Disagree     bool      // the authoritative servers gave different records or statuses
	CNAMEs       []string  // targets followed, in order
	Zone         string    // apex of the zone that answered (after CNAMEs), if known
	NameServers  []string  // names of that zone's servers, sorted
	Fallback     string    // why the recursive view stood in for the authoritative one; empty if it didn't
	Authentic    bool      // the AD bit of a resolver
	Expires      time.Time // until when it may be served from memory
	Observations []Observation
}

// Texts returns the Text of every record.
func (a Answer) Texts() []string {
	texts := make([]string, 0, len(a.Records))
	for _, r := range a.Records {
		texts = append(texts, r.Text)
	}
	return texts
}
