package rotation

import (
	"fmt"
	"strings"
	"testing"

	"mailgate/internal/spool"
)

// bookOf has rotations such as "mail>next:signing".
func bookOf(t *testing.T, list string) Book {
	t.Helper()
	var b Book
	for one := range strings.FieldsSeq(list) {
		pair, state, _ := strings.Cut(one, ":")
		old, next, _ := strings.Cut(pair, ">")
		b = b.with(&Rotation{
			Domain: domain, State: State(state),
			Old: Pair{Selector: old, File: old + ".pem"}, New: Pair{Selector: next, File: "new/" + next + ".pem"},
		})
	}
	return b
}

// wordsOf are uses such as "next=new/next.pem mail=mail.pem/standby".
func wordsOf(uses []Use) string {
	var words []string
	for _, u := range uses {
		word := u.Selector + "=" + u.File
		if u.Standby {
			word += "/standby"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestUses(t *testing.T) {
	for _, tt := range []struct{ rotations, configured, want string }{
		{"", "mail", "mail=mail.pem"},
		{"mail>next:publishing", "mail", "mail=mail.pem"},
		{"mail>next:holding", "mail other", "mail=mail.pem other=other.pem"},
		{"mail>next:signing", "mail other", "next=new/next.pem other=other.pem mail=mail.pem/standby"},
		{"mail>next:revoking", "mail", "next=new/next.pem"},
		{"mail>next:done", "mail", "next=new/next.pem"},
		{"mail>next:cancelled", "mail", "mail=mail.pem"},
		{"MAIL>next:signing", "mail", "next=new/next.pem mail=mail.pem/standby"},
		// The configuration names the new key, too, or only that.
		{"mail>next:publishing", "mail next", "mail=mail.pem"},
		{"mail>next:holding", "next mail", "mail=mail.pem"},
		{"mail>next:publishing", "next", "next=next.pem"},
		{"mail>next:signing", "mail next", "next=next.pem mail=mail.pem/standby"},
		{"mail>next:signing", "next mail", "next=next.pem mail=mail.pem/standby"},
		{"mail>next:signing", "next", "next=next.pem"},
		{"mail>next:done", "mail next", "next=next.pem"},
		{"mail>next:cancelled", "mail next", "mail=mail.pem next=next.pem"},
		// One after the other.
		{"mail>next:done next>third:publishing", "mail", "next=new/next.pem"},
		{"mail>next:done next>third:signing", "mail", "third=new/third.pem next=new/next.pem/standby"},
		{"mail>next:done next>third:done", "mail", "third=new/third.pem"},
		{"mail>next:done next>third:signing", "next", "third=new/third.pem next=next.pem/standby"},
		// What can't be, and must not hang.
		{"mail>next:done next>mail:done", "mail", "mail=mail.pem"},
	} {
		var configured []Use
		for selector := range strings.FieldsSeq(tt.configured) {
			configured = append(configured, Use{Selector: selector, File: selector + ".pem"})
		}
		got := wordsOf(bookOf(t, tt.rotations).Uses(domain, configured))
		if tt.want == "mail=mail.pem" && strings.Contains(tt.rotations, "next>mail") {
			if len(strings.Fields(got)) != 1 {
				t.Errorf("%s, configured %s: %s", tt.rotations, tt.configured, got)
			}
			continue
		}
		if got != tt.want {
			t.Errorf("%s, configured %s: %s; want %s", tt.rotations, tt.configured, got, tt.want)
		}
		if got := wordsOf(bookOf(t, tt.rotations).Uses("other.test", configured)); strings.Contains(got, "new/") {
			t.Errorf("%s: another domain uses %s", tt.rotations, got)
		}
	}
}

// What can't be read may be about the key that signs: nothing is guessed.
func TestLoadDamaged(t *testing.T) {
	n := &notes{kept: map[string]spool.Note{"mail._domainkey.example.test": {Name: "mail._domainkey.example.test", Data: []byte("{")}}}
	if _, err := Load(t.Context(), n); err == nil || !strings.Contains(err.Error(), "mail._domainkey.example.test") {
		t.Errorf("read damaged: %v", err)
	}
}

func TestAllIsInOrder(t *testing.T) {
	var got []string
	for _, r := range bookOf(t, "z>1:publishing a>2:done b>3:signing").All() {
		got = append(got, r.Old.Selector)
	}
	if fmt.Sprint(got) != "[b z a]" {
		t.Errorf("%v", got)
	}
}
