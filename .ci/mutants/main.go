// This program finds operators that no test depends on. It builds the tests of some
// packages with each operator in every form that it could have, and runs them once for
// each form:
//
//	go run ./.ci/mutants                    what the token format depends on
//	go run ./.ci/mutants ./form             another package
//	go run ./.ci/mutants -only wire/append  what has that in its line
//
// It prints the forms that all tests pass with, except those in known.txt, which make no
// difference. For what is left, a test is missing. It is not part of the gate, since it
// runs for an hour or two.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// format is what the token format depends on. A test of one may kill a mutant of
// another.
var format = []string{"./internal/wire", "./internal/token", "./internal/codec"}

func main() {
	log.SetFlags(0)
	log.SetPrefix("mutants: ")
	also := flag.String("also", ".", "a `package` whose tests are run too, if the others pass")
	only := flag.String("only", "", "the mutants that have this `text` in their line")
	slow := flag.String("slow", "TestPromise|TestWorst|TestLimits|TestPayloadLimitStopsEarly|TestReferenceBudget|TestAnotherLanguage", "`tests` that are run last")
	timeout := flag.Duration("timeout", 5*time.Minute, "for the tests of a package")
	flag.Parse()
	packages := flag.Args()
	if len(packages) == 0 {
		packages = format
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		log.Fatal(err)
	}
	r := &runner{dir: dir, timeout: *timeout}
	err = r.run(packages, *also, *slow, *only)
	os.RemoveAll(dir)
	if err != nil {
		log.Fatal(err)
	}
}

// A mutant is one operator in another form. Its number is its place, from 1 on.
type mutant struct {
	file          string
	line          int
	before, after string
}

func (m mutant) String() string {
	return fmt.Sprintf("%s:%d: %s => %s", m.file, m.line, m.before, m.after)
}

// isKnown reports whether a line of known.txt is that of m. It has no number of a line,
// since that changes with the file.
func (m mutant) isKnown(lines []string) bool {
	return slices.Contains(lines, fmt.Sprintf("%s: %s => %s", m.file, m.before, m.after))
}

//go:embed known.txt
var known string

// A mutator writes files in which each operator is a switch over the number of the
// mutant that is to run.
type mutator struct {
	dir     string
	files   *token.FileSet
	mutants []mutant
	overlay map[string]string // file to the file that takes its place
}

const active = "activeMutant"

