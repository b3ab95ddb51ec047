package prometheus

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"palmops/libs/fault"
	"palmops/services/executor/catalog"
)

func TestQueries(t *testing.T) {
	args := map[string]any{"a": `x"y`, "b": "1.2|.*", "n": int64(5)}
	for in, want := range map[string]string{
		`up`:                          `up`,
		`up{a="${a}"}`:                `up{a="x\x22y"}`,
		`up{a != '${a}-${n}'}`:        `up{a != 'x\x22y-5'}`,
		`up{a=~"${b}.*", b!~'x${b}'}`: `up{a=~"1\\.2\\|\\.\\*.*", b!~'x1\\.2\\|\\.\\*'}`,
		"up{a=~\"x$$\"} # ${ is no\n": "",
		"up{a=~\"x$$\"} # a } \" here\n + up{b=\"${n}\"}": "up{a=~\"x$\"} # a } \" here\n + up{b=\"5\"}",
		"up{a=`{\"`, b=\"${n}\"}":                         "up{a=`{\"`, b=\"5\"}",
		`up{a="\"${n}"}`:                                  `up{a="\"5"}`,
		`up{a="\${n}"}`:                                   "",
		`${n}`:                                            "",
		`up > ${n}`:                                       "",
		`up{${a}="b"}`:                                    "",
		`up{a=${a}}`:                                      "",
		"up{a=`${a}`}":                                    "",
		`label_replace(up, "a", "${a}", "b", "c")`: "",
		`up{a="b"} == "${a}"`:                      "",
		`up[${n}m]`:                                "",
		`up{a="${a}`:                               "",
		`up{a="b"`:                                 "",
		`up{a="b" "${a}"}`:                         "",
		``:                                         "",
		strings.Repeat("x", maxQuery+1):            "",
	} {
		q, err := parseQuery(in)
		switch {
		case want == "" && err == nil:
			t.Errorf("%s: taken", in)
		case want != "" && err != nil:
			t.Errorf("%s: %v", in, err)
		case want != "" && q.fill(args) != want:
			t.Errorf("%s: %s", in, q.fill(args))
		}
	}
}

