package main

import (
	"reflect"
	"testing"
	"time"

	"mailgate/internal/config"
	"mailgate/internal/tlspolicy"
)

// Every setting of [[tls]] comes as far as the policy.
func TestOverridesOfConfiguration(t *testing.T) {
	cfg, err := config.Parse([]byte(`hostname = "mx1.example.com"
[[tls]]
destination = "example.net"
level = "secure"
min_version = "1.1"
max_version = "1.2"
ciphers = ["TLS_RSA_WITH_AES_128_CBC_SHA"]
curves = "classic"
server_name = "mx.example.net"
match = [".example.net"]
reason = "old gateway"
expires = 2027-03-31
[[tls]]
destination = "[smtp.example.org]:587"
max_version = "1.2"
`), "m.toml")
	if err != nil {
		t.Fatal(err)
	}
	table, err := tlsTable(cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := []tlspolicy.Override{{
		Destination: "example.net", Level: tlspolicy.Secure, MinVersion: tlspolicy.TLS11, MaxVersion: tlspolicy.TLS12,
		Ciphers: []string{"TLS_RSA_WITH_AES_128_CBC_SHA"}, Curves: tlspolicy.Classic, ServerName: "mx.example.net",
		MatchNames: []string{".example.net"}, Reason: "old gateway", Expires: time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC),
	}, {Destination: "[smtp.example.org]:587", MaxVersion: tlspolicy.TLS12}}
	if got := table.Overrides(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
