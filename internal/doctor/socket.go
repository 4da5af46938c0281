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
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const dialTime = 2 * time.Second // where the caller sets no deadline

// Reachable tries the door as its clients do. Owner, where it isn't empty, is the user
// who has to be let in at a Unix socket: Postfix's mail_owner.
func Reachable(ctx context.Context, area string, d Door, owner string) Result {
	r := Result{Area: area, Code: "door", Status: Pass, Text: "answers at " + d.String()}
	dialer := net.Dialer{}
	if _, ok := ctx.Deadline(); !ok {
		dialer.Timeout = dialTime
	}
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
	who, err := identify(owner)
	if err != nil {
		return Result{Area: area, Code: "socket-unknown-user", Status: Unknown, Text: fmt.Sprintf("%s: the user %s: %v", d, owner, err)}
	}
	if path, err := who.barrier(d.Address, 2); err != nil {
		return Result{Area: area, Code: "socket-not-permitted", Status: Fail, Text: err.Error(), Mend: who.let(path, d.Address)}
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

// let is how a socket's user lets another one in, who was kept out at path. What others
// have their files in is left alone.
func (i identity) let(path, socket string) []string {
	dir := filepath.Dir(socket)
	owner := "root"
	if stat, err := os.Stat(socket); err == nil {
		owner = ownerName(stat)
	}
	switch {
	case path == socket:
		return []string{
			`In mailgate.toml: socket_mode = "0660" in [milter], then restart mailgate`,
			fmt.Sprintf("chgrp %s %s && chmod g+s %s    (before the restart: the socket gets the directory's group)", Quote(i.group), Quote(dir), Quote(dir)),
		}
	case path == dir && strings.Contains(filepath.Base(dir), "mailgate"):
		return []string{fmt.Sprintf("chgrp %s %s && chmod g+sx %s", Quote(i.group), Quote(dir), Quote(dir))}
	}
	return []string{
		"Move the socket into a directory of its own, which the user " + i.name + " may enter, as:",
		fmt.Sprintf("install -d -o %s -g %s -m 2750 /run/mailgate-milter", Quote(owner), Quote(i.group)),
		"In mailgate.toml: listen with it there; below Postfix's queue directory, where its services are chrooted.",
	}
}

// barrier is what keeps a user from a file: each directory on the way needs x, the file
// itself bits (4 to read, 2 to write). Access lists (ACLs) are not looked at.
func (i identity) barrier(path string, bits fs.FileMode) (at string, err error) {
	var way []string
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		way = append(way, dir)
		if dir == filepath.Dir(dir) {
			break
		}
	}
	for _, dir := range slices.Backward(way) {
		info, err := os.Stat(dir)
		if err != nil {
			return dir, err
		}
		if !i.may(info, 1) {
			return dir, fmt.Errorf("%s: the user %s may not enter this directory (mode %s)", dir, i.name, info.Mode().Perm())
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return path, err
	}
	if !i.may(info, bits) {
		what := map[fs.FileMode]string{2: "write to", 4: "read"}[bits]
		return path, fmt.Errorf("%s: the user %s may not %s this file (mode %s)", path, i.name, what, info.Mode().Perm())
	}
	return "", nil
}

// identity is a user with the groups it is in.
type identity struct {
	name   string
	group  string // its own
	uid    uint32
	groups map[uint32]bool
}

// identify finds a user by name or number.
func identify(name string) (identity, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return identity{}, err
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return identity{}, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return identity{}, err
	}
	i := identity{name: u.Username, group: u.Gid, uid: uint32(uid), groups: map[uint32]bool{}}
	if g, err := user.LookupGroupId(u.Gid); err == nil {
		i.group = g.Name
	}
	for _, id := range ids {
		if gid, err := strconv.ParseUint(id, 10, 32); err == nil {
			i.groups[uint32(gid)] = true
		}
	}
	return i, nil
}

// ownerName is the user a file belongs to.
func ownerName(info fs.FileInfo) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "root"
	}
	id := strconv.FormatUint(uint64(stat.Uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
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
