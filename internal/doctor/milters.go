package doctor

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
)

// Door is where a door of mailgate listens.
type Door struct {
	Network string // "tcp", "tcp6" or "unix"; empty: closed
	Address string // "host:port", or the path of a socket
}

// endpoint is one milter of a list of Postfix's.
type endpoint struct {
	text   string            // "inet:127.0.0.1:8891"
	attrs  map[string]string // { inet:…, default_action = accept }
	chroot bool              // of the service that connects to it
}

// milters reads a list such as smtpd_milters.
func milters(list string, chroot bool) []endpoint {
	var all []endpoint
	for _, word := range words(list) {
		e := endpoint{text: word, chroot: chroot, attrs: map[string]string{}}
		if parts := words(unbraced(word)); word != "" && word[0] == '{' && len(parts) > 0 {
			e.text = parts[0]
			for name, value := range assignments(unbraced(word)) {
				e.attrs[name] = value
			}
		}
		all = append(all, e)
	}
	return all
}

// assignments reads "inet:host:port, name = value, name=value".
func assignments(s string) map[string]string {
	set := map[string]string{}
	for part := range strings.SplitSeq(s, ",") {
		if name, value, ok := strings.Cut(part, "="); ok {
			fields := strings.Fields(name)
			if len(fields) > 0 {
				set[fields[len(fields)-1]] = strings.TrimSpace(value)
			}
		}
	}
	return set
}

// path is the file an endpoint is in the whole machine's view, empty if it isn't a
// Unix socket. A relative path is below the queue directory; so is every path of a
// service that is chrooted there.
func (e endpoint) path(queue string) string {
	network, path, _ := strings.Cut(e.text, ":")
	if network != "unix" && network != "local" {
		return ""
	}
	if e.chroot || !filepath.IsAbs(path) {
		return filepath.Join(queue, path)
	}
	return filepath.Clean(path)
}

// reaches reports whether connecting to the endpoint ends at the door.
func (e endpoint) reaches(d Door, queue string) bool {
	if path := e.path(queue); path != "" {
		return d.Network == "unix" && path == d.Address
	}
	if d.Network == "unix" {
		return false
	}
	_, rest, _ := strings.Cut(e.text, ":")
	host, port, err := net.SplitHostPort(rest)
	ownHost, ownPort, ownErr := net.SplitHostPort(d.Address)
	if err != nil || ownErr != nil || port != ownPort {
		return false
	}
	to, own := literal(host), literal(ownHost)
	switch {
	case !to.IsValid() || !own.IsValid():
		return true // a name: the port tells
	case own.IsUnspecified():
		return true
	case to.IsLoopback() && own.IsLoopback() && (host == "localhost" || ownHost == "localhost"):
		return true
	}
	return to == own
}

func literal(host string) netip.Addr {
	if host == "localhost" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	a, _ := netip.ParseAddr(strings.Trim(host, "[]"))
	return a.Unmap()
}

// opendkimForm is what OpenDKIM calls its own socket, and Postfix doesn't understand.
func (e endpoint) opendkimForm() bool {
	network, rest, _ := strings.Cut(e.text, ":")
	return strings.HasPrefix(network, "inet") && strings.Contains(rest, "@")
}

// Endpoint is how a service of Postfix has to write a door. It is empty where a
// chrooted service can't reach it.
func (d Door) Endpoint(queue string, chroot bool) string {
	switch {
	case d.Network != "unix":
		host, port, _ := net.SplitHostPort(d.Address)
		if a := literal(host); a.IsUnspecified() && a.Is4() {
			host = "127.0.0.1"
		} else if a.IsUnspecified() {
			host = "::1"
		}
		return "inet:" + net.JoinHostPort(host, port)
	case !chroot:
		return "unix:" + d.Address
	}
	if below, ok := strings.CutPrefix(d.Address, strings.TrimSuffix(queue, "/")+"/"); ok {
		return "unix:/" + below
	}
	return ""
}

