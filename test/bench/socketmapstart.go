package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// python is Debian's, for which the resolver is installed.
const python = "/usr/bin/python3"

// startSocketmaps starts the echo, mailgate, and the resolver if it is installed. What
// was started is returned also with an error.
func startSocketmaps(b *bench, world *stsWorld, network string) (all []*socketmap, err error) {
	for _, start := range []func(*bench, *stsWorld, string) (*socketmap, error){startEcho, startGatewayMap, startResolver} {
		s, err := start(b, world, network)
		if err != nil {
			return all, err
		}
		if s != nil {
			all = append(all, s)
		}
	}
	return all, nil
}

// place is where a server of that name listens.
func place(b *bench, network, name string) (string, error) {
	if network == "unix" {
		return filepath.Join(b.dir, name+"-map.sock"), nil
	}
	ports, err := freePorts(1)
	if err != nil {
		return "", err
	}
	return ports[0], nil
}

// startAsked starts a server and waits until it listens.
func startAsked(b *bench, name, network, address string, args ...string) (*socketmap, error) {
	p, err := launch(name+"-"+network, b.dir, args...)
	if err != nil {
		return nil, err
	}
	if err := p.ready(func() bool { return listening(network, address) }); err != nil {
		p.stop()
		return nil, err
	}
	return &socketmap{process: p, network: network, address: address}, nil
}

func startEcho(b *bench, _ *stsWorld, network string) (*socketmap, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	address, err := place(b, network, "echo")
	if err != nil {
		return nil, err
	}
	s, err := startAsked(b, "echo", network, address, self, "--echo", network+":"+address)
	if err == nil {
		s.echo = true
	}
	return s, err
}

func startGatewayMap(b *bench, world *stsWorld, network string) (*socketmap, error) {
	address, err := place(b, network, "mailgate")
	if err != nil {
		return nil, err
	}
	listen := map[string]string{"tcp": "inet:", "unix": "unix:"}[network] + address
	name := "socketmap-" + network
	config := filepath.Join(b.dir, name+".toml")
	more := fmt.Sprintf("[socketmap]\nlisten = %q\n[mta_sts]\nprivate = true\n", listen)
	if err := os.WriteFile(config, []byte(mailgateConfig(b.dir, world.dns.Addr(), name, "auto", more)), 0o600); err != nil {
		return nil, err
	}
	return startAsked(b, "mailgate", network, address, "env", "SSL_CERT_FILE="+world.roots, b.mailgate, "serve", "--config", config)
}

// resolverStart has the resolver ask our DNS: it has no setting for that.
const resolverStart = `import functools, aiodns
aiodns.DNSResolver = functools.partial(aiodns.DNSResolver, nameservers=["%s"], udp_port=%s, tcp_port=%s)
from postfix_mta_sts_resolver.daemon import main
main()`

func startResolver(b *bench, world *stsWorld, network string) (*socketmap, error) {
	if out, err := exec.Command(python, "-c", "import postfix_mta_sts_resolver, sys; print('there')").Output(); err != nil || !bytes.Contains(out, []byte("there")) {
		fmt.Println("postfix-mta-sts-resolver is not installed: left out")
		return nil, nil
	}
	address, err := place(b, network, "resolver")
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(address)
	listen := fmt.Sprintf("host: %s\nport: %s\n", host, port)
	if network == "unix" {
		listen = fmt.Sprintf("path: %s\nmode: 0666\n", address)
	}
	// What is kept is not asked for again while this runs.
	text := listen + "cache_grace: 86400\ncache:\n  type: internal\n  options:\n    cache_size: 10000\n"
	config := filepath.Join(b.dir, "resolver-"+network+".yml")
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	host, port, err = net.SplitHostPort(world.dns.Addr())
	if err != nil {
		return nil, err
	}
	args := []string{"env", "SSL_CERT_FILE=" + world.roots}
	if world.proxy != nil {
		args = append(args, "https_proxy=http://"+world.proxy.Addr().String())
	}
	args = append(args, python, "-c", fmt.Sprintf(resolverStart, host, port, port), "-v", "error", "-c", config)
	return startAsked(b, "resolver", network, address, args...)
}
