package sign

import (
	"slices"
	"strings"
	"testing"

	"mailgate/internal/mail"
)

// keysAt makes one key with a selector, still without a domain.
func keysAt(selector string) []Key {
	return []Key{{Selector: selector, Signer: testKeys()[1].Signer}}
}

// What the host itself writes is signed by the nearest domain above it.
func TestKeyringForHost(t *testing.T) {
	ring, err := NewKeyring([]DomainKeys{
		{Pattern: "example.com", Keys: keysAt("apex")},
		{Pattern: "*.example.net", Keys: keysAt("wild")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[mail.Domain]string{
		"example.com": "apex", "mx1.example.com": "apex", "a.mx1.example.com": "apex",
		"mx1.example.net": "wild", "example.net": "", "mx1.example.org": "", "badexample.com": "", "com": "", "": "",
	} {
		got := ""
		for _, k := range ring.ForHost(host) {
			got += k.Selector
		}
		if got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
	if len(ring.For("mx1.example.com")) != 0 {
		t.Error("others may write as the host")
	}
}

func TestKeyringFor(t *testing.T) {
	ring, err := NewKeyring([]DomainKeys{
		{Pattern: "Example.com", Keys: keysAt("apex")},
		{Pattern: "*.example.com", Keys: keysAt("wild")},
		{Pattern: "*.deep.example.com", SignAs: "example.com", Keys: keysAt("deepwild")},
		{Pattern: "shop.example.com", SubDomains: true, Keys: append(keysAt("shop"), keysAt("shop2")...)},
		{Pattern: "eu.shop.example.com", SubDomains: true, Keys: keysAt("eu")},
		{Pattern: "own.shop.example.com", Keys: keysAt("own")},
		{Pattern: "example.net", SignAs: "esp.example.org", SubDomains: true, Keys: keysAt("esp")},
		{Pattern: "bücher.example", Keys: keysAt("idn")},
		{Pattern: "x.sub.example.org", SubDomains: true, Keys: keysAt("parent")},
		{Pattern: "*.y.x.sub.example.org", Keys: keysAt("wildbelow")},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[mail.Domain]string{
		"example.com":             "apex._domainkey.example.com",
		"a.example.com":           "wild._domainkey.example.com",
		"a.b.example.com":         "wild._domainkey.example.com",
		"deep.example.com":        "wild._domainkey.example.com",
		"a.deep.example.com":      "deepwild._domainkey.example.com",
		"shop.example.com":        "shop._domainkey.shop.example.com shop2._domainkey.shop.example.com",
		"a.shop.example.com":      "shop._domainkey.shop.example.com shop2._domainkey.shop.example.com",
		"eu.shop.example.com":     "eu._domainkey.eu.shop.example.com",
		"a.b.eu.shop.example.com": "eu._domainkey.eu.shop.example.com",
		"own.shop.example.com":    "own._domainkey.own.shop.example.com",
		"a.own.shop.example.com":  "shop._domainkey.shop.example.com shop2._domainkey.shop.example.com",
		"example.net":             "esp._domainkey.esp.example.org",
		"a.example.net":           "esp._domainkey.esp.example.org",
		"xn--bcher-kva.example":   "idn._domainkey.xn--bcher-kva.example",
		"a.xn--bcher-kva.example": "",
		// A parent goes before any wildcard.
		"z.y.x.sub.example.org": "parent._domainkey.x.sub.example.org",
		"notexample.com":        "",
		"badexample.net":        "",
		"example.org":           "",
		"com":                   "",
		"":                      "",
	}
	for from, want := range tests {
		var names []string
		for _, k := range ring.For(from) {
			names = append(names, k.Name())
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("For(%q) = %q, want %q", from, got, want)
		}
	}
	domains := ring.Domains()
	if !slices.IsSorted(domains) || len(domains) != 9 {
		t.Errorf("Domains() = %v", domains)
	}
	if keys := ring.Keys(); len(keys) != 11 {
		t.Errorf("Keys() gives %d", len(keys))
	}
	sets := map[int]int{} // by size
	for keys := range ring.Sets() {
		sets[len(keys)]++
	}
	if sets[1] != 9 || sets[2] != 1 || len(sets) != 2 {
		t.Errorf("Sets() by size: %v", sets)
	}
	if n := testing.AllocsPerRun(100, func() { ring.For("a.b.eu.shop.example.com") }); n != 0 {
		t.Errorf("For allocates %v times", n)
	}
}

func TestKeyringRefuses(t *testing.T) {
	other := Key{Selector: "s", Domain: "example.com", Signer: testKeys()[0].Signer}
	identity := keysAt("s")
	identity[0].Identity = "@example.net"
	stranger := keysAt("s")
	stranger[0].Domain = "example.net"
	tests := map[string][]DomainKeys{
		"no keys":             {{Pattern: "example.com"}},
		"no private key":      {{Pattern: "example.com", Keys: []Key{{Selector: "s"}}}},
		"not a domain":        {{Pattern: "exa mple.com", Keys: keysAt("s")}},
		"inner wildcard":      {{Pattern: "a.*.example.com", Keys: keysAt("s")}},
		"only a star":         {{Pattern: "*", Keys: keysAt("s")}},
		"empty":               {{Pattern: "", Keys: keysAt("s")}},
		"twice":               {{Pattern: "example.com", Keys: keysAt("a")}, {Pattern: "EXAMPLE.com.", Keys: keysAt("b")}},
		"wildcard twice":      {{Pattern: "*.example.com", Keys: keysAt("a")}, {Pattern: "*.example.com", Keys: keysAt("b")}},
		"wildcard and subs":   {{Pattern: "*.example.com", SubDomains: true, Keys: keysAt("a")}},
		"selector twice":      {{Pattern: "example.com", Keys: append(keysAt("s"), keysAt("S")...)}},
		"two keys, one name":  {{Pattern: "example.com", Keys: keysAt("s")}, {Pattern: "*.example.com", Keys: []Key{other}}},
		"bad selector":        {{Pattern: "example.com", Keys: keysAt("a_b")}},
		"identity elsewhere":  {{Pattern: "example.com", Keys: identity}},
		"key of another name": {{Pattern: "example.com", Keys: stranger}},
	}
	for name, domains := range tests {
		t.Run(name, func(t *testing.T) {
			if ring, err := NewKeyring(domains); err == nil || ring != nil {
				t.Errorf("NewKeyring: %v, %v", ring, err)
			}
		})
	}
}

// TestKeyringShares says that one key may serve a domain and its wildcard.
func TestKeyringShares(t *testing.T) {
	ring, err := NewKeyring([]DomainKeys{
		{Pattern: "example.com", Keys: keysAt("s")},
		{Pattern: "*.example.com", Keys: keysAt("s")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if keys := ring.Keys(); len(keys) != 1 || keys[0].Name() != "s._domainkey.example.com" {
		t.Errorf("Keys() = %v", keys)
	}
}

// TestKeyringCopies says that a keyring doesn't change with what it was made of.
func TestKeyringCopies(t *testing.T) {
	keys := keysAt("s")
	ring, err := NewKeyring([]DomainKeys{{Pattern: "example.com", Keys: keys}})
	if err != nil {
		t.Fatal(err)
	}
	keys[0].Selector = "changed"
	if got := ring.For("example.com")[0].Selector; got != "s" {
		t.Errorf("selector %q", got)
	}
}
