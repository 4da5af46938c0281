package config

import (
	"crypto/tls"
	"testing"
	"time"
)

func TestParseListen(t *testing.T) {
	for in, want := range map[string]Listen{
		"inet:127.0.0.1:8891":    {"tcp", "127.0.0.1:8891"},
		"inet:8891@127.0.0.1":    {"tcp", "127.0.0.1:8891"},
		"inet:8891@localhost":    {"tcp", "localhost:8891"},
		"inet:[::1]:8891":        {"tcp", "[::1]:8891"},
		"inet6:[::1]:8891":       {"tcp6", "[::1]:8891"},
		"inet6:8891@::1":         {"tcp6", "[::1]:8891"},
		"inet6:8891@[::1]":       {"tcp6", "[::1]:8891"},
		"inet6:8891@LOCALHOST":   {"tcp6", "localhost:8891"},
		"127.0.0.1:8891":         {"tcp", "127.0.0.1:8891"},
		"[::1]:8891":             {"tcp", "[::1]:8891"},
		"[::]:0":                 {"tcp", "[::]:0"},
		"0.0.0.0:25":             {"tcp", "0.0.0.0:25"},
		"localhost:25":           {"tcp", "localhost:25"},
		"unix:/run/a.sock":       {"unix", "/run/a.sock"},
		"local:/run/../a.sock":   {"unix", "/a.sock"},
		"unix:run/a.sock":        {"unix", "run/a.sock"},
		"inet:[2001:DB8::0:1]:1": {"tcp", "[2001:db8::1]:1"},
	} {
		got, err := ParseListen(in)
		if err != nil || got != want {
			t.Errorf("ParseListen(%q) = %+v, %v; want %+v", in, got, err, want)
		}
		if again, err := ParseListen(got.String()); err != nil || again != got {
			t.Errorf("ParseListen(%q) = %+v, %v; want %+v", got.String(), again, err, got)
		}
	}
	for _, in := range []string{
		"", "inet:", "inet:8891", "8891", ":8891", "inet::8891", "inet:8891@", "inet:127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
		"127.0.0.1:+1", "127.0.0.1:01", "127.0.0.1:smtp", "unix:", "unix:/run/", "unix:a\x00b", "/run/a.sock", "inet6:127.0.0.1:1",
		"::1:8891", "256.0.0.1:1", "a b:1", "inet:1@2@3", "tcp:127.0.0.1:1", "inet:unix:/a",
	} {
		if got, err := ParseListen(in); err == nil {
			t.Errorf("ParseListen(%q) = %+v, want an error", in, got)
		}
	}
	if !(Listen{}).IsZero() || (Listen{}).String() != "" {
		t.Error("the zero Listen is not a closed door")
	}
}

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for in, want := range map[string]time.Duration{
		"5d": 5 * day, "1d12h": 36 * time.Hour, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "365d": 365 * day,
		"250ms": 250 * time.Millisecond, "0d1s": time.Second,
	} {
		if got, err := ParseDuration(in); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "0", "0s", "0d", "5", "-1s", "-5d", "d", "5 d", "5d-1h", "5dx", "1.5d", "366d", "365d1ns", "99999999999d", "9999999h", "5D", "1h5d",
	} {
		if got, err := ParseDuration(in); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", in, got)
		}
	}
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "1": 1, "12b": 12, "1kB": 1000, "1KB": 1000, "1KiB": 1024, "500MB": 500_000_000, "2MiB": 2 << 20, "3GB": 3_000_000_000,
		"10GiB": 10 << 30, "10 GiB": 10 << 30, "1TB": 1_000_000_000_000, "2tib": 2 << 40,
	} {
		if got, err := ParseSize(in); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "GB", "-1", "+1", "1.5GB", "1 k", "1k", "1PB", "1bk", "1kk", "1ib", "9223372036854775808", "8388608TiB", "1e3", "1 0"} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", in, got)
		}
	}
}

func TestParseTLSVersion(t *testing.T) {
	for in, want := range map[string]uint16{
		"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13,
	} {
		if got, err := parseTLSVersion(in); err != nil || got != want {
			t.Errorf("parseTLSVersion(%q) = %x, %v", in, got, err)
		}
	}
}

func TestExpired(t *testing.T) {
	o := TLSOverride{Expires: time.Date(2027, 3, 31, 0, 0, 0, 0, time.UTC)}
	if last := time.Date(2027, 3, 31, 23, 59, 59, 0, time.UTC); o.Expired(last) {
		t.Error("expired on its last day")
	}
	if over := time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC); !o.Expired(over) {
		t.Error("not expired on the day after")
	}
	if (TLSOverride{}).Expired(time.Now()) {
		t.Error("expired without an expiry")
	}
}
