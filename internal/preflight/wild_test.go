package preflight

// Records as people and panels have mangled them.

func wildDKIM() []diagnosis {
	const at = "mail._domainkey.example.com"
	txt := func(value string) string { return at + " TXT " + value }
	one := func(name, value, code, text string) diagnosis {
		return diagnosis{name: name, zone: txt(value), want: []string{code}, text: text}
	}
	return []diagnosis{
		// Cut at a semicolon.
		one("BIND without quotes, backslash before the first semicolon only", `"v=DKIM1\\"`, "dkim-truncated-at-semicolon fail", "everything after a semicolon is lost"),
		one("form that ends at the second semicolon", `"v=DKIM1; k=rsa"`, "dkim-truncated-at-semicolon fail", ""),
		one("only the version and its semicolon", `"v=DKIM1;"`, "dkim-truncated-at-semicolon fail", ""),
		one("a quotation mark, and the rest lost", `"\"v=DKIM1"`, "dkim-truncated-at-semicolon fail", ""),
		one("OpenDKIM's record, unquoted", `"v=DKIM1" "h=sha256" "k=rsa"`, "dkim-truncated-at-semicolon fail", ""),
		// Not cut: its neighbours.
		one("revoked, shortest form", `"p="`, "dkim-revoked fail", ""),
		one("revoked, with all tags", `"v=DKIM1; k=rsa; t=y; p= ;"`, "dkim-revoked fail", ""),
		one("p= forgotten", `"v=DKIM1; k=rsa; {KEY}"`, "dkim-syntax fail", "not p= before it"),
		// Cut at 255.
		one("cut at 255, an old key", `"v=DKIM1; k=rsa; p={CUTOLD}"`, "dkim-truncated-at-255 fail", "after 255 bytes"),
		one("cut at 255, in quotes that count", `"\"v=DKIM1; k=rsa; p={CUT}"`, "dkim-quotes-in-value fail", ""),
		one("cut elsewhere", `"v=DKIM1; k=rsa; p={CUT9}"`, "dkim-syntax fail", "ends after 300 of 392 characters"),
		{name: "cut at 255, no key of ours known", id: func(id *Identity) { id.Keys[0].Public = nil },
			zone: txt(`"v=DKIM1; k=rsa; p={CUT}"`), want: []string{"dkim-truncated-at-255 fail"}},
		one("long key in two strings", `"v=DKIM1; k=rsa; p={KEY1}" "{KEY2}"`, "", ""),
		// Two records.
		{name: "tags in one record, p= in another", zone: txt(`"v=DKIM1; k=rsa;"`) + "\n" + txt(`"p={KEY}"`), want: []string{"dkim-split-into-two-records fail"}},
		{name: "two records, each in quotes that count", zone: txt(`"\"v=DKIM1; k=rsa; p={KEY1}\""`) + "\n" + txt(`"\"{KEY2}\""`), want: []string{"dkim-split-into-two-records fail"}},
		{name: "three pieces", zone: txt(`"v=DKIM1; k=rsa; p={KEYA}"`) + "\n" + txt(`"{KEYB}"`) + "\n" + txt(`"AAAABBBBCCCCDDDDEEEE"`), want: []string{"dkim-split-into-two-records fail"}},
		{name: "the key twice", zone: txt(`"v=DKIM1; k=rsa; p={KEY}"`) + "\n" + txt(`"v=DKIM1; p={KEY}"`), want: []string{"dkim-several-records fail"}},
		{name: "the key, and an old one revoked", zone: txt(`"v=DKIM1; k=rsa; p={KEY}"`) + "\n" + txt(`"v=DKIM1; p="`), want: []string{"dkim-several-records fail"}},
		// Quotation marks.
		one("quotes around the key", `"v=DKIM1; k=rsa; p=\"{KEY}\""`, "dkim-quotes-in-value fail", ""),
		one("quote at the end only", `"v=DKIM1; k=rsa; p={KEY}\""`, "dkim-quotes-in-value fail", ""),
		one("single quotes", `"'v=DKIM1; k=rsa; p={KEY}'"`, "dkim-quotes-in-value fail", ""),
		one("quotes of a word processor", `"“v=DKIM1; k=rsa; p={KEY}”"`, "dkim-quotes-in-value fail", ""),
		one("two strings typed into a form", `"v=DKIM1; k=rsa; p={KEY1}\" \"{KEY2}"`, "dkim-quotes-in-value fail", ""),
		one("OpenDKIM's mail.txt, the whole line", `"mail._domainkey IN TXT ( \"v=DKIM1; h=sha256; k=rsa; \" \"p={KEY1}\" \"{KEY2}\" ) ; ----- DKIM key mail for example.com"`,
			"dkim-quotes-in-value fail", "whole line of a zone file"),
		one("quotes in a note, which is for people", `"v=DKIM1; n=\"it's ours\" -----; k=rsa; p={KEY}"`, "", ""),
		// PEM.
		one("PEM's first line only", `"v=DKIM1; k=rsa; p=-----BEGIN PUBLIC KEY-----{KEY}"`, "dkim-pem-header-in-value fail", ""),
		one("PEM's words without the dashes", `"v=DKIM1; k=rsa; p=BEGIN PUBLIC KEY{KEY}END PUBLIC KEY"`, "dkim-pem-header-in-value fail", ""),
		one("PEM file of the other kind, with line breaks", `"v=DKIM1; k=rsa; p=-----BEGIN RSA PUBLIC KEY-----\n{KEY}\n-----END RSA PUBLIC KEY-----\n"`, "dkim-pem-header-in-value fail", ""),
		one("the private key", `"v=DKIM1; k=rsa; p=-----BEGIN PRIVATE KEY-----AAAA-----END PRIVATE KEY-----"`, "dkim-pem-header-in-value fail", "private key is published"),
		// White space and other characters.
		one("line breaks in p=", `"v=DKIM1; k=rsa; p={KEYA}\r\n\t{KEYB}"`, "dkim-spaces-in-p warn", ""),
		one("line breaks written out", `"v=DKIM1; k=rsa; p={KEYA}\\n{KEYB}"`, "dkim-syntax fail", `written into the key, as \n`),
		one("backslashes before semicolons", `"v=DKIM1\\; k=rsa\\; p={KEY}"`, "dkim-syntax fail", "backslashes before its semicolons"),
		one("spaces everywhere but in p=", `" v = DKIM1 ; k = rsa ; p = {KEY} ; "`, "", ""),
		// Tags.
		one("tags in capitals", `"V=DKIM1; K=rsa; P={KEY}"`, "dkim-syntax fail", "in capitals"),
		one("version in small letters", `"v=dkim1; k=rsa; p={KEY}"`, "dkim-syntax fail", "must be DKIM1"),
		one("no semicolons", `"v=DKIM1 k=rsa p={KEY}"`, "dkim-syntax fail", "no semicolon after v=DKIM1"),
		one("version not first", `"k=rsa; p={KEY}; v=DKIM1"`, "dkim-syntax fail", "come first"),
		one("no version", `"k=rsa; p={KEY}"`, "", ""),
		one("the whole record in p=", `"v=DKIM1; k=rsa; p=v=DKIM1; k=rsa; p={KEY}"`, "dkim-syntax fail", "occurs twice"),
		one("the key of a signature, not of the record", `"v=1; a=rsa-sha256; d=example.com; s=mail; b={KEY}"`, "dkim-syntax fail", "not a DKIM key record"),
		// Names.
		{name: "doubled in its own zone", zone: "- " + at + " TXT\nzone news.example.com ns1.host.example\n" + `mail._domainkey.news.example.com.news.example.com TXT "v=DKIM1; k=rsa; p={KEY}"
news.example.com TXT "v=spf1 ip4:203.0.113.9 -all"
news.example.com SOA ns1.host.example`, id: subdomain, want: []string{"dkim-name-doubled fail"}, text: "mail._domainkey.news.example.com.news.example.com"},
		{name: "_domainkey left out", zone: "- " + at + " TXT\n" + `mail.example.com TXT "v=DKIM1; k=rsa; p={KEY}"`, want: []string{"dkim-missing fail"}, text: "There is one at mail.example.com"},
		{name: "underscore left out", zone: "- " + at + " TXT\n" + `mail.domainkey.example.com TXT "v=DKIM1; k=rsa; p={KEY}"`, want: []string{"dkim-missing fail"}, text: "There is one at mail.domainkey.example.com"},
		{name: "selector left out", zone: "- " + at + " TXT\n" + `_domainkey.example.com TXT "v=DKIM1; k=rsa; p={KEY}"`, want: []string{"dkim-missing fail"}, text: "There is one at _domainkey.example.com"},
		{name: "DomainKeys policy beside no key", zone: "- " + at + " TXT\n" + `_domainkey.example.com TXT "t=y; o=~"`, want: []string{"dkim-missing fail"}},
		{name: "_domainkey delegated elsewhere, the key in the zone over it", zone: "- " + at + " TXT\nzone _domainkey.example.com ns1.esp.example\npanel " + at + ` TXT "v=DKIM1; k=rsa; p={KEY}"`,
			want: []string{"dkim-only-on-local-dns fail"}, text: "the world asks ns1.esp.example"},
		{name: "_domainkey delegated elsewhere, no key there", zone: "- " + at + " TXT\nzone _domainkey.example.com ns1.esp.example",
			want: []string{"dkim-missing fail"}, text: "_domainkey.example.com is a zone of its own"},
		{name: "_domainkey delegated elsewhere, the key there", zone: "zone _domainkey.example.com ns1.esp.example"},
		{name: "panel has the old key, the world none", zone: "- " + at + " TXT\npanel " + at + ` TXT "v=DKIM1; k=rsa; p={OLD}"`, want: []string{"dkim-only-on-local-dns fail"}, text: "not with the key that signs"},
		{name: "key of the parent, for its own mail", zone: at + ` TXT "v=DKIM1; k=rsa; p={OLD}"
news.example.com TXT "v=spf1 ip4:203.0.113.9 -all"
news.example.com SOA ns1.host.example`, id: subdomain, want: []string{"dkim-missing fail"}},
		// Aliases.
		{name: "alias to a provider that changed the key", zone: "- " + at + " TXT\n" + at + ` CNAME mail.dkim.esp.example
mail.dkim.esp.example TXT "v=DKIM1; k=rsa; p={OLD}"`, want: []string{"dkim-key-mismatch fail"}, text: "alias (CNAME): the record is that of mail.dkim.esp.example"},
		{name: "alias without its final dot", zone: "- " + at + " TXT\n" + at + ` CNAME mail.dkim.esp.example.example.com
mail.dkim.esp.example TXT "v=DKIM1; k=rsa; p={KEY}"`, want: []string{"dkim-cname-dangling fail"}, text: "final dot is missing"},
		{name: "alias to a revoked key", zone: "- " + at + " TXT\n" + at + ` CNAME mail.dkim.esp.example
mail.dkim.esp.example TXT "v=DKIM1; p="`, want: []string{"dkim-revoked fail"}, text: "alias"},
	}
}

