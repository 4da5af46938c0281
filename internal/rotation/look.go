package rotation

import (
	"context"
	"slices"
	"strings"
	"time"

	"mailgate/internal/dnsview"
)

// View is how DNS is seen. dnsview.Resolver is one.
type View interface {
	Published(ctx context.Context, name, qtype string) dnsview.Answer
}

// ServerState is what a name server says of a record.
type ServerState string

const (
	Has     ServerState = "has"     // that very record
	Lacks   ServerState = "lacks"   // it has none at the name
	Other   ServerState = "other"   // it has something else
	Unknown ServerState = "unknown" // it gave no answer that counts
)

// Server is what a name server said.
type Server struct {
	Name  string      `json:"name"`
	State ServerState `json:"state"`
	Words string      `json:"words,omitempty"` // of Other and Unknown
}

// sight is what the name servers of a zone say about one record, asked just now.
type sight struct {
	servers []Server
	texts   []string      // TXT values at the name, of any server
	life    time.Duration // longest TTL of an answer: as long a resolver may believe it
	problem string        // why nothing is known, where the servers weren't asked
}

// everywhere: every server answers, and has it.
func (s sight) everywhere() bool {
	return len(s.servers) > 0 && !slices.ContainsFunc(s.servers, func(v Server) bool { return v.State != Has })
}

// missing: one of the servers, at least, is certain not to have it.
func (s sight) missing() bool {
	return slices.ContainsFunc(s.servers, func(v Server) bool { return v.State == Lacks || v.State == Other })
}

// known: every server answered.
func (s sight) known() bool {
	return len(s.servers) > 0 && !slices.ContainsFunc(s.servers, func(v Server) bool { return v.State == Unknown })
}

// look asks every name server for the TXT records of name. fits says in a word why a
// record isn't the wanted one, or nothing.
func look(ctx context.Context, dns View, name string, fits func(record string) string) sight {
	a := dns.Published(dnsview.Fresh(ctx, 0), name, "TXT")
	s := sight{problem: a.Fallback}
	if a.Fallback != "" {
		return s // a resolver's word isn't the servers'
	}
	at := a.Name
	if n := len(a.CNAMEs); n > 0 {
		at = a.CNAMEs[n-1]
	}
	for _, o := range a.Observations {
		if o.View != dnsview.Authoritative || o.Name != at || !slices.Contains(a.NameServers, o.Server) {
			continue // of a zone above, or of the alias
		}
		s.servers = append(s.servers, judge(o, fits))
		for _, text := range o.Records {
			if !slices.Contains(s.texts, text) {
				s.texts = append(s.texts, text)
			}
		}
		s.life = max(s.life, time.Duration(o.TTL)*time.Second)
	}
	if len(s.servers) == 0 {
		s.problem = "no name server answers for " + name
	}
	return s
}

func judge(o dnsview.Observation, fits func(string) string) Server {
	v := Server{Name: o.Server, State: Unknown}
	switch {
	case o.Error != "":
		v.Words = o.Error
	case o.Rcode != "NXDOMAIN" && o.Rcode != "NOERROR" || !o.AA:
		v.Words = strings.TrimSpace("no answer that counts " + o.Rcode)
	case len(o.Records) == 0:
		v.State = Lacks
	case len(o.Records) > 1:
		v.State, v.Words = Other, "several records"
	default:
		if v.Words = fits(o.Records[0]); v.Words == "" {
			v.State = Has
		} else {
			v.State = Other
		}
	}
	return v
}

// lookFor asks for a key's record.
func lookFor(ctx context.Context, dns View, name, record string) sight {
	return look(ctx, dns, name, func(published string) string { return sameKey(published, record) })
}

// lookRevoked asks whether a key's record is revoked.
func lookRevoked(ctx context.Context, dns View, name string) sight {
	return look(ctx, dns, name, func(published string) string {
		if isRevoked(published) {
			return ""
		}
		return "not revoked"
	})
}
