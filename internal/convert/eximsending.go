package convert

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// sending tells of transports that send from an address, or with a name, of their own:
// mailgate has its own for all mail.
func (m *eximModel) sending(k known) {
	for _, name := range []string{"interface", "helo_data"} {
		if o, ok := m.transport.options[name]; ok {
			m.sendingWith(k, name, o)
		}
	}
}

func (m *eximModel) sendingWith(k known, name string, o eximOption) {
	text, do := "leaves from %s; mailgate sends all mail from the same addresses", "put the address into egress and into SPF of these domains, or see that SPF allows mailgate's addresses"
	if name == "helo_data" {
		text, do = "says HELO %s; mailgate says its hostname for all mail", "see that hostname, its address and the PTR record of each address in egress agree"
	}
	var values []string
	domains := map[string][]string{}
	for _, d := range k.domains {
		value, err := m.sent(o, d)
		if err != nil {
			m.note(o.at, m.transport.name+" "+name, fmt.Sprintf("mail "+text, shorten(o.value))+" ("+err.Error()+")", do)
			return
		}
		if value == "" {
			continue // as without the option
		}
		if domains[value] == nil {
			values = append(values, value)
		}
		domains[value] = append(domains[value], d)
	}
	for _, value := range values {
		m.note(o.at, m.transport.name+" "+name, fmt.Sprintf("mail of %s "+text, several(domains[value]), value), do)
	}
}

// sent is what an option about the connection gives for mail of a domain; "" for what
// Exim does without it.
func (m *eximModel) sent(o eximOption, domain string) (string, error) {
	const unset = "$primary_hostname" // the name of this system
	vars := m.vars("anyone", domain)
	if vars["primary_hostname"] == "" {
		vars["primary_hostname"] = unset
	}
	e := eximString{tree: m.conf.tree, vars: vars, touched: &eximTouched{}}
	s, err := e.expand(o.value)
	if errors.Is(err, errForced) {
		return "", nil
	}
	s = strings.TrimSpace(s)
	if s == vars["primary_hostname"] {
		s = ""
	}
	return s, err
}

// several names the first of some domains, and how many more there are.
func several(names []string) string {
	const most = 5
	if len(names) > most {
		names = append(slices.Clone(names[:most]), fmt.Sprintf("%d more", len(names)-most))
	}
	return strings.Join(names, ", ")
}
