package convert

import (
	"crypto"
	"fmt"
	"strings"
)

// Plan is what mailgate's configuration would be.
type Plan struct {
	Source      string       `json:"source"` // "OpenDKIM", "rspamd" or "Exim"
	Files       []string     `json:"files"`  // what was read, in that order
	Listen      string       `json:"listen"` // of the milter, or of the relay
	Trusted     []string     `json:"trusted"`
	Relay       bool         `json:"relay"` // the door is the relay, not the milter
	Resolvers   []string     `json:"resolvers,omitempty"`
	Domains     []Domain     `json:"domains"`
	Partly      []Partly     `json:"partly_signed,omitempty"`
	Notes       []Note       `json:"notes"`
	Differences []Difference `json:"differences"`
	NotShown    int          `json:"differences_not_shown,omitempty"` // beyond maxDifferences
	Inline      []Inline     `json:"keys_to_write,omitempty"`         // to be written before the configuration is used

	patterns map[string]Domain // Domains by their pattern
	told     map[Note]bool
}

// Domain is one [[domain]] of mailgate's configuration.
type Domain struct {
	Pattern    string `json:"name"`
	SignAs     string `json:"sign_as,omitempty"`
	SubDomains bool   `json:"subdomains,omitempty"`
	Expire     string `json:"expire,omitempty"`
	Keys       []Key  `json:"keys"`
}

// Partly is a domain of which only some addresses were signed. Whether all of it is to
// be signed from now on somebody must decide.
type Partly struct {
	Domain
	Addresses []string `json:"addresses"` // that were signed so
}

// signer is d= of the domain's signatures.
func (d Domain) signer() string {
	if d.SignAs != "" {
		return d.SignAs
	}
	return strings.TrimPrefix(d.Pattern, "*.")
}

// Key is one key of a Domain.
type Key struct {
	Selector string `json:"selector"`
	File     string `json:"file"`
	Identity string `json:"identity,omitempty"`
}

// Inline is a key that is copied, or stood in the old configuration itself, and the
// file it is to be written to.
type Inline struct {
	File   string        `json:"file"`
	Signer crypto.Signer `json:"-"`
}

// Kind says what became of a setting.
type Kind string

// The kinds of notes.
const (
	Taken   Kind = "taken"   // it is in the new configuration
	Moot    Kind = "moot"    // it changes nothing about what mailgate does
	Differs Kind = "differs" // mailgate does it its own way
	Left    Kind = "left"    // it couldn't be taken over: somebody must
	Mend    Kind = "mend"    // to be mended before mailgate starts
)

// Note says what became of one setting.
type Note struct {
	Kind    Kind   `json:"kind"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Setting string `json:"setting,omitempty"`
	Text    string `json:"text"`
	Do      string `json:"do,omitempty"` // what to do, where something is to be done
}

// Where is file:line, "" where the note isn't about a line.
func (n Note) Where() string { return place{n.File, n.Line}.String() }

// Difference is an address whose mail is signed otherwise than before. The signatures
// are "d=… s=…"; none: it isn't signed.
type Difference struct {
	From string   `json:"from"`
	Old  []string `json:"old"`
	New  []string `json:"new"`
	Why  string   `json:"why"`
}

// finish names the files that were read. Lists are empty rather than null in JSON.
func (p *Plan) finish(t *tree) *Plan {
	p.Files = append([]string{}, t.files...)
	p.Trusted = append([]string{}, p.Trusted...)
	p.Domains = append([]Domain{}, p.Domains...)
	p.Notes = append([]Note{}, p.Notes...)
	p.Differences = append([]Difference{}, p.Differences...)
	return p
}

// postfixQueue is Postfix's queue directory, which is its root where it is chrooted.
const postfixQueue = "/var/spool/postfix/"

// Milter is what smtpd_milters of Postfix says to reach Listen. A path below the queue
// directory is relative: that is right in a chroot and without one.
func (p *Plan) Milter() string {
	if below, ok := strings.CutPrefix(p.Listen, "unix:"+postfixQueue); ok {
		return "unix:" + below
	}
	return strings.NewReplacer("inet6:", "inet:", "0.0.0.0", "127.0.0.1", "[::]", "[::1]").Replace(p.Listen)
}

// Complete reports whether everything was taken over and is signed as before.
func (p *Plan) Complete() bool {
	for _, n := range p.Notes {
		if n.Kind == Left || n.Kind == Mend {
			return false
		}
	}
	return len(p.Differences) == 0 && len(p.Domains) > 0
}

// Options of a conversion.
type Options struct {
	Root string // before every absolute path that is read; "": the system's
	Keys string // directory for copies of all keys; "": key files stay, keys in the configuration itself are left
}

// Fault is a mistake in the old configuration that keeps it from being read.
type Fault struct {
	File    string
	Line    int // 0: of no line
	Problem string
}

func (f *Fault) Error() string {
	return place{f.File, f.Line}.String() + ": " + f.Problem
}

// place is a line of a file.
type place struct {
	file string
	line int
}

func (p place) String() string {
	if p.line == 0 {
		return p.file
	}
	return fmt.Sprintf("%s:%d", p.file, p.line)
}

func (p place) fault(format string, args ...any) error {
	return &Fault{p.file, p.line, fmt.Sprintf(format, args...)}
}

func (p *Plan) note(kind Kind, at place, setting, text, do string) {
	n := Note{kind, at.file, at.line, setting, text, do}
	if p.told[n] || len(p.Notes) == maxNotes {
		return
	}
	if p.told == nil {
		p.told = map[Note]bool{}
	}
	p.told[n] = true
	p.Notes = append(p.Notes, n)
}

// maxNotes bounds what is told of one configuration.
const maxNotes = 50_000
