package main

import "testing"

// A server is named once, however its answer begins.
func TestLastAnswer(t *testing.T) {
	for _, c := range []struct{ host, answer, want string }{
		{"", "no server", "no server"},
		{"mx.example.net", "550 no such user", "mx.example.net 550 no such user"},
		{"mx.example.net", "mx.example.net at 192.0.2.7: EOF", "mx.example.net at 192.0.2.7: EOF"},
		{"192.0.2.7", "connect to 192.0.2.7:25: connection refused", "connect to 192.0.2.7:25: connection refused"},
		{"2001:db8::7", "connect to [2001:db8::7]:25: connection refused", "connect to [2001:db8::7]:25: connection refused"},
		{"mx.example.net", "TLS with mx.example.net at 192.0.2.7 (policy secure): no", "TLS with mx.example.net at 192.0.2.7 (policy secure): no"},
		{"mx.example.net", "", "mx.example.net"},
	} {
		if got := lastAnswer(c.host, c.answer); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