// Milters checks that mail of this Postfix comes to the door, last of all milters, and
// waits when nobody is there.
func (p *Postfix) Milters(d Door) []Result {
	queue, list := p.Main["queue_directory"], p.Main["smtpd_milters"]
	chroot := p.chrooted("smtpd")
	mine := milters(list, chroot)
	at := slices.IndexFunc(mine, func(e endpoint) bool { return e.reaches(d, queue) })
	var results []Result
	switch {
	case at >= 0 && at == len(mine)-1:
		results = append(results, Result{Area: "postfix", Code: "postfix-milter", Status: Pass, Text: "smtpd_milters = " + list})
	case at >= 0:
		results = append(results, p.notLast(mine, at))
	default:
		results = append(results, p.missing(d, mine, chroot))
	}
	results = append(results, p.defaultAction(mine, at)...)
	results = append(results, p.local(d)...)
	results = append(results, p.overrides(d)...)
	if v := p.Main["smtpd_milter_maps"]; v != "" {
		results = append(results, Result{Area: "postfix", Code: "postfix-milter-maps", Status: Warn,
			Text: "smtpd_milter_maps = " + v + ": mail of the clients it names may not come to mailgate",
			Mend: []string{"See that it names mailgate, too, for clients whose mail is to be signed."}})
	}
	return append(results, p.otherSigner(mine, at)...)
}

// chrooted reports whether a service of that command runs chrooted.
func (p *Postfix) chrooted(command string) bool {
	return slices.ContainsFunc(p.Services, func(s Service) bool { return s.Command == command && s.Chroot })
}

// notLast: what another milter changes after the signature breaks it.
func (p *Postfix) notLast(mine []endpoint, at int) Result {
	order := slices.Concat(mine[:at], mine[at+1:], mine[at:at+1])
	var texts []string
	for _, e := range order {
		texts = append(texts, e.shown())
	}
	return Result{Area: "postfix", Code: "postfix-milter-not-last", Status: Warn,
		Text: fmt.Sprintf("smtpd_milters: mailgate is number %d of %d: what a later milter changes breaks the signature", at+1, len(mine)),
		Mend: p.set("smtpd_milters", strings.Join(texts, ", "))}
}

func (e endpoint) shown() string {
	if len(e.attrs) == 0 {
		return e.text
	}
	text := "{ " + e.text
	for _, name := range slices.Sorted(maps.Keys(e.attrs)) {
		text += ", " + name + " = " + e.attrs[name]
	}
	return text + " }"
}

// missing tells why no milter of the list is the door.
func (p *Postfix) missing(d Door, mine []endpoint, chroot bool) Result {
	right := d.Endpoint(p.Main["queue_directory"], chroot)
	r := Result{Area: "postfix", Code: "postfix-milter-missing", Status: Fail, Text: "smtpd_milters doesn't name mailgate: mail by SMTP leaves unsigned"}
	kept := mine
	for i, e := range mine {
		switch {
		case e.opendkimForm():
			r.Code = "postfix-address-form"
			r.Text = fmt.Sprintf("smtpd_milters: Postfix doesn't understand %s, which is OpenDKIM's way to write it, and defers all mail", e.text)
			kept = slices.Concat(mine[:i], mine[i+1:])
		case chroot && d.Network == "unix" && e.text == "unix:"+d.Address:
			r.Code = "postfix-chroot"
			r.Text = fmt.Sprintf("smtpd_milters: smtpd is chrooted to %s, where %s is not to be seen", p.Main["queue_directory"], d.Address)
			kept = slices.Concat(mine[:i], mine[i+1:])
		}
	}
	if right == "" {
		r.Mend = []string{fmt.Sprintf("In mailgate.toml: [milter] listen = \"unix:%s\" (or \"inet:127.0.0.1:8891\"), then restart mailgate",
			filepath.Join(p.Main["queue_directory"], "mailgate/milter.sock"))}
		right = "unix:/mailgate/milter.sock"
	}
	var texts []string
	for _, e := range kept {
		texts = append(texts, e.shown())
	}
	r.Mend = append(r.Mend, p.set("smtpd_milters", strings.Join(append(texts, right), ", "))...)
	return r
}

