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

// Endpoint is how Postfix has to write a door so that all of its services reach it. It
// is empty where a chrooted one can't. What is below the queue directory is named
// relative to it, which is right with a chroot and without.
func (d Door) Endpoint(queue string, chroot bool) string {
	if d.Network != "unix" {
		host, port, _ := net.SplitHostPort(d.Address)
		if a := literal(host); a.IsUnspecified() && a.Is4() {
			host = "127.0.0.1"
		} else if a.IsUnspecified() {
			host = "::1"
		}
		return "inet:" + net.JoinHostPort(host, port)
	}
	if below, ok := strings.CutPrefix(d.Address, strings.TrimSuffix(queue, "/")+"/"); ok {
		return "unix:" + below
	}
	if chroot {
		return ""
	}
	return "unix:" + d.Address
}

// profile is what smtpd services have in common that concerns milters.
type profile struct {
	services []string
	list     string // smtpd_milters
	action   string // milter_default_action
	own      bool   // set for the service in master.cf
	skips    bool   // receive_override_options = no_milters
	chroot   bool
}

// profiles are those of the smtpd services, in the order of master.cf.
func (p *Postfix) profiles() []profile {
	var all []profile
	for _, s := range p.Services {
		if s.Command != "smtpd" {
			continue
		}
		mine := p.profile(s)
		same := slices.IndexFunc(all, func(o profile) bool {
			return o.list == mine.list && o.action == mine.action && o.skips == mine.skips && o.chroot == mine.chroot && o.own == mine.own
		})
		if same < 0 {
			all = append(all, mine)
		} else {
			all[same].services = append(all[same].services, s.Name)
		}
	}
	if len(all) == 0 {
		all = append(all, p.profile(Service{Name: "smtpd"}))
	}
	return all
}

func (p *Postfix) profile(s Service) profile {
	mine := profile{services: []string{s.Name}, chroot: s.Chroot}
	in := func(name string) string {
		if v, ok := s.Options[name]; ok {
			mine.own = true
			return v
		}
		return p.Main[name]
	}
	mine.list, mine.action = in("smtpd_milters"), in("milter_default_action")
	mine.skips = slices.Contains(words(in("receive_override_options")), "no_milters")
	return mine
}

// Milters checks that mail of this Postfix comes to the door, last of all milters, and
// waits when nobody is there.
func (p *Postfix) Milters(d Door) []Result {
	var results []Result
	all := p.profiles()
	for _, mine := range all {
		about := ""
		if len(all) > 1 {
			about = "service " + strings.Join(mine.services, ", ") + ": "
		}
		results = append(results, p.examine(mine, d, about)...)
	}
	results = append(results, p.local(d)...)
	if v := p.Main["smtpd_milter_maps"]; v != "" {
		results = append(results, Result{Area: "postfix", Code: "postfix-milter-maps", Status: Warn,
			Text: "smtpd_milter_maps = " + v + ": mail of the clients it names may not come to mailgate",
			Mend: []string{"See that it names mailgate, too, for clients whose mail is to be signed."}})
	}
	return results
}

// chrooted reports whether a service of that command runs chrooted.
func (p *Postfix) chrooted(command string) bool {
	return slices.ContainsFunc(p.Services, func(s Service) bool { return s.Command == command && s.Chroot })
}

// examine looks at the milters of services that are alike.
func (p *Postfix) examine(mine profile, d Door, about string) []Result {
	if mine.skips {
		return []Result{p.skipped(mine, about)}
	}
	list := milters(mine.list, mine.chroot)
	at := slices.IndexFunc(list, func(e endpoint) bool { return e.reaches(d, p.Main["queue_directory"]) })
	if slices.ContainsFunc(list, endpoint.opendkimForm) || at < 0 {
		return []Result{p.missing(mine, list, d, about)}
	}
	results := []Result{{Area: "postfix", Code: "postfix-milter", Status: Pass, Text: about + "smtpd_milters = " + mine.list}}
	if at < len(list)-1 {
		results[0] = p.notLast(mine, list, at, about)
	}
	results = append(results, p.defaultAction(mine, list[at], about))
	return append(results, p.otherSigner(list, at, about)...)
}

