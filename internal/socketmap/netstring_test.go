package socketmap

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestNetstring(t *testing.T) {
	const limit = 1000
	for _, c := range []struct {
		in, payload string
		size        int // 0: more has to come; -1: malformed
	}{
		{"", "", 0},
		{"0", "", 0},
		{"0:", "", 0},
		{"0:,", "", 3},
		{"1:a,", "a", 4},
		{"5:hello,5:world,", "hello", 8},
		{"3:a,b,", "a,b", 6},
		{"2:\r\n,", "\r\n", 5},
		{"999:" + strings.Repeat("a", 999) + ",", strings.Repeat("a", 999), 1004},
		{"1000:" + strings.Repeat("a", 1000) + ",", strings.Repeat("a", 1000), 1006},
		{"1000:" + strings.Repeat("a", 1000), "", 0},
		{"1001:", "", -1},
		{"1001", "", -1},
		{"18446744073709551617:a,", "", -1},
		{strings.Repeat("9", 10_000), "", -1},
		{"01:a,", "", -1},
		{"00", "", -1},
		{":", "", -1},
		{"a", "", -1},
		{"1a", "", -1},
		{"1 :a,", "", -1},
		{"+1:a,", "", -1},
		{"-1:a,", "", -1},
		{"1:aa", "", -1},
		{"1:a;", "", -1},
		{"0:a", "", -1},
	} {
		payload, size, err := netstring([]byte(c.in), limit)
		if malformed := c.size < 0; malformed != errors.Is(err, errMalformed) || malformed && size != 0 {
			t.Errorf("%.40q: %d, %v", c.in, size, err)
		}
		if c.size >= 0 && (size != c.size || string(payload) != c.payload) {
			t.Errorf("%.40q: %q of %d, want %q of %d", c.in, payload, size, c.payload, c.size)
		}
	}
}

// A netstring without its last bytes isn't there yet, wherever it is cut; and what
// follows it makes no difference.
func FuzzNetstring(f *testing.F) {
	for _, s := range []string{"20:mailgate example.net,", "0:,", "5:hello,5:world,", "01:a,", "1:aa", "1001:", "99999999999999999999:", ":", "a=b\n\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1000
		payload, size, err := netstring(b, limit)
		if err != nil && (size != 0 || payload != nil || !errors.Is(err, errMalformed)) {
			t.Fatalf("%q, %d, %v", payload, size, err)
		}
		if err != nil || size == 0 {
			if more := len(b) > limit+frameRoom; err == nil && more {
				t.Fatalf("wants more than %d bytes", len(b))
			}
			return
		}
		if len(payload) > limit || !bytes.Equal(appendNetstring(nil, payload), b[:size]) {
			t.Fatalf("%q of %q", payload, b[:size])
		}
		for cut := range size {
			if p, n, err := netstring(b[:cut], limit); p != nil || n != 0 || err != nil {
				t.Fatalf("cut at %d: %q, %d, %v", cut, p, n, err)
			}
		}
	})
}
