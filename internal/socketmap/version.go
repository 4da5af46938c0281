package socketmap

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is a version of Postfix. The zero value is one that isn't known.
type Version struct{ Major, Minor int }

// ParseVersion reads "3.7" or, as postconf mail_version shows it, "3.7.11".
func ParseVersion(s string) (Version, error) {
	major, rest, _ := strings.Cut(s, ".")
	minor := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	var v Version
	var err error
	if v.Major, err = strconv.Atoi(major); err == nil {
		v.Minor, err = strconv.Atoi(minor)
	}
	if err != nil || v.Major < 0 {
		return Version{}, fmt.Errorf("%q is no version of Postfix: want one as \"3.7\"", s)
	}
	return v, nil
}

func (v Version) known() bool { return v != Version{} }

// since reports whether v is that version or a later one; not if it isn't known.
func (v Version) since(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}