// FuzzQuery: an argument never changes where the texts of a query begin and end.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{`up{a="${v}"}`, `up{a=~'${v}|b'} # x`, "up{a=`x`,b!=\"${v}${v}\"}"} {
		f.Add(s, `"} or up{x="`)
		f.Add(s, `\`)
	}
	f.Fuzz(func(t *testing.T, text, v string) {
		q, err := parseQuery(text)
		if err != nil {
			return
		}
		shape := func(v string) (string, scanner) {
			var s scanner
			var b strings.Builder
			filled := q.fill(map[string]any{"v": v})
			for i := range len(filled) {
				quoted := s.quote != 0
				s.over(filled[i : i+1])
				if !quoted {
					b.WriteByte(filled[i])
				}
			}
			return b.String(), s
		}
		for _, n := range q.text.Names() {
			if n != "v" {
				return
			}
		}
		one, end := shape("a")
		two, _ := shape(v)
		if one != two || end.quote != 0 || strings.ContainsFunc(literal(v), func(r rune) bool { return r < ' ' || r == '"' || r == '\'' }) {
			t.Errorf("%q with %q:\n%s\n%s", text, v, one, two)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1.5,"NaN"]}]}}`,
		`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"],[3,"+Inf"],[1e300,"1e999"]]}]}}`,
		`{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}`, `{"status":"success","data":{"resultType":"vector","result":null}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		res, err := parse(body)
		if err != nil {
			return
		}
		byHeight(res.series)
		for _, s := range res.series {
			n := s.sum()
			for _, u := range units {
				for _, v := range []float64{n.last, n.low, n.high, n.mean} {
					if text := u.text(v); text == "" || len(text) > 32 {
						t.Errorf("%g is %q", v, text)
					}
				}
			}
			if name := s.name("{{a}}", "x"); name == "" || !utf8.ValidString(name) {
				t.Errorf("the name is %q", name)
			}
		}
	})
}

func TestUnits(t *testing.T) {
	for _, x := range []struct {
		unit  string
		value float64
		want  string
	}{
		{"short", 0, "0"},
		{"short", 42, "42"},
		{"short", 1500, "1.5k"},
		{"short", 999.6, "1k"},
		{"short", -2e6, "-2M"},
		{"short", 0.123456, "0.123"},
		{"short", 1e-9, "1e-09"},
		{"percent", 93.456, "93.5%"},
		{"percent", 100, "100%"},
		{"ratio", 0.5, "50%"},
		{"bytes", 1536, "1.5KiB"},
		{"bytes", 5 << 30, "5GiB"},
		{"seconds", 0.00012, "120us"},
		{"seconds", 0.25, "250ms"},
		{"seconds", 59, "59s"},
		{"seconds", 90, "1m30s"},
		{"seconds", 7200, "2h"},
		{"seconds", 90061, "1d1h"},
		{"seconds", -3660, "-1h1m"},
		{"seconds", math.Inf(1), "+Infs"},
		{"short", math.NaN(), "NaN"},
		{"bytes", math.Inf(-1), "-InfB"},
	} {
		if got := units[x.unit].text(x.value); got != x.want {
			t.Errorf("%g in %s is %q, not %q", x.value, x.unit, got, x.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64().Draw(t, "value")
		for name, u := range units {
			if text := u.text(v); text == "" || len(text) > 24 {
				t.Fatalf("%g in %s is %q", v, name, text)
			}
		}
	})
}

func TestSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := time.Duration(rapid.IntRange(minRange, maxRange).Draw(t, "minutes")) * time.Minute
		step := stepOf(length)
		if n := length / step; step < minStep || n > points || step%time.Second != 0 {
			t.Fatalf("%s in steps of %s are %d points", length, step, n)
		}
	})
}

// TestMistakes: every one is reported with its line.
func TestMistakes(t *testing.T) {
	head := "version: 1\nzone: z\npool: p\ntargets:\n  prometheus:\n    a: {base: \"http://a\"}\nactions:\n  x:\n    kind: prometheus\n    params: {host: {type: string, pattern: line}, n: {type: int, optional: true}}\n"
	for settings, want := range map[string]string{
		"verb: value": "query must be PromQL",
		"verb: value\n    settings: {query: 'up{a=\"${who}\"}'}":         "${who}",
		"verb: value\n    settings: {query: 'up{a=\"${n}\"}'}":           "not optional",
		"verb: value\n    settings: {query: 'up + ${host}'}":             "label matcher",
		"verb: value\n    settings: {query: up, unit: miles}":            "unit",
		"verb: value\n    settings: {query: up, label: 'a b'}":           "label",
		"verb: value\n    settings: {query: up, range: 1h}":              "no setting range",
		"verb: chart\n    settings: {query: up, range: 1m}":              "range must be",
		"verb: chart\n    settings: {query: up, label: pod}":             "no setting label",
		"verb: chart\n    settings: {query: up, legend: '{{a b}}'}":      "legend",
		"verb: query\n    settings: {query: up, title: {zh: \"a\\nb\"}}": "title",
		"verb: query\n    settings: {query: up, titel: x}":               "titel",
	} {
		_, err := catalog.Decode("c.yaml", []byte(head+"    "+settings+"\n"), catalog.Kinds{Spec()})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "c.yaml:") {
			t.Errorf("%s:\n%v", settings, err)
		}
	}
	plain := "version: 1\nzone: z\npool: p\ntargets:\n  prometheus:\n    a: {base: \"http://a\", font: /nonexistent.ttf}\nactions:\n  x: {kind: prometheus, verb: value, settings: {query: up}}\n"
	_, err := catalog.Decode("c.yaml", []byte(strings.Replace(plain, "font", "fnt", 1)), catalog.Kinds{Spec()})
	if err == nil || !strings.Contains(err.Error(), "c.yaml:6") {
		t.Errorf("%v", err)
	}
	c, err := catalog.Decode("c.yaml", []byte(plain), catalog.Kinds{Spec()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(catalog.Targets[Target](c, Targets)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "/nonexistent.ttf") {
		t.Errorf("a font that is not there: %v", err)
	}
}
