package advise

import (
	"strings"
	"testing"
)

func TestForm(t *testing.T) {
	long := rsaRecord(2048)
	key := Record{Type: "TXT", Name: "mail._domainkey.example.com", Zone: "example.com", Value: long}
	apex := Record{Type: "TXT", Name: "example.com", Zone: "example.com", Value: "v=spf1 -all"}
	quoted := `"` + long[:255] + `" "` + long[255:] + `"`
	for _, c := range []struct {
		host                        Host
		keyName, keyValue, apexName string
		apexValue                   string
		notes                       int
	}{
		{BIND, "mail._domainkey.example.com.", quoted, "example.com.", `"v=spf1 -all"`, 0},
		{"", "mail._domainkey.example.com.", quoted, "example.com.", `"v=spf1 -all"`, 0},
		{Cloudflare, "mail._domainkey", long, "@", "v=spf1 -all", 0},
		{CPanel, "mail._domainkey.example.com.", long, "example.com.", "v=spf1 -all", 0},
		{Hestia, "mail._domainkey", long, "@", "v=spf1 -all", 1},
		{Aliyun, "mail._domainkey", long, "@", "v=spf1 -all", 0},
		{Route53, "mail._domainkey.example.com", quoted, "example.com", `"v=spf1 -all"`, 1},
		{Web, "mail._domainkey", long, "@", "v=spf1 -all", 0},
	} {
		k, a := Form(key, c.host), Form(apex, c.host)
		if k.Name != c.keyName || k.Value != c.keyValue || k.Type != "TXT" || len(k.Notes) != c.notes {
			t.Errorf("%s: %+v", c.host, k)
		}
		if a.Name != c.apexName || a.Value != c.apexValue {
			t.Errorf("%s: %+v", c.host, a)
		}
	}
}

func TestAliyunLimit(t *testing.T) {
	r := Record{Type: "TXT", Name: "example.com", Zone: "example.com"}
	for value, want := range map[string]string{
		strings.Repeat("x", 512): "",
		strings.Repeat("x", 513): "513 characters",
		rsaRecord(2048):          "",
		rsaRecord(3072):          "2048 bits",
	} {
		r.Value = value
		notes := Form(r, Aliyun).Problem
		if !strings.Contains(notes, want) || want == "" && notes != "" {
			t.Errorf("%d characters: notes %q, want %q", len(value), notes, want)
		}
	}
}

func TestRelativeName(t *testing.T) {
	for _, c := range []struct{ name, zone, want string }{
		{"example.com", "example.com", "@"},
		{"mail._domainkey.example.com", "example.com", "mail._domainkey"},
		{"mail._domainkey.news.example.com", "example.com", "mail._domainkey.news"},
		{"notexample.com", "example.com", "notexample.com"},
		{"mail._domainkey.example.com", "", "mail._domainkey.example.com"},
	} {
		if got := relativeName(Record{Name: c.name, Zone: c.zone}); got != c.want {
			t.Errorf("%s in %s: %q, want %q", c.name, c.zone, got, c.want)
		}
	}
}

func TestZone(t *testing.T) {
	w := Want{Zones: []string{"example.com", "_domainkey.example.com"}}
	for _, c := range []struct{ name, fallback, want string }{
		{"mail._domainkey.example.com", "example.com", "_domainkey.example.com"},
		{"_dmarc.example.com", "", "example.com"},
		{"x.example.net", "example.net", "example.net"},
		{"x.example.net", "example.org", ""},
		{"notexample.com", "", ""},
	} {
		if got := w.zone(c.name, c.fallback); got != c.want {
			t.Errorf("zone of %s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDetectHost(t *testing.T) {
	for _, c := range []struct {
		servers string
		host    Host
		title   string
	}{
		{"ada.ns.cloudflare.com bob.ns.cloudflare.com", Cloudflare, "Cloudflare"},
		{"DNS1.HiChina.com. dns2.hichina.com", Aliyun, "Aliyun"},
		{"vip1.alidns.com", Aliyun, "Aliyun"},
		{"ns-1.awsdns-12.co.uk ns-2.awsdns-34.net", Route53, "Route 53"},
		{"ns01.domaincontrol.com", Web, "GoDaddy"},
		{"ns1-01.azure-dns.com", Web, "Azure DNS"},
		{"ns1.example.com ns2.example.com", BIND, ""},
		{"evilcloudflare.com", BIND, ""},
		{"ns1.example.com ada.ns.cloudflare.com", Cloudflare, "Cloudflare"},
		{"ns1.alidns.com ada.ns.cloudflare.com bob.ns.cloudflare.com", Cloudflare, "Cloudflare"},
		{"ns1.alidns.com ada.ns.cloudflare.com", Aliyun, "Aliyun"},
		{"", BIND, ""},
	} {
		host, title := DetectHost(strings.Fields(c.servers))
		if host != c.host || title != c.title {
			t.Errorf("%s: %s %q, want %s %q", c.servers, host, title, c.host, c.title)
		}
	}
	for _, h := range Hosts() {
		if got, err := ParseHost(string(h)); err != nil || got != h {
			t.Errorf("ParseHost(%s) = %s, %v", h, got, err)
		}
	}
	if _, err := ParseHost("Cloudflair"); err == nil {
		t.Error("ParseHost takes anything")
	}
}
