package rotation

import (
	"strings"
	"time"

	"mailgate/internal/mail"
)

// State is how far a rotation is.
type State string

const (
	Publishing State = "publishing" // the new key is written, and its record isn't on every name server yet
	Holding    State = "holding"    // it is; it has to stay so for Rotation.Hold
	Signing    State = "signing"    // the new key signs; the old one is on standby for Rotation.Grace
	Revoking   State = "revoking"   // the old key signs no more, and its record is to become RevokedRecord
	Done       State = "done"
	Cancelled  State = "cancelled" // the old key signs on; the new one is left unused
)

// Open reports whether there is more to come.
func (s State) Open() bool { return s != Done && s != Cancelled }

// Switched reports whether the new key has taken the place of the old one.
func (s State) Switched() bool { return s == Signing || s == Revoking || s == Done }

// States lists all.
func States() []State { return []State{Publishing, Holding, Signing, Revoking, Done, Cancelled} }

// RevokedRecord is the record of a key that is no longer to be trusted (RFC 6376,
// section 3.6.1).
const RevokedRecord = "v=DKIM1; p="

// Pair is one key of a rotation.
type Pair struct {
	Selector  string `json:"selector"`
	File      string `json:"file"`
	Algorithm string `json:"algorithm"` // "RSA 2048", "Ed25519"
}

// Rotation is the replacement of one key by another.
type Rotation struct {
	Domain mail.Domain `json:"domain"` // d=
	Old    Pair        `json:"old"`
	New    Pair        `json:"new"`
	Record string      `json:"record"` // of the new key, to be published
	Was    string      `json:"was"`    // the record of the old key
	State  State       `json:"state"`
	By     string      `json:"by"` // who began it

	Begun    time.Time `json:"begun"`
	Visible  time.Time `json:"visible,omitzero"`  // while holding: the new record is everywhere since
	Switched time.Time `json:"switched,omitzero"` // the new key signs since
	Revoke   time.Time `json:"revoke,omitzero"`   // the old one is on its way out since
	Ended    time.Time `json:"ended,omitzero"`

	Looked  time.Time     `json:"looked,omitzero"` // at DNS, last
	Waited  time.Duration `json:"waited_ns"`       // of Hold while holding, of Grace while signing
	Hold    time.Duration `json:"hold_ns"`         // what the lives of the records ask for, as last seen
	Grace   time.Duration `json:"grace_ns"`        // as configured when last looked at
	OldLife time.Duration `json:"old_life_ns"`     // of the old record in resolvers, as last seen

	Servers   []Server  `json:"servers"`            // what each said last: of the new record, while revoking of the old one
	Problem   string    `json:"problem,omitempty"`  // why it doesn't go on, beyond waiting
	Publisher Published `json:"publisher,omitzero"` // how the domain's publisher fared with the record of this state
	Seen      []string  `json:"seen_txt,omitempty"` // TXT values at that record's name now
	Foreign   []string  `json:"foreign,omitempty"`  // those of them that are somebody else's: nothing is published over them
}

// Published is how writing a record at the DNS host went.
type Published struct {
	Tried    time.Time `json:"tried,omitzero"` // last
	Written  bool      `json:"written"`        // the host took it then
	Failures int       `json:"failures"`       // in a row
	Error    string    `json:"error,omitempty"`
}

// OldName is where the old key's record is.
func (r Rotation) OldName() string { return recordName(r.Domain, r.Old.Selector) }

// NewName is where the new key's record belongs.
func (r Rotation) NewName() string { return recordName(r.Domain, r.New.Selector) }

// ToPublish is the record that has to be in DNS for the rotation to go on; empty:
// none.
func (r Rotation) ToPublish() (name, value string) {
	switch r.State {
	case Publishing, Holding:
		return r.NewName(), r.Record
	case Revoking:
		return r.OldName(), RevokedRecord
	}
	return "", ""
}

// HaveIt is on how many of how many name servers the record was seen.
func (r Rotation) HaveIt() (have, of int) {
	for _, s := range r.Servers {
		if s.State == Has {
			have++
		}
	}
	return have, len(r.Servers)
}

func recordName(domain mail.Domain, selector string) string {
	return strings.ToLower(selector) + "._domainkey." + string(domain)
}
