//go:build integration

package integration

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// finger is what two programs say about a server's TLS.
type finger struct {
	starttls        bool
	version, cipher string // of the best handshake; empty: none comes about
	trusted, named  bool   // the second is told only of what is trusted
}

// TestProbe: `tls probe` and Postfix's posttls-finger see the same.
func TestProbe(t *testing.T) {
	w := newTLSWorld(t)
	old := []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
	day := 24 * time.Hour
	w.destination(t, "fine", shows(w.ca.sign(t, "mx.fine.test", day)))
	for name, change := range map[string]func(*tls.Config){
		"tls10": func(c *tls.Config) {
			c.MinVersion, c.MaxVersion, c.CipherSuites = tls.VersionTLS10, tls.VersionTLS10, old
		},
		"tls13": func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 },
		"tls12": func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 },
		"noshared": func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA}
		},
	} {
		config := shows(w.ca.sign(t, "mx."+name+".test", day))
		change(config)
		w.destination(t, name, config)
	}
	w.destination(t, "selfsigned", shows(selfSigned(t, "mx.selfsigned.test")))
	w.destination(t, "expired", shows(w.ca.sign(t, "mx.expired.test", -time.Minute)))
	w.destination(t, "wrongname", shows(w.ca.sign(t, "mx.elsewhere.test", day)))
	w.destination(t, "stripped", nil)
	w.destination(t, "choking", shows(w.ca.sign(t, "mx.choking.test", day))).choking.Store(true)
	w.start(t)

	const best, best12 = "AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"
	for name, want := range map[string]finger{
		"fine":       {true, "1.3", best, true, true},
		"tls10":      {true, "1.0", "RSA-AES128-CBC-SHA", true, true},
		"tls13":      {true, "1.3", best, true, true},
		"tls12":      {true, "1.2", best12, true, true},
		"noshared":   {starttls: true},
		"selfsigned": {true, "1.3", best, false, false},
		"expired":    {true, "1.3", best, false, false},
		"wrongname":  {true, "1.3", best, true, false},
		"stripped":   {},
		"choking":    {true, "1.3", best, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			ours, words := w.probed(t, name)
			theirs, said := w.fingered(t, name)
			if ours != want {
				t.Errorf("tls probe sees %+v, want %+v\n%s", ours, want, words)
			}
			if theirs != want {
				t.Errorf("posttls-finger sees %+v, want %+v\n%s", theirs, want, said)
			}
		})
	}

	with, _ := w.probed(t, "fine")
	w.gate.stop()
	if without, words := w.probed(t, "fine"); without != with {
		t.Errorf("without the gateway tls probe sees %+v, with it %+v\n%s", without, with, words)
	}
}

// probed is what `tls probe` says of the host of NAME.test: of the handshake with
// everything, or the last that works with less, if OpenSSL still has its cipher.
func (w *tlsWorld) probed(t *testing.T, name string) (finger, string) {
	t.Helper()
	type handshake struct{ Version, Cipher, Error string }
	type probe struct {
		Hosts []struct {
			StartTLS       bool
			Plain          handshake
			Versions       []handshake
			Lesser         []handshake
			Trusted, Named string
		}
	}
	var p probe
	text := ""
	eventually(t, "the host of "+name+" to be found", func() bool {
		text, _ = w.gate.run(t, "tls", "probe", name+".test", "--format", "json")
		p = probe{}
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatalf("tls probe: %v\n%s", err, text)
		}
		return len(p.Hosts) == 1
	})
	h := p.Hosts[0]
	f := finger{starttls: h.StartTLS}
	for _, made := range append(append(h.Versions, h.Lesser...), h.Plain) {
		if made.Error == "" && !strings.Contains(made.Cipher, "RC4") {
			f.version, f.cipher = made.Version, made.Cipher
		}
	}
	f.cipher = plainCipher(f.cipher)
	f.trusted = f.version != "" && h.Trusted == "yes"
	f.named = f.trusted && h.Named == "yes"
	return f, text
}

var fingered = regexp.MustCompile(`(\w+) TLS connection established to \S+ TLSv([0-9.]+) with cipher (\S+)`)

// fingered is what posttls-finger says.
func (w *tlsWorld) fingered(t *testing.T, name string) (finger, string) {
	t.Helper()
	at := strings.TrimSuffix(w.peers[name].address, ":25")
	said := ""
	ask := func(args ...string) string {
		// Newer OpenSSL has post-quantum key shares, too: then it chokes as we do.
		options := []string{"-F", w.ca.file, "-t", "60", "-T", "60", "-o", "tls_eecdh_auto_curves=X25519 prime256v1"}
		out, _ := exec.Command("posttls-finger", append(options, args...)...).CombinedOutput()
		said += fmt.Sprintf("%s\n", out)
		return string(out)
	}
	any := ask("-l", "encrypt", "-L", "summary", "["+at+"]")
	f := finger{starttls: strings.Contains(any, "STARTTLS\n")}
	if m := fingered.FindStringSubmatch(any); m != nil {
		f.trusted, f.version, f.cipher = m[1] == "Trusted", m[2], plainCipher(m[3])
		if f.version == "1" {
			f.version = "1.0"
		}
	}
	// The name is looked at only where the level asks for it.
	m := fingered.FindStringSubmatch(ask("-l", "secure", "-L", "summary", "["+at+"]", "mx."+name+".test"))
	f.named = m != nil && m[1] == "Verified"
	return f, said
}

// plainCipher is a suite's name as OpenSSL has it, but for the TLS_ of TLS 1.3's.
func plainCipher(name string) string {
	if name == "AES128-SHA" {
		return "RSA-AES128-CBC-SHA"
	}
	return strings.NewReplacer("TLS_", "", "_WITH", "", "_", "-", "AES_128", "AES128").Replace(name)
}
