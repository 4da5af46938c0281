// Package imports holds the one architectural test: imports go down only.
package imports

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "mailgate"

// rule is one row of the table: where a package lives and which internal
// packages its code may import. A door takes in work from outside.
type rule struct {
	floor int
	may   string
	door  bool
}

// table is the house. A package that is not in it fails the test.
var table = map[string]rule{
	"mail":    {floor: 0},
	"dnsview": {floor: 0},

	"sign":      {floor: 1, may: "mail"},
	"preflight": {floor: 1, may: "mail dnsview"},
	"tlspolicy": {floor: 1, may: "mail dnsview"},

	"gate":       {floor: 2, may: "mail sign preflight"},
	"spool":      {floor: 2, may: "mail preflight"},
	"notice":     {floor: 2, may: "mail spool preflight"},
	"quarantine": {floor: 2, may: "mail spool gate preflight notice"},
	"relay":      {floor: 2, may: "spool mail tlspolicy sign notice"},
	"door":       {floor: 2},
	"tlsprobe":   {floor: 2, may: "mail tlspolicy"},
	"tlsreport":  {floor: 2, may: "mail tlspolicy"},
	"bounce":     {floor: 2, may: "mail preflight"},
	"publish":    {floor: 2, may: "mail dnsview"},
	"rotation":   {floor: 2, may: "mail dnsview sign spool"},

	"milter":    {floor: 3, may: "mail gate spool door", door: true},
	"smtpd":     {floor: 3, may: "mail gate spool door", door: true},
	"socketmap": {floor: 3, may: "tlspolicy door", door: true},
	"web":       {floor: 3, may: "quarantine relay preflight tlspolicy", door: true},
	"store":     {floor: 3, may: "mail spool"},
	"advise":    {floor: 3, may: "preflight"},
	"config":    {floor: 3, may: "mail"},
	"convert":   {floor: 3, may: "mail sign"},
	"doctor":    {floor: 3, may: "mail dnsview"},

	// The DNS server and the MTA of the demonstration and of tests, a listener for
	// tests, and the demonstration.
	"dnstest":  {floor: 0},
	"doortest": {floor: 0},
	"mtatest":  {floor: 1, may: "mail"},
	"demo":     {floor: 4, may: "*"},
}

// pkg is what `go list -json` says about a package.
type pkg struct {
	ImportPath   string
	Dir          string
	Standard     bool
	GoFiles      []string
	CgoFiles     []string
	Imports      []string
	Deps         []string
	TestImports  []string
	XTestImports []string
	Error        *struct{ Err string }
}

// name returns "sign" for mailgate/internal/sign and "" for what is not internal.
func (p pkg) name() string { return internalName(p.ImportPath) }

func internalName(path string) string {
	name, ok := strings.CutPrefix(path, module+"/internal/")
	if !ok {
		return ""
	}
	return name
}

// list returns this module's packages.
func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Dir,Standard,GoFiles,CgoFiles,Imports,Deps,TestImports,XTestImports,Error", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return pkgs
		}
		if err != nil {
			t.Fatalf("output of go list: %v", err)
		}
		if p.ImportPath == module || strings.HasPrefix(p.ImportPath, module+"/") {
			pkgs = append(pkgs, p)
		}
	}
}

func TestImports(t *testing.T) {
	pkgs := list(t)
	if len(pkgs) < 3 {
		t.Fatalf("go list named %d packages of module %s: the test looks at nothing", len(pkgs), module)
	}
	for _, p := range pkgs {
		for _, complaint := range complaints(p) {
			t.Errorf("%s %s", p.ImportPath, complaint)
		}
		for _, complaint := range sourceComplaints(t, p) {
			t.Error(complaint)
		}
	}
}

// complaints returns what the table says against one package.
func complaints(p pkg) []string {
	switch {
	case p.name() != "":
		r, known := table[p.name()]
		if !known {
			return []string{"is not in the table of test/imports: add it, with its floor and what it may import"}
		}
		return slices.Concat(codeComplaints(p, r), depComplaints(p, r), testComplaints(p, r))
	case strings.HasPrefix(p.ImportPath, module+"/test/"):
		return outsideComplaints(p)
	}
	return nil
}

