package bounce

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzScan reads anything without a panic; what comes out has no control characters,
// no more bytes than went in by much, and is the same the second time.
func FuzzScan(f *testing.F) {
	for _, file := range corpus(f) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, stats := scanned(t, text)
		if stats.Bytes != int64(len(text)) {
			t.Errorf("%d bytes read of %d", stats.Bytes, len(text))
		}
		if len(list) > len(text)+1 {
			t.Errorf("%d readings of %d bytes", len(list), len(text))
		}
		for i := range list {
			wantPlain(t, reflect.ValueOf(list[i]))
			if list[i].Meaning.Means == "" {
				t.Errorf("no meaning: %+v", list[i])
			}
		}
		again, _ := scanned(t, text)
		if !reflect.DeepEqual(list, again) {
			t.Errorf("read %+v, then %+v", list, again)
		}
		var groups Groups
		for _, r := range list {
			groups.Add(r)
		}
		n := groups.Left + groups.Strays
		for _, g := range groups.List() {
			n += g.Count
		}
		if n != len(list) {
			t.Errorf("%d readings in groups, of %d", n, len(list))
		}
	})
}

// wantPlain looks at every text within a value.
func wantPlain(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		bad := strings.ContainsFunc(v.String(), func(c rune) bool { return unicode.IsControl(c) || unicode.Is(unicode.Cf, c) })
		if bad || !utf8.ValidString(v.String()) {
			t.Errorf("%q has control characters", v.String())
		}
	case reflect.Slice:
		for i := range v.Len() {
			wantPlain(t, v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			wantPlain(t, v.Field(i))
		}
	}
}