func wildSPF() []diagnosis {
	one := func(name, value, code, text string) diagnosis {
		return diagnosis{name: name, zone: `example.com TXT "` + value + `"`, want: []string{code}, text: text}
	}
	return []diagnosis{
		one("ip4: forgotten", "v=spf1 203.0.113.9 -all", "spf-syntax fail", "has ip4: or ip6: before it"),
		one("ip4: forgotten, network", "v=spf1 +203.0.113.0/24 -all", "spf-syntax fail", "has ip4: or ip6: before it"),
		one("no space after the version", "v=spf1include:_spf.example.net -all", "spf-syntax fail", "does not begin with"),
		one("Sender ID only", "spf2.0/pra ip4:203.0.113.9 -all", "spf-missing fail", "Sender ID"),
		one("Sender ID with a version", "v=spf2.0/pra ip4:203.0.113.9 -all", "spf-missing fail", "Sender ID"),
		one("includes itself", "v=spf1 include:example.com ip4:203.0.113.9 -all", "spf-too-many-lookups fail", "includes itself"),
		{name: "two include each other", zone: `example.com TXT "v=spf1 include:a.example.net -all"` + "\n" + `a.example.net TXT "v=spf1 include:example.com -all"`,
			want: []string{"spf-too-many-lookups fail"}, text: "includes itself"},
		{name: "redirects to itself", zone: `example.com TXT "v=spf1 redirect=example.com"`, want: []string{"spf-too-many-lookups fail"}, text: "includes itself"},
		one("two all", "v=spf1 ip4:203.0.113.9 ~all -all", "", ""),
		one("address behind all", "v=spf1 -all ip4:203.0.113.9", "spf-fail fail", "203.0.113.9 matches no mechanism"),
		{name: "redirect beside all", zone: `example.com TXT "v=spf1 ~all redirect=a.example.net"` + "\n" + `a.example.net TXT "v=spf1 ip4:203.0.113.9 -all"`, want: []string{"spf-softfail fail"}},
		{name: "redirect", zone: `example.com TXT "v=spf1 redirect=a.example.net"` + "\n" + `a.example.net TXT "v=spf1 ip4:203.0.113.9 -all"`},
		{name: "redirect to nowhere", zone: `example.com TXT "v=spf1 redirect=gone.example.net"`, want: []string{"spf-include-missing fail"}, text: "gone.example.net"},
		one("dash of a word processor", "v=spf1 ip4:203.0.113.9 –all", "spf-syntax fail", "not a minus"),
		one("commas", "v=spf1 ip4:203.0.113.9, -all", "spf-syntax fail", "203.0.113.9,"),
		one("mechanisms with commas", "v=spf1 mx, ip4:203.0.113.9 -all", "spf-syntax fail", "only spaces between"),
		one("space after the colon", "v=spf1 ip4: 203.0.113.9 -all", "spf-syntax fail", `"ip4:"`),
		one("IPv6 address in ip4", "v=spf1 ip4:203.0.113.9 ip4:2001:db8::9 -all", "spf-syntax fail", "not an IPv4 address"),
		one("version twice", "v=spf1 ip4:203.0.113.9 v=spf1 -all", "", ""), // an unknown modifier
		one("two records joined into one", "v=spf1 ip4:198.51.100.1 ~all v=spf1 ip4:203.0.113.9 -all", "spf-softfail fail", "matches no mechanism"),
		one("capitals", "V=SPF1 IP4:203.0.113.9 -ALL", "", ""),
		one("+all hidden behind a full list", "v=spf1 ip4:203.0.113.9 ip4:198.51.100.0/24 all", "spf-plus-all fail", ""),
		one("?all is not +all", "v=spf1 ip4:203.0.113.9 ?all", "", ""),
		{name: "one record in two strings", zone: `example.com TXT "v=spf1 ip4:203." "0.113.9 -all"`},
		{name: "one record in two strings, the space lost", zone: `example.com TXT "v=spf1 ip4:203.0.113.9" "ip4:198.51.100.1 -all"`, want: []string{"spf-syntax fail"}},
		{name: "the record, and one of Sender ID", zone: `example.com TXT "v=spf1 ip4:203.0.113.9 -all"` + "\n" + `example.com TXT "spf2.0/pra ip4:198.51.100.1 -all"`},
		{name: "type 99 beside TXT", zone: `example.com TXT "v=spf1 ip4:203.0.113.9 -all"` + "\n" + `example.com SPF "v=spf1 ip4:203.0.113.9 -all"`},
	}
}

