package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailgate/internal/dnsview"
	"mailgate/internal/mail"
)

func TestWorst(t *testing.T) {
	for _, c := range []struct {
		want Status
		list []Status
	}{{Pass, nil}, {Warn, []Status{Pass, Warn}}, {Unknown, []Status{Unknown, Warn}}, {Fail, []Status{Unknown, Fail, Warn}}} {
		var results []Result
		for _, s := range c.list {
			results = append(results, Result{Status: s})
		}
		if got := Worst(results); got != c.want {
			t.Errorf("worst of %v is %s, want %s", c.list, got, c.want)
		}
	}
}

func TestEgress(t *testing.T) {
	a := netip.MustParseAddr
	for _, c := range []struct {
		name       string
		configured []netip.Addr
		routes     Routes
		codes      string
		mend       string
	}{
		{"none", nil, Routes{V4: a("203.0.113.9"), V6: a("2001:db8::9")}, "egress-not-set", `egress = ["203.0.113.9", "2001:db8::9"]`},
		{"none, behind NAT", nil, Routes{V4: a("10.0.0.2")}, "egress-not-set", "behind NAT"},
		{"right", []netip.Addr{a("203.0.113.9")}, Routes{V4: a("203.0.113.9")}, "", ""},
		{"behind NAT", []netip.Addr{a("203.0.113.9")}, Routes{V4: a("10.0.0.2")}, "", ""},
		{"another address", []netip.Addr{a("203.0.113.9")}, Routes{V4: a("203.0.113.10")}, "egress-default-route", `"203.0.113.10"`},
		{"IPv6 forgotten", []netip.Addr{a("203.0.113.9")}, Routes{V4: a("203.0.113.9"), V6: a("2001:db8::9")}, "egress-default-route", `"2001:db8::9"`},
		{"no route", []netip.Addr{a("203.0.113.9")}, Routes{}, "", ""},
		{"only IPv6 behind NAT", []netip.Addr{a("203.0.113.9")}, Routes{V6: a("fd00::2")}, "egress-nat", "public address"},
	} {
		results := Egress(c.configured, c.routes)
		code := results[0].Code
		if results[0].Status == Pass {
			code = ""
		}
		if code != c.codes || !strings.Contains(strings.Join(results[0].Mend, "\n"), c.mend) {
			t.Errorf("%s: %+v, want %q, mend with %q", c.name, results, c.codes, c.mend)
		}
	}
}

func TestClock(t *testing.T) {
	now := time.Now()
	if r := Clock(now, now.Add(time.Hour)); r.Code != "clock-behind" || r.Status != Fail {
		t.Errorf("a clock before our own files: %+v", r)
	}
	if r := Clock(now, now.Add(-time.Hour)); r.Status == Fail || r.Code == "clock-behind" {
		t.Errorf("a clock after our own files: %+v", r)
	}
}

func TestDisk(t *testing.T) {
	dir := t.TempDir()
	if r := Disk(filepath.Join(dir, "none", "m.db"), 0, 0); r.Status != Unknown || len(r.Mend) == 0 {
		t.Errorf("without the directory: %+v", r)
	}
	r := Disk(filepath.Join(dir, "m.db"), 1<<60, 0)
	if r.Code != "disk-smaller-than-store" && r.Code != "disk-low" && r.Code != "disk-full" {
		t.Errorf("a bound no disk has: %+v", r)
	}
	if r := Disk("/proc/x", 0, 0); r.Status != Fail {
		t.Errorf("a file system without room: %+v", r)
	}
}

func TestCertificate(t *testing.T) {
	now := time.Now()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		key     any
		begins  time.Duration
		ends    time.Duration
		host    string
		legacy  bool
		code    string
		foreign bool // the key file is another's
	}{
		{name: "right", key: ecKey, ends: 60 * 24 * time.Hour, code: "certificate"},
		{name: "legacy", key: rsaKey, ends: 60 * 24 * time.Hour, legacy: true, code: "certificate"},
		{name: "legacy with an EC key", key: ecKey, ends: 60 * 24 * time.Hour, legacy: true, code: "certificate-not-rsa"},
		{name: "over", key: ecKey, begins: -48 * time.Hour, ends: -time.Hour, code: "certificate-expired"},
		{name: "not begun", key: ecKey, begins: time.Hour, ends: 60 * 24 * time.Hour, code: "certificate-not-yet"},
		{name: "soon over", key: ecKey, ends: 24 * time.Hour, code: "certificate-ends-soon"},
		{name: "another name", key: ecKey, ends: 60 * 24 * time.Hour, host: "mx2.example.com", code: "certificate-name"},
		{name: "another's key", key: ecKey, ends: 60 * 24 * time.Hour, foreign: true, code: "certificate-unusable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
			template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mx1.example.com"},
				NotBefore: now.Add(c.begins - time.Minute), NotAfter: now.Add(c.ends)}
			writeCertificate(t, certFile, template, c.key)
			key := c.key
			if c.foreign {
				key = rsaKey
			}
			writeKey(t, keyFile, key)
			host := c.host
			if host == "" {
				host = "mx1.example.com"
			}
			r := Certificate("[relay]", certFile, keyFile, host, c.legacy, -1, now)
			if r.Code != c.code || (r.Status == Pass) != (c.code == "certificate") || r.Status != Pass && len(r.Mend) == 0 {
				t.Errorf("%+v, want %s", r, c.code)
			}
		})
	}
}