// change is how a setting of these services is changed.
func (p *Postfix) change(mine profile, name, value string) []string {
	if mine.own {
		return []string{fmt.Sprintf("In master.cf, for %s: -o { %s = %s }", strings.Join(mine.services, ", "), name, value), p.reload()}
	}
	return p.set(name, value)
}

// skipped: mail of such a service never sees a milter.
func (p *Postfix) skipped(mine profile, about string) Result {
	r := Result{Area: "postfix", Code: "postfix-no-milters", Status: Fail,
		Text: about + "receive_override_options has no_milters: its mail doesn't come to mailgate, and leaves unsigned"}
	if mine.own {
		r.Status = Warn
		r.Mend = []string{"Right for a service whose mail comes back by another one (content_filter). Otherwise take no_milters out of its -o receive_override_options in master.cf."}
		return r
	}
	left := slices.DeleteFunc(words(p.Main["receive_override_options"]), func(s string) bool { return s == "no_milters" })
	r.Mend = p.set("receive_override_options", strings.Join(left, ", "))
	return r
}

// notLast: what another milter changes after the signature breaks it.
func (p *Postfix) notLast(mine profile, list []endpoint, at int, about string) Result {
	order := slices.Concat(list[:at], list[at+1:], list[at:at+1])
	return Result{Area: "postfix", Code: "postfix-milter-not-last", Status: Warn,
		Text: fmt.Sprintf("%ssmtpd_milters: mailgate is number %d of %d: what a later milter changes breaks the signature", about, at+1, len(list)),
		Mend: p.change(mine, "smtpd_milters", shown(order))}
}

