package main

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"path/filepath"

	"mailgate/internal/dnstest"
)

// startDNS serves a small Internet: a sender who publishes neither key nor SPF, a
// receiver, and the gateway's address.
func startDNS() (*dnstest.Server, error) {
	dns, err := dnstest.Start("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	zones := map[string]string{
		domain:                   "@ MX 10 mx1\nmx1 A 203.0.113.9\n_dmarc TXT \"v=DMARC1; p=none\"\n",
		receiver:                 "@ MX 5 gmail-smtp-in.l.google.com.\n",
		"google.com":             "gmail-smtp-in.l A 192.0.2.1\n",
		"113.0.203.in-addr.arpa": "9 PTR mx1." + domain + ".\n",
	}
	for origin, text := range zones {
		if err := dns.SetZone(origin, text); err != nil {
			return dns, err
		}
	}
	return dns, dns.Recursive()
}

// publishAll adds what a good sender publishes: the key and SPF.
func publishAll(dns *dnstest.Server, key *rsa.PrivateKey) error {
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := dns.AddTXT(domain, "v=spf1 ip4:203.0.113.9 -all"); err != nil {
		return err
	}
	record := "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public)
	return dns.AddTXT(selector+"._domainkey."+domain, record)
}

// mailgateConfig is for a gateway of that name, with that engine; more is appended.
func mailgateConfig(dir, dns, name, engine, more string) string {
	return fmt.Sprintf(`hostname = "mx1.%[2]s"
engine = %[6]q
egress = ["203.0.113.9"]
[milter]
listen = "unix:%[1]s/%[5]s.sock"
socket_mode = "666"
trusted = ["127.0.0.0/8"]
[control]
socket = "%[1]s/%[5]s-control.sock"
[store]
url = "sqlite:%[1]s/%[5]s.db"
[dns]
resolvers = [%[3]q]
authoritative = false
[[domain]]
name = %[2]q
keys = [{ selector = %[4]q, file = %[7]q }]
`, dir, domain, dns, selector, name, engine, keyFile(dir)) + more
}

func opendkimConfig(dir string) string {
	return fmt.Sprintf(`Mode s
Domain %s
Selector %s
KeyFile %s
Socket local:%s
Canonicalization relaxed/relaxed
OversignHeaders From
InternalHosts 127.0.0.1
RequireSafeKeys no
UMask 000
Syslog no
`, domain, selector, keyFile(dir), filepath.Join(dir, "OpenDKIM.sock"))
}

// rspamdConfig is a proxy worker that scans by itself and does nothing but sign.
func rspamdConfig(dir string) string {
	return fmt.Sprintf(`options {
  url_tld = "/dev/null";
  disable_hyperscan = true;
  filters = "dkim";
  control_socket = "%[1]s/rspamd-control.sock mode=0600";
  tempdir = "%[1]s";
  pidfile = "%[1]s/rspamd.pid";
  local_addrs = ["127.0.0.0/8"];
  dns { nameserver = ["127.0.0.1:53:1"]; }
}
logging { type = "console"; level = "error"; }
worker "rspamd_proxy" {
  bind_socket = "%[1]s/rspamd.sock mode=0666";
  count = 2;
  milter = yes;
  timeout = 60s;
  max_size = 100mb;
  upstream "local" { default = yes; self_scan = yes; }
}
modules { path = "/usr/share/rspamd/plugins/dkim_signing.lua"; }
dkim_signing {
  enabled = true;
  sign_local = true;
  use_domain = "header";
  use_esld = false;
  check_pubkey = false;
  domain { %[2]q { path = %[4]q; selector = %[3]q; } }
}
actions { reject = 1000; }
`, dir, domain, selector, keyFile(dir))
}
