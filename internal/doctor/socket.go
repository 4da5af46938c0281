package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const dialTime = 2 * time.Second

// Reachable tries the door as its clients do. Owner, where it isn't empty, is the user
// who has to be let in at a Unix socket: Postfix's mail_owner.
func Reachable(ctx context.Context, area string, d Door, owner string) Result {
	r := Result{Area: area, Code: "door", Status: Pass, Text: "answers at " + d.String()}
	dialer := net.Dialer{Timeout: dialTime}
	conn, err := dialer.DialContext(ctx, d.Network, d.dialable())
	switch {
	case errors.Is(err, fs.ErrPermission):
		return Result{Area: area, Code: "door-not-permitted", Status: Unknown, Text: d.String() + ": you may not connect", Mend: []string{"Run this as root."}}
	case err != nil:
		return Result{Area: area, Code: "door-closed", Status: Fail, Text: fmt.Sprintf("nobody answers at %s (%v)", d, err),
			Mend: []string{"Start it: mailgate serve (or: systemctl start mailgate), and see its log."}}
	}
	conn.Close()
	if d.Network != "unix" || owner == "" {
		return r
	}
	if err := admits(d.Address, owner); err != nil {
		return Result{Area: area, Code: "socket-not-permitted", Status: Fail, Text: err.Error(), Mend: socketMend(d.Address, owner)}
	}
	r.Text += ", and the user " + owner + " may connect"
	return r
}

func (d Door) String() string {
	if d.Network == "unix" {
		return "unix:" + d.Address
	}
	return "inet:" + d.Address
}

// dialable is the address with a host to connect to in place of "all".
func (d Door) dialable() string {
	host, port, err := net.SplitHostPort(d.Address)
	if d.Network == "unix" || err != nil {
		return d.Address
	}
	if a := literal(host); a.IsUnspecified() {
		host = "localhost"
		if a.Is4() {
			host = "127.0.0.1"
		}
	}
	return net.JoinHostPort(host, port)
}

func socketMend(path, owner string) []string {
	dir := filepath.Dir(path)
	return []string{
		fmt.Sprintf("install -d -o root -g %s -m 2750 %s", owner, dir),
		`In mailgate.toml: [milter] socket_mode = "0660", then restart mailgate`,
	}
}

// admits says what keeps a user from connecting to a socket: the directories on the
// way need x, the socket w. Access lists (ACLs) are not looked at.
func admits(path, owner string) error {
	who, err := identify(owner)
	if err != nil {
		return err
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if !who.may(info, 1) {
			return fmt.Errorf("%s: the user %s may not enter this directory (mode %s)", dir, owner, info.Mode().Perm())
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !who.may(info, 2) {
		return fmt.Errorf("%s: the user %s may not write to this socket (mode %s)", path, owner, info.Mode().Perm())
	}
	return nil
}

// identity is a user with the groups it is in.
type identity struct {
	uid    uint32
	groups map[uint32]bool
}

func identify(name string) (identity, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return identity{}, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return identity{}, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return identity{}, err
	}
	groups := map[uint32]bool{}
	for _, id := range ids {
		if gid, err := strconv.ParseUint(id, 10, 32); err == nil {
			groups[uint32(gid)] = true
		}
	}
	return identity{uint32(uid), groups}, nil
}

// may reports whether the mode of a file gives the identity all of bits (1 x, 2 w, 4 r).
func (i identity) may(info fs.FileInfo, bits fs.FileMode) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || i.uid == 0 {
		return true
	}
	mode := info.Mode().Perm()
	switch {
	case stat.Uid == i.uid:
		mode >>= 6
	case i.groups[stat.Gid]:
		mode >>= 3
	}
	return mode&bits == bits
}