func wildDMARC() []diagnosis {
	const at = "_dmarc.example.com"
	one := func(name, value, code, text string) diagnosis {
		return diagnosis{name: name, zone: at + ` TXT "` + value + `"`, want: []string{code}, text: text}
	}
	elsewhere := func(name, where, text string) diagnosis {
		return diagnosis{name: name, zone: "- " + at + " TXT\n" + where + ` TXT "v=DMARC1; p=none"`, want: []string{"dmarc-missing warn"}, text: text}
	}
	return []diagnosis{
		{name: "at the apex", zone: "- " + at + " TXT\n" + `example.com TXT "v=spf1 ip4:203.0.113.9 -all"` + "\n" + `example.com TXT "v=DMARC1; p=none"`,
			want: []string{"dmarc-missing warn"}, text: "There is one at example.com: receivers ask for _dmarc.example.com"},
		elsewhere("zone's name twice", "_dmarc.example.com.example.com", "the zone's name was added twice"),
		elsewhere("_dmarc twice", "_dmarc._dmarc.example.com", "_dmarc was added twice"),
		elsewhere("no underscore", "dmarc.example.com", "begins with an underscore"),
		{name: "alias to a provider's record", zone: "- " + at + " TXT\n" + at + ` CNAME example.dmarc.esp.example
example.dmarc.esp.example TXT "v=DMARC1; p=none; rua=mailto:d@esp.example"`},
		{name: "alias to nowhere", zone: "- " + at + " TXT\n" + at + " CNAME example.dmarc.esp.example", want: []string{"dmarc-missing warn"}, text: "CNAME to example.dmarc.esp.example"},
		one("no policy", "v=DMARC1", "dmarc-syntax fail", "no valid policy"),
		one("no policy but reports", "v=DMARC1; rua=mailto:d@example.com", "dmarc-syntax warn", "p= is missing"),
		one("no semicolon, p=none", "v=DMARC1 p=none", "dmarc-syntax fail", "begin with v=DMARC1;"),
		one("policy before the version", "p=none; v=DMARC1", "dmarc-syntax fail", ""),
		one("quotes", `\"v=DMARC1; p=none\"`, "dmarc-syntax fail", ""),
		one("backslashes", `v=DMARC1\\; p=none`, "dmarc-syntax fail", ""),
		one("reports without mailto:", "v=DMARC1; p=none; rua=d@example.com", "dmarc-syntax warn", "not a URI"),
		one("cut at the semicolon", "v=DMARC1;", "dmarc-syntax fail", "no valid policy"),
		one("capitals", "V=DMARC1; P=NONE", "", ""),
		{name: "two records, one of them void", zone: at + ` TXT "v=DMARC1; p=none"` + "\n" + at + ` TXT "v=DMARC1"`, want: []string{"dmarc-several-records fail"}},
		{name: "SPF beside DMARC", zone: at + ` TXT "v=DMARC1; p=none"` + "\n" + at + ` TXT "v=spf1 -all"`},
		{name: "SPF in place of DMARC", zone: at + ` TXT "v=spf1 -all"`, want: []string{"dmarc-missing warn"}},
	}
}
