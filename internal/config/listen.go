package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"mailgate/internal/mail"
)

// Listen is where a door listens, in the words of net.Listen. The zero value is a
// closed door.
type Listen struct {
	Network string // "tcp", "tcp6" or "unix"
	Address string // "host:port", or the path of a socket
}

// IsZero reports whether the door is closed.
func (l Listen) IsZero() bool { return l == Listen{} }

// String gives the form that ParseListen and Postfix read.
func (l Listen) String() string {
	switch l.Network {
	case "":
		return ""
	case "tcp":
		return "inet:" + l.Address
	case "tcp6":
		return "inet6:" + l.Address
	}
	return l.Network + ":" + l.Address
}

// maxSocketPath is what fits in a sockaddr_un on Linux, with its final NUL.
const maxSocketPath = 107

// ParseListen understands "inet:host:port" and "inet6:host:port", with or without
// the first word, OpenDKIM's "inet:port@host", and "unix:/path" or "local:/path".
// Port 0 lets the system choose. All addresses of the host are named explicitly,
// 0.0.0.0 or [::].
func ParseListen(s string) (Listen, error) {
	network, address, ok := strings.Cut(s, ":")
	switch {
	case ok && (network == "unix" || network == "local"):
		return parseSocket(address)
	case ok && network == "inet":
		return parseInet("tcp", address)
	case ok && network == "inet6":
		return parseInet("tcp6", address)
	case strings.HasPrefix(s, "/"):
		return Listen{}, fmt.Errorf("write \"unix:%s\" for a Unix socket", printablePath(s))
	}
	return parseInet("tcp", s)
}

func parseSocket(path string) (Listen, error) {
	if path == "" {
		return Listen{}, errors.New(`want the path of a socket, as "unix:/run/mailgate/milter.sock"`)
	}
	if err := checkPath(path); err != nil {
		return Listen{}, err
	}
	return Listen{"unix", filepath.Clean(path)}, nil
}

func parseInet(network, s string) (Listen, error) {
	if port, host, ok := strings.Cut(s, "@"); ok {
		s = net.JoinHostPort(strings.Trim(host, "[]"), port)
	}
	address, err := hostPort(s, "")
	if err != nil {
		return Listen{}, err
	}
	host, _, _ := net.SplitHostPort(address)
	if a, err := netip.ParseAddr(host); network == "tcp6" && err == nil && a.Is4() {
		return Listen{}, fmt.Errorf("%s is no IPv6 address; write inet instead of inet6", host)
	}
	return Listen{network, address}, nil
}

// hostPort checks "host:port" and gives it back normalised. A missing port is
// replaced by port, unless that is empty.
func hostPort(s, port string) (string, error) {
	host, given, err := net.SplitHostPort(s)
	switch {
	case err == nil:
		port = given
	case port == "":
		return "", fmt.Errorf(`%s is not "host:port", as "127.0.0.1:25" or "[::1]:25"`, shown(s))
	default:
		host = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	}
	if host == "" {
		return "", fmt.Errorf(`%s names no host; write "0.0.0.0" or "[::]" for all addresses`, shown(s))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return "", fmt.Errorf("%s is no port number, 0 to 65535", shown(port))
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return net.JoinHostPort(a.String(), port), nil
	}
	d, err := mail.ParseDomain(host)
	if err != nil {
		return "", fmt.Errorf("%s is neither an IP address nor a host name", shown(host))
	}
	return net.JoinHostPort(string(d), port), nil
}

var errPortZero = errors.New("port 0 cannot be connected to")

// destination is hostPort for what is connected to, where port 0 means nothing.
func destination(s string) (string, error) {
	hp, err := hostPort(s, "")
	if err == nil && strings.HasSuffix(hp, ":0") {
		return "", errPortZero
	}
	return hp, err
}
