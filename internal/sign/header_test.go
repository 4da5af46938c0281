package sign

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailgate/internal/mail"
)

func names(t *testing.T, text string) []string {
	t.Helper()
	header, _ := message(t, crlf(text+"\n"))
	chosen, err := choose(header)
	if err != nil {
		t.Fatal(err)
	}
	return chosen.names
}

func TestHeaderKeys(t *testing.T) {
	got := names(t, "Received: a\nFROM: joe@example.com\nto: a@example.net\nTo: b@example.net\nSubject: x\n"+
		"sender: s@example.com\nSender: s@example.com\nReferences: <x@y>\nX-Other: z\n")
	want := strings.Fields("From From To To To Cc Subject Subject Date Message-ID Reply-To MIME-Version " +
		"Content-Type Content-Transfer-Encoding List-Unsubscribe List-Unsubscribe-Post Sender References")
	if !slices.Equal(got, want) {
		t.Errorf("h=%s\nwant %s", got, want)
	}
}

// TestReportKeys: a TLS report is signed with the fields that say of whom it is (RFC
// 8460, section 5.3); other mail names them not.
func TestReportKeys(t *testing.T) {
	got := names(t, "From: joe@example.com\nTLS-Report-Domain: example.net\nTLS-Report-Submitter: mx.example.com\n")
	if !slices.Contains(got, "TLS-Report-Domain") || !slices.Contains(got, "TLS-Report-Submitter") {
		t.Errorf("h=%s", got)
	}
	if got := names(t, "From: joe@example.com\n"); slices.Contains(got, "TLS-Report-Domain") {
		t.Errorf("h=%s", got)
	}
}

// everything is the header with the longest h=.
func everything() string {
	text := "From: joe@example.com\n"
	for _, name := range oversigned[1:] {
		text += strings.Repeat(name+": x\n", 20)
	}
	for _, name := range ifPresent {
		text += strings.Repeat(name+": x\n", 20)
	}
	return text
}

func TestLongestSignatureFits(t *testing.T) {
	label := strings.Repeat("a", 60)
	domain := mail.Domain(label + "." + label + ".example")
	key := Key{Domain: domain, Selector: label + "." + label[:40], Signer: testKeys()[0].Signer,
		Identity: strings.Repeat("i", 64) + "@" + string(domain)}
	signed := string(signText(t, crlf(everything()+"\nx\n"), []Key{key}, Options{}))
	verify(t, []byte(signed), 1, zone(key))
	field, _, _ := strings.Cut(signed, "\r\nFrom:")
	for line := range strings.SplitSeq(field, "\r\n") {
		if len(line) > 900 {
			t.Errorf("a line of %d bytes: %s", len(line), line)
		}
	}
}

// TestManyFields says that only what is signed is handed on, however long the
// header.
func TestManyFields(t *testing.T) {
	text := strings.Repeat("To: x@example.net\n", 3000) + "From: joe@example.com\nTo: last@example.net\n"
	header, _ := message(t, crlf(text+"\n"))
	chosen, err := choose(header)
	if err != nil {
		t.Fatal(err)
	}
	want := crlf(strings.Repeat("To: x@example.net\n", maxRepeats) + "From: joe@example.com\nTo: last@example.net\n\n")
	if string(chosen.fields) != want {
		t.Errorf("fields:\n%s", chosen.fields)
	}
}

func TestUnfold(t *testing.T) {
	header := mail.Header{
		{Name: "From", Raw: []byte("From:\r\n joe@example.com\r\n")},
		{Name: "Subject", Raw: []byte("subject \t:a\r\n\tb\r\n  \r\n c\r\n")},
	}
	chosen, err := choose(header)
	if err != nil {
		t.Fatal(err)
	}
	if want := "From: joe@example.com\r\nsubject \t:a\tb   c\r\n\r\n"; string(chosen.fields) != want {
		t.Errorf("%q, want %q", chosen.fields, want)
	}
}

// TestStrayBytesRefused gives fields that don't come from mail.ReadHeader.
func TestStrayBytesRefused(t *testing.T) {
	for _, raw := range []string{
		"", "From", "From: x", "From: x\n", "From: x\r", "From: x\ry\r\n", "From: x\ny\r\n", "From: x\r\ny\r\n",
		"From: x\r\n\r\n", "From: x\r\n\r\n y\r\n", "From: x\x00\r\n", "To: x\r\n", "Fromm: x\r\n", "From x\r\n",
		" From: x\r\n", "From: x\r\nTo: y\r\n", "From: x\r\r\n", "From\r\n : x\r\n", "\r\n",
	} {
		if chosen, err := choose(mail.Header{{Name: "From", Raw: []byte(raw)}}); err == nil {
			t.Errorf("%q gives %q", raw, chosen.fields)
		}
	}
}

// TestNamesAreASCII keeps letters that only Unicode calls equal apart.
func TestNamesAreASCII(t *testing.T) {
	if i := nameIndex("\u017fubject"); i >= 0 {
		t.Error("a long s is taken as s")
	}
	if i := nameIndex("sUBJECT"); i < 0 || oversigned[i] != "Subject" {
		t.Errorf("nameIndex = %d", i)
	}
}

func TestSignatureFieldRefused(t *testing.T) {
	for _, text := range []string{
		"", "X: y\r\n", "DKIM-Signature: a=b", "DKIM-Signature: a=b\r\nX: y\r\n", "DKIM-Signature: a\r\n\r\n",
		"DKIM-Signature: a\r\n \r\n b\r\n", "DKIM-Signature: a\rb\r\n", "DKIM-Signature: a\nb\r\n",
		"DKIM-Signature: \xe9\r\n", "DKIM-Signature: " + strings.Repeat("x", 983) + "\r\n",
	} {
		if field, err := signatureField(text); err == nil {
			t.Errorf("%.60q gives %.60q", text, field.Raw)
		}
	}
	if _, err := signatureField("DKIM-Signature: " + strings.Repeat("x", 982) + "\r\n"); err != nil {
		t.Error(err)
	}
}

func FuzzFields(f *testing.F) {
	f.Add("From", []byte("From: a@example.com\r\n"))
	f.Add("From", []byte("From : a\r\n\t@example.com\r\n"))
	f.Add("Subject", []byte("Subject: a\rb\r\n"))
	from := mail.Field{Name: "From", Raw: []byte("From: joe@example.com\r\n")}
	keys := testKeys()[1:]
	f.Fuzz(func(t *testing.T, name string, raw []byte) {
		s, err := NewStream(keys, mail.Header{from, {Name: name, Raw: raw}}, Options{})
		if err != nil {
			return
		}
		fields, err := s.Finish()
		if err != nil {
			t.Fatal(err)
		}
		if nameIndex(name) < 0 {
			return
		}
		message := fmt.Sprintf("%s%s%s\r\n", fields[0].Raw, from.Raw, raw)
		verify(t, []byte(message), 1, zone(keys...))
	})
}