// codeComplaints: internal imports as in the table; DNS only where it is asked.
func codeComplaints(p pkg, r rule) (bad []string) {
	for _, path := range p.Imports {
		name := internalName(path)
		switch {
		case strings.HasPrefix(path, module+"/cmd/"), strings.HasPrefix(path, module+"/test/"):
			bad = append(bad, "imports "+path+": only the top may use that")
		case name == "demo":
			bad = append(bad, "imports demo: only cmd may")
		case name != "" && r.may != "*" && !slices.Contains(strings.Fields(r.may), name):
			bad = append(bad, fmt.Sprintf("imports %s; it may import: %s", name, orNone(r.may)))
		case strings.HasPrefix(path, "github.com/miekg/dns") && p.name() != "dnsview" && p.name() != "dnstest":
			bad = append(bad, "imports "+path+": only dnsview asks DNS")
		case p.name() == "mail" && name == "" && strings.Contains(path, ".") && path != "golang.org/x/net/idna":
			bad = append(bad, "imports "+path+": it may import the standard library and golang.org/x/net/idna")
		}
	}
	return bad
}

// depComplaints: below floor 3 nothing reaches the configuration or a database,
// not even through another package.
func depComplaints(p pkg, r rule) (bad []string) {
	if r.floor >= 3 {
		return nil
	}
	for _, path := range p.Deps {
		switch path {
		case module + "/internal/config", module + "/internal/store", "database/sql":
			bad = append(bad, fmt.Sprintf("on floor %d depends on %s", r.floor, path))
		}
	}
	return bad
}

// testComplaints: tests may import any internal package but the demonstration and
// another door.
func testComplaints(p pkg, r rule) (bad []string) {
	for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
		name := internalName(path)
		if name == "" || name == p.name() || r.may == "*" {
			continue
		}
		if name == "demo" || table[name].door {
			bad = append(bad, "imports "+name+" in a test: tests may use any internal package but demo and another door")
		}
	}
	return bad
}

// outsideComplaints: what lies in test/ looks at the program from outside.
func outsideComplaints(p pkg) (bad []string) {
	for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
		if name := internalName(path); name != "" && name != "dnstest" {
			bad = append(bad, "imports "+name+": test programs look from outside and may import only dnstest")
		}
	}
	return bad
}

// sourceComplaints looks into the files for what import paths don't show: asking
// the system's resolver, and work done in init.
func sourceComplaints(t *testing.T, p pkg) (bad []string) {
	t.Helper()
	if strings.HasPrefix(p.ImportPath, module+"/test/") {
		return nil
	}
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("parse %s/%s: %v", p.ImportPath, name, err)
			continue
		}
		for pos, what := range fileComplaints(file, p.name() == "dnsview" || p.name() == "dnstest") {
			bad = append(bad, fmt.Sprintf("%s/%s:%d: %s", p.ImportPath, name, set.Position(pos).Line, what))
		}
	}
	slices.Sort(bad)
	return bad
}

func fileComplaints(file *ast.File, mayAskDNS bool) map[token.Pos]string {
	bad := map[token.Pos]string{}
	net := netName(file)
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				bad[n.Pos()] = "has func init: wire things in cmd"
			}
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if ok && net != "" && x.Name == net && asksDNS(n.Sel.Name) && !mayAskDNS {
				bad[n.Pos()] = "uses net." + n.Sel.Name + ": only dnsview asks DNS"
			}
		}
		return true
	})
	return bad
}

