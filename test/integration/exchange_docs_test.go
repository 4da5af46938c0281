//go:build integration

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var tomlBlock = regexp.MustCompile("(?s)```toml\n(.*?)```\n")

// TestExchangeDocs: every configuration in docs/exchange.md is one. The first block is
// whole; the others go with it, one at a time and all together.
func TestExchangeDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/exchange.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, found := range tomlBlock.FindAllStringSubmatch(string(page), -1) {
		blocks = append(blocks, found[1])
	}
	if len(blocks) < 3 || !strings.Contains(blocks[0], "hostname") {
		t.Fatalf("%d blocks in docs/exchange.md", len(blocks))
	}
	dir := makeDir(t)
	makeDomain(t, dir, "example.com")
	for _, name := range []string{"mx1", "mx1.rsa"} {
		writeRSACertificate(t, filepath.Join(dir, "tls", name+".pem"), filepath.Join(dir, "tls", name+".key.pem"))
	}
	login := strings.TrimSpace(relayPassword(t, "secret"))
	check := func(what, text string) {
		t.Helper()
		file := filepath.Join(dir, "mailgate.toml")
		writeFile(t, file, strings.ReplaceAll(text, `password = "…"`, login), 0o600)
		g := &gateway{config: file}
		if out, exit := g.command(t, "config", "check", "--config", file); exit != 0 {
			t.Errorf("%s: exit %d\n%s\n%s", what, exit, out, text)
		}
	}
	check("the first block", blocks[0])
	for i, block := range blocks[1:] {
		check(fmt.Sprintf("the first block and block %d", i+2), blocks[0]+block)
	}
	check("all blocks", strings.Join(blocks, ""))
}
