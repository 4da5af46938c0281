package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"mailgate/internal/dnstest"
)

// stsHost is where the web server with MTA-STS policies is: they are only had from
// port 443.
const stsHost = "127.0.0.43"

// stsWorld is an Internet with domains that have an MTA-STS policy, and with such
// that have none.
type stsWorld struct {
	dns       *dnstest.Server
	web       *http.Server
	proxy     net.Listener // which leads to web: the resolver asks getaddrinfo without
	roots     string       // file
	with, not []string     // domains
}

const stsDomains = 100 // of each kind

// startSTS starts DNS, the web server and the proxy. Where port 443 can't be had, no
// domain has a policy.
func startSTS(b *bench, roots string) (*stsWorld, error) {
	dns, err := startDNS()
	if err != nil {
		return nil, err
	}
	w := &stsWorld{dns: dns, roots: roots}
	var zone strings.Builder
	for i := range stsDomains {
		name := fmt.Sprintf("d%d", i)
		w.with, w.not = append(w.with, name+".sts.example"), append(w.not, name+".plain.example")
		fmt.Fprintf(&zone, "_mta-sts.%s TXT \"v=STSv1; id=1;\"\nmta-sts.%s A %s\n", name, name, stsHost)
	}
	err = dns.SetZone("sts.example", zone.String())
	if err == nil {
		err = dns.SetZone("plain.example", "@ A 127.0.0.1\n")
	}
	if err == nil {
		err = w.publish()
	}
	if err != nil {
		w.stop()
		return nil, err
	}
	return w, nil
}

func (w *stsWorld) stop() {
	if w.web != nil {
		w.web.Close()
		w.proxy.Close()
	}
	w.dns.Close()
}

// publish serves the policies.
func (w *stsWorld) publish() error {
	l, err := net.Listen("tcp", stsHost+":443")
	if err != nil {
		fmt.Printf("%v: no domain has an MTA-STS policy\n", err)
		w.with = nil
		return nil
	}
	certificate, err := w.certify()
	if err == nil {
		w.proxy, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		l.Close()
		return err
	}
	w.web = &http.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
		ErrorLog:  log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
			answer.Header().Set("Content-Type", "text/plain")
			domain := strings.TrimPrefix(r.Host, "mta-sts.")
			fmt.Fprintf(answer, "version: STSv1\nmode: enforce\nmx: mx.%s\nmx: *.%s\nmax_age: 604800\n", domain, domain)
		}),
	}
	go func() { _ = w.web.ServeTLS(l, "", "") }()
	go w.lead()
	return nil
}

// certify makes a certificate for all names, and writes it to roots: it is its own
// authority.
func (w *stsWorld) certify() (c tls.Certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sts.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	for _, d := range w.with {
		t.DNSNames = append(t.DNSNames, "mta-sts."+d)
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return c, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, os.WriteFile(w.roots, text, 0o644)
}

// lead is a proxy that leads to the web server, whatever is asked for.
func (w *stsWorld) lead() {
	for {
		c, err := w.proxy.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			r := bufio.NewReader(c)
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			to, err := net.Dial("tcp", stsHost+":443")
			if err != nil {
				return
			}
			defer to.Close()
			if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
				return
			}
			go func() { _, _ = io.Copy(to, r) }()
			_, _ = io.Copy(c, to)
		}()
	}
}
