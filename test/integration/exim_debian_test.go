//go:build integration

package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Where docs/exim.md has things put, below /etc/exim4 with a split configuration.
const (
	routerFile    = "conf.d/router/175_local_mailgate"
	transportFile = "conf.d/transport/30_local_mailgate"
)

// routerMark is before what docs/exim.md has the router put, in the template.
const routerMark = "### router/200_exim4-config_primary"

// debianExim is a configuration as Debian has it, made by Debian's own script from
// the files of its package.
type debianExim struct {
	*exim
	etc   string // for /etc/exim4
	split bool
}

// unpackDebian makes a copy of the files for this Exim, as dpkg and debconf leave them
// on an Internet site.
func unpackDebian(t *testing.T, x *exim, split bool) *debianExim {
	t.Helper()
	d := &debianExim{exim: x, etc: filepath.Join(x.dir, "etc"), split: split}
	if err := os.CopyFS(d.etc, os.DirFS(eximRoot+"/etc/exim4")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(d.etc, "update-exim4.conf.conf"), fmt.Sprintf(`dc_eximconfig_configtype='internet'
dc_other_hostnames='local.test'
dc_local_interfaces='127.0.0.1'
dc_readhost=''
dc_relay_domains=''
dc_minimaldns='false'
dc_relay_nets=''
dc_smarthost=''
CFILEMODE='644'
dc_use_split_config='%t'
dc_hide_mailname=''
dc_mailname_in_oh='true'
dc_localdelivery='mail_spool'
`, split), 0o644)
	d.keepOut(t)
	return d
}

// keepOut makes the configuration one of a machine on which Exim is in directories of
// its own, by Debian's macros where there are some.
func (d *debianExim) keepOut(t *testing.T) {
	t.Helper()
	macros := fmt.Sprintf("CONFDIR = %s\nSPOOLDIR = %s\nMAIN_QUALIFY_DOMAIN = mx1.gate.test\n%s", d.etc, d.spool(), d.ownPlaces())
	main := filepath.Join(d.etc, "exim4.conf.template")
	if d.split {
		writeFile(t, filepath.Join(d.etc, "conf.d/main/000_localmacros"), macros, 0o644)
		main = filepath.Join(d.etc, "conf.d/main/01_exim4-config_listmacrosdefs")
	}
	d.edit(t, main, func(text string) string {
		text = replaced(t, text, "exim_path = /usr/sbin/exim4", "exim_path = "+eximBinary)
		if !d.split {
			return macros + text
		}
		return text
	})
}

func (d *debianExim) edit(t *testing.T, file string, change func(text string) string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, change(string(text)), 0o644)
}

// add does what docs/exim.md says with a router and a transport.
func (d *debianExim) add(t *testing.T, m manual, router, transport string) {
	t.Helper()
	if d.split {
		m.mentions(t, "dc_use_split_config='true'", "/etc/exim4/"+routerFile, "/etc/exim4/"+transportFile)
		writeFile(t, filepath.Join(d.etc, routerFile), router, 0o644)
		writeFile(t, filepath.Join(d.etc, transportFile), transport, 0o644)
		return
	}
	m.mentions(t, "/etc/exim4/exim4.conf.template", routerMark, "begin transports")
	d.edit(t, filepath.Join(d.etc, "exim4.conf.template"), func(text string) string {
		before, after, found := strings.Cut(text, "\n"+routerMark+"\n")
		if !found {
			t.Fatalf("no line %q in Debian's template", routerMark)
		}
		text = before + "\n" + router + "\n" + routerMark + "\n" + after
		return replaced(t, text, "\nbegin transports\n", "\nbegin transports\n\n"+transport)
	})
}

// generate has Debian's script make the configuration, and Exim read it.
func (d *debianExim) generate(t *testing.T) {
	t.Helper()
	script := exec.Command(eximRoot+"/usr/sbin/update-exim4.conf", "--confdir", d.etc, "--output", d.config)
	if out, err := script.CombinedOutput(); err != nil {
		t.Fatalf("update-exim4.conf: %v\n%s", err, out)
	}
	wantMentioned(t, d.run(t, nil, "-bV"), "Configuration file is "+d.config)
}

// routed returns what exim -bt says of an address.
func (d *debianExim) routed(t *testing.T, to string) string {
	t.Helper()
	return d.run(t, nil, "-bt", to)
}

// TestEximDebian runs what docs/exim.md says for both of Debian's configurations.
func TestEximDebian(t *testing.T) {
	for _, split := range []bool{true, false} {
		t.Run(fmt.Sprintf("split=%t", split), func(t *testing.T) {
			w := newEximWorld(t, plan{ours: []string{"good.test"}}, "")
			host, port, err := net.SplitHostPort(w.relay)
			if err != nil {
				t.Fatal(err)
			}
			m := readManual(t)
			d := unpackDebian(t, w.exim, split)
			d.add(t, m, m.router(t, host), m.transport(t, host, port))
			d.generate(t)
			m.block(t, "exim4 -bt someone@example.net       # must say: router = mailgate, transport = mailgate_smtp")
			wantMentioned(t, d.routed(t, "someone@gmail.com"), "router = mailgate, transport = mailgate_smtp", "host "+host)
			if out := d.routed(t, "root@local.test"); strings.Contains(out, "mailgate,") || !strings.Contains(out, "root") {
				t.Errorf("a local address is routed so:\n%s", out)
			}
			const from, to = "ann@good.test", "bob@gmail.com"
			message := compose(from, to, "from Debian", "Hello.\r\n")
			w.exim.submit(t, from, message)
			w.wantSigned(t, "good.test", w.receiver.only(t, to), message)
			w.taken(t, to)
		})
	}
}
