package advise

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"mailgate/internal/preflight"
)

// Every finding code this package decides on is one that pre-flight gives.
func TestCodesExist(t *testing.T) {
	code := regexp.MustCompile(`^(dkim|spf|dmarc|ns|wildcard|ptr|ipv6|helo)-[a-z0-9]+(-[a-z0-9]+)*$`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			if s, err := strconv.Unquote(literal.Value); err == nil && code.MatchString(s) {
				seen++
				if _, ok := preflight.Explain(s); !ok {
					t.Errorf("%s: pre-flight has no code %q", file, s)
				}
			}
			return true
		})
	}
	if seen == 0 {
		t.Error("no code found in the source")
	}
}
