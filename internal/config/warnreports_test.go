package config

import (
	"strings"
	"testing"
	"time"
)

// Reports are from the hostname: a warning where no key signs for it.
func TestWarnsOfUnsignedReports(t *testing.T) {
	const warning = "hostname: reports from MAILER-DAEMON@mx1.example.com are not signed"
	for name, want := range map[string]bool{
		"example.com": false, "mx1.example.com": false, "*.example.com": false,
		"*.mx1.example.com": true, "example.org": true, "badexample.com": true, "a.example.com": true,
	} {
		list := parse(t, strings.Replace(sound, `name = "example.com"`, `name = "`+name+`"`, 1)).warnings(time.Date(2027, 3, 31, 0, 0, 0, 0, time.UTC))
		if got := strings.Contains(strings.Join(list, "\n"), warning); got != want || len(list) > 1 {
			t.Errorf("%s: %q", name, list)
		}
	}
}