func writeCertificate(t *testing.T, path string, template *x509.Certificate, key any) {
	t.Helper()
	var public any
	switch key := key.(type) {
	case *rsa.PrivateKey:
		public = &key.PublicKey
	case *ecdsa.PrivateKey:
		public = &key.PublicKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, path, "CERTIFICATE", der)
}

func writeKey(t *testing.T, path string, key any) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, path, "PRIVATE KEY", der)
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReachable(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	door := Door{"unix", path}
	if r := Reachable(ctx, "milter", door, ""); r.Status != Pass {
		t.Errorf("open: %+v", r)
	}
	// The test's directory is for its user alone.
	if r := Reachable(ctx, "milter", door, "nobody"); os.Geteuid() == 0 && (r.Code != "socket-not-permitted" || len(r.Mend) == 0) {
		t.Errorf("nobody: %+v", r)
	}
	if r := Reachable(ctx, "milter", door, "root"); r.Status != Pass {
		t.Errorf("root: %+v", r)
	}
	l.Close()
	if r := Reachable(ctx, "milter", door, ""); r.Code != "door-closed" || r.Status != Fail {
		t.Errorf("closed: %+v", r)
	}
}

// A socket's mend touches nothing but its own directory.
func TestLet(t *testing.T) {
	who := identity{name: "postfix", group: "postfix"}
	for _, c := range []struct{ at, socket, want, never string }{
		{"/tmp", "/tmp/m.sock", "install -d -o root -g postfix -m 2750 /run/mailgate-milter", "/tmp"},
		{"/srv/deep", "/srv/deep/mailgate/m.sock", "Move the socket", "chgrp"},
		{"/run/mailgate", "/run/mailgate/m.sock", "chgrp postfix /run/mailgate && chmod g+sx /run/mailgate", "install"},
		{"/run/mailgate/m.sock", "/run/mailgate/m.sock", `socket_mode = "0660"`, "install"},
	} {
		got := strings.Join(who.let(c.at, c.socket), "\n")
		if !strings.Contains(got, c.want) || strings.Contains(got, c.never) {
			t.Errorf("kept out at %s of %s: %q", c.at, c.socket, got)
		}
	}
}

// What keeps the gateway from its certificate, or lets everybody have the key.
func TestCertificateFiles(t *testing.T) {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	now := time.Now()
	writeCertificate(t, certFile, &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mx1.example.com"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(60 * 24 * time.Hour)}, key)
	writeKey(t, keyFile, key)
	look := func(uid int) string {
		return Certificate("[relay]", certFile, keyFile, "mx1.example.com", false, uid, now).Code
	}
	if got := look(os.Geteuid()); got != "certificate" {
		t.Errorf("of our own: %s", got)
	}
	if got := look(65534); got != "certificate-not-permitted" {
		t.Errorf("of a gateway that runs as nobody: %s", got)
	}
	if err := os.Chmod(keyFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := look(os.Geteuid()); got != "certificate-key-open" {
		t.Errorf("key with mode 0644: %s", got)
	}
}

// said is a view that gives the same answer to everything.
type said struct{ published, recursive dnsview.Answer }

func (s said) Published(_ context.Context, name, qtype string) dnsview.Answer {
	return about(s.published, name, qtype)
}
func (s said) Recursive(_ context.Context, name, qtype string) dnsview.Answer {
	return about(s.recursive, name, qtype)
}

func about(a dnsview.Answer, name, qtype string) dnsview.Answer {
	a.Name, a.Type = name, qtype
	a.Observations = append([]dnsview.Observation(nil), a.Observations...)
	for i := range a.Observations {
		a.Observations[i].Name, a.Observations[i].Type = name, qtype
	}
	return a
}

func TestDNS(t *testing.T) {
	seen := func(status dnsview.Status, words ...string) dnsview.Answer {
		a := dnsview.Answer{Status: status}
		for i, w := range words {
			o := dnsview.Observation{Server: fmt.Sprintf("ns%d", i+1), Rcode: w}
			if w == "timeout" {
				o.Rcode, o.Error = "", w
			}
			a.Observations = append(a.Observations, o)
		}
		return a
	}
	well, silent := seen(dnsview.Found, "NOERROR"), seen(dnsview.Unknown, "timeout")
	stoodIn := well
	stoodIn.Fallback = "timeout"
	for _, c := range []struct {
		name string
		view said
		want string
	}{
		{"well", said{well, well}, "dns-resolvers:pass dns-authoritative:pass"},
		{"no resolver", said{well, silent}, "dns-resolvers-silent:fail dns-authoritative:pass"},
		{"resolver refuses", said{well, seen(dnsview.Unknown, "REFUSED")}, "dns-resolvers-silent:fail dns-authoritative:pass"},
		{"no such domain by the resolver", said{well, seen(dnsview.NXDomain, "NXDOMAIN")}, "dns-resolvers:pass dns-authoritative:pass"},
		{"one server silent", said{seen(dnsview.Found, "NOERROR", "timeout"), well}, "dns-resolvers:pass dns-authoritative-partly:warn"},
		{"all servers silent", said{silent, well}, "dns-resolvers:pass dns-authoritative-silent:fail"},
		{"resolvers stood in", said{stoodIn, well}, "dns-resolvers:pass dns-authoritative-silent:fail"},
	} {
		var got []string
		for _, r := range DNS(t.Context(), c.view, []mail.Domain{"example.com"}, true) {
			got = append(got, r.Code+":"+string(r.Status))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if results := DNS(t.Context(), said{silent, well}, []mail.Domain{"example.com"}, false); len(results) != 1 {
		t.Errorf("name servers asked although authoritative = false: %+v", results)
	}
}
