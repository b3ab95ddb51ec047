package mysql

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"palmops/services/executor/catalog"
)

// whole makes an action by way of a catalog.
func whole(t testing.TB, verb, params, more string) catalog.Action {
	t.Helper()
	c, err := catalog.Decode("catalog.yaml", []byte(`version: 1
zone: local
pool: db
targets:
  mysql:
    orders: {address: "127.0.0.1:1", user: palmops, databases: [shop]}
actions:
  db.x:
    kind: mysql
    verb: `+verb+`
    params: {`+params+`}
    `+more+"\n"), catalog.Kinds{Spec()})
	if err != nil {
		t.Fatal(err)
	}
	a, _ := c.Action("db.x")
	return a
}

// TestReadme: the sample in the README is a catalog.
func TestReadme(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(data), "```yaml\n")
	sample, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("there is no sample")
	}
	c, err := catalog.Decode("catalog.yaml", []byte(sample), catalog.Kinds{Spec()})
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, a := range c.Actions() {
		used[a.Verb] = true
	}
	for verb := range Spec().Verbs {
		if !used[verb] {
			t.Errorf("the sample does not show %s", verb)
		}
	}
	if s, ok := catalog.Target[Server](c, Targets, "orders"); !ok || s.PasswordFile != "orders.password" {
		t.Errorf("%+v", s)
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	const good = `version: 1
zone: local
pool: db
targets:
  mysql:
    orders: {address: "db-1:3306", user: palmops, databases: [shop]}
actions:
  db.find: {kind: mysql, verb: query, params: {id: {type: int}}, settings: {sql: SELECT ?, args: [id]}}
  db.kill: {kind: mysql, verb: kill, params: {id: {type: string}}}
`
	if _, err := catalog.Decode("catalog.yaml", []byte(good), catalog.Kinds{Spec()}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, bad, says string }{
		{`address: "db-1:3306"`, `address: db-1`, "catalog.yaml:6: mysql orders: address must be host:port"},
		{`address: "db-1:3306"`, `address: "db-1:0"`, "address must be host:port"},
		{`address: "db-1:3306"`, `address: "db-1:3306", socket: /s`, "exactly one of address and socket"},
		{`address: "db-1:3306"`, `socket: /s, tls: true`, "tls is for an address"},
		{`user: palmops`, `user: ""`, "user must name the account"},
		{`user: palmops`, `user: palmops, password: x`, "password"},
		{`user: palmops`, `user: palmops, ca_file: x`, "ca_file is read only with tls: true"},
		{`[shop]`, `[]`, "at least one database"},
		{`[shop]`, `[shop, shop]`, "named twice"},
		{`[shop]`, `[mysql]`, "belongs to the server itself"},
		{`[shop]`, "['a`b']", "is not the name of a database"},
		{`sql: SELECT ?`, `sql: DELETE FROM x WHERE id = ?`, "DELETE is not for a query that only reads"},
		{`sql: SELECT ?`, `sql: DROP TABLE x`, "a query begins with one of"},
		{`sql: SELECT ?`, `sql: SELECT 1`, "0 question marks, args names 1"},
		{`sql: SELECT ?`, `sql: ""`, "settings.sql must hold the query"},
		{`args: [id]`, `args: [other]`, "the action has no parameter other"},
		{`args: [id]`, `args: [id], database: pay`, "database pay is not one of the target's"},
		{`params: {id: {type: int}}`, `params: {id: {type: int}, more: {type: int}}`, "the parameter more is not used"},
		{`kill, params: {id: {type: string}}`, `kill, params: {id: {type: int, min: 1, max: 9}}`, "must have the type string"},
	} {
		data := strings.Replace(good, c.old, c.bad, 1)
		if data == good {
			t.Fatalf("%q is not there", c.old)
		}
		_, err := catalog.Decode("catalog.yaml", []byte(data), catalog.Kinds{Spec()})
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "catalog.yaml:") {
			t.Errorf("%s: %v", c.bad, err)
		}
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]int{
		"SELECT 1": 0, "select * from t where a = ? and b = '?' and `c?` = \"?\" ;": 1, "SHOW TABLES": 0, "WITH x AS (SELECT ?) SELECT ? FROM x": 2, "  (SELECT ?)": 1,
	} {
		if n, err := inspect(sql); err != nil || n != want {
			t.Errorf("%s: %d %v", sql, n, err)
		}
	}
	for _, sql := range []string{
		"", "DROP TABLE t", "SELECT 1; SELECT 2", "SELECT 1 INTO OUTFILE '/x'", "SELECT 'a", "SELECT 1 -- x", "SELECT 1 # x", "SELECT /*!50000 1*/", "SELECT 'a\\'b'",
		"SELECT GET_LOCK('a', 1)", "EXPLAIN ANALYZE SELECT 1", "SELECT * FROM t FOR UPDATE", "SET @a = 1", "CALL p()", "SELECT \\G",
	} {
		if n, err := inspect(sql); err == nil {
			t.Errorf("%s: taken with %d", sql, n)
		}
	}
}

// FuzzInspect: any text is judged, and what is taken has one statement.
func FuzzInspect(f *testing.F) {
	for _, s := range []string{"SELECT 1", "select '?' ? ;", "SELECT `", "SHOW /*", "with a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		n, err := inspect(sql)
		if err == nil && (n > strings.Count(sql, "?") || strings.Contains(sql, "/*")) && !strings.ContainsAny(sql, "'\"`") {
			t.Errorf("%q: %d", sql, n)
		}
	})
}

// TestSchema: editors take the sample, and not some mistakes.
func TestSchema(t *testing.T) {
	t.Parallel()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(catalog.Schema(catalog.Kinds{Spec()})))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "```yaml\n")
	sample, _, _ := strings.Cut(rest, "```")
	read := func(text string) (out any) {
		if err := yaml.Load([]byte(text), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if err := schema.Validate(read(sample)); err != nil {
		t.Error(err)
	}
	for _, c := range [][2]string{{"databases: [shop, pay]", "databases: []"}, {"user: palmops", "user: palmops\n      password: x"}, {"      args: [id]", "      more: [id]"}} {
		text := strings.Replace(sample, c[0], c[1], 1)
		if text == sample || schema.Validate(read(text)) == nil {
			t.Errorf("the schema takes %q", c[1])
		}
	}
}
