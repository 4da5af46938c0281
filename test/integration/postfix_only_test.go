//go:build integration

package integration

import "testing"

// TestPostfix shows that the test's own Postfix passes mail on unchanged, by SMTP,
// BDAT and sendmail.
func TestPostfix(t *testing.T) {
	r := startReceiver(t)
	p := startPostfix(t, makeDir(t), "", r.address)
	const from = "ann@client.test"

	message := compose(from, "smtp@gmail.com", "dots", ".\r\n..x\r\n")
	if err := send(connect(t, p.address, ""), from, []string{"smtp@gmail.com"}, message); err != nil {
		t.Fatal(err)
	}
	wantUnsigned(t, r.only(t, "smtp@gmail.com"), message)

	message = compose(from, "bdat@gmail.com", "unfinished", "first\r\nlast")
	sendChunk(t, p.address, from, "bdat@gmail.com", message)
	wantUnsigned(t, r.only(t, "bdat@gmail.com"), append(message, "\r\n"...))

	p.sendmail(t, from, "local@gmail.com", []byte("From: "+from+"\nMessage-ID: <1@x>\nDate: Sat, 21 Nov 2026 12:00:00 +0000\n\nHello.\n"))
	wantUnsigned(t, r.only(t, "local@gmail.com"), []byte("From: "+from+"\r\nMessage-ID: <1@x>\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n\r\nHello.\r\n"))
}