// defaultAction is what happens to mail while mailgate is away.
func (p *Postfix) defaultAction(mine []endpoint, at int) []Result {
	action, where := p.Main["milter_default_action"], "milter_default_action"
	mend := p.set(where, "tempfail")
	if at >= 0 && mine[at].attrs["default_action"] != "" {
		action, where = mine[at].attrs["default_action"], "smtpd_milters: default_action"
		mend = []string{"Take default_action out of smtpd_milters, or make it tempfail.", p.reload()}
	}
	r := Result{Area: "postfix", Code: "postfix-default-action", Status: Pass, Text: where + " = " + action + ": mail waits while mailgate is away"}
	switch action {
	case "tempfail", "":
		r.Text = where + " = tempfail: mail waits while mailgate is away"
	case "accept":
		r.Status, r.Mend = Fail, mend
		r.Text = where + " = accept: while mailgate is away mail leaves unsigned"
	case "reject":
		r.Status, r.Mend = Fail, mend
		r.Text = where + " = reject: while mailgate is away mail is refused for good"
	default:
		r.Status, r.Mend = Warn, mend
		r.Text = where + " = " + action + ": tempfail has the client try again, and nothing is lost"
	}
	return []Result{r}
}

// local is mail from the machine itself: cron, PHP, sendmail.
func (p *Postfix) local(d Door) []Result {
	list := milters(p.Main["non_smtpd_milters"], p.chrooted("cleanup"))
	if slices.ContainsFunc(list, func(e endpoint) bool { return e.reaches(d, p.Main["queue_directory"]) }) {
		return nil
	}
	return []Result{{Area: "postfix", Code: "postfix-local-mail", Status: Warn,
		Text: "non_smtpd_milters doesn't name mailgate: mail of this machine itself (cron, PHP, sendmail) leaves unsigned",
		Mend: p.set("non_smtpd_milters", "$smtpd_milters")}}
}

// overrides are services with a list of milters of their own.
func (p *Postfix) overrides(d Door) []Result {
	var results []Result
	for _, s := range p.Services {
		list, own := s.Options["smtpd_milters"]
		if !own || s.Command != "smtpd" {
			continue
		}
		if !slices.ContainsFunc(milters(list, s.Chroot), func(e endpoint) bool { return e.reaches(d, p.Main["queue_directory"]) }) {
			results = append(results, Result{Area: "postfix", Code: "postfix-service-without", Status: Warn,
				Text: fmt.Sprintf("master.cf: service %s has smtpd_milters = %s: its mail doesn't come to mailgate", s.Name, orNothing(list)),
				Mend: []string{"Right for a service whose mail comes back by another one (content_filter). Otherwise take the -o smtpd_milters= off it."}})
		}
	}
	return results
}

func orNothing(s string) string {
	if s == "" {
		return "(nothing)"
	}
	return s
}

// otherSigner is another milter that signs, by its name.
func (p *Postfix) otherSigner(mine []endpoint, at int) []Result {
	var results []Result
	for i, e := range mine {
		if i != at && strings.Contains(strings.ToLower(e.text), "opendkim") {
			results = append(results, Result{Area: "postfix", Code: "postfix-two-signers", Status: Warn,
				Text: "smtpd_milters names OpenDKIM, too (" + e.text + "): mail is signed twice",
				Mend: []string{"When mailgate signs what it signed (mailgate keys import --opendkim /etc/opendkim.conf), take it out of smtpd_milters, or let it verify only (Mode v)."}})
		}
	}
	return results
}
