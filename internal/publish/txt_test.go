package publish

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"mailgate/internal/dnsview"
)

// Every byte gets through the DNS library as it was.
func TestPresented(t *testing.T) {
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	for _, text := range []string{"", "v=spf1 -all", `a"b\c;d`, string(all), strings.Repeat("x", 255), strings.Repeat("ü", 400)} {
		list := split(text)
		if strings.Join(list, "") != text || len(list) != max(1, (len(text)+254)/255) {
			t.Errorf("%q is split into %q", text, list)
		}
		rr, err := dns.NewRR("example.com. 300 IN TYPE16 " + presented(list))
		txt, ok := rr.(*dns.TXT)
		if err != nil || !ok {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var got []string
		for _, s := range txt.Txt {
			got = append(got, dnsview.Unescape(s))
		}
		if !slices.Equal(got, list) {
			t.Errorf("%q, want %q", got, list)
		}
	}
}