// change takes all files of a package.
func (m *mutator) change(path string) error {
	p, err := build.ImportDir(path, 0)
	if err != nil {
		return err
	}
	var files []*ast.File
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(m.files, filepath.Join(path, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	check := types.Config{Importer: importer.ForCompiler(m.files, "source", nil)}
	pkg, err := check.Check(path, m.files, files, info)
	if err != nil {
		return err
	}
	for _, file := range files {
		name := m.files.Position(file.Pos()).Filename
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		w := &rewriter{mutator: m, info: info, pkg: pkg, source: source, base: m.files.File(file.Pos()).Base()}
		w.find(file)
		if err := m.replace(name, w.render(0, len(source), w.sites)); err != nil {
			return err
		}
	}
	return m.replace(filepath.Join(path, active+".go"), []byte("package "+p.Name+`

import (
	"os"
	"strconv"
)

var `+active+`, _ = strconv.Atoi(os.Getenv("MUTANT"))
`))
}

func (m *mutator) replace(name string, content []byte) error {
	abs, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	changed := filepath.Join(m.dir, fmt.Sprintf("%d.go", len(m.overlay)))
	m.overlay[abs] = changed
	return os.WriteFile(changed, content, 0o600)
}

// A site is a piece of source with the forms that it may have.
type site struct {
	start, end int
	forms      []form
	kind       kind
	typ        string // of an expression
}

type kind int

const (
	isExpression kind = iota
	isStatement       // a simple one
	isBranch
)

type form struct {
	number int
	text   string
}

// A rewriter changes one file.
type rewriter struct {
	*mutator
	info   *types.Info
	pkg    *types.Package
	source []byte
	base   int
	sites  []site // the outer before the inner
}

func (w *rewriter) offset(p token.Pos) int { return int(p) - w.base }

func (w *rewriter) textOf(n ast.Node) string {
	return string(w.source[w.offset(n.Pos()):w.offset(n.End())])
}

func (w *rewriter) find(file *ast.File) {
	ast.PreorderStack(file, nil, func(n ast.Node, stack []ast.Node) bool {
		switch n := n.(type) {
		case *ast.GenDecl:
			return n.Tok == token.VAR || n.Tok == token.IMPORT
		case *ast.BinaryExpr:
			w.binary(n)
		case *ast.UnaryExpr:
			if n.Op == token.NOT || n.Op == token.SUB {
				w.expression(n, w.textOf(n.X))
			}
		case *ast.IncDecStmt:
			other := map[token.Token]token.Token{token.INC: token.DEC, token.DEC: token.INC}[n.Tok]
			w.statement(n, isStatement, w.textOf(n.X)+other.String())
		case *ast.AssignStmt:
			if other, ok := assignments[n.Tok]; ok && !w.isString(n.Lhs[0]) {
				w.statement(n, isStatement, w.textOf(n.Lhs[0])+" "+other.String()+" "+w.textOf(n.Rhs[0]))
			}
		case *ast.BranchStmt:
			if n.Label == nil && n.Tok == token.CONTINUE {
				w.statement(n, isBranch, "break")
			}
			if n.Label == nil && n.Tok == token.BREAK && isInLoop(stack) {
				w.statement(n, isBranch, "continue")
			}
		}
		return true
	})
}

// isInLoop reports whether a statement, of which stack holds the parents, may be a
// continue.
func isInLoop(stack []ast.Node) bool {
	for _, n := range slices.Backward(stack) {
		switch n.(type) {
		case *ast.ForStmt, *ast.RangeStmt:
			return true
		case *ast.FuncLit, *ast.FuncDecl:
			return false
		}
	}
	return false
}

var assignments = map[token.Token]token.Token{
	token.ADD_ASSIGN: token.SUB_ASSIGN,
	token.SUB_ASSIGN: token.ADD_ASSIGN,
	token.MUL_ASSIGN: token.QUO_ASSIGN,
	token.QUO_ASSIGN: token.MUL_ASSIGN,
	token.REM_ASSIGN: token.MUL_ASSIGN,
	token.AND_ASSIGN: token.OR_ASSIGN,
	token.OR_ASSIGN:  token.AND_ASSIGN,
	token.XOR_ASSIGN: token.AND_ASSIGN,
	token.SHL_ASSIGN: token.SHR_ASSIGN,
	token.SHR_ASSIGN: token.SHL_ASSIGN,
}

var operators = map[token.Token][]token.Token{
	token.LSS:     {token.LEQ, token.GEQ},
	token.LEQ:     {token.LSS, token.GTR},
	token.GTR:     {token.GEQ, token.LEQ},
	token.GEQ:     {token.GTR, token.LSS},
	token.EQL:     {token.NEQ},
	token.NEQ:     {token.EQL},
	token.LAND:    {token.LOR},
	token.LOR:     {token.LAND},
	token.ADD:     {token.SUB},
	token.SUB:     {token.ADD},
	token.MUL:     {token.QUO},
	token.QUO:     {token.MUL},
	token.REM:     {token.MUL},
	token.AND:     {token.OR},
	token.OR:      {token.AND},
	token.XOR:     {token.AND},
	token.SHL:     {token.SHR},
	token.SHR:     {token.SHL},
	token.AND_NOT: {token.AND},
}

// binary takes an operator between two values. Each half of && and || may go, too.
func (w *rewriter) binary(n *ast.BinaryExpr) {
	if w.isString(n.X) && n.Op == token.ADD {
		return
	}
	x, y := w.textOf(n.X), w.textOf(n.Y)
	var forms []string
	for _, op := range operators[n.Op] {
		forms = append(forms, x+" "+op.String()+" "+y)
	}
	if n.Op == token.LAND || n.Op == token.LOR {
		forms = append(forms, x, y)
	}
	w.expression(n, forms...)
}

func (w *rewriter) isString(e ast.Expr) bool {
	basic, ok := w.info.Types[e].Type.Underlying().(*types.Basic)
	return ok && basic.Info()&types.IsString != 0
}

// expression adds a site, unless its value is a constant.
func (w *rewriter) expression(n ast.Expr, forms ...string) {
	tv := w.info.Types[n]
	if tv.Value != nil || tv.Type == nil {
		return
	}
	qualifier := func(p *types.Package) string {
		if p == w.pkg {
			return ""
		}
		return p.Name()
	}
	w.add(n, isExpression, types.TypeString(types.Default(tv.Type), qualifier), forms...)
}

func (w *rewriter) statement(n ast.Stmt, k kind, other string) { w.add(n, k, "", other) }

func (w *rewriter) add(n ast.Node, k kind, typ string, forms ...string) {
	s := site{start: w.offset(n.Pos()), end: w.offset(n.End()), kind: k, typ: typ}
	pos := n.Pos()
	if b, ok := n.(*ast.BinaryExpr); ok {
		pos = b.OpPos
	}
	at := w.files.Position(pos)
	for _, text := range forms {
		w.mutants = append(w.mutants, mutant{at.Filename, at.Line, oneLine(w.textOf(n)), oneLine(text)})
		s.forms = append(s.forms, form{len(w.mutants), text})
	}
	w.sites = append(w.sites, s)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// render returns a piece of the source in which the sites, which lie in it, are
// rewritten. The forms have the source as it is: one change is made at a time.
func (w *rewriter) render(start, end int, sites []site) []byte {
	var b bytes.Buffer
	for len(sites) > 0 {
		s := sites[0]
		inner := sites[1:]
		if i := slices.IndexFunc(inner, func(in site) bool { return in.start >= s.end }); i >= 0 {
			inner = inner[:i]
		}
		b.Write(w.source[start:s.start])
		s.write(&b, w.render(s.start, s.end, inner))
		start, sites = s.end, sites[1+len(inner):]
	}
	b.Write(w.source[start:end])
	return b.Bytes()
}

// write writes the forms of a site, and what it is without a change.
func (s *site) write(b *bytes.Buffer, unchanged []byte) {
	switch s.kind {
	case isExpression:
		fmt.Fprintf(b, "func() %s {\n", s.typ)
		for _, f := range s.forms {
			fmt.Fprintf(b, "if %s == %d {\nreturn %s\n}\n", active, f.number, f.text)
		}
		fmt.Fprintf(b, "return %s\n}()", unchanged)
	case isStatement:
		fmt.Fprintf(b, "func() {\nif %s == %d {\n%s\nreturn\n}\n%s\n}()", active, s.forms[0].number, s.forms[0].text, unchanged)
	case isBranch:
		fmt.Fprintf(b, "if %s == %d {\n%s\n} else {\n%s\n}", active, s.forms[0].number, s.forms[0].text, unchanged)
	}
}

// A runner runs the tests of some packages.
type runner struct {
	dir     string
	timeout time.Duration
	tests   []test
}

// A test is some of a package's tests.
type test struct{ dir, binary, which string }

// run prints the mutants of packages that live, and returns an error if there are any.
func (r *runner) run(packages []string, also, slow, only string) error {
	m := &mutator{dir: r.dir, files: token.NewFileSet(), overlay: map[string]string{}}
	for _, p := range packages {
		if err := m.change(p); err != nil {
			return err
		}
	}
	if err := r.build(m, packages, also, slow); err != nil {
		return err
	}
	if out, passed := r.passes(0); !passed {
		return fmt.Errorf("the tests fail without a change:\n%s", out)
	}
	if lived := r.try(m.mutants, only); lived > 0 {
		return fmt.Errorf("%d lived", lived)
	}
	return nil
}

// build builds the tests in the order in which they run.
func (r *runner) build(m *mutator, packages []string, also, slow string) error {
	overlay, err := json.Marshal(map[string]any{"Replace": m.overlay})
	if err != nil {
		return err
	}
	name := filepath.Join(r.dir, "overlay.json")
	if err := os.WriteFile(name, overlay, 0o600); err != nil {
		return err
	}
	var last []test
	for i, p := range append(slices.Clone(packages), also) {
		binary := filepath.Join(r.dir, fmt.Sprintf("%d.test", i))
		cmd := exec.Command("go", "test", "-c", "-vet=off", "-overlay", name, "-o", binary, p)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		if i == len(packages) {
			last = append(last, test{p, binary, "-test.run=."})
			break
		}
		r.tests = append(r.tests, test{p, binary, "-test.skip=" + slow})
		last = append(last, test{p, binary, "-test.run=" + slow})
	}
	r.tests = append(r.tests, last...)
	return nil
}

// try runs the tests with each mutant that has a text in its line, and returns how many
// of these lived. It leaves out what is known.
func (r *runner) try(mutants []mutant, only string) (lived int) {
	lines := strings.Split(known, "\n")
	numbers := make(chan int)
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range runtime.NumCPU() {
		workers.Go(func() {
			for n := range numbers {
				if _, passed := r.passes(n); passed {
					mu.Lock()
					lived++
					fmt.Println(mutants[n-1])
					mu.Unlock()
				}
			}
		})
	}
	for i, m := range mutants {
		if strings.Contains(m.String(), only) && !m.isKnown(lines) {
			numbers <- i + 1
		}
	}
	close(numbers)
	workers.Wait()
	return lived
}

// passes reports whether all tests pass with a mutant, and else what they say.
func (r *runner) passes(mutant int) (out []byte, passed bool) {
	for _, t := range r.tests {
		if out, passed = r.test(t, mutant); !passed {
			return out, false
		}
	}
	return nil, true
}

// test runs a test binary, with a limit on its memory: a mutant may ask for all that
// there is.
func (r *runner) test(t test, mutant int) (out []byte, passed bool) {
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	defer cancel()
	const limited = `ulimit -v 8000000; exec "$@"`
	cmd := exec.CommandContext(ctx, "bash", "-c", limited, "bash", t.binary, "-test.failfast", "-test.fuzzcachedir="+r.dir, t.which)
	cmd.Dir = t.dir
	cmd.Env = append(os.Environ(), "MUTANT="+strconv.Itoa(mutant))
	out, err := cmd.CombinedOutput()
	return out, err == nil
}
