// Package langtest checks that a package and its sentences belong together.
package langtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"palmops/libs/lang"
)

var keyForm = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$`)

// Check fails for a key in the catalog that no Go file in dirs names, for a literal of a key's form (word.word) with a
// first word that the catalog has but an end that it has not, and for Chinese text in a string literal of those files:
// sentences belong into the catalog. A line that ends in the comment "//lang:word" may hold Chinese, such as a word that
// people type. Test files are not looked at.
func Check(t testing.TB, c *lang.Catalog, dirs ...string) {
	t.Helper()
	keys, heads, used := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, k := range c.Keys() {
		keys[k] = true
		heads[strings.SplitN(k, ".", 2)[0]] = true
	}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no Go files in %s (%v)", dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, l := range literals(t, file) {
				switch {
				case keys[l.text]:
					used[l.text] = true
				case keyForm.MatchString(l.text) && heads[strings.SplitN(l.text, ".", 2)[0]]:
					t.Errorf("%s:%d: there is no sentence %q", file, l.line, l.text)
				case !l.word && strings.ContainsFunc(l.text, func(r rune) bool { return unicode.Is(unicode.Han, r) }):
					t.Errorf("%s:%d: %q belongs into the catalog", file, l.line, l.text)
				}
			}
		}
	}
	for k := range keys {
		if !used[k] {
			t.Errorf("nothing says %q", k)
		}
	}
}

type literal struct {
	text string
	line int
	word bool
}

func literals(t testing.TB, file string) []literal {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, file, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(src), "\n")
	var out []literal
	ast.Inspect(tree, func(n ast.Node) bool {
		if b, ok := n.(*ast.BasicLit); ok && (b.Kind == token.STRING || b.Kind == token.CHAR) {
			text, err := strconv.Unquote(b.Value)
			if err != nil {
				t.Fatal(err)
			}
			line := fset.Position(b.Pos()).Line
			out = append(out, literal{text, line, strings.HasSuffix(strings.TrimSpace(lines[line-1]), "//lang:word")})
		}
		return true
	})
	return out
}