// netName returns the name package net has in this file, "" if it isn't imported.
func netName(file *ast.File) string {
	for _, spec := range file.Imports {
		if spec.Path.Value != `"net"` {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return "net"
	}
	return ""
}

func asksDNS(name string) bool {
	return name == "Resolver" || name == "DefaultResolver" || strings.HasPrefix(name, "Lookup") ||
		name == "ResolveTCPAddr" || name == "ResolveUDPAddr" || name == "ResolveIPAddr"
}

func orNone(s string) string {
	if s == "" {
		return "no internal package"
	}
	return s
}

// TestTableGoesDown checks the table itself: a package imports only lower floors.
func TestTableGoesDown(t *testing.T) {
	for name, r := range table {
		for _, to := range strings.Fields(r.may) {
			if to == "*" {
				continue
			}
			target, known := table[to]
			if !known {
				t.Errorf("%s may import %s, which is not in the table", name, to)
			}
			if target.floor > r.floor || (target.floor == r.floor && r.floor != 2 && r.floor != 3) {
				t.Errorf("%s (floor %d) may import %s (floor %d)", name, r.floor, to, target.floor)
			}
			if target.door {
				t.Errorf("%s may import %s, a door", name, to)
			}
		}
	}
}

// TestComplaints shows that the test sees each kind of breach.
func TestComplaints(t *testing.T) {
	const in = module + "/internal/"
	for _, c := range []struct {
		name string
		p    pkg
		want string
	}{
		{"fine", pkg{ImportPath: in + "gate", Imports: []string{"net", in + "mail", in + "sign"}}, ""},
		{"upwards", pkg{ImportPath: in + "sign", Imports: []string{in + "gate"}}, "it may import: mail"},
		{"floor 1 sideways", pkg{ImportPath: in + "sign", Imports: []string{in + "preflight"}}, "it may import: mail"},
		{"door to door", pkg{ImportPath: in + "smtpd", Imports: []string{in + "milter"}}, "it may import"},
		{"door to sign", pkg{ImportPath: in + "milter", Imports: []string{in + "sign"}}, "it may import"},
		{"unknown package", pkg{ImportPath: in + "util"}, "add it"},
		{"demo", pkg{ImportPath: in + "web", Imports: []string{in + "demo"}}, "only cmd may"},
		{"cmd", pkg{ImportPath: in + "demo", Imports: []string{module + "/cmd/mailgate"}}, "only the top"},
		{"DNS library", pkg{ImportPath: in + "relay", Imports: []string{"github.com/miekg/dns"}}, "only dnsview asks DNS"},
		{"module in mail", pkg{ImportPath: in + "mail", Imports: []string{"golang.org/x/sync/errgroup"}}, "standard library"},
		{"database below", pkg{ImportPath: in + "spool", Deps: []string{"database/sql"}}, "depends on database/sql"},
		{"configuration below", pkg{ImportPath: in + "gate", Deps: []string{in + "config"}}, "depends on"},
		{"test may use the store", pkg{ImportPath: in + "milter", TestImports: []string{in + "store"}}, ""},
		{"test of another door", pkg{ImportPath: in + "web", XTestImports: []string{in + "milter"}}, "another door"},
		{"outside test", pkg{ImportPath: module + "/test/x", Imports: []string{in + "gate"}}, "look from outside"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(complaints(c.p), "\n")
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("complaints: %q, want %q", got, c.want)
			}
		})
	}
}

// TestFileComplaints shows that the look into the source sees what it should.
func TestFileComplaints(t *testing.T) {
	const head = "package p\nimport \"net\"\n"
	for src, want := range map[string]int{
		head + "func f() { net.LookupTXT(\"x\") }":                                        1,
		head + "var r net.Resolver":                                                       1,
		head + "var r = net.DefaultResolver":                                              1,
		head + "func init() {}":                                                           1,
		head + "func f() { net.Dial(\"unix\", \"x\") }":                                   0,
		"package p\nimport n \"net\"\nvar r n.Resolver":                                   1,
		"package p\nvar net struct{ Resolver int }\nfunc f() int { return net.Resolver }": 0,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "p.go", src, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := fileComplaints(file, false); len(got) != want {
			t.Errorf("%q: %v, want %d complaints", src, got, want)
		}
	}
}