// shown is a list as Postfix reads it.
func shown(list []endpoint) string {
	var texts []string
	for _, e := range list {
		texts = append(texts, e.shown())
	}
	return strings.Join(texts, ", ")
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

// missing tells why the door isn't reached by any milter of a list, or not by all that
// are named.
func (p *Postfix) missing(mine profile, list []endpoint, d Door, about string) Result {
	queue := p.Main["queue_directory"]
	r := Result{Area: "postfix", Code: "postfix-milter-missing", Status: Fail, Text: about + "smtpd_milters doesn't name mailgate: mail by SMTP leaves unsigned"}
	var kept []endpoint
	for _, e := range list {
		elsewhere := endpoint{text: e.text, chroot: !e.chroot}
		switch {
		case e.opendkimForm():
			r.Code = "postfix-address-form"
			r.Text = fmt.Sprintf("%ssmtpd_milters: Postfix doesn't understand %s, which is OpenDKIM's way to write it, and defers all mail", about, e.text)
			if same := (endpoint{text: e.turned()}); !same.reaches(d, queue) {
				kept = append(kept, same)
			}
		case e.reaches(d, queue): // it is added last
		case elsewhere.reaches(d, queue) || d.Network == "unix" && e.text == "unix:"+d.Address:
			r.Code = "postfix-chroot"
			r.Text = fmt.Sprintf("%ssmtpd_milters: %s", about, p.outOfSight(e, d))
		default:
			kept = append(kept, e)
		}
	}
	if r.Code == "postfix-milter-missing" && mine.own {
		r.Code, r.Status = "postfix-service-without", Warn
		r.Text = fmt.Sprintf("%ssmtpd_milters = %s: its mail doesn't come to mailgate", about, orNothing(mine.list))
		r.Mend = []string{"Right for a service whose mail comes back by another one (content_filter). Otherwise take the -o smtpd_milters= off it in master.cf."}
		return r
	}
	var right string
	right, r.Mend = p.reachable(d, p.chrooted("smtpd"))
	r.Mend = append(r.Mend, p.change(mine, "smtpd_milters", shown(append(kept, endpoint{text: right})))...)
	return r
}

// reachable is how all services can name the door, and what has to be done before.
func (p *Postfix) reachable(d Door, chroot bool) (right string, first []string) {
	if right = d.Endpoint(p.Main["queue_directory"], chroot); right != "" {
		return right, nil
	}
	path := filepath.Join(p.Main["queue_directory"], "mailgate/milter.sock")
	return "unix:mailgate/milter.sock", []string{fmt.Sprintf("In mailgate.toml: [milter] listen = %q (or \"inet:127.0.0.1:8891\"), then restart mailgate", "unix:"+path)}
}

// outOfSight says why a service doesn't see a socket at the path it is told.
func (p *Postfix) outOfSight(e endpoint, d Door) string {
	if e.chroot {
		return fmt.Sprintf("the service is chrooted to %s, where %s is not to be seen", p.Main["queue_directory"], d.Address)
	}
	return fmt.Sprintf("the service isn't chrooted, so %s isn't below %s for it", strings.TrimPrefix(e.text, "unix:"), p.Main["queue_directory"])
}

// turned is OpenDKIM's "inet:port@host" as Postfix writes it.
func (e endpoint) turned() string {
	network, rest, _ := strings.Cut(e.text, ":")
	port, host, _ := strings.Cut(rest, "@")
	return network + ":" + net.JoinHostPort(strings.Trim(host, "[]"), port)
}

// defaultAction is what happens to mail while mailgate is away.
func (p *Postfix) defaultAction(mine profile, e endpoint, about string) Result {
	action, where, mend := mine.action, "milter_default_action", p.change(mine, "milter_default_action", "tempfail")
	if own := e.attrs["default_action"]; own != "" {
		action, where = own, "smtpd_milters: default_action"
		mend = []string{"Take default_action out of smtpd_milters, or make it tempfail.", p.reload()}
	}
	r := Result{Area: "postfix", Code: "postfix-default-action", Status: Fail, Mend: mend}
	switch action {
	case "tempfail", "":
		r.Status, r.Mend = Pass, nil
		r.Text = about + where + " = tempfail: mail waits while mailgate is away"
	case "accept":
		r.Text = about + where + " = accept: while mailgate is away mail leaves unsigned"
	case "reject":
		r.Text = about + where + " = reject: while mailgate is away mail is refused for good"
	default:
		r.Status = Warn
		r.Text = about + where + " = " + action + ": tempfail has the client try again, and nothing is lost"
	}
	return r
}

// local is mail from the machine itself: cron, PHP, sendmail.
func (p *Postfix) local(d Door) []Result {
	chroot, queue := p.chrooted("cleanup"), p.Main["queue_directory"]
	list := milters(p.Main["non_smtpd_milters"], chroot)
	reaches := func(e endpoint) bool { return e.reaches(d, queue) }
	if slices.ContainsFunc(list, reaches) {
		return nil
	}
	r := Result{Area: "postfix", Code: "postfix-local-mail", Status: Warn,
		Text: "non_smtpd_milters doesn't name mailgate: mail of this machine itself (cron, PHP, sendmail) leaves unsigned",
		Mend: p.set("non_smtpd_milters", "$smtpd_milters")}
	for _, e := range list {
		if (endpoint{text: e.text, chroot: !e.chroot}).reaches(d, queue) {
			right, first := p.reachable(d, chroot || p.chrooted("smtpd"))
			r.Code, r.Status, r.Mend = "postfix-chroot", Fail, append(first, p.set("non_smtpd_milters", right)...)
			r.Text = "non_smtpd_milters, of cleanup: " + p.outOfSight(e, d)
		}
	}
	return []Result{r}
}

func orNothing(s string) string {
	if s == "" {
		return "(nothing)"
	}
	return s
}

// otherSigner is another milter that signs, by its name.
func (p *Postfix) otherSigner(list []endpoint, at int, about string) []Result {
	var results []Result
	for i, e := range list {
		if i != at && strings.Contains(strings.ToLower(e.text), "opendkim") {
			results = append(results, Result{Area: "postfix", Code: "postfix-two-signers", Status: Warn,
				Text: about + "smtpd_milters names OpenDKIM, too (" + e.text + "): mail is signed twice",
				Mend: []string{"When mailgate signs what it signed (mailgate keys import --opendkim /etc/opendkim.conf), take it out of smtpd_milters, or let it verify only (Mode v)."}})
		}
	}
	return results
}
